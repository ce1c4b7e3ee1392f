"""What the native files of a wheel ask of the systems on which they are to work.

Sources: PEP 513 (libraries and their versions), PEP 600, PEP 656; glibc and musl as cited in :mod:`simulate.machine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypedDict

from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.machine import isa_level, isa_name
from runworthy.simulate.hosts import host_api
from runworthy.targets.promises import Promises, Release

__all__ = ["Bundle", "Demand", "carried_by", "dotted", "glibc_demands", "musl_demands"]

_RELR_GLIBC: Final = (2, 36)
_RELR_MUSL: Final = (1, 2, 4)
_LARGE_PAGE: Final = 65536
_STACK_BY_DEFAULT: Final = frozenset(("x86_64", "i386", "armv7", "ppc64", "ppc64le", "s390x"))
"""Ports on which a file without PT_GNU_STACK asks for an executable stack (glibc ``stackinfo.h``)."""


class Demand(NamedTuple):
    """What one file asks of the systems on which it is to work.

    ``since``: the lowest release of the C library from which it is promised, None where no release promises it.
    ``fatal``: it does not load there; else it loads, and may fail or be refused later. ``symbols`` are those with it.
    """

    member: str
    aspect: str
    name: str
    library: str = ""
    since: Release | None = None
    words: str = ""
    section: str = ""
    fatal: bool = True
    elsewhere: bool = False
    symbols: Callable[[], tuple[str, ...]] | None = None


class Bundle(NamedTuple):
    """The native files of a wheel that a tag is about."""

    files: Mapping[str, ElfFile]
    carried: frozenset[str]
    requires: bool


def carried_by(files: Mapping[str, ElfFile]) -> frozenset[str]:
    """Return the names by which the wheel's own files can be asked for."""
    names = {path.rpartition("/")[2] for path in files}
    return frozenset(names | {elf.facts.soname for elf in files.values() if elf.facts.soname})


def glibc_demands(bundle: Bundle, promises: Promises, release: Release | None = None) -> Iterator[Demand]:
    """Yield what the files ask of a glibc system; names without a version only where ``release`` is judged."""
    for path, elf in bundle.files.items():
        facts = elf.facts
        for need in facts.version_needs:
            lent = need.file not in bundle.carried and promises.lent_since(need.file)
            if lent and not need.weak and promises.knows(need.version):
                yield Demand(
                    path,
                    "version",
                    need.version,
                    need.file,
                    promises.release_with(need.version),
                    section=".gnu.version_r",
                    symbols=_symbols(elf, need.file, need.version),
                )
        if facts.relr and not any(need.version == "GLIBC_ABI_DT_RELR" for need in facts.version_needs):
            yield Demand(path, "relr", "DT_RELR", since=_RELR_GLIBC, section=".dynamic")
        for library in dict.fromkeys(facts.needed):
            if library.rpartition("/")[2] not in bundle.carried:
                yield _library(path, facts, library, promises.lent_since(library), requires=bundle.requires)
        yield from _machine(path, facts, promises, musl=False)
    if release is not None:
        names = promises.names(f"manylinux_{release[0]}_{release[1]}")
        yield from _unversioned(bundle, names, promises, release)


def musl_demands(bundle: Bundle, promises: Promises, release: Release) -> Iterator[Demand]:
    for path, elf in bundle.files.items():
        facts = elf.facts
        for library in dict.fromkeys(facts.needed):
            if library.rpartition("/")[2] not in bundle.carried:
                since = release if promises.musl_lends(library) else None
                yield _library(path, facts, library, since, requires=bundle.requires)
        if facts.relr:
            yield Demand(path, "relr", "DT_RELR", section=".dynamic", **_by_musl(_RELR_MUSL, release))
        yield from _machine(path, facts, promises, musl=True)
    names = promises.names(f"musllinux_{release[0]}_{release[1]}")
    yield from _unversioned(bundle, names, promises, release)


def _symbols(elf: ElfFile, file: str, version: str) -> Callable[[], tuple[str, ...]]:
    def names() -> tuple[str, ...]:
        groups = (group for group in elf.imports() if (group.file, group.version) == (file, version))
        return tuple(sorted(_text(name) for group in groups for name in group.strong | group.weak))

    return names


def _library(member: str, facts: ElfFacts, library: str, since: Release | None, *, requires: bool) -> Demand:
    """A library that is left to the system; one that may come with a distribution that is required is not known."""
    outside = [path for path in (facts.runpath or facts.rpath or "").split(":") if _leads_out(path, member)]
    words = f"through {outside[0]}" if outside and since is None else ""
    return Demand(
        member, "library", library, since=since, words=words, section=".dynamic", elsewhere=bool(words) and requires
    )


def _leads_out(path: str, member: str) -> bool:
    """Whether a search path goes to the directory of another project: ``$ORIGIN/../../nvidia/cudnn/lib``."""
    if not path.startswith(("$ORIGIN/", "${ORIGIN}/")):
        return False
    parts = member.split("/")[:-1]
    for part in path.split("/")[1:]:
        if part == ".." and not parts:
            return False
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return bool(parts) and parts[0] != member.partition("/")[0]


def _unversioned(
    bundle: Bundle, names: frozenset[bytes] | None, promises: Promises, release: Release
) -> Iterator[Demand]:
    """Yield names without a version that some C library exports, and the promised one does not.

    What nobody in the catalogue exports is the business of whoever loads the file.
    """
    if names is None:
        return
    missing: dict[str, frozenset[bytes]] = {}
    for path, elf in bundle.files.items():
        groups = (group.strong for group in elf.imports() if group.version is None)
        missing[path] = frozenset().union(*groups) - names
    wanted = {name for name in frozenset().union(*missing.values()) if _is_of_libc(name, promises)}
    if not wanted:
        return
    wanted.difference_update(*(elf.exports().names for elf in bundle.files.values()))
    for path, lost in missing.items():
        for name in sorted(lost & wanted):
            by = _by_musl(promises.musl_with(name), release) if release[0] == 1 else _First(words="", fatal=True)
            yield Demand(path, "symbol", _text(name), section=".dynsym", **by)


def _is_of_libc(name: bytes, promises: Promises) -> bool:
    """Whether a C library of the catalogue exports a name, and it is not what a known host brings."""
    if name.startswith((b"Py", b"_Py")):
        return False
    return bool(promises.providers(name)) and host_api(_text(name)) is None


class _First(TypedDict):
    words: str
    fatal: bool


def _by_musl(first: tuple[int, ...] | None, release: Release) -> _First:
    """Return which musl brought something. A later patch release of the one promised is no failure of the tag's.

    A tag cannot tell them apart (PEP 656), and everybody who builds with the newest image asks for one.
    """
    return _First(words=f"musl {dotted(first)}" if first else "no musl", fatal=not first or first[:2] > release)


def _machine(member: str, facts: ElfFacts, promises: Promises, *, musl: bool) -> Iterator[Demand]:
    """Yield what a file asks of the machine beyond what every one of its architecture gives."""
    level = isa_level(facts.isa_needed) if promises.arch.name == "x86_64" else 0
    if level > 1 and "/glibc-hwcaps/" not in f"/{member}":
        yield Demand(member, "isa", isa_name(level), section=".note.gnu.property")
    executable = facts.exec_stack
    if executable is None and not musl and promises.arch.name in _STACK_BY_DEFAULT:
        executable = len(facts.segments) > 1
    if executable:
        words = "no PT_GNU_STACK" if facts.exec_stack is None else ""
        yield Demand(
            member,
            "exec-stack",
            "executable stack",
            words=words,
            section="PT_GNU_STACK",
            fatal=not musl and not facts.is_program,
        )
    if _LARGE_PAGE in promises.arch.page_sizes:
        largest = _largest_page(facts)
        if largest < _LARGE_PAGE:
            yield Demand(
                member,
                "page-size",
                f"{largest // 1024} KiB",
                words="pages of 64 KiB",
                section="program headers",
                fatal=not musl,
            )
    if facts.textrel:
        yield Demand(member, "text-relocations", "text relocations", section=".dynamic", fatal=False)


def _largest_page(facts: ElfFacts) -> int:
    """Return the largest page (bytes, up to 64 KiB) with which the segments can be mapped.

    glibc wants p_align to be whole pages (``elf/dl-load.c`` _dl_map_object_from_fd, until 2.34), and everybody that a
    segment's place in the file and in memory are the same within a page.
    """
    page = _LARGE_PAGE
    for segment in facts.load_segments:
        while page > 1 and (segment.align % page or (segment.vaddr - segment.offset) % page):
            page //= 2
    return page


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def dotted(release: Iterable[int]) -> str:
    """Return ``(2, 17)`` as ``2.17``."""
    return ".".join(map(str, release))
