"""RW510: files of a wheel need more than its tag promises."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.wheels import aspect, by_tag, promised, table, tag_steps, who, words
from runworthy.rules.words import count, finding, help_, listed, version_order

CODE = "RW510"
NAME = "tag-too-low"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("tag:unmet",)
ORDER = 30

_SYMBOLS_SHOWN = 4


def check(case: Case) -> Iterator[Match]:
    """Yield each tag once, with all that it does not promise."""
    for tag, steps in by_tag(tag_steps(case, "version", "symbol", "relr", "minimum")).items():
        yield Match(finding=_finding(case, tag, steps), covers=tuple(steps))


def _finding(case: Case, tag: str, steps: list[Step]) -> Finding:
    steps = sorted(steps, key=_order)
    worst = [step for step in steps if (step.need.version, words(step)) == (steps[0].need.version, words(steps[0]))]
    names, several = who(case, worst)
    needs = _needs(worst[0])
    others = len({(step.need.version, words(step)) for step in steps}) - 1
    more = f" and {others} more" if others else ""
    severity: Severity = SEVERITY if any(step.fatal for step in steps) else "warning"
    message = f"{names} {'need' if several else 'needs'} {needs}{more}, {tag} promises {promised(tag)}"
    return finding(
        case,
        (CODE, NAME, severity),
        message,
        cause=f"{tag} promises less than is needed",
        items=(_needs(step) for step in steps),
        steps=steps,
        lines=table(_row(case, step) for step in steps),
        notes=(
            "a tag does not tell patch releases of musl apart: an older one of the same number is promised too"
            if severity == "warning" and aspect(worst[0]) in ("symbol", "relr")
            else "",
        ),
        remedies=tuple(_remedies(tag, steps)),
    )


def _order(step: Step) -> tuple[bool, tuple[int, ...], tuple[str, tuple[int, ...]], str]:
    """The newest first: by the release that has it, then by its own number; what none has comes before all."""
    release = tuple(-int(part) for part in words(step).rpartition(" ")[2].split(".") if part.isdecimal())
    prefix, numbers = version_order(step.need.version or "")
    return not step.fatal, release, (prefix, tuple(-number for number in numbers)), step.need.by


def _needs(step: Step) -> str:
    if aspect(step) == "minimum":
        return words(step)
    if aspect(step) == "relr":
        return f"a loader that applies packed relocations ({words(step)})"
    return f"`{step.need.version}`" if aspect(step) == "symbol" else str(step.need.version)


def _row(case: Case, step: Step) -> tuple[str, ...]:
    """Return who needs it, what, for which symbols, and who has it."""
    need = step.need
    following = (one.need for one in case.following([step]))
    mine = (one.name for one in following if (one.by, one.version, one.file) == (need.by, need.version, need.file))
    first = words(step)
    since = "no system has it" if not first or first.startswith("no ") else f"since {first}"
    return case.needer(need), need.version or "", listed([*mine], _SYMBOLS_SHOWN), since


def _remedies(tag: str, steps: list[Step]) -> Iterator[Remedy]:
    better = [probe.path for step in steps for probe in step.searched if probe.outcome == "promises it"]
    fatal = [step for step in steps if step.fatal]
    if better and len(better) == len(steps):
        newest = max(better, key=lambda name: [int(part) for part in name.split("_") if part.isdecimal()])
        yield help_(f"name it `{newest}`: `auditwheel repair` does, or `wheel tags --platform-tag {newest}`")
    image = tag.partition("linux_")[0] + "linux"
    if image == "manylinux":
        yield help_(f"build it in the image of `{tag}`, which has {promised(tag)}")
    elif image == "musllinux" and not fatal:
        yield help_(f"build it on Alpine with the oldest musl that {tag} is to run on")
    elif any(aspect(step) == "minimum" for step in steps):
        release = promised(tag).rpartition(" ")[2]
        yield help_(
            f"build it with `MACOSX_DEPLOYMENT_TARGET={release}`, its libraries too ({count(len(steps), 'file')})"
        )
