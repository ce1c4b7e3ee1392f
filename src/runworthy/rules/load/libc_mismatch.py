"""RW201: built for one C library, to run on a root with another."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.known import GLIBC_LIBRARIES, known_loader, libc_of_library
from runworthy.rules.words import (
    count,
    fails,
    finding,
    help_,
    listed,
    newest,
    oldest_targets,
    quoted,
    rows,
    unique,
    version_order,
)
from runworthy.simulate.made_for import ANDROID, is_for_android

CODE = "RW201"
NAME = "libc-mismatch"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("interpreter:unmet", "library:unmet", "symbol:unmet", "libc-stands-in")
ORDER = 10

_EVERYWHERE = "GLIBC_2.17"
_OTHER = {"musl": "glibc", "glibc": "musl"}
_RESERVED = tuple(f"lib{stem}." for stem in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))


@dataclass(frozen=True, slots=True)
class _Foreign:
    """What the other C library would have to bring: (library, symbol) pairs, and whole libraries."""

    steps: list[Step]
    libraries: list[str]
    symbols: list[tuple[str, str]]


def check(case: Case) -> Iterator[Match]:
    """Yield one finding on everything that only the other C library has."""
    has = case.libc.family if case.libc else ""
    if has not in _OTHER:
        return
    if case.facts is not None and is_for_android(case.facts):
        yield from _of_android(case)
        return
    made = _OTHER[has]
    steps = [step for step in case.steps("interpreter", "library", "symbol") if _only_of(case, step, made, has)]
    if steps:
        yield Match(finding=_finding(case, _foreign(case, steps, made, has), made, has), covers=tuple(steps))
    elif has == "musl" and case.events("libc-stands-in") and not fails(case):
        yield Match(finding=_stands_in(case))


def _of_android(case: Case) -> Iterator[Match]:
    """Yield one finding on all that only Android has: its C library is called as musl's is."""
    steps = [step for step in case.steps("library") if step.need.name in ANDROID and not step.detail]
    if not steps:
        return
    foreign = _Foreign(steps, unique(step.need.name for step in steps), [])
    who = case.needer(steps[0].need)
    made = finding(
        case,
        (CODE, NAME, SEVERITY),
        f"`{who}` is built for Android, {case.target} has {case.libc}: {_only(foreign)} only there",
        cause="built for Android",
        steps=steps,
        remedies=(help_("build it for Linux: Android's C library, bionic, is on no other system"),),
    )
    yield Match(finding=made, covers=tuple(steps))


def _only_of(case: Case, step: Step, made: str, has: str) -> bool:
    """Whether a step asks for something that the C library ``made`` has and ``has`` lacks."""
    need = step.need
    if need.kind == "interpreter":
        return known_loader(need.name).family == made and not step.detail.startswith("ELIBBAD")
    if need.kind == "library":
        return libc_of_library(need.name) == made and not step.detail
    of_glibc = _is_glibc(need.file, need.version)
    if step.detail or need.name == "*" or (need.file is not None and not (made == "glibc" and of_glibc)):
        return False
    providers = case.catalogue.providers(need.name.encode(), case.machine)
    in_made = any(provider.startswith(made) for provider in providers)
    in_has = any(provider.startswith(has) for provider in providers)
    return not in_has and (in_made or of_glibc)


def _is_glibc(file: str | None, version: str | None) -> bool:
    return file in GLIBC_LIBRARIES or bool(version and version.startswith("GLIBC_"))


def _foreign(case: Case, steps: list[Step], made: str, has: str) -> _Foreign:
    """Return what is foreign: by the steps, or by the file itself where the kernel has ended the run before."""
    libraries = unique(step.need.name for step in steps if step.need.kind == "library")
    symbols = [(step.need.file or "", step.need.name) for step in steps if step.need.kind == "symbol"]
    if steps[0].need.kind == "interpreter" and case.facts is not None:
        libraries = [name for name in case.facts.needed if _is_missing_from(has, made, name)]
        symbols = list(_imported(case, made, has))
    return _Foreign(steps, libraries, symbols)


def _is_missing_from(has: str, made: str, name: str) -> bool:
    if libc_of_library(name) != made:
        return False
    return has == "glibc" or not name.startswith(_RESERVED)


def _imported(case: Case, made: str, has: str) -> Iterator[tuple[str, str]]:
    """Yield (library, symbol) of the subject's imports that only its own C library has."""
    for group in case.objects.imports(case.path):
        if group.file is not None and not _is_glibc(group.file, group.version):
            continue
        for name in sorted(group.strong):
            providers = case.catalogue.providers(name, case.machine)
            in_has = any(provider.startswith(has) for provider in providers)
            if not in_has and (group.file is not None or any(provider.startswith(made) for provider in providers)):
                yield group.file or "", name.decode("utf-8", "backslashreplace")


def _finding(case: Case, foreign: _Foreign, made: str, has: str) -> Finding:
    step = foreign.steps[0]
    who = case.needer(step.need)
    only = _only(foreign)
    message = f"`{who}` is built for {made}, {case.target} has {case.libc}"
    if only:
        message += f": {only} only in {made}"
    severity: Severity = SEVERITY if any(found.answer is Answer.UNMET for found in foreign.steps) else "warning"
    return finding(
        case,
        (CODE, NAME, severity),
        message,
        cause=f"built for {made}, where {has} is",
        steps=foreign.steps,
        lines=_table(case, foreign),
        notes=tuple(_notes(case, foreign, made, has)),
        remedies=tuple(_remedies(case, made)),
    )


def _only(foreign: _Foreign) -> str:
    number = len(set(foreign.symbols))
    parts = [quoted(foreign.libraries)] if foreign.libraries else []
    if number:
        parts.append(f"`{foreign.symbols[0][1]}`" if number == 1 else count(number, "symbol"))
    exists = "exists" if len(foreign.libraries) + number == 1 else "exist"
    return f"{listed(parts)} {exists}" if parts else ""


def _table(case: Case, foreign: _Foreign) -> tuple[str, ...]:
    """Return each object with what it would take from the other C library."""
    if foreign.steps[0].need.kind == "interpreter":
        held = {case.subject: foreign.symbols}
    else:
        held = {}
        for step in foreign.steps:
            if step.need.kind == "symbol":
                held.setdefault(case.needer(step.need), []).append((step.need.file or "", step.need.name))
    table = []
    for who, symbols in held.items():
        for file in unique(file for file, _ in symbols):
            names = sorted({name for at, name in symbols if at == file})
            table.append((who, file, listed(names, 6)) if len(held) > 1 else (file, listed(names, 6)))
    return rows(table)


def _notes(case: Case, foreign: _Foreign, made: str, has: str) -> Iterator[str]:
    who = case.needer(foreign.steps[0].need)
    for step in foreign.steps:
        if step.need.kind == "interpreter":
            yield (
                f"its loader `{step.need.name}` is not there: execve answers ENOENT, "
                f"and a shell says `{who}: not found` of a file that exists"
            )
            break
    else:
        reserved = unique(event.text.partition(" ")[0] for event in case.events("libc-stands-in"))
        if reserved and has == "musl":
            yield f"musl answers for {quoted(reserved)} itself, whatever these files hold elsewhere"
    if not foreign.symbols and not foreign.libraries:
        yield f"all that it takes from {made} has a namesake in {has}"
    following = case.following(foreign.steps)
    if following:
        symbols = {step.need.name for step in following if step.need.kind == "symbol"}
        yield f"{count(len(symbols), 'symbol')} would come from {quoted(foreign.libraries)}" if symbols else ""


def _remedies(case: Case, made: str) -> Iterator[Remedy]:
    build = case.objects.build(case.path)
    if made == "musl":
        yield help_("build it for glibc, or link it statically")
        return
    if build.go is not None:
        yield help_("build it with `CGO_ENABLED=0`, or on Alpine")
    elif build.rust is not None:
        yield help_(f"build it for musl: the Rust target `{_rust(case.machine)}-unknown-linux-musl`")
    else:
        yield help_("build it for musl: on Alpine, or in a musllinux image")
    nodes = (
        [need.version for need in case.facts.version_needs if need.version.startswith("GLIBC_2.")] if case.facts else []
    )
    node = newest(nodes)
    if version_order(node) <= version_order(_EVERYWHERE):
        yield help_("run it on a target with glibc, as debian:12 or ubuntu:24.04")
        return
    oldest = oldest_targets(case, case.catalogue.first_with(node, case.machine))
    if oldest:
        yield help_(f"run it on a target with glibc {node.removeprefix('GLIBC_')} or later, as {listed(oldest)}")


def _rust(machine: str) -> str:
    return {"i386": "i686", "armv7": "armv7", "ppc64le": "powerpc64le"}.get(machine, machine)


def _stands_in(case: Case) -> Finding:
    """Tell of a file for glibc whose every need musl happens to meet."""
    events = case.events("libc-stands-in")
    names = unique(event.text.partition(" ")[0] for event in events)
    who = case.show(events[0].by)
    return finding(
        case,
        (CODE, NAME, "note"),
        f"`{who}` is built for glibc and loads on {case.target} all the same: {case.libc} answers for {quoted(names)}",
        cause="built for glibc, for which musl answers",
        steps=(),
        stage="load",
        notes=("it was compiled with glibc's sizes and layouts of types, of which some differ from musl's",),
        remedies=tuple(_remedies(case, "glibc")),
    )
