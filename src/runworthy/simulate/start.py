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
from runworthy.model.program import FileFacts
from runworthy.model.records import dataclass, replace
from runworthy.model.trace import Answer, Event, Evidence, Kind, Need, Probe, Step, Stretch, Taken, Trace, Why
from runworthy.simulate.commands import PATH, command_step, find_command
from runworthy.simulate.execve import execve
from runworthy.simulate.execve.callers import CallerOutcome, members, outcome
from runworthy.simulate.process import Machinery, image_stretch
from runworthy.simulate.purpose import Purpose, purpose_of, taken_by
from runworthy.targets.target import Target
from runworthy.targets.view import FileView

__all__ = ["start", "type_name"]

_NAMES = {
    "ape": "APE",
    "mach-o": "Mach-O",
    "python-bytecode": "Python bytecode",
    "wasm": "WebAssembly",
}
# Where qemu-user looks for the loader and the libraries of the guest before it looks in the root itself
# (linux-user/main.c, CONFIG_QEMU_INTERP_PREFIX; Debian's patch for /etc/qemu-binfmt).
_SYSROOTS = ("/etc/qemu-binfmt/{}", "/usr/gnemul/qemu-{}")
_QEMU_NAMES = {"armv7": "arm", "armv6": "arm", "armel": "arm", "mips64le": "mips64el", "mipsle": "mipsel"}
_REFUSED: dict[str, Kind] = {"ELOOP": "rewrites", "ENOEXEC": "exec-format"}
_PERMISSIONS = {
    "no execute permission is set": "execute",
    "its file system is mounted with noexec": "noexec",
    "it is a directory": "regular-file",
    "it is no regular file": "regular-file",
}
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


def start(machinery: Machinery, path: str, file: FileFacts | None, arch: Architecture | None) -> Trace:
    """Return what happens when the file at the real path ``path`` is executed. Raises OSError.

    ``file`` says what it is where it is no ELF file; ``arch`` is that of an ELF file.
    """
    started = _Start(machinery, path, file, arch)
    return Trace(stretches=tuple(started.stretches()), until=machinery.launch.until)


@dataclass(slots=True)
class _Start:
    """One file that is executed."""

    machinery: Machinery
    path: str
    file: FileFacts | None
    arch: Architecture | None

    def stretches(self) -> Iterator[Stretch]:
        """Yield the stretches in order."""
        target, launch = self.machinery.target, self.machinery.launch
        done = execve(target, self.path, (self.path,), cwd=launch.cwd)
        taken: Taken = ""
        differs = list(self._boot_differs())
        for index, rewrite in enumerate(done.rewrites):
            first = index == 0
            taken = self._taken(rewrite) if first else ""
            steps = self._rewritten(rewrite, done, taken, first=first)
            yield self._stretch(rewrite.real, [*steps, *differs] if first else steps)
            differs = []
            if taken == "foreign":
                return
        for stretch in self._end(done, taken):
            yield replace(stretch, steps=(*stretch.steps, *differs))
            differs = []

    def _boot_differs(self) -> Iterator[Event]:
        """Yield that another handler takes the file after the next boot than takes it now.

        Of a target that is judged as it is now, this is asked only where a handler takes the file.
        """
        before, after = self.machinery.target.handlers_before, self.machinery.target.handlers
        if before is None and not after.entries:
            return
        head = self._head()
        if before is None:
            held = self.machinery.handlers_at_boot() if after.taking(head, self.path) else None
            if held is None:
                return
            before, after = after, held
        now, then = (found.taking(head, self.path) for found in (before, after))
        if (now and (now.name, now.interpreter)) != (then and (then.name, then.interpreter)):
            text = f"{_called(now)} takes it now, {_called(then)} will"
            yield Event(stage="exec", kind="boot-differs", text=text, by=self.path)

    def _end(self, done: Execution, taken: Taken) -> Iterator[Stretch]:
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
                yield image_stretch(self.machinery, done.image)
            if done.rewrites:
                yield from self._inside(done.rewrites[0], taken)

    # -- who takes it -----------------------------------------------------------------------

    def _taken(self, rewrite: Rewrite) -> Taken:
        if rewrite.handler is None:
            return ""
        return taken_by(self.file.type if self.file else "elf", self.arch, rewrite.handler)

    def _rewritten(self, rewrite: Rewrite, done: Execution, taken: Taken, *, first: bool) -> Iterator[Step | Event]:
        handler = rewrite.handler
        name = type_name(self.file, self.arch) if first else ("program" if handler else "script")
        met_by = f"{handler.name} ({handler.interpreter})" if handler else "the kernel's #! handler"
        assumed = handler is not None and not self.machinery.target.handlers.stated
        yield Step(
            stage="exec",
            need=Need(kind="exec-format", name=name, by=rewrite.real, evidence=Evidence(file=rewrite.real, offset=0)),
            answer=Answer.MET,
            met_by=met_by,
            searched=self._probes(rewrite, handler),
            taken=taken,
            assumption=self.machinery.target.handlers.basis or "the handlers of its boot" if assumed else None,
            detail=purpose_of(handler).words if handler else "",
        )
        yield self._interpreter(rewrite, done)
        if done.errno != "ENOEXEC" and rewrite.argv:
            yield Event(stage="exec", kind="rewritten", text=" ".join(map(_quoted, rewrite.argv)), by=rewrite.real)

    def _interpreter(self, rewrite: Rewrite, done: Execution) -> Step:
        kind: Kind = "handler" if rewrite.handler else "script-interpreter"
        need = Need(kind=kind, name=rewrite.interpreter, by=rewrite.real)
        if rewrite is done.rewrites[-1] and done.errno and done.errno != "ELOOP":
            probe = Probe(path=rewrite.interpreter, origin=kind, outcome=done.detail)
            detail = f"{done.errno}: {done.detail}"
            fatal = done.errno != "ENOEXEC" or any(one.how != "script" for one in self._outcomes(done))
            return Step(stage="exec", need=need, answer=Answer.UNMET, searched=(probe,), detail=detail, fatal=fatal)
        if rewrite is done.rewrites[-1] and done.why is not None:
            return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why=done.why, detail=done.detail)
        pinned = rewrite.handler is not None and "F" in rewrite.handler.flags
        met_by = rewrite.opened or ("opened when it was registered (F)" if pinned else rewrite.interpreter)
        return Step(stage="exec", need=need, answer=Answer.MET, met_by=met_by)

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
        name = _PERMISSIONS.get(done.detail, "path") if kind == "permission" else type_name(self.file, self.arch)
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
            fatal=not any(one.how == "script" for one in outcomes),
            searched=self._all_probes(),
        )
        yield from self._read_by_shells(outcomes, [unclaimed])

    def _read_by_shells(self, outcomes: Sequence[CallerOutcome], steps: list[Step | Event]) -> Iterator[Stretch]:
        """Yield what each caller makes of ENOEXEC, and the shells that then read the file as a script."""
        shells = dict.fromkeys(one.shell for one in outcomes if one.how == "script")
        steps += [self._caller_step(one) for one in outcomes]
        if shells and self.file is not None and self.file.ape is not None:
            from runworthy.simulate.ape import under_shell

            steps += under_shell(self.path, self.file.ape, self.machinery.target, self.machinery.launch)
        yield self._stretch(self.path, steps)
        for shell in shells:
            yield from self._program(shell)

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

    def _inside(self, rewrite: Rewrite, taken: Taken) -> Iterator[Stretch]:
        """Yield what goes on inside the interpreter, as far as it is known."""
        purpose = purpose_of(rewrite.handler) if rewrite.handler else None
        if purpose is None:
            yield from self._under_env(rewrite)
        elif purpose.kind == "ape-loader" and self.file is not None and self.file.ape is not None:
            from runworthy.simulate.ape import under_loader

            yield self._stretch(self.path, under_loader(self.path, self.file.ape, self.machinery.target))
        elif purpose.kind == "emulator" and taken == "emulated":
            yield from self._emulated(purpose)

    def _under_env(self, rewrite: Rewrite) -> Iterator[Stretch]:
        """Yield what env(1) looks for where a script begins with ``#!/usr/bin/env NAME``."""
        if posixpath.basename(rewrite.interpreter) != "env" or len(rewrite.argv) < 3:
            return
        name = _env_command(rewrite.argv[1])
        if name:
            said = f"/usr/bin/env: '{name}': No such file or directory, and it ends with 127"
            step = command_step(self.machinery.target, name, self.path, said, self._search_path())
            yield self._stretch(self.path, [step])
            if step.met_by is not None:
                yield from self._program(step.met_by)

    def _emulated(self, purpose: Purpose) -> Iterator[Stretch]:
        arch = purpose.arch or self.arch
        if arch is not None and self.arch is not None:
            guest = replace(
                self.machinery.target,
                view=_with_sysroot(self.machinery.target, arch),
                machine=baseline(self.arch),
                libcs={},
                system_directories=(),
                handlers=type(self.machinery.target.handlers)(),
            )
            stretch = image_stretch(Machinery(guest, self.machinery.launch, lambda _: False), self.path)
            yield _as_qemu_says(stretch) if purpose.qemu else stretch

    def _program(self, path: str) -> Iterator[Stretch]:
        """Yield the stretches of another program of the root that is started on the way."""
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
        try:
            yield image_stretch(self.machinery, found.path)
        except FormatError:
            return  # a script in the place of a shell or of a command: what it does is not looked at

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


def _called(handler: Handler | None) -> str:
    return f"the handler {handler.name} ({handler.interpreter})" if handler else "no handler"


def _quoted(text: str) -> str:
    return text if text and not set(text) & set(" \t\n'\"") else repr(text)


def _env_command(argument: str) -> str:
    """Return the name that env looks up in PATH: the whole argument of a ``#!`` line, unless ``-S`` splits it.

    GNU coreutils ``src/env.c``; options and assignments before the command are passed over.
    """
    if not argument.startswith("-S"):
        return "" if argument.startswith("-") or "=" in argument else argument
    words = argument[2:].split()
    return next((word for word in words if not word.startswith("-") and "=" not in word), "")


def _as_qemu_says(stretch: Stretch) -> Stretch:
    """Return the stretch of an emulated program, a missing loader in QEMU's words (linux-user/elfload.c)."""
    return replace(stretch, steps=tuple(map(_not_opened_by_qemu, stretch.steps)))


def _not_opened_by_qemu(step: Step | Event) -> Step | Event:
    if not isinstance(step, Step) or step.need.kind != "interpreter" or not step.detail.startswith("ENOENT"):
        return step
    return replace(step, detail=f"ENOENT: QEMU says `Could not open '{step.need.name}'` and ends with 255")


def _with_sysroot(target: Target, arch: Architecture) -> FileView:
    """Return the root as an emulated program sees it."""
    from runworthy.targets.overlay import Overlay

    name = _QEMU_NAMES.get(arch.name, arch.name)
    for pattern in _SYSROOTS:
        real = target.view.real_directory(pattern.format(name))
        if real is not None:
            view = Overlay(target.view)
            view.mount("/", target.view, real)
            return view
    return target.view
