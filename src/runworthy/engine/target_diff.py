"""Two targets: what differs in what their loaders and kernels look at.

Read are the directories that each loader searches by itself, and what its cache names; of a library that both have,
the exported symbols, unless build id and size say that it is one file.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

from runworthy.engine.compare import lost_exports
from runworthy.model.arch import Architecture, architecture
from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.difference import SymbolChange
from runworthy.model.elf import ElfFile
from runworthy.model.errors import ArchitectureError, FormatError, TargetError
from runworthy.model.host import MachineFacts
from runworthy.model.libc import Libc
from runworthy.model.machine import format_kernel, isa_level, isa_name
from runworthy.model.records import dataclass
from runworthy.model.target_difference import Fact, LibraryDifference, LibrarySide, TargetDifference
from runworthy.simulate.launch import Launch
from runworthy.targets.libc import libc_of_root, musl_directories
from runworthy.targets.names import TargetName
from runworthy.targets.target import Target

__all__ = ["architecture_for", "compare_targets"]

_PRIVATE = "_PRIVATE"
_LIBC = "libc.so.6"
_UNKNOWN = "not known"
_UNSTATED = "not stated"
_ASSUMED = ", assumed"
_TOLD_ONLY = frozenset(("ld.so.cache", "known", "as of"))


@dataclass(frozen=True, slots=True)
class _Held:
    """A library by the name under which a loader finds it."""

    path: str
    elf: ElfFile


@dataclass(frozen=True, slots=True)
class _Side:
    """A target, opened: its C library, the directories that its loader searches by default, what it finds there."""

    target: Target
    libc: Libc | None
    directories: tuple[str, ...]
    configured: tuple[str, ...]
    libraries: Mapping[str, _Held]


def compare_targets(old: TargetName, new: TargetName) -> TargetDifference:
    """Return what differs from one target to another. Raises TargetError, UsageError."""
    before = _side(old.open(architecture_for(old)))
    try:
        after = _side(new.open(before.target.arch))
    except ArchitectureError:
        after = _side(new.open(architecture_for(new)))
    names = sorted({*before.libraries, *after.libraries})
    rows = [_library(name, before, after) for name in names]
    told = tuple(row for row in rows if row.differs or row.problem or not row.known)
    return TargetDifference(
        old=before.target.name,
        new=after.target.name,
        facts=tuple(_facts(before, after)),
        libraries=told,
        same=len(rows) - len(told),
        complete=old.text == new.text or all(side.target.view.authority is None for side in (before, after)),
    )


def architecture_for(name: TargetName) -> Architecture | None:
    """Return the architecture to open a target for where its name leaves it open: this machine's, else the first."""
    if name.wish.platform or not name.in_catalogue:
        return None
    from runworthy.targets.catalogue import open_catalogue

    here = architecture(platform.machine())
    try:
        there = open_catalogue().architectures(name.text)
    except TargetError:
        return here
    return here if here in there else there[0]


# -- one target ------------------------------------------------------------------------------


def _side(target: Target) -> _Side:
    libc = libc_of_root(target)
    if libc is None or libc.loader is None:
        return _Side(target, libc, (), (), {})
    if libc.family == "glibc":
        return _glibc(target, libc, libc.loader)
    if libc.family == "musl":
        directories = musl_directories(target.view, target.arch)
        return _Side(target, libc, directories, (), dict(_first_of_each(target, directories)))
    return _Side(target, libc, (), (), {})


def _glibc(target: Target, libc: Libc, loader: str) -> _Side:
    from runworthy.simulate.glibc.configuration import configured_directories
    from runworthy.simulate.glibc.search import Search, StopError
    from runworthy.simulate.linkmap import Loaded

    search = Search(target, libc, target.arch, Launch())
    real = target.view.resolve(loader).path
    elf = target.view.elf(real)
    asker = Loaded(real, elf, elf.facts, real, is_main=True)  # it has no search path of its own
    names = {*search.cached_names(), *_names_in(target, search.system)}
    found: dict[str, _Held] = {}
    for name in names:
        try:
            library = search.find(name, asker)
        except StopError:
            continue
        if library is not None:
            found[name] = _Held(_without_links(target, library.path), library.outcome.elf)
    configured = tuple(dict.fromkeys(configured_directories(target.view)))
    return _Side(target, libc, search.system, configured, dict(_by_soname(found)))


def _without_links(target: Target, path: str) -> str:
    """Return the path with the links of its directories followed, the last name as it is."""
    directory, _, name = path.rpartition("/")
    return f"{target.view.real_directory(directory) or directory}/{name}"


def _by_soname(found: Mapping[str, _Held]) -> Iterator[tuple[str, _Held]]:
    """Yield the libraries under their sonames; other names of the same file (links for compilers) are left out."""
    for name, held in found.items():
        soname = held.elf.facts.soname
        if soname is None or soname == name or soname not in found or found[soname].elf is not held.elf:
            yield name, held


def _names_in(target: Target, directories: tuple[str, ...]) -> Iterator[str]:
    for directory in directories:
        try:
            yield from (name for name in target.view.readdir(directory) if ".so" in name)
        except OSError:
            continue


def _first_of_each(target: Target, directories: tuple[str, ...]) -> Iterator[tuple[str, _Held]]:
    """Yield the libraries of directories in which the first file of a name counts (musl ldso/dynlink.c, path_open)."""
    found: dict[str, _Held] = {}
    for directory in directories:
        for name in _names_in(target, (directory,)):
            if name in found:
                continue
            try:
                resolved = target.view.resolve(f"{directory}/{name}")
                if resolved.entry.kind == "file":
                    path = _without_links(target, f"{directory}/{name}")
                    found[name] = _Held(path, target.view.elf(resolved.path))
            except (OSError, FormatError):
                continue
    return _by_soname(found)


# -- facts -----------------------------------------------------------------------------------


def _facts(old: _Side, new: _Side) -> Iterator[Fact]:
    before, after = dict(_rows(old)), dict(_rows(new))
    for name in before | after:
        values = before.get(name, _UNKNOWN), after.get(name, _UNKNOWN)
        known = not any(value and (value in (_UNKNOWN, _UNSTATED) or value.endswith(_ASSUMED)) for value in values)
        yield Fact(name=name, old=values[0], new=values[1], counts=known and name not in _TOLD_ONLY)


def _rows(side: _Side) -> Iterator[tuple[str, str | None]]:
    """Yield what is known of a target, in words."""
    target, machine = side.target, side.target.machine
    yield "libc", str(side.libc) if side.libc else None
    yield "loader", side.libc.loader if side.libc else None
    yield "architecture", target.arch.name
    if machine.level:
        yield "CPU", machine.cpu + ("" if machine.level_stated else _ASSUMED)
    yield "page size", f"{machine.page_size // 1024} KiB" + ("" if machine.page_size_stated else _ASSUMED)
    yield "kernel", format_kernel(machine.kernel) if machine.kernel else _UNSTATED
    yield "default directories", _listed(side.directories)
    if target.view.authority is None:
        yield "configured directories", _listed(side.configured)
        yield "ld.so.cache", _cache(side)
        yield "ld.so.preload", _text(target, "/etc/ld.so.preload")
    yield from _machine_rows(_machine_facts(target))
    if target.handlers.stated or target.handlers.basis:
        yield "handlers", _handlers(target.handlers)
    yield "known", "closed: every file" if target.view.authority is None else "core: libc, compiler runtime and zlib"
    yield "as of", target.as_of or None


def _handlers(handlers: Handlers) -> str | None:
    """Return the handlers in the order in which the kernel asks them, each as the line that registers it."""
    if handlers.unknown:
        return _UNKNOWN
    off = " (disabled)"
    lines = [f"{_registration(one)}{'' if handlers.enabled and one.enabled else off}" for one in handlers.entries]
    return " ".join(lines) or None


def _registration(handler: Handler) -> str:
    from runworthy.formats.binfmt.registration import RegistrationError, format_registration

    try:
        return format_registration(handler).decode("utf-8", "surrogateescape")
    except RegistrationError:  # the kernel holds what no line of today would register
        return f"{handler.name} ({handler.interpreter})"


def _listed(directories: tuple[str, ...]) -> str | None:
    return ":".join(directories) or None


def _cache(side: _Side) -> str | None:
    target = side.target
    if side.libc is None or side.libc.family != "glibc":
        return None
    if target.view.exists("/etc/ld.so.cache"):
        return "there"
    return "as ldconfig would write it" if target.cache_from_configuration else None


def _text(target: Target, path: str) -> str | None:
    try:
        return " ".join(target.view.read(path).decode("utf-8", "surrogateescape").split()) or None
    except (OSError, FormatError):
        return None


def _machine_facts(target: Target) -> MachineFacts | None:
    """Return what is known of a machine beyond what a check needs: of this one, and of one that was captured."""
    if target.live:
        from runworthy.targets.machine_facts import read_machine

        return read_machine()
    from runworthy.targets.snapshot.view import SnapshotView

    return target.view.meta.machine if isinstance(target.view, SnapshotView) else None


def _machine_rows(facts: MachineFacts | None) -> Iterator[tuple[str, str | None]]:
    if facts is None:
        return
    yield "binfmt_misc", facts.binfmt.status
    noexec = sorted({mount.point for mount in facts.mounts or () if "noexec" in mount.options})
    yield "mounted noexec", ", ".join(noexec) or None
    yield "GPUs", ", ".join(sorted(gpu.name or f"{gpu.vendor}:{gpu.device}" for gpu in facts.gpus)) or None
    yield "NVIDIA driver", facts.nvidia_driver or None


# -- libraries -------------------------------------------------------------------------------


def _library(name: str, old: _Side, new: _Side) -> LibraryDifference:
    before, after = old.libraries.get(name), new.libraries.get(name)
    if before is None or after is None:
        lacking = new if after is None else old
        return LibraryDifference(
            name=name,
            old=_side_of(before, counted=False) if before else None,
            new=_side_of(after, counted=False) if after else None,
            known=lacking.target.absent(name),
        )
    try:
        return _both(name, before, after, (old, new))
    except (FormatError, OSError) as error:
        held = [_side_of(side, counted=False) for side in (before, after)]
        return LibraryDifference(name=name, old=held[0], new=held[1], problem=str(error))


def _both(name: str, before: _Held, after: _Held, sides: tuple[_Side, _Side]) -> LibraryDifference:
    if _one_file(before.elf, after.elf):
        held = [_side_of(side, counted=False) for side in (before, after)]
        return LibraryDifference(name=name, old=held[0], new=held[1])
    nodes = [_nodes(held.elf) for held in (before, after)]
    exports = before.elf.exports(), after.elf.exports()
    removed = tuple(_known(lost_exports(*exports), sides[1]))
    moved = _moved(removed, sides[1]) if name != _LIBC else frozenset()
    return LibraryDifference(
        name=name,
        old=_side_of(before),
        new=_side_of(after),
        versions_removed=tuple(node for node in nodes[0] if node not in nodes[1]),
        versions_added=tuple(node for node in nodes[1] if node not in nodes[0]),
        removed=tuple(symbol for symbol in removed if symbol not in moved),
        moved=tuple(symbol for symbol in removed if symbol in moved),
        added=tuple(_known(lost_exports(*reversed(exports)), sides[0])),
    )


def _nodes(elf: ElfFile) -> list[str]:
    return [node.name for node in elf.facts.version_defs if not (node.base or node.name.endswith(_PRIVATE))]


def _moved(symbols: tuple[SymbolChange, ...], side: _Side) -> frozenset[SymbolChange]:
    """Return the symbols that the C library itself has, under the same version (glibc NEWS, 2.34)."""
    libc = side.libraries.get(_LIBC)
    if libc is None or not symbols:
        return frozenset()
    by_version = libc.elf.exports().by_version
    return frozenset(
        symbol
        for symbol in symbols
        if symbol.version and symbol.name.encode("utf-8", "surrogateescape") in by_version.get(symbol.version, ())
    )


def _known(symbols: tuple[SymbolChange, ...], lacking: _Side) -> Iterator[SymbolChange]:
    """Yield the symbols that are missing for certain, less those that only files of one C library may use."""
    for symbol in symbols:
        version = symbol.version or ""
        if not version.endswith(_PRIVATE) and version not in lacking.target.view.open_versions:
            yield symbol


def _one_file(old: ElfFile, new: ElfFile) -> bool:
    a, b = old.facts, new.facts
    return a.build_id is not None and (a.build_id, a.size, a.isa_needed) == (b.build_id, b.size, b.isa_needed)


def _side_of(held: _Held, *, counted: bool = True) -> LibrarySide:
    facts = held.elf.facts
    level = isa_level(facts.isa_needed)
    return LibrarySide(
        path=held.path,
        soname=facts.soname,
        symbols=_number_of_symbols(held.elf) if counted else None,
        isa=isa_name(level) if level > 1 else None,
    )


def _number_of_symbols(elf: ElfFile) -> int:
    """Return how many names are there for everybody."""
    exports = elf.exports()
    public = (names for version, names in exports.by_version.items() if not version.endswith(_PRIVATE))
    return len(exports.base.union(*public))
