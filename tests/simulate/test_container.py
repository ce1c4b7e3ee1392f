"""What the oddities of an archive come to: steps, findings, a verdict."""

from __future__ import annotations

from typing import get_args

from runworthy.engine.verdict import verdict_of
from runworthy.model.archive import Container, Oddity, OddityKind
from runworthy.model.trace import Answer
from runworthy.simulate.container import AMBIGUOUS, UNREAD, UNSAFE, container_trace


def container(*oddities: Oddity, problem: str = "") -> Container:
    return Container(name="a.zip", kind="zip", format="zip", oddities=oddities, problem=problem)


def test_every_oddity_has_one_place() -> None:
    assert sorted((*UNSAFE, *AMBIGUOUS, *UNREAD)) == sorted((*get_args(OddityKind), "problem"))


def test_nothing_odd_is_no_stretch() -> None:
    assert container_trace(container()).stretches == ()


def test_weights() -> None:
    verdicts = {}
    for kind in get_args(OddityKind):
        for read in (False, True):
            trace = container_trace(container(Oddity(kind=kind, member="m", detail="words", offset=7, read=read)))
            verdicts[kind, read] = verdict_of(trace)[0]
            (step,) = trace.needs
            assert (step.need.kind, step.need.name, step.need.version) == ("archive-member", "m", kind)
            assert (step.need.by, step.detail) == ("a.zip", "words")
            assert step.need.evidence is not None
            assert step.need.evidence.offset == 7
            assert (step.why == "unreadable") == (step.answer is Answer.UNKNOWN)
    assert {kind for (kind, read), verdict in verdicts.items() if not read and verdict == "fails"} == {
        *UNSAFE,
        *AMBIGUOUS,
    }
    assert {kind for (kind, read), verdict in verdicts.items() if read and verdict == "risky"} == {*UNSAFE, *AMBIGUOUS}
    assert all(
        verdicts[kind, read] == "unknown" for kind in get_args(OddityKind) if kind in UNREAD for read in (False, True)
    )


def test_a_problem_is_unknown() -> None:
    trace = container_trace(container(problem="ends too early"))
    assert verdict_of(trace) == ("unknown", "environment")
    assert [step.need.version for step in trace.needs] == ["problem"]
