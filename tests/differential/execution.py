"""The model of execve beside the real one: the same files, the same handlers, the same question."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from runworthy.formats.binfmt.entry import parse_entry
from runworthy.model.arch import architecture
from runworthy.model.binfmt import Handlers
from runworthy.model.execution import Execution
from runworthy.model.host import MachineFacts, Mount
from runworthy.model.machine import baseline, parse_kernel
from runworthy.model.records import replace
from runworthy.simulate.execve import execve
from runworthy.targets.directory import DirectoryView
from runworthy.targets.target import Target
from tests.differential.programs import said
from tests.judges.kernel import MS_BIND, MS_NOEXEC, MS_REMOUNT, Executed, Kernel

__all__ = ["World"]


class World:
    """Files that both see. `marks` tells for the path of a program what is printed when it is loaded."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.marks: dict[str, str] = {}
        self._noexec: list[Mount] = []
        self._held: Handlers | None = None

    def put(self, name: str, data: bytes, mode: int = 0o755, *, mark: str = "") -> Path:
        """Write a file, with what it prints when it is loaded."""
        path = self.kernel.put(name, data, mode)
        self.marks.pop(str(path), None)
        if mark:
            self.marks[str(path)] = mark
        return path

    def noexec(self, name: str) -> Path:
        """Make a directory from which nothing is executed."""
        point = self.kernel.files / name
        point.mkdir(exist_ok=True)
        assert self.kernel.mount(str(point), point, flags=MS_BIND) == 0
        assert self.kernel.mount("none", point, flags=MS_BIND | MS_REMOUNT | MS_NOEXEC) == 0
        self._noexec.append(Mount(point=str(point), fstype="ext4", options=("rw", "noexec")))
        return point

    def handlers(self) -> Handlers:
        """What is registered, as the kernel says it."""
        kernel = self.kernel
        entries = tuple(parse_entry(name, kernel.read(name)) for name in kernel.entries())
        return Handlers(entries=entries, enabled=kernel.read("status") == "enabled\n", stated=True)

    def target(self, handlers: Handlers, root: str = "/") -> Target:
        """Make a target of the machine that the kernel runs on."""
        arch = architecture("x86_64")
        assert arch
        release = os.uname().release
        facts = MachineFacts(arch="x86_64", kernel=release, mounts=tuple(self._noexec))
        machine = replace(baseline(arch), kernel=parse_kernel(release))
        return Target(name="here", view=DirectoryView(root), machine=machine, machine_facts=facts, handlers=handlers)

    def predict(
        self,
        path: str | Path,
        argv: Sequence[str] | None = None,
        *,
        cwd: str | Path = "/",
        privileged: bool = True,
        handlers: Handlers | None = None,
        root: str = "/",
    ) -> Execution:
        """What the model says."""
        words = [str(path)] if argv is None else argv
        held = self.handlers() if handlers is None else handlers
        return execve(self.target(held, root), str(path), words, cwd=str(cwd), root_user=privileged)

    def compare(
        self,
        path: str | Path,
        argv: Sequence[str] | None = None,
        *,
        cwd: str | Path = "/",
        privileged: bool = True,
        handlers: Handlers | None = None,
    ) -> tuple[Execution, Executed]:
        """Ask both and hold one against the other: errno, the image, its arguments, a signal."""
        predicted = self.predict(path, argv, cwd=cwd, privileged=privileged, handlers=handlers)
        real = self.kernel.execute(path, argv, cwd=cwd, privileged=privileged)
        told = f"{predicted}\n{real}"
        assert predicted.why is None, told
        assert predicted.errno == (errno.errorcode[real.errno] if real.errno else ""), told
        if predicted.errno:
            assert predicted.detail, told
        elif predicted.dies:
            assert real.rc == -signal.Signals[predicted.dies], told
        elif (speaker := predicted.loader or predicted.image) in self.marks:
            assert said(real.stdout) == (self.marks[speaker], predicted.argv), told
            assert real.rc == 0, told
        else:
            assert real.rc is not None, told
            assert not speaker.startswith(str(self.kernel.files)), told
        return predicted, real
