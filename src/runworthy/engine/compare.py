"""What two ELF files tell differently, as far as a kernel, a loader or a user of the file looks at it.

Build ids, sizes, addresses and section names are none of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping

from runworthy.model.arch import machine_name
from runworthy.model.difference import Change, ChangeKind, Effect, SymbolChange
from runworthy.model.elf import DF_1_NODEFLIB, DF_1_NOOPEN, DF_STATIC_TLS, DF_SYMBOLIC, ElfFacts, ElfFile, Exports
from runworthy.model.machine import format_kernel, isa_level, isa_name
from runworthy.model.records import dataclass
from runworthy.rules.known import known_loader, libc_of_library

__all__ = ["HASH", "changes_between", "kind_of", "libc_of", "lost_exports"]

_PAGE_SIZES = (4096, 16384, 65536)

HASH = re.compile(r"-[0-9a-f]{8}(?=[.-]|$)")
"""What auditwheel and delocate write into the name of a library that they bundle."""


_AS_THEY_ARE: Mapping[str, str] = {}

Need = tuple[str | None, str | None]
"""A version record: the file that must define the version, and the version; (None, None) for plain symbols."""


def changes_between(old: ElfFile, new: ElfFile, renamed: Mapping[str, str] = _AS_THEY_ARE) -> tuple[Change, ...]:
    """Return what differs, what makes the new file harder to run first. Raises FormatError, OSError.

    ``renamed`` are libraries that come with both builds, by the old name the new one.
    """
    found = [
        *_scalars(old.facts, new.facts),
        *_libraries([renamed.get(name, name) for name in old.facts.needed], new.facts.needed),
        *_flags(old.facts, new.facts),
        *_isa(old, new),
        *_imports(_asked(old, renamed), _asked(new, _AS_THEY_ARE)),
        *_definitions(old.facts, new.facts),
        *_exports(old, new),
    ]
    order = {effect: rank for rank, effect in enumerate(_EFFECTS)}
    return tuple(sorted(found, key=lambda change: order[change.effect]))


_EFFECTS: tuple[Effect, ...] = ("needs-more", "offers-less", "differs", "needs-less", "offers-more")


# -- facts that have one value ---------------------------------------------------------------


def _scalars(old: ElfFacts, new: ElfFacts) -> Iterator[Change]:
    for kind, value, effect in _SCALARS:
        before, after = value(old), value(new)
        if before != after:
            yield Change(kind=kind, effect=effect(before, after), old=before, new=after)


def kind_of(facts: ElfFacts) -> str:
    """Return whether a file is a static or dynamic program or a library, in words."""
    if facts.is_static:
        return "static program"
    return "dynamic program" if facts.is_program else "library"


def libc_of(facts: ElfFacts) -> str | None:
    """Return the C library that a file is made for, None when nothing in it tells."""
    by_loader = known_loader(facts.interpreter).family if facts.interpreter else ""
    named = (libc_of_library(name) for name in facts.needed)
    return by_loader or next(filter(None, named), None)


def _architecture(facts: ElfFacts) -> str:
    return facts.architecture.name if facts.architecture else machine_name(facts.header.machine)


def _page_limit(facts: ElfFacts) -> str | None:
    """Return the largest usual page size with which the segments can be mapped (Linux fs/binfmt_elf.c, elf_map)."""
    if not facts.load_segments:
        return None
    fits = [
        size
        for size in _PAGE_SIZES
        if all((segment.vaddr - segment.offset) % size == 0 for segment in facts.load_segments)
    ]
    return f"up to {fits[-1] // 1024} KiB" if fits else "none"


def _stack(facts: ElfFacts) -> str:
    return {True: "executable", False: "not executable", None: "not stated"}[facts.exec_stack]


def _differs(old: str | None, new: str | None) -> Effect:
    del old, new
    return "differs"


def _asks(old: str | None, new: str | None) -> Effect:
    """Return the effect of something that a target must have, and that there may be more of or less of."""
    return "needs-less" if new is None else "needs-more" if old is None else "differs"


def _page_effect(old: str | None, new: str | None) -> Effect:
    ranks = {None: len(_PAGE_SIZES) + 1, "none": 0}
    ranks |= {f"up to {size // 1024} KiB": rank for rank, size in enumerate(_PAGE_SIZES, start=1)}
    return "needs-more" if ranks[new] < ranks[old] else "needs-less"


def _stack_effect(old: str | None, new: str | None) -> Effect:
    return "needs-more" if new == "executable" else "needs-less" if old == "executable" else "differs"


def _kernel_effect(old: str | None, new: str | None) -> Effect:
    def number(text: str | None) -> tuple[int, ...]:
        return tuple(map(int, text.split("."))) if text else ()

    return "needs-more" if number(new) > number(old) else "needs-less"


def _soname_effect(old: str | None, new: str | None) -> Effect:
    if old is None or (new is not None and HASH.sub("", old) == HASH.sub("", new)):  # a bundled library's own name
        return "offers-more" if old is None else "differs"
    return "offers-less"


_SCALARS: tuple[
    tuple[ChangeKind, Callable[[ElfFacts], str | None], Callable[[str | None, str | None], Effect]], ...
] = (
    ("architecture", _architecture, _differs),
    ("kind", kind_of, _differs),
    ("libc", libc_of, _differs),
    ("interpreter", lambda facts: facts.interpreter, _asks),
    ("soname", lambda facts: facts.soname, _soname_effect),
    ("rpath", lambda facts: facts.rpath, _differs),
    ("runpath", lambda facts: facts.runpath, _differs),
    ("kernel", lambda facts: format_kernel(facts.abi_kernel) if facts.abi_kernel else None, _kernel_effect),
    ("page-size", _page_limit, _page_effect),
    ("exec-stack", _stack, _stack_effect),
    ("relr", lambda facts: "packed" if facts.relr else None, _asks),
)


def _flags(old: ElfFacts, new: ElfFacts) -> Iterator[Change]:
    for name, is_set in _FLAGS:
        before, after = is_set(old), is_set(new)
        if before != after:
            yield Change(kind="flag", effect="differs", name=name, old=_set(before), new=_set(after))


def _set(value: bool) -> str | None:  # noqa: FBT001 - one value, and what it is
    return "set" if value else None


# What changes the answers of a loader: when symbols are bound, where they and libraries are looked for, what dlopen
# refuses.
_FLAGS: tuple[tuple[str, Callable[[ElfFacts], bool]], ...] = (
    ("BIND_NOW", lambda facts: facts.bind_now),
    ("TEXTREL", lambda facts: facts.textrel),
    ("STATIC_TLS", lambda facts: bool(facts.dt_flags & DF_STATIC_TLS)),
    ("SYMBOLIC", lambda facts: bool(facts.dt_flags & DF_SYMBOLIC)),
    ("NODEFLIB", lambda facts: bool(facts.dt_flags_1 & DF_1_NODEFLIB)),
    ("NOOPEN", lambda facts: bool(facts.dt_flags_1 & DF_1_NOOPEN)),
)


def _isa(old: ElfFile, new: ElfFile) -> Iterator[Change]:
    before, after = _level(old), _level(new)
    if before != after:
        effect: Effect = "needs-more" if after > before else "needs-less"
        yield Change(kind="isa", effect=effect, old=_isa_words(before), new=_isa_words(after))


def _level(elf: ElfFile) -> int:
    """Return the x86-64 level that a file requires: by its property note, or by what the Go runtime checks."""
    level = isa_level(elf.facts.isa_needed)
    go = elf.go() if elf.facts.is_program else None
    stated = go.settings.get("GOAMD64", "") if go else ""
    level = max(level, int(stated[1])) if stated in ("v2", "v3", "v4") else level
    return level if level > 1 else 0  # every machine of the architecture has the first


def _isa_words(level: int) -> str | None:
    return isa_name(level) if level else None


def _libraries(old: Collection[str], new: Collection[str]) -> Iterator[Change]:
    for name in new:
        if name not in old:
            yield Change(kind="library", effect="needs-more", name=name, new=name)
    for name in old:
        if name not in new:
            yield Change(kind="library", effect="needs-less", name=name, old=name)


# -- symbols that are needed -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a file imports: names by version record, and of each name the versions and whether it must be there."""

    by_need: Mapping[Need, frozenset[bytes]]
    versions: Mapping[bytes, tuple[str, ...]]
    strong: Mapping[bytes, bool]


def _asked(elf: ElfFile, renamed: Mapping[str, str]) -> _Asked:
    by_need: defaultdict[Need, set[bytes]] = defaultdict(set)
    versions: defaultdict[bytes, list[str]] = defaultdict(list)
    strong: dict[bytes, bool] = {}
    for group in (*elf.imports(), *elf.copies()):
        file = renamed.get(group.file, group.file) if group.file else None
        by_need[file, group.version] |= group.strong | group.weak
        for name in group.strong | group.weak:
            strong[name] = strong.get(name, False) or name in group.strong
            if group.version is not None:
                versions[name].append(group.version)
    for need in elf.facts.version_needs:  # a version may be required without a symbol, as GLIBC_ABI_DT_RELR is
        by_need[renamed.get(need.file, need.file), need.version] |= frozenset()
    return _Asked(
        {need: frozenset(names) for need, names in by_need.items()},
        {name: tuple(dict.fromkeys(held)) for name, held in versions.items()},
        strong,
    )


def _imports(before: _Asked, after: _Asked) -> Iterator[Change]:
    sides: tuple[tuple[_Asked, _Asked, Effect], ...] = ((before, after, "needs-more"), (after, before, "needs-less"))
    for base, other, effect in sides:
        yield from _versions(base, other, effect)
        symbols = tuple(
            SymbolChange(name=_text(name), version=next(iter(other.versions.get(name, ())), None), weak=not strong)
            for name, strong in sorted(other.strong.items())
            if name not in base.strong
        )
        if symbols:
            yield Change(kind="import", effect=effect, symbols=symbols)


def _versions(base: _Asked, other: _Asked, effect: Effect) -> Iterator[Change]:
    """Yield the version records that ``other`` has and ``base`` lacks, with the symbols that carry them."""
    more = effect == "needs-more"
    for (file, version), names in sorted(other.by_need.items(), key=_by_age):
        if version is None or (file, version) in base.by_need:
            continue
        symbols = tuple(
            SymbolChange(name=_text(name), version=version, was=_was(base, name), weak=not other.strong[name])
            for name in sorted(names)
        )
        old, new = (None, version) if more else (version, None)
        yield Change(kind="symbol-version", effect=effect, name=version, file=file, old=old, new=new, symbols=symbols)


def _by_age(row: tuple[Need, frozenset[bytes]]) -> tuple[str, str, list[int]]:
    """Order version records by file and series, the newest version first."""
    file, version = row[0]
    series, _, number = (version or "").rpartition("_")
    return file or "", series, [-int(part) for part in number.split(".") if part.isascii() and part.isdigit()]


def _was(base: _Asked, name: bytes) -> tuple[str, ...]:
    """Return the versions of a name in the other file: empty text for one without a version, nothing for no such."""
    return base.versions.get(name) or (("",) if name in base.strong else ())


# -- symbols that are offered ----------------------------------------------------------------


def _definitions(old: ElfFacts, new: ElfFacts) -> Iterator[Change]:
    before, after = ([node.name for node in facts.version_defs if not node.base] for facts in (old, new))
    sides: tuple[tuple[list[str], list[str], Effect], ...] = (
        (before, after, "offers-less"),
        (after, before, "offers-more"),
    )
    for names, others, effect in sides:
        nodes = tuple(SymbolChange(name=name) for name in names if name not in others)
        if nodes:
            yield Change(kind="version-definition", effect=effect, symbols=nodes)


def _exports(old: ElfFile, new: ElfFile) -> Iterator[Change]:
    copied = frozenset().union(*(group.strong | group.weak for elf in (old, new) for group in elf.copies()))
    removed = lost_exports(old.exports(), new.exports(), without=copied)
    added = lost_exports(new.exports(), old.exports(), without=copied)
    if removed:
        yield Change(kind="export", effect="offers-less", symbols=removed)
    if added:
        yield Change(kind="export", effect="offers-more", symbols=added)


def lost_exports(old: Exports, new: Exports, *, without: Collection[bytes] = ()) -> tuple[SymbolChange, ...]:
    """Return the definitions of ``old`` with which something can be linked and that ``new`` no longer answers for.

    A reference to ``name@VERSION`` is met by that version or by a definition without one, a plain reference by what
    glibc's ``elf/dl-lookup.c`` (check_match) takes without a version. ``without`` are names that a program defines
    for its libraries (COPY relocations).
    """
    lost = [
        (name, version)
        for version, names in old.by_version.items()
        for name in names - new.by_version.get(version, frozenset()) - new.base
        if name != version.encode()  # the node itself is a symbol too
    ]
    lost += [(name, "") for name in old.base - new.unversioned - new.base]
    return tuple(
        SymbolChange(name=_text(name), version=version or None) for name, version in sorted(lost) if name not in without
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
