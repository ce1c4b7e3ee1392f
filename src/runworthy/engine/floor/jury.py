"""The files of a release on one target after the other, and what stands in their way there."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runworthy.engine.assets import asset_of
from runworthy.engine.context import runtime_names
from runworthy.engine.subjects import MARK, Subject
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
from runworthy.targets.additions import lay
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT, Source, place
from runworthy.targets.target import Target

if TYPE_CHECKING:
    from runworthy.engine.containers import Holder
    from runworthy.engine.opening import Given

__all__ = ["CLEAN", "Bench", "Gathered", "Hindrance", "Jury", "Shipped", "Standing", "gather"]


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
    """An ELF file that was given. ``name`` is what people know it by.

    ``holder`` is the archive that it lies in; ``asset`` is the part of a release that it belongs to, empty where it is
    none that comes in parts.
    """

    name: str
    source: Source
    elf: ElfFile
    holder: Holder | None = None
    asset: str = ""

    @property
    def place(self) -> str:
        """Its path in every root; that of what a package lays into the root itself, as if it lay apart from that."""
        return f"{self.holder.apart if self.holder else SUBJECT_ROOT}{self.source.real}"


@dataclass(slots=True)
class Bench:
    """A target with every file of the release shown in it. ``package`` has laid its files into the root."""

    target: Target
    machinery: Machinery
    paths: Mapping[str, str]
    package: Holder | None = None

    def place(self, path: str) -> str:
        """Return a path of the root as it is the same in every root: that of a package's file as Shipped has it."""
        view = self.target.view
        if self.package is None or not isinstance(view, Overlay):
            return path
        try:
            origin = view.origin(path)
        except OSError:  # what steps name need not be a file of the root
            return path
        return f"{self.package.apart}{origin[1]}" if origin and origin[0] is self.package.view else path


@dataclass(slots=True)
class Jury:
    """Judges the files of one architecture. ``present`` are libraries that every target is taken to have.

    ``copies`` leads from the place of a copy to that of the file that is judged for it. Files of an archive are judged
    with one another alone.
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
            held = _standing(self.trace(file, target), self.bench(target).place)
            self._standings[file.name, target] = held
        return held

    def trace(self, file: Shipped, target: str, machine: Machine | None = None) -> Trace:
        """Return what happens to a file on a target, on another machine than the usual one if that is given."""
        bench = self.bench(target)
        machinery = bench.machinery
        if machine is not None:
            machinery = replace(machinery, target=replace(bench.target, machine=machine))
        path = bench.paths[file.name]
        return simulate(machinery, path, bench.target.view.elf(path))

    def own_objects(self, file: Shipped, target: str) -> Iterator[tuple[str, str]]:
        """Yield (name asked for, place) of what a file loads on a target of all that was given with it."""
        bench = self.bench(target)
        path = bench.paths[file.name]
        machinery = replace(bench.machinery, launch=Launch(until="load"))
        trace = simulate(machinery, path, bench.target.view.elf(path))
        for name, loaded in trace.stretches[-1].loaded:
            place = bench.place(loaded)
            if place.startswith(f"{SUBJECT_ROOT}/"):
                yield posixpath.basename(name), place

    def elf(self, target: str, place: str) -> ElfFile:
        """Return the file at a place, one of the target's own from that. Raises TargetError, FormatError, OSError."""
        package = self._package
        if package is not None and place.startswith(f"{package.apart}/"):
            return package.view.elf(place[len(package.apart) :])
        return self.bench(target).target.view.elf(place)

    def bench(self, name: str) -> Bench:
        """Return a target with everything in place. Raises TargetError."""
        held = self._benches.get(name)
        if held is None:
            target = replace(TargetName(name).open(self.arch), present=self.present)
            overlay = Overlay(target.view)
            package = self._package
            if package is not None:
                lay(package.name, package.view, target, overlay)
            target = replace(target, view=overlay)
            paths = {file.name: place(file.source, target, overlay) for file in self.files}
            machinery = Machinery(target, Launch(until="machine"), runtime_names(target.arch))
            held = self._benches[name] = Bench(target, machinery, paths, package)
        return held

    def benches(self) -> Iterator[Bench]:
        """Yield the targets that have been opened."""
        return iter(self._benches.values())

    def shown(self, path: str) -> str:
        """Return a place as people know it."""
        given = self._names().get(path)
        if given is not None:
            return given
        holder = next((file.holder for file in self.files), None)
        if holder is not None and path.startswith(f"{holder.apart}/"):
            return f"{holder.name}{MARK}{holder.view.name_at(path[len(holder.apart) :])}"
        real = path.removeprefix(SUBJECT_ROOT)
        relative = os.path.relpath(real)
        return real if relative.startswith(os.pardir) else relative

    @property
    def _package(self) -> Holder | None:
        """The system's package that all of the files come in, None where they come in none."""
        return next((file.holder for file in self.files if file.source.is_installed), None)

    def judged(self, path: str) -> str:
        """Return the path in a root under which the bytes of a file are judged: its own, or that of its first copy."""
        return self.copies.get(path, path)

    def _names(self) -> Mapping[str, str]:
        return {file.place: file.name for file in self.files}


@dataclass(slots=True)
class Gathered:
    """The files that names stand for. ``problems`` say why others cannot be judged, ``copies``: see Jury."""

    files: list[Shipped]
    problems: dict[str, str]
    copies: dict[str, str]


def gather(given: Iterable[Given]) -> Gathered:
    """Return the ELF files that are given, those in directories and archives included."""
    files: dict[str, Shipped] = {}
    problems: dict[str, str] = {}
    copies: dict[str, str] = {}
    for one in given:
        aliases = {name: names for tree in one.trees for name, names in tree.aliases.items()}
        problems |= {held.name: held.container.problem for held in one.holders if held.container.problem}
        for subject in one.files:
            try:
                file = _read(subject, one)
            except FormatError as error:
                problems[subject.name] = error.message
            except OSError as error:
                problems[subject.name] = error.strerror or "cannot be read"
            else:
                files.setdefault(file.place, file)
                above = posixpath.dirname(file.place)
                names = map(posixpath.basename, aliases.get(file.name, ()))
                copies |= {posixpath.join(above, name): file.place for name in names}
    return Gathered(list(files.values()), problems, copies)


def _read(subject: Subject, given: Given) -> Shipped:
    """Return the file. Raises FormatError, OSError for one that cannot be judged."""
    source = subject.source
    if subject.problem is not None or source is None:
        raise subject.problem or FormatError("cannot be read")
    elf = source.view.elf(source.real)
    if elf.facts.architecture is None:
        raise FormatError("is built for an architecture that is not known")
    elf.imports(), elf.go()  # what is wrong with them is to be known before anything is judged
    return Shipped(subject.name, source, elf, subject.holder, asset_of(given, subject, elf.facts))


def _standing(trace: Trace, place: Callable[[str], str]) -> Standing:
    """Return what stands in the way, consequences left out; ``place`` is where a file lies in every root."""
    known_host = known_host_in(trace)
    found: dict[str, set[Hindrance]] = {"fails": set(), "risky": set(), "unknown": set()}
    for step in trace.needs:
        if step.answer in (Answer.UNMET, Answer.UNKNOWN) and step.because is None and step.assumption is None:
            weight = weight_of(step, known_host=known_host)
            if weight in found:
                found[weight].add(_hindrance(step, place(step.need.by)))
    if not any(found.values()):
        return CLEAN
    return Standing(*(frozenset(found[weight]) for weight in ("fails", "risky", "unknown")))


def _hindrance(step: Step, by: str) -> Hindrance:
    need = step.need
    versioned = need.kind in ("symbol-version", "symbol")
    return Hindrance(
        by=by,
        kind=need.kind,
        name=need.name,
        version=need.version or "",
        file=need.file or "",
        detail="" if versioned and need.version != "GLIBC_ABI_DT_RELR" else step.detail,
        lazy=need.lazy,
    )
