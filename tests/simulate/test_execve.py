"""What execve makes of a file where no kernel can be asked: other machines, and facts that do not tell."""

from __future__ import annotations

import random
from pathlib import Path
from struct import pack_into

import pytest

from runworthy.model.arch import architecture
from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.execution import Execution
from runworthy.model.host import MachineFacts, Mount
from runworthy.model.machine import baseline
from runworthy.model.records import replace
from runworthy.simulate.execve import execve
from runworthy.simulate.execve.callers import CALLERS, members, outcome
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.elfwriter import elf

MZ = Handler(name="mz", interpreter="/bin/wine", magic=b"MZ")


@pytest.fixture
def root(tmp_path: Path) -> Overlay:
    """A root with a program and a script that names it."""
    (tmp_path / "root").mkdir()
    view = Overlay(DirectoryView(str(tmp_path / "root")))
    view.add_file("/bin/wine", elf(kind=2))
    view.add_file("/bin/app", elf(kind=2))
    view.add_file("/bin/script", b"#!/bin/app -x\n")
    view.add_file("/bin/pe", b"MZ\x90\0")
    return view


def target_of(view: Overlay, arch: str = "x86_64", handlers: Handlers = Handlers()) -> Target:  # noqa: B008 - it is frozen
    """A root on a machine of an architecture."""
    found = architecture(arch)
    assert found
    return Target(name="root", view=view, machine=baseline(found), handlers=handlers)


def run(target: Target, path: str, *argv: str, root_user: bool = True) -> Execution:
    """What becomes of executing a path."""
    return execve(target, path, (path, *argv), root_user=root_user)


def test_the_way_of_a_script(root: Overlay) -> None:
    """Each interpreter is told as it was named, where it lies, and with what it gets."""
    root.add_link("/usr/bin", "../bin")
    done = execve(target_of(root), "/usr/bin/script", ("zero", "one"))
    (step,) = done.rewrites
    assert (step.path, step.real) == ("/usr/bin/script", "/bin/script")
    assert (step.interpreter, step.opened, step.handler) == ("/bin/app", "/bin/app", None)
    assert step.argv == done.argv == ("/bin/app", "-x", "/usr/bin/script", "one")
    assert (done.image, done.errno, done.why) == ("/bin/app", "", None)


def test_handlers_that_are_not_known(root: Overlay) -> None:
    """What the kernel takes itself is taken; of anything else it cannot be told."""
    target = target_of(root, handlers=Handlers(unknown="binfmt_misc cannot be read"))
    assert run(target, "/bin/app").why is None
    assert run(target, "/bin/script").why is None
    assert (run(target, "/bin/pe").why, run(target, "/bin/pe").detail) == (
        "machine-unstated",
        "binfmt_misc cannot be read",
    )
    assert run(target, "/bin/nothing").errno == "ENOENT"


def test_a_root_of_which_not_all_is_known(tmp_path: Path) -> None:
    """What is not among the known files may be there; a known name, and one that nobody gives a file, is not."""
    view = Overlay(DirectoryView(str(tmp_path)))
    view.authority = frozenset(("/lib64/ld-linux-x86-64.so.2",))
    expected = {
        b"#!/bin/bash\n": ("", "outside-core"),
        b"#!/bin/bash\r\n": ("ENOENT", None),
        b"nothing": ("ENOEXEC", None),
        elf(kind=2, interpreter="/lib64/ld-linux-x86-64.so.2"): ("ENOENT", None),
        elf(kind=2, interpreter="/opt/loader"): ("", "outside-core"),
    }
    for data, (errno, why) in expected.items():
        view.add_file("/opt/app", data)
        done = run(target_of(view), "/opt/app")
        assert (done.errno, done.why) == (errno, why)
    assert members("shell", target_of(view)) == ("sh", "bash")


def test_an_interpreter_outside_the_root(root: Overlay) -> None:
    """With F the file is held open, and what it is need not be known; without, it is missing."""
    held = replace(MZ, interpreter="/opt/wine", flags="F")
    done = run(target_of(root, handlers=Handlers(entries=(held,))), "/bin/pe", "one")
    assert (done.errno, done.image, done.argv) == ("", "", ("/opt/wine", "/bin/pe", "one"))
    missing = replace(held, flags="")
    done = run(target_of(root, handlers=Handlers(entries=(missing,))), "/bin/pe")
    assert (done.errno, done.refused) == ("ENOENT", "/opt/wine")


@pytest.mark.parametrize(
    ("machine", "program", "taken"),
    [
        ("x86_64", "x86_64", True),
        ("x86_64", "i386", True),
        ("x86_64", "x32", None),
        ("x86_64", "aarch64", False),
        ("i386", "x86_64", False),
        ("i386", "i386", True),
        ("aarch64", "aarch64", True),
        ("aarch64", "arm", None),
        ("aarch64", "x86_64", False),
        ("armv7", "arm", True),
        ("ppc64le", "ppc64le", True),
        ("ppc64le", "ppc64", False),
        ("ppc64", "ppc64", True),
        ("s390x", "s390x", True),
        ("riscv64", "riscv64", True),
        ("riscv64", "loongarch64", False),
    ],
)
def test_machines(root: Overlay, machine: str, program: str, taken: bool | None) -> None:  # noqa: FBT001
    """Which programs a kernel takes: its own, those of a second form for certain or perhaps, no others."""
    root.add_file("/bin/app", elf(machine=program, kind=2))
    done = run(target_of(root, machine), "/bin/app")
    if taken is None:
        assert (done.why, done.errno) == ("machine-unstated", "")
    else:
        assert (done.errno, done.why) == ("" if taken else "ENOEXEC", None)


def test_permission_of_a_user(root: Overlay, tmp_path: Path) -> None:
    """Root passes every directory; another user only what everybody may, and what some may depends on who it is."""
    base = tmp_path / "root" / "srv"
    base.mkdir()
    (base / "app").write_bytes(elf(kind=2))
    expected = {
        (0o755, 0o755): "",
        (0o755, 0o644): "EACCES",
        (0o700, 0o755): None,
        (0o755, 0o750): None,
        (0o600, 0o755): "EACCES",
    }
    for (directory, file), errno in expected.items():
        (base / "app").chmod(file)
        base.chmod(directory)
        view = Overlay(DirectoryView(str(tmp_path / "root")))
        done = run(target_of(view), "/srv/app", root_user=False)
        assert (done.errno or None if done.why else done.errno) == errno, (directory, file, done)
        assert run(target_of(view), "/srv/app").errno == ("EACCES" if file == 0o644 else "")
    base.chmod(0o755)


def test_mounts(root: Overlay) -> None:
    """The mount that holds the file counts: the longest, of two at one place the later."""
    rows = (
        Mount(point="/", fstype="ext4", options=("rw", "noexec")),
        Mount(point="/bin", fstype="tmpfs", options=("noexec",)),
        Mount(point="/bin", fstype="tmpfs", options=("rw",)),
        Mount(point="/opt", fstype="proc"),
    )
    for name in ("/opt/app", "/binary", "/bin/app"):
        root.add_file(name, elf(kind=2))
    facts = MachineFacts(arch="x86_64", kernel="6.1", mounts=rows)
    target = replace(target_of(root), machine_facts=facts)
    assert [run(target, name).errno for name in ("/opt/app", "/binary", "/bin/app")] == ["EACCES", "EACCES", ""]


def test_old_kernels(root: Overlay) -> None:
    """Before Linux 5.1 only 128 bytes are looked at."""
    far = Handler(name="far", interpreter="/bin/wine", magic=b"far", offset=200)
    root.add_file("/bin/far", b"\0" * 200 + b"far")
    root.add_file("/bin/long", b"#!/bin/app " + b"x" * 150 + b"\n")
    new = target_of(root, handlers=Handlers(entries=(far,)))
    old = replace(new, machine=replace(new.machine, kernel=(4, 19, 0)))
    assert (run(new, "/bin/far").errno, run(old, "/bin/far").errno) == ("", "ENOEXEC")
    assert (run(new, "/bin/long").why, run(old, "/bin/long").why) == (None, "not-modelled")


def test_hostile_bytes(root: Overlay) -> None:
    """Whatever stands in a file, there is an answer, and callers have words for it."""
    chance = random.Random(4)  # noqa: S311 - the same examples every time
    plain = elf(kind=2, interpreter="/bin/wine")
    for number in range(400):
        data = bytearray(plain[: chance.choice([0, 3, 40, 64, 200, len(plain)])])
        for _ in range(chance.choice([1, 2, 8])):
            if len(data) >= 8:
                at = chance.randrange(0, min(len(data), 400) - 7)
                pack_into(
                    "<Q",
                    data,
                    at,
                    chance.choice([0, 1, 0xFFFF, 1 << 31, 1 << 63, (1 << 64) - 1, chance.getrandbits(64)]),
                )
        start = chance.choice([b"", b"#!", b"MZ", b"\x7fELF", b"\x7fELF\2\1\1"])
        data[: len(start)] = start
        name = f"/bin/hostile{number}"
        root.add_file(name, bytes(data))
        for arch in ("x86_64", "aarch64", "s390x", "i386"):
            done = run(target_of(root, arch, Handlers(entries=(MZ,))), name)
            assert bool(done.errno) + bool(done.why) + bool(done.image) == 1
            for caller in CALLERS:
                told = outcome(caller, done, name, bytes(data[:256]), len(data))
                assert (told.how == "runs") == bool(done.image)
