"""Versions of Python projects, in the order of PEP 440."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["version_key"]

_VERSION: Final = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)"
    r"(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?"
    r"(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?"
    r"(?:[-_.]?(dev)[-_.]?(\d*))?"
    r"(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.ASCII,
)
_PHASES: Final = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_BEFORE, _FINAL = -1, 3

Key = tuple[object, ...]


def version_key(text: str) -> Key:
    """Return what orders a version among others; what is no version of PEP 440 comes before all that are.

    Developments come before pre-releases, those before the release, and post-releases and local builds after it
    (PEP 440, "Summary of permitted suffixes and relative ordering").
    """
    found = _VERSION.fullmatch(text.strip().lower())
    if found is None:
        return (-1, text)
    epoch, release, phase, number, dashed, post, post_number, dev, dev_number, local = found.groups()
    numbers = [*map(int, release.split("."))]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    after = int(dashed or post_number or 0) if dashed or post else -1
    unphased = (_BEFORE, 0) if dev and after < 0 else (_FINAL, 0)
    stage = (_PHASES[phase], int(number or 0)) if phase else unphased
    developing = int(dev_number or 0) if dev else 1 << 62
    locals_ = tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"[-_.]", local or "")
                    if part)  # fmt: skip
    return (int(epoch or 0), tuple(numbers), stage, after, developing, locals_)
