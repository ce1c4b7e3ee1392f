"""The built-in table of packages: what it names, and what it knows of what they bring, which is never too much."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from runworthy.model.arch import Architecture, architecture
from runworthy.model.edit import BringLibrary, InstallPackages
from runworthy.model.elf import ElfFile
from runworthy.model.finding import Remedy
from runworthy.model.machine import baseline
from runworthy.model.records import replace
from runworthy.remedies.known import again, is_there
from runworthy.remedies.search import solve
from runworthy.targets.directory import DirectoryView
from runworthy.targets.edits import edited, inverse
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.packages import known as known_module
from runworthy.targets.packages.choice import Choice, Wanted
from runworthy.targets.packages.known import by_capability, known_choices
from runworthy.targets.packages.recorded import known_library, recorded
from runworthy.targets.target import Target
from tests.elfwriter import Symbol, elf
from tests.remedies.made import situation, write_tree

PACKAGES = Path(known_module.__file__).parent
PIE = 0x08000000
MUSL, GLIBC = "/lib/ld-musl-x86_64.so.1", "/lib64/ld-linux-x86-64.so.2"
GCC_11 = "_ZSt28__throw_bad_array_new_lengthv"
"""What GCC 11 brought to libstdc++ (GLIBCXX_3.4.29), and compilers since then refer to."""
GCC_13 = "_ZNKSt6chrono4tzdb12current_zoneEv"
"""What GCC 13 brought (GLIBCXX_3.4.31)."""
NOT_ALPINE = "_ZSt21ios_base_library_initv"
"""What GCC 13 brought as well (GLIBCXX_3.4.32), but not to a libstdc++ that is built without symbol versions."""


def arch_of(name: str = "x86_64") -> Architecture:
    found = architecture(name)
    assert found is not None
    return found


def named(name: str, arch: str = "x86_64") -> Target:
    return TargetName(text=name).open(arch_of(arch))


def rooted(root: Path, os_release: str, *programs: str) -> Target:
    files = dict.fromkeys(programs, b"")
    write_tree(root, {"/etc/os-release": os_release.encode(), **files})
    return Target(name="root", view=Overlay(DirectoryView(str(root))), machine=baseline(arch_of()))


def library(target: Target, name: str, arch: str = "x86_64") -> tuple[Choice, ...]:
    return known_choices(target, Wanted(kind="library", name=name, arch=arch_of(arch)))


def remedies(target: Target, *needed: str, imports: tuple[str, ...] = (), loader: str = MUSL) -> tuple[Remedy, ...]:
    """What is proposed for a program on a target."""
    overlay = Overlay(target.view)
    symbols = [_symbol(text) for text in imports]
    overlay.add_file("/subject/home/app", elf(interpreter=loader, needed=needed, imports=symbols, flags_1=PIE))
    return solve([situation(replace(target, view=overlay), "/subject/home/app")])


def _symbol(text: str) -> Symbol:
    """Return ``NAME`` or ``NAME@NODE:FILE`` as something that is bound at start."""
    name, _, version = text.partition("@")
    node, _, file = version.partition(":")
    return Symbol(name, version=node or None, file=file or None, use="data")


# -- which package ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name", "packages"),
    [
        ("alpine:3.12", "libgcc_s.so.1", "apk libgcc"),
        ("alpine:3.20", "libstdc++.so.6", "apk libstdc++"),
        ("alpine:3.16", "libssl.so.1.1", "apk libssl1.1"),
        ("alpine:3.19", "libssl.so.1.1", ""),
        ("alpine:3.20", "libatk-1.0.so.0", "apk at-spi2-core"),
        ("alpine:3.16", "libatk-1.0.so.0", "apk atk"),
        ("debian:11", "libssl.so.1.1", "apt libssl1.1"),
        ("debian:12", "libssl.so.1.1", ""),
        ("debian:12", "libssl.so.3", "apt libssl3"),
        ("debian:13", "libssl.so.3", "apt libssl3t64"),
        ("debian:sid", "libGL.so.1", "apt libgl1"),
        ("debian:12", "libicuuc.so.72", "apt libicu72"),
        ("debian:13", "libicuuc.so.72", ""),
        ("ubuntu:20.04", "libssl.so.1.1", "apt libssl1.1"),
        ("ubuntu:22.04", "libasound.so.2", "apt libasound2"),
        ("ubuntu:24.04", "libasound.so.2", "apt libasound2t64"),
        ("almalinux:8", "libssl.so.1.1", "dnf openssl-libs"),
        ("rockylinux:9", "libssl.so.1.1", "dnf compat-openssl11"),
        ("rhel:9", "libcrypt.so.1", "dnf libxcrypt-compat"),
        ("fedora:40", "libGL.so.1", "dnf libglvnd-glx"),
        ("opensuse/leap:15.5", "libgomp.so.1", "zypper libgomp1"),
        ("amazonlinux:2023", "libgomp.so.1", ""),
        ("glibc:2.36", "libssl.so.3", ""),
        ("manylinux_2_28", "libssl.so.3", ""),
        ("musllinux_1_2", "libgcc_s.so.1", ""),
        ("busybox:musl", "libgcc_s.so.1", ""),
        ("debian:12", "libmine.so.1", ""),
    ],
)
def test_the_package_of_a_library(target: str, name: str, packages: str) -> None:
    assert " ".join(f"{one.manager} {' '.join(one.names)}" for one in library(named(target), name)) == packages


@pytest.mark.parametrize(
    ("os_release", "program", "name", "packages"),
    [
        ("ID=ubuntu\nVERSION_ID=26.04\n", "/usr/bin/apt-get", "libssl.so.3", ("libssl3t64",)),
        ("ID=ubuntu\nVERSION_ID=26.04\n", "/usr/bin/apt-get", "libicuuc.so.74", ()),
        ('ID=linuxmint\nVERSION_ID="21"\nID_LIKE="ubuntu debian"\nUBUNTU_CODENAME=jammy\n', "/usr/bin/apt-get",
         "libssl.so.3", ("libssl3",)),
        ("ID=raspbian\nID_LIKE=debian\nVERSION_ID=12\n", "/usr/bin/apt-get", "libgcc_s.so.1", ("libgcc-s1",)),
        ("ID=kali\nID_LIKE=debian\nVERSION_ID=2026.1\n", "/usr/bin/apt-get", "libssl.so.3", ("libssl3t64",)),
        ("ID=debian\nVERSION_CODENAME=forky\n", "/usr/bin/apt-get", "libssl.so.3", ("libssl3t64",)),
        ("ID=alpine\nVERSION_ID=3.24.1\n", "/sbin/apk", "libgcc_s.so.1", ("libgcc",)),
        ("ID=wolfi\nID_LIKE=alpine\nVERSION_ID=20230201\n", "/sbin/apk", "libgcc_s.so.1", ()),
        ('ID=opensuse-tumbleweed\nID_LIKE="opensuse suse"\nVERSION_ID=20261101\n', "/usr/bin/zypper",
         "libssl.so.1.1", ()),
        ("ID=manjaro\nID_LIKE=arch\n", "/usr/bin/pacman", "libcrypt.so.1", ("libxcrypt-compat",)),
        ("ID=ol\nID_LIKE=fedora\nVERSION_ID=8.10\n", "/usr/bin/dnf", "libz.so.1", ("zlib",)),
        ("ID=debian\nVERSION_ID=12\n", "/bin/true", "libgcc_s.so.1", ()),  # distroless: nothing there installs
    ],
)  # fmt: skip
def test_the_package_by_os_release(
    tmp_path: Path, os_release: str, program: str, name: str, packages: tuple[str, ...]
) -> None:
    found = library(rooted(tmp_path, os_release, program), name)
    assert tuple(word for one in found for word in one.names) == packages


@pytest.mark.parametrize(
    ("path", "merged", "packages"),
    [
        ("/bin/bash", False, "bash"),
        ("/usr/bin/bash", False, ""),  # Alpine's is in /bin
        ("/usr/bin/bash", True, "bash"),
        ("/usr/bin/python3", False, "python3"),
        ("/usr/local/bin/python3", False, ""),
        ("/opt/bash", True, ""),
    ],
)
def test_the_package_of_a_program(tmp_path: Path, path: str, merged: bool, packages: str) -> None:  # noqa: FBT001
    target = rooted(tmp_path, "ID=alpine\nVERSION_ID=3.22\n", "/usr/bin/apk")
    if merged:
        (tmp_path / "bin").symlink_to("usr/bin")
    found = known_choices(target, Wanted(kind="path", name=path, arch=target.arch))
    assert " ".join(name for one in found for name in one.names) == packages
    assert all(one.effects == () and not one.known and one.why for one in found)


@pytest.mark.parametrize(
    ("target", "name", "arch", "packages"),
    [
        ("debian:12", "libstdc++.so.6", "i386", "libstdc++6:i386"),
        ("debian:12", "libstdc++.so.6", "aarch64", "libstdc++6:arm64"),
        ("rhel:9", "libstdc++.so.6", "i386", "libstdc++.i686"),
        ("rhel:9", "libstdc++.so.6", "aarch64", ""),
        ("opensuse/leap:15.5", "libz.so.1", "i386", "libz1-32bit"),
        ("alpine:3.20", "libgcc_s.so.1", "i386", ""),
    ],
)
def test_packages_for_another_architecture(target: str, name: str, arch: str, packages: str) -> None:
    found = library(named(target), name, arch)
    assert " ".join(word for one in found for word in one.names) == packages
    assert not any(one.effects or one.known for one in found)


@pytest.mark.parametrize(("target", "name"), [("debian:12", "libc6:i386"), ("almalinux:9", "glibc.i686")])
def test_the_loader_of_another_architecture_is_in_its_c_library(target: str, name: str) -> None:
    wanted = Wanted(kind="path", name="/lib/ld-linux.so.2", arch=arch_of("i386"))
    assert [one.names for one in known_choices(named(target), wanted)] == [(name,)]


def test_managers_that_resolve_names_by_themselves() -> None:
    def asked(target: str, kind: str = "library") -> list[str]:
        wanted = Wanted(kind="library" if kind == "library" else "command", name="libx.so.1", arch=arch_of())
        return [name for one in by_capability(named(target), wanted) for name in one.names]

    assert asked("alpine:3.20") == ["so:libx.so.1"]
    assert asked("alpine:3.20", "command") == ["cmd:libx.so.1"]
    assert asked("fedora:40") == ["libx.so.1()(64bit)"]
    assert asked("debian:12") == []


# -- what it brings --------------------------------------------------------------------------------


def alpines() -> list[tuple[str, str]]:
    return [
        (f"alpine:3.{minor}", arch)
        for minor in range(12, 21)
        for arch in ("x86_64", "aarch64", "i386", "ppc64le", "s390x")
    ]


@pytest.mark.parametrize(("name", "arch"), alpines())
def test_the_runtime_of_alpine_is_known(name: str, arch: str) -> None:
    target = named(name, arch)
    (choice,) = library(target, "libstdc++.so.6", arch)
    assert (choice.names, choice.with_them, choice.known) == (("libstdc++",), ("libgcc",), True)
    after = edited(target, choice.effects)
    for soname in ("libstdc++.so.6", "libgcc_s.so.1"):
        held = after.view.elf(f"/usr/lib/{soname}")
        assert held.facts.architecture is target.arch
        assert held.facts.soname == soname
        # Everything it needs is there: its C library under Alpine's own name for it.
        for needed in held.facts.needed:
            assert after.view.exists(f"/usr/lib/{needed}") or after.view.exists(f"/lib/{needed}"), needed
    names = after.view.elf("/usr/lib/libstdc++.so.6").exports().names
    assert b"_ZNSt6localeC1Ev" in names
    assert (GCC_11.encode() in names) == (int(name.partition(".")[2]) >= 16)
    assert (GCC_13.encode() in names) == (int(name.partition(".")[2]) >= 19)


def test_a_package_that_brings_the_file_but_not_the_symbols_is_no_remedy() -> None:
    for release, symbol, proved in (
        ("3.15", GCC_11, False),
        ("3.16", GCC_11, True),
        ("3.18", GCC_13, False),
        ("3.19", GCC_13, True),
        ("3.20", NOT_ALPINE, False),
        ("3.20", "_ZN9not_there4EverEv", False),
    ):
        found = remedies(named(f"alpine:{release}"), "libstdc++.so.6", imports=(symbol,))
        assert [one.proved for one in found] == [proved], (release, symbol)
        assert [one.edits[0].names for one in found if isinstance(one.edits[0], InstallPackages)] == [("libstdc++",)]


def test_libgcc_on_alpine_needs_no_network() -> None:
    (remedy,) = remedies(named("alpine:3.20"), "libgcc_s.so.1", imports=("_Unwind_Resume",))
    assert remedy.proved
    assert remedy.applicability == "unsafe"
    assert "apk add libgcc" in remedy.title
    assert remedy.edits == (
        InstallPackages(
            manager="apk",
            names=("libgcc",),
            effects=(
                BringLibrary(
                    path="/usr/lib/libgcc_s.so.1", library="libgcc_s.so.1", arch="x86_64", system="alpine:3.20"
                ),
            ),
        ),
    )


def test_versions_count_with_glibc() -> None:
    omp_5 = ("GOMP_alloc@GOMP_5.0.1:libgomp.so.1",)
    missing = ("GOMP_alloc@GOMP_9.9:libgomp.so.1",)
    assert [one.proved for one in remedies(named("debian:12"), "libgomp.so.1", imports=omp_5, loader=GLIBC)] == [True]
    assert not any(one.proved for one in remedies(named("debian:12"), "libgomp.so.1", imports=missing, loader=GLIBC))


def test_what_is_not_known_is_not_proved() -> None:
    for target in ("debian:12", "ubuntu:24.04", "almalinux:9"):
        found = remedies(named(target), "libssl.so.3", imports=("SSL_new",), loader=GLIBC)
        (remedy,) = (one for one in found if one.approach == "install")
        assert not remedy.proved
        assert isinstance(remedy.edits[0], InstallPackages)
    assert not any(one.proved for one in remedies(named("alpine:3.20"), "libcurl.so.4"))


def test_a_package_that_is_installed_is_not_installed_again(tmp_path: Path) -> None:
    """Its manager would say that it is there, and do nothing."""
    rooted(tmp_path, "ID=debian\nVERSION_ID=12\n", "/usr/bin/apt-get")
    status = "Package: libgomp1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12.2.0-14\n"
    write_tree(tmp_path, {"/var/lib/dpkg/status": status.encode()})
    target = Target(name="root", view=Overlay(DirectoryView(str(tmp_path))), machine=baseline(arch_of()))
    (there,) = library(target, "libgomp.so.1")
    (absent,) = library(target, "libatomic.so.1")
    assert (is_there(target, there), is_there(target, absent)) == (True, False)
    proposal = again(there)
    assert (proposal.edits, proposal.recipe) == ((), ("apt-get install --reinstall libgomp1",))
    assert proposal.unprovable


def test_what_glibc_alone_has_is_not_asked_of_apk() -> None:
    for name in ("libresolv.so.2", "ld-linux-x86-64.so.2", "libc.so.6"):
        for one in remedies(named("alpine:3.20"), name):
            assert not any(isinstance(edit, InstallPackages) and f"so:{name}" in edit.names for edit in one.edits)


def test_what_descends_from_a_distribution_has_packages_of_its_own(tmp_path: Path) -> None:
    target = rooted(tmp_path, "ID=raspbian\nID_LIKE=debian\nVERSION_ID=12\n", "/usr/bin/apt-get")
    (choice,) = library(target, "libstdc++.so.6")
    assert (choice.effects, choice.known, choice.why) == ((), False, "what the package brings is not known here")


def test_a_root_without_the_runtime_gets_that_of_its_release(tmp_path: Path) -> None:
    target = rooted(tmp_path, "ID=debian\nVERSION_ID=12\n", "/usr/bin/apt-get")
    (choice,) = library(target, "libstdc++.so.6")
    assert not choice.known  # nor is its C library there
    write_tree(tmp_path, {"/usr/lib/libc.so.6": b"", "/usr/lib/libm.so.6": b""})
    (choice,) = library(rooted(tmp_path, "ID=debian\nVERSION_ID=12\n", "/usr/bin/apt-get"), "libstdc++.so.6")
    assert choice.known
    assert choice.with_them == ("libgcc-s1",)
    assert {edit.path for edit in choice.effects if isinstance(edit, BringLibrary)} == {
        "/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/lib/x86_64-linux-gnu/libgcc_s.so.1",
    }


def test_only_the_package_manager_takes_it_back() -> None:
    target = named("alpine:3.20")
    (choice,) = library(target, "libgcc_s.so.1")
    assert inverse(target, choice.effects) == ()


def test_an_unknown_library_is_an_error() -> None:
    edit = BringLibrary(path="/usr/lib/libx.so.1", library="libx.so.1", arch="x86_64", system="alpine:3.20")
    with pytest.raises(OSError, match=r"libx\.so\.1"):
        edited(named("alpine:3.20"), (edit,))


# -- the data --------------------------------------------------------------------------------------


def names_of(held: ElfFile) -> frozenset[bytes]:
    return held.exports().names


def test_what_is_known_at_least_lies_between_what_is_known() -> None:
    """A release whose files nobody could read has nothing that neither the one before nor the one after has."""
    for arch in ("x86_64", "aarch64", "i386", "ppc64le", "s390x"):
        older, newer = (names_of(recorded("libstdc++.so.6", arch, f"alpine:{one}")) for one in ("3.12", "3.19"))
        last = frozenset[bytes]()
        for release in range(13, 19):
            known = known_library("libstdc++.so.6", arch_of(arch), f"alpine:3.{release}")
            assert known is not None
            assert known.least
            held = names_of(recorded("libstdc++.so.6", arch, f"alpine:3.{release}"))
            assert held <= newer
            assert older & newer <= held
            assert last <= held
            last = held
        later = names_of(recorded("libstdc++.so.6", arch, "alpine:later"))
        assert later < names_of(recorded("libstdc++.so.6", arch, "alpine:3.22"))


def test_the_table_is_well_formed() -> None:
    sections: dict[str, dict[str, list[str]]] = {}
    rows: dict[str, list[str]] = {}
    for line in (PACKAGES / "known.txt").read_text().splitlines():
        if line.startswith("@ "):
            _, family, as_of, source = line.split(" ", 3)
            assert as_of >= "2026-08"
            assert source
            rows = sections.setdefault(family, {})
        elif not line.startswith("#"):
            name, *specs = line.split("\t")
            assert name not in rows, (family, name)
            assert specs
            rows[name] = specs
    assert set(sections) == {"alpine", "debian", "ubuntu", "rhel", "fedora", "suse", "arch"}
    for family, held in sections.items():
        for name, specs in held.items():
            ranges = [known_module._row(spec) for spec in specs]  # noqa: SLF001 - what the reader makes of it
            assert all(one.first <= one.last and one.package for one in ranges), (family, name)
            ends = [(one.first, one.last) for one in ranges]
            assert all(before[1] < after[0] for before, after in pairwise(ends)), (family, name)
    assert len(sections["debian"]) > 300
    assert len(sections["alpine"]) > 130


def test_the_data_stays_small() -> None:
    assert (PACKAGES / "known.txt").stat().st_size < 60_000
    assert (PACKAGES / "known.exports").stat().st_size < 90_000


def test_nobody_pays_for_it_who_does_not_ask() -> None:
    code = (
        "import sys, runworthy.cli, runworthy.remedies.search, runworthy.targets.edits\n"
        "print([name for name in sys.modules if 'targets.packages.' in name])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
