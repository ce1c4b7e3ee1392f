"""Subjects x targets: facts read once, judged on every target, told by the rules, assembled into the report.

What is named here is imported when it is first used: not all that lies in this package needs it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in cli/commands.py
if TYPE_CHECKING:
    from runworthy.engine.check import Engine, Wishes
    from runworthy.engine.subjects import missing_subjects
    from runworthy.engine.verdict import verdict_of

__all__ = ["Engine", "Wishes", "missing_subjects", "verdict_of"]

_PLACES = {"Engine": "check", "Wishes": "check", "missing_subjects": "subjects", "verdict_of": "verdict"}


def __getattr__(name: str) -> object:
    """Import a name of this package."""
    if name in _PLACES:
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"runworthy.engine.{_PLACES[name]}"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
