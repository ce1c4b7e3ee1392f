"""The proof of a remedy: the subject is judged again on the target with the edits in place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Literal

from runworthy.model.binfmt import Handlers
from runworthy.model.edit import (
    DisableHandler,
    Edit,
    InstallPackages,
    RegisterHandler,
    RemovePackages,
    RunCommand,
    UnregisterHandler,
    actions,
    acts_on,
)
from runworthy.model.errors import RunworthyError
from runworthy.model.finding import Remedy, Result
from runworthy.model.trace import Answer, Step
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.binfmt.difference import difference
from runworthy.targets.edits import edited
from runworthy.targets.target import Target

__all__ = ["applicability", "failures", "first_cause", "is_failure", "is_needless", "judged", "lost"]

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


def first_cause(result: Result) -> Step | None:
    """Return the step at which a subject fails before its loader: the first met by the wrong thing, or not met."""
    for step in result.trace.needs:
        fails = step.taken == "foreign" or (step.answer is Answer.UNMET and step.fatal)
        if fails and step.stage == "exec" and step.because is None:
            return step
    return None


def is_needless(target: Target, step: Step) -> bool:
    """Whether a step is the emulation of a program that the machine of the target runs by itself."""
    return step.taken == "emulated" and step.need.name == target.arch.name


def failures(result: Result) -> frozenset[_Key]:
    """Return what keeps a subject from running as it is meant: each need that is not met, or met by the wrong thing.

    What nobody can tell counts as well. A need that fails only as a consequence of another does not.
    """
    return frozenset(_key(step) for step in result.trace.needs if is_failure(step))


def is_failure(step: Step) -> bool:
    """Whether a need is not met, met by the wrong thing, or nobody can tell, for no other's sake."""
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
        if not situation.at_boot or situation.boot is None:
            wrong = next(_wrong(situation, cause, proposal, now), "")
            if wrong or not proposal.stays:
                return not wrong, False, wrong or _NOW
        if situation.boot is None:
            return True, False, f"{_NOW}; what the target does at its next boot is not known"
        boot = situation.boot(now)
        gone = lost(situation.boot(situation.target).handlers, boot.handlers, proposal.edits)
        later = next(chain(_wrong(situation, cause, proposal, boot), gone), "")
    except (RunworthyError, OSError) as error:
        return False, False, f"cannot be judged: {error}"
    return not later, proposal.stays and not later, f"after the next boot {later}" if later else f"{_NOW}, {_BOOT}"


def lost(before: Handlers, after: Handlers, edits: tuple[Edit, ...]) -> Iterator[str]:
    """Yield the handlers that are otherwise by the edits, though none of these names them."""
    named = {_named(edit) for edit in actions(edits)}
    found = difference(before, after)
    for one in (*found.lost, *(old for old, _ in found.changed)):
        if one.name not in named:
            yield f"the handler {one.name} ({one.interpreter}) is lost as well"


def _named(edit: Edit) -> str:
    """Return the name of the handler that an edit is about, empty where it is about none."""
    if isinstance(edit, RegisterHandler):
        return edit.handler.name
    return edit.name if isinstance(edit, (DisableHandler, UnregisterHandler)) else ""


def _wrong(situation: Situation, cause: Step, proposal: Proposal, target: Target) -> Iterator[str]:
    """Yield in words what fails on a target: the cause still, or something that did not before."""
    result = situation.judge(target, proposal.path or situation.path)
    before, after = failures(situation.result), failures(result)
    still = next((step for step in result.trace.needs if _is_as(step, cause)), None)
    if still is not None:
        what = f"is taken by {still.met_by}" if still.taken else still.detail
        yield f"it is as before: {still.need.name} {what}".strip()
    for kind, name, answer in sorted(after - before):
        yield f"{kind} {name} is {answer}"
    if result.verdict == "fails" and not after:
        yield "it fails"


def _is_as(step: Step, cause: Step) -> bool:
    """Whether a cause is still there, perhaps by another handler."""
    return _key(step) == _key(cause) and (is_failure(step) or cause.taken == "emulated")
