"""Targets as people write them, what they state about the machine, and what helps when it is wrong."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from runworthy.engine import Engine
from runworthy.model.arch import Architecture, architecture
from runworthy.model.errors import ArchitectureError, TargetError, UsageError
from runworthy.model.machine import baseline
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import MachineWish, TargetName, expand, parse_page_size
from tests.elfwriter import elf
from tests.targets.trees import build

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the host is a target on Linux only")


def known(name: str) -> Architecture:
    arch = architecture(name)
    assert arch is not None
    return arch


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path / "prod", {"etc/os-release": "", "bin": None, "lib": None})
    (tmp_path / "prod/bin/sh").write_bytes(elf(machine="aarch64"))
    build(tmp_path / "bare", {"usr/lib/os-release": ""})
    build(tmp_path / "empty", {"bin": None})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "prod"


@pytest.mark.parametrize("text", ["./prod", "rootfs:prod", "rootfs:./prod", "~/prod", "prod/", "bare/../prod"])
def test_directories(root: Path, text: str) -> None:
    target = TargetName(text).open(architecture("x86_64"))
    assert isinstance(target.view, DirectoryView)
    assert target.view.host_path("/") == str(root.resolve())
    assert (target.name, target.arch.name, target.arch_stated) == (text, "aarch64", True)


def test_whose_architecture_a_directory_has(root: Path) -> None:
    assert TargetName(str(root)).open(None).arch.name == "aarch64"
    bare = TargetName("./bare")
    assert bare.open(architecture("s390x")).arch.name == "s390x"
    assert not bare.open(architecture("s390x")).arch_stated
    assert bare.open(None).arch.name == known(platform.machine()).name
    stated = TargetName("./prod", wish=MachineWish(platform="linux/386")).open(architecture("x86_64"))
    assert (stated.arch.name, stated.arch_stated) == ("i386", True)


def test_a_root_without_programs_is_known_by_its_loader(root: Path) -> None:
    for name, loader in (("musl", "lib/ld-musl-riscv64.so.1"), ("glibc", "lib/ld-linux-aarch64.so.1")):
        build(root.parent / name, {loader: "x"})
    assert TargetName("./musl").open(None).arch.name == "riscv64"
    assert TargetName("./glibc").open(None).arch.name == "aarch64"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("./none", "./none is not a directory", "lib and usr"),
        ("rootfs:", "is not a directory", "lib and usr"),
        ("./empty", "neither a dynamic loader nor an os-release", "lib and usr"),
        ("prod", "prod is no target", "./prod"),
        ("docker://x", "images are not read yet", "directory"),
        ("oci-archive:x.tar", "images are not read yet", "directory"),
        ("snapshot:x", "x: No such file or directory", "runworthy snapshot"),
        ("x.runworthy", "x.runworthy: No such file or directory", "runworthy snapshot"),
        ("debian:122", "debian:122", "debian:12"),
        ("", "", ""),
    ],
)
def test_what_is_no_target_says_what_to_write(root: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        TargetName(text).open(architecture("x86_64"))
    assert message in str(caught.value)
    assert hint in caught.value.hint


@on_linux
def test_the_host() -> None:
    target = TargetName("host").open(architecture("s390x"))
    assert target.live
    assert target.arch_stated
    assert target.machine.level_stated
    assert target.machine.page_size_stated
    assert target.machine.kernel is not None
    same = TargetName("host", wish=MachineWish(platform=target.arch.name)).open(None)
    assert same.arch == target.arch
    other = "s390x" if target.arch.name != "s390x" else "x86_64"
    with pytest.raises(TargetError, match=f"not {other}"):
        TargetName("host", wish=MachineWish(platform=other)).open(None)


def test_the_catalogue_takes_the_subjects_architecture_unless_one_is_stated() -> None:
    arm = architecture("aarch64")
    taken = TargetName("debian:12").open(arm)
    assert (taken.name, taken.arch, taken.arch_stated) == ("debian:12", arm, False)
    for name in (
        TargetName("debian:12/arm64"),
        TargetName("debian:12/aarch64"),
        TargetName("debian:12", wish=MachineWish(platform="linux/arm64")),
        TargetName("debian:12", wish=MachineWish(platform="linux/arm64/v8")),
    ):
        stated = name.open(architecture("x86_64"))
        assert (stated.name, stated.arch, stated.arch_stated) == ("debian:12/aarch64", arm, True)


def test_without_an_architecture_anywhere_some_machine_is_taken() -> None:
    assert TargetName("debian:12/arm64").open(None).arch.name == "aarch64"
    assert TargetName("musllinux_1_2_s390x").open(None).arch.name == "s390x"
    taken = TargetName("debian:12").open(None)
    assert taken.view.exists("/etc/os-release")


def test_a_target_is_opened_once_for_each_architecture() -> None:
    name = TargetName("alpine:3.20", present=("libx.so", "all"))
    arm = name.open(architecture("aarch64"))
    assert name.open(architecture("aarch64")) is arm
    assert name.open(architecture("x86_64")) is not arm
    assert arm.present == {"libx.so"}
    assert arm.assume_all


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("4k", 4096), ("4K", 4096), (" 16k ", 16384), ("64KiB", 65536), ("64kb", 65536), ("65536", 65536)],
)
def test_page_sizes(text: str, size: int) -> None:
    assert parse_page_size(text) == size
    wish = MachineWish(page_size=text).apply(baseline(known("aarch64")))
    assert (wish.page_size, wish.page_size_stated) == (size, True)


@pytest.mark.parametrize("text", ["", "k", "0", "-4k", "4.0k", "5k", "4m", "4kk", "4 kib b", "٤k", "1" * 5000])
def test_what_is_no_page_size(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_page_size(text)
    assert "16k" in caught.value.hint


def test_what_is_stated_about_the_machine() -> None:
    base = baseline(known("x86_64"))
    assert MachineWish().apply(base) == base
    assert MachineWish().architecture() is None
    stated = MachineWish(cpu="x86-64-v3", kernel="5.10.0-8-amd64").apply(base)
    assert (stated.level, stated.level_stated, stated.kernel) == (3, True, (5, 10, 0))
    assert MachineWish(cpu="v2").apply(base).level == 2
    arm = baseline(known("aarch64"))
    for machine, wish in (
        (base, MachineWish(cpu="pentium")),
        (arm, MachineWish(cpu="x86-64-v2")),
        (base, MachineWish(kernel="new")),
        (base, MachineWish(page_size="3k")),
    ):
        with pytest.raises(UsageError) as caught:
            wish.apply(machine)
        assert caught.value.hint
    with pytest.raises(UsageError, match="--platform linux/vax"):
        MachineWish(platform="linux/vax").architecture()


def test_a_target_without_the_subjects_architecture_is_one_unknown_cell(tmp_path: Path) -> None:
    """The other cells are judged all the same; where it is the only cell, it is a usage error."""
    for machine in ("x86_64", "riscv64"):
        (tmp_path / machine).write_bytes(elf(machine=machine, kind=2, dynamic=False))
    subjects = [str(tmp_path / "x86_64"), str(tmp_path / "riscv64")]
    report = Engine().check(subjects, [TargetName("rhel:9")])
    assert [result.verdict for result in report.results] == ["runs", "unknown"]
    assert "riscv64" in report.results[1].findings[0].message
    with pytest.raises(ArchitectureError):
        Engine().check(subjects[1:], [TargetName("rhel:9")])


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("@all", ["debian:12", "alpine:3.20/arm64", "ubuntu:24.04/x86_64", "./root"]),
        ("@all/arm64", ["debian:12/aarch64", "alpine:3.20/arm64", "./root"]),
        ("@all/linux/arm64", ["debian:12/aarch64", "alpine:3.20/arm64", "./root"]),
        ("@some/amd64", ["debian:12/x86_64"]),
        ("@other", ["@other"]),
        ("@other/arm64", ["@other/arm64"]),
    ],
)
def test_sets(written: str, names: list[str]) -> None:
    some = ["debian:12", "alpine:3.20/arm64"]
    assert expand([written], {"some": some, "all": ["@some", "ubuntu:24.04/x86_64", "./root"]}) == names


def test_a_part_of_a_set_that_is_no_architecture() -> None:
    with pytest.raises(UsageError, match="@some/nothing: nothing is no architecture"):
        expand(["@some/nothing"], {"some": ["debian:12"]})
