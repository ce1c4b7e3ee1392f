"""RW302: relative relocations are packed (DT_RELR), and the loader does not apply them, or refuses them unmarked."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import asked, count, finding, help_, oldest_targets, quoted, unique

CODE = "RW302"
NAME = "packed-relocations"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("relocation:unmet", "symbol-version:unmet")
ORDER = 30

_NODE = "GLIBC_ABI_DT_RELR"
_SINCE = {"glibc": "2.36", "musl": "1.2.4"}


def check(case: Case) -> Iterator[Match]:
    """Yield objects whose packed relocations the loader leaves unapplied or refuses."""
    marks = [step for step in case.steps("symbol-version") if step.need.version == _NODE]
    unmarked = [step for step in marks if not asked(step)]
    if unmarked:
        yield Match(finding=_unmarked(case, unmarked), covers=tuple(unmarked))
    for name in ("DT_RELR", "DT_ANDROID_REL"):
        packed = [step for step in case.steps("relocation") if step.need.name == name]
        if name == "DT_RELR":
            packed += [step for step in marks if asked(step) and _only_mark(case, step)]
        if packed:
            yield Match(finding=_packed(case, name, packed), covers=tuple(packed))


def _only_mark(case: Case, mark: Step) -> bool:
    """Whether the mark is all that the object asks of a newer glibc: else it is one row of that finding."""
    return sum(step.need.by == mark.need.by and bool(asked(step)) for step in case.steps("symbol-version")) == 1


def _who(case: Case, steps: list[Step]) -> str:
    names = unique(case.needer(step.need) for step in steps)
    return f"`{names[0]}`" + (f" and {count(len(names) - 1, 'more object')}" if len(names) > 1 else "")


def _pack(case: Case, steps: list[Step]) -> str:
    return "packs its" if len({case.needer(step.need) for step in steps}) == 1 else "pack their"


def _packed(case: Case, name: str, steps: list[Step]) -> Finding:
    android = name == "DT_ANDROID_REL"
    family = case.libc.family if case.libc else ""
    has = f"{case.target} has {case.libc}"
    packs = "relocations as Android does (DT_ANDROID_REL)" if android else "relative relocations (DT_RELR)"
    message = f"{_who(case, steps)} {_pack(case, steps)} {packs}, {has}, which does not apply them"
    since = _SINCE.get(family, "")
    version = tuple(int(part) for part in since.split(".")) if since else ()
    oldest = (
        oldest_targets(case, case.catalogue.first_libc(family, version, case.machine)) if since and not android else []
    )
    notes = (
        f"{family} applies them since {since}" if since and not android else "",
        _seen(steps),
        f"all of them: {quoted(case.needer(step.need) for step in steps)}" if len(steps) > 1 else "",
    )
    remedies = [
        help_(
            "link it with `-Wl,-z,nopack-relative-relocs`" if not android else "link it with `--pack-dyn-relocs=none`"
        )
    ]
    if oldest:
        remedies.insert(0, help_(f"run it on {oldest[0]} or later"))
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"relocations are packed ({name})",
        steps=steps,
        notes=notes,
        remedies=remedies,
    )


def _seen(steps: list[Step]) -> str:
    if any(step.need.kind == "symbol-version" for step in steps):
        return f"the file says so by a version without symbols: the loader ends with `version {_NODE} not found`"
    return "pointers stay unrelocated, and the loader does not notice: the program ends with SIGSEGV"


def _unmarked(case: Case, steps: list[Step]) -> Finding:
    packs = f"{_pack(case, steps)} relative relocations (DT_RELR) without the mark {_NODE}"
    message = f"{_who(case, steps)} {packs}, {case.libc} of {case.target} refuses that"
    notes = ("the loader ends with `DT_RELR without GLIBC_ABI_DT_RELR dependency`",)
    remedies = (
        help_(
            "link it with binutils 2.38 or LLD 15 or later, which add the mark, or with `-Wl,-z,nopack-relative-relocs`"
        ),
    )
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause="relocations are packed (DT_RELR) without a mark",
        steps=steps,
        notes=notes,
        remedies=remedies,
    )
