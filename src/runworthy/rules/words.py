"""What rules share to speak: names in backticks, counts, short tables, and the making of a finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Answer, Evidence, Stage, Step
from runworthy.model.words import aligned, bytes_of, count, listed
from runworthy.rules import Case
from runworthy.simulate.hosts import host_api

__all__ = [
    "asked",
    "bytes_of",
    "certain_host",
    "count",
    "dotted",
    "fails",
    "finding",
    "help_",
    "libraries_not_loaded",
    "listed",
    "newest",
    "oldest_targets",
    "oldest_with_all",
    "probes",
    "quoted",
    "rows",
    "shipped_or_of",
    "unique",
    "version_order",
    "would_come",
]

_PROBES_SHOWN = 10
_TARGETS_SHOWN = 4

# The families that people look for first; others follow in the order of their names.
_FAMILIES = ("debian", "ubuntu", "rhel", "alpine", "fedora", "amazonlinux", "opensuse/leap")
_UNMISTAKABLE = ("CPython", "Node.js")
_UNNAMED = ("glibc", "manylinux", "musllinux", "busybox")


def unique(names: Iterable[str]) -> list[str]:
    """Return the names once each, in the order of their first appearance."""
    return list(dict.fromkeys(names))


def quoted(names: Iterable[str], limit: int = 5) -> str:
    """Return names in backticks as a list in words."""
    held = unique(names)
    more = len(held) - limit + 1 if len(held) > limit else 0
    shown = [f"`{name}`" for name in (held[: limit - 1] if more else held)]
    return listed([*shown, f"{more} more"] if more else shown)


def dotted(version: tuple[int, ...] | None) -> str:
    """Return ``(2, 31)`` as ``2.31``."""
    return ".".join(map(str, version or ()))


def rows(table: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return rows with aligned columns."""
    return tuple(aligned(table))


def probes(case: Case, step: Step) -> tuple[str, ...]:
    """Return the paths that were tried for a step, in order: path, outcome, and the rule that led there."""
    table = []
    for probe in step.searched[:_PROBES_SHOWN]:
        rule, of, path = probe.origin.partition(" of ")
        outcome = "no entry" if probe.outcome.startswith("no entry for ") else probe.outcome
        table.append((case.show(probe.path), outcome, f"{rule}{of}{case.show(path)}" if of else rule))
    shown = rows(table)
    more = len(step.searched) - len(table)
    return (*shown, f"and {count(more, 'more path')}") if more > 0 else shown


def would_come(following: Sequence[Step], from_it: str = "it") -> str:
    """Return ``5 symbols and 1 version would come from it``, empty when nothing would."""
    parts = [
        count(len({(step.need.name, step.need.version) for step in following if step.need.kind == kind}), word)
        for kind, word in (("symbol", "symbol"), ("symbol-version", "version"))
        if any(step.need.kind == kind for step in following)
    ]
    return f"{listed(parts)} would come from {from_it}" if parts else ""


def oldest_targets(case: Case, names: Sequence[str]) -> list[str]:
    """Return the few names of a list of oldest targets that a person wants: the target's own family first."""
    own = case.target.partition(":")[0]
    ranks = {family: rank for rank, family in enumerate(unique((own, *_FAMILIES)))}
    named = [name for name in names if not name.startswith(_UNNAMED)]
    last = len(ranks)
    ranked = sorted(named, key=lambda name: (min(ranks.get(name.partition(":")[0], last), last), name))
    known = [name for name in ranked if name.partition(":")[0] in ranks]
    return (known or ranked)[:_TARGETS_SHOWN]


def oldest_with_all(case: Case, wanted: Sequence[Sequence[str]]) -> str:
    """Return the target a person would move to: the oldest release of one family that has all, empty when none has."""
    for first in oldest_targets(case, wanted[0]) if wanted else ():
        family = first.partition(":")[0]
        releases = [next((name for name in names if name.partition(":")[0] == family), "") for names in wanted]
        if all(releases):
            return max(releases, key=_release)
    return ""


def _release(name: str) -> tuple[int, ...]:
    """Return the number of a release; those without one (``sid``, ``rolling``) come after all others."""
    parts = name.partition(":")[2].split(".")
    return tuple(int(part) if part.isdecimal() else 1 << 16 for part in parts)


def asked(step: Step) -> str:
    """Return the path of the library that was asked for a version and does not define it, empty for other steps."""
    return next((probe.path for probe in step.searched if probe.outcome == "does not define it"), "")


def shipped_or_of(case: Case, library: str, path: str) -> str:
    """Return a library by its path where it was given with the subject, else as the target's."""
    shown = case.show(path)
    return f"`{shown}`" if shown != path or case.path == path else f"`{library}` of {case.target}"


def newest(names: Iterable[str]) -> str:
    """Return the version name with the highest numbers, as in GLIBC_2.34 over GLIBC_2.4."""
    return max(names, key=version_order, default="")


def version_order(name: str) -> tuple[str, tuple[int, ...]]:
    """Return what sorts version names of one prefix by their numbers."""
    prefix, _, numbers = name.rpartition("_")
    return prefix, tuple(int(part) for part in numbers.split(".") if part.isdecimal())


def fails(case: Case) -> bool:
    """Whether anything of this subject ends it on this target."""
    return any(
        step.answer is Answer.UNMET and step.fatal and step.assumption is None and not step.need.weak
        for step in case.trace.needs
    )


def libraries_not_loaded(case: Case) -> list[str]:
    """Return the needed libraries that were not found or not judged: symbols without a version may be theirs."""
    gone = (Answer.UNMET, Answer.UNKNOWN)
    return unique(step.need.name for step in case.causes.get("library", ()) if step.answer in gone)


def certain_host(case: Case, symbol: str) -> str | None:
    """Return the known program whose interface a symbol left open belongs to.

    Where libraries are missing, most prefixes prove nothing (`PL_` is NSPR's as well as Perl's).
    """
    host = host_api(symbol)
    if host is None or host in _UNMISTAKABLE:
        return host
    return None if libraries_not_loaded(case) else host


def help_(title: str) -> Remedy:
    """Return a remedy that a person carries out; nothing here can prove it."""
    return Remedy(title=title, applicability="manual")


def finding(
    case: Case,
    rule: tuple[str, str, Severity],
    message: str,
    *,
    cause: str,
    items: Iterable[str] = (),
    steps: Sequence[Step],
    stage: Stage | None = None,
    identity: str = "",
    lines: Sequence[str] = (),
    notes: Sequence[str] = (),
    remedies: Sequence[Remedy] = (),
) -> Finding:
    """Return the finding of ``rule`` (code, name, severity); evidence and fingerprint come from ``steps``.

    ``cause`` and ``items`` bring it together with those of other subjects and targets: see ``Finding``. Without steps
    the fingerprint is that of ``identity``, or of the message where that does not change with time.
    """
    code, name, severity = rule
    return Finding(
        code=code,
        name=name,
        severity=severity,
        message=message,
        stage=stage or (steps[0].stage if steps else "load"),
        cause=cause,
        items=tuple(unique(items)),
        evidence=_evidence(case, steps),
        lines=tuple(lines),
        notes=tuple(note for note in notes if note),
        remedies=tuple(remedies),
        fingerprint=_fingerprint(case, code, steps, "" if steps else identity or message),
    )


def _evidence(case: Case, steps: Sequence[Step]) -> tuple[Evidence, ...]:
    """Return each place once, by the name people know."""
    found = (step.need.evidence for step in steps)
    shown = (Evidence(file=case.show(at.file), section=at.section, offset=at.offset) for at in found if at)
    return tuple(dict.fromkeys(shown))


def _fingerprint(case: Case, code: str, steps: Sequence[Step], text: str) -> str:
    """Return what stays equal for one cause in one subject on one target, however often it is judged."""
    needs = sorted(
        {(case.needer(step.need), step.need.kind, step.need.name, step.need.version or "") for step in steps}
    )
    words = [code, case.target, case.subject.removeprefix("./"), text, *("\0".join(need) for need in needs)]
    told = "\n".join(words).encode("utf-8", "surrogateescape")
    # A polynomial over the bytes modulo the largest prime below 2**64: hashlib takes longer to import.
    return f"{int.from_bytes(told, 'big') % 0xFFFFFFFFFFFFFFC5:016x}"
