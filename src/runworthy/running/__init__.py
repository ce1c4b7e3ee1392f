"""Commands that a person asked for, started as they are: in the person's terminal, or in a root that was repaired.

:mod:`starting` starts one and waits for it; :mod:`smoke` has a shell of a root run one, within a time limit.
"""
