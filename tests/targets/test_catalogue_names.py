"""The names of targets as people write them."""

import pytest

from runworthy.model.arch import architecture
from runworthy.model.errors import TargetError
from runworthy.targets.catalogue import open_catalogue

X86_64 = architecture("x86_64")


@pytest.mark.parametrize(
    ("written", "name", "arch"),
    [
        ("alpine:3.20", "alpine:3.20", "x86_64"),
        ("alpine:3.20.3", "alpine:3.20", "x86_64"),
        ("Alpine:3.20/arm64", "alpine:3.20", "aarch64"),
        ("alpine:3.20/linux/arm64", "alpine:3.20", "aarch64"),
        ("alpine:3.20/arm64v8", "alpine:3.20", "aarch64"),
        ("alpine:3.20/armhf", "alpine:3.20", "armv6"),
        ("alpine:3.20/arm/v7", "alpine:3.20", "armv7"),
        ("alpine:3.20/x86", "alpine:3.20", "i386"),
        ("debian:12/armhf", "debian:12", "armv7"),
        ("debian:12/ppc64el", "debian:12", "ppc64le"),
        ("library/debian:12", "debian:12", "x86_64"),
        ("debian:bookworm", "debian:12", "x86_64"),
        ("debian:bookworm-slim", "debian:12", "x86_64"),
        ("debian:12-slim", "debian:12", "x86_64"),
        ("debian:12.15", "debian:12", "x86_64"),
        ("debian:unstable", "debian:sid", "x86_64"),
        ("debian:stable", "debian:13", "x86_64"),
        ("debian:13/loong64", "debian:13", "loongarch64"),
        ("ubuntu:noble", "ubuntu:24.04", "x86_64"),
        ("ubuntu-22.04", "ubuntu:22.04", "x86_64"),
        ("rhel:9", "rhel:9", "x86_64"),
        ("ubi9", "rhel:9", "x86_64"),
        ("redhat/ubi9/s390x", "rhel:9", "s390x"),
        ("rocky:9", "rockylinux:9", "x86_64"),
        ("almalinux:9", "almalinux:9", "x86_64"),
        ("oraclelinux:8", "oraclelinux:8", "x86_64"),
        ("al2023", "amazonlinux:2023", "x86_64"),
        ("amazonlinux:2", "amazonlinux:2", "x86_64"),
        ("centos:stream9", "centos:stream9", "x86_64"),
        ("opensuse/leap:15.6/arm64", "opensuse/leap:15.6", "aarch64"),
        ("opensuse/tumbleweed", "opensuse/tumbleweed:latest", "x86_64"),
        ("archlinux", "archlinux:latest", "x86_64"),
        ("fedora:44", "fedora:44", "x86_64"),
        ("busybox:musl/arm32v7", "busybox:musl", "armv7"),
        ("glibc:2.28/riscv64", "glibc:2.28", "riscv64"),
        ("manylinux_2_28_x86_64", "manylinux_2_28", "x86_64"),
        ("manylinux_2_28", "manylinux_2_28", "x86_64"),
        ("manylinux_2_28/arm64", "manylinux_2_28", "aarch64"),
        ("manylinux2014_aarch64", "manylinux_2_17", "aarch64"),
        ("manylinux2010", "manylinux_2_12", "x86_64"),
        ("manylinux_2_35_i686", "manylinux_2_35", "i386"),
        ("musllinux_1_2_aarch64", "musllinux_1_2", "aarch64"),
        ("musllinux_1_1", "musllinux_1_1", "x86_64"),
        ("node:22-alpine3.20", "node:22-alpine3.20", "x86_64"),
        ("python:3.12-slim-bookworm/arm64", "python:3.12-slim-bookworm", "aarch64"),
    ],
)
def test_spellings(written: str, name: str, arch: str) -> None:
    target = open_catalogue().find(written, X86_64)
    assert (target.name, target.arch.name) == (name, arch)


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("alpin:3.20", "no target 'alpin:3.20'", "alpine:3.20"),
        ("ubuntu:24.4", "no target", "ubuntu:24.04"),
        ("debian", "no target", "debian:12, debian:13"),
        ("nothing-like-it", "no target", "`runworthy targets` lists all names"),
        ("glibc:2.26/riscv64", "glibc:2.26 is not in the catalogue for riscv64", "aarch64"),
        ("debian:12/riscv64", "debian:12 is not in the catalogue for riscv64", "armv7"),
        ("debian:12/mips", "'mips' is no architecture", "x86_64"),
        ("fedora:41/i386", "not in the catalogue for i386", "s390x"),
        ("python:3.12-slim", "no target", "python:TAG-bookworm"),
        ("gcc:12-bookworm", "no target", "debian"),
        ("glibc:2.12", "no target", "glibc:2.17 to glibc:2.43 are known"),
        ("manylinux1", "manylinux_2_5 is older", "manylinux_2_12"),
        ("manylinux1_x86_64", "manylinux_2_5 is older", "manylinux_2_12"),
        ("manylinux_2_99", "not in the catalogue", "glibc:2.43"),
        ("manylinux2010_aarch64", "not in the catalogue for aarch64", "i386, x86_64"),
        ("musllinux_1_9", "not in the catalogue", "musllinux_1_2"),
        ("musllinux_1_0", "older", "musllinux_1_1"),
    ],
)
def test_unknown_names_lead_to_known_ones(written: str, message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        open_catalogue().find(written, X86_64)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_name_for_several_architectures_needs_one() -> None:
    with pytest.raises(TargetError, match="several architectures") as caught:
        open_catalogue().find("debian:12", None)
    assert "debian:12/ARCH" in caught.value.hint
    assert open_catalogue().find("archlinux", None).arch is X86_64
    assert open_catalogue().find("manylinux_2_28_s390x", None).arch.name == "s390x"


def test_architectures() -> None:
    names = [arch.name for arch in open_catalogue().architectures("alpine:3.20")]
    assert names == ["aarch64", "armv6", "armv7", "i386", "ppc64le", "riscv64", "s390x", "x86_64"]
    assert X86_64 in open_catalogue().architectures("manylinux_2_35")
    with pytest.raises(TargetError):
        open_catalogue().architectures("nothing:1")


def test_a_tag_without_a_recipe_says_so() -> None:
    target = open_catalogue().find("manylinux_2_35", X86_64)
    assert (target.libc.version, target.completeness) == ((2, 35), "core")
    assert "judged by glibc:2.35" in target.notes[-1]
    assert not open_catalogue().find("manylinux_2_28", X86_64).notes


def test_musllinux_is_the_oldest_alpine_that_fits() -> None:
    assert open_catalogue().find("musllinux_1_2", X86_64).libc.version == (1, 2, 2)
    riscv64 = open_catalogue().find("musllinux_1_2_riscv64", None)
    assert riscv64.libc.version == (1, 2, 5)
    assert "alpine:3.20" in riscv64.notes[0]
