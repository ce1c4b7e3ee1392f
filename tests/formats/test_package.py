"""Packages: what they bring, read as the programs that install them would, and nothing of what they must not do."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib.util
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent
from runworthy.formats.package import Member, NeedsZstdError, is_package, read_package, streams
from runworthy.model.errors import FormatError
from tests.formats.packages import apk, ar, cpio, deb, ext, mem, rpm, tar

HAS_ZSTD = bool(importlib.util.find_spec("zstandard")) or sys.version_info >= (3, 14)
needs_zstd = pytest.mark.skipif(not HAS_ZSTD, reason="needs Python 3.14 or the zstandard module")


def zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd as module

        return module.compress(data)
    return importlib.import_module("zstandard").ZstdCompressor().compress(data)  # type: ignore[no-any-return]


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


def read(data: bytes) -> list[Member]:
    return list(read_package(BytesContent(data)))


def shown(data: bytes) -> dict[str, str | bytes]:
    """Return path -> bytes of a file, else kind and target."""
    return {
        member.path: member.content.pread(0, member.content.size)
        if member.content
        else f"{member.kind} {member.target}".strip()
        for member in read(data)
    }


FILES = {"./": None, "./usr/lib/": None, "./usr/lib/libz.so.1.3": b"ELF", "./usr/lib/libz.so.1": "->libz.so.1.3"}
SHOWN = {"usr/lib": "dir", "usr/lib/libz.so.1.3": b"ELF", "usr/lib/libz.so.1": "link libz.so.1.3"}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("wrap", [tar, deb, rpm])
def test_each_kind_in_each_compression(wrap: Callable[..., bytes], packer: str) -> None:
    data = wrap(FILES, PACKERS[packer])
    assert is_package(data[:512])
    assert shown(data) == SHOWN


@needs_zstd
@pytest.mark.parametrize("wrap", [tar, deb, rpm])
def test_zstd(wrap: Callable[..., bytes]) -> None:
    assert shown(wrap(FILES, zstd)) == SHOWN
    assert shown(wrap(FILES, lambda data: zstd(data[:700]) + zstd(data[700:]))) == SHOWN
    with pytest.raises(FormatError):
        read(tar(FILES, lambda data: zstd(data)[:-9]))
    with pytest.raises(FormatError, match="damaged"):
        read(tar(FILES, lambda data: zstd(data)[:4] + b"\xff" * 40))


def test_zstd_without_a_reader_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression", "compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NeedsZstdError):
        read(b"\x28\xb5\x2f\xfd" + bytes(100))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_streams_one_after_another_are_one(pack: Callable[[bytes], bytes]) -> None:
    data = tar(FILES, bytes)
    assert shown(pack(data[:700]) + pack(data[700:])) == SHOWN
    assert shown(pack(data) + bytes(37)) == SHOWN


def test_an_apk_shows_its_files_and_not_its_notes() -> None:
    assert shown(apk(FILES)) == SHOWN
    assert shown(apk({**FILES, ".hidden/x": b"kept"}))[".hidden/x"] == b"kept"
    assert shown(tar({".hidden": b"kept"}, bytes)) == {".hidden": b"kept"}


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_any_length_and_spelling(style: int) -> None:
    long = "d" * 90 + "/" + "n" * 90
    names = [long, "ünï/cödé", "new\nline", "dot./..x/...", "a" * 99, "b" * 100]
    if style != tarfile.USTAR_FORMAT:
        names += ["e/" * 400 + "f", "g" * 255]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=style) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, names[0][:99] if style == tarfile.USTAR_FORMAT else "t" * 300
        archive.addfile(link)
    found = {member.path: member for member in read(buffer.getvalue())}
    assert set(found) == {*names, "link"}
    assert found["link"].target == link.linkname
    assert all(found[name].content for name in names)


def test_every_kind_of_member_and_mode() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in (("c", b"3"), ("b", b"4"), ("p", b"6"), ("d", b"5"), ("h", b"1"), ("l", b"2"), ("f", b"7")):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.linkname = kind, 0o4751, "./x" if kind in b"12" else ""
            archive.addfile(info)
    kinds = {member.path: (member.kind, member.target) for member in read(buffer.getvalue())}
    assert kinds == {
        "c": ("other", ""),
        "b": ("other", ""),
        "p": ("other", ""),
        "d": ("dir", ""),
        "h": ("hard-link", "x"),
        "l": ("link", "./x"),
        "f": ("file", ""),
    }
    assert {member.mode for member in read(buffer.getvalue())} == {0o4751}


def test_hard_links_of_an_rpm_name_the_file_with_the_bytes() -> None:
    rows = [("a", b""), ("b", b""), ("c", b"bytes")]
    members = b"".join(mem(name, 0o100644, data, inode=7, links=3) for name, data in rows)
    empty = mem("x", 0o100644, b"", inode=8, links=2) + mem("y", 0o100644, b"", inode=8, links=2)
    assert shown(ext(members + empty)) == {
        "c": b"bytes",
        "a": "hard-link c",
        "b": "hard-link c",
        "x": b"",
        "y": "hard-link x",
    }
    assert shown(ext(mem("fifo", 0o010644, b""))) == {"fifo": "other"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "usr/..", "/../etc/passwd", "a/../b"])
@pytest.mark.parametrize("wrap", [tar, rpm, deb])
def test_no_member_leaves_the_root(wrap: Callable[..., bytes], name: str) -> None:
    with pytest.raises(FormatError, match="would leave the root"):
        read(wrap({name: b"x"}, bytes))


def test_absolute_names_lie_inside_the_root() -> None:
    assert list(shown(tar({"//etc/./x": b"x"}, bytes))) == ["etc/x"]
    assert list(shown(rpm({"/etc//x": b"x"}, bytes))) == ["etc/x"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("h")
        info.type, info.linkname = tarfile.LNKTYPE, "../../etc/shadow"
        archive.addfile(info)
    with pytest.raises(FormatError, match="would leave the root"):
        read(buffer.getvalue())


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_bomb_is_refused_within_bounds(monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]) -> None:
    monkeypatch.setattr(streams, "_HARMLESS", 8 << 20)
    bomb = pack(bytes(64 << 20))
    tracemalloc.start()
    with pytest.raises(FormatError, match="unpacks to more than"):
        read(bomb)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()


def test_what_is_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runworthy.formats.package._MEMBERS", 10)
    with pytest.raises(FormatError, match="more than 10 files"):
        read(tar({str(index): b"" for index in range(11)}, bytes))
    monkeypatch.setattr("runworthy.formats.package._DIRECTORIES", 100)
    with pytest.raises(FormatError, match="more than"):
        read(tar({"d/" * 101 + "f": b""}, bytes))
    head = bytearray(tar({"f": b"x"}, bytes)[:512])
    head[156:157], head[124:136], head[148:156] = b"L", b"77777777777\0", b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    with pytest.raises(FormatError):
        read(bytes(head) + bytes(1 << 20))


@pytest.mark.slow
@pytest.mark.parametrize("data", [tar(FILES), rpm(FILES, bytes), deb(FILES), apk(FILES)])
def test_cut_off_at_every_byte_is_an_error_or_less(data: bytes) -> None:
    whole = shown(data)
    for end in range(len(data)):
        try:
            found = shown(data[:end])
        except FormatError:
            continue
        assert found.items() <= whole.items()


@given(st.data())
def test_flipped_bits_raise_nothing_else(data: st.DataObject) -> None:
    wrap: Callable[..., bytes] = data.draw(st.sampled_from([tar, rpm, deb]))
    raw = bytearray(wrap(FILES, data.draw(st.sampled_from([bytes, gzip.compress]))))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        shown(bytes(raw))


@given(st.binary(max_size=600))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for head in (b"", b"!<arch>\n", b"\xed\xab\xee\xdb" + bytes(92) + b"\x8e\xad\xe8\x01", b"070701", b"\x1f\x8b\x08"):
        with contextlib.suppress(FormatError):
            read(head + data)


def test_what_is_no_package() -> None:
    for data in (
        b"",
        b"#!/bin/sh\n",
        b"PK\3\4" + bytes(600),
        bytes(1024),
        b"!<arch>\n",
        ar({"debian-binary": b"2.0\n"}),
    ):
        with pytest.raises(FormatError):
            read(data)
    assert not is_package(bytes(512))
    assert not is_package(b"#!/bin/sh")


def _sparse(records: Mapping[str, str], stored: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("GNUSparseFile.0/f")
        info.size, info.pax_headers = len(stored), dict(records)
        archive.addfile(info, io.BytesIO(stored))
    return buffer.getvalue()


def test_sparse_files_have_zeros_in_their_holes() -> None:
    named = {"GNU.sparse.name": "f", "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    lines = b"2\n1\n2\n6\n3\n"
    for data in (
        _sparse(named, lines + bytes(512 - len(lines)) + b"abcde"),
        _sparse({"GNU.sparse.name": "f", "GNU.sparse.size": "9", "GNU.sparse.map": "1,2,6,3"}, b"abcde"),
    ):
        (member,) = read(data)
        assert member.content
        whole = b"\0ab\0\0\0cde"
        assert (member.path, member.content.size) == ("f", 9)
        for start in range(10):
            for count in range(11):
                assert member.content.pread(start, count) == whole[start : start + count]


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.size": "9", "GNU.sparse.map": "6,3,1,2"},  # out of order
        {"GNU.sparse.size": "9", "GNU.sparse.map": "1,2,2,3"},  # one over another
        {"GNU.sparse.size": "9", "GNU.sparse.map": "1,2,8,3"},  # past the end
        {"GNU.sparse.size": "9", "GNU.sparse.map": "0,9"},  # more than is stored
        {"GNU.sparse.size": "9", "GNU.sparse.map": "1,2,6"},
        {"GNU.sparse.size": "9", "GNU.sparse.map": "-1,2"},
        {"GNU.sparse.size": "", "GNU.sparse.map": "1,2"},
        {"GNU.sparse.numblocks": "1"},  # format 0.0, whose records repeat
        {"GNU.sparse.major": "1", "GNU.sparse.realsize": "9"},  # no map in the bytes
    ],
)
def test_sparse_maps_that_lie(records: Mapping[str, str]) -> None:
    with pytest.raises(FormatError, match="sparse"):
        read(_sparse(records, b"abcde"))


@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
@pytest.mark.judge
@pytest.mark.parametrize("options", [["--format=gnu"], ["--sparse-version=1.0"], ["--sparse-version=0.1"]])
def test_sparse_files_of_gnu_tar(tmp_path: Path, options: list[str]) -> None:
    file = tmp_path / "f"
    with file.open("wb") as stream:
        for start in range(0, 40 << 16, 1 << 16):  # more stretches than the first header holds
            stream.seek(start)
            stream.write(b"%d" % start)
    kind = [] if "gnu" in options[0] else ["--format=pax"]
    data = subprocess.run(
        ["tar", "-C", tmp_path, *kind, *options, "-S", "-cf-", "f"], check=True, capture_output=True
    ).stdout
    assert len(data) < file.stat().st_size
    (member,) = read(data)
    assert member.content
    assert member.content.pread(0, 40 << 16) == file.read_bytes()


def test_cpio_of_huge_files_is_refused_by_name() -> None:
    with pytest.raises(FormatError, match="over 4 GiB"):
        read(rpm({}, lambda data: b"07070X" + data))


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb (package dpkg)")
@pytest.mark.judge
@pytest.mark.parametrize("kind", ["gzip", "xz", "none", "zstd"])
def test_a_deb_is_read_as_dpkg_unpacks_it(tmp_path: Path, kind: str) -> None:
    if kind == "zstd" and not HAS_ZSTD:
        pytest.skip("needs Python 3.14 or the zstandard module")
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n")
    (tree / "usr/lib" / ("n" * 150)).mkdir(parents=True)
    (tree / "usr/lib/f").write_bytes(os.urandom(3000))
    (tree / "usr/lib/g").hardlink_to(tree / "usr/lib/f")
    (tree / "usr/lib/l").symlink_to("../" * 60 + "x")
    package = tmp_path / "x.deb"
    subprocess.run(["dpkg-deb", f"-Z{kind}", "-b", tree, package], check=True, capture_output=True)
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "out"], check=True, capture_output=True)
    for member in read(package.read_bytes()):
        at = tmp_path / "out" / member.path
        if member.kind == "link":
            assert os.readlink(at) == member.target
        elif member.kind == "hard-link":
            assert at.samefile(tmp_path / "out" / member.target)
        elif member.content:
            assert at.read_bytes() == member.content.pread(0, member.content.size)
        else:
            assert at.is_dir()
        if member.kind != "link":
            assert at.stat().st_mode & 0o7777 == member.mode


def test_slices_stay_inside() -> None:
    piece = streams.Slice(BytesContent(b"0123456789"), 2, 5)
    assert piece.pread(0, 99) == b"23456"
    assert piece.pread(4, 2) == b"6"
    assert piece.pread(5, 1) == piece.pread(-1, 3) == piece.pread(0, 0) == b""


def test_cpio_alone_is_read() -> None:
    assert shown(cpio({"a/b": b"x", "l": "->b"})) == {"a/b": b"x", "l": "link b"}
