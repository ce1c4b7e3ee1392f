"""What unpackers make of an archive's odd members: steps that say what is refused, what is doubtful, what is unread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from runworthy.model.archive import Container, Oddity
from runworthy.model.trace import Answer, Evidence, Need, Step, Stretch, Trace

__all__ = ["AMBIGUOUS", "UNREAD", "UNSAFE", "container_trace"]

UNSAFE: Final[tuple[str, ...]] = ("outside", "link-outside", "through-link", "device")
"""What would reach out of the directory that an archive is unpacked in, or be more than a file in it."""
AMBIGUOUS: Final[tuple[str, ...]] = ("duplicate", "name", "overlap", "disagrees")
"""What unpackers do not agree on."""
UNREAD: Final[tuple[str, ...]] = ("size", "encrypted", "method", "damaged", "nested", "problem")
"""Why something of an archive could not be judged; ``problem`` is about the archive itself."""

_ANSWERS: Final[Mapping[str, Answer]] = {
    **dict.fromkeys((*UNSAFE, *AMBIGUOUS), Answer.UNMET),
    **dict.fromkeys(UNREAD, Answer.UNKNOWN),
}


def container_trace(container: Container) -> Trace:
    """Return a need for each oddity of an archive, without a stretch where there is none.

    The need's name is the member, empty for the archive itself and for what is only counted; its version is what is
    odd. An unmet one is fatal where the member is left out: unpackers refuse it, and some of them all the rest.
    """
    steps = tuple(_steps(container))
    return Trace(stretches=(_stretch(container, steps),) if steps else ())


def _stretch(container: Container, steps: tuple[Step, ...]) -> Stretch:
    return Stretch(object=container.name, machine="", loader="", root="", steps=steps)


def _steps(container: Container) -> Iterator[Step]:
    for oddity in container.oddities:
        yield _step(container, oddity.kind, oddity)
    if container.problem:
        yield _step(container, "problem", Oddity(kind="damaged", member="", detail=container.problem))


def _step(container: Container, kind: str, oddity: Oddity) -> Step:
    answer = _ANSWERS[kind]
    at = Evidence(file=container.name, offset=oddity.offset) if oddity.offset is not None else None
    return Step(
        stage="environment",
        need=Need(kind="archive-member", name=oddity.member, by=container.name, version=kind, evidence=at),
        answer=answer,
        why="unreadable" if answer is Answer.UNKNOWN else None,
        fatal=not oddity.read,
        detail=oddity.detail,
    )
