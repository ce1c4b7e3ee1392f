"""What the rules about wheels share: the steps of one aspect, by tag, and their words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from runworthy.model.trace import Answer, Step
from runworthy.rules import Case
from runworthy.rules.words import count, dotted, quoted, rows, unique
from runworthy.simulate.wheel.tags import platform_tag

__all__ = ["aspect", "by_tag", "members", "promised", "table", "tag_steps", "who", "words"]

_SHOWN = 20


def aspect(step: Step) -> str:
    """Return what of a tag a step is about (``simulate.wheel.ASPECTS``)."""
    return step.detail.partition(":")[0]


def words(step: Step) -> str:
    """Return what a step says beyond its aspect."""
    return step.detail.partition(": ")[2]


def tag_steps(case: Case, *aspects: str, answers: Collection[Answer] = (Answer.UNMET,)) -> list[Step]:
    """Return the steps about tags with one of these aspects that no earlier rule has explained."""
    return [step for step in case.steps("tag", answers=answers) if aspect(step) in aspects]


def by_tag(steps: Iterable[Step]) -> dict[str, list[Step]]:
    """Return steps by the tag that they are about."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.need.name, []).append(step)
    return found


def promised(tag: str) -> str:
    """Return what a tag promises in words: ``glibc 2.17``, ``musl 1.2``."""
    parsed = platform_tag(tag)
    libc = parsed.libc or ("macOS" if parsed.family == "macosx" else "")
    return f"{libc} {dotted(parsed.release)}" if libc else tag


def who(case: Case, steps: Sequence[Step]) -> tuple[str, bool]:
    """Return the first member of the steps in backticks with the number of the others, and whether there are others."""
    found = unique(case.needer(step.need) for step in steps)
    more = f" and {count(len(found) - 1, 'more file')}" if len(found) > 1 else ""
    return f"`{found[0]}`{more}", len(found) > 1


def members(case: Case, steps: Sequence[Step]) -> str:
    """Return all members as a note, empty where there is one alone."""
    found = unique(case.needer(step.need) for step in steps)
    return f"all of them: {quoted(found, 8)}" if len(found) > 1 else ""


def table(lines: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return rows with aligned columns, the first twenty of them."""
    held = list(lines)
    more = (f"and {count(len(held) - _SHOWN, 'more line')}",) if len(held) > _SHOWN else ()
    return rows(held[:_SHOWN]) + more
