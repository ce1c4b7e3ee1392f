"""What a plan of sharing rests on, asked of this machine when it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import Final, Literal

from runworthy.formats.elf_kind import MAGIC
from runworthy.model.storage import Bar, Copies, Environment, Place, StoredFile, Together
from runworthy.storage.planning import Ground
from runworthy.targets.storage.apart import kept_apart
from runworthy.targets.storage.comparing import open_quietly
from runworthy.targets.storage.environments import root_around
from runworthy.targets.storage.owners import Owners
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.traits import traits_of

__all__ = ["Loadings", "Reflinks", "ground_of", "not_asked"]

_SHARING: Final[Mapping[str, Literal["extents", "clone", ""]]] = {
    "btrfs": "extents",
    "xfs": "extents",
    "ocfs2": "extents",
    "bcachefs": "clone",
    "zfs": "clone",
}
"""How files share extents on each type of file system: those whose ``remap_file_range`` takes REMAP_FILE_DEDUP compare
bytes themselves (Linux, fs/*/); the others have FICLONE alone."""


class Reflinks:
    """How files share extents, by where they lie. Each file system is asked once."""

    def __init__(self) -> None:
        self._known: dict[str, Literal["extents", "clone", ""]] = {}

    def of(self, place: Place) -> Literal["extents", "clone", ""]:
        """Return how files at a place share extents, empty where they cannot."""
        found = self._known.get(place.filesystem)
        if found is None:
            found = self._known[place.filesystem] = self._ask(place)
        return found

    def _ask(self, place: Place) -> Literal["extents", "clone", ""]:
        way = _SHARING.get(place.type, "")
        return way if way and (place.type != "xfs" or _xfs_shares(place.path)) else ""


def _xfs_shares(directory: str) -> bool:
    from runworthy.targets.storage.ioctls import xfs_shares_extents

    try:
        fd = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        return xfs_shares_extents(fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def ground_of(
    owners: Owners, places: Places, reflinks: Reflinks, together: Callable[[str, str, str], Together]
) -> Ground:
    """Return the ground for a plan; ``together`` answers for two names in one environment."""
    return Ground(
        owner=owners.owner,
        environment=owners.environment,
        place=_placed(places),
        traits=cache(traits_of),
        loadable=_is_loadable,
        together=together,
        kept_apart=kept_apart,
        exclusive=cache(_exclusive),
        reflinks=reflinks.of,
        refused=cache(_refused),
    )


def not_asked(_environment: str, _one: str, _other: str) -> Together:
    """Answer for any two files without a simulation."""
    return Together(answer="not-asked")


def _placed(places: Places) -> Callable[[str], Place]:
    @cache
    def of_directory(directory: str) -> Place:
        return places.place(directory)

    return lambda name: of_directory(name.rpartition("/")[0] or "/")


def _exclusive(file: StoredFile) -> int:
    from runworthy.targets.storage.extents import exclusive_of

    return exclusive_of(file)


def _refused(file: StoredFile, replaced: bool) -> Bar | Literal[""]:  # noqa: FBT001 - one of the ground's questions
    """Return what the kernel refuses this user to do with a file: it is asked before anything is planned.

    Writers are kept waiting by its owner alone, and root (fcntl(2), F_SETLEASE); what is ``replaced`` is so in
    directories where this user may write.
    """
    if not hasattr(os, "geteuid"):
        return ""
    user = os.geteuid()
    if user not in (0, file.uid):
        return "not-permitted"
    directories = {os.path.dirname(name) for name in file.names} if replaced and user else ()
    effective = os.access in os.supports_effective_ids
    writable = all(os.access(directory, os.W_OK | os.X_OK, effective_ids=effective) for directory in directories)
    return "" if writable else "not-permitted"


def _is_loadable(file: StoredFile) -> bool:
    """Whether a file is an ELF file. What cannot be read is taken for one."""
    try:
        fd = open_quietly(file.names[0])
    except OSError:
        return True
    try:
        return os.read(fd, len(MAGIC)) == MAGIC
    except OSError:
        return True
    finally:
        os.close(fd)


class Loadings:
    """What processes of each environment load, simulated when the first pair of its files is asked about."""

    def __init__(self, copies: Iterable[Copies], environments: Iterable[Environment], owners: Owners) -> None:
        self._copies = copies
        self._environments = {one.path: one for one in environments}
        self._owners = owners
        self._loadings: dict[str, Callable[[str, str], Together]] = {}

    def together(self, environment: str, one: str, other: str) -> Together:
        """Return whether a process of an environment may load two of its files as two libraries."""
        ask = self._loadings.get(environment)
        if ask is None:
            ask = self._loadings[environment] = self._of(environment)
        return ask(one, other)

    def _of(self, environment: str) -> Callable[[str, str], Together]:
        held = self._environments.get(environment)
        if held is None:
            return lambda _one, _other: _NOWHERE
        if held.is_cache:
            answer = self._in_cache(environment)
            return lambda _one, _other: answer
        if environment == os.sep:
            return lambda _one, _other: _WHOLE_SYSTEM
        from runworthy.engine.dedupe.loading import Loading

        return Loading(held, self._names.get(environment, ()), root=root_around(environment)).together

    def _in_cache(self, cache: str) -> Together:
        """Answer for files of a cache, from which no process loads but by symbolic links of an environment."""
        for one in self._environments.values():
            link = None if one.is_cache else _link_into(one.path, cache)
            if link:
                return Together(answer="unknown", why=(f"`{link}` is a symbolic link into the cache",))
        return Together(answer="no", why=("no process loads from a cache",))

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """By environment, the names that it has of contents that it has as two files or more."""
        asked: dict[str, list[str]] = {}
        for one in self._copies:
            for environment, names in self._twice(one).items():
                asked.setdefault(environment, []).extend(names)
        return asked

    def _twice(self, copies: Copies) -> dict[str, list[str]]:
        held: dict[str, dict[int, list[str]]] = {}
        for number, file in enumerate(copies.files):
            for name in file.names:
                held.setdefault(self._owners.environment(name), {}).setdefault(number, []).append(name)
        return {
            environment: [name for names in files.values() for name in names]
            for environment, files in held.items()
            if len(files) > 1
        }


# To look through it is to read each disk of this machine, and the kernel's own files.
_WHOLE_SYSTEM = Together(answer="unknown", why=("what this system itself loads is not looked through",))
_NOWHERE = Together(answer="unknown", why=("it is not known which environment they lie in",))


def _link_into(directory: str, cache: str) -> str:
    """Return a symbolic link below a directory whose text leads into a cache, empty where there is none.

    The text of one in a root is a path of that root, or of this machine where it was made from outside.
    """
    roots = {os.sep, root_around(directory)}
    pending = [directory]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        if any(text.startswith(f"{cache}/") for text in _leads(entry.path, roots)):
                            return entry.path
                    elif entry.is_dir(follow_symlinks=False) and entry.path != cache:
                        pending.append(entry.path)
        except OSError:
            continue
    return ""


def _leads(link: str, roots: Iterable[str]) -> Iterator[str]:
    """Yield to where a symbolic link leads by its text, in each of some roots."""
    text = os.readlink(link)
    if not os.path.isabs(text):
        yield os.path.normpath(os.path.join(os.path.dirname(link), text))
        return
    for root in roots:
        yield os.path.normpath(os.path.join(root, text.lstrip("/")))
