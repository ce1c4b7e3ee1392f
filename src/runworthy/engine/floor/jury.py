"""The files of a release on one target after the other, and what stands in their way there."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from runworthy.engine.context import runtime_names
from runworthy.engine.verdict import known_host_in, weight_of
from runworthy.model.arch import Architecture
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.finding import Verdict
from runworthy.model.machine import Machine
from runworthy.model.records import dataclass, field, replace
from runworthy.model.trace import Answer, Step, Trace
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery, simulate
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT, Source, locate, place
from runworthy.targets.target import Target

__all__ = ["CLEAN", "Bench", "Gathered", "Hindrance", "Jury", "Shipped", "Standing", "gather", "own_objects"]


class Hindrance(NamedTuple):
    """A step that is not met on a target, as far as it may be the same on another one. ``by`` is a path in the root."""

    by: str
    kind: str
    name: str
    version: str = ""
    file: str = ""
    detail: str = ""
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How a file stands on a target: what ends it there, what it may miss later, what is not known."""

    fatal: frozenset[Hindrance] = frozenset()
    later: frozenset[Hindrance] = frozenset()
    unknown: frozenset[Hindrance] = frozenset()

    @property
    def all(self) -> frozenset[Hindrance]:
        """Everything that is not met for certain."""
        return self.fatal | self.later

    @property
    def verdict(self) -> Verdict:
        """The verdict, leaving aside what is assumed of a machine and what is left to a host."""
        if self.fatal:
            return "fails"
        if self.unknown:
            return "unknown"
        return "risky" if self.later else "runs"

    def joined(self, other: Standing) -> Standing:
        """Return how both files stand together."""
        return Standing(self.fatal | other.fatal, self.later | other.later, self.unknown | other.unknown)


CLEAN = Standing()


@dataclass(slots=True)
class Shipped:
    """An ELF file that was given. ``name`` is what people know it by."""

    name: str
    source: Source
    elf: ElfFile


@dataclass(slots=True)
class Bench:
    """A target with every file of the release shown in it."""

    target: Target
    machinery: Machinery
    paths: Mapping[str, str]


@dataclass(slots=True)
class Jury:
    """Judges the files of one architecture. ``present`` are libraries that every target is taken to have.

    ``copies`` leads from the path of a copy in a root to the path of the file that is judged for it.
    """

    arch: Architecture
    files: Sequence[Shipped]
    present: frozenset[str] = frozenset()
    copies: Mapping[str, str] = field(default_factory=dict)
    _benches: dict[str, Bench] = field(default_factory=dict)
    _standings: dict[tuple[str, str], Standing] = field(default_factory=dict)

    def standing(self, file: Shipped, target: str) -> Standing:
        """Return how a file stands on a target of the catalogue. Raises TargetError."""
        held = self._standings.get((file.name, target))
        if held is None:
            held = self._standings[file.name, target] = _standing(self.trace(file, target))
        return held

    def trace(self, file: Shipped, target: str, machine: Machine | None = None) -> Trace:
        """Return what happens to a file on a target, on another machine than the usual one if that is given."""
        bench = self.bench(target)
        machinery = bench.machinery
        if machine is not None:
            machinery = replace(machinery, target=replace(bench.target, machine=machine))
        path = bench.paths[file.name]
        return simulate(machinery, path, bench.target.view.elf(path))

    def loading(self, file: Shipped, target: str) -> Trace:
        """Return what a file loads on a target, before anything else is looked at."""
        bench = self.bench(target)
        path = bench.paths[file.name]
        machinery = replace(bench.machinery, launch=Launch(until="load"))
        return simulate(machinery, path, bench.target.view.elf(path))

    def bench(self, name: str) -> Bench:
        """Return a target with everything in place. Raises TargetError."""
        held = self._benches.get(name)
        if held is None:
            target = replace(TargetName(name).open(self.arch), present=self.present)
            overlay = Overlay(target.view)
            target = replace(target, view=overlay)
            paths = {file.name: place(file.source, target, overlay) for file in self.files}
            machinery = Machinery(target, Launch(until="machine"), runtime_names(target.arch))
            held = self._benches[name] = Bench(target, machinery, paths)
        return held

    def benches(self) -> Iterator[Bench]:
        """Yield the targets that have been opened."""
        return iter(self._benches.values())

    def shown(self, path: str) -> str:
        """Return a path of a root as people know it."""
        real = path.removeprefix(SUBJECT_ROOT)
        given = self._names().get(real)
        if given is not None:
            return given
        relative = os.path.relpath(real)
        return real if relative.startswith(os.pardir) else relative

    def judged(self, path: str) -> str:
        """Return the path in a root under which the bytes of a file are judged: its own, or that of its first copy."""
        return self.copies.get(path, path)

    def _names(self) -> Mapping[str, str]:
        return {file.source.real: file.name for file in self.files}


@dataclass(slots=True)
class Gathered:
    """The files that names stand for. ``problems`` say why others cannot be judged, ``copies``: see Jury."""

    files: list[Shipped]
    problems: dict[str, str]
    copies: dict[str, str]


def gather(names: Iterable[str]) -> Gathered:
    """Return the ELF files that the names stand for, those in directories included."""
    view = DirectoryView("/")
    files: dict[str, Shipped] = {}
    problems: dict[str, str] = {}
    copies: dict[str, str] = {}
    for name in names:
        for one, source, problem in _found(name, view, copies):
            try:
                file = _read(one, source, problem)
                files.setdefault(file.source.real, file)
            except FormatError as error:
                problems[one] = error.message
            except OSError as error:
                problems[one] = error.strerror or "cannot be read"
    return Gathered(list(files.values()), problems, copies)


def _read(name: str, source: Source | None, problem: str) -> Shipped:
    """Return the file. Raises FormatError, OSError for one that cannot be judged."""
    if problem or source is None:
        raise FormatError(problem)
    if source.kind != "file":
        raise FormatError("is no regular file")
    elf = source.view.elf(source.real)
    if elf.facts.architecture is None:
        raise FormatError("is built for an architecture that is not known")
    elf.imports(), elf.go()  # what is wrong with them is to be known before anything is judged
    return Shipped(name, source, elf)


def _found(name: str, view: DirectoryView, copies: dict[str, str]) -> Iterator[tuple[str, Source | None, str]]:
    """Yield the files that a name stands for: the name of each, where it is, and why it cannot be judged."""
    try:
        if not os.path.isdir(name):
            yield name, locate(name, view), ""
            return
        from runworthy.engine.trees import open_tree

        tree, members, _ = open_tree(name, view)
        for found in members:
            for alias in tree.aliases.get(found.name, ()):
                copies[
                    SUBJECT_ROOT + posixpath.join(posixpath.dirname(found.source.real), posixpath.basename(alias))
                ] = SUBJECT_ROOT + found.source.real
            yield found.name, found.source, found.problem
    except OSError as error:
        yield name, None, error.strerror or "cannot be read"


def _standing(trace: Trace) -> Standing:
    """Return what stands in the way, consequences left out."""
    known_host = known_host_in(trace)
    found: dict[str, set[Hindrance]] = {"fails": set(), "risky": set(), "unknown": set()}
    for step in trace.needs:
        if step.answer in (Answer.UNMET, Answer.UNKNOWN) and step.because is None and step.assumption is None:
            weight = weight_of(step, known_host=known_host)
            if weight in found:
                found[weight].add(_hindrance(step))
    if not any(found.values()):
        return CLEAN
    return Standing(*(frozenset(found[weight]) for weight in ("fails", "risky", "unknown")))


def _hindrance(step: Step) -> Hindrance:
    need = step.need
    versioned = need.kind in ("symbol-version", "symbol")
    return Hindrance(
        by=need.by,
        kind=need.kind,
        name=need.name,
        version=need.version or "",
        file=need.file or "",
        detail="" if versioned and need.version != "GLIBC_ABI_DT_RELR" else step.detail,
        lazy=need.lazy,
    )


def own_objects(trace: Trace) -> Iterator[tuple[str, str]]:
    """Yield (name asked for, path) of the loaded objects that were given with the subject."""
    for name, path in trace.stretches[-1].loaded:
        if path.startswith(f"{SUBJECT_ROOT}/"):
            yield posixpath.basename(name), path
