"""RW306: symbols that only a newer release of musl has."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.known import musl_release_with
from runworthy.rules.words import count, dotted, finding, help_, oldest_targets, rows, unique

CODE = "RW306"
NAME = "musl-too-old"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("symbol:unmet",)
ORDER = 20


def check(case: Case) -> Iterator[Match]:
    """Yield one finding on all symbols that another musl release of the catalogue has."""
    if case.libc is None or case.libc.family != "musl":
        return
    steps = [step for step in case.steps("symbol") if not step.detail and _in_some_musl(case, step)]
    if steps:
        yield Match(finding=_finding(case, steps), covers=tuple(steps))


def _in_some_musl(case: Case, step: Step) -> bool:
    providers = case.catalogue.providers(step.need.name.encode(), case.machine)
    return any(provider.startswith("musl") for provider in providers)


def _finding(case: Case, steps: list[Step]) -> Finding:
    names = unique(step.need.name for step in steps)
    releases = [release for release in map(musl_release_with, names) if release]
    since = max(releases, default=None)
    needs = f"`{names[0]}`" if len(names) == 1 else count(len(names), "symbol")
    who = case.needer(steps[0].need)
    brought = f", which musl has since {dotted(since)}" if since else f", which musl {_gone(names)}"
    message = f"`{who}` needs {needs}{brought}, {case.target} has {case.libc}"
    oldest = oldest_targets(case, case.catalogue.first_libc("musl", since, case.machine)) if since else []
    table = rows((name, _since(name)) for name in names) if len(names) > 1 else ()
    notes = (
        f"musl says `Error relocating {who}: {names[0]}: symbol not found`",
        "such names were aliases: off_t has 64 bits in every musl" if _aliases(names) else "",
    )
    remedies = [help_(f"run it on {oldest[0]} or later")] if oldest else []
    remedies.append(help_(f"build it on {case.target}, so that it takes only what is there"))
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause="symbols of other releases of musl are needed",
        items=names,
        steps=steps,
        lines=table,
        notes=notes,
        remedies=remedies,
    )


def _gone(names: list[str]) -> str:
    return "dropped in 1.2.4" if _aliases(names) else "has in other releases"


def _aliases(names: list[str]) -> bool:
    return all(name.endswith("64") for name in names)


def _since(name: str) -> str:
    release = musl_release_with(name)
    return f"since {dotted(release)}" if release else _gone([name])
