"""Libraries that a file says it opens at run time: ``.note.dlopen`` (UAPI group, ELF dlopen metadata)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runworthy.model.elf import DlopenNote, ElfFacts
from runworthy.model.trace import Answer, Evidence, Need, Step
from runworthy.targets.target import Target

__all__ = ["optional_steps"]


def optional_steps(facts: ElfFacts, path: str, finds: Callable[[str], bool], target: Target) -> Iterator[Step]:
    """Yield each note of which no library is found; ``finds`` searches as the loader would for the file itself."""
    for note in facts.dlopen_notes:
        if note.sonames and not any(target.assumes(name) or finds(name) for name in note.sonames):
            yield _step(note, path, target)


def _step(note: DlopenNote, path: str, target: Target) -> Step:
    absent = all(target.absent(name) for name in note.sonames)
    need = Need(kind="dlopen", name=note.sonames[0], by=path, evidence=Evidence(file=path, section=".note.dlopen"))
    return Step(
        stage="environment",
        need=need,
        answer=Answer.UNMET if absent else Answer.UNKNOWN,
        why=None if absent else "outside-core",
        fatal=False,
        detail=f"{note.priority or 'recommended'}: {note.description or note.feature}",
    )
