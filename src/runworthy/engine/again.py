"""One subject judged once more: on another target, or on the same with edits in place."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING

from runworthy.engine.context import runtime_names
from runworthy.engine.results import Cell, result_of
from runworthy.formats.content import release
from runworthy.formats.elf import is_elf
from runworthy.model.finding import Result
from runworthy.simulate.process import Machinery, simulate
from runworthy.targets.target import Target

if TYPE_CHECKING:
    from runworthy.model.elf import ElfFacts
    from runworthy.model.program import FileFacts
    from runworthy.simulate.launch import Launch

__all__ = ["Latest", "judge_again"]


class Latest:
    """The machinery of the target that was judged last: what several files ask of it is found once."""

    def __init__(self) -> None:
        self._held: Machinery | None = None

    def machinery(self, target: Target, launch: Launch) -> Machinery:
        """Return the machinery for a target, whose root does not change any more."""
        held = self._held
        if held is None or held.target is not target or held.launch != launch:
            held = self._held = Machinery(target, launch, runtime_names(target.arch))
        return held


def judge_again(name: str, launch: Launch, latest: Latest | None = None) -> Callable[[Target, str], Result]:
    """Return what judges the file at a path of a target, which is called ``name``, with every step kept.

    ``latest`` is for files that are judged one after the other on one target. It raises FormatError, OSError and
    UnseenError for a file that is not to be read.
    """
    latest = latest or Latest()

    def judge(target: Target, path: str) -> Result:
        real = target.view.resolve(path).path
        facts, file = _facts_of(target, real)
        base = posixpath.basename(path)
        called = "" if base == posixpath.basename(real) else posixpath.join(posixpath.dirname(real), base)
        machinery = latest.machinery(target, launch)
        if file is None:  # a library is loaded, and not executed
            trace = simulate(machinery, real, target.view.elf(real), called)
        else:
            from runworthy.simulate.start import start

            trace = start(machinery, real, file, None, called)
        return result_of(
            Cell(subject=name, target=target.name, path=real, trace=trace, facts=facts, file=file, root=target)
        )

    return judge


def _facts_of(target: Target, real: str) -> tuple[ElfFacts | None, FileFacts | None]:
    """Return what an ELF file says, or what any other file is."""
    content = target.view.content(real)
    try:
        if is_elf(content):
            return target.view.elf(real).facts, None
        from runworthy.formats.identify import identify

        return None, identify(content)
    finally:
        release(content)
