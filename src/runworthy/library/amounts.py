"""Sizes and ages as people write them: understood in one place, whichever option they are given to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runworthy.model.errors import UsageError

__all__ = ["seconds_of", "size_of"]

_UNITS: Mapping[str, int] = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_AGES: Mapping[str, int] = {"h": 3600, "d": 86400, "w": 7 * 86400}


def size_of(text: str | int, option: str) -> int:
    """Return a number of bytes that is written as people write it ("64k", "1.5 GiB"). Raises UsageError."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(?:([kmgt])(?:i?b)?|b)?", str(text).strip().lower())
    if found is None:
        raise UsageError(f"{text} is no size", hint="as in 65536, 64k or 1.5GiB", option=option)
    return int(float(found[1]) * (1 << _UNITS[found[2] or ""]))


def seconds_of(text: str, option: str) -> int:
    """Return the seconds of an age ("12h", "30d", "8w"). Raises UsageError."""
    found = re.fullmatch(r"([0-9]{1,6})([hdw])", text)
    if found is None:
        raise UsageError(f"{text} is no age", hint="as in 30d, 12h or 8w", option=option)
    return int(found[1]) * _AGES[found[2]]
