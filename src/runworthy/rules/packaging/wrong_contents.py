"""RW513: a wheel's tag is for another architecture or system than its files, or says that it has none."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.wheels import aspect, by_tag, members, tag_steps, who, words
from runworthy.rules.words import count, finding, help_

CODE = "RW513"
NAME = "wrong-contents"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("tag:unmet", "native-in-pure", "tag-without-code")
ORDER = 10

_PROGRAMS = "programs for one system alone may be meant so"
_NOTHING = "installers on other platforms do not take it: `any` would do"
_SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}


def check(case: Case) -> Iterator[Match]:
    """Yield what does not belong there by tag and kind, and what is only strange."""
    for tag, steps in by_tag(tag_steps(case, "machine", "system", "pure")).items():
        for kind in ("machine", "system", "pure"):
            of_kind = [step for step in steps if aspect(step) == kind]
            if of_kind:
                yield Match(finding=_finding(case, tag, kind, of_kind), covers=tuple(of_kind))
    for event in case.events("native-in-pure"):
        tag, number = event.text.split()
        held = f"{count(int(number), 'native file')}, as `{case.show(event.by)}`"
        message = f"the tag of `{case.subject}` is {tag}, and it holds {held}"
        yield _note(case, message, "native files in a wheel for every platform", _PROGRAMS)
    for event in case.events("tag-without-code"):
        message = f"the tag of `{case.subject}` is {event.text}, and it holds no native file"
        yield _note(case, message, "a platform tag without native files", _NOTHING)


def _finding(case: Case, tag: str, kind: str, steps: list[Step]) -> Finding:
    names, several = who(case, steps)
    is_are = "are" if several else "is"
    said = words(steps[0])
    if kind == "machine":
        message = f"{names} {is_are} for {said}, the tag is {tag}"
    elif kind == "system":
        message = f"{names} {is_are} for {_SYSTEMS[said]}, the tag is {tag}"
    else:
        message = f"{names} {is_are} native, and {said}"
    helps = {
        "pure": "build it as a wheel for its platform: `Root-Is-Purelib: false`, and a platform tag",
        "machine": "build one wheel for each architecture, and name each by what is in it",
        "system": "build one wheel for each system, and name each by what is in it",
    }
    severity: Severity = SEVERITY if any(step.fatal for step in steps) else "warning"
    return finding(
        case,
        (CODE, NAME, severity),
        message,
        cause=f"its files are not what {tag} says",
        items=(said,),
        steps=steps,
        notes=(members(case, steps),),
        remedies=(help_(helps[kind]),),
    )


def _note(case: Case, message: str, cause: str, note: str) -> Match:
    made = finding(case, (CODE, NAME, "note"), message, cause=cause, steps=(), stage="environment", notes=(note,))
    return Match(finding=made)
