"""Which of two versions is the later one, by the rules of each package manager.

Source: apk-tools ``src/version.c`` (3.0, and apk-version(8)); deb-version(7) and dpkg ``lib/dpkg/version.c``; rpm
``rpmio/rpmvercmp.cc`` and rpm-version(7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from runworthy.model.package import Manager, Relation

__all__ = ["compare", "satisfies", "upstream"]

_LENGTH: Final = 512  # characters of a version that are looked at; no real one has 100


def compare(manager: Manager, left: str, right: str) -> int:
    """Return a negative number where ``left`` is the earlier version, 0 where both are one, else a positive one."""
    return _COMPARE[manager](left[:_LENGTH], right[:_LENGTH])


def satisfies(manager: Manager, version: str, wanted: Relation) -> bool:
    """Whether a version is one that a relation asks for. One that asks for none takes any."""
    operator = wanted.operator.lstrip("!")
    if not operator:
        return True
    if not version:  # something is provided without saying which version of it
        return False
    if "~" in operator and manager == "apk" and _apk(version[:_LENGTH], wanted.version[:_LENGTH], prefix=True) == 0:
        return True
    left, right = version, wanted.version
    if manager == "dnf":
        left, right = _comparable(left, right)
    order = compare(manager, left, right)
    return (order < 0 and "<" in operator) or (order > 0 and ">" in operator) or (order == 0 and "=" in operator)


def upstream(manager: Manager, version: str) -> str:
    """Return a version without what the distribution counts: its revision, and dpkg's and rpm's epoch."""
    if manager == "apk":
        return re.sub(r"-r[0-9]+$", "", version)
    _, _, rest = version.rpartition(":") if version.partition(":")[0].isdigit() else ("", "", version)
    return rest.rpartition("-")[0] or rest


# -- apk -------------------------------------------------------------------------------------------

_INITIAL, _DIGIT, _LETTER, _SUFFIX, _SUFFIX_NUMBER, _HASH, _REVISION, _END, _INVALID = range(9)
_APK: Final = re.compile(r"(\.?)([0-9]+)|([a-z])|_([a-z]+)|~([0-9a-f]+)|-r([0-9]+)")
_SUFFIXES: Final = {
    **{name: at for at, name in enumerate(("alpha", "beta", "pre", "rc"), start=-4)},
    **{name: at for at, name in enumerate(("cvs", "svn", "git", "hg", "p"), start=1)},
}
_Token = tuple[int, str]


def _apk(left: str, right: str, *, prefix: bool = False) -> int:
    """Compare as apk does; with ``prefix`` a version is equal to what it begins with."""
    for (kind, text), (other, against) in zip(_apk_tokens(left), _apk_tokens(right), strict=False):
        if kind != other:
            if other == _END and prefix:
                return 0
            if kind == _SUFFIX and _SUFFIXES[text] < 0:
                return -1
            if other == _SUFFIX and _SUFFIXES[against] < 0:
                return 1
            return other - kind
        order = _apk_value(kind, text, against)
        if order:
            return order
    return 0


def _apk_value(kind: int, left: str, right: str) -> int:
    if kind == _SUFFIX:
        return _SUFFIXES[left] - _SUFFIXES[right]
    numbers = kind in (_INITIAL, _SUFFIX_NUMBER, _REVISION)
    if numbers or (kind == _DIGIT and not left.startswith("0") and not right.startswith("0")):
        return int(left) - int(right)
    return (left > right) - (left < right)


def _apk_tokens(version: str) -> Iterator[_Token]:
    """Yield the parts of a version; the last is its end, or that it goes on as none does."""
    state, at = -1, 0
    while at < len(version) or state < 0:
        found = _APK.match(version, at)
        kind = _apk_kind(found, state) if found else _INVALID
        if found is None or kind == _INVALID:
            yield _INVALID, ""
            return
        state, at = kind, found.end()
        yield kind, next(text for text in found.groups()[1:] if text is not None)
    yield _END, ""


def _apk_kind(found: re.Match[str], state: int) -> int:
    """Return what a part is after one of the kind ``state`` (-1: at the start), or that it cannot stand there."""
    dot, digits, letter, suffix, commit, revision = found.groups()
    if state < 0:
        return _INITIAL if digits and not dot else _INVALID
    if digits:
        if state == _SUFFIX and not dot:
            return _SUFFIX_NUMBER
        return _DIGIT if state <= _DIGIT else _INVALID
    if letter:
        return _LETTER if state <= _DIGIT else _INVALID
    if suffix:
        return _SUFFIX if state <= _SUFFIX_NUMBER and suffix in _SUFFIXES else _INVALID
    if commit:
        return _HASH if state < _HASH else _INVALID
    return _REVISION if revision and state < _REVISION else _INVALID


# -- dpkg ------------------------------------------------------------------------------------------

_RUNS: Final = re.compile(r"([^0-9]*)([0-9]*)")


def _dpkg(left: str, right: str) -> int:
    epoch, version, revision = _dpkg_parts(left)
    other = _dpkg_parts(right)
    return epoch - other[0] or _dpkg_part(version, other[1]) or _dpkg_part(revision, other[2])


def _dpkg_parts(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.strip().partition(":")
    if not colon or not (epoch.isascii() and epoch.isdigit()):
        epoch, rest = "0", version.strip()
    upstream_part, dash, revision = rest.rpartition("-")
    return int(epoch), upstream_part if dash else rest, revision if dash else ""


def _dpkg_part(left: str, right: str) -> int:
    """Compare letters and numbers in turn; ``~`` comes before the end, and letters before all else."""
    mine, other = _RUNS.findall(left), _RUNS.findall(right)
    for at in range(max(len(mine), len(other))):
        text, number = mine[at] if at < len(mine) else ("", "")
        against, counted = other[at] if at < len(other) else ("", "")
        order = _dpkg_letters(text, against) or int(number or "0") - int(counted or "0")
        if order:
            return order
    return 0


def _dpkg_letters(left: str, right: str) -> int:
    for at in range(max(len(left), len(right))):
        order = _dpkg_weight(left[at : at + 1]) - _dpkg_weight(right[at : at + 1])
        if order:
            return order
    return 0


def _dpkg_weight(letter: str) -> int:
    if letter in ("", "~"):
        return -1 if letter else 0
    return ord(letter) if letter.isascii() and letter.isalpha() else ord(letter) + 256


# -- rpm -------------------------------------------------------------------------------------------

_RPM: Final = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")


def _rpm(left: str, right: str) -> int:
    """Compare epoch, version and release; a release that one of them does not have does not count."""
    one, other = _rpm_parts(left), _rpm_parts(right)
    order = one[0] - other[0] or _rpm_part(one[1], other[1])
    return order or (_rpm_part(one[2], other[2]) if one[2] and other[2] else 0)


def _rpm_parts(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon or not (epoch.isascii() and epoch.isdigit()):
        epoch, rest = "0", version
    number, _, release = rest.partition("-")
    return int(epoch), number, release


def _comparable(left: str, right: str) -> tuple[str, str]:
    """Return both without their releases where one has none: a dependency on a version takes every release of it."""
    if _rpm_parts(left)[2] and _rpm_parts(right)[2]:
        return left, right
    return tuple(f"{epoch}:{number}" for epoch, number, _ in map(_rpm_parts, (left, right)))  # type: ignore[return-value]


def _rpm_part(left: str, right: str) -> int:
    if left == right:
        return 0
    mine, other = _RPM.findall(left), _RPM.findall(right)
    for at in range(max(len(mine), len(other))):
        one = mine[at] if at < len(mine) else ""
        two = other[at] if at < len(other) else ""
        order = _rpm_segment(one, two)
        if order:
            return order
    return 0


def _rpm_segment(one: str, two: str) -> int:
    """Compare two segments, "" where a version has ended: ``~`` comes before the end and ``^`` after it."""
    if "~" in (one, two):
        return (one != "~") - (two != "~")
    if "^" in (one, two):
        if one == two:
            return 0
        if one == "^":
            return 1 if two == "" else -1
        return -1 if one == "" else 1
    if not one or not two:
        return len(one) - len(two)
    if one.isdigit() and two.isdigit():
        return int(one) - int(two)
    if one.isdigit() or two.isdigit():  # numbers are later than letters
        return 1 if one.isdigit() else -1
    return (one > two) - (one < two)


_COMPARE: Final[Mapping[Manager, Callable[[str, str], int]]] = {"apk": _apk, "apt": _dpkg, "dnf": _rpm}
