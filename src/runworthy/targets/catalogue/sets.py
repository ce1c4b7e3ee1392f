"""Named sets of targets, as ``--on @release``: what they hold follows from the catalogue, by end of life.

A set is as of the catalogue's own date, the newest at which facts of it were read: the same catalogue gives the same
set on every day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from runworthy.model.arch import ARCHITECTURES, Architecture, architecture
from runworthy.model.errors import TargetError
from runworthy.targets.catalogue import open_catalogue
from runworthy.targets.catalogue.target import Summary

__all__ = ["SETS", "PseudoTarget", "as_of", "members", "names_in", "pseudo_target", "pseudo_targets"]

_FAMILIES = ("debian", "ubuntu", "almalinux", "fedora", "amazonlinux", "alpine")
"""The distributions that servers and images are made of. AlmaLinux has what RHEL, Rocky Linux and Oracle Linux have."""

_EVERYWHERE = ("x86_64", "aarch64")
_BOARDS: Mapping[str, tuple[str, ...]] = {"armv7": ("debian", "alpine"), "riscv64": ("debian", "alpine")}
"""Architectures of boards, and the distributions that run on these: their newest release stands for them."""

_FREE_SUPPORT = ("lts",)
"""Support beyond the end of life that nobody pays for (Debian LTS); ``elts`` is bought (ELTS, ESM, ELS)."""


class PseudoTarget(NamedTuple):
    """A platform without a root: its programs are told about, and not judged. ``written`` is what its users call it."""

    name: str
    system: str
    arch: str
    written: str


PSEUDO: tuple[PseudoTarget, ...] = (
    PseudoTarget("windows/x86_64", "windows", "x86_64", "windows/x86_64"),
    PseudoTarget("windows/aarch64", "windows", "aarch64", "windows/aarch64"),
    PseudoTarget("macos/arm64", "macos", "aarch64", "macos/arm64"),
    PseudoTarget("macos/x86_64", "macos", "x86_64", "macos/x86_64"),
)


def pseudo_target(name: str) -> PseudoTarget | None:
    """Return the platform without a root that a name means, None for any other name."""
    system, _, spelling = name.strip().lower().partition("/")
    system = {"darwin": "macos", "osx": "macos", "win": "windows"}.get(system, system)
    arch = architecture(spelling)
    return next((one for one in PSEUDO if arch and (one.system, one.arch) == (system, arch.name)), None)


def pseudo_targets(name: str) -> tuple[PseudoTarget, ...]:
    """Return the platforms without a root that a set holds. Raises TargetError for a set that there is not."""
    return _set(name)[1]


def members(name: str) -> tuple[Summary, ...]:
    """Return the targets of the catalogue that a set (``@release``) holds, in the order of its making.

    ``@release/arm64`` holds those of one architecture. Raises TargetError for a set that there is not, with the names.
    """
    return _set(name)[0]


def names_in(name: str) -> tuple[str, ...]:
    """Return the names of a set's targets, each once and without an architecture: a file has one of its own.

    Where the set is written with an architecture they have it too. Raises TargetError.
    """
    arch = name.partition("/")[2]
    return tuple(dict.fromkeys(f"{row.name}/{row.arch.name}" if arch else row.name for row in members(name)))


def as_of() -> str:
    """Return the ISO date of the catalogue: the newest at which facts of it were read."""
    return max(row.as_of for row in open_catalogue().targets() if row.as_of[:4].isdigit() and len(row.as_of) == 10)


@cache
def _set(name: str) -> tuple[tuple[Summary, ...], tuple[PseudoTarget, ...]]:
    text, _, spelling = name.strip().lower().removeprefix("@").partition("/")
    arch = architecture(spelling) if spelling else None
    if text not in SETS or (spelling and arch is None):
        what = f"@{text} is no set of targets" if text not in SETS else f"{name}: {spelling} is no architecture"
        raise TargetError(what, hint=f"{', '.join(f'@{one}' for one in SETS)} are, and @release/arm64 is one of it")
    found = SETS[text]
    kept = tuple(row for row in found.targets() if arch is None or row.arch is arch)
    pseudo = tuple(one for one in PSEUDO if one.system in found.systems and arch in (None, architecture(one.arch)))
    return kept, pseudo


# -- what they hold --------------------------------------------------------------------------------


class _Set(NamedTuple):
    targets: Callable[[], Iterator[Summary]]
    systems: tuple[str, ...]
    summary: str


def _release() -> Iterator[Summary]:
    """Yield the supported releases of every family on the usual machines, and the newest on boards."""
    for name in _EVERYWHERE:
        arch = _architecture(name)
        for family in _FAMILIES:
            yield from _supported(family, arch)
    for name, families in _BOARDS.items():
        for family in families:
            yield from _supported(family, _architecture(name))[-1:]


def _supported(family: str, arch: Architecture) -> list[Summary]:
    """Return the releases of a family that are supported, the oldest first.

    Of a family whose ends of life are not known, the newest release is taken. Rolling and unreleased ones are none, and
    of Ubuntu only those with long-term support (April of even years).
    """
    rows = [row for row in open_catalogue().targets() if row.family == family and row.arch is arch]
    rows = sorted((row for row in rows if row.eol != "rolling" and "-" not in row.name), key=lambda row: row.order)
    if not any(row.eol for row in rows):
        return rows[-1:]
    today = as_of()
    return [row for row in rows if _end(row) >= today and (family != "ubuntu" or _is_lts(row))]


def _end(row: Summary) -> str:
    """Return the ISO date at which support ends that nobody pays for, empty where it is not known."""
    return max([row.eol or "", *(row.eol_support.get(kind, "") for kind in _FREE_SUPPORT)])


def _is_lts(row: Summary) -> bool:
    return row.order[0] % 2 == 0 and row.order[1:] == (4,)


def _musl() -> Iterator[Summary]:
    return (row for row in _release() if row.libc.family == "musl")


def _glibc() -> Iterator[Summary]:
    return (row for row in _release() if row.libc.family == "glibc")


def _manylinux() -> Iterator[Summary]:
    """Yield the platforms of PEP 600 and 656 whose build images are supported, and musllinux."""
    for name in _EVERYWHERE:
        rows = [row for row in open_catalogue().targets() if row.arch.name == name]
        today = as_of()
        yield from (row for row in rows if row.family == "manylinux" and (row.eol or "9999") >= today)
        yield from (row for row in rows if row.family == "musllinux" and row.order >= (1, 2))


def _none() -> Iterator[Summary]:
    return iter(())


def _architecture(name: str) -> Architecture:
    return next(row for row in ARCHITECTURES if row.name == name)


SETS: Mapping[str, _Set] = {
    "release": _Set(_release, ("windows", "macos"), "the platforms that matter today: Linux, Windows and macOS"),
    "linux": _Set(_release, (), "the Linux targets of @release"),
    "glibc": _Set(_glibc, (), "those of them with glibc"),
    "musl": _Set(_musl, (), "those of them with musl"),
    "manylinux": _Set(_manylinux, (), "the platform tags of wheels whose build images are supported"),
    "windows": _Set(_none, ("windows",), "Windows on both of its architectures"),
    "macos": _Set(_none, ("macos",), "macOS on both of its architectures"),
}
"""Every set by its name."""
