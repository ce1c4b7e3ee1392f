"""JSON that installers leave in environments, which anybody may have written: bounded in what it makes of memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from runworthy.model.errors import FormatError

__all__ = ["JSON_MAX", "items", "load_object", "word"]

JSON_MAX: Final = 48 << 20
"""Of one file, in bytes: the record of a package with 50,000 files, as texlive-core has, takes near 20 MiB."""

_VALUES_MAX: Final = 2_000_000
_WORD_MAX: Final = 4096


def load_object(data: bytes, path: str = "") -> Mapping[str, Any]:
    """Return a JSON object. Raises FormatError for what is none, or makes too many values.

    What separates values is counted first: an empty list takes two bytes there and fifty here.
    """
    if len(data) > JSON_MAX or sum(map(data.count, (b",", b"[", b"{"))) > _VALUES_MAX:
        raise FormatError(f"is too large for a record: {len(data)} bytes", path=path)
    import json

    try:
        held = json.loads(data.decode("utf-8-sig", "surrogateescape"))
    except RecursionError:
        raise FormatError("is nested too deeply for a record", path=path) from None
    except ValueError as error:
        raise FormatError(f"is no JSON: {error}", path=path) from None
    if not isinstance(held, dict):
        raise FormatError("is no JSON object", path=path)
    return held


def word(value: object) -> str:
    """Return a text, empty for what is none, or none that a person would read."""
    return value if isinstance(value, str) and len(value) <= _WORD_MAX else ""


def items(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list, nothing for what is no list."""
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())
