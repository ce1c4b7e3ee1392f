"""What happens when any file is executed: the kernel's rewrites one after another, then what each interpreter is.

Each file that is put in the place of another is a stretch of the trace: a script, its interpreter, an emulator, the
program that it emulates. What follows a handler that makes another program of the file is not looked at.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from runworthy.model.arch import Architecture
from runworthy.model.binfmt import HEAD_SIZE, Handler
from runworthy.model.errors import FormatError
from runworthy.model.execution import Execution, Rewrite
from runworthy.model.machine import baseline
from runworthy.model.program import ApeFacts, FileFacts
from runworthy.model.records import dataclass, replace
from runworthy.model.trace import Answer, Event, Evidence, Kind, Need, Probe, Step, Stretch, Taken, Trace, Why
from runworthy.simulate.commands import PATH, find_command
from runworthy.simulate.env import EnvStart
from runworthy.simulate.env_start import env_of, first_executed, launch_by_env, missing_command
from runworthy.simulate.execve import execve
from runworthy.simulate.execve.callers import CallerOutcome, members, outcome
from runworthy.simulate.kernel import in_directory, runs_natively
from runworthy.simulate.launch import Launch
from runworthy.simulate.permission import only_for_some
from runworthy.simulate.process import Machinery, image_stretch
from runworthy.simulate.purpose import Purpose, Use, purpose_in, taken_by, which_loader
from runworthy.targets.view import FileView, UnseenError

__all__ = ["QEMU_NAMES", "start", "type_name"]

_NAMES = {
    "ape": "APE",
    "mach-o": "Mach-O",
    "python-bytecode": "Python bytecode",
    "wasm": "WebAssembly",
}
# Where qemu-user looks for the loader and the libraries of the guest before it looks in the root itself, where
# QEMU_LD_PREFIX names no directory (linux-user/main.c, CONFIG_QEMU_INTERP_PREFIX and handle_arg_ld_prefix;
# util/path.c; Debian's patch for /etc/qemu-binfmt).
_PREFIX = "QEMU_LD_PREFIX"
_SYSROOTS = ("/etc/qemu-binfmt/{}", "/usr/gnemul/qemu-{}")
QEMU_NAMES = {"armv7": "arm", "armv6": "arm", "armel": "arm", "mips64le": "mips64el", "mipsle": "mipsel"}
_REFUSED: dict[str, Kind] = {"ELOOP": "rewrites", "ENOEXEC": "exec-format"}
_PERMISSIONS = {
    "no execute permission is set": "execute",
    "its file system is mounted with noexec": "noexec",
    "it is a directory": "regular-file",
    "it is no regular file": "regular-file",
}
_DEEPEST = 12
_HELD = "it is held open since its registration (F), and the root does not have it: what else it needs is not known"
_DOES = "what {} does with it is not known"
_NO_TEXT = ("elf", "pe", "mach-o", "wasm", "python-bytecode")
"""What a shell cannot make the program of by reading it, whoever has it read."""
_EXEC_DETAIL = "ENOEXEC: neither the kernel nor a handler takes it"


def type_name(file: FileFacts | None, arch: Architecture | None) -> str:
    """Return what a file is called in a need for somebody who executes it."""
    if file is None or file.type == "elf":
        return arch.name if arch else "ELF"
    if file.type == "pe" and file.pe is not None:
        return f"PE {file.pe.arch or f'machine {file.pe.machine:#x}'}"
    if file.type == "mach-o" and file.machos:
        return f"Mach-O {', '.join(one.arch for one in file.machos)}"
    return _NAMES.get(file.type, file.type)


def start(
    machinery: Machinery, path: str, file: FileFacts | None, arch: Architecture | None, called: str = ""
) -> Trace:
    """Return what happens when the file at the real path ``path`` is executed. Raises OSError.

    ``file`` says what it is where it is no ELF file; ``arch`` is that of an ELF file. ``called`` is what it was called
    where a link led to it.
    """
    started = _Start(machinery, path, file, arch, called or path)
    return Trace(stretches=tuple(started.stretches()), until=machinery.launch.until)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A file that is handed to an interpreter, and what it is."""

    rewrite: Rewrite
    file: FileFacts | None
    arch: Architecture | None
    purpose: Purpose | None

    @property
    def how(self) -> Use:
        """How it stands with its interpreter."""
        handler = self.rewrite.handler
        return taken_by(self.file.type if self.file else "elf", self.arch, handler, self.purpose) if handler else ""

    @property
    def taken(self) -> Taken:
        """The same, as far as it is known."""
        how = self.how
        return "" if how == "unknown" else how


@dataclass(slots=True)
class _Start:
    """One file that is executed. ``argv`` is what it is given; ``above`` are the files by which it came to that."""

    machinery: Machinery
    path: str
    file: FileFacts | None
    arch: Architecture | None
    called: str
    argv: tuple[str, ...] = ()
    above: tuple[str, ...] = ()

    def stretches(self) -> Iterator[Stretch]:
        """Yield the stretches in order."""
        target, launch = self.machinery.target, self.machinery.launch
        done = execve(target, self.path, self.argv or (self.called,), cwd=launch.cwd, called=self.called)
        differs: list[Step | Event] = [*self._boot_differs(), *self._for_some(done)]
        taken: list[_Taken] = []
        for rewrite in done.rewrites:
            first = not taken
            file, arch = (self.file, self.arch) if first else self._what(rewrite.real)
            view, handler = self.machinery.target.view, rewrite.handler
            purpose = purpose_in(handler, view, rewrite.opened) if handler else None
            taken.append(_Taken(rewrite, file, arch, purpose))
            steps = self._rewritten(taken[-1], done)
            yield self._stretch(rewrite.real, [*steps, *differs] if first else steps)
            differs = []
            if taken[-1].how == "foreign":
                return
        for stretch in self._end(done, taken):
            yield replace(stretch, steps=(*stretch.steps, *differs))
            differs = []

    def _for_some(self, done: Execution) -> Iterator[Step]:
        """Yield that it may be executed, where not everybody may; the image that is loaded says so itself."""
        assumed = only_for_some(self.machinery.target, self.path)
        if assumed and (done.rewrites or done.errno == "ENOEXEC"):
            need = Need(kind="permission", name="execute", by=self.path, evidence=Evidence(file=self.path))
            yield Step(stage="exec", need=need, answer=Answer.MET, met_by="its mode", assumption=assumed)

    def _boot_differs(self) -> Iterator[Event]:
        """Yield that another handler takes the file after the next boot than takes it now.

        Of a target that is judged as it is now, this is asked only where a handler takes the file.
        """
        before, after = self.machinery.target.handlers_before, self.machinery.target.handlers
        if self.above or (before is None and not after.entries):
            return
        head = self._head()
        if before is None:
            held = self.machinery.handlers_at_boot() if after.taking(head, self.called) else None
            if held is None:
                return
            before, after = after, held
        now, then = (found.taking(head, self.called) for found in (before, after))
        if now and then and then.origin and not now.origin and now.name == then.name:
            yield Event(stage="exec", kind="registered-by", text=then.origin, by=now.name)
        if (now and (now.name, now.interpreter)) != (then and (then.name, then.interpreter)):
            text = f"{_called(now)} takes it now, {_called(then)} will"
            yield Event(stage="exec", kind="boot-differs", text=text, by=self.path)

    def _end(self, done: Execution, taken: Sequence[_Taken]) -> Iterator[Stretch]:
        """Yield what follows the last rewrite: a refusal, or the image that is loaded and what it makes of the file."""
        if done.rewrites and (done.why is not None or done.errno):
            if done.errno == "ELOOP":
                yield self._stretch(done.refused or self.path, [self._refusal(done)])
            elif done.errno == "ENOEXEC":
                yield from self._read_by_shells(self._outcomes(done), [])
        elif done.why is not None:
            step = self._step("exec-format", done.refused, Answer.UNKNOWN, why=done.why, detail=done.detail)
            yield self._stretch(done.refused or self.path, [step])
        elif done.errno == "ENOEXEC":
            yield from self._unclaimed(done)
        elif done.errno:
            yield self._stretch(done.refused or self.path, [self._refusal(done)])
        else:
            if done.image:  # a file that the kernel holds open may lie outside the root
                yield image_stretch(self.machinery, done.image, opened=_is_pinned(done))
            for one in taken:
                yield from self._inside(one)
            yield from self._under_env(done, taken)

    # -- who takes it -----------------------------------------------------------------------

    def _what(self, real: str) -> tuple[FileFacts | None, Architecture | None]:
        """Return what a file of the root is that is executed on the way."""
        view = self.machinery.target.view
        try:
            return None, view.elf(real).facts.architecture
        except (FormatError, OSError, UnseenError):
            from runworthy.formats.identify import identify
        try:
            return identify(view.content(real)), None
        except (FormatError, OSError, UnseenError):
            return None, None

    def _rewritten(self, one: _Taken, done: Execution) -> Iterator[Step | Event]:
        rewrite, handler = one.rewrite, one.rewrite.handler
        name = type_name(one.file, one.arch)
        met_by = f"{handler.name} ({handler.interpreter})" if handler else "the kernel's #! handler"
        assumed = handler is not None and not self.machinery.target.handlers.stated
        yield Step(
            stage="exec",
            need=Need(kind="exec-format", name=name, by=rewrite.real, evidence=Evidence(file=rewrite.real, offset=0)),
            answer=Answer.MET,
            met_by=met_by,
            searched=self._probes(rewrite, handler),
            taken=one.taken,
            assumption=self.machinery.target.handlers.basis or "the handlers of its boot" if assumed else None,
            detail=one.purpose.words if one.purpose else "",
        )
        yield self._interpreter(one, done)
        if done.errno != "ENOEXEC" and rewrite.argv:
            yield Event(stage="exec", kind="rewritten", text=" ".join(map(_quoted, rewrite.argv)), by=rewrite.real)

    def _interpreter(self, one: _Taken, done: Execution) -> Step:
        rewrite = one.rewrite
        kind: Kind = "handler" if rewrite.handler else "script-interpreter"
        need = Need(kind=kind, name=rewrite.interpreter, by=rewrite.real)
        if rewrite is done.rewrites[-1] and done.errno and done.errno != "ELOOP":
            probe = Probe(path=rewrite.interpreter, origin=kind, outcome=done.detail)
            detail = f"{done.errno}: {done.detail}"
            fatal = done.errno != "ENOEXEC" or any(who.how != "script" for who in self._outcomes(done))
            return Step(stage="exec", need=need, answer=Answer.UNMET, searched=(probe,), detail=detail, fatal=fatal)
        if rewrite is done.rewrites[-1] and done.why is not None:
            return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why=done.why, detail=done.detail)
        pinned = rewrite.handler is not None and "F" in rewrite.handler.flags
        purpose, foreign = one.purpose, one.how == "foreign"
        if one.how == "unknown" and not done.errno and done.why is None:
            detail = _DOES.format(rewrite.interpreter)
            return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="not-modelled", detail=detail)
        if not rewrite.opened and not foreign and purpose is not None and purpose.kind == "unknown":
            why: Why = "not-modelled" if self.machinery.target.view.authority is None else "outside-core"
            return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why=why, detail=_HELD)
        met_by = rewrite.opened or ("opened when it was registered (F)" if pinned else rewrite.interpreter)
        assumed = None
        if purpose is not None and not purpose.sure and not foreign:
            assumed = f"`{rewrite.interpreter}` is {purpose.words}, as its name says"
        elif rewrite.opened and not rewrite.interpreter.startswith("/") and not self.machinery.launch.cwd_stated:
            assumed = in_directory(self.machinery.launch.cwd)
        return Step(stage="exec", need=need, answer=Answer.MET, met_by=met_by, assumption=assumed)

    def _probes(self, rewrite: Rewrite, taking: Handler | None) -> tuple[Probe, ...]:
        """Return the handlers in the order in which they were tried, up to the one that took the file."""
        probes = []
        for one in self.machinery.target.handlers.entries:
            outcome = "takes it" if one is taking else "does not match" if one.enabled else "disabled"
            probes.append(Probe(path=one.name, origin="binfmt_misc", outcome=outcome))
            if one is taking:
                break
        return tuple(probes) if taking is not None or rewrite.handler is None else ()

    # -- nobody takes it --------------------------------------------------------------------

    def _refusal(self, done: Execution) -> Step:
        kind = _REFUSED.get(done.errno, "permission")
        name = (
            (_PERMISSIONS.get(done.detail) or _permission(done.detail))
            if kind == "permission"
            else type_name(self.file, self.arch)
        )
        need = Need(kind=kind, name=name, by=self.path)
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail=f"{done.errno}: {done.detail}")

    def _unclaimed(self, done: Execution) -> Iterator[Stretch]:
        """Yield what comes of a file that neither a handler nor the kernel takes."""
        outcomes = self._outcomes(done)
        unclaimed = self._step(
            "exec-format",
            self.path,
            Answer.UNMET,
            detail=_EXEC_DETAIL,
            fatal=self.file is None or self.file.type in _NO_TEXT or not any(one.how == "script" for one in outcomes),
            searched=self._all_probes(),
        )
        yield from self._read_by_shells(outcomes, [replace(unclaimed, assumption=self._assumed())])

    def _assumed(self) -> str | None:
        """Return on what it rests that no handler takes a program of this machine that the kernel does not know."""
        handlers = self.machinery.target.handlers
        if handlers.stated or self.file is None or self.file.type != "ape":
            return None
        return handlers.basis or "no handlers"

    def _read_by_shells(self, outcomes: Sequence[CallerOutcome], steps: list[Step | Event]) -> Iterator[Stretch]:
        """Yield what each caller makes of ENOEXEC, and the shells that then read the file as a script."""
        shells = dict.fromkeys(one.shell for one in outcomes if one.how == "script")
        loader: str | None = None
        callers = [self._caller_step(one) for one in outcomes]
        held = self._assumed() if steps else None
        steps += [replace(step, assumption=held) if step.answer is Answer.UNMET else step for step in callers]
        if shells and self.file is not None and self.file.ape is not None:
            from runworthy.simulate.ape import ready_loader, under_shell

            steps += under_shell(self.path, self.file.ape, self.machinery.target, self.machinery.launch)
            loader = ready_loader(self.file.ape, self.machinery.target, self.machinery.launch)
        if loader is not None and which_loader(self.machinery.target.view, loader) is False:
            need = Need(kind="tool", name=loader, by=self.path)
            told = _DOES.format(loader)
            steps.append(Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="not-modelled", detail=told))
        yield self._stretch(self.path, steps)
        for shell in shells:
            yield from self._program(shell)
        if loader is not None:
            real = self.machinery.target.view.resolve(loader).path
            yield from self._run(loader, real, ("ape", self.path), replace(self.machinery.launch, callers=("sh",)))

    def _outcomes(self, done: Execution) -> list[CallerOutcome]:
        """Return what callers make of a refusal, each once."""
        target = self.machinery.target
        head, size = self._head(), self.file.size if self.file else HEAD_SIZE
        names = dict.fromkeys(name for group in self.machinery.launch.callers for name in members(group, target))
        musl = not target.view.exists(target.arch.glibc_loader) and target.view.exists(target.arch.musl_loader)
        libc = "musl" if musl else "glibc"
        return [outcome(name, done, self.path, head, size, libc=libc) for name in names]

    def _caller_step(self, one: CallerOutcome) -> Step:
        need = Need(kind="caller", name=one.caller, by=self.path)
        if one.how == "script":
            return Step(stage="exec", need=need, answer=Answer.MET, met_by=f"{one.shell} reads it as a script")
        if one.how == "unknown":
            return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="machine-unstated", detail=one.message)
        status = "" if one.status is None else f" ({one.status})"
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail=f"{one.message}{status}")

    def _search_path(self) -> str:
        return self.machinery.launch.env.get("PATH", PATH)

    def _all_probes(self) -> tuple[Probe, ...]:
        return tuple(
            Probe(path=one.name, origin="binfmt_misc", outcome="does not match" if one.enabled else "disabled")
            for one in self.machinery.target.handlers.entries
        )

    # -- what an interpreter makes of it ----------------------------------------------------

    def _inside(self, one: _Taken) -> Iterator[Stretch]:
        """Yield what an interpreter of a handler makes of the file that it gets, as far as it is known."""
        purpose, real = one.purpose, one.rewrite.real
        if purpose is None:
            return
        if purpose.kind == "ape-loader" and one.file is not None and one.file.ape is not None:
            yield self._under_loader(one, real, one.file.ape)
        elif one.how == "emulated" and one.arch is not None and purpose.kind == "emulator":
            yield self._emulated(purpose, real, one.arch)

    def _under_loader(self, one: _Taken, path: str, ape: ApeFacts) -> Stretch:
        """Return what the APE loader makes of a file: one that is emulated takes the code that it is made of itself."""
        from runworthy.simulate.ape import under_loader

        target = self.machinery.target
        _, arch = self._what(one.rewrite.opened) if one.rewrite.opened else (None, None)
        if arch is not None and not runs_natively(target.arch, arch):
            size = target.machine.page_size
            machine = replace(baseline(arch), page_size=size, page_size_stated=target.machine.page_size_stated)
            target = replace(target, machine=machine)
        return replace(self._stretch(path, under_loader(path, ape, target)), machine=target.arch.name)

    def _emulated(self, purpose: Purpose, path: str, arch: Architecture) -> Stretch:
        guest = replace(
            self.machinery.target,
            view=_with_sysroot(self.machinery, purpose, arch),
            machine=baseline(arch),
            libcs={},
            system_directories=(),
            handlers=type(self.machinery.target.handlers)(),
        )
        stretch = image_stretch(Machinery(guest, self.machinery.launch, lambda _: False), path)
        return _as_qemu_says(stretch) if purpose.qemu else stretch

    # -- what is started further on ---------------------------------------------------------

    def _under_env(self, done: Execution, taken: Sequence[_Taken]) -> Iterator[Stretch]:
        """Yield what env(1) starts, where the program that runs at last is env."""
        if taken and taken[-1].how == "emulated":
            real, argv = taken[-1].rewrite.real, taken[-2].rewrite.argv if len(taken) > 1 else self.argv
        else:
            real, argv = done.image, done.argv
        by = self.machinery.launch
        env = env_of(real, argv, self.machinery.target, by.cwd)
        if env is None or (not taken and not self.above):  # somebody who checks env itself asks for no command
            return
        who = taken[0].rewrite.real if taken else self.path
        if not env.refused and not env.unknown:
            yield from self._started_by_env(env, argv[0], who)
            return
        need = Need(kind="tool", name=" ".join(argv[1:2]) or argv[0], by=who)
        if env.refused:
            step = Step(stage="exec", need=need, answer=Answer.UNMET, detail=f"{argv[0]}: {env.refused}")
        else:
            step = Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="not-modelled", detail=env.unknown)
        yield self._stretch(who, [step])

    def _started_by_env(self, env: EnvStart, name: str, who: str) -> Iterator[Stretch]:
        """Yield the command that env finds in PATH, and what it comes to."""
        target, launch = self.machinery.target, launch_by_env(env, self.machinery.launch)
        command, search = env.words[0], launch.env.get("PATH", PATH)
        path = first_executed(target, env.words, search, launch.cwd)
        if path is None:
            yield self._stretch(who, [missing_command(target, env, name, who, launch)])
            return
        real = target.view.resolve(path).path
        need = Need(kind="tool", name=command, by=who)
        if real in (self.path, *self.above):
            detail = f"{name}: it starts `{posixpath.basename(real)}` again, and so on without end"
            yield self._stretch(who, [Step(stage="exec", need=need, answer=Answer.UNMET, detail=detail)])
            return
        yield self._stretch(who, [Step(stage="exec", need=need, answer=Answer.MET, met_by=real)])
        yield from self._run(path, real, env.words, launch)

    def _run(self, path: str, real: str, argv: tuple[str, ...], launch: Launch) -> Iterator[Stretch]:
        """Yield what becomes of another program that is executed on the way, at ``path``."""
        above = (*self.above, self.path)
        if len(above) > _DEEPEST:
            need = Need(kind="tool", name=argv[0], by=self.path)
            detail = f"what more than {_DEEPEST} programs come to, each started by the one before"
            unknown = Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="not-modelled", detail=detail)
            yield self._stretch(self.path, [unknown])
            return
        file, arch = self._what(real)
        yield from _Start(replace(self.machinery, launch=launch), real, file, arch, path, argv, above).stretches()

    def _program(self, path: str) -> Iterator[Stretch]:
        """Yield the stretches of a shell of the root that reads the file."""
        view = self.machinery.target.view
        if not path.startswith("/"):
            path = find_command(self.machinery.target, path, self._search_path())[0] or path
        found = view.find(path)
        if isinstance(found, int):
            absent = view.authority is None
            need = Need(kind="tool", name=path, by=self.path)
            answer = Answer.UNMET if absent else Answer.UNKNOWN
            why: Why | None = None if absent else "outside-core"
            yield self._stretch(
                self.path, [Step(stage="exec", need=need, answer=answer, why=why, detail="ENOENT: not found")]
            )
            return
        launch = replace(self.machinery.launch, callers=("direct",))
        yield from self._run(path, found.path, (path, self.path), launch)

    # -- steps ------------------------------------------------------------------------------

    def _head(self) -> bytes:
        if self.file is not None:
            return self.file.head
        return self.machinery.target.view.content(self.path).pread(0, HEAD_SIZE)

    def _step(
        self,
        kind: Kind,
        by: str,
        answer: Answer,
        *,
        why: Why | None = None,
        detail: str = "",
        fatal: bool = True,
        searched: Sequence[Probe] = (),
    ) -> Step:
        need = Need(
            kind=kind, name=type_name(self.file, self.arch), by=by or self.path, evidence=Evidence(file=self.path)
        )
        return Step(
            stage="exec", need=need, answer=answer, why=why, detail=detail, fatal=fatal, searched=tuple(searched)
        )

    def _stretch(self, path: str, steps: Iterator[Step | Event] | Sequence[Step | Event]) -> Stretch:
        target = self.machinery.target
        return Stretch(object=path, machine=target.arch.name, loader="kernel", root=target.name, steps=tuple(steps))


def _is_pinned(done: Execution) -> bool:
    """Whether the image that is loaded has been held open since the registration of the handler that names it (F)."""
    handler = done.rewrites[-1].handler if done.rewrites else None
    return handler is not None and "F" in handler.flags


def _permission(detail: str) -> str:
    """Return which permission a user lacks, by what is said of it."""
    return next((name for name in ("execute", "search") if f" may not {name} " in detail), "path")


def _called(handler: Handler | None) -> str:
    return f"the handler {handler.name} ({handler.interpreter})" if handler else "no handler"


def _quoted(text: str) -> str:
    return text if text and not set(text) & set(" \t\n'\"") else repr(text)


def _as_qemu_says(stretch: Stretch) -> Stretch:
    """Return the stretch of an emulated program, a missing loader in QEMU's words (linux-user/elfload.c)."""
    return replace(stretch, steps=tuple(map(_not_opened_by_qemu, stretch.steps)))


def _not_opened_by_qemu(step: Step | Event) -> Step | Event:
    if not isinstance(step, Step) or step.need.kind != "interpreter" or not step.detail.startswith("ENOENT"):
        return step
    return replace(step, detail=f"ENOENT: QEMU says `Could not open '{step.need.name}'` and ends with 255")


def _with_sysroot(machinery: Machinery, purpose: Purpose, arch: Architecture) -> FileView:
    """Return the root as an emulated program sees it."""
    from runworthy.targets.overlay import Overlay

    target, launch = machinery.target, machinery.launch
    arch = purpose.arch or arch
    name = QEMU_NAMES.get(arch.name, arch.name)
    stated = launch.env.get(_PREFIX) if purpose.qemu else None
    places = [pattern.format(name) for pattern in _SYSROOTS] if stated is None else [posixpath.join(launch.cwd, stated)]
    for place in places:
        real = target.view.real_directory(place)
        if real is not None:
            view = Overlay(target.view)
            view.mount("/", target.view, real)
            return view
    return target.view
