"""Installed environments judged as directories, each file from its real place, against the real loaders.

Here the whole way is compared, from the walk over the directory to the result of each file, where
:mod:`tests.differential.trees` asks the simulators. What the walk finds is compared with scanelf in
``tests/targets/test_trees.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runworthy.engine import Engine, Wishes
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import FormatError
from runworthy.model.finding import Result
from runworthy.model.trace import Answer as Met
from runworthy.simulate.launch import Launch
from runworthy.targets.names import MachineWish, TargetName
from tests.differential.model import Model
from tests.differential.trees import Comparison, differences
from tests.judges import panel, roots
from tests.judges.answer import Answer
from tests.judges.roots import Root

__all__ = ["ENVIRONMENTS", "ROOTS", "compare_directory", "compare_results"]

_AT = "/mnt/subject"
_BROUGHT, _FIRST = "loaded-by-sibling", "wants-sibling-first"

ROOTS = ("bullseye-amd64", "bookworm-amd64", "trixie-amd64", "musl-1.2.2-x86_64", "musl-1.2.5-x86_64")
ENVIRONMENTS = ("venv", "node_modules", "python", "/usr")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A result with the process in which its file was judged: that of ``process``, with ``preload`` loaded before."""

    result: Result
    process: str
    preload: str = ""


def compare_directory(name: str, environment: str) -> Comparison:
    """Judge an environment on the root ``name`` and ask its loader about every file. Skips where one is absent."""
    root = roots.requires(name)
    directory = _directory(environment)
    binds = {_AT: directory}
    return compare_results(Model(root, binds=binds), _results(root, directory), binds=binds)


def compare_results(
    model: Model, results: Iterable[Result], *, binds: Mapping[str, Path], layers: Sequence[Path] = ()
) -> Comparison:
    """Ask a root, with what is bound into it and laid over it, about each file of which there is a result."""
    root = model.root
    asked = [_asked(result) for result in results if _can_be_asked(result, model)]
    dead = 0
    wrong: dict[str, object] = {}
    for one, answer in _answers(root, asked, binds, layers):
        if answer.unparsed and root.libc == "glibc":
            wrong[one.result.subject] = answer.unparsed
        elif answer.died:
            dead += 1
        elif found := _compared(model, one, answer):
            wrong[one.result.subject] = found
    return Comparison(subjects=len(asked), dead=dead, wrong=wrong)


def _directory(environment: str) -> Path:
    if environment == "python":
        return Path(sys.base_prefix).resolve()
    return Path(environment) if environment.startswith("/") else roots.requires_environment(environment)


def _results(root: Root, directory: Path) -> tuple[Result, ...]:
    """Return what the engine says of every file that it finds, with the directory at its place in the root."""
    target = TargetName(text=f"rootfs:{root.path}", wish=MachineWish(platform=root.arch))
    wishes = Wishes(launch=Launch(until="bind"), at=_AT)
    return Engine(wishes).check([str(directory)], [target]).results


def _can_be_asked(result: Result, model: Model) -> bool:
    """Whether this root's loader takes part: not for other machines, static programs and those of other loaders.

    Nor where the kernel refuses a program for its mode, to which a loader that is started by hand does not look.
    """
    facts = _facts(model, result.path)
    if facts is None or not facts.dynamic or facts.architecture is not model.target.arch:
        return False
    if not facts.is_program:
        return result.trace.stretches[0].loader == model.root.loader
    if any(step.need.kind == "permission" and step.answer is Met.UNMET for step in result.trace.needs):
        return False
    return facts.interpreter is not None and model.real(facts.interpreter) == model.real(model.root.loader)


def _facts(model: Model, path: str) -> ElfFacts | None:
    try:
        return model.view.elf(path).facts
    except (FormatError, OSError):
        return None


def _asked(result: Result) -> _Asked:
    events = list(result.trace.events)
    brought = next((event for event in events if event.kind == _BROUGHT), None)
    if brought is not None:
        return _Asked(result=result, process=brought.text.rpartition(" loads it with ")[0])
    first = dict.fromkeys(event.text.rpartition(" is ")[0] for event in events if event.kind == _FIRST)
    return _Asked(result=result, process=result.path, preload=":".join(first))


def _answers(
    root: Root, asked: list[_Asked], binds: Mapping[str, Path], layers: Sequence[Path]
) -> Iterator[tuple[_Asked, Answer]]:
    """Yield the loader's answer about each process."""
    for preload in sorted({one.preload for one in asked}):
        share = [one for one in asked if one.preload == preload]
        env = {"LD_PRELOAD": preload} if preload else None
        answers = panel.ask_many(root, [one.process for one in share], binds=binds, layers=layers, env=env)
        yield from ((one, answer) for one, (_, answer) in zip(share, answers, strict=True))


def _compared(model: Model, one: _Asked, answer: Answer) -> dict[str, object]:
    """Return what differs. Of a file in the process of another one, only what concerns its own needs."""
    said = model.said(one.result.trace)
    if one.process == one.result.path and not one.preload:
        return differences(model, said, answer)
    facts = _facts(model, one.result.path)
    assert facts is not None
    found: dict[str, object] = {}
    if lost := answer.missing_names & set(facts.needed):
        found["missing"] = lost
    own = {(row.symbol, row.version) for row in answer.undefined if model.real(row.object) == one.result.path}
    ours = {(symbol, version) for path, symbol, version in said.undefined if path == one.result.path}
    if own != ours:
        found["undefined"] = (ours, own)
    if one.process != one.result.path and one.result.path not in map(model.real, answer.chosen.values()):
        found["chosen"] = answer.chosen
    return found
