"""``--with``: libraries, directories and packages in a root, found as if they had been installed there."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runworthy.engine import Engine, Wishes
from runworthy.formats.ld_so_cache import read_ld_so_cache
from runworthy.model.errors import UsageError
from runworthy.model.trace import Answer
from runworthy.simulate.launch import Launch
from runworthy.targets.additions import addition
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.elfwriter import elf
from tests.formats.packages import Files, apk, deb, rpm, tar
from tests.targets.trees import build

LDCONFIG = shutil.which("ldconfig", path="/usr/sbin:/sbin")
GLIBC, MUSL = "debian:12/amd64", "alpine:3.20/amd64"


def library(soname: str = "libfoo.so.1", **more: object) -> bytes:
    return elf(soname=soname, exports=["foo"], **more)  # type: ignore[arg-type]


def opened(name: str) -> tuple[Target, Overlay]:
    target = TargetName(name).open(None)
    return target, Overlay(target.view)


def added(name: str, *specs: Path) -> Overlay:
    target, overlay = opened(name)
    for spec in specs:
        addition(str(spec))(target, overlay)
    return overlay


def gzipped(files: Files) -> bytes:
    return tar(files, gzip.compress)


def package(tmp_path: Path, files: Files, name: str = "x.deb") -> Path:
    path = tmp_path / name
    wrap: dict[str, Callable[[Files], bytes]] = {"deb": deb, "rpm": rpm, "apk": apk, "gz": gzipped}
    path.write_bytes(wrap[name.rpartition(".")[2]](files))
    return path


def found(on: str, *specs: Path, needs: str = "libfoo.so.1", musl: bool = False) -> str | None:
    """Return by what the library that a program needs is met, None when it is not."""
    program = specs[0].parent / "program"
    loader = "/lib/ld-musl-x86_64.so.1" if musl else "/lib64/ld-linux-x86-64.so.2"
    program.write_bytes(elf(interpreter=loader, needed=[needs]))
    wishes = Wishes(launch=Launch(trace=True), additions=[addition(str(spec)) for spec in specs])
    (result,) = Engine(wishes).check([str(program)], [TargetName(on)]).results
    steps = [step for step in result.trace.needs if step.need.kind == "library" and step.need.name == needs]
    return next((step.met_by for step in steps if step.answer is Answer.MET), None)


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    path = tmp_path / "libfoo.so.1.2"
    path.write_bytes(library())
    return path


# -- libraries ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "at"),
    [
        (GLIBC, "/usr/lib/x86_64-linux-gnu"),
        ("fedora:40/amd64", "/usr/lib64"),
        ("ubuntu:22.04/amd64", "/usr/lib/x86_64-linux-gnu"),
        (MUSL, "/usr/lib"),
    ],
)
def test_a_library_lies_where_its_loader_looks_first(lib: Path, on: str, at: str) -> None:
    overlay = added(on, lib)
    assert overlay.exists("/lib64/ld-linux-x86-64.so.2") != overlay.exists("/lib/ld-musl-x86_64.so.1")
    home = next(path for path in (at, at.removeprefix("/usr")) if overlay.exists(f"{path}/libfoo.so.1.2"))
    assert overlay.lstat(f"{home}/libfoo.so.1").entry.target == "libfoo.so.1.2"
    met = found(on, lib, musl=on == MUSL)
    assert met is not None
    assert met.endswith("/libfoo.so.1.2")


def test_a_library_given_by_its_soname_needs_no_link(tmp_path: Path, lib: Path) -> None:
    (tmp_path / "libfoo.so.1").symlink_to("libfoo.so.1.2")
    overlay = added(GLIBC, tmp_path / "libfoo.so.1")
    assert overlay.lstat("/lib/x86_64-linux-gnu/libfoo.so.1").entry.kind == "file"
    assert not overlay.exists("/lib/x86_64-linux-gnu/libfoo.so.1.2")


def test_the_path_file_of_musl_says_where(tmp_path: Path, lib: Path) -> None:
    conf = tmp_path / "conf"
    build(conf, {"etc/ld-musl-x86_64.path": "\n/opt/first:/opt/second\n/lib\n"})
    assert added(MUSL, conf, lib).exists("/opt/first/libfoo.so.1")


def test_a_library_of_another_architecture_goes_to_its_own_loaders_directory(tmp_path: Path) -> None:
    (tmp_path / "libfoo.so.1").write_bytes(library(machine="i386"))
    overlay = added(GLIBC, tmp_path / "libfoo.so.1")
    assert not overlay.exists("/lib/x86_64-linux-gnu/libfoo.so.1")
    assert found(GLIBC, tmp_path / "libfoo.so.1") is None


def test_a_library_added_later_takes_the_place_of_the_roots(tmp_path: Path) -> None:
    newer = tmp_path / "libz.so.1.99"
    newer.write_bytes(library("libz.so.1"))
    assert (found(GLIBC, newer, needs="libz.so.1") or "").endswith("/libz.so.1.99")


# -- directories --------------------------------------------------------------------------------


def test_a_plain_directory_gives_its_libraries(tmp_path: Path, lib: Path) -> None:
    (tmp_path / "libbar.so").write_bytes(library("libbar.so"))
    (tmp_path / "libfoo.so").symlink_to("libfoo.so.1.2")
    (tmp_path / "libscript.so").write_text("INPUT(libfoo.so.1)")
    (tmp_path / "program.o").write_bytes(elf(kind=1))
    overlay = added(GLIBC, tmp_path)
    names = {name for name in overlay.readdir("/lib/x86_64-linux-gnu") if "foo" in name or "bar" in name}
    assert names == {"libbar.so", "libfoo.so", "libfoo.so.1", "libfoo.so.1.2"}
    assert not overlay.exists("/lib/x86_64-linux-gnu/libscript.so")


def test_a_part_of_a_root_is_laid_over_through_the_roots_links(tmp_path: Path) -> None:
    part = tmp_path / "part"
    build(
        part,
        {
            "lib/x86_64-linux-gnu/libfoo.so.1": "->libfoo.so.1.2",
            "usr/share/new/deep/file": "text",
            "opt/app/lib": None,
            "bin": None,
        },
    )
    (part / "lib/x86_64-linux-gnu/libfoo.so.1.2").write_bytes(library())
    overlay = added("debian:13/amd64", part)
    assert overlay.lstat("/lib").entry.kind == "link"
    assert overlay.resolve("/usr/lib/x86_64-linux-gnu/libfoo.so.1").path == "/usr/lib/x86_64-linux-gnu/libfoo.so.1.2"
    assert overlay.exists("/lib/x86_64-linux-gnu/libc.so.6")
    assert overlay.read("/usr/share/new/deep/file") == b"text"
    assert (found("debian:13/amd64", part) or "").endswith("/libfoo.so.1.2")


# -- packages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "name", "directory"),
    [
        (GLIBC, "x.deb", "./usr/lib/x86_64-linux-gnu"),
        ("debian:13/amd64", "x.deb", "./lib/x86_64-linux-gnu"),
        ("fedora:40/amd64", "x.rpm", "./usr/lib64"),
        (MUSL, "x.apk", "usr/lib"),
        (GLIBC, "x.tar.gz", "/usr/local/lib"),
    ],
)
def test_a_packages_library_is_found(tmp_path: Path, on: str, name: str, directory: str) -> None:
    files: Mapping[str, bytes | str | None] = {
        f"{directory}/libfoo.so.1.2": library(),
        f"{directory}/libfoo.so.1": "->libfoo.so.1.2",
    }
    path = package(tmp_path, files, name)
    met = found(on, path, musl=on == MUSL)
    assert met is not None
    assert met.endswith("libfoo.so.1.2")


def test_a_directory_that_only_the_configuration_names_is_read_by_ldconfig(tmp_path: Path) -> None:
    lone = package(tmp_path, {"opt/vendor/lib/libfoo.so.1": library()})
    assert found(GLIBC, lone) is None
    both = package(
        tmp_path,
        {"opt/vendor/lib/libfoo.so.1": library(), "etc/ld.so.conf.d/vendor.conf": b"/opt/vendor/lib\n"},
        "y.deb",
    )
    assert found(GLIBC, both) == "/opt/vendor/lib/libfoo.so.1"


@pytest.mark.judge
@pytest.mark.skipif(not LDCONFIG, reason="needs ldconfig (package libc-bin)")
def test_the_cache_is_as_ldconfig_rebuilds_it(tmp_path: Path) -> None:
    """A root with a real cache: the package's libraries join it, in configured directories only."""
    root, rebuilt = tmp_path / "root", tmp_path / "rebuilt"
    loader = "/lib64/ld-linux-x86-64.so.2"
    if not Path(loader).exists():
        pytest.skip("needs a glibc of x86-64 (package libc6)")
    build(
        root, {"etc/os-release": "", "etc/ld.so.conf": "/opt/a\n/opt/b\n", "sbin": None, "lib64": None, "opt/b": None}
    )
    shutil.copy(loader, root / "lib64")
    shutil.copy(str(LDCONFIG), root / "sbin")
    (root / "opt/b/libold.so.1").write_bytes(library("libold.so.1"))
    shutil.copytree(root, rebuilt, symlinks=True)
    subprocess.run([str(LDCONFIG), "-r", root], check=True, capture_output=True)
    new = {f"opt/{where}/lib{name}.so.1.0": library(f"lib{name}.so.1") for where in "abc" for name in (where, "all")}
    path = package(tmp_path, new)
    build(rebuilt, {"opt/a": None, "opt/c": None})
    for name, data in new.items():
        (rebuilt / name).write_bytes(data)
    subprocess.run([str(LDCONFIG), "-r", rebuilt], check=True, capture_output=True)
    cache = read_ld_so_cache((rebuilt / "etc/ld.so.cache").read_bytes())
    for soname in ("libold.so.1", "liba.so.1", "libb.so.1", "libc.so.1", "liball.so.1"):
        entries = cache.get(soname)
        # ldconfig makes the soname's link on disk; the model names the file it leads to.
        expected = str((rebuilt / entries[0].path[1:]).resolve().relative_to(rebuilt.resolve())) if entries else None
        assert found(f"rootfs:{root}", path, needs=soname) == (f"/{expected}" if expected else None), soname


def test_packages_follow_and_fill_links(tmp_path: Path) -> None:
    path = package(
        tmp_path,
        {
            "lib": "->usr/lib",  # the root's own link or directory stays
            "usr/lib/one": b"1",
            "lib/two": b"2",
            "opt/new": "->/srv/data",
            "opt/new/three": b"3",
            "etc/out": "->../../../../../../etc/passwd",
        },
        "x.tar.gz",
    )
    overlay = added(GLIBC, path)
    assert overlay.read("/usr/lib/one") == b"1"
    assert overlay.read("/lib/two") == b"2"
    assert overlay.read("/srv/data/three") == b"3"
    assert overlay.lstat("/opt/new").entry.target == "/srv/data"
    assert overlay.find("/etc/out") == overlay.find("/etc/passwd")


def test_one_reading_serves_every_target(lib: Path, tmp_path: Path) -> None:
    path = package(tmp_path, {"opt/libfoo.so.1": library()})
    for spec, name in ((lib, "/lib/x86_64-linux-gnu/libfoo.so.1.2"), (path, "/opt/libfoo.so.1")):
        add = addition(str(spec))
        facts = []
        for on in (GLIBC, "debian:11/amd64"):
            target, overlay = opened(on)
            add(target, overlay)
            facts.append(overlay.elf(overlay.resolve(name).path))
        assert facts[0] is facts[1]


def test_the_target_itself_is_not_changed(lib: Path) -> None:
    target, overlay = opened(GLIBC)
    addition(str(lib))(target, overlay)
    assert not target.view.exists("/lib/x86_64-linux-gnu/libfoo.so.1")
    assert not target.view.relisted


# -- what cannot be ------------------------------------------------------------------------------


def test_what_cannot_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(
        tmp_path,
        {
            "text": "hello",
            "empty": "",
            "dir/file": "x",
            "cut.deb": "!<arch>\nx",
            "dangling": "->none",
            "loop": "->loop",
        },
    )
    (tmp_path / "object.o").write_bytes(elf(kind=1))
    (tmp_path / "hostile.tar").write_bytes(tar({"../x": b""}))
    (tmp_path / "clash.tar").write_bytes(tar({"a": b"", "a/b": b""}))
    (tmp_path / "elf.so").write_bytes(b"\x7fELF")
    specs = "none text empty dir cut.deb dangling loop object.o hostile.tar clash.tar elf.so".split()
    for spec in (*specs, ""):
        with pytest.raises(UsageError, match=f"--with {spec}:") as caught:
            addition(spec)
        assert caught.value.hint, spec


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError):
        addition(str(tmp_path / "fifo"))


def test_zstd_without_its_module_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression", "compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "x.pkg.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(UsageError) as caught:
        addition(str(tmp_path / "x.pkg.tar.zst"))
    assert "runworthy[zstd]" in caught.value.hint


def test_what_does_not_fit_into_a_root_says_where(tmp_path: Path) -> None:
    for name, files in (("x.deb", {"usr/lib": b"file"}), ("y.deb", {"etc/os-release/x": b""})):
        with pytest.raises(UsageError, match=r"does not fit into debian:12/x86_64: /"):
            added(GLIBC, package(tmp_path, files, name))
