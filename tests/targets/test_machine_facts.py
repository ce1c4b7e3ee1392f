"""What /proc and /sys say of a machine, on trees laid out like them, and on this one."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from runworthy.model.host import BinfmtEntry, BinfmtMisc, Gpu, Mount
from runworthy.targets.host import this_machine
from runworthy.targets.machine_facts import cpu_flags, nvidia_version, read_machine, x86_64_level
from runworthy.targets.mounts import parse_mounts, pseudo_mounts

V2 = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = f"{V2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_mounts() -> None:
    text = (
        "22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw,errors=remount-ro\n"
        r"23 22 0:5 / /with\040space\011and\134 ro,noexec - tmpfs none rw,size=4k" + "\n"
        "nonsense\n24 22\n"
    )  # fmt: skip
    assert parse_mounts(text) == (
        Mount(point="/", fstype="ext4", options=("rw", "relatime"), super_options=("rw", "errors=remount-ro")),
        Mount(point="/with space\tand\\", fstype="tmpfs", options=("ro", "noexec"), super_options=("rw", "size=4k")),
    )


@pytest.mark.parametrize(
    ("flags", "level"), [("", 1), ("avx512f", 1), (V2, 2), (V3, 3), (V4, 4), (f"{V2} avx avx2", 2)]
)
def test_levels(flags: str, level: int) -> None:
    told = cpu_flags(f"processor\t: 0\nflags\t\t: fpu {flags}\nflags\t\t: none\n")
    assert told[0] == "fpu"
    assert x86_64_level(told) == level


@pytest.mark.parametrize(
    ("line", "flags"),
    [("Features\t: fp asimd", ("fp", "asimd")), ("isa\t\t: rv64imafdc", ("rv64imafdc",)), ("bogomips : 1", ())],
)
def test_flags_of_other_processors(line: str, flags: tuple[str, ...]) -> None:
    assert cpu_flags(f"processor\t: 0\n{line}\n") == flags


def test_nvidia_version() -> None:
    known = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version: 12"
    opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build\n"
    assert [nvidia_version(text) for text in (known, opened, "")] == ["550.54.15", "570.86.10", ""]


def test_handlers_stand_in_the_order_of_their_directory(tmp_path: Path) -> None:
    binfmt = tmp_path / "misc"
    for name, text in (
        ("status", "enabled\n"),
        ("register", ""),
        ("b", "enabled\ninterpreter /b\n"),
        ("a", "disabled\n"),
    ):
        write(binfmt / name, text)
    write(tmp_path / "proc/self/mountinfo", f"1 0 0:1 / {binfmt} rw - binfmt_misc none rw\n")
    told = read_machine(str(tmp_path / "proc"), str(tmp_path / "sys")).binfmt
    order = [name for name in os.listdir(binfmt) if name in ("a", "b")]
    texts = {"a": "disabled\n", "b": "enabled\ninterpreter /b\n"}
    assert told == BinfmtMisc(
        status="enabled",
        entries=tuple(BinfmtEntry(name=name, text=texts[name]) for name in order),
        point=str(binfmt),
        unknown=""
        if os.stat(binfmt).st_uid == 0
        else "the binfmt_misc that is mounted belongs to another user namespace",
    )
    (binfmt / "status").write_text("disabled\n")
    assert read_machine(str(tmp_path / "proc"), str(tmp_path / "sys")).binfmt.status == "disabled"
    (binfmt / "status").unlink()
    assert read_machine(str(tmp_path / "proc"), str(tmp_path / "sys")).binfmt == BinfmtMisc()


def test_gpus(tmp_path: Path) -> None:
    devices = tmp_path / "sys/bus/pci/devices"
    for address, kind in (("0000:00:01.0", "0x060400"), ("0000:01:00.0", "0x030200"), ("0000:02:00.0", "0x120000")):
        for name, text in (("class", kind), ("vendor", "0x10de"), ("device", "0x2330")):
            write(devices / address / name, f"{text}\n")
    (tmp_path / "sys/bus/pci/drivers/nvidia").mkdir(parents=True)
    (devices / "0000:01:00.0/driver").symlink_to("../../drivers/nvidia")
    write(tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n")
    write(tmp_path / "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  x\n")
    told = read_machine(str(tmp_path / "proc"), str(tmp_path / "sys"))
    assert told.gpus == (
        Gpu(address="0000:01:00.0", vendor="0x10de", device="0x2330", driver="nvidia", name="NVIDIA H100 80GB HBM3"),
        Gpu(address="0000:02:00.0", vendor="0x10de", device="0x2330"),
    )
    assert told.nvidia_driver == "550.54.15"
    assert told.mounts is None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells")
def test_this_machine() -> None:
    told = read_machine()
    assert told.machine() == this_machine()
    assert (told.arch, told.kernel) == (platform.machine(), platform.release())
    assert told.mounts
    assert "/" in {mount.point for mount in told.mounts}
    assert "/proc" in pseudo_mounts("/")
    assert pseudo_mounts("/usr") <= pseudo_mounts("/")
