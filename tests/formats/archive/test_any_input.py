"""Any members in any archive are what CPython's readers find; any bytes whatever end in an archive or a FormatError."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.formats.archive import archive_kind, open_archive
from runworthy.formats.archive.inflated import RAW, WITH_HEADER, Blocks, Inflated
from runworthy.formats.content import BytesContent
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError
from tests.formats.archive.laid import in_archive, opened
from tests.formats.archive.test_hostile import Row, make_zip
from tests.formats.packages import apk, cpio, deb, rpm, tar

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=40)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map("/".join)
DATA = st.binary(max_size=3000) | st.binary(min_size=1, max_size=9).map(lambda data: data * 100_000)
FILES = st.dictionaries(PATHS, st.tuples(DATA, st.booleans()), max_size=6)
METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
PACKERS = st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress])


def fits(files: Mapping[str, object]) -> bool:
    """Whether no file is a directory of another one too."""
    return not any(other.startswith(f"{path}/") for path in files for other in files)


@pytest.mark.slow
@settings(max_examples=30)
@given(FILES.filter(fits), METHODS)
def test_members_of_a_zip(files: dict[str, tuple[bytes, bool]], method: int) -> None:
    rows = [(name, data, stat.S_IFREG | (0o755 if run else 0o644)) for name, (data, run) in files.items()]
    archive = opened(make_zip(*rows, method=method), "a.zip")
    assert not archive.oddities or all(odd.kind == "outside" for odd in archive.oddities)  # the name `C:` is a drive
    laid = {path: row for path, row in in_archive(archive).items() if row[0] == "file"}
    assert laid == {name: ("file", data, run) for name, (data, run) in files.items()}


@pytest.mark.slow
@settings(max_examples=30)
@given(FILES.filter(fits), PACKERS, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_members_of_a_tar(files: dict[str, tuple[bytes, bool]], pack: Callable[[bytes], bytes], style: int) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=style) as archive:
        for name, (data, run) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if run else 0o644
            archive.addfile(info, io.BytesIO(data))
    laid = in_archive(opened(pack(packed.getvalue()), kind="tar"))
    big = {name for name, (data, _) in files.items() if len(data) > 1 << 20}
    assert {path for path, row in laid.items() if row[0] == "file"} == set(files)
    assert {path: row for path, row in laid.items() if row[0] == "file" and path not in big} == {
        name: ("file", data, run) for name, (data, run) in files.items() if name not in big
    }


@pytest.mark.slow
@settings(max_examples=100)
@given(
    reads=st.lists(st.tuples(st.integers(0, 5 << 20), st.integers(0, 1 << 20)), min_size=1, max_size=12),
    form=st.sampled_from([RAW, WITH_HEADER]),
    forget=st.booleans(),
)
def test_any_read_of_inflated_bytes(reads: list[tuple[int, int]], form: int, *, forget: bool) -> None:
    packed = _PACKED[form]
    inflated = Inflated(BytesContent(packed), Blocks(1 << 20), form, size=len(_PLAIN) if form == RAW else None)
    for offset, count in reads:
        assert inflated.pread(offset, count) == _PLAIN[offset : offset + count]
        if forget:
            inflated.close()
    assert inflated.end() == len(_PLAIN)
    assert inflated.pread(len(_PLAIN) - 3, 9) == _PLAIN[-3:]


_PLAIN = b"".join(bytes([number % 251]) * (number % 97) for number in range(100_000))
_HALF = len(_PLAIN) // 3
_RAW = zlib.compressobj(6, zlib.DEFLATED, -15)
_PACKED = {
    RAW: _RAW.compress(_PLAIN) + _RAW.flush(),
    WITH_HEADER: gzip.compress(_PLAIN[:_HALF]) + gzip.compress(b"") + gzip.compress(_PLAIN[_HALF:]) + bytes(100),
}

# -- damage ------------------------------------------------------------------------------------

_FILES: Mapping[str, bytes | str | None] = {
    "a/b": b"\x7fELF" + bytes(range(256)) * 20,
    "a/c": "->b",
    "d": None,
    "e": b"text" * 100,
}
_ROWS: list[Row] = [
    ("a/b", b"\x7fELF" + bytes(range(256)) * 20),
    ("l", b"a/b", stat.S_IFLNK | 0o777),
    ("e", b"text" * 100),
]
WHOLE: Mapping[str, tuple[bytes, ContainerKind]] = {
    "stored": (make_zip(*_ROWS), "zip"),
    "deflated": (make_zip(*_ROWS, method=zipfile.ZIP_DEFLATED), "wheel"),
    "bzip2": (make_zip(*_ROWS, method=zipfile.ZIP_BZIP2), "jar"),
    "lzma": (make_zip(*_ROWS, method=zipfile.ZIP_LZMA), "nupkg"),
    "tar": (tar(_FILES), "tar"),
    "gzip": (tar(_FILES, gzip.compress), "npm"),
    "xz": (tar(_FILES, lzma.compress), "tar"),
    "cpio": (cpio(_FILES), "cpio"),
    "deb": (deb(_FILES), "deb"),
    "apk": (apk(_FILES), "apk"),
    "rpm": (rpm(_FILES), "rpm"),
}


def read_all(data: bytes, kind: ContainerKind) -> None:
    """Open an archive and read all of it, as far as that goes."""
    with contextlib.suppress(FormatError):
        for member in open_archive(BytesContent(data), kind).members:
            assert ".." not in member.path.split("/")
            assert not member.path.startswith("/")
            if member.content is not None:
                with contextlib.suppress(OSError):
                    size = min(member.content.size, 1 << 20)
                    assert len(member.content.pread(0, size)) <= size


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_one_has_nothing_odd(name: str) -> None:
    archive = open_archive(BytesContent(WHOLE[name][0]), WHOLE[name][1])
    assert not archive.problem
    assert [odd.kind for odd in archive.oddities] == (["disagrees"] if name == "deflated" else [])  # a link in a wheel
    assert in_archive(archive)["a/b"][1] == _ROWS[0][1]


@pytest.mark.slow
@settings(max_examples=400)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6),
    st.data(),
)
def test_damaged_bytes(name: str, flips: list[tuple[int, int]], chosen: st.DataObject) -> None:
    whole, kind = WHOLE[name]
    data = bytearray(whole[: chosen.draw(st.integers(len(whole) * 3 // 4, len(whole)) | st.just(len(whole)))])
    for at, value in flips:
        data[at % len(data)] = value
    start = time.process_time()
    read_all(bytes(data), kind)
    assert time.process_time() - start < 5


@settings(max_examples=100)
@given(st.binary(max_size=600), st.sampled_from(["zip", "tar", "cpio", "deb", "rpm", "apk", "squashfs", "appimage"]))
def test_any_bytes(data: bytes, kind: ContainerKind) -> None:
    archive_kind(data[:512], f"a.{kind}")
    read_all(data, kind)
    read_all(b"PK\3\4" + data + b"PK\5\6" + data[:18], kind)
