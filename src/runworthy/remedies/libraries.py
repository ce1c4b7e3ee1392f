"""Where a library lies that a loader does not find: in the subject's own tree, or anywhere in the root.

Only directories in which people put libraries are looked through, and a bounded number of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from runworthy.model.elf import ET_DYN, ElfFacts
from runworthy.model.errors import FormatError
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Step, Stretch
from runworthy.remedies.situation import Situation
from runworthy.rules.known import libc_of_library
from runworthy.targets.libc import identify_loader
from runworthy.targets.placement import SUBJECT_ROOT, tree_of
from runworthy.targets.view import FileView, UnseenError

__all__ = [
    "Candidate",
    "candidates",
    "is_missing",
    "is_own",
    "is_writable_in_a_path",
    "libc_under",
    "searched",
    "shown",
    "stretch_of",
    "suits",
]

_TOPS = ("/lib", "/lib32", "/lib64", "/libx32", "/usr", "/opt", "/app", "/srv", "/gnu", "/nix")
_DIRECTORIES, _NAMES, _DEPTH, _MOST = 3000, 100_000, 7, 4
# No libraries that are meant to be found lie below these, wherever they are.
_PASSED = frozenset(
    "share include doc man locale src debug glibc-hwcaps proc sys dev run node_modules __pycache__ .git modules "
    "firmware games cache site-packages dist-packages".split()
)
_NO_LIBRARIES = re.compile(
    r"^python\d|\.(?:py|pyc|pyi|a|h|hpp|o|c|js|ts|json|html|css|txt|md|gz|xz|png|svg|mo|pc|la|ko|pm|xml)$"
)
_IN_A_PATH = re.compile(r"[^\s:;$#=*?\[\\\0]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A library of the root that may be what is missed. ``path`` is that of its name, links not followed.

    ``how``: it has the very ``name``; it has it as its DT_SONAME alone, so that only a link lacks; or it is another
    release, by its name.
    """

    path: str
    how: Literal["named", "unlinked", "other"]
    facts: ElfFacts

    @property
    def directory(self) -> str:
        """Where it lies."""
        return posixpath.dirname(self.path)

    @property
    def name(self) -> str:
        """What it is called there."""
        return posixpath.basename(self.path)


def is_missing(step: Step) -> bool:
    """Whether a step says that no path led to a needed library; one that was refused is something else."""
    return step.need.kind == "library" and not step.detail and step.answer in (Answer.UNMET, Answer.UNKNOWN)


def stretch_of(situation: Situation, step: Step) -> Stretch | None:
    """Return the stretch of the image under whose loader a step is taken."""
    return next((one for one in situation.result.trace.stretches if any(step is held for held in one.needs)), None)


def libc_under(situation: Situation, stretch: Stretch) -> Libc | None:
    """Return the C library of a stretch's loader, None where it cannot be told."""
    target = situation.target
    if not stretch.loader.startswith("/"):
        return None
    try:
        real = target.view.resolve(stretch.loader).path
        return target.libcs.get(real) or target.libcs.get(stretch.loader) or identify_loader(target.view, real)
    except (FormatError, OSError, UnseenError):
        return None


def is_own(situation: Situation, path: str) -> bool:
    """Whether a file belongs to the subject: it is the subject, or lies in the tree that it was given in."""
    if path in (situation.path, situation.result.path):
        return True
    tree = situation.tree or tree_of(situation.result.path)
    return tree is not None and path.startswith(f"{tree}/")


def is_writable_in_a_path(directory: str) -> bool:
    """Whether a directory can be written down in a search path, in every form that there is of it."""
    return bool(_IN_A_PATH.fullmatch(directory))


def searched(step: Step) -> frozenset[str]:
    """Return the directories that a loader has searched for a library."""
    return frozenset(posixpath.dirname(probe.path) for probe in step.searched if probe.outcome != "no such directory")


def shown(path: str) -> str:
    """Return a path as somebody knows it who is not told where subjects are placed."""
    return path.removeprefix(SUBJECT_ROOT) if path.startswith(f"{SUBJECT_ROOT}/") else path


def suits(facts: ElfFacts, like: ElfFacts, libc: Libc | None) -> bool:
    """Whether a library is one for the machine of a file and for a C library."""
    one, other = facts.header, like.header
    if (one.type, one.machine, one.elf_class, one.endian) != (ET_DYN, other.machine, other.elf_class, other.endian):
        return False
    families = {libc_of_library(name) for name in facts.needed} - {""}
    return facts.dynamic and not facts.is_program and (libc is None or not families - {libc.family})


def candidates(situation: Situation, step: Step) -> tuple[Candidate, ...]:
    """Return libraries of the root for a missing one: the subject's own first, those of its very name first."""
    view, wanted = situation.target.view, posixpath.basename(step.need.name)
    stretch = stretch_of(situation, step)
    try:
        like = view.elf(step.need.by).facts
    except (FormatError, OSError, UnseenError):
        return ()
    libc = libc_under(situation, stretch) if stretch else None
    found: dict[str, Candidate] = {}
    for path in _named_alike(situation, wanted):
        try:
            resolved = view.resolve(path)
            facts = view.elf(resolved.path).facts if resolved.entry.kind == "file" else None
        except (FormatError, OSError, UnseenError):
            continue
        if facts is not None and suits(facts, like, libc):
            how: Literal["named", "unlinked", "other"] = "other"
            if posixpath.basename(path) == wanted:
                how = "named"
            elif facts.soname == wanted:
                how = "unlinked"
            found.setdefault(path, Candidate(path=path, how=how, facts=facts))
    order = ("named", "unlinked", "other")
    ranked = sorted(found.values(), key=lambda one: (order.index(one.how), not is_own(situation, one.path)))
    return tuple(one for how in order for one in [held for held in ranked if held.how == how][:_MOST])


def _named_alike(situation: Situation, wanted: str) -> Iterator[str]:
    """Yield the files whose name begins as that of a library does: ``libz.so.1.2.13`` and ``libz-ng.so`` for libz."""
    stem = wanted.partition(".so")[0]
    alike = re.compile(rf"{re.escape(stem.rstrip('-.0123456789') or stem)}[-.\d]*\.so(?:[.\d]*)")
    tree = situation.tree or tree_of(situation.result.path)
    beside = posixpath.dirname(situation.result.path)
    places = [(beside, 0), *([(tree, _DEPTH)] if tree else []), *((top, _DEPTH) for top in _TOPS)]
    for directory, name in _files(situation.target.view, places):
        if name == wanted or alike.fullmatch(name):
            yield posixpath.join(directory, name)


def _files(view: FileView, places: Iterable[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    """Yield (directory, name) of what may be a library in directories, down to a depth below each: upper ones first."""
    pending = [(view.real_directory(place), depth) for place, depth in places]
    gone_through: dict[str, int] = {}
    names_left = _NAMES
    for directory, depth in pending:  # grows while it is gone through
        if directory is None or gone_through.get(directory, -1) >= depth:
            continue
        gone_through[directory] = depth
        if len(gone_through) > _DIRECTORIES or names_left <= 0:
            return
        try:
            names = sorted(view.names(directory))
        except (OSError, UnseenError):
            continue
        names_left -= len(names)
        for name in names:
            if ".so" in name:
                yield directory, name
            elif depth and name not in _PASSED and not _NO_LIBRARIES.search(name):
                pending.append((_entered(view, directory, name), depth - 1))


def _entered(view: FileView, directory: str, name: str) -> str | None:
    """Return the real path of a directory in a directory, None where it is none, or a link that leads elsewhere."""
    try:
        entry = view.entry(directory, name)
    except (OSError, UnseenError):
        return None
    return posixpath.join(directory, name) if entry is not None and entry.kind == "dir" else None
