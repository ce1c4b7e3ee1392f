"""RW130: the script of an APE program starts an `ape` of PATH that is another program than the APE loader."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Event, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, quoted

CODE = "RW130"
NAME = "other-ape"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("taken-by",)
ORDER = 50

_BY_SCRIPT = "the script starts the `ape` that it finds: "
_NO_MAGIC = "a program that knows no magic of APE files"


def check(case: Case) -> Iterator[Match]:
    """Yield the program whose script trusts a name."""
    for event in case.events("taken-by"):
        path = event.text.removeprefix(_BY_SCRIPT)
        if path != event.text:
            unknown = tuple(one for one in case.steps("tool", answers=(Answer.UNKNOWN,)) if one.need.name == path)
            what = _is_other(case, path) or (_NO_MAGIC if unknown else "")
            if what:
                yield Match(finding=_finding(case, event, path, what, unknown), covers=unknown)


def _is_other(case: Case, path: str) -> str:
    """Return why a file is not cosmopolitan's loader, which is a small static ELF program, empty where it may be."""
    facts = case.objects.facts(path)
    if facts is None:
        return "no ELF file that can be read"
    if facts.needed:
        return f"linked to {quoted(facts.needed)}"
    return "started by a dynamic loader" if facts.interpreter is not None else ""


def _finding(case: Case, event: Event, path: str, what: str, steps: tuple[Step, ...]) -> Finding:
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"`{case.show(event.by)}` starts the `ape` of {case.target}, `{path}`, which is no APE loader: it is {what}",
        cause=f"`{path}` is no APE loader",
        steps=steps,
        stage="exec",
        notes=(
            "the script takes any program of this name that it finds in PATH, and gives it the file",
            "cosmopolitan's APE loader is a static program",
        ),
        remedies=(help_(f"put the APE loader before `{path}` in PATH"),),
    )
