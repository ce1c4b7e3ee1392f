"""What the rules about members of archives share: members that are odd in one way, and how they are told of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, finding, rows

__all__ = ["by_oddity", "how_many", "odd_members", "table"]

_SHOWN = 10


def odd_members(
    case: Case, code: str, name: str, kinds: Mapping[str, tuple[str, str, str]], *, note: str = "", left_out: str = ""
) -> Iterator[Match]:
    """Yield each way in which members are odd: a warning, and an error where they are left out of what is judged.

    ``kinds`` has for each way what one such member is called, what several are, and what is said of them; ``note`` is
    told in any case, ``left_out`` of those that are.
    """
    for kind, steps in by_oddity(case, kinds, Answer.UNMET).items():
        one, many, what = kinds[kind]
        fatal = any(step.fatal for step in steps)
        found = finding(
            case,
            (code, name, "error" if fatal else "warning"),
            f"`{case.needer(steps[0].need)}` holds {how_many(steps, one, many)} {what}",
            cause=f"it holds {many} {what}",
            items=(step.need.name for step in steps),
            steps=steps,
            lines=table(steps),
            notes=(note, left_out if fatal else ""),
        )
        yield Match(finding=found, covers=tuple(steps))


def by_oddity(case: Case, kinds: Iterable[str], answer: Answer) -> dict[str, list[Step]]:
    """Return the steps about members of archives by what is odd of them, of these kinds and in their order."""
    steps = case.steps("archive-member", answers=(answer,))
    found = {kind: [step for step in steps if step.need.version == kind] for kind in kinds}
    return {kind: held for kind, held in found.items() if held}


def how_many(steps: Sequence[Step], one: str, many: str) -> str:
    """Return ``3 links``, and ``more than 1000 links`` where they were not counted on."""
    named = [step for step in steps if step.need.name]
    if not named:
        return count(len(steps), one, many)
    return f"{'more than ' if len(named) < len(steps) else ''}{count(len(named), one, many)}"


def table(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return a row for each of the first members: its name, and what is odd."""
    shown = [step for step in steps if step.need.name][:_SHOWN]
    more = sum(bool(step.need.name) for step in steps) - len(shown)
    lines = rows((step.need.name, step.detail) for step in shown)
    unnamed = tuple(
        f"the archive {step.detail}" for step in steps if not step.need.name and step.need.version != "problem"
    )
    return (*lines, *(unnamed if not shown else ()), *((f"and {count(more, 'more member')}",) if more else ()))
