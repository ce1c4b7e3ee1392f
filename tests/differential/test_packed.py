"""The same tree, packed by the real tools of each format: nothing that is told of its files depends on the packing."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import runworthy
from tests.engine.test_archives import TOP, told
from tests.judges import roots
from tests.world import make

pytestmark = pytest.mark.judge

_CONTROL = "Package: viewer\nVersion: 1.0\nArchitecture: amd64\nMaintainer: nobody\nDescription: shows\n"
_SPEC = """\
Name: viewer
Version: 1.0
Release: 1
Summary: shows
License: none
AutoReqProv: no
%define __os_install_post %{{nil}}
%define _build_id_links none
%description
shows
%install
cp -a {tree}/. %{{buildroot}}/
%files
/opt
"""


def _run(words: Sequence[str | Path], cwd: Path, fed: str | None = None) -> None:
    subprocess.run(words, cwd=cwd, input=fed, text=True, check=True, capture_output=True)


def _names(tree: Path) -> str:
    return "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))


def _tar(*options: str) -> Callable[[Path, Path], None]:
    return lambda tree, made: _run(["tar", *options, "-cf", made, "."], tree)


def _cpio(tree: Path, made: Path) -> None:
    with made.open("wb") as file:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=_names(tree).encode(), stdout=file, check=True
        )


def _deb(tree: Path, made: Path) -> None:
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(_CONTROL)
    _run(["dpkg-deb", "--build", "--root-owner-group", tree, made], tree)
    shutil.rmtree(tree / "DEBIAN")


def _rpm(tree: Path, made: Path) -> None:
    top = tree.parent / "rpm"
    top.mkdir()
    (top / "viewer.spec").write_text(_SPEC.format(tree=tree))
    _run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", "--target", "x86_64", top / "viewer.spec"], top)
    (built,) = (top / "RPMS").rglob("*.rpm")
    shutil.copy(built, made)


def _apk(tree: Path, made: Path) -> None:
    """As abuild lays a package out: two tar archives, each of them gzip, the first without its end."""
    control = tree.parent / "control"
    control.mkdir()
    (control / ".PKGINFO").write_text("pkgname = viewer\npkgver = 1.0-r0\narch = x86_64\n")
    parts = []
    for directory, name in ((control, ".PKGINFO"), (tree, "opt")):
        tar = subprocess.run(["tar", "-cf", "-", "-b", "1", name], cwd=directory, capture_output=True, check=True)
        data = tar.stdout[:-1024] if name == ".PKGINFO" else tar.stdout
        parts.append(subprocess.run(["gzip", "-n"], input=data, capture_output=True, check=True).stdout)
    made.write_bytes(b"".join(parts))


def _squashed(tree: Path, made: Path) -> None:
    _run(["mksquashfs", tree, made, "-quiet", "-no-progress", "-comp", "xz"], tree)


_PACKED: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "t.zip": ("zip", lambda tree, made: _run(["zip", "-qry", made, "."], tree)),
    "t-bsd.zip": ("bsdtar", lambda tree, made: _run(["bsdtar", "-a", "-cf", made, "."], tree)),
    "t.jar": ("jar", lambda tree, made: _run(["jar", "cf", made, "."], tree)),
    "t.nupkg": ("zip", lambda tree, made: _run(["zip", "-qry", made, "."], tree)),
    "t.tar": ("tar", _tar("--format=pax")),
    "t.tar.gz": ("tar", _tar("--gzip", "--format=gnu")),
    "t.tar.xz": ("tar", _tar("--xz", "--format=ustar")),
    "t.tar.bz2": ("tar", _tar("--bzip2")),
    "t.tar.zst": ("zstd", _tar("--zstd")),
    "t.tar.lz4": ("lz4", _tar("-I", "lz4")),
    "t.cpio": ("cpio", _cpio),
    "viewer_1.0_amd64.deb": ("dpkg-deb", _deb),
    "viewer-1.0-1.x86_64.rpm": ("rpmbuild", _rpm),
    "viewer-1.0-r0.apk": ("tar", _apk),
    "t.squashfs": ("mksquashfs", _squashed),
}
_WITHOUT_LINKS = ("t.jar",)
_TARGETS = ("debian:12/amd64", "debian:11/amd64", "alpine:3.20/amd64")


_PLACE = re.compile(rf"(?<=[\"` ])/{TOP}/[^\s\"`]*")


def _told(name: str) -> list[dict[str, Any]]:
    """Return what is told of the files in a directory or archive; places of the root are as names are."""
    words = json.dumps(told(runworthy.check(name, on=_TARGETS, trace=True), name))
    found: list[dict[str, Any]] = json.loads(_PLACE.sub(lambda at: posixpath.normpath(at[0])[1:], words))
    return found


@pytest.mark.parametrize("packed", _PACKED)
def test_a_tree_with_links(packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that fails in several ways: a program, a library under three names, plug-ins."""
    tree = tmp_path / "tree"
    shutil.copytree(make(tmp_path / "world") / "viewer", tree / TOP)
    if packed not in _WITHOUT_LINKS:
        (tree / TOP / "lib/libview.so.3").symlink_to("libview.so.2")
    _compare(packed, tree, monkeypatch)


_REAL = {
    "numpy-manylinux-x86_64": ("t.zip", "t.tar.zst", "t.cpio", "t.squashfs", "viewer_1.0_amd64.deb"),
    "psycopg2-musllinux-x86_64": ("t-bsd.zip", "t.tar.xz", "t.tar.bz2", "viewer-1.0-r0.apk"),
    "sharp-libvips-linux-x64": ("t.tar.lz4", "viewer-1.0-1.x86_64.rpm", "t.nupkg"),
}


@pytest.mark.parametrize(("entry", "packed"), [(entry, packed) for entry, names in _REAL.items() for packed in names])
def test_a_real_tree(entry: str, packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What wheels and packages of npm hold."""
    tree = tmp_path / "tree"
    shutil.copytree(roots.requires_corpus(entry), tree / TOP)
    _compare(packed, tree, monkeypatch)


def _compare(packed: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool, pack = _PACKED[packed]
    roots.requires_tool(tool, package=tool)
    monkeypatch.chdir(tree.parent)
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink() and not path.is_dir():
            path.chmod(0o755)
    loose = _told("tree")
    assert len(loose) >= 1
    pack(tree, tree.parent / packed)
    assert _told(packed) == loose


def test_a_package_of_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no links, and npm lays its files out below ``node_modules``."""
    roots.requires_tool("npm", package="npm")
    monkeypatch.chdir(tmp_path)
    tree = tmp_path / "tree"
    shutil.copytree(make(tmp_path / "world") / "viewer", tree / TOP)
    for path in list(tree.rglob("*")):
        if path.is_symlink():
            path.unlink()
    (tree / "package.json").write_text(json.dumps({"name": "viewer", "version": "1.0.0"}))
    _run(["npm", "pack", "--silent", f"--pack-destination={tmp_path}", f"--cache={tmp_path / '.npm'}"], tree)
    name = "viewer-1.0.0.tgz"
    assert os.path.exists(name)
    found = json.dumps(_told(name))
    for words in ("/node_modules/viewer/", "package/"):
        found = found.replace(words, "/" * words.startswith("/"))
    loose = {(one["subject"], one["target"], one["verdict"], str(one["findings"])) for one in _told("tree")}
    assert {(one["subject"], one["target"], one["verdict"], str(one["findings"])) for one in json.loads(found)} == loose
