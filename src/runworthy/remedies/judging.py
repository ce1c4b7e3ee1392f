"""The proof of a remedy: the subject is judged again on the target with the edits in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from runworthy.model.edit import Edit, InstallPackages, RemovePackages, RunCommand, acts_on
from runworthy.model.errors import RunworthyError
from runworthy.model.finding import Remedy, Result
from runworthy.model.trace import Answer, Step
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.edits import edited
from runworthy.targets.target import Target

__all__ = ["applicability", "failures", "judged"]

_NOW, _BOOT = "judged again with the edits in place", "and after the next boot"
_Key = tuple[str, str, str]


def judged(situation: Situation, cause: Step, proposal: Proposal) -> Remedy:
    """Return a proposal as a remedy, with what judging again comes to."""
    proved, stays, proof = False, False, proposal.unprovable
    if not proof:
        proved, stays, proof = _judge(situation, cause, proposal)
    return Remedy(
        title=proposal.title,
        applicability=applicability(proposal.edits),
        edits=proposal.edits,
        proved=proved,
        proof=proof,
        stays=stays,
    )


def applicability(edits: tuple[Edit, ...]) -> Literal["safe", "unsafe", "manual"]:
    """Return who is to decide on edits: what changes a kernel, or is done by other programs, is never ``safe``."""
    if not edits:
        return "manual"
    programs = (RunCommand, InstallPackages, RemovePackages)
    return "unsafe" if any(isinstance(one, programs) or acts_on(one) == "kernel" for one in edits) else "safe"


def failures(result: Result) -> frozenset[_Key]:
    """Return what keeps a subject from running as it is meant: each need that is not met, or met by the wrong thing.

    What nobody can tell counts as well. A need that fails only as a consequence of another does not.
    """
    return frozenset(_key(step) for step in result.trace.needs if _fails(step))


def _fails(step: Step) -> bool:
    if step.because is not None:
        return False
    if step.answer is Answer.MET:
        return step.taken == "foreign"
    return step.answer is Answer.UNKNOWN or (step.answer is Answer.UNMET and step.fatal)


def _key(step: Step) -> _Key:
    return step.need.kind, step.need.name, step.taken or step.answer.value


def _judge(situation: Situation, cause: Step, proposal: Proposal) -> tuple[bool, bool, str]:
    """Return whether the cause is gone now, whether it stays gone, and what that was told from."""
    try:
        now = edited(situation.target, proposal.edits)
        if situation.at_boot and situation.boot is not None:
            now = situation.boot(now)
        wrong = next(_wrong(situation, cause, proposal, now), "")
        if wrong or not proposal.stays:
            return not wrong, False, wrong or _NOW
        if situation.boot is None:
            return True, False, f"{_NOW}; what the target does at its next boot is not known"
        later = next(_wrong(situation, cause, proposal, situation.boot(now)), "")
    except (RunworthyError, OSError) as error:
        return False, False, f"cannot be judged: {error}"
    return not later, not later, f"after the next boot {later}" if later else f"{_NOW}, {_BOOT}"


def _wrong(situation: Situation, cause: Step, proposal: Proposal, target: Target) -> Iterator[str]:
    """Yield in words what fails on a target: the cause still, or something that did not before."""
    result = situation.judge(target, proposal.path or situation.path)
    before, after = failures(situation.result), failures(result)
    if _key(cause) in after:
        yield f"it is as before: {cause.need.name} {cause.detail}".strip()
    for kind, name, answer in sorted(after - before):
        yield f"{kind} {name} is {answer}"
    if result.verdict == "fails" and not after:
        yield "it fails"
