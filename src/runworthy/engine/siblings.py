"""A library of a directory in the process of another file of that directory which loads it.

By itself a bundled library may not find what it needs: it has no RUNPATH, since the module that loads it has an RPATH,
which the loader searches for the needs of its needs too (glibc ``elf/dl-load.c``, ``_dl_map_object``: the chain of
``l_loader``), or has loaded the other library before it. What such a process finds for it, it finds.

Where no file needs such a library, some program opens it, and may have opened the others before: then glibc takes them,
by their DT_SONAME, wherever they lie (``_dl_map_object``: ``_dl_name_match_p``). That rests on the program.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from runworthy.engine.verdict import verdict_of
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import FormatError
from runworthy.model.finding import Tree, Verdict
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Event, Stage, Step, Stretch, Trace
from runworthy.simulate.hosts import host_api
from runworthy.simulate.process import Machinery, simulate

__all__ = ["Siblings", "siblings"]

_PROCESSES_TRIED = 24
_OF_THE_PROCESS: tuple[Stage, ...] = ("load", "version", "bind")
_RANK: dict[Verdict, int] = {"runs": 0, "risky": 1, "unknown": 2, "fails": 3}


def siblings(machinery: Machinery, paths: Mapping[str, str | OSError], trees: Iterable[Tree]) -> Siblings:
    """Return the subjects of directories, given by name with their paths in the root of ``machinery``."""
    placed = {name: path for name, path in paths.items() if isinstance(path, str)}
    aliases = {alias: placed[name] for tree in trees for name in placed for alias in tree.aliases.get(name, ())}
    return Siblings(machinery, placed.values(), {**aliases, **placed})


class Siblings:
    """Files of directories on one target, by where they lie in its root. ``names`` are all that lead to one of them."""

    def __init__(self, machinery: Machinery, paths: Iterable[str], names: Mapping[str, str]) -> None:
        self._machinery = machinery
        self._paths = tuple(paths)
        self._names: dict[str, list[str]] = {}
        for name, at in names.items():
            self._names.setdefault(posixpath.basename(name), []).append(at)
        self._after: dict[str, Machinery] = {}
        self._traces: dict[str, Trace] = {}
        self._needers: dict[str, list[str]] | None = None

    def settle(self, path: str, facts: ElfFacts, trace: Trace) -> Trace:
        """Return the trace of the library at ``path`` in a process of a sibling, where it fares better than alone.

        Where none loads it: in one that has opened what it misses before.
        """
        if facts.is_program or not self._may_be_brought(trace):
            return trace
        alone = _RANK[verdict_of(trace)[0]]
        for process in self._processes(path) if alone else ():
            stretch = self._traces[process].stretches[0]
            brought = _within(trace, stretch, path, self._needs_of(path, stretch))
            if _RANK[verdict_of(brought)[0]] < alone:
                return _told(brought, path, process, trace)
        return self._opened_later(path, trace) if alone else trace

    def _opened_later(self, path: str, trace: Trace) -> Trace:
        """Return the trace in a process that has loaded the siblings which are not found: a risk, told as one.

        A plug-in of a program that is known is opened by that program, which loads nothing for it.
        """
        missing = [step for step in trace.needs if step.need.kind == "library" and step.answer is Answer.UNMET]
        first = [self._nearest(step.need.name, path) for step in missing if not step.detail]
        hosts = (step.need.name for step in trace.needs if step.answer is Answer.HOST)
        if not missing or len(first) < len(missing) or not all(map(self._loads, first)) or any(map(host_api, hosts)):
            return trace
        process = simulate(self._after_loading(first), path, self._machinery.target.view.elf(path)).stretches[0]
        brought = _within(trace, process, path, self._needs_of(path, process))
        if _RANK[verdict_of(brought)[0]] >= _RANK[verdict_of(trace)[0]]:
            return trace
        stretch = brought.stretches[0]
        wants = [
            Event(stage="load", kind="wants-sibling-first", text=f"{sibling} is {step.need.name}", by=path)
            for sibling, step in zip(first, missing, strict=True)
        ]
        steps = (*stretch.steps, *(replace(step, fatal=False) for step in missing), *wants)
        return replace(brought, stretches=(replace(stretch, steps=steps),))

    def _nearest(self, name: str, path: str) -> str:
        """Return the sibling of this name that shares the most directories with ``path``, empty when there is none."""
        own = path.split("/")

        def shared(sibling: str) -> int:
            pairs = zip(own, sibling.split("/"), strict=False)
            return next((at for at, (one, other) in enumerate(pairs) if one != other), len(own))

        return max(self._names.get(name, ()), key=shared, default="")

    def _loads(self, path: str) -> bool:
        trace = self._trace(path) if path else None
        return trace is not None and verdict_of(trace)[0] in ("runs", "risky")

    def _after_loading(self, paths: list[str]) -> Machinery:
        """Return the machinery of processes that have loaded these libraries."""
        listed = ":".join(dict.fromkeys(paths))
        held = self._after.get(listed)
        if held is None:
            ours = self._machinery
            before = ours.launch.env.get("LD_PRELOAD", "")
            env = {**ours.launch.env, "LD_PRELOAD": f"{before}:{listed}" if before else listed}
            held = Machinery(ours.target, replace(ours.launch, env=env), ours.is_runtime_name)
            self._after[listed] = held
        return held

    def _may_be_brought(self, trace: Trace) -> bool:
        """Whether the library misses one that a sibling is called by, or leaves symbols to whoever loads it."""
        return any(
            step.answer is Answer.HOST
            or (_is_lost(step) and step.need.kind == "library" and step.need.name in self._names)
            for step in trace.needs
        )

    def _processes(self, path: str) -> Iterator[str]:
        """Yield the siblings that have the library in their process, those that need it themselves first."""
        seen = {path}
        pending = deque([path])
        tried = 0
        while pending and tried < _PROCESSES_TRIED:
            for needer in self._needing(pending.popleft()):
                if needer in seen or tried >= _PROCESSES_TRIED:
                    continue
                seen.add(needer)
                pending.append(needer)
                tried += 1
                trace = self._trace(needer)
                if trace is not None and any(path == loaded for _, loaded in trace.stretches[0].loaded):
                    yield needer

    def _needing(self, path: str) -> list[str]:
        """Return the siblings that have a library's file name or DT_SONAME among their needs."""
        if self._needers is None:
            self._needers = {}
            for sibling in self._paths:
                for name in self._facts(sibling, "needed"):
                    self._needers.setdefault(posixpath.basename(name), []).append(sibling)
        names = (posixpath.basename(path), *self._facts(path, "soname"))
        return list(dict.fromkeys(needer for name in names for needer in self._needers.get(name, ())))

    def _facts(self, path: str, field: str) -> tuple[str, ...]:
        """Return the names in one field of a file's facts, none where it cannot be read."""
        try:
            facts = self._machinery.target.view.elf(path).facts
        except (FormatError, OSError):
            return ()
        return facts.needed if field == "needed" else (facts.soname or "",)

    def _trace(self, path: str) -> Trace | None:
        held = self._traces.get(path)
        if held is None:
            try:
                held = simulate(self._machinery, path, self._machinery.target.view.elf(path))
            except (FormatError, OSError):
                return None
            self._traces[path] = held
        return held

    def _needs_of(self, path: str, stretch: Stretch) -> frozenset[str]:
        """Return the library and all that it needs, by what the process has loaded under these names."""
        loaded = dict(stretch.loaded)
        found: set[str] = set()
        pending = [path]
        while pending:
            at = pending.pop()
            if at not in found:
                found.add(at)
                pending += [loaded[name] for name in self._facts(at, "needed") if name in loaded]
        return frozenset(found)


def _within(alone: Trace, process: Stretch, path: str, objects: frozenset[str]) -> Trace:
    """Return the library's own trace with what its objects go through in the process in place of what they do alone."""
    own = [step for step in alone.stretches[0].steps if step.stage not in _OF_THE_PROCESS]
    theirs = [step for step in process.steps if step.stage in _OF_THE_PROCESS and _by(step) in objects]
    before = [step for step in own if step.stage == "exec"]
    after = [step for step in own if step.stage != "exec"]
    stretch = replace(
        alone.stretches[0],
        object=path,
        loaded=tuple(pair for pair in process.loaded if pair[1] in objects),
        steps=(*before, *theirs, *after),
    )
    return replace(alone, stretches=(stretch,))


def _is_lost(step: Step) -> bool:
    """Whether a need is not met by what is there; of a root of which the core is known, more may be there."""
    return step.answer is Answer.UNMET or step.why == "outside-core"


def _by(step: Step | Event) -> str:
    return step.need.by if isinstance(step, Step) else step.by


def _told(trace: Trace, path: str, process: str, alone: Trace) -> Trace:
    """Return the trace with the event that says in whose process, and what was found there only."""
    held = {step.key for step in trace.needs if step.answer is Answer.HOST or _is_lost(step)}
    left = [step for step in alone.needs if (step.answer is Answer.HOST or _is_lost(step)) and step.key not in held]
    libraries = dict.fromkeys(step.need.name for step in left if step.need.kind == "library")
    symbols = {step.need.name for step in left if step.need.kind == "symbol" and step.because is None}
    brought = ", ".join(f"`{name}`" for name in libraries) or f"{len(symbols)} symbol{'s' if len(symbols) != 1 else ''}"
    event = Event(stage="load", kind="loaded-by-sibling", text=f"{process} loads it with {brought}", by=path)
    stretch = trace.stretches[0]
    return replace(trace, stretches=(replace(stretch, steps=(event, *stretch.steps)),))
