"""Remedies that have a root's loader find what is there: its directories, its cache, a link that lacks.

They change how other programs of the root find libraries too, so somebody has to allow them. Source: ldconfig(8),
glibc ``elf/ldconfig.c`` (search_dir, create_links), ``elf/cache.c``; musl ``ldso/dynlink.c`` (load_library, sys_path).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from runworthy.formats.ld_so_cache import CacheEntry, format_ld_so_cache, read_ld_so_cache
from runworthy.model.arch import Architecture
from runworthy.model.edit import Edit, EditText, LinkFile, RunCommand, WriteFile
from runworthy.model.errors import FormatError
from runworthy.model.libc import Libc
from runworthy.model.trace import Answer, Kind, Step, Stretch
from runworthy.remedies.libraries import (
    Candidate,
    candidates,
    is_missing,
    is_writable_in_a_path,
    libc_under,
    searched,
    shown,
    stretch_of,
)
from runworthy.remedies.patching import loaders_of
from runworthy.remedies.situation import Proposal, Situation
from runworthy.simulate.glibc.configuration import (
    CONFIGURATION,
    cache_by_configuration,
    cache_of,
    configured_directories,
    libraries_in,
    merged,
)
from runworthy.simulate.glibc.search import CACHE_FLAGS, CACHE_PATH
from runworthy.targets.edits import edited
from runworthy.targets.libc import default_directories
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, Resolved, UnseenError

__all__ = ["PLANNERS", "proposals", "reread"]

Planner = Callable[[Situation, Step], Iterator[Proposal]]

_LDCONFIG = ("/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig")
_FOLDER = "/etc/ld.so.conf.d"
_INCLUDE = b"include /etc/ld.so.conf.d/*.conf\n"
_MUSL_DEFAULT = ("/lib", "/usr/local/lib", "/usr/lib")
_CACHE_LIMIT, _TEXT_LIMIT = 64 << 20, 1 << 20
_FOR_ALL = "other programs of the target find libraries there too"
_LINKED_FOR_ALL = "other programs of the target find it by that name too"
_LOADER_FOR_ALL = "other programs that name this loader are started by it too"


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the changes of the root's own configuration that help."""
    for planner in PLANNERS.get(cause.need.kind, ()):
        yield from planner(situation, cause)


# -- the loader ----------------------------------------------------------------------------------


def _linked_loader(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield a link where a program looks for its loader, to the loader that the root has."""
    name = cause.need.name
    if cause.answer is Answer.MET or not name.startswith("/") or name.startswith(f"{SUBJECT_ROOT}/"):
        return
    try:
        taken = situation.target.view.lstat(name)
    except OSError:
        taken = None
    for loader in loaders_of(situation, cause)[:1] if taken is None else ():
        yield Proposal(
            title=f"link {name} to the loader that is there, {loader}",
            edits=(LinkFile(path=name, text=loader),),
            approach="configure",
            unsafe=_LOADER_FOR_ALL,
            stays=True,
        )


# -- libraries -----------------------------------------------------------------------------------


def _found(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what has the loader find a library that lies in the root."""
    stretch = stretch_of(situation, cause)
    libc = libc_under(situation, stretch) if stretch is not None else None
    if not is_missing(cause) or "/" in cause.need.name or stretch is None or libc is None:
        return
    held = [one for one in candidates(situation, cause) if one.how != "other"]
    for one in held:
        if one.path.startswith(f"{SUBJECT_ROOT}/"):
            continue
        if one.how == "unlinked" and one.directory in searched(cause):
            yield from _linked(situation, one, cause)
        if libc.family == "glibc":
            yield from _by_ldconfig(situation, one, cause, libc)
        elif libc.family == "musl" and is_writable_in_a_path(one.directory):
            yield from _by_path_file(situation, one, cause, stretch)
    for one in held[:1]:
        directory = shown(one.directory)
        if one.how == "named":
            yield Proposal(
                title=f"start it with LD_LIBRARY_PATH={directory}",
                recipe=(f"LD_LIBRARY_PATH={directory} {situation.name}",),
                unprovable="it is for whoever starts the program to set",
                approach="configure",
            )


def _linked(situation: Situation, one: Candidate, cause: Step) -> Iterator[Proposal]:
    """Yield a link by the library's name, where nothing has that name, or a link that leads nowhere."""
    path, view = f"{one.directory}/{cause.need.name}", situation.target.view
    try:
        astray = view.lstat(path).entry.kind == "link" and isinstance(view.find(path), int)
    except OSError:
        astray = True
    if astray:
        yield Proposal(
            title=f"link {path} to {one.name}, which is that library",
            edits=(LinkFile(path=path, text=one.name),),
            approach="configure",
            unsafe=_LINKED_FOR_ALL,
            stays=True,
        )


# -- glibc ---------------------------------------------------------------------------------------


def _by_ldconfig(situation: Situation, one: Candidate, cause: Step, libc: Libc) -> Iterator[Proposal]:
    """Yield what makes ldconfig list a library: its directory is written down, where it is not, and ldconfig runs."""
    target = situation.target
    command = next((path for path in _LDCONFIG if isinstance(target.view.find(path), Resolved)), None)
    if command is None:
        return
    system = target.system_directories or default_directories(target.view, libc.loader, target.arch)
    known = {target.view.real_directory(path) for path in (*configured_directories(target.view), *system)}
    name = cause.need.name
    named: tuple[Edit, ...] = ()
    if one.directory in known:
        title = f"run ldconfig, so that the loader finds {name} in {one.directory}"
    elif is_writable_in_a_path(one.directory):
        title = f"have the loader look into {one.directory}, where {name} lies: name it in {_FOLDER} and run ldconfig"
        named = tuple(_named(target.view, one.directory))
    else:
        return
    *links, cache = reread(edited(target, named), system, fresh=one.directory if named else None)
    # What is done first is taken back last: then the directory is no longer named, and the links are gone.
    back = (_run(command, "read the libraries anew when this is taken back"),) if named or links else ()
    run = _run(command, "read the libraries of all its directories anew", cache)
    edits = (*back, *named, *links, run)
    yield Proposal(title=title, edits=edits, approach="configure", unsafe=_FOR_ALL, stays=True)


def _run(command: str, changes: str, *effects: Edit) -> RunCommand:
    """Return a run of ldconfig that makes no links (-X): they are edits of their own, which undo takes away."""
    argv = (command, "-X")
    return RunCommand(argv=argv, changes=changes, undo=argv, effects=effects)


def _named(view: FileView, directory: str) -> Iterator[Edit]:
    """Yield what writes a directory down for ldconfig. Raises FormatError, OSError."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", directory).strip("-")
    yield WriteFile(path=f"{_FOLDER}/runworthy-{name}.conf", content=f"{directory}\n".encode())
    if isinstance(view.find(CONFIGURATION), int):
        yield WriteFile(path=CONFIGURATION, content=_INCLUDE)
        return
    text = view.read(CONFIGURATION, _TEXT_LIMIT)
    if not re.search(rb"^\s*include\s+(?:\S+\s+)*(?:/etc/)?ld\.so\.conf\.d/\*\.conf(?:\s|$)", text, re.MULTILINE):
        after = text + (b"" if not text or text.endswith(b"\n") else b"\n") + _INCLUDE
        yield EditText(path=CONFIGURATION, before=text, after=after, what=f"{_FOLDER} counts")


def reread(target: Target, system: Sequence[str], *, fresh: str | None = None) -> tuple[Edit, ...]:
    """Return what ldconfig does to a root: the links that lack, and a new cache.

    ``fresh`` is the only directory in which something is new, None where all of them are to be read. Raises
    FormatError, OSError.
    """
    view, arch = target.view, target.arch
    order = tuple(dict.fromkeys((*configured_directories(view), *system)))
    links = tuple(_links(view, (fresh,) if fresh is not None else order, arch))
    linked = edited(target, links).view
    flags = CACHE_FLAGS.get(arch.name, 3)
    written = _written(view)
    if fresh is not None and written is not None:
        cache = merged(written, cache_of(linked, (fresh,), flags, arch), order)
    else:
        cache = cache_by_configuration(linked, tuple(system), flags, arch)
        for name, entries in (written or {}).items():  # those of other machines stay as they are
            others = tuple(one for one in entries if one.flags != flags)
            if others:
                cache[name] = (*cache.get(name, ()), *others)
    rows = [entry for name in cache for entry in cache[name]]
    content = format_ld_so_cache(rows, "<" if arch.endian == "little" else ">")
    return (*links, WriteFile(path=CACHE_PATH, content=content))


def _written(view: FileView) -> dict[str, tuple[CacheEntry, ...]] | None:
    """Return the cache as it is, None where there is none that can be read."""
    try:
        return read_ld_so_cache(view.read(CACHE_PATH, _CACHE_LIMIT))
    except (FormatError, OSError, UnseenError):
        return None


def _links(view: FileView, directories: Sequence[str], arch: Architecture) -> Iterator[LinkFile]:
    """Yield the links that ldconfig makes in directories: from each DT_SONAME to the newest file that has it."""
    seen: set[str] = set()
    for directory in directories:
        real = view.real_directory(directory)
        if real is None or real in seen:
            continue
        seen.add(real)
        newest: dict[str, str] = {}
        for name, soname in libraries_in(view, real, arch):
            entry = view.entry(real, name)
            if entry is not None and entry.kind == "file" and "/" not in soname:
                newest[soname] = max(newest.get(soname, name), name, key=_release)
        for soname, name in newest.items():
            held = view.entry(real, soname)
            there = held is not None and (held.kind != "link" or _same(view, f"{real}/{soname}", f"{real}/{name}"))
            if soname != name and not there:
                yield LinkFile(path=f"{real}/{soname}", text=name)


def _same(view: FileView, one: str, other: str) -> bool:
    found, wanted = view.find(one), view.find(other)
    return isinstance(found, Resolved) and isinstance(wanted, Resolved) and found.path == wanted.path


def _release(name: str) -> list[tuple[int, int | str]]:
    """Return what names of libraries are ordered by: numbers as numbers, and above letters (_dl_cache_libcmp)."""
    return [(1, int(part)) if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D", name)]


# -- musl ----------------------------------------------------------------------------------------


def _by_path_file(situation: Situation, one: Candidate, cause: Step, stretch: Stretch) -> Iterator[Proposal]:
    """Yield what writes a directory into musl's path file, after all those that it searches already."""
    view = situation.target.view
    path = _path_file(situation, stretch)
    if path is None or one.how != "named":
        return
    title = f"have the loader look into {one.directory}, where {cause.need.name} lies: name it in {path}"
    edit: Edit
    if isinstance(view.find(path), int):
        lines = "".join(f"{directory}\n" for directory in (*_MUSL_DEFAULT, one.directory))
        edit = WriteFile(path=path, content=lines.encode())
    else:
        text = view.read(path, _TEXT_LIMIT)
        if b"\0" in text:  # the loader reads no further
            return
        after = text + (b"" if not text or text.endswith((b"\n", b":")) else b"\n") + one.directory.encode() + b"\n"
        edit = EditText(path=path, before=text, after=after, what=f"{one.directory} is searched too")
    yield Proposal(title=title, edits=(edit,), approach="configure", unsafe=_FOR_ALL, stays=True)


def _path_file(situation: Situation, stretch: Stretch) -> str | None:
    """Return where the loader of a stretch has its path file: beside its directory, by the name it is called by."""
    named = stretch.loader
    try:
        arch = situation.target.view.elf(stretch.object).facts.architecture
    except (FormatError, OSError, UnseenError):
        return None
    if arch is None or not named.startswith("/"):
        return None
    prefix = posixpath.dirname(posixpath.dirname(named)).rstrip("/")
    name = posixpath.basename(arch.musl_loader).removeprefix("ld-musl-").removesuffix(".so.1")
    return f"{prefix}/etc/ld-musl-{name}.path"


PLANNERS: Mapping[Kind, tuple[Planner, ...]] = {
    "interpreter": (_linked_loader,),
    "library": (_found,),
}
