"""The kernel of this machine with a binfmt_misc of its own, to be asked what execve does.

    with requires_kernel() as kernel:  # skips the test where the kernel cannot give one
        kernel.put("hello", b"MZ...")
        assert kernel.register(b":mz:M::MZ::/bin/echo:") == 0
        kernel.execute(kernel.files / "hello", ["hello", "1"]).stdout

Works as root, and as any user where Linux is 6.7 or newer and lets users make
namespaces. Nothing here touches the handlers of this machine.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

_SERVER = Path(__file__).with_name("kernel_server.py")
_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_CONTROL = ("register", "status")

# linux/mount.h
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000


class KernelError(Exception):
    """The kernel gives no such namespace, or the helper died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What became of one execve.

    `errno` is 0 when an image was loaded; `rc` is then its exit status, negative for a signal, and
    None when it was killed because the time was over.
    """

    errno: int
    rc: int | None
    stdout: str
    stderr: str


class Kernel:
    """A user namespace with a binfmt_misc that begins empty.

    `files` is an ordinary directory, the same inside and outside; `tmpfs` one that exists only inside;
    `binfmt_misc` is where the handlers are mounted. `many_users`: user ids other than 0 exist inside.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scratch = tempfile.TemporaryDirectory(prefix="kernel-")
        top = Path(self._scratch.name).resolve()
        top.chmod(0o755)
        self.files, self.tmpfs, self.binfmt_misc = (top / name for name in ("files", "tmpfs", "binfmt_misc"))
        for directory in (self.files, self.tmpfs, self.binfmt_misc):
            directory.mkdir(mode=0o755)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SERVER), str(top)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={},
        )
        try:
            self.many_users: bool = self._answer()["answer"]
        except KernelError:
            self.close()
            raise

    # -- handlers -----------------------------------------------------------

    def register(self, text: bytes) -> int:
        """Write a registration in one call; the errno, 0 when it was accepted."""
        return self.write("register", text)

    def write(self, name: str, data: bytes) -> int:
        """Write to an entry or to `status`: `0`, `1`, `-1`; the errno."""
        return self._write(self.binfmt_misc / name, data, create=False)

    def entries(self) -> list[str]:
        """The handlers in the order in which the kernel lists them: the order of matching."""
        names: list[str] = self._ask("names", path=str(self.binfmt_misc))["answer"]
        return [name for name in names if name not in _CONTROL]

    def read(self, name: str) -> str:
        """What an entry or `status` says of itself."""
        text: str = self._ask("read", path=str(self.binfmt_misc / name))["answer"]
        return text.encode("latin-1").decode("utf-8", "surrogateescape")

    def clear(self) -> None:
        """Delete every handler and switch binfmt_misc on."""
        self.write("status", b"-1")
        self.write("status", b"1")

    # -- files and mounts ---------------------------------------------------

    def put(self, name: str, data: bytes, mode: int = 0o755, *, tmpfs: bool = False) -> Path:
        """Write a file below `files` or, with `tmpfs`, in that directory."""
        if tmpfs:
            path = self.tmpfs / name
            if self._write(path, data, create=True):
                raise KernelError(f"{path} cannot be written")
            return path
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def mount(self, source: str, point: Path, kind: str | None = None, flags: int = 0, data: str | None = None) -> int:
        """Mount a file system inside; the errno."""
        answer = self._ask("mount", source=source, point=str(point), kind=kind, flags=flags, data=data)
        return int(answer["answer"])

    def unmount(self, point: Path) -> int:
        """Unmount what is at a path inside; the errno."""
        number: int = self._ask("unmount", point=str(point))["answer"]
        return number

    # -- programs -----------------------------------------------------------

    def execute(
        self,
        path: str | Path,
        argv: Sequence[str] | None = None,
        *,
        via: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | Path = "/",
        timeout: float = 10.0,
        search: bool = False,
        descriptor: bool = False,
        writing: str | Path = "",
        chroot: str | Path = "",
        user_namespace: bool = False,
        privileged: bool = True,
        uid: int = 0,
    ) -> Executed:
        """Execute `path` by a bare execve; the program and all that it started have ended when this returns.

        `argv` begins with argv[0] (default: the path). `via` is the command of a caller that gets `path`
        and the arguments after its own (`["env"]`). `search`: the C library's execvpe instead of execve;
        `descriptor`: execveat on an open file that is closed on exec. `writing`: a file that is open for
        writing meanwhile. `user_namespace`: in a further user namespace. Not `privileged`: without
        capabilities, so that permission bits count. `uid`: as this user (only with `many_users`). HOME is
        the tmpfs where `env` does not say it.
        """
        words = [str(path)] if argv is None else list(argv)
        if via:
            words, path, search = [*via, str(path), *words[1:]], via[0], True
        answer = self._ask(
            "execute",
            path=str(path),
            argv=words,
            env={"HOME": str(self.tmpfs), **(_ENV if env is None else env)},
            cwd=str(cwd),
            timeout=timeout,
            search=search,
            descriptor=descriptor,
            writing=str(writing),
            chroot=str(chroot),
            user_namespace=user_namespace,
            privileged=privileged,
            uid=uid,
        )
        return Executed(**answer["answer"])

    # -- the helper ---------------------------------------------------------

    def _write(self, path: Path, data: bytes, *, create: bool) -> int:
        number: int = self._ask("write", path=str(path), data=data.decode("latin-1"), create=create)["answer"]
        return number

    def _ask(self, do: str, **request: object) -> dict[str, Any]:
        with self._lock:
            try:
                assert self._process.stdin
                self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError) as error:
                raise KernelError("the helper has ended") from error
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line or '{"error": "the helper has ended"}')
        if "error" in answer:
            raise KernelError(answer["error"])
        return answer

    def close(self) -> None:
        """End the namespaces with all that is in them."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def requires_kernel() -> Kernel:
    """A kernel to ask, or skip the test with the reason (which fails it where judges are required)."""
    if sys.platform != "linux":
        pytest.skip("asks the Linux kernel")
    try:
        return Kernel()
    except KernelError as error:
        pytest.skip(f"no user namespace with its own binfmt_misc (Linux 6.7 and the right to make one): {error}")
