"""gcompat, for programs of glibc on a root of Alpine's kind: it helps where it has every symbol that musl lacks.

Where its package is at hand, that is laid into the target and judged. Else the names that a release of it exports tell
where it cannot help; where it may, nothing here can judge that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from runworthy.model.edit import InstallPackages, UnpackPackage
from runworthy.model.errors import FormatError
from runworthy.model.finding import Cost
from runworthy.model.trace import Step
from runworthy.remedies.situation import Proposal, Situation, exists, system_of
from runworthy.targets.packages.fetching import sha256_of
from runworthy.targets.view import UnseenError

__all__ = ["lacks", "proposals"]

_PACKAGE = "gcompat"
_WITH_IT = ("libucontext", "musl-obstack")
"""What its package depends on (aports, main/gcompat/APKBUILD)."""
_OF_THOSE = re.compile(r"_?obstack_\w+|(?:get|set|make|swap)context")
_FILE = re.compile(r"(?P<name>[a-z0-9][a-z0-9.+_-]*?)-(?P<version>[0-9][^-]*-r[0-9]+)(?:\.[a-z0-9_]+)?\.apk")
_LISTED = 100_000
_TITLE = "install gcompat, which answers for glibc with musl"
_UNSAFE = "its functions are musl's in most of what they do, and some of glibc's do more"
_FAMILY = ("alpine", "postmarketos", "adelie")


def proposals(situation: Situation, step: Step) -> Iterator[Proposal]:
    """Yield gcompat for a program whose interpreter, glibc's loader, is not there."""
    target = situation.target
    if step.need.kind != "interpreter" or step.need.name.rpartition("/")[2] != _loader_name(situation):
        return
    if not exists(target.view, target.arch.musl_loader) or not set(_FAMILY) & set(system_of(target).family):
        return
    held = _archives(situation.means.packages if situation.means else ())
    archive = held.get(_PACKAGE)
    if archive is not None:
        others = [(name, held[name]) for name in _WITH_IT if name in held]
        unpacked = (*others, (_PACKAGE, archive))
        try:
            effects = tuple(
                UnpackPackage(archive=path, package=name, sha256=sha256_of(path), vouched="given")
                for name, path in unpacked
            )
        except OSError:
            return
        yield Proposal(
            title=_TITLE,
            edits=(InstallPackages(manager="apk", names=(_PACKAGE,), with_them=_WITH_IT, effects=effects),),
            approach="install",
            cost=Cost(packages=len(unpacked), size=_size(path for _, path in unpacked)),
            unsafe=_UNSAFE,
        )
    elif not lacks(situation):
        from runworthy.remedies.gcompat_names import RELEASE

        yield Proposal(
            title=_TITLE,
            edits=(InstallPackages(manager="apk", names=(_PACKAGE,), with_them=_WITH_IT),),
            approach="install",
            cost=Cost(packages=1 + len(_WITH_IT), size=None),
            unsafe=_UNSAFE,
            unprovable=f"gcompat {RELEASE} has each symbol of the program by its name; give its package to judge it",
        )


def lacks(situation: Situation) -> tuple[str, ...]:
    """Return what a program needs of glibc that neither musl nor gcompat has, as far as its file alone tells."""
    from runworthy.remedies.gcompat_names import NAMES

    view, arch = situation.target.view, situation.target.arch
    try:
        of_musl = view.elf(view.resolve(arch.musl_loader).path).exports().names
        groups = view.elf(view.resolve(situation.path).path).imports()
    except (FormatError, OSError, UnseenError):
        return ()
    wanted = frozenset[bytes]().union(*(group.strong for group in groups if _is_of_glibc(group.version)))
    names = (name.decode("utf-8", "surrogateescape") for name in wanted - of_musl)
    return tuple(sorted(name for name in names if name not in NAMES and not _OF_THOSE.fullmatch(name)))


def _loader_name(situation: Situation) -> str:
    return situation.target.arch.glibc_loader.rpartition("/")[2]


def _is_of_glibc(version: str | None) -> bool:
    return version is not None and version.startswith("GLIBC_")


def _archives(given: tuple[str, ...]) -> dict[str, str]:
    """Return the packages of Alpine among files and directories, by their names; the first of each counts."""
    held: dict[str, str] = {}
    for path in given:
        for file in _files(path):
            found = _FILE.fullmatch(os.path.basename(file))
            if found and found["name"] in (_PACKAGE, *_WITH_IT):
                held.setdefault(found["name"], os.path.abspath(file))
    return held


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    with os.scandir(path) as entries:
        for _, entry in zip(range(_LISTED), entries, strict=False):
            yield entry.path


def _size(paths: Iterator[str]) -> int | None:
    try:
        return sum(os.stat(path).st_size for path in paths)
    except OSError:
        return None
