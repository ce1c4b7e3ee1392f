"""One subject on one target, from execve to the last symbol: chooses the loader and joins the stages.

``Machinery`` keeps what can be shared by many subjects on one target: searches, listings, proofs of binding.
Each loader's simulator is imported when a subject meets that loader, which keeps the start short.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from runworthy.model.arch import Architecture
from runworthy.model.binfmt import HEAD_SIZE, Handlers
from runworthy.model.elf import ET_DYN, ElfFacts, ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass, field, replace
from runworthy.model.trace import STAGES, Answer, Event, Evidence, Need, Probe, Stage, Step, Stretch, Trace, Why
from runworthy.simulate.binding import BindContext, BoundMemo
from runworthy.simulate.kernel import exec_steps, runs_natively
from runworthy.simulate.launch import Launch
from runworthy.simulate.library import library_need, refused_step
from runworthy.simulate.linkmap import LinkMap, Loaded
from runworthy.simulate.segments import segment_steps
from runworthy.targets.gcompat import Stub, read_stub
from runworthy.targets.libc import default_directories, identify_loader
from runworthy.targets.mounts import mounted_noexec
from runworthy.targets.target import Target

if TYPE_CHECKING:
    from runworthy.simulate.glibc import load as glibc_load
    from runworthy.simulate.glibc.search import Search
    from runworthy.simulate.glibc.version import VersionMemo
    from runworthy.simulate.musl import load as musl_load

__all__ = ["Machinery", "image_stretch", "simulate", "simulate_under"]

_NEWEST_MUSL = (1, 2, 5)
_TAKES_ARGV0 = (1, 1, 17)
"""Since when musl's loader takes ``--argv0`` (ldso/dynlink.c, f3055e01); before, it says how it is used, and ends."""
_GLIBC_COMPANIONS = ("libc.so.6", "libdl.so.2", "libpthread.so.0", "libm.so.6", "librt.so.1", "libutil.so.1")
_OTHER_LOADERS = (
    "/lib/ld-uClibc.so.0",
    "/lib/ld-uClibc.so.1",
    "/lib/ld64-uClibc.so.0",
    "/lib/ld64-uClibc.so.1",
    "/system/bin/linker64",
    "/system/bin/linker",
)


@dataclass(slots=True)
class Machinery:
    """What subjects on one target share. ``is_runtime_name``: does any libc of the catalogue export this name."""

    target: Target
    launch: Launch
    is_runtime_name: Callable[[bytes], bool]
    memo: BoundMemo = field(default_factory=BoundMemo)
    versions: VersionMemo | None = None
    libcs: dict[str, Libc] = field(default_factory=dict)
    searches: dict[str, Search] = field(default_factory=dict)
    loaders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    judged: dict[str, tuple[Step, ...]] = field(default_factory=dict)
    libc_names: dict[str, tuple[tuple[str, frozenset[bytes]], ...]] = field(default_factory=dict)
    boot: list[Handlers | None] = field(default_factory=list)

    def libc(self, loader: str) -> Libc:
        """Return the C library whose loader is at the path ``loader``. Raises FormatError, OSError."""
        held = self.libcs.get(loader)
        if held is None:
            real = self.target.view.resolve(posixpath.join(self.launch.cwd, loader)).path
            known = self.target.libcs.get(real) or self.target.libcs.get(loader)
            held = self.libcs[loader] = known or identify_loader(self.target.view, real)
        return held

    def handlers_at_boot(self) -> Handlers | None:
        """Return the handlers of a machine after its next boot, looked at once; None where they cannot be told."""
        if not self.boot:
            self.boot.append(_at_boot(self.target))
        return self.boot[0]

    def segments(self, loaded: Loaded) -> tuple[Step, ...]:
        """Return what is wrong with the segments of a library, looked at once."""
        held = self.judged.get(loaded.path)
        if held is None:
            steps = segment_steps(loaded.path, loaded.facts, "load", starts=False)
            held = self.judged[loaded.path] = tuple(steps)
        return held

    def own_libc(self, libc: Libc) -> tuple[tuple[str, frozenset[bytes]], ...]:
        """Return (path, names defined) of the root's C library and, with glibc, of its companions."""
        if libc.loader is None:
            return ()
        held = self.libc_names.get(libc.loader)
        if held is None:
            paths = self._libc_files(libc, libc.loader)
            held = tuple((path, self.target.view.elf(path).exports().unversioned) for path in paths)
            self.libc_names[libc.loader] = held
        return held

    def _libc_files(self, libc: Libc, loader: str) -> Iterator[str]:
        """Yield the paths of the C library. A glibc need not lie beside its loader: /lib and /lib64 on aarch64."""
        target = self.target
        system = target.system_directories or default_directories(target.view, loader, target.arch)
        places = (posixpath.dirname(loader), *system)
        companions = _GLIBC_COMPANIONS if libc.family == "glibc" else ()
        for tried in ((loader,), *([f"{place}/{name}" for place in places] for name in companions)):
            found = (target.view.find(path) for path in tried)
            yield from [one.path for one in found if not isinstance(one, int)][:1]

    def loaders_for(self, arch: Architecture) -> tuple[str, ...]:
        """Return the dynamic loaders for an architecture that the root has."""
        held = self.loaders.get(arch.name)
        if held is None:
            candidates = (arch.glibc_loader, arch.musl_loader, *_OTHER_LOADERS)
            there = [path for path in candidates if self.target.view.exists(path)]
            if {arch.glibc_loader, arch.musl_loader} <= {*there} and self._is_stub(arch.glibc_loader):
                there.remove(arch.glibc_loader)  # it starts programs, and no library gets into a process by it
            held = self.loaders[arch.name] = tuple(there)
        return held

    def _is_stub(self, path: str) -> bool:
        try:
            return read_stub(self.target.view, self.target.view.resolve(path).path) is not None
        except OSError:
            return False

    def search(self, loader: str, libc: Libc, arch: Architecture) -> Search:
        """Return the glibc search that programs naming this loader share."""
        held = self.searches.get(loader)
        if held is None:
            from runworthy.simulate.glibc.search import Search

            held = self.searches[loader] = Search(self.target, libc, arch, self.launch)
        return held


def simulate(machinery: Machinery, path: str, elf: ElfFile, called: str = "") -> Trace:
    """Return what happens to the ELF file at the real path ``path`` of the target. Raises OSError.

    ``called`` is what it was called where a link led to it, empty where it was called by that path.
    """
    launch, target = machinery.launch, machinery.target
    facts = elf.facts
    if launch.loaded_by is not None:
        return _opened(machinery, path, elf, launch.loaded_by)
    if facts.is_program and (_is_taken(path, called or path, target) or _lies_on_noexec(path, target)):
        from runworthy.simulate.start import start

        return start(machinery, path, None, facts.architecture, called)
    steps: list[Step | Event] = (
        list(_executed(machinery, path, facts)) if facts.is_program else _library(path, facts, target)
    )
    stretch = _Stretch(machinery, path, elf, steps)
    if not stretch.stopped:
        loader = facts.interpreter if facts.is_program else _loader_for(machinery, facts)
        stretch.run(loader)
    return Trace(stretches=(stretch.finish(),), until=launch.until)


def _is_taken(path: str, called: str, target: Target) -> bool:
    """Whether a handler comes before the kernel's own ELF loader."""
    if not target.handlers.entries:
        return False
    try:
        head = target.view.content(path).pread(0, HEAD_SIZE).ljust(HEAD_SIZE, b"\0")
    except OSError:
        return False
    return target.handlers.taking(head, called) is not None


def _at_boot(target: Target) -> Handlers | None:
    known = target.machine_facts is not None and target.handlers.stated and target.view.authority is None
    if not known:
        return None
    from runworthy.targets.binfmt.boot import boot_of
    from runworthy.targets.host import in_container, is_booted

    found = boot_of(target).handlers if is_booted(target.view) and not in_container(target) else None
    return None if found is None or found.unknown else found


def _executed(machinery: Machinery, path: str, facts: ElfFacts, *, opened: bool = False) -> Iterator[Step]:
    """Yield what execve requires of a program that is started as is stated, or that is ``opened`` already."""
    launch = machinery.launch
    yield from exec_steps(path, facts, machinery.target, launch.cwd, cwd_stated=launch.cwd_stated, opened=opened)


def _lies_on_noexec(path: str, target: Target) -> bool:
    facts = target.machine_facts
    return facts is not None and facts.mounts is not None and mounted_noexec(path, facts.mounts)


def image_stretch(machinery: Machinery, path: str, *, opened: bool = False) -> Stretch:
    """Return what happens to the program at a real path when the kernel loads it. Raises FormatError, OSError.

    ``opened``: the kernel has held it open since a handler was registered.
    """
    target = machinery.target
    elf = target.view.elf(path)
    stretch = _Stretch(machinery, path, elf, list(_executed(machinery, path, elf.facts, opened=opened)))
    if not stretch.stopped:
        stretch.run(elf.facts.interpreter)
    return stretch.finish()


def simulate_under(machinery: Machinery, called: str, loader: str) -> Trace:
    """Return what the loader at ``loader`` says when it is started by hand: ``ld.so FILE``. Raises OSError."""
    view = machinery.target.view
    path = view.resolve(posixpath.join(machinery.launch.cwd, called)).path
    stretch = _Stretch(machinery, path, view.elf(path), [], called)
    stretch.run(loader)
    return Trace(stretches=(stretch.finish(),), until=machinery.launch.until)


class _Stretch:
    """Collects the steps of one image in stage order, and stops where the model or the request ends."""

    def __init__(
        self,
        machinery: Machinery,
        path: str,
        elf: ElfFile,
        steps: list[Step | Event],
        called: str | None = None,
    ) -> None:
        self._called = called
        self._machinery = machinery
        self._path = path
        self._elf = elf
        self._steps = steps
        self._map: LinkMap | None = None
        self._libc: Libc | None = None
        self._loader = ""

    @property
    def stopped(self) -> bool:
        """Whether execve has refused already, so that nothing after it happens."""
        return any(isinstance(step, Step) and step.answer is not Answer.MET for step in self._steps)

    def run(self, loader: str | None, opens: tuple[str, ElfFile] | None = None) -> None:
        """Judge the later stages under ``loader`` (None: no loader takes part)."""
        facts = self._elf.facts
        if loader is None and not facts.is_program:
            self._steps.append(_no_loader(self._path, facts, self._machinery.target))
            return
        if loader is not None and not self._loads(loader, opens):
            return
        subject = opens[1] if opens else self._elf
        path = opens[0] if opens else self._path
        if self._reaches("machine"):
            from runworthy.simulate.machine import machine_steps

            objects = self._map.objects if self._map else ()
            self._steps += machine_steps(subject, path, objects, self._machinery.target, self._libc)
        if self._reaches("environment"):
            from runworthy.simulate.runtime import runtime_steps

            self._steps += runtime_steps(subject, path, self._map, self._machinery.target, self._libc)

    def _loads(self, loader: str, opens: tuple[str, ElfFile] | None) -> bool:
        """Run the loader's stages; False when it is one that is not modelled."""
        machinery, arch = self._machinery, self._elf.facts.architecture
        self._loader = loader
        try:
            self._libc = machinery.libc(loader)
        except (OSError, FormatError) as error:
            self._steps.append(_unmodelled(self._path, loader, str(error), "unreadable"))
            return False
        stub = read_stub(machinery.target.view, self._libc.loader or loader) if self._libc.family == "none" else None
        if arch is not None and stub is not None:
            return self._through(stub, arch, opens)
        if arch is None or self._libc.family not in ("glibc", "musl"):
            self._steps.append(_unmodelled(self._path, loader, f"the loader of {self._libc}", "not-modelled"))
            return False
        if not self._reaches("load"):
            return True
        family = self._glibc if self._libc.family == "glibc" else self._musl
        family(loader, self._libc, arch, opens)
        return True

    def _glibc(self, loader: str, libc: Libc, arch: Architecture, opens: tuple[str, ElfFile] | None) -> None:
        from runworthy.simulate.glibc import load as glibc_load
        from runworthy.simulate.glibc.bind import bind as glibc_bind
        from runworthy.simulate.glibc.version import VersionMemo, check_versions

        search = self._machinery.search(loader, libc, arch)
        walker = glibc_load.Loader(search, loader)
        self._map = walker.start(self._path, self._elf, self._called)
        if opens:
            self._open(walker, opens)
        paths = {loaded.path for loaded in self._map.objects}
        self._steps += [event for event in search.events if not event.by or event.by in paths]
        self._after_load(walker.can_open, search.explain)
        trace = self._machinery.launch.trace
        if self._reaches("version"):
            memo = self._machinery.versions = self._machinery.versions or VersionMemo()
            self._steps += check_versions(self._map, search.version, memo, trace=trace)
        if self._reaches("bind"):
            self._steps += glibc_bind(self._context(opens), search.version, trace=trace)

    def _through(self, stub: Stub, arch: Architecture, opens: tuple[str, ElfFile] | None) -> bool:
        """Run the stages of what gcompat's stub starts, musl's loader; False where that comes to nothing known."""
        launch, text = self._machinery.launch, f"{stub.linker} is started, with {stub.library} preloaded"
        self._steps.append(Event(stage="load", kind="loader-stub", text=text, by=self._loader))
        need = Need(kind="loader", name=stub.linker, by=self._loader, evidence=Evidence(file=self._loader))
        try:
            libc = self._machinery.libc(stub.linker)
        except FileNotFoundError:
            absent = self._machinery.target.absent(stub.linker)
            answer = Answer.UNMET if absent else Answer.UNKNOWN
            why: Why | None = None if absent else "outside-core"
            detail = "ENOENT: gcompat's stub finds no loader to start"
            self._steps.append(Step(stage="load", need=need, answer=answer, why=why, detail=detail))
            return False
        except (OSError, FormatError) as error:
            self._steps.append(_unmodelled(self._loader, stub.linker, str(error), "unreadable"))
            return False
        if libc.family != "musl" or (libc.version or _NEWEST_MUSL) < _TAKES_ARGV0 or launch.secure or not launch.proc:
            self._steps.append(
                _unmodelled(self._loader, stub.linker, "what gcompat's stub comes to here", "not-modelled")
            )
            return False
        self._libc, self._loader = libc, stub.linker
        if self._reaches("load"):
            self._musl(stub.linker, libc, arch, opens, stub)
        return True

    def _musl(
        self, loader: str, libc: Libc, arch: Architecture, opens: tuple[str, ElfFile] | None, stub: Stub | None = None
    ) -> None:
        from runworthy.simulate.musl import load as musl_load
        from runworthy.simulate.musl.bind import bind as musl_bind

        musl, launch, called = libc.version or _NEWEST_MUSL, self._machinery.launch, self._called
        name = self._elf.facts.interpreter or loader
        if stub is not None:
            preload = f"{stub.library} {launch.env.get('LD_PRELOAD', '')}"
            name, called, launch = stub.name, self._path, replace(launch, env={**launch.env, "LD_PRELOAD": preload})
        itself = musl_load.Itself(path=loader, name=name, version=musl)
        walker = musl_load.Loader(self._machinery.target, arch, launch, itself)
        self._map = walker.start(self._path, self._elf, called)
        if opens:
            self._open(walker, opens)
        self._after_load(walker.can_open)
        if self._reaches("version"):
            self._steps += self._ignored_versions()
        if self._reaches("bind"):
            trace = self._machinery.launch.trace
            self._steps += musl_bind(self._context(opens), arch, musl, trace=trace)

    def _open(self, walker: glibc_load.Loader | musl_load.Loader, opens: tuple[str, ElfFile]) -> None:
        """Have the program open the subject, or write down why dlopen refuses it."""
        if self._map is None:
            return
        path, elf = opens
        refusal = walker.refuses(path, elf)
        if not refusal:
            walker.open(self._map, path, elf, self._map.main)
            return
        need = Need(kind="library", name=path, by=self._path, evidence=Evidence(file=path, section="ELF header"))
        probe = Probe(path=path, origin="dlopen", outcome=refusal)
        self._steps.append(refused_step(need, (probe,), f"{path}: {refusal}"))

    def _after_load(
        self,
        can_open: Callable[[str, Loaded], bool],
        explain: Callable[[str, Loaded], tuple[Probe, ...]] | None = None,
    ) -> None:
        """Add the load steps: what is missing always, what was found when a trace is asked for."""
        if self._map is None:
            return
        self._steps += self._map.steps
        for loaded in self._map.objects:
            if not loaded.facts.is_program:
                self._steps += self._machinery.segments(loaded)
        self._steps += _optional(self._map.main, self._machinery.target, can_open)
        if self._machinery.launch.trace:
            for request in self._map.requests:
                need = library_need(request.name, request.by.path)
                searched = request.probes
                if explain is not None and request.origin != "already loaded":
                    searched = explain(request.name, request.by)
                self._steps.append(
                    Step(
                        stage="load",
                        need=need,
                        answer=Answer.MET,
                        met_by=request.found.path,
                        searched=searched,
                        detail=request.origin,
                    )
                )

    def _ignored_versions(self) -> Iterator[Step]:
        """Yield the main object's version needs as ignored: musl does not look at them."""
        for need in self._elf.facts.version_needs if self._machinery.launch.trace else ():
            yield Step(
                stage="version",
                need=Need(kind="symbol-version", name=need.file, version=need.version, file=need.file, by=self._path),
                answer=Answer.IGNORED,
                fatal=False,
            )

    def _context(self, opens: tuple[str, ElfFile] | None) -> BindContext:
        machinery = self._machinery
        now = self._libc is not None and self._libc.family == "musl"
        open_host = not self._elf.facts.is_program and opens is None
        return BindContext(
            link_map=self._map or LinkMap(),
            is_runtime_name=machinery.is_runtime_name,
            open_host=open_host,
            of_own_libc=self._of_own_libc if open_host else None,
            always_now=now or bool(machinery.launch.env.get("LD_BIND_NOW")),
            open_versions=machinery.target.view.open_versions,
            memo=machinery.memo,
        )

    def _of_own_libc(self, name: bytes) -> str | None:
        """Return the library of the root's own C library that defines a name no loaded object does.

        Every dynamic program of the root has the C library in its process; its companions (libdl, libpthread and
        the like before glibc 2.34) are the loading program's to bring.
        """
        if self._libc is None:
            return None
        libraries = self._machinery.own_libc(self._libc)
        return next((path for path, names in libraries if name in names), None)

    def _reaches(self, stage: Stage) -> bool:
        return STAGES.index(stage) <= STAGES.index(self._machinery.launch.until)

    def finish(self) -> Stretch:
        """Return the stretch, its steps in stage order."""
        target = self._machinery.target
        arch = self._elf.facts.architecture
        return Stretch(
            object=self._path,
            machine=arch.name if arch else target.arch.name,
            loader=self._loader or "kernel",
            root=target.name,
            libc=str(self._libc) if self._libc else "",
            loaded=self._map.loaded() if self._map else (),
            steps=tuple(sorted(self._steps, key=lambda step: STAGES.index(step.stage))),
        )


def _opened(machinery: Machinery, path: str, elf: ElfFile, program: str) -> Trace:
    """Return the trace of a program of the target that opens the subject."""
    view = machinery.target.view
    real = view.resolve(program).path
    host = view.elf(real)
    stretch = _Stretch(machinery, real, host, list(exec_steps(real, host.facts, machinery.target)))
    if not stretch.stopped:
        stretch.run(host.facts.interpreter, (path, elf))
    return Trace(stretches=(stretch.finish(),), until=machinery.launch.until)


def _library(path: str, facts: ElfFacts, target: Target) -> list[Step | Event]:
    """Return the first need of a library: to be one, and a machine that can run its code."""
    if facts.header.type == ET_DYN and runs_natively(target.arch, facts.architecture):
        return []
    return [step for step in exec_steps(path, facts, target) if step.need.kind == "exec-format"]


def _loader_for(machinery: Machinery, facts: ElfFacts) -> str | None:
    """Return the loader of the root that a library would meet: the one it is built for, if the root has it."""
    arch = facts.architecture
    if arch is None:
        return None
    present = machinery.loaders_for(arch)
    if not present:
        return None
    musl_made = any(name.startswith(("libc.musl-", "ld-musl-")) or name == "libc.so" for name in facts.needed)
    if musl_made and arch.musl_loader in present:
        return arch.musl_loader
    return present[0]


def _optional(main: Loaded, target: Target, can_open: Callable[[str, Loaded], bool]) -> Iterator[Step]:
    """Yield the libraries that the main object says it opens at run time (.note.dlopen), one of each entry's names."""
    for note in main.facts.dlopen_notes:
        found = next((name for name in note.sonames if can_open(name, main)), None)
        need = Need(
            kind="dlopen",
            name=found or " or ".join(note.sonames),
            by=main.path,
            weak=note.priority != "required",
            evidence=Evidence(file=main.path, section=".note.dlopen"),
        )
        detail = f"{note.priority}: {note.description or note.feature}"
        if found is not None:
            yield Step(stage="load", need=need, answer=Answer.MET, fatal=False, detail=detail)
        elif all(target.absent(name) for name in note.sonames):
            yield Step(stage="load", need=need, answer=Answer.UNMET, fatal=False, detail=detail)
        else:
            yield Step(stage="load", need=need, answer=Answer.UNKNOWN, why="outside-core", fatal=False, detail=detail)


def _no_loader(path: str, facts: ElfFacts, target: Target) -> Step:
    arch = facts.architecture
    need = Need(kind="loader", name=arch.name if arch else "?", by=path, evidence=Evidence(file=path))
    known = target.view.authority is None
    return Step(
        stage="load",
        need=need,
        answer=Answer.UNMET if known else Answer.UNKNOWN,
        why=None if known else "outside-core",
        detail="the root has no dynamic loader for this architecture",
    )


def _unmodelled(path: str, loader: str, detail: str, why: Why) -> Step:
    need = Need(kind="loader", name=loader, by=path, evidence=Evidence(file=path, section=".interp"))
    return Step(stage="load", need=need, answer=Answer.UNKNOWN, why=why, detail=detail)
