"""Subjects x targets: reads each subject once, judges it on every target, and assembles the report."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runworthy.engine.context import launch_on, runtime_names
from runworthy.engine.opening import Given, archive_at, open_given
from runworthy.engine.results import Cell, result_of
from runworthy.engine.subjects import INSTALLED, MARK, Subject
from runworthy.engine.workers import in_workers, workers_for
from runworthy.model.arch import Architecture
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import ArchitectureError, FormatError, UsageError
from runworthy.model.finding import Report, Result, Tree
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass, field, replace
from runworthy.model.trace import Answer, Evidence, Need, Step, Stretch, Trace, Why
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery, simulate
from runworthy.targets.directory import DirectoryView, Trail
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import place
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError

if TYPE_CHECKING:
    from runworthy.engine.choices import Choices
    from runworthy.engine.containers import Holder
    from runworthy.engine.recall import Recall
    from runworthy.engine.siblings import Siblings
    from runworthy.model.storage import Environment
    from runworthy.targets.cache import Cache
    from runworthy.targets.trees import Watch

__all__ = ["Engine", "Wishes"]

_HANDFUL = 24
_LARGE = 8 << 20
"""Bytes of a file that takes longer to read, if it is an archive, than a cache to open."""

Addition = Callable[[Target, Overlay], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How a check is to be made.

    ``additions`` change every target's root before anything is judged (``--with``). ``steps``: results keep the steps
    from which their findings were made. ``jobs`` is the number of processes to use, 0 for as many as are worth it.
    ``cache`` is the directory in which facts and reports are kept between checks, empty for none.
    """

    launch: Launch = field(default_factory=Launch)
    at: str | None = None
    additions: Sequence[Addition] = ()
    steps: bool = True
    jobs: int = 1
    cache: str = ""


@dataclass(slots=True)
class _Root:
    """A target opened for one architecture, with every subject shown in it: the root does not change under a loader."""

    target: Target
    machinery: Machinery
    paths: dict[str, str | OSError]
    siblings: dict[int, Siblings]


class Engine:
    """Judges subjects on targets. Facts, searches and proofs are shared by everything one engine is asked."""

    def __init__(self, wishes: Wishes | None = None) -> None:
        """Judge as ``wishes`` say."""
        self._wishes = wishes or Wishes()
        self._cache: Cache | None = None
        self._trail = Trail()
        self._machine = self._followed(DirectoryView("/"))
        self._roots: dict[tuple[int, str, int], _Root] = {}
        self._opened: dict[str, Given] = {}
        self._subjects: list[Subject] = []
        self._trees: list[Tree] = []
        self._holders: list[Holder] = []
        self._choices: Choices | None = None
        self._added: list[Holder] | None = None
        self._alone = True

    def check(
        self,
        subjects: Sequence[str],
        targets: Sequence[TargetName],
        watch: Watch | None = None,
        *,
        only: Container[str] | None = None,
    ) -> Report:
        """Return the report on every subject on every target. ``watch`` is told how far it is.

        Of a directory every program and library is a subject; ``only`` names those that are to be judged, where it is
        not all of them. Raises UsageError, TargetError.
        """
        if self._wishes.at is not None and len(subjects) > 1:
            raise UsageError("--at places one subject", hint="check one file at a time with --at")
        self._open_cache(subjects, targets)
        recall = None if only is not None else self._recall(subjects, targets)
        held = recall.report() if recall else None
        if held is not None:
            return held
        opened = self._given(subjects, watch)
        trees = self._trees = [tree for one in opened for tree in one.trees]
        self._holders = [holder for one in opened for holder in one.holders]
        self._choices = None
        if self._holders:
            from runworthy.engine.choices import Choices

            self._choices = Choices(self._holders, self._wheels)
        given = [subject for one in opened for subject in (*self._environments(one, targets), *one.subjects)]
        wanted = (one for one in given if only is None or one.name in only)
        self._subjects = list({(one.name, one.whole): one for one in wanted}.values())
        self._roots = {}
        files = sum(1 for one in self._subjects if one.environment is None)
        self._alone = only is None and files == len(targets) == 1
        results: list[Result] = []
        for number, judged in enumerate(self._judge(targets), 1):
            results += judged
            if watch is not None:
                watch("judge", number * len(targets), len(self._subjects) * len(targets))
        report = Report(results=tuple(results), trees=tuple(trees))
        self._settle()
        if recall:
            recall.keep(report, self._trail.take())
        return report

    def _judge(self, targets: Sequence[TargetName]) -> Iterator[list[Result]]:
        """Yield the results of each subject, in order."""

        def judge(index: int) -> list[Result]:
            subject = self._subjects[index]
            if subject.whole:
                return list(self._whole(subject, targets))
            return [self._cell(subject, name) for name in targets if self._is_taken(subject, name)]

        def judge_elsewhere(index: int) -> tuple[list[Result], Trail]:
            return judge(index), self._trail.take()

        every = range(len(self._subjects))
        workers = workers_for(self._wishes.jobs, len(every))
        if workers == 1:
            yield from map(judge, every)
            return
        # What every process reads of a target, the first subject of each architecture reads for all of them.
        first = {subject.arch: index for index, subject in reversed([*enumerate(self._subjects)])}
        held = {index: judge(index) for index in first.values()}
        self._settle()
        trail = self._trail.take()
        rest = in_workers(judge_elsewhere, [index for index in every if index not in held], workers, self._settle)
        for index in every:
            if index in held:
                yield held[index]
                continue
            results, seen = next(rest)
            trail.add(seen)
            yield results
        next(rest, None)  # the processes end in good order
        self._trail.add(trail)

    # -- what was done before ---------------------------------------------------------------

    def _open_cache(self, subjects: Sequence[str], targets: Sequence[TargetName]) -> None:
        """Use the cache, unless a handful of files is read sooner than it is opened."""
        if self._wishes.cache and (len(subjects) * len(targets) > _HANDFUL or any(map(_takes_long, subjects))):
            from runworthy.targets.cache import Cache

            self._cache = self._machine.cache = Cache(self._wishes.cache)

    def _recall(self, subjects: Sequence[str], targets: Sequence[TargetName]) -> Recall | None:
        """Return what this request has to do with earlier ones, None where they cannot tell."""
        looked_before = bool(self._subjects)  # and what was looked at then is not looked at again
        if (
            self._cache is None
            or self._wishes.additions
            or looked_before
            or any(name.is_captured or name.at_boot for name in targets)
        ):
            return None
        from runworthy.engine.recall import Recall

        try:
            return Recall(self._cache, subjects, targets, self._wishes)
        except OSError:  # the working directory is gone: who knows where that was
            return None

    def _settle(self) -> None:
        """Keep what this process has read."""
        if self._cache is not None:
            self._cache.settle()

    def _followed(self, view: DirectoryView) -> DirectoryView:
        """Have a view use the cache, and write down where it looks."""
        self._trail.add(view.trail.take())
        view.cache, view.trail = self._cache, self._trail
        return view

    # -- subjects ---------------------------------------------------------------------------

    def open(self, name: str, watch: Watch | None = None) -> Given:
        """Return what a name stands for, and keep it: what is checked by this name from now on is not opened again."""
        held = self._opened[name] = open_given(name, self._machine, watch, self._trail)
        return held

    def _given(self, names: Sequence[str], watch: Watch | None) -> list[Given]:
        return [self._opened.get(name) or open_given(name, self._machine, watch, self._trail) for name in names]

    def _environments(self, given: Given, targets: Sequence[TargetName]) -> Iterator[Subject]:
        """Yield the environments in a directory, where what their processes load can be told."""
        wishes = self._wishes
        if not given.is_directory or wishes.launch.until != "environment" or wishes.additions or wishes.at is not None:
            return
        if any(name.text == "host" or name.directory is not None for name in targets):
            from runworthy.engine.environments import environments_in

            yield from environments_in(given, self._trail)

    # -- archives as such -------------------------------------------------------------------

    def _whole(self, subject: Subject, targets: Sequence[TargetName]) -> Iterator[Result]:
        """Yield what there is to say of an archive itself: on no target, then on each that it has a rule for."""
        from runworthy.engine.promises import archs_of, chosen_on, promise_of

        choices = self._choices
        if subject.environment is not None:
            yield from self._together(subject.name, subject.environment, targets)
        if subject.holder is None or choices is None:
            return
        trace = promise_of(subject.holder, self._wishes.launch.until)
        if trace is not None:
            cell = Cell(subject=subject.name, target="", path=subject.name, trace=trace)
            yield self._finish(replace(cell, shown=subject.holder.member_named))
        held = (one.arch for one in self._subjects if one.holder is subject.holder and one.arch)
        archs = archs_of(subject.holder) or tuple(dict.fromkeys(held)) or (None,)
        for name in targets:
            # A target without an architecture of its own is judged on each that the archive has something for.
            for choice in dict.fromkeys(choices.of(subject.holder, name, arch) for arch in archs):
                if choice is not None and choice.steps:
                    cell = chosen_on(subject.name, choice, self._wishes.launch.until, name.text)
                    yield self._finish(replace(cell, shown=subject.holder.member_named))

    def _together(self, name: str, environment: Environment, targets: Sequence[TargetName]) -> Iterator[Result]:
        """Yield what processes of an environment load in several builds, on the targets that would really run them."""
        from runworthy.engine.environments import clashes_on, serves

        for target in targets:
            if serves(target, environment):
                cell = clashes_on(name, environment, self._target(target, None), self._wishes.launch)
                if cell is not None:
                    yield self._finish(replace(cell, wanted=target.text))

    def _is_taken(self, subject: Subject, name: TargetName) -> bool:
        return self._choices is None or self._choices.takes(subject, name)

    # -- cells ------------------------------------------------------------------------------

    def _cell(self, subject: Subject, name: TargetName) -> Result:
        if subject.source is None:
            return self._unreadable(subject, name)
        try:
            facts = subject.source.view.elf(subject.source.real).facts if subject.file is None else None
        except (FormatError, OSError) as error:
            problem = error if isinstance(error, FormatError) else FormatError(error.strerror or "cannot be read")
            return self._unreadable(Subject(subject.name, problem=problem), name)
        try:
            root = self._root(name, subject)
        except ArchitectureError as error:
            if self._alone:
                raise
            problem = FormatError(f"{error} ({error.hint})")
            return self._unreadable(Subject(subject.name, problem=problem), name)
        path = root.paths[subject.name]
        try:
            if isinstance(path, OSError):
                raise path
            trace = _simulate(subject, path, root, self._wishes.at or subject.name)
            siblings = root.siblings.get(id(subject.holder))
            if siblings is not None and facts is not None and subject.source.base is not None:
                trace = siblings.settle(path, facts, trace)
        except (FormatError, OSError, UnseenError) as error:
            subject = Subject(subject.name, problem=FormatError(str(error)))
            return self._unreadable(subject, name)
        cell = self._judged(subject, path, facts, root, trace)
        return self._finish(replace(cell, wanted=name.text))

    def _root(self, name: TargetName, subject: Subject) -> _Root:
        arch, package = subject.arch, _package_of(subject)
        key = (id(name), arch.name if arch else "", id(package))
        held = self._roots.get(key)
        if held is None:
            target = self._target(name, arch)
            overlay = Overlay(target.view)
            for addition in self._wishes.additions:
                addition(target, overlay)
            if package is not None:
                from runworthy.targets.additions import lay

                for one in (*(self._choices.joined(package, name, arch) if self._choices else ()), package):
                    lay(one.name, one.view, target, overlay)
            target = replace(target, view=overlay)
            program = self._wishes.launch.loaded_by
            if program is not None and not overlay.exists(program):
                raise UsageError(
                    f"{target.name} is not known to have {program}, which --loaded-by names",
                    hint="name a program by its path in the target, or bring it there with --with",
                )
            self._join(name, overlay, arch)
            paths = self._place(target, overlay, arch, package)
            machinery = Machinery(target, launch_on(target, self._wishes.launch), runtime_names(target.arch))
            held = self._roots[key] = _Root(target, machinery, paths, self._siblings(machinery, paths))
        return held

    def _target(self, name: TargetName, arch: Architecture | None) -> Target:
        """Return a target for an architecture, with what has been read of it."""
        target = name.open(arch)
        if target.live:  # what has been read of this machine is not read again
            return replace(target, view=self._machine)
        if isinstance(target.view, DirectoryView):
            self._followed(target.view)
        return target

    def _join(self, name: TargetName, overlay: Overlay, arch: Architecture | None) -> None:
        """Show with each package what it requires and what is given with it, as they would be installed together."""
        choices = self._choices
        if choices is None:
            return
        for holder in self._holders:
            if holder.container.kind not in INSTALLED:
                for other in choices.joined(holder, name, arch):
                    overlay.mount(holder.shown, other.view)

    def _wheels(self) -> list[Holder]:
        """Return the wheels that are added to every target: they are installed with each wheel that is judged."""
        if self._added is None:
            from runworthy.targets.additions import WheelAddition

            wheels = [one.spec for one in self._wishes.additions if isinstance(one, WheelAddition)]
            self._added = [holder for spec in wheels for holder in archive_at(spec, self._machine).holders[:1]]
        return self._added

    def _siblings(self, machinery: Machinery, paths: Mapping[str, str | OSError]) -> dict[int, Siblings]:
        """Return the files of one architecture that come out of directories, and those of each archive."""
        if not (self._trees or self._holders) or self._wishes.launch.loaded_by is not None:
            return {}
        from runworthy.engine.siblings import siblings

        given: dict[int, dict[str, str | OSError]] = {}
        for one in self._subjects:
            if one.source is not None and one.source.base is not None and one.name in paths:
                given.setdefault(id(one.holder), {})[one.name] = paths[one.name]
        return {group: siblings(machinery, names, self._trees) for group, names in given.items()}

    def _place(
        self, target: Target, overlay: Overlay, arch: Architecture | None, package: Holder | None
    ) -> dict[str, str | OSError]:
        """Show every subject of one architecture in a target; return their paths there, or why it cannot be.

        Each package of a system has a root to itself: two of them may bring the same file.
        """
        paths: dict[str, str | OSError] = {}
        for subject in self._subjects:
            if subject.source is not None and subject.arch is arch and _package_of(subject) is package:
                try:
                    paths[subject.name] = place(subject.source, target, overlay, self._wishes.at)
                except OSError as error:
                    paths[subject.name] = error
        return paths

    def _unreadable(self, subject: Subject, name: TargetName) -> Result:
        problem = subject.problem or FormatError("cannot be read")
        need = Need(
            kind="exec-format",
            name="ELF",
            by=subject.name,
            evidence=Evidence(file=subject.name, offset=problem.offset),
        )
        why: Why = "not-modelled" if subject.foreign else "unreadable"
        step = Step(stage="exec", need=need, answer=Answer.UNKNOWN, why=why, detail=problem.message)
        stretch = Stretch(object=subject.name, machine="", loader="", root=name.text, steps=(step,))
        trace = Trace(stretches=(stretch,), until=self._wishes.launch.until)
        return self._finish(
            Cell(subject=subject.name, target=name.text, path=subject.name, trace=trace, wanted=name.text)
        )

    def _judged(self, subject: Subject, path: str, facts: ElfFacts | None, root: _Root, trace: Trace) -> Cell:
        target = root.target
        loader = trace.stretches[-1].loader
        return Cell(
            subject=subject.name,
            target=target.name,
            path=path,
            trace=trace,
            facts=facts,
            file=subject.file,
            libc=root.machinery.libcs.get(loader) or _libc_of_root(root),
            root=target,
            shown=_Shown(subject, root.paths),
        )

    def _finish(self, cell: Cell) -> Result:
        result = result_of(cell)
        if self._wishes.steps:
            return result
        bare = tuple(replace(stretch, steps=(), loaded=()) for stretch in cell.trace.stretches)
        return replace(result, trace=replace(cell.trace, stretches=bare))


class _Shown:
    """Names what lies in a root by the archive that it comes out of, where it comes out of one."""

    def __init__(self, subject: Subject, paths: Mapping[str, str | OSError]) -> None:
        self._holder = subject.holder
        self._paths = paths
        self._names: dict[str, str] | None = None

    def __call__(self, path: str) -> str | None:
        """Return the name of what lies at a path, None for what comes out of no archive."""
        holder = self._holder
        if holder is None:
            return None
        if self._names is None:
            self._names = {
                at: name
                for name, at in self._paths.items()
                if isinstance(at, str) and name.startswith(f"{holder.name}{MARK}")
            }
        return self._names.get(path) or holder.named(path)


def _package_of(subject: Subject) -> Holder | None:
    """Return the system's package that a subject comes in, None where it comes in none."""
    installed = subject.source is not None and subject.source.is_installed
    return subject.holder if installed else None


def _simulate(subject: Subject, path: str, root: _Root, name: str) -> Trace:
    """Return what happens to a subject: as an ELF file, or as whatever else somebody executes by this name."""
    base = posixpath.basename(name)
    called = "" if base in ("", posixpath.basename(path)) else posixpath.join(posixpath.dirname(path), base)
    if subject.file is None:
        return simulate(root.machinery, path, root.target.view.elf(path), called)
    from runworthy.simulate.start import start

    return start(root.machinery, path, subject.file, None, called)


def _libc_of_root(root: _Root) -> Libc | None:
    """Return the C library of the root for subjects that did not reach its loader."""
    arch = root.target.arch
    for loader in (arch.glibc_loader, arch.musl_loader):
        try:
            return root.machinery.libc(loader)
        except (OSError, FormatError, UnseenError):
            continue
    return None


def _takes_long(name: str) -> bool:
    """Whether much may be read of what a name stands for: a directory, or a large archive."""
    try:
        status = os.stat(name)
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(status.st_mode) or status.st_size >= _LARGE
