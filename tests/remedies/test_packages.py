"""Packages as remedies: a real program that lacks a real library, and packages that bring it, or nearly."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

import runworthy
from runworthy.model.edit import InstallPackages, UnpackPackage
from runworthy.model.finding import Remedy
from tests.judges.roots import requires, requires_tool

pytestmark = pytest.mark.judge


def compiled(directory: Path, body: str, *arguments: str) -> None:
    source = directory / "source.c"
    source.write_text(body)
    subprocess.run(["gcc", str(source), *arguments], check=True, cwd=directory)
    source.unlink()


def packed(top: Path, name: str, version: str, body: str, depends: str = "libc6") -> None:
    """Make a .deb with a library that is compiled from ``body``: libfoo.so.1 of libfoo1."""
    soname = f"{name[:-1]}.so.{name[-1]}"
    tree = top / "tree" / f"{name}-{version}"
    directory = tree / "usr/lib/x86_64-linux-gnu"
    directory.mkdir(parents=True)
    compiled(directory, body, "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", soname)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x <x@example.org>\n"
        f"Depends: {depends}\nDescription: made for a test\n"
    )
    packages = top / "packages"
    packages.mkdir(exist_ok=True)
    argv = ["dpkg-deb", "--root-owner-group", "-Zxz", "-b", str(tree), str(packages / f"{name}_{version}_amd64.deb")]
    subprocess.run(argv, check=True, capture_output=True)


def installs(top: Path) -> Sequence[Remedy]:
    """Return the remedies that install packages for ``app``."""
    root = requires("trixie-amd64").path
    found = runworthy.fix([str(top / "app")], on=[f"rootfs:{root}"], packages=[str(top / "packages")])
    (plan,) = found.plans
    return [one for one in plan.remedies if any(isinstance(edit, InstallPackages) for edit in one.edits)]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A directory with a program that needs libfoo.so.1, in which ``foo`` is."""
    requires_tool("gcc", package="gcc")
    requires_tool("dpkg-deb", package="dpkg")
    compiled(tmp_path, "int foo(void) { return 3; }", "-shared", "-fPIC", "-Wl,-soname,libfoo.so.1", "-o", "libfoo.so")
    body = "int foo(void); int main(void) { return foo() - 3; }"
    compiled(tmp_path, body, "-Wl,-z,now", "-o", "app", "libfoo.so")
    (tmp_path / "libfoo.so").unlink()
    return tmp_path


def test_a_package_and_what_it_needs_make_it_run(app: Path) -> None:
    packed(app, "libfoo1", "1", "int bar(void); int foo(void) { return 3; }", "libc6, libbar1 (>= 1)")
    packed(app, "libbar1", "1", "int bar(void) { return 3; }")
    (remedy,) = installs(app)
    assert remedy.proved
    assert remedy.applicability == "unsafe"  # a package manager carries it out
    (edit,) = remedy.edits
    assert isinstance(edit, InstallPackages)
    assert (edit.manager, edit.names, edit.with_them) == ("apt", ("libfoo1",), ("libbar1",))
    assert remedy.cost.packages == 2
    assert [one.package for one in edit.effects if isinstance(one, UnpackPackage)] == ["libbar1 1", "libfoo1 1"]


def test_a_package_that_brings_the_file_but_not_the_symbol_is_no_remedy(app: Path) -> None:
    packed(app, "libfoo1", "1", "int other(void) { return 3; }")
    assert not any(one.proved for one in installs(app))


def test_a_package_of_which_not_all_is_known_is_not_proved(app: Path) -> None:
    packed(app, "libfoo1", "1", "int foo(void) { return 3; }", "libc6, libnowhere9")
    (remedy,) = installs(app)
    assert not remedy.proved
    assert "libnowhere9" in remedy.proof


def test_a_package_that_wants_another_c_library_is_no_remedy(app: Path) -> None:
    packed(app, "libfoo1", "1", "int foo(void) { return 3; }", "libc6 (>= 9.99)")
    packed(app, "libc6", "9.99", "int nothing;", "libfoo1")
    assert not installs(app)
