"""RW125: an APE program holds no code for the machine, or none that a loader takes."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.program import ApeElf, ApeFacts
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, severity_of
from runworthy.rules.words import finding, help_, listed, unique

CODE = "RW125"
NAME = "ape-without-code"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("payload:unmet",)
ORDER = 50

_LOADER_SAYS = "the APE loader says `couldn't find ELF header with ... machine type`"
_SAYS = f"its script says `this ape program lacks ... support` and exits with 127; {_LOADER_SAYS}"


def check(case: Case) -> Iterator[Match]:
    """Yield the APE program that is of no use on this machine."""
    for step in case.steps("payload"):
        yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    ape = case.file.ape if case.file and step.need.by == case.path else None
    wanted = step.need.name
    loader = wanted.startswith("loader ")
    message = f"`{case.needer(step.need)}` is an APE program without a {wanted}" if loader else _message(case, step)
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        message,
        cause=_cause(ape, wanted),
        items=(wanted,),
        steps=(step,),
        notes=(
            _why_not(ape, wanted) if ape and not loader else step.detail,
            "" if loader else _says(ape, wanted),
            assumption_note((step,)),
        ),
        remedies=() if loader else tuple(map(help_, _helps(ape, wanted))),
    )


def _cause(ape: ApeFacts | None, wanted: str) -> str:
    """Return the cause without what differs from file to file: where a header lies."""
    if wanted.startswith("loader "):
        return f"an APE program without a {wanted}"
    refused, far = _headers(ape, wanted)
    if refused is not None:
        return f"an APE program whose code for {wanted} no loader takes: {refused.problem}"
    return (
        f"an APE program with a header for {wanted} too far behind"
        if far
        else f"an APE program without code for {wanted}"
    )


def _says(ape: ApeFacts | None, wanted: str) -> str:
    """Tell what is seen: the script knows no fault of a header that is there, and each loader tells its own."""
    refused, far = _headers(ape, wanted)
    return "" if refused is not None else _LOADER_SAYS if far is not None else _SAYS


def _helps(ape: ApeFacts | None, wanted: str) -> Iterator[str]:
    refused, far = _headers(ape, wanted)
    if refused is not None:
        yield f"build it anew, by an `apelink` that writes a header for {wanted} which loaders take"
    elif far is not None:
        yield "build it anew, by an `apelink` that writes its headers into the first 8192 bytes"
    else:
        yield f"build it for {wanted} too: `apelink` joins builds of several processors"


def _message(case: Case, step: Step) -> str:
    ape = case.file.ape if case.file and step.need.by == case.path else None
    inside = listed(_named(ape.elves)) if ape else ""
    if ape and _why_not(ape, step.need.name):
        return (
            f"`{case.needer(step.need)}` is an APE program whose code for {step.need.name}, "
            f"the machine of {case.target}, no loader takes"
        )
    held = f"holds code for {inside}" if inside else "holds no code for Linux"
    return f"`{case.needer(step.need)}` is an APE program that {held}, the machine of {case.target} is {step.need.name}"


def _named(elves: tuple[ApeElf, ...]) -> list[str]:
    return unique(one.arch or f"machine {one.machine}" for one in elves if not one.problem)


def _why_not(ape: ApeFacts, wanted: str) -> str:
    """Tell of a header for the machine that is there and is not taken."""
    refused, far = _headers(ape, wanted)
    if refused is not None:
        return f"the ELF header for {wanted} at offset {refused.at:#x} is passed over: {refused.problem}"
    if far is not None:
        return f"an ELF header for {wanted} lies at offset {far.at:#x}; loaders look at the first 8192 bytes alone"
    return ""


def _headers(ape: ApeFacts | None, wanted: str) -> tuple[ApeElf | None, ApeElf | None]:
    """Return a header for a machine that loaders refuse, and one that lies too far behind for them."""
    if ape is None:
        return None, None
    refused = next((one for one in ape.elves if one.arch == wanted and one.problem), None)
    return refused, next((one for one in ape.far_elves if one.arch == wanted), None)
