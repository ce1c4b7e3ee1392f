"""From a case to a small root in a directory: its files, the loader and no more."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import singledispatchmethod
from pathlib import Path

from tests.judges import qemu
from tests.judges.process import Jail
from tests.judges.qemu import Emulator
from tests.judges.roots import Root, requires_tool

from .recipe import Bring, Case, Edit, Folder, Ldconfig, Link, Mode, Object, Poke, Step, Text

# Architecture -> compiler, and the Debian package that brings it.
_COMPILERS = {
    "x86_64": ("gcc", "gcc"),
    "aarch64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    "i386": ("i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
}
_MULTIARCH = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu", "i386": "i386-linux-gnu"}

_START = r"""
#if defined __x86_64__
__asm__(".globl _start\n_start: xor %ebp,%ebp\n and $-16,%rsp\n xor %edi,%edi\n"
        " call main\n mov %eax,%edi\n mov $231,%eax\n syscall\n");
#elif defined __aarch64__
__asm__(".globl _start\n_start: mov x0,#0\n bl main\n mov x8,#94\n svc #0\n");
#elif defined __i386__
__asm__(".globl _start\n_start: and $-16,%esp\n push $0\n push $0\n push $0\n push $0\n"
        " call main\n mov %eax,%ebx\n mov $252,%eax\n int $0x80\n");
#endif
"""

# Without read-only data the linker makes a segment of no bytes, see case M08.
_FILLER = "static const int filler __attribute__((used)) = 1;\n"

_PLAIN = ("-O1", "-fPIC", "-w", "-fno-stack-protector", "-fno-asynchronous-unwind-tables")
_LINK = ("-Wl,-z,lazy", "-Wl,--no-as-needed", "-Wl,--build-id=none", "-Wl,--allow-shlib-undefined")


class BuildError(Exception):
    """A compiler or another tool refused a case's recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A case on one root: an ordinary directory that is a whole small root.

    It holds the loader of the judge root, what the case brings, and the
    case's own files. `root` describes it; `root.path` is the directory.
    """

    case: Case
    root: Root


class Builder:
    """Builds cases below one directory; what was compiled once is used again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._compiled = directory / "compiled"
        self._compiled.mkdir(parents=True, exist_ok=True)

    def compose(self, case: Case, root: Root) -> Composed:
        """The small root of `case` for the loader of `root`."""
        path = self._directory / root.name / case.name
        made = replace(root, path=path)
        if not path.exists():
            site = _Site(case, root, path, self._compiled)
            site.skeleton()
            for step in case.tree:
                site.apply(step)
        return Composed(case=case, root=made)

    def lay(self, case: Case, root: Root, path: Path) -> None:
        """Put the files of `case`, built for `root`, below a directory, without a loader."""
        site = _Site(case, root, path, self._compiled)
        for step in case.tree:
            site.apply(step)


class _Site:
    """One small root while it is being built."""

    def __init__(self, case: Case, root: Root, path: Path, compiled: Path) -> None:
        self.root = root
        self.path = path
        self.compiled = compiled
        self.objects = {step.at: step for step in case.tree if isinstance(step, Object)}
        self.files: dict[str, Path] = {}

    def skeleton(self) -> None:
        """The layout of the judge root, with its loader and empty directories."""
        self.path.mkdir(parents=True)
        for name in ("usr/lib", "etc", "app", "tmp", "usr/bin"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        for name in ("lib", "lib64", "bin"):
            model = self.root.path / name
            if model.is_symlink():
                target = os.readlink(model)
                (self.path / target).mkdir(parents=True, exist_ok=True)
                (self.path / name).symlink_to(target)
            elif model.is_dir():
                (self.path / name).mkdir(exist_ok=True)
        self._copy(self.root.loader)
        if self.root.libc == "musl":
            (self.path / f"lib/libc.musl-{self.root.arch}.so.1").symlink_to(Path(self.root.loader).name)

    def _copy(self, inside: str) -> None:
        """Copy one file of the judge root to the same path, links followed."""
        target = self.path / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_resolve(self.root.path, inside), target)

    @singledispatchmethod
    def apply(self, step: Step) -> None:
        """Carry out one step of the recipe."""
        raise TypeError(step)

    @apply.register
    def _(self, step: Object) -> None:
        self.files[step.at] = self._built(step)
        if not step.at.startswith("ghost/"):
            shutil.copy(self.files[step.at], self._new(step.at))

    @apply.register
    def _(self, step: Text) -> None:
        self._new(step.at).write_text(step.content)

    @apply.register
    def _(self, step: Link) -> None:
        self._new(step.at).symlink_to(step.to)

    @apply.register
    def _(self, step: Folder) -> None:
        self._new(step.at).mkdir()

    @apply.register
    def _(self, step: Mode) -> None:
        (self.path / step.at).chmod(step.mode)

    @apply.register
    def _(self, step: Poke) -> None:
        with (self.path / step.at).open("r+b") as file:
            file.seek(step.offset)
            file.write(step.content)

    @apply.register
    def _(self, step: Edit) -> None:
        file = self.path / step.at
        file.write_bytes(step.change(file.read_bytes()))

    @apply.register
    def _(self, step: Bring) -> None:
        if self.root.libc == "musl":
            return  # the loader is the libc
        self._copy(f"/lib/{_MULTIARCH[self.root.arch]}/{step.name}")

    @apply.register
    def _(self, step: Ldconfig) -> None:
        conf = self.path / "etc/ld.so.conf"
        conf.write_text("".join(f"{line}\n" for line in step.lines))
        model = replace(self.root)
        with Jail(model.path, binds={**qemu.binds_for(model), "/subject": self.path}) as jail:
            command = ["/sbin/ldconfig", "-r", "/subject"]
            emulator = Emulator.for_root(model)
            outcome = jail.run(emulator.command(command, {}) if emulator else command)
        if outcome.rc != 0:
            raise BuildError(f"ldconfig: {outcome}")
        shutil.rmtree(self.path / "var/cache", ignore_errors=True)
        if not step.keep_conf:
            conf.unlink()

    def _new(self, at: str) -> Path:
        """The path of a file to be made, its directory made before."""
        path = self.path / at
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # --- compiling ---

    def _built(self, what: Object) -> Path:
        """The compiled file, from the store if the same was compiled before."""
        command, inputs = self._command(what)
        key = hashlib.sha256(repr((command, inputs, what.source, what.versions, what.filler)).encode())
        for name in what.needs:
            if name in self.files:
                key.update(self.files[name].read_bytes())
        place = self.compiled / key.hexdigest()[:24]
        file = place / Path(what.at).name
        if not file.exists():
            place.mkdir(exist_ok=True)
            self._compile(what, command, place, file)
        return file

    def _command(self, what: Object) -> tuple[list[str], tuple[str, ...]]:
        """The compiler and its options, without the names of files."""
        arch = what.arch or self.root.arch
        command = [*self._compiler(what, arch), *_PLAIN, *_LINK]
        if what.libc == "none":
            command += ["-nostdlib", "-ffreestanding"]
        if what.kind == "library":
            command.append("-shared")
            if what.soname:
                command.append(f"-Wl,-soname,{what.soname}")
        elif not any(flag.startswith("-static") for flag in what.flags):
            command.append(f"-Wl,--dynamic-linker={what.interpreter or self.root.loader}")
        for path, tags in ((what.rpath, "disable"), (what.runpath, "enable")):
            if path is not None:
                command += [f"-Wl,--{tags}-new-dtags", f"-Wl,-rpath,{path}"]
        return [*command, *what.flags], what.needs

    def _compiler(self, what: Object, arch: str) -> list[str]:
        if what.libc == "own" and self.root.libc == "musl" and what.arch is None:
            return [str(requires_tool("musl-gcc", package="musl-tools"))]
        command, package = _COMPILERS[arch]
        return [str(requires_tool(command, package=package))]

    def _compile(self, what: Object, command: list[str], place: Path, file: Path) -> None:
        source = place / "source.c"
        start = _START if what.kind == "program" and what.libc == "none" else ""
        filler = _FILLER if what.filler else ""
        source.write_text(start + filler + what.source + "\n")
        arguments = [*command, "-o", str(file), str(source)]
        if what.versions is not None:
            script = place / "versions.map"
            script.write_text(what.versions)
            arguments.append(f"-Wl,--version-script={script}")
        for number, name in enumerate(what.needs):
            arguments.append(str(self.files.get(name) or self._stub(what, place, number, name)))
        _run(arguments)

    def _stub(self, what: Object, place: Path, number: int, name: str) -> Path:
        """An empty library that leaves `name` in the DT_NEEDED of its user."""
        stub = place / f"stub{number}.so"
        compiler = self._compiler(replace(what, libc="none"), what.arch or self.root.arch)
        _run([*compiler, "-shared", "-nostdlib", "-x", "c", os.devnull, f"-Wl,-soname,{name}", "-o", str(stub)])
        return stub


def _resolve(root: Path, inside: str) -> Path:
    """The host path of a path inside `root`, absolute links taken inside it."""
    path = Path("/")
    todo = [part for part in reversed(inside.split("/")) if part]
    for _ in range(4096):
        if not todo:
            return root / str(path).lstrip("/")
        part = todo.pop()
        path = path.parent if part == ".." else path / part
        here = root / str(path).lstrip("/")
        if here.is_symlink():
            target = os.readlink(here)
            path = Path("/") if target.startswith("/") else path.parent
            todo += [piece for piece in reversed(target.split("/")) if piece]
    raise BuildError(f"{inside}: too many links")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stderr}")
