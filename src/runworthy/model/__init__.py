"""The words of the product as frozen data.

Nothing in this package reads a file, and nothing in it imports another package of ours:
formats fill these objects, targets and simulators read them, rules and reports speak about them.
"""
