"""The handlers that are told to be in force against those that the kernel uses, in namespaces inside each other.

The reader runs inside and then executes a file that begins with MZ: what takes it is what is in force.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import runworthy
from tests.judges.kernel import Kernel, requires_kernel

pytestmark = pytest.mark.judge

READER = """
import ctypes, json, os, subprocess, sys
import runworthy.formats.binfmt.entry, runworthy.targets.mounts  # while they can still be read
from runworthy.targets.binfmt.live import handlers_of, read_binfmt_misc
file, before, flags, uid = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
libc = ctypes.CDLL(None, use_errno=True)
if uid:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: so that /proc/self is the process's own again
if flags and libc.unshare(flags):
    sys.exit(os.strerror(ctypes.get_errno()))
if flags & 0x10000000:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {uid} 1")):
        with open(f"/proc/self/{name}", "w") as stream:
            stream.write(text)
subprocess.run(["/bin/sh", "-ec", before], check=True)
handlers = handlers_of(read_binfmt_misc())
taking = handlers.taking(b"MZ".ljust(256, b"\\0"), file)
try:
    said = subprocess.run([file], stdout=subprocess.PIPE, text=True).stdout.strip()
except OSError as error:
    said = os.strerror(error.errno)
print(json.dumps([[one.name for one in handlers.entries], taking and taking.name, handlers.unknown, said]))
"""
# linux/sched.h
CLONE_NEWNS = 0x20000
CLONE_NEWUSER = 0x10000000


@dataclass(frozen=True)
class Told:
    """The names of the handlers, the one that is said to take the file, what is unknown, and what took the file."""

    names: list[str]
    taking: str | None
    unknown: str
    said: str


@dataclass(frozen=True)
class Stage:
    """A kernel, and inside of it a file that begins with MZ, a directory to mount in and two handlers' interpreters."""

    kernel: Kernel
    file: Path
    other: Path

    def read(self, before: str = "", flags: int = 0, *, uid: int = 0) -> Told:
        """Return what the reader tells as a user, in further namespaces (of unshare), after some shell commands."""
        words = [sys.executable, "-c", READER, str(self.file), before, str(flags), str(uid)]
        env = {"PYTHONPATH": str(Path(runworthy.__file__).parents[1]), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = self.kernel.execute(words[0], words, env=env)
        assert (done.errno, done.rc) == (0, 0), done
        return Told(*json.loads(done.stdout))


@pytest.fixture
def stage() -> Iterator[Stage]:
    with requires_kernel() as kernel:
        for name in ("outer", "inner"):
            kernel.put(name, f"#!/bin/sh\necho {name}\n".encode())
        other = kernel.files / "other"
        other.mkdir()
        assert kernel.register(b":outer:M::MZ::%s:" % bytes(kernel.files / "outer")) == 0
        yield Stage(kernel, kernel.put("program", b"MZ no program\n"), other)


def register(stage: Stage) -> str:
    """Return the commands that mount binfmt_misc anew and register a handler there."""
    line = f":inner:M::MZ::{stage.kernel.files}/inner:"
    return f"mount -t binfmt_misc none {stage.other}; echo '{line}' >{stage.other}/register"


def test_the_own_handlers(stage: Stage) -> None:
    told = stage.read()
    assert (told.names, told.taking, told.said) == (["outer"], "outer", "outer")


def test_handlers_that_are_disabled(stage: Stage) -> None:
    assert stage.kernel.write("outer", b"0") == 0
    told = stage.read()
    assert (told.names, told.taking, told.said) == (["outer"], None, "Exec format error")
    assert stage.kernel.write("outer", b"1") == stage.kernel.write("status", b"0") == 0
    assert (stage.read().taking, stage.read().said) == (None, "Exec format error")


def test_another_mount_namespace_shares_them(stage: Stage) -> None:
    told = stage.read("", CLONE_NEWNS)
    assert (told.taking, told.said) == ("outer", "outer")
    hidden = stage.read(f"umount {stage.kernel.binfmt_misc}", CLONE_NEWNS)
    assert (hidden.names, hidden.said) == ([], "outer")
    assert "cannot be seen" in hidden.unknown


@pytest.fixture
def crowded(stage: Stage) -> Stage:
    """A stage with users besides root: the root of a further user namespace can be another one than root outside."""
    if not stage.kernel.many_users:
        pytest.skip("only root gives a namespace more than one user")
    for path in (stage.other, stage.kernel.files):
        path.chmod(0o755)
    return stage


def test_a_further_user_namespace_has_those_around_it(crowded: Stage) -> None:
    """What is mounted is right here, but need not be, see below: the same is seen."""
    told = crowded.read("", CLONE_NEWUSER | CLONE_NEWNS, uid=1000)
    assert (told.taking, told.said) == ("outer", "outer")
    assert "belongs to a user namespace around this one" in told.unknown


def test_a_further_user_namespace_with_its_own(crowded: Stage) -> None:
    told = crowded.read(register(crowded), CLONE_NEWUSER | CLONE_NEWNS, uid=1000)
    assert told == Told(["inner"], "inner", "", "inner")


def test_own_ones_that_are_gone(crowded: Stage) -> None:
    """Those of the namespace around do not come back, though they are what is seen."""
    told = crowded.read(f"{register(crowded)}; umount {crowded.other}", CLONE_NEWUSER | CLONE_NEWNS, uid=1000)
    assert (told.taking, told.said) == ("outer", "Exec format error")
    assert "belongs to a user namespace around this one" in told.unknown


def test_a_root_who_is_root_outside(stage: Stage) -> None:
    """Nobody can tell the two instances apart by their owner."""
    told = stage.read(register(stage), CLONE_NEWUSER | CLONE_NEWNS)
    assert told.said == "inner"
    assert "cannot be told" in told.unknown
