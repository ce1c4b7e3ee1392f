"""Small compiled cases, one for each semantic of a loader. See tests/judges/README.md."""

from . import machine, musl_only, search, symbols, unusable
from .recipe import Case


def every() -> tuple[Case, ...]:
    """All cases."""
    return (*search.CASES, *unusable.CASES, *symbols.CASES, *machine.CASES, *musl_only.CASES)
