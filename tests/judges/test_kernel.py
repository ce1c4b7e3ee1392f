"""The harness of the kernel itself, on facts that are known beforehand."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .kernel import MS_BIND, MS_NOEXEC, MS_REMOUNT, Executed, Kernel, KernelError, requires_kernel

pytestmark = pytest.mark.judge


@pytest.fixture(name="kernel")
def _kernel() -> Iterator[Kernel]:
    with requires_kernel() as kernel:
        yield kernel


def test_newest_first(kernel: Kernel) -> None:
    """Entries stand in the order of matching, and the first of them takes the file."""
    for name in ("b", "a", "c"):
        assert kernel.register(f":{name}:M::MZ::/bin/echo:".encode()) == 0
    assert kernel.entries() == ["c", "a", "b"]
    assert kernel.read("c").splitlines()[1:3] == ["interpreter /bin/echo", "flags: "]
    assert kernel.read("status") == "enabled\n"
    path = kernel.put("program", b"MZ")
    assert kernel.execute(path, ["zero", "one"]).stdout == f"{path} one\n"
    assert kernel.write("c", b"0") == 0
    assert kernel.read("c").startswith("disabled\n")
    kernel.clear()
    assert kernel.entries() == []
    assert kernel.execute(path).errno == errno.ENOEXEC


def test_errno_and_ends(kernel: Kernel) -> None:
    """The errno of a registration, of execve, an exit status, a signal, a time that is over, what is left behind."""
    assert kernel.register(b":a:M::MZ::/x") == errno.EINVAL
    assert kernel.execute("/nonexistent").errno == errno.ENOENT
    ended = kernel.execute("/bin/sh", ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert ended == Executed(errno=0, rc=3, stdout="out\n", stderr="err\n")
    assert kernel.execute("/bin/sh", ["sh", "-c", "kill -9 $$"]).rc == -9
    assert kernel.execute("/bin/sleep", ["sleep", "60"], timeout=0.2).rc is None
    assert kernel.execute("/bin/sh", ["sh", "-c", "sleep 60 & echo $$"]).rc == 0
    with pytest.raises(KernelError):
        kernel.read("missing")


def test_ways_to_execute(kernel: Kernel) -> None:
    """A caller, the C library's search, an open descriptor, a busy file, a changed root, no capabilities."""
    text = kernel.put("text", b"echo text $1")
    assert kernel.execute(text).errno == errno.ENOEXEC
    assert kernel.execute(text, ["text", "one"], search=True).stdout == "text one\n"
    assert kernel.execute(text, ["text", "one"], via=["env"]).stdout == "text one\n"
    script = kernel.put("script", b"#!/bin/echo\n")
    assert kernel.execute(script, descriptor=True).errno == errno.ENOENT
    assert kernel.execute(script, writing=script).errno == errno.ETXTBSY
    assert kernel.execute("/script", chroot=kernel.files).errno == errno.ENOENT
    assert kernel.execute("script", cwd=kernel.files, user_namespace=True).stdout == "script\n"
    closed = kernel.put("closed/script", b"#!/bin/echo\n")
    closed.parent.chmod(0o600)
    assert kernel.execute(closed).errno == 0
    assert kernel.execute(closed, privileged=False).errno == errno.EACCES
    closed.parent.chmod(0o700)


def test_mounts(kernel: Kernel) -> None:
    """Mounts exist inside only; the tmpfs holds files."""
    script = kernel.put("script", b"#!/bin/echo\n", tmpfs=True)
    assert not script.exists()
    assert kernel.execute("/bin/sh", ["sh", str(script)]).errno == 0
    point = kernel.files / "point"
    kernel.put("point/script", b"#!/bin/echo\n")
    assert kernel.mount(str(point), point, flags=MS_BIND) == 0
    assert kernel.mount("none", point, flags=MS_BIND | MS_REMOUNT | MS_NOEXEC) == 0
    assert kernel.execute(point / "script").errno == errno.EACCES
    assert kernel.unmount(point) == 0
    assert kernel.execute(point / "script").errno == 0


def test_leaves_nothing(tmp_path: Path) -> None:
    """What it mounted and registered ends with it; the machine's own handlers are as they were."""
    ours = Path("/proc/sys/fs/binfmt_misc")
    before = sorted(ours.iterdir()), Path("/proc/self/mounts").read_text("utf-8")
    with requires_kernel() as kernel:
        assert kernel.register(b":a:M::MZ::/bin/echo:") == 0
        assert (sorted(ours.iterdir()), Path("/proc/self/mounts").read_text("utf-8")) == before
    assert not kernel.files.exists()
    assert (sorted(ours.iterdir()), Path("/proc/self/mounts").read_text("utf-8")) == before
    with pytest.raises(KernelError):
        kernel.entries()
    assert os.listdir(tmp_path) == []
