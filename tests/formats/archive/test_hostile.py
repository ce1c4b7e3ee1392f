"""Archives that are meant to do harm, each with the recipe that makes it: what is there of them, and what is told."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from runworthy.formats.archive import gathering, open_archive
from runworthy.formats.content import BytesContent
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError
from tests.formats.archive.laid import in_archive, opened, show
from tests.formats.packages import cpio, deb, tar

Row = tuple[str, bytes] | tuple[str, bytes, int]
"""Name, bytes, and the mode with its type."""


def make_zip(*rows: Row, method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive with names as they are given."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data, *mode in rows:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, method
            info.external_attr = (mode[0] if mode else stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)
    return packed.getvalue()


def make_tar(*rows: tuple[str, bytes, str]) -> bytes:
    """Return a tar archive of rows of name, type and target."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, target in rows:
            info = tarfile.TarInfo()
            info.name, info.type, info.linkname = name, kind, target
            archive.addfile(info)
    return packed.getvalue()


def patch_directory(data: bytes, at: int, new: bytes, which: int = 0) -> bytes:
    """Return an archive with other bytes at an offset of an entry of its central directory."""
    offset = -1
    for _ in range(which + 1):
        offset = data.index(b"PK\1\2", offset + 1)
    return data[: offset + at] + new + data[offset + at + len(new) :]


FILE, LINK, HARD, DIR, DEVICE, FIFO = tarfile.REGTYPE, b"2", b"1", b"5", b"3", b"6"

ZIPS: Sequence[tuple[str, bytes, str]] = (
    (
        "names that lead out",
        make_zip(
            ("../a", b""),
            ("b/../../c", b""),
            ("/etc/d", b""),
            ("C:\\e", b""),
            ("C:/f", b""),
            ("..\\g", b""),
            ("h", b""),
        ),
        """\
file etc/d
file C:\\e
file C:/f
file ..\\g
file h
outside (left out): ../a has a name that leads out of the directory by `..`
outside (left out): b/../../c has a name that leads out of the directory by `..`
outside: /etc/d has an absolute name, of which unpackers take the `/` away, or refuse it
name: C:\\e has `\\` in its name, which some unpackers take for `/`
outside: C:\\e has a name that begins with a drive of Windows
outside: C:/f has a name that begins with a drive of Windows
outside: ..\\g has a name that leads out of the directory on Windows
""",
    ),
    (
        "a link that leads out, and a member behind it",
        make_zip(
            ("a", b"/etc", stat.S_IFLNK | 0o777), ("a/passwd", b""), ("b", b"c", stat.S_IFLNK), ("b/x", b""), ("z", b"")
        ),
        """\
link a -> /etc
link b -> c
file c/x
file z
through-link (left out): a/passwd would be written through a link that leads out of the directory
through-link: b/x is written through a link, to c/x
link-outside: a is a link to /etc, outside of the directory
""",
    ),
    (
        "one name twice",
        make_zip(("a", b"1"), ("a", b"2"), ("a/b", b""), ("c/d", b""), ("c", b"")),
        """\
file a
file c/d
duplicate: a is there more than once; the last one counts here
duplicate (left out): a/b lies below a file
duplicate (left out): c is a directory too, with files in it
""",
    ),
    (
        "names that are none",
        make_zip(("a" * 256, b""), ("b/" * 2050 + "c", b""), ("d\x1b[31m\u202e", b""), ("", b"")),
        """\
file d\x1b[31m\u202e
name (left out): AAA... has a name that no file can have
name (left out): BBB... has a name that no file can have
name (left out):  has no name
""".replace("AAA", "a" * 252).replace("BBB", "b/" * 126),
    ),
    (
        "a name that is no UTF-8",
        make_zip(("\u00e9\u00e9", b"")).replace("\u00e9\u00e9".encode(), b"\xff\xfe\xfd\xfc"),
        """\
file \udcff\udcfe\udcfd\udcfc
name: \\xff\\xfe\\xfd\\xfc has a name that is no text in UTF-8
""",
    ),
    (
        "a device",
        make_zip(("a", b"", stat.S_IFBLK | 0o644), ("b", b"")),
        "file b\ndevice (left out): a is a device, a FIFO or a socket\n",
    ),
    (
        "one that says that it is encrypted, one packed in an unknown way",
        patch_directory(patch_directory(make_zip(("a", b"x"), ("b", b"x")), 8, b"\1\0"), 10, struct.pack("<H", 97), 1),
        """\
file a
file b
disagrees: a is packed in another way by its local header
encrypted (left out): a is encrypted
disagrees: b is packed in another way by its local header
method (left out): b is packed by WavPack, which is not read here
""",
    ),
    (
        "another name in the local header",
        make_zip(("good", b"x")).replace(b"good", b"evil", 1),
        "file good\ndisagrees: good is called evil by its local header\n",
    ),
    (
        "1 TB in 100 bytes",
        patch_directory(make_zip(("a", bytes(100)), method=zipfile.ZIP_DEFLATED), 24, b"\xfe\xff\xff\xff"),
        """\
file a
disagrees: a has 100 other bytes by its local header
size (left out): a claims to unpack 6 bytes to 4294967294
""",
    ),
    (
        "bytes that are others' too",
        patch_directory(make_zip(("a", b"x" * 9), ("b", b"y")), 20, struct.pack("<II", 60, 60)),
        """\
file a
file b
disagrees: a has 9 other bytes by its local header
overlap (left out): a has bytes that belong to another member too
""",
    ),
    (
        "two ends",
        make_zip(("a", b"x"))[:-2] + b"\x1e\0" + b"12345678" + make_zip()[:22],
        "disagrees:  has two ends, and unpackers do not agree which one counts\n",
    ),
    (
        "an entry that leads nowhere",
        patch_directory(make_zip(("a", b"x"), ("b", b"y")), 42, struct.pack("<I", 3)),
        "file a\nfile b\ndamaged (left out): a is not where the central directory says\n",
    ),
)


@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in ZIPS], ids=[row[0] for row in ZIPS])
def test_zip(data: bytes, expected: str) -> None:
    assert show(opened(data, "a.zip")) == expected


_OUT = (
    ("../a", FILE, ""), ("/b", FILE, ""), ("c", LINK, "../../x"), ("d", LINK, "/x"), ("e/f", LINK, "../ok"),
    ("g", HARD, "../h"), ("i", HARD, "gone"), ("j", DEVICE, ""), ("k", FIFO, ""), ("l", FILE, ""),
)  # fmt: skip

TARS: Sequence[tuple[str, bytes, str]] = (
    (
        "names and links that lead out",
        make_tar(*_OUT),
        """\
file b
link c -> ../../x
link d -> /x
link e/f -> ../ok
file l
outside (left out): ../a has a name that leads out of the directory by `..`
outside: /b has an absolute name, of which unpackers take the `/` away, or refuse it
link-outside (left out): g is another name of ../h, outside of the directory
damaged (left out): i is another name of gone, which is not there
device (left out): j is a device, a FIFO or a socket
device (left out): k is a device, a FIFO or a socket
link-outside: c is a link to ../../x, outside of the directory
link-outside: d is a link to /x, outside of the directory
""",
    ),
    (
        "links that lead out together, and in a circle",
        make_tar(
            ("a", LINK, "b/.."),
            ("b", LINK, "c"),
            ("c", LINK, ".."),
            ("a/x", FILE, ""),
            ("l", LINK, "l"),
            ("l/x", FILE, ""),
        ),
        """\
link a -> b/..
link b -> c
link c -> ..
link l -> l
through-link (left out): a/x would be written through a link that leads out of the directory
through-link (left out): l/x would be written through links that lead nowhere
link-outside: a is a link to b/.., outside of the directory
link-outside: b is a link to c, outside of the directory
link-outside: c is a link to .., outside of the directory
""",
    ),
    (
        "a directory that is a link already, a link where files lie",
        make_tar(("a", LINK, "b"), ("a", DIR, ""), ("c/d", FILE, ""), ("c", LINK, "b"), ("c", DIR, ""), ("b", DIR, "")),
        "link a -> b\nfile c/d\ndir c\ndir b\nduplicate (left out): c is a directory too, with files in it\n",
    ),
    (
        "a root, where that is as it should be",
        make_tar(("etc/os-release", FILE, ""), ("dev/null", DEVICE, ""), ("bin", LINK, "/usr/bin"), ("../x", FILE, "")),
        """\
file etc/os-release
link bin -> /usr/bin
outside (left out): ../x has a name that leads out of the directory by `..`
""",
    ),
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in TARS], ids=[row[0] for row in TARS])
def test_tar(data: bytes, expected: str, pack: type[bytes]) -> None:
    assert show(opened(pack(data), "a.tar")) == expected


def test_packages_of_a_system_have_absolute_names_and_links() -> None:
    files: Mapping[str, bytes | str | None] = {"/usr/lib/x": b"", "./lib": "->/usr/lib", "./lib/y": b"", "../../z": b""}
    assert show(opened(deb(files), "a.deb")) == (
        "file usr/lib/x\nlink lib -> /usr/lib\nfile usr/lib/y\n"
        "outside (left out): ../../z has a name that leads out of the directory by `..`\n"
    )
    assert show(opened(cpio({"/a": b"x", "dev": None}), "a.cpio")) == (
        "file a\ndir dev\noutside: /a has an absolute name, of which unpackers take the `/` away, or refuse it\n"
    )


# -- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("change", ["size", "more", "checksum", "bytes"])
def test_a_member_that_does_not_hold_what_is_told(method: int, change: str) -> None:
    data = make_zip(("a", b"abc" * 1000), ("b", b"good" * 100), method=method)
    damaged = {
        "size": lambda: patch_directory(data, 24, struct.pack("<I", 3001)),
        "more": lambda: patch_directory(data, 24, struct.pack("<I", 2999)),
        "checksum": lambda: patch_directory(data, 16, b"oops"),
        "bytes": lambda: data[:34] + b"\xff" * 6 + data[40:],
    }[change]()
    archive = opened(damaged, "a.zip")
    first, second = archive.members
    assert first.content is not None
    assert second.content is not None
    with pytest.raises(OSError, match=r"data|damaged|ends too early"):
        first.content.pread(0, 5000)
    with pytest.raises(OSError, match=r"data|damaged|ends too early"):
        first.content.pread(0, 5000)
    assert second.content.pread(0, 1000) == b"good" * 100


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_what_was_cut_off_is_there_as_far_as_it_goes(pack: type[bytes]) -> None:
    noise = zlib.compress(bytes(range(256)) * 4000, 0)
    whole = pack(tar({"a": b"1", "b": noise, "c": b"3"}))
    archive = opened(whole[: len(whole) // 2], "a.tar")
    assert archive.problem
    first, *rest = archive.members
    assert first.content is not None
    assert first.content.pread(0, 9) == b"1"
    for member in rest:
        assert member.path == "b"
        assert member.content is not None
        with pytest.raises(OSError, match=r"."):
            member.content.pread(0, member.content.size)
        assert [odd.kind for odd in archive.oddities] == ["damaged"]


def test_nothing_to_read_is_an_error() -> None:
    for data, kind in (
        (b"PK\3\4rest", "zip"),
        (b"\x1f\x8brest", "tar"),
        (b"text", "tar"),
        (b"hsqs", "squashfs"),
        (b"", "cpio"),
    ):
        with pytest.raises(FormatError):
            open_archive(BytesContent(data), kind)  # type: ignore[arg-type] # a tuple of texts


def test_images_that_are_not_read_say_so() -> None:
    elf = b"\x7fELF\2\1\1\0AI\1" + bytes(200)
    with pytest.raises(FormatError, match="AppImage of type 1"):
        opened(elf, "a.AppImage")
    superblock = bytearray(b"hsqs" + bytes(200))
    for at, value, words in ((20, 3, "lzo"), (20, 9, "something unknown"), (4, 1 << 30, "files")):
        damaged = superblock.copy()
        damaged[12:16] = struct.pack("<I", 1 << 17)
        damaged[20] = 1
        damaged[at : at + 4] = struct.pack("<I", value)
        with pytest.raises(FormatError, match=words):
            opened(bytes(damaged), "a.squashfs")


# -- bombs -------------------------------------------------------------------------------------


def peak(data: bytes, kind: ContainerKind) -> tuple[int, str]:
    """Return how much memory opening and reading an archive takes, and what is told of it."""
    content = BytesContent(data)
    tracemalloc.start()
    try:
        archive = open_archive(content, kind)
        for member in archive.members:
            if member.content is not None and member.content.size:
                try:
                    member.content.pread(0, 4096)
                    member.content.pread(member.content.size - 1, 1)
                except OSError:
                    pass
        told = show(archive)
        return tracemalloc.get_traced_memory()[1], told
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_zeros_of_a_stream() -> None:
    zeros = gzip.compress(tar({"a": bytes(200 << 20)}), 9)
    most, told = peak(zeros, "tar")
    assert "problem: unpacks to more than" in told
    assert most < 50 << 20


@pytest.mark.slow
def test_zeros_of_a_zip() -> None:
    most, told = peak(make_zip(("a", bytes(100 << 20)), method=zipfile.ZIP_DEFLATED), "zip")
    assert "size (left out)" in told
    assert most < 10 << 20


def test_a_bomb_of_overlapping_members() -> None:
    """David Fifield's: every member quotes the local headers of those after it, so that all inflate the same bytes."""
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    kernel = body.compress(b"a" * (1 << 20)) + body.flush()
    locals_: list[int] = []
    places: list[int] = []
    data = b""
    for number in reversed(range(200)):
        head = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(kernel), 1 << 20, 3, 0) + b"%03d" % number
        quote = b"" if not locals_ else struct.pack("<BHH", 0, len(data[:33]), len(data[:33]) ^ 0xFFFF)
        data = head + quote + (data or kernel)
        locals_.append(len(data))
        places.append(number)
    directory = b""
    for number, length in zip(places, locals_, strict=True):
        offset = len(data) - length
        directory += struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            *(b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, length - 33, (1 << 20) + number, 3, 0, 0, 0, 0, 0, offset),
        )
        directory += b"%03d" % number
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 200, 200, len(directory), len(data), 0)
    archive = opened(data + directory + end, "a.zip")
    assert sum(odd.kind == "overlap" for odd in archive.oddities) == 199
    readable = [member.path for member in archive.members if readable_at_all(member.content)]
    assert len(readable) <= 1


def readable_at_all(content: object) -> bool:
    try:
        return bool(content.pread(0, 1))  # type: ignore[attr-defined] # a content, or None
    except OSError:
        return False


def test_a_sparse_file_that_claims_a_terabyte() -> None:
    info = tarfile.TarInfo("a")
    info.size = 512
    info.pax_headers = {"GNU.sparse.map": "0,512", "GNU.sparse.size": str(1 << 40)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"\x7fELF" + bytes(508)))
    most, told = peak(lzma.compress(packed.getvalue()), "tar")
    assert told == "file a\nsize (left out): a is not kept: the archive unpacks to too much\n"
    assert most < 10 << 20
    plain = opened(packed.getvalue(), "a.tar").members[0].content
    assert plain is not None
    assert plain.pread((1 << 40) - 1, 9) == b"\0"


def test_more_members_than_any_archive_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MEMBERS", 2000)
    heads = b"".join(tarfile.TarInfo(str(number)).tobuf() for number in range(2001))
    archive = opened(gzip.compress(heads, 1), "a.tar")
    assert archive.problem.endswith("holds more than 2000 members")
    assert len(archive.members) == 2000


def test_links_that_lead_through_one_another_end() -> None:
    rows = [(f"l{number}", LINK, f"l{number + 1}/l{number + 1}") for number in range(60)]
    archive = opened(make_tar(*rows, *((f"l0/{number}", FILE, "") for number in range(2000))), "a.tar")
    assert len(archive.members) == 60


@pytest.mark.slow
def test_directories_without_end() -> None:
    rows = [(f"{number}/" + "d/" * 2000 + "f", FILE, "") for number in range(40)]
    archive = opened(gzip.compress(make_tar(*rows)), "a.tar")
    assert "characters" in archive.problem
    assert in_archive(archive)


# -- nothing is written ------------------------------------------------------------------------

_WATCHED = """
import gzip, lzma, sys
from tests.formats.archive.laid import opened
from tests.formats.archive.test_hostile import TARS, ZIPS

WRITES = ("mkdir", "symlink", "link", "rename", "remove", "truncate", "chmod")

def watch(event, args):
    writes = event == "open" and (args[2] & 0o3 or set(str(args[1])) & set("wax+"))
    if writes or event in {f"os.{one}" for one in WRITES} or event == "subprocess.Popen":
        raise SystemExit(f"{event} {args}")

rows = [(data, "a.zip") for _, data, _ in ZIPS]
rows += [(pack(data), "a.tar") for _, data, _ in TARS for pack in (bytes, gzip.compress, lzma.compress)]
sys.addaudithook(watch)
for data, name in rows:
    for member in opened(data, name).members:
        try:
            member.content and member.content.pread(0, 100)
        except OSError:
            pass
print("nothing", len(rows))
"""


def test_nothing_is_written_anywhere(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-B", "-c", _WATCHED]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == f"nothing {len(ZIPS) + 3 * len(TARS)}\n", done.stderr
    assert not list(tmp_path.iterdir())
