"""What a live judge says, put beside what a case records."""

from tests.judges.answer import Answer, Missing
from tests.judges.panel import Judge
from tests.judges.process import Outcome

from .build import Composed
from .recipe import Listing, Start, Truth


def judge_for(composed: Composed, truth: Truth) -> Judge:
    """A judge over a case's small root, as `truth` wants it."""
    machine = composed.root.arch if truth.emulator is not None else None
    return Judge(composed.root, proc=truth.proc, machine=machine)


def differences(judge: Judge, truth: Truth) -> dict[str, object]:
    """Everything in which the live judge differs from the record: said, recorded."""
    if isinstance(truth, Start):
        return _start_differences(truth, started(judge, truth))
    return _listing_differences(truth, listed(judge, truth))


def listed(judge: Judge, truth: Listing) -> Answer:
    """The live judge's listing."""
    if truth.started:
        return judge.ask_started(truth.subject, env=truth.env, cwd=truth.cwd, uid=truth.uid, emulator=truth.emulator)
    return judge.ask(truth.subject, env=truth.env, cwd=truth.cwd, emulator=truth.emulator)


def started(judge: Judge, truth: Start) -> Outcome:
    """How the program really ended."""
    return judge.run(
        [truth.subject, *truth.arguments],
        env=truth.env,
        cwd=truth.cwd,
        uid=truth.uid,
        emulator=truth.emulator,
    )


def _listing_differences(truth: Listing, answer: Answer) -> dict[str, object]:
    recorded = {
        "missing": {Missing(*((name,) if isinstance(name, str) else name)) for name in truth.missing},
        "versions": set(truth.versions),
        "undefined": set(truth.undefined),
        "relocations": set(truth.relocations),
        "chosen": dict(truth.chosen),
        "unparsed": (),
    }
    said = {
        "missing": set(answer.missing_libraries),
        "versions": set(map(tuple, answer.missing_versions)),
        "undefined": set(map(tuple, answer.undefined)),
        "relocations": set(map(tuple, answer.bad_relocations)),
        "chosen": dict(answer.chosen),
        "unparsed": answer.unparsed,
    }
    wrong: dict[str, object] = {key: (said[key], recorded[key]) for key in said if said[key] != recorded[key]}
    if (truth.fatal is None) != (answer.fatal is None) or (truth.fatal or "") not in (answer.fatal or ""):
        wrong["fatal"] = (answer.fatal, truth.fatal)
    if not _covered(answer.warnings, truth.warnings):
        wrong["warnings"] = (answer.warnings, truth.warnings)
    return wrong


def _covered(lines: frozenset[str], parts: tuple[str, ...]) -> bool:
    """Whether every line holds a recorded part, and every part is in a line."""
    return all(any(part in line for part in parts) for line in lines) and all(
        any(part in line for line in lines) for part in parts
    )


def _start_differences(truth: Start, outcome: Outcome) -> dict[str, object]:
    wrong: dict[str, object] = {}
    expected = None if truth.errno is not None else truth.rc
    if outcome.rc != expected or outcome.errno != truth.errno:
        wrong["end"] = (outcome, expected, truth.errno)
    absent = [part for part in truth.stderr if part not in outcome.stderr]
    if absent:
        wrong["stderr"] = (outcome.stderr, absent)
    return wrong
