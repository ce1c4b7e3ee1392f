"""Which remedies there are for a subject that fails before its loader starts, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runworthy.model.finding import Remedy
from runworthy.model.trace import Step
from runworthy.remedies import ape, conflict, interpreters, permission
from runworthy.remedies.judging import first_cause, is_needless, judged
from runworthy.remedies.situation import Proposal, Situation

__all__ = ["cause_of", "exec_planner", "plan"]

Planner = Callable[[Situation, Step], Iterator[Proposal]]

_APE_KINDS = frozenset({"exec-format", "caller", "payload", "tool", "scratch-directory"})
_PLANNERS: dict[str, Planner] = {
    "exec-format": interpreters.format_proposals,
    "caller": interpreters.format_proposals,
    "handler": interpreters.handler_proposals,
    "script-interpreter": interpreters.script_proposals,
    "permission": permission.proposals,
    "rewrites": conflict.disable,
    "tool": interpreters.command_proposals,
}


def plan(situation: Situation) -> tuple[Remedy, ...]:
    """Return the remedies of a situation: what is proved first, of that what stays; else in the planner's order.

    None of them is carried out. Where nothing fails, or nobody knows what helps, there are none. What is a last resort
    is proposed only where nothing else is proved.
    """
    cause = cause_of(situation)
    planner = exec_planner(situation, cause) if cause else None
    if cause is None or planner is None:
        return ()
    proposals = list(planner(situation, cause))
    remedies = [judged(situation, cause, one) for one in proposals if not one.last]
    if not any(one.proved for one in remedies):
        remedies += [judged(situation, cause, one) for one in proposals if one.last]
    first = [one for one in remedies if one.proved and one.stays]
    then = [one for one in remedies if one.proved and not one.stays]
    return (*first, *then, *(one for one in remedies if not one.proved))


def cause_of(situation: Situation) -> Step | None:
    """Return the step that is to be turned away: at which it fails, or an emulation that nobody needs."""
    return first_cause(situation.result) or next(
        (one for one in situation.result.trace.needs if is_needless(situation.target, one)), None
    )


def exec_planner(situation: Situation, cause: Step) -> Planner | None:
    """Return who knows what helps against a cause that lies before the loader, None where nobody does."""
    if cause.stage != "exec":
        return None
    if situation.file is not None and situation.file.type == "ape" and _concerns_ape(situation, cause):
        return ape.proposals
    if cause.taken == "foreign":
        return conflict.proposals
    if cause.taken == "emulated":
        return conflict.disable if is_needless(situation.target, cause) else None
    return _PLANNERS.get(cause.need.kind)


def _concerns_ape(situation: Situation, cause: Step) -> bool:
    """Whether it is by its being an APE that a file fails: what it unpacks is no file of anybody else's."""
    kind = cause.need.kind
    return kind in _APE_KINDS or (kind == "permission" and cause.need.by not in (situation.real, situation.path))
