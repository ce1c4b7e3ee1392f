"""RW301: a library of the root is older than the symbol versions that are asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.known import GLIBC_LIBRARIES, manylinux_for
from runworthy.rules.words import (
    asked,
    count,
    dotted,
    finding,
    help_,
    listed,
    newest,
    oldest_targets,
    oldest_with_all,
    rows,
    shipped_or_of,
    unique,
    version_order,
)

CODE = "RW301"
NAME = "version-too-new"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("symbol-version:unmet",)
ORDER = 40

_SYMBOLS_SHOWN = 4
_MARKERS = {
    "GLIBC_ABI_DT_RELR": "a mark: relative relocations are packed (DT_RELR), which glibc applies since 2.36",
    "GLIBC_ABI_GNU2_TLS": "a mark: TLS descriptors are used that older loaders get wrong",
    "GLIBC_ABI_GNU_TLS": "a mark: TLS calls are used that older loaders get wrong",
    "GLIBC_ABI_DT_X86_64_PLT": "a mark: the PLT is described by DT_X86_64_PLT",
    "GLIBC_PRIVATE": "private to one build of glibc: parts of two builds are mixed",
}


def check(case: Case) -> Iterator[Match]:
    """Yield one finding for each library, glibc's own taken as one, on all versions that it does not define."""
    groups: dict[str, list[Step]] = {}
    for step in case.steps("symbol-version"):
        if asked(step):
            file = step.need.file or step.need.name
            groups.setdefault("glibc" if file in GLIBC_LIBRARIES or _is_glibc(step) else file, []).append(step)
    for library, steps in groups.items():
        missing = {(step.need.by, step.need.file, step.need.version) for step in steps}
        symbols = [
            step for step in case.steps("symbol") if (step.need.by, step.need.file, step.need.version) in missing
        ]
        yield Match(finding=_finding(case, library, steps), covers=(*steps, *symbols))


def _is_glibc(step: Step) -> bool:
    return (step.need.version or "").startswith("GLIBC_")


def _finding(case: Case, library: str, steps: list[Step]) -> Finding:
    needers = unique(case.needer(step.need) for step in steps)
    versions = _sorted(step.need.version or "" for step in steps)
    others = f" and {count(len(versions) - 1, 'more version')}" if len(versions) > 1 else ""
    who = f"`{needers[0]}`" + (f" and {count(len(needers) - 1, 'more object')}" if len(needers) > 1 else "")
    needs = "needs" if len(needers) == 1 else "need"
    message = f"{who} {needs} {versions[-1]}{others}, {_has(case, library, steps, versions)}"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"a newer {library} is needed",
        items=reversed(versions),
        steps=steps,
        lines=_table(case, steps, several=len(needers) > 1),
        notes=tuple(f"{version} is {_MARKERS[version]}" for version in versions if version in _MARKERS),
        remedies=tuple(_remedies(case, library, versions)),
    )


def _sorted(versions: Iterable[str]) -> list[str]:
    """Return version names, marks that carry no number first and the newest last."""
    return sorted(set(versions), key=lambda name: (name not in _MARKERS, *version_order(name)))


def _has(case: Case, library: str, steps: list[Step], versions: list[str]) -> str:
    """Return the other side: which release of the library the target has."""
    if library == "glibc":
        return f"{case.target} has {case.libc}"
    path = asked(steps[0])
    facts = case.objects.facts(path)
    defined = [record.name for record in facts.version_defs if not record.base] if facts else []
    prefix = versions[-1].rpartition("_")[0]
    held = [name for name in defined if prefix and name.rpartition("_")[0] == prefix]
    whose = shipped_or_of(case, library, path)
    if held:
        return f"{whose} ends at {newest(held)}"
    return f"{whose} defines {listed(defined, 4)}" if defined else f"{whose} does not define it"


def _table(case: Case, steps: list[Step], *, several: bool) -> tuple[str, ...]:
    """Return a row for each version: who needs it, for which symbols, and the oldest targets that have it."""
    order = {version: rank for rank, version in enumerate(_sorted(step.need.version or "" for step in steps))}
    table = []
    for step in sorted(steps, key=lambda step: (order[step.need.version or ""], step.need.by)):
        version = step.need.version or ""
        oldest = oldest_targets(case, case.catalogue.first_with(version, case.machine))
        names = [] if version in _MARKERS else _symbols(case, step)
        row = (version, listed(names, _SYMBOLS_SHOWN), f"in {', '.join(oldest)} and later" if oldest else "")
        table.append((case.needer(step.need), *row) if several else row)
    return rows(table)


def _symbols(case: Case, step: Step) -> list[str]:
    """Return the symbols that an object wants in this version of this library."""
    need = step.need
    groups = case.objects.imports(need.by)
    found = (group.strong | group.weak for group in groups if (group.file, group.version) == (need.file, need.version))
    return sorted(name.decode("utf-8", "backslashreplace") for names in found for name in names)


def _remedies(case: Case, library: str, versions: list[str]) -> Iterator[Remedy]:
    wanted = [case.catalogue.first_with(version, case.machine) for version in versions if version != "GLIBC_PRIVATE"]
    later = oldest_with_all(case, wanted)
    if later:
        yield help_(f"run it on {later} or later")
    if library == "glibc" and case.libc is not None and case.libc.version:
        image = manylinux_for(case.libc.version)
        where = f", as `{image}` has" if image else ""
        yield help_(f"build it against glibc {dotted(case.libc.version)} or older{where}")
    elif library == "libstdc++.so.6":
        yield help_("ship `libstdc++.so.6` beside it, or link it with `-static-libstdc++`")
    elif library == "libgcc_s.so.1":
        yield help_("link it with `-static-libgcc`")
