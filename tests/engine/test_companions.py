"""Packages of a system that are given together are installed together where one requires another."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

import runworthy
from tests.elfwriter import Symbol, elf
from tests.formats.packages import ar, tar

LIBRARY = "usr/lib/libdraw.so.8"
NEEDING = elf(soname="libview.so.2", needed=["libdraw.so.8"], imports=[Symbol("draw", use="data")])
DRAW = elf(soname="libdraw.so.8", exports=["draw"])
OTHER = elf(soname="libdraw.so.8", exports=["paint"])
OF_ARM = elf(soname="libdraw.so.8", exports=["draw"], machine="aarch64")


def deb(name: str, files: dict[str, bytes], *, version: str = "1", arch: str = "amd64", fields: str = "") -> None:
    control = f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\n{fields}"
    parts = {"control.tar.gz": tar({"./control": control.encode()}, gzip.compress), "data.tar": tar(files)}
    Path(f"{name}_{version}_{arch}.deb").write_bytes(ar({"debian-binary": b"2.0\n", **parts}))


def apk(name: str, files: dict[str, bytes], *fields: str) -> None:
    told = "\n".join((f"pkgname = {name}", "pkgver = 1.0-r0", "arch = x86_64", *fields, ""))
    parts = (tar({".PKGINFO": told.encode()}, gzip.compress, cut=True), tar(files, gzip.compress))
    Path(f"{name}-1.0-r0.apk").write_bytes(b"".join(parts))


def verdict(names: Sequence[str], on: str = "debian:12") -> str:
    report = runworthy.check(names, on=on)
    return next(one.verdict for one in report.results if one.subject.endswith("libview.so.2"))


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("Depends: libdraw8\n", "runs"),
        ("Pre-Depends: libdraw8 (>= 1)\n", "runs"),
        ("Depends: nothing | libdraw8\n", "runs"),
        ("Depends: draw-abi (= 8)\n", "runs"),
        ("Depends: draw-abi\n", "runs"),
        ("Depends: draw-abi (= 9)\n", "fails"),
        ("Depends: libdraw8 (>= 2)\n", "fails"),
        ("Recommends: libdraw8\n", "fails"),
        ("", "fails"),
    ],
)
def test_what_a_package_of_debian_depends_on_is_there(wanted: str, said: str) -> None:
    deb("view", {"usr/lib/libview.so.2": NEEDING}, fields=wanted)
    deb("libdraw8", {LIBRARY: DRAW}, fields="Provides: draw-abi (= 8)\n")
    assert verdict(["view_1_amd64.deb"]) == "fails"
    assert verdict(["view_1_amd64.deb", "libdraw8_1_amd64.deb"]) == said


def test_what_is_required_may_require_more() -> None:
    deb("view", {"usr/lib/libview.so.2": NEEDING}, fields="Depends: middle\n")
    deb("middle", {"usr/share/doc/middle/README": b""}, arch="all", fields="Depends: libdraw8\n")
    deb("libdraw8", {LIBRARY: DRAW}, fields="Depends: view\n")
    names = ["view_1_amd64.deb", "libdraw8_1_amd64.deb"]
    assert verdict(names) == "fails"
    assert verdict([*names, "middle_1_all.deb"]) == "runs"


def test_of_several_versions_the_latest_that_will_do_counts() -> None:
    deb("view", {"usr/lib/libview.so.2": NEEDING}, fields="Depends: libdraw8 (<< 3)\n")
    deb("libdraw8", {LIBRARY: OTHER}, version="1.9")
    deb("libdraw8", {LIBRARY: DRAW}, version="1.10")
    deb("libdraw8", {LIBRARY: OTHER}, version="3")
    deb("libdraw8", {LIBRARY: OF_ARM}, version="2", arch="arm64")
    names = [str(path) for path in sorted(Path().glob("*.deb"))]
    assert verdict(names) == verdict(names[::-1]) == "runs"
    Path("libdraw8_1.10_amd64.deb").unlink()
    others = [str(path) for path in sorted(Path().glob("*.deb"))]
    assert verdict(others) == "risky", "what does not define `draw`"


def test_a_package_for_every_architecture_takes_what_is_for_that_of_the_target() -> None:
    deb("view", {"usr/lib/libview.so.2": NEEDING}, arch="all", fields="Depends: libdraw8\n")
    deb("libdraw8", {LIBRARY: DRAW})
    deb("libdraw8", {LIBRARY: OF_ARM}, arch="arm64")
    assert verdict(["view_1_all.deb", "libdraw8_1_amd64.deb"], on="debian:12/amd64") == "runs"
    assert verdict(["view_1_all.deb", "libdraw8_1_arm64.deb"], on="debian:12/amd64") == "fails"


def test_what_lies_in_another_package_is_named_by_it() -> None:
    deb("view", {"usr/lib/libview.so.2": NEEDING}, fields="Depends: libdraw8\n")
    deb("libdraw8", {LIBRARY: elf(soname="libdraw.so.8", needed=["libink.so.1"], exports=["draw"])})
    report = runworthy.check(["view_1_amd64.deb", "libdraw8_1_amd64.deb"], on="debian:12")
    (finding,) = report.results[0].findings
    assert report.results[0].subject == "view_1_amd64.deb!usr/lib/libview.so.2"
    assert f"`libdraw8_1_amd64.deb!{LIBRARY}` needs `libink.so.1`" in finding.message


def test_what_a_package_of_alpine_depends_on_is_there() -> None:
    apk("view", {"usr/lib/libview.so.2": NEEDING}, "depend = so:libdraw.so.8")
    apk("libdraw", {LIBRARY: DRAW}, "provides = so:libdraw.so.8=8.0")
    apk("libpaint", {LIBRARY: DRAW})
    assert verdict(["view-1.0-r0.apk"], on="alpine:3.20") == "fails"
    assert verdict(["view-1.0-r0.apk", "libpaint-1.0-r0.apk"], on="alpine:3.20") == "fails"
    assert verdict(["view-1.0-r0.apk", "libdraw-1.0-r0.apk"], on="alpine:3.20") == "runs"


def test_a_package_that_tells_nothing_is_alone() -> None:
    deb("view", {"usr/lib/libview.so.2": NEEDING}, fields="Depends: libdraw8\n")
    broken = {"control.tar.gz": b"no archive", "data.tar": tar({LIBRARY: DRAW})}
    Path("libdraw8.deb").write_bytes(ar({"debian-binary": b"2.0\n", **broken}))
    assert verdict(["view_1_amd64.deb", "libdraw8.deb"]) == "fails"
