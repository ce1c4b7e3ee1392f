"""Programs started inside a root: a `Jail` is one root, kept ready for many of them."""

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

_JAILER = Path(__file__).with_name("jailer.py")


class JailError(Exception):
    """A jail could not be built, or died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one program ended.

    `rc` is the exit status, negative for a signal, and None when the program
    did not end by itself: `errno` is then what execve said, or, when that is
    None too, the time was over.
    """

    rc: int | None
    errno: int | None
    stdout: str
    stderr: str

    @property
    def timed_out(self) -> bool:
        """Whether it was killed because the time was over."""
        return self.rc is None and self.errno is None


class Jail:
    """A root directory in which programs run, one at a time.

    `layers` are directories laid over each other, the first on top. They are
    only read: programs write to a layer that vanishes with the jail. `binds`
    maps paths inside to files or directories of this machine. With `proc`,
    /proc is mounted.
    """

    def __init__(
        self,
        *layers: Path,
        binds: Mapping[str, Path] | None = None,
        proc: bool = True,
    ) -> None:
        self.layers = layers
        self._lock = threading.Lock()
        self._scratch = tempfile.TemporaryDirectory(prefix="jail-")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_JAILER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={},
        )
        answer = self._ask(
            {
                "layers": [str(layer.resolve()) for layer in layers],
                "binds": {guest: str(host.resolve()) for guest, host in (binds or {}).items()},
                "proc": proc,
                "scratch": self._scratch.name,
            }
        )
        if "error" in answer:
            self.close()
            raise JailError(answer["error"])

    def run(
        self,
        argv: Sequence[str],
        *,
        program: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        uid: int | None = None,
        timeout: float = 20.0,
    ) -> Outcome:
        """Start `program` (argv[0] when not given) with exactly the environment `env`."""
        answer = self._ask(
            {
                "program": program or argv[0],
                "argv": list(argv),
                "env": dict(env or {}),
                "cwd": cwd,
                "uid": uid,
                "timeout": timeout,
            }
        )
        return Outcome(**answer)

    def close(self) -> None:
        """End the jail with everything in it."""
        with self._lock:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None and not stream.closed:
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

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise JailError("the jail has no channel")
        with self._lock:
            try:
                stdin.write(json.dumps(request) + "\n")
                stdin.flush()
                line = stdout.readline()
            except (OSError, ValueError) as error:
                raise JailError(f"the jail is closed: {error}") from error
        if not line:
            raise JailError("the jail died")
        answer: dict[str, Any] = json.loads(line)
        return answer
