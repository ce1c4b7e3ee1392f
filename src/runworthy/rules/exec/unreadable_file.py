"""RW105: a file cannot be read, or is not what its format says."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, probes, would_come

CODE = "RW105"
NAME = "unreadable-file"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:unknown", "interpreter:unknown", "library:unknown", "loader:unknown", "symbol:unknown")
ORDER = 20

_KINDS = tuple(kind.partition(":")[0] for kind in READS)


def check(case: Case) -> Iterator[Match]:
    """Yield each file that cannot be understood, with the offset at which reading ended."""
    found: dict[tuple[str, str, str], list[Step]] = {}
    for step in case.steps(*_KINDS, answers=(Answer.UNKNOWN,)):
        if step.why == "unreadable":
            name = "" if step.need.kind in ("exec-format", "symbol") else step.need.name
            found.setdefault((name, step.detail, "" if name else step.need.by), []).append(step)
    for steps in found.values():
        yield Match(finding=_finding(case, steps), covers=tuple(steps))


def _finding(case: Case, steps: list[Step]) -> Finding:
    step = steps[0]
    need = step.need
    who = case.needer(need)
    reason = step.detail.removeprefix(f"{need.by}: ")
    offset = need.evidence.offset if need.evidence else None
    where = f" at offset {offset:#x}" if offset is not None and "offset" not in reason else ""
    if need.kind == "exec-format":
        message = f"`{who}` cannot be judged{where}: {reason}"
        cause = f"it cannot be judged: {reason}"
    elif need.kind == "symbol":
        message = f"the symbols of `{who}` cannot be read{where}: {reason}"
        cause = f"the symbols of `{who}` cannot be read"
    else:
        kind = "library" if need.kind == "library" else "loader"
        message = f"the {kind} `{need.name}` that `{who}` needs cannot be judged: {reason}"
        cause = f"the {kind} `{need.name}` cannot be judged: {reason}"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=cause,
        steps=steps,
        lines=probes(case, step),
        notes=(would_come(case.following(steps)),),
    )
