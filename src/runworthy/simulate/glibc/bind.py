"""Symbol binding as glibc does it.

Source: glibc ``elf/dl-lookup.c`` (do_lookup_x, check_match) and ``elf/dl-reloc.c``. Whether a reference is
met is independent of the order of the scope; by whom it is met is worked out only when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from runworthy.model.elf import Exports, ImportGroup
from runworthy.model.errors import FormatError
from runworthy.model.trace import Answer, Evidence, Need, Probe, Step
from runworthy.simulate.binding import BindContext, Left, copied_steps, met_step, unreadable_step, unresolved_steps
from runworthy.simulate.glibc.version import RELR_NODE
from runworthy.simulate.linkmap import Loaded

__all__ = ["bind"]


def bind(context: BindContext, glibc: tuple[int, ...], *, trace: bool) -> Iterator[Step]:
    """Yield a step for each strong symbol that is not met (for those of the main object too, when ``trace``)."""
    link_map = context.link_map
    everything = link_map.objects
    common = [loaded for loaded in everything if not loaded.local]
    common_ids = frozenset(id(loaded.elf) for loaded in common)
    whole_ids = frozenset(id(loaded.elf) for loaded in everything)
    for loaded in everything:
        if not loaded.is_ldso:
            scope = everything if loaded.local else common
            try:
                yield from _bind_one(context, loaded, scope, whole_ids if loaded.local else common_ids, glibc)
            except FormatError as error:
                yield unreadable_step(loaded, error)
        yield from _foreign_relocations(loaded, glibc)
    if trace:
        yield from _met(link_map.main, everything)


def _bind_one(
    context: BindContext, loaded: Loaded, scope: Sequence[Loaded], ids: frozenset[int], glibc: tuple[int, ...]
) -> Iterator[Step]:
    if context.memo.holds(loaded.elf, ids):
        return
    missing: list[Left] = []
    used: set[int] = set()
    clean = True
    # A file seldom defines what it leaves undefined: its own symbols are read last, if at all.
    others = [*(other for other in scope if other is not loaded), loaded]
    for group in loaded.elf.imports():
        named = context.link_map.by_name.get(group.file) if group.file else None
        if named is not None and named.facts.version_defs == () and glibc < (2, 41):
            for step in _assertion(loaded, group, named, scope):
                clean = False
                yield step
        left = _left(group, others, named, used)
        if left:
            missing.append((group, left))
    uncopied = _uncopied(context, loaded, scope, used) if loaded.is_main and loaded.facts.is_program else []
    if missing or uncopied:
        yield from unresolved_steps(context, loaded, missing)
        yield from copied_steps(context, loaded, uncopied)
    elif clean:
        context.memo.prove(loaded.elf, frozenset(used))


def _uncopied(context: BindContext, main: Loaded, scope: Sequence[Loaded], used: set[int]) -> list[Left]:
    """Return variables of COPY relocations that only the program defines, which ELF_RTYPE_CLASS_COPY passes over."""
    others = [loaded for loaded in scope if loaded is not main]
    missing: list[Left] = []
    for group in main.elf.copies():
        named = context.link_map.by_name.get(group.file) if group.file else None
        left = _left(group, others, named, used)
        if left:
            missing.append((group, left))
    return missing


def _left(group: ImportGroup, scope: Sequence[Loaded], named: Loaded | None, used: set[int]) -> frozenset[bytes]:
    """Return the strong names that no object of the scope defines; ``used`` collects who helped."""
    left = group.strong
    ordered = scope if named is None else (named, *scope)
    for loaded in ordered:
        if not left:
            break
        exports = loaded.elf.exports()
        rest = left - _matching(exports, group.version)
        if group.version is not None and rest and exports.versioned:
            rest -= exports.base
        if len(rest) != len(left):
            used.add(id(loaded.elf))
            left = rest
    return left


def _matching(exports: Exports, version: str | None) -> frozenset[bytes]:
    if version is None:
        return exports.unversioned
    return exports.by_version.get(version, frozenset()) if exports.versioned else exports.names


def _assertion(loaded: Loaded, group: ImportGroup, named: Loaded, scope: Sequence[Loaded]) -> Iterator[Step]:
    """Yield the end of a process that finds a versioned symbol in the named library, which has no versions.

    check_match asserted until 2.40 that this cannot be; 2.41 takes the symbol.
    """
    if named.elf.exports().versioned:
        return
    found = named.elf.exports().names & group.strong
    for other in takewhile(lambda one: one is not named, scope):
        found -= _matching(other.elf.exports(), group.version)
    if found:
        need = Need(
            kind="symbol-version",
            name=group.file or "",
            version=group.version,
            file=group.file,
            by=loaded.path,
            evidence=Evidence(file=loaded.path, section=".gnu.version_r"),
        )
        yield Step(
            stage="version",
            need=need,
            answer=Answer.UNMET,
            searched=(Probe(path=named.path, origin="loaded", outcome="defines no versions at all"),),
            detail="Inconsistency detected by ld.so: dl-lookup.c: check_match: Assertion failed",
        )


def _foreign_relocations(loaded: Loaded, glibc: tuple[int, ...]) -> Iterator[Step]:
    """Yield packed relocations that this release does not apply (RELR since 2.36; Android's own never)."""
    facts = loaded.facts
    if (facts.relr and glibc < (2, 36)) or facts.android_relocations:
        name = "DT_ANDROID_REL" if facts.android_relocations else "DT_RELR"
        need = Need(
            kind="relocation", name=name, by=loaded.path, evidence=Evidence(file=loaded.path, section=".dynamic")
        )
        guarded = any(record.version == RELR_NODE for record in facts.version_needs)
        yield Step(
            stage="bind",
            need=need,
            answer=Answer.UNMET,
            # The version that guards old loaders has refused the object already.
            because="symbol-version:libc.so.6" if guarded else None,
            detail="left unapplied: the program crashes",
        )


def _met(main: Loaded, scope: Sequence[Loaded]) -> Iterator[Step]:
    """Yield who meets each symbol of the main object, in scope order."""
    for group in main.elf.imports():
        for name in sorted(group.strong | group.weak):
            for loaded in scope:
                exports = loaded.elf.exports()
                if name in _matching(exports, group.version) or (group.version and name in exports.base):
                    yield met_step(main, group, name, loaded)
                    break
