"""RW830: nothing has used an environment or a cache for some time."""

from __future__ import annotations

from collections.abc import Iterator
from time import gmtime, strftime

from runworthy.model.finding import Finding, Severity
from runworthy.model.storage import Environment, Idle
from runworthy.rules import Case, Match
from runworthy.rules.words import bytes_of, finding, help_

CODE = "RW830"
NAME = "idle"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("idle",)
ORDER = 60


def check(case: Case) -> Iterator[Match]:
    """Yield each of them."""
    for idle in case.stored("idle"):
        if isinstance(idle, Idle):
            yield Match(finding=_finding(case, idle))


def _finding(case: Case, idle: Idle) -> Finding:
    path = case.show(idle.environment.path)
    how = f", as {idle.used_by} tells" if idle.used_by else ""
    takes = [bytes_of(idle.allocated)] if idle.environment.is_counted else []
    what = f"nothing has used `{path}` ({', '.join([_kind(idle.environment), *takes])})"
    day = strftime("%Y-%m-%d", gmtime(idle.used // 1_000_000_000)) if idle.used else ""
    message = (
        f"{what} since {day}{how}" if day else f"no use of `{path}` can be told ({', '.join(takes) or 'not counted'})"
    )
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause="nothing has used it for some time",
        steps=(),
        stage="environment",
        identity=idle.environment.path,
        notes=("a use may leave no trace; nothing is removed here",),
        remedies=(help_(_help(idle, path)),),
    )


def _kind(environment: Environment) -> str:
    return environment.kind.replace("-", " ").replace("_", " ")


def _help(idle: Idle, path: str) -> str:
    if idle.command:
        what = "empties it: what is needed is fetched again" if idle.empties else "removes what is not needed any more"
        return f"`{idle.command}` {what}"
    return f"remove `{path}` when nobody needs it, and make it again from its lock file or requirements"
