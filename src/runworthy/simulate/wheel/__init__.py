"""A wheel against its own promise: what its platform tags say, and what its files ask for.

A stretch for each platform tag; the tag stands for every system that it promises to work on (PEP 513, PEP 600,
PEP 656). Its steps are needs of the kind ``tag``: ``name`` is the tag, ``by`` the member, ``version`` what is asked and
``file`` of which library; ``detail`` begins with one of :data:`ASPECTS`. Before them come the wheel's own records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple

from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.program import FileFacts
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Event, Evidence, Need, Probe, Step, Stretch, Trace
from runworthy.model.wheel import WheelFacts
from runworthy.simulate.made_for import made_for
from runworthy.simulate.wheel.demands import Bundle, Demand, carried_by, dotted, glibc_demands, musl_demands
from runworthy.simulate.wheel.installing import accepts, choose
from runworthy.simulate.wheel.records import metadata_steps, record_steps
from runworthy.simulate.wheel.tags import PlatformTag, platform_tag, platform_tags
from runworthy.targets.promises import Promises

__all__ = ["ASPECTS", "Deserved", "accepts", "choose", "deserved", "promise"]

ASPECTS: Final = frozenset((
    "version",  # a version node that the promised releases do not have
    "symbol",  # a name without a version that the promised C library does not export
    "relr",  # packed relative relocations, which the promised loaders do not know
    "minimum",  # a release of macOS that is newer than the tag's
    "libc",  # made for the other C library
    "machine",  # made for another architecture
    "system",  # made for another system
    "pure",  # an extension module in a wheel for every platform, or for purelib
    "library",  # a library that is neither carried nor left to the system
    "isa",  # a CPU above the architecture's baseline
    "exec-stack",
    "page-size",
    "text-relocations",
    "offer",  # the installer does not take it
    "unknown",  # a system of which nothing is known here
))  # fmt: skip
"""The first word of a step's detail, up to its colon: what of a tag the step is about."""

_EXTENSION: Final = re.compile(r"(?:.*/)?[^/]+\.(?:cpython-|abi3|pypy|graalpy)[^/]*\.so|.*\.pyd", re.ASCII)
_ET_EXEC, _ET_DYN = 2, 3


class Deserved(NamedTuple):
    """The lowest tag for which all holds. ``reasons`` are the demands that allow none lower, or none at all."""

    tag: str
    reasons: tuple[Demand, ...]


def promise(
    facts: WheelFacts,
    files: Mapping[str, ElfFile],
    promises: Callable[[str], Promises],
    *,
    others: Mapping[str, FileFacts] | None = None,
    digests: Mapping[str, str] | None = None,
) -> Trace:
    """Return what becomes of a wheel's promise: its records first, then each of its platform tags.

    ``files`` are its ELF files by member, ``others`` its PE and Mach-O files. ``promises`` gives what tags promise on
    an architecture by its name. ``digests`` are the hashes that somebody has computed, as RECORD writes them.
    """
    others = others or {}
    own = (*metadata_steps(facts), *record_steps(facts, digests or {}))
    stretches = [Stretch(object=facts.file, machine="", loader="", root="", steps=own)]
    native = _native(files)
    for tag in platform_tags(facts.name):
        steps: tuple[Step | Event, ...]
        if tag.family in ("macosx", "win"):
            steps = (*_contents(facts, tag, native, others), *_foreign(facts, tag, others))
        elif tag.family in ("manylinux", "musllinux", "linux"):
            steps = (*_contents(facts, tag, native, others), *_linux(facts, tag, native, promises))
        else:
            steps = tuple(_contents(facts, tag, native, others))
        machine = tag.archs[0] if tag.archs else ""
        libc = f"{tag.libc} {dotted(tag.release)}" if tag.libc else ""
        stretches.append(Stretch(object=facts.file, machine=machine, loader="", root=tag.text, libc=libc, steps=steps))
    return Trace(stretches=tuple(stretches))


def deserved(
    facts: WheelFacts, files: Mapping[str, ElfFile], promises: Callable[[str], Promises]
) -> tuple[Deserved, ...]:
    """Return the lowest platform tag for which everything holds, one for each architecture and C library of the files.

    Files that ask for no C library work with both, and get a tag for each. ``linux_ARCH`` where no tag promises all
    that is asked; none where no file is native.
    """
    groups: dict[tuple[str, str], dict[str, ElfFile]] = {}
    for path, elf in _native(files).items():
        arch = elf.facts.architecture
        if arch is not None:
            groups.setdefault((arch.name, made_for(elf.facts)), {})[path] = elf
    found = []
    for arch_name in sorted({name for name, _ in groups}):
        neutral = groups.get((arch_name, ""), {})
        libcs = [libc for libc in ("glibc", "musl") if (arch_name, libc) in groups] or ["glibc", "musl"]
        held = ({**groups.get((arch_name, libc), {}), **neutral} for libc in libcs)
        found += [_deserved(facts, libc, files, promises(arch_name)) for libc, files in zip(libcs, held, strict=True)]
    return tuple(found)


def _native(files: Mapping[str, ElfFile]) -> dict[str, ElfFile]:
    """Return the files that are loaded: programs and shared objects."""
    return {path: elf for path, elf in files.items() if elf.facts.header.type in (_ET_EXEC, _ET_DYN)}


def _deserved(facts: WheelFacts, libc: str, files: Mapping[str, ElfFile], promises: Promises) -> Deserved:
    machine = promises.arch.pypi
    bundle = Bundle(files, carried_by(files), bool(facts.requires))
    if libc == "musl":
        for release in ((1, 1), (1, 2)):
            demands = tuple(musl_demands(bundle, promises, release))
            if all(demand.since is not None or not demand.fatal for demand in demands):
                return Deserved(f"musllinux_{release[0]}_{release[1]}_{machine}", ())
        return Deserved(f"linux_{machine}", tuple(one for one in demands if one.fatal and one.since is None))
    demands = tuple(demand for demand in glibc_demands(bundle, promises) if demand.fatal and not demand.elsewhere)
    never = tuple(demand for demand in demands if demand.since is None)
    if never:
        return Deserved(f"linux_{machine}", never)
    newest = max((demand.since for demand in demands if demand.since), default=promises.lowest)
    release = promises.customary(newest)
    reasons = tuple(demand for demand in demands if demand.since and promises.customary(demand.since) == release)
    return Deserved(f"manylinux_{release[0]}_{release[1]}_{machine}", reasons)


# -- what is in it ---------------------------------------------------------------------------


def _contents(
    facts: WheelFacts, tag: PlatformTag, files: Mapping[str, ElfFile], others: Mapping[str, FileFacts]
) -> Iterator[Step | Event]:
    """Yield what is in a wheel and does not belong there, by system and architecture."""
    found = [*((path, *_kind_of_elf(elf.facts)) for path, elf in files.items())]
    found += [(path, *_kind_of(other)) for path, other in others.items()]
    pure = tag.family == "any" or facts.purelib is True
    extensions = [row for row in found if _EXTENSION.fullmatch(row[0])]
    if pure:
        why = "its tag is for every platform" if tag.family == "any" else "Root-Is-Purelib is true"
        for path, _, _ in extensions:
            yield _tag_step(tag, path, "pure", why, fatal=tag.family == "any")
        if found and not extensions:
            yield Event(stage="environment", kind="native-in-pure", text=f"{tag.text} {len(found)}", by=found[0][0])
        if tag.family == "any":
            return
    if not found:
        yield Event(stage="environment", kind="tag-without-code", text=tag.text, by=facts.file)
    system = {"macosx": "macos", "win": "windows"}.get(tag.family, "linux")
    if tag.family == "other":
        yield _tag_step(tag, facts.file, "unknown", "nothing is known of it", answer=Answer.UNKNOWN)
        return
    fits = any(where == system and _has(archs, tag) for _, where, archs in found)
    for path, where, archs in found:
        meant = not fits or (path, where, archs) in extensions
        if where != system and meant:
            yield _tag_step(tag, path, "system", where)
        elif where == system and not _has(archs, tag) and meant:
            yield _tag_step(tag, path, "machine", " and ".join(archs))


def _has(archs: tuple[str, ...], tag: PlatformTag) -> bool:
    return not tag.archs or set(tag.archs) <= set(archs)


def _kind_of_elf(facts: ElfFacts) -> tuple[str, tuple[str, ...]]:
    arch = facts.architecture
    return "linux", (arch.name if arch else f"machine {facts.header.machine}",)


def _kind_of(facts: FileFacts) -> tuple[str, tuple[str, ...]]:
    if facts.pe is not None:
        return "windows", (facts.pe.arch or f"machine {facts.pe.machine:#x}",)
    return "macos", tuple(part.arch for part in facts.machos)


def _foreign(facts: WheelFacts, tag: PlatformTag, others: Mapping[str, FileFacts]) -> Iterator[Step]:
    """Compare what files for macOS state of their least system; say what cannot be known of other systems."""
    for path, other in others.items():
        for part in other.machos if tag.family == "macosx" else ():
            least = _numbers(part.minimum)
            promised = max(tag.release, (11, 0)) if part.arch == "arm64" else tag.release
            if part.arch in tag.archs and least > promised:
                yield _tag_step(tag, path, "minimum", f"macOS {part.minimum}")
    words = "macOS" if tag.family == "macosx" else "Windows"
    yield _tag_step(
        tag, facts.file, "unknown", f"libraries of {words} and what they export are not known", answer=Answer.UNKNOWN
    )


def _numbers(text: str) -> tuple[int, int]:
    parts = [int(part) for part in text.split(".") if part.isdecimal()]
    major, minor, *_ = (*parts, 0, 0)
    return (11, 0) if (major, minor) == (10, 16) else (major, minor)


# -- Linux -----------------------------------------------------------------------------------


def _linux(
    facts: WheelFacts, tag: PlatformTag, files: Mapping[str, ElfFile], promises: Callable[[str], Promises]
) -> Iterator[Step | Event]:
    """Yield each demand once that is met, and all that are not."""
    held = {path: elf for path, elf in files.items() if _is_of(elf.facts, tag)}
    if not held or tag.family == "linux" or tag.arch is None:
        if tag.family == "linux" and held and tag.arch is not None:
            yield from _needless(facts, tag, held, promises)
        return
    for path, elf in held.items():
        other = made_for(elf.facts)
        if other and other != tag.libc:
            yield _tag_step(tag, path, "libc", other, file=_libc_name(elf.facts, other))
    own = {path: elf for path, elf in held.items() if made_for(elf.facts) in ("", tag.libc)}
    knowledge = promises(tag.arch.name)
    bundle = Bundle(own, carried_by(held), bool(facts.requires))
    demands = (
        musl_demands(bundle, knowledge, tag.release)
        if tag.family == "musllinux"
        else glibc_demands(bundle, knowledge, tag.release)
    )
    seen: set[tuple[str, str]] = set()
    broken = len(own) < len(held)
    for demand in demands:
        met = demand.since is not None and demand.since <= tag.release
        if not met:
            broken = True
            yield from _unmet(tag, demand, knowledge)
        elif (demand.name, demand.library) not in seen:
            seen.add((demand.name, demand.library))
            yield _step_of(tag, demand, Answer.MET)
    if not broken and tag.family == "manylinux":
        yield from _needless(facts, tag, held, promises)


def _needless(
    facts: WheelFacts, tag: PlatformTag, files: Mapping[str, ElfFile], promises: Callable[[str], Promises]
) -> Iterator[Event]:
    """Tell of a tag that is higher than its files need, where the name has no lower one beside it."""
    wanted = f"{tag.family}_" if tag.libc else ("manylinux_", "musllinux_")
    better = [one for one in deserved(facts, files, promises) if one.tag.startswith(wanted)]
    if not better:
        return
    best = platform_tag(better[0].tag)
    beside = [one.release for one in platform_tags(facts.name) if one.family == best.family]
    if tag.family == "linux" or best.release < min(beside, default=tag.release):
        newest = max(better[0].reasons, key=lambda demand: demand.since or (0, 0), default=None)
        reason = f" {newest.name}" if newest else ""
        yield Event(
            stage="environment",
            kind="needless-tag",
            text=f"{tag.text} {best.name}{reason}",
            by=newest.member if newest else facts.file,
        )


def _unmet(tag: PlatformTag, demand: Demand, promises: Promises) -> Iterator[Step]:
    """Yield the demand with the tags that were looked at, and the symbols that are not there for it."""
    step = _step_of(tag, demand, Answer.UNKNOWN if demand.elsewhere else Answer.UNMET)
    yield replace(step, searched=tuple(_probes(tag, demand, promises)))
    for name in demand.symbols() if demand.symbols else ():
        need = Need(kind="symbol", name=name, by=demand.member, version=demand.name, file=demand.library)
        yield Step(stage="environment", need=need, answer=Answer.UNMET, because=step.key)


def _probes(tag: PlatformTag, demand: Demand, promises: Promises) -> Iterator[Probe]:
    yield Probe(path=tag.text, origin="the wheel's name", outcome="does not promise it")
    if demand.since is not None and tag.family == "manylinux":
        major, minor = promises.customary(demand.since)
        name = f"manylinux_{major}_{minor}_{tag.machine}"
        yield Probe(path=name, origin="lowest in use that does", outcome="promises it")


def _step_of(tag: PlatformTag, demand: Demand, answer: Answer) -> Step:
    versioned = demand.aspect in ("version", "symbol", "relr")
    need = Need(
        kind="tag",
        name=tag.text,
        by=demand.member,
        version=demand.name,
        file=demand.library or (None if versioned else demand.name),
        evidence=Evidence(file=demand.member, section=demand.section),
    )
    words = demand.words or (f"glibc {dotted(demand.since)}" if versioned and demand.since else "")
    return Step(
        stage="environment",
        need=need,
        answer=answer,
        why="outside-core" if answer is Answer.UNKNOWN else None,
        fatal=demand.fatal,
        detail=f"{demand.aspect}: {words}".rstrip(),
    )


def _is_of(facts: ElfFacts, tag: PlatformTag) -> bool:
    return facts.architecture is not None and facts.architecture.name in tag.archs


def _libc_name(facts: ElfFacts, libc: str) -> str:
    """Return the file by which a C library is asked for."""
    starts = ("libc.so", "libc.musl-", "ld-musl-") if libc == "musl" else ("libc.so.6", "ld-linux", "ld64.so.")
    files = (need.file for need in facts.version_needs if need.version.startswith("GLIBC_"))
    asked = chain(facts.needed, [facts.interpreter or ""], files)
    return next((name for name in asked if name.rpartition("/")[2].startswith(starts)), libc)


def _tag_step(
    tag: PlatformTag,
    member: str,
    aspect: str,
    words: str,
    *,
    answer: Answer = Answer.UNMET,
    fatal: bool = True,
    file: str | None = None,
) -> Step:
    asked = words if answer is Answer.UNMET else None
    need = Need(kind="tag", name=tag.text, by=member, version=asked, file=file, evidence=Evidence(file=member))
    return Step(
        stage="environment",
        need=need,
        answer=answer,
        why="not-modelled" if answer is Answer.UNKNOWN else None,
        fatal=fatal,
        detail=f"{aspect}: {words}",
    )
