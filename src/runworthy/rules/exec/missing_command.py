"""RW127: a script starts a command that PATH does not lead to."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, severity_of
from runworthy.rules.words import finding, help_, listed, quoted, rows, unique

CODE = "RW127"
NAME = "missing-command"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("tool:unmet",)
ORDER = 50

_APE = (
    "the script at the beginning of an APE program unpacks its loader by them, and ends with 127; "
    "with the loader installed as `ape`, or as a handler, it needs none"
)


def check(case: Case) -> Iterator[Match]:
    """Yield the commands that each script does not find, and what env refuses to start at all."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("tool"):
        if step.searched or not step.detail:
            found.setdefault(step.need.by, []).append(step)
        else:
            yield Match(finding=_refused(case, step), covers=(step,))
    for steps in found.values():
        yield Match(finding=_finding(case, steps), covers=tuple(steps))


def _refused(case: Case, step: Step) -> Finding:
    """Tell what nothing was looked for: options that env does not know, a script that starts itself."""
    several = " -S " not in f" {step.need.name}" and "-- ' '" in step.detail
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"`{case.needer(step.need)}` asks for `{step.need.name}`, and no command is started",
        cause="commands that are not there",
        items=(step.need.name,),
        steps=(step,),
        lines=rows(((step.need.name, step.detail),)),
        notes=("all that follows env in a `#!` line is one word to it", assumption_note((step,))) if several else (),
        remedies=(help_(f"let env split its argument: `#!/usr/bin/env -S {step.need.name}`"),) if several else (),
    )


def _finding(case: Case, steps: list[Step]) -> Finding:
    who, names = case.needer(steps[0].need), unique(step.need.name for step in steps)
    ape = case.file is not None and case.file.type == "ape"
    places = unique(probe.path.rpartition("/")[0] or "/" for step in steps[:1] for probe in step.searched)
    return finding(
        case,
        (CODE, NAME, severity_of(steps)),
        f"`{who}` starts {quoted(names)}, which {case.target} has not in PATH",
        cause="commands that are not there",
        items=names,
        steps=steps,
        lines=() if ape else rows((step.need.name, step.detail) for step in steps if step.detail),
        notes=(
            _APE if ape else "",
            f"PATH is {listed(places)}" if places else "",
            assumption_note(steps),
        ),
        remedies=() if ape else (_remedy(names),),
    )


def _remedy(names: list[str]) -> Remedy:
    """Propose to install what is missing, or to have env split a line of several words, which are one name to it."""
    several = next((name for name in names if " " in name), None)
    if several is not None:
        return help_(f"let env split its argument: `#!/usr/bin/env -S {several}`")
    return help_(f"install {quoted(names)}, or set PATH to where {'it is' if len(names) == 1 else 'they are'}")
