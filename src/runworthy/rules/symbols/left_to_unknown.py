"""RW309: symbols that a library leaves to whatever program loads it, and that no known program has."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import certain_host, count, finding, help_, libraries_not_loaded, quoted, rows, unique
from runworthy.simulate.hosts import in_every_process

CODE = "RW309"
NAME = "left-to-unknown"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("symbol:host",)
ORDER = 50

_ROWS = 12


def check(case: Case) -> Iterator[Match]:
    """Yield the symbols of which nobody is known to have them, by object."""
    found: dict[str, list[Step]] = {}
    companions: dict[str, list[Step]] = {}
    for step in case.steps("symbol", answers=(Answer.HOST,)):
        if step.met_by is not None:
            companions.setdefault(step.met_by, []).append(step)
        elif certain_host(case, step.need.name) is None:
            found.setdefault(step.need.by, []).append(step)
    for steps in found.values():
        yield Match(finding=_finding(case, steps), covers=tuple(steps))
    for library, steps in companions.items():
        yield Match(finding=_companion(case, library, steps), covers=tuple(steps))


def _companion(case: Case, library: str, steps: list[Step]) -> Finding:
    """Return what a library takes from the root's own C library without naming the file that holds it."""
    names = unique(sorted(step.need.name for step in steps))
    what = f"`{names[0]}`" if len(names) == 1 else count(len(names), "symbol")
    who = case.needer(steps[0].need)
    it = "it" if len(names) == 1 else "them"
    message = f"`{who}` takes {what} from the process that loads it; `{library}` of {case.target} defines {it}"
    note = "it is not among the libraries that the file needs: a program that has not loaded it cannot load the file"
    shown = () if len(names) == 1 else rows([(name,) for name in names[:_ROWS]])
    left = [step for step in case.causes.get("symbol", ()) if step.answer is Answer.HOST]
    sure = in_every_process(library) or any(certain_host(case, step.need.name) for step in left)
    return finding(
        case,
        (CODE, NAME, "note" if sure else SEVERITY),
        message,
        cause=f"symbols of `{library.rpartition('/')[2]}` are taken without naming it",
        items=names,
        steps=steps,
        lines=shown,
        notes=(note,),
    )


def _cause(case: Case, who: str) -> str:
    """Return one cause for all plug-ins, and one for each library that many files may load."""
    own = "" if who == case.subject else f" by `{who}`"
    return f"symbols are left to the program that loads it{own}"


def _finding(case: Case, steps: list[Step]) -> Finding:
    names = unique(sorted(step.need.name for step in steps))
    missing = libraries_not_loaded(case)
    who = case.needer(steps[0].need)
    what = f"`{names[0]}`" if len(names) == 1 else count(len(names), "symbol")
    if missing:
        message = f"`{who}` leaves {what} open: to {quoted(missing)}, or to the program that loads it"
    else:
        it = "it" if len(names) == 1 else "them"
        message = f"`{who}` leaves {what} to the program that loads it; no library that it needs defines {it}"
    shown = () if len(names) == 1 or missing else rows([(name,) for name in names[:_ROWS]])
    if shown and len(names) > _ROWS:
        shown = (*shown, f"and {count(len(names) - _ROWS, 'more symbol')}")
    severity: Severity = "note" if missing else SEVERITY
    remedies = (
        () if missing else (help_("name the program that loads it, and they are checked: `--loaded-by PROGRAM`"),)
    )
    return finding(
        case,
        (CODE, NAME, severity),
        message,
        cause=_cause(case, who),
        items=names,
        steps=steps,
        lines=shown,
        remedies=remedies,
    )
