"""Roots out of a pipe: what a tar stream or a collector tells, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.formats.elf.record import encode
from runworthy.formats.stream import Stream, StreamError
from runworthy.model.errors import FormatError, TargetError
from runworthy.targets.directory import DirectoryView
from runworthy.targets.stream import kept, root
from runworthy.targets.stream.collected import machine_of
from runworthy.targets.stream.reading import Streamed, read_stream
from runworthy.targets.view import FileView, UnseenError
from tests.elfwriter import elf
from tests.formats.packages import tar
from tests.targets.snapshot.made import captured

LIBRARY = elf(soname="libx.so.1", exports=["x"])
ROOT: Mapping[str, bytes | str | None] = {
    "./": None,
    "./etc/": None,
    "./etc/os-release": b"ID=x\n",
    "./etc/ld.so.conf": b"/opt/lib\n",
    "./lib": "->usr/lib",
    "./usr/lib/libx.so.1": LIBRARY,
    "./usr/lib/libc.so": b"/* GNU ld script */\nGROUP ( libc.so.6 )\n" + b" " * 100,
    "./usr/share/text": b"secret" * 100,
}


def noise(count: int) -> bytes:
    """Return bytes that do not pack."""
    return hashlib.shake_128(b"noise").digest(count)


def read(data: bytes) -> Streamed:
    """Read a stream that gives what is asked for, as a pipe behind a buffer does."""
    return read_stream(io.BytesIO(data).read)


def refused(data: bytes) -> str:
    with pytest.raises(TargetError) as error:
        read(data)
    return str(error.value)


def archive(
    *members: tuple[str, bytes, Mapping[str, object]], base: bool = True, form: int = tarfile.GNU_FORMAT
) -> bytes:
    """Return a tar archive of a root and members: name, bytes, and fields of the header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as out:
        release: tuple[str, bytes, Mapping[str, object]] = ("etc/os-release", b"ID=x\n", {})
        for name, data, fields in (*([release] if base else ()), *members):
            info = tarfile.TarInfo()
            info.name, info.size = name, len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def every(view: FileView, directory: str = "/") -> Iterable[str]:
    for name in sorted(view.names(directory)):
        path = f"{directory.rstrip('/')}/{name}"
        yield path
        try:
            found = view.entry(directory, name)
        except UnseenError:
            continue
        if found and found.kind == "dir":
            yield from every(view, path)


def told(view: FileView, path: str) -> tuple[object, ...]:
    """Return what a view tells of an entry, bytes that no loader takes left out."""
    parent, _, name = path.rpartition("/")
    entry = view.entry(parent or "/", name)
    assert entry
    if entry.kind != "file":
        return entry.kind, entry.target, entry.mode if entry.kind == "dir" else None
    try:
        facts = encode(view.load_elf(path))
    except FormatError as error:
        facts = error.message.encode()
    return entry.kind, entry.mode, entry.size, facts


# -- what is told ----------------------------------------------------------------------------


def test_a_tar_stream_is_a_root() -> None:
    found, machine = read(tar(ROOT))
    assert machine is None
    assert list(every(found)) == [
        "/etc", "/etc/ld.so.conf", "/etc/os-release", "/lib", "/usr", "/usr/lib", "/usr/lib/libc.so",
        "/usr/lib/libx.so.1", "/usr/share", "/usr/share/text",
    ]  # fmt: skip
    assert found.read("/etc/ld.so.conf") == b"/opt/lib\n"
    assert found.resolve("/lib/libx.so.1").path == "/usr/lib/libx.so.1"
    assert found.elf("/usr/lib/libx.so.1").exports().names == {b"x"}
    with pytest.raises(FormatError, match="not an ELF file"):
        found.elf("/usr/lib/libc.so")
    assert b"secret" not in found.content("/usr/share/text").pread(0, 60)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_every_form_of_tar_tells_the_same_as_the_directory(
    tmp_path: Path, form: int, pack: Callable[[bytes], bytes]
) -> None:
    top = tmp_path / "root"
    width = 20 if form == tarfile.USTAR_FORMAT else 90
    deep = top / ("usr/lib/" + "n" * width) / ("m" * width)
    deep.mkdir(parents=True)
    (top / "etc").mkdir(mode=0o711)
    (top / "etc/os-release").write_text("ID=x\n")
    (deep / "libx.so.1").write_bytes(LIBRARY)
    (deep / "libx.so.1").chmod(0o750)
    (deep / "damaged.so").write_bytes(LIBRARY[:200])
    (deep / "empty").write_bytes(b"")
    (deep / "libx.so").symlink_to("libx.so.1")
    (deep / "absolute").symlink_to("/usr/lib")
    (deep / "twin").hardlink_to(deep / "libx.so.1")
    if form != tarfile.USTAR_FORMAT:
        (deep / "n\udcffme").write_bytes(b"x")
        (deep / "long").symlink_to("x" * 200)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as out:
        out.add(top, arcname=".")
    found, real = read(pack(buffer.getvalue())).root, DirectoryView(str(top))
    paths = list(every(real))
    assert list(every(found)) == paths
    assert len(paths) > 9
    for path in paths:
        assert told(found, path) == told(real, path), path
    directory = "/" + str(deep.relative_to(top))
    one, other = (found.identity(found.resolve(f"{directory}/{name}")) for name in ("libx.so.1", "twin"))
    assert one == other != found.identity(found.resolve(f"{directory}/damaged.so"))


def test_names_that_begin_anyhow_are_below_the_root() -> None:
    for prefix in ("", "./", "/", ".//", "//"):
        found = read(tar({f"{prefix}etc/os-release": b"ID=x\n", f"{prefix}usr/lib/libx.so": LIBRARY})).root
        assert list(every(found)) == ["/etc", "/etc/os-release", "/usr", "/usr/lib", "/usr/lib/libx.so"]


def test_the_deepest_path_that_there_is() -> None:
    deep = "d/" * 2040 + "libx.so"
    found = read(archive((deep, LIBRARY, {}))).root
    assert found.elf(f"/{deep}").facts.soname == "libx.so.1"
    copy = captured(found)
    assert copy.elf(f"/{deep}").facts.soname == "libx.so.1"


def test_a_later_member_takes_the_place_of_an_earlier_one() -> None:
    data = archive(
        ("lib/a", b"text" * 20, {}),
        ("lib/b", LIBRARY, {}),
        ("lib/c", b"", {"type": tarfile.LNKTYPE, "linkname": "lib/a"}),
        ("lib/a", LIBRARY, {"mode": 0o700}),
        ("lib/b", b"", {"type": tarfile.SYMTYPE, "linkname": "a"}),
        ("lib/d/", b"", {"type": tarfile.DIRTYPE}),
        ("lib/d", LIBRARY, {}),
        ("lib/", b"", {"type": tarfile.DIRTYPE, "mode": 0o700}),
    )
    found = read(data).root
    assert list(found.names("/lib")) == ["a", "b", "c", "d"]
    assert found.lstat("/lib").entry.mode == 0o700
    assert found.elf("/lib/a").facts.soname == found.elf(found.resolve("/lib/b").path).facts.soname == "libx.so.1"
    assert found.elf("/lib/d").facts.soname == "libx.so.1"
    with pytest.raises(FormatError, match="not an ELF file"):
        found.elf("/lib/c")  # the file that it was linked to, not what took its name


def test_devices_are_entries_and_the_kernels_own_files_are_none() -> None:
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    data = archive(
        *((f"dev/x{at}", b"", {"type": kind}) for at, kind in enumerate(kinds)),
        ("proc/", b"", {"type": tarfile.DIRTYPE}),
        ("proc/self", b"", {"type": tarfile.SYMTYPE, "linkname": "1"}),
        ("sys/", b"", {"type": tarfile.DIRTYPE}),
    )
    found = read(data).root
    assert {found.lstat(f"/dev/x{at}").entry.kind for at in range(3)} == {"other"}
    assert not found.exists("/sys/class")
    with pytest.raises(UnseenError):
        found.exists("/proc/self")


def test_archives_one_after_another_and_what_fills_the_last_record() -> None:
    more = tar({"usr/lib/liby.so": LIBRARY})
    found = read(tar(ROOT) + bytes(1 << 20) + more + bytes(64 << 10)).root
    assert {"libx.so.1", "liby.so"} <= set(found.names("/usr/lib"))
    assert read(tar(ROOT) + b"not zeros" * 99).root.exists("/etc")  # as tar itself, nothing behind the end counts


def test_a_large_library_is_read_and_what_is_not_read_is_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "UNPACKED_LIMIT", len(LIBRARY))
    data = archive(("lib/small", LIBRARY, {}), ("lib/large", LIBRARY + b"\0", {}))
    found = read(data).root
    assert found.elf("/lib/small").facts.soname == "libx.so.1"
    for ask in (found.elf, found.content):
        with pytest.raises(UnseenError, match="not looked at"):
            ask("/lib/large")


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (("../x", b"", {}), "leave the root"),
        (("lib/../../x", b"", {}), "leave the root"),
        (("/../etc/passwd", b"", {}), "leave the root"),
        (("x", b"", {"type": tarfile.LNKTYPE, "linkname": "../etc/shadow"}), "leave the root"),
        (("x", b"", {"type": tarfile.LNKTYPE, "linkname": "etc/shadow"}), "no file that it holds"),
        (("x", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc"}), "no file that it holds"),
        (("x", b"", {"type": tarfile.SYMTYPE, "linkname": ""}), "to nothing"),
        (("etc/os-release/x", b"", {}), "below `etc/os-release`, which is no directory"),
        (("etc", b"", {}), "a directory that is not empty"),
        (("etc", b"", {"type": tarfile.SYMTYPE, "linkname": "/"}), "a directory that is not empty"),
        ((".", b"x", {}), "root is no directory"),
        (("a/" + "n" * 300, b"", {}), "longer than any file system has"),
        (("a/" * 3000 + "x", b"", {}), "no usable name"),
    ],
)
def test_members_that_no_root_has(member: tuple[str, bytes, Mapping[str, object]], why: str) -> None:
    assert why in refused(archive(member))


def test_a_member_below_a_symbolic_link() -> None:
    for target in ("/etc", "..", "usr", "nowhere"):
        link = ("lib", b"", {"type": tarfile.SYMTYPE, "linkname": target})
        assert "below `lib`, which is a symbolic link" in refused(archive(link, ("lib/x", b"", {})))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (bytes(10240), "without files"),
        (b"tar: not found\n", "begins with 'tar: not found'"),
        (b"\x1f\x8b" + bytes(40), "gzip stream is damaged"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(b"x" * 600, mtime=0), "is no tar archive"),
        (tar({"a": b"x", "b": b"y"}), "neither a dynamic loader nor an os-release"),
        (tar({"manifest.json": b"[]", "etc/os-release": b""}), "holds images"),
        (tar({"oci-layout": b"{}", "etc/os-release": b""}), "holds images"),
        (b"runworthy-collected 1\r\n", "carriage returns"),
        (b"runworthy-collected 99\n", "another version"),
    ],
)
def test_streams_that_are_no_root(data: bytes, why: str) -> None:
    assert why in refused(data)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_stream_that_is_cut_off_gives_no_half_root(pack: Callable[[bytes], bytes]) -> None:
    data = pack(tar(ROOT))
    whole = len(tar(ROOT).rstrip(b"\0")) // 512 * 512 + 1024
    cuts = range(1, whole if pack is bytes else len(data), 37)
    for cut in cuts:
        refused(data[:cut])
    assert len(cuts) > 5


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runworthy.formats.stream.UNPACKED_LIMIT", 16 << 20)
    assert "a bomb" in refused(gzip.compress(archive(("zeros", bytes(40 << 20), {}))))
    # As much of a file that does not pack is no bomb.
    assert read(gzip.compress(archive(("noise", noise(20 << 20), {})), 1)).root.exists("/noise")


def test_what_is_kept_and_named_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "ENTRIES", 50)
    assert "more than 50 files" in refused(archive(*((f"f{at}", b"", {}) for at in range(60))))
    assert "more than 50 files" in refused(archive(("d/" * 60 + "x", b"", {})))  # directories that are made count
    monkeypatch.setattr(root, "NAMES", 500)
    assert "longer than 500" in refused(archive(*(("n" * 200 + str(at), b"", {}) for at in range(4))))
    link = {"type": tarfile.SYMTYPE, "linkname": "x" * 600}
    assert "longer than 500" in refused(archive(("link", b"", link)))
    monkeypatch.setattr(root, "KEPT", 3000)
    assert "more than 3000 bytes" in refused(archive(*((f"lib{at}.so", LIBRARY, {}) for at in range(9))))


def test_a_member_that_claims_more_than_comes() -> None:
    head = bytearray(archive(("lib/huge", b"x", {}), base=False))
    for size in (b"77777777777\0", b"\x80" + b"\xff" * 11):
        head[124:136] = size
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head[:512])
        for start in (b"", b"\x7fELF\2\1\1" + bytes(300)):
            assert refused(bytes(head[:512]) + start.ljust(512, b"\0"))


def test_headers_about_headers_are_bounded() -> None:
    header = {"pax_headers": {"comment": "x" * (2 << 20)}}
    assert "claims" in refused(archive(("x", b"", header), form=tarfile.PAX_FORMAT))
    nested = archive(("x", b"", {"pax_headers": {"path": "../../x"}}), form=tarfile.PAX_FORMAT)
    assert "leave the root" in refused(nested)


def test_holes_cost_nothing() -> None:
    """A file of holes is not made whole, however large it says it is; libraries with holes are read, but not many."""

    def sparse(name: str, size: int, data: bytes) -> tuple[str, bytes, Mapping[str, object]]:
        records = {"GNU.sparse.name": name, "GNU.sparse.size": str(size), "GNU.sparse.map": f"0,{len(data)}"}
        return "x", data, {"pax_headers": records}

    tracemalloc.start()
    found = read(
        archive(
            sparse("lastlog", 1 << 50, b"text"),
            sparse("lib/a.so", len(LIBRARY) + (1 << 20), LIBRARY),
            sparse("lib/b.so", 1 << 40, LIBRARY),
            form=tarfile.PAX_FORMAT,
        )
    ).root
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
    assert found.lstat("/lastlog").entry.size == 1 << 50
    assert found.elf("/lib/a.so").facts.soname == "libx.so.1"
    with pytest.raises(UnseenError):
        found.elf("/lib/b.so")
    many = (sparse(f"lib{at}.so", 200 << 20, LIBRARY) for at in range(40))
    assert "holes" in refused(archive(*many, form=tarfile.PAX_FORMAT))


class Pieces(io.RawIOBase):
    """A file that is made while it is read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        self._held = self._held or next(self._pieces, b"")
        count = min(len(buffer), len(self._held))
        buffer[:count], self._held = self._held[:count], self._held[count:]
        return count


def test_a_long_stream_takes_little_memory() -> None:
    """What passes by is not kept: 300 MB in a few."""
    block = noise(1 << 20)

    def pieces() -> Iterable[bytes]:
        yield tar(ROOT, cut=True)
        for at in range(3):
            info = tarfile.TarInfo(f"big{at}")
            info.size = 100 << 20
            yield info.tobuf(tarfile.GNU_FORMAT)
            yield from (block for _ in range(100))
        yield bytes(1024)

    tracemalloc.start()
    found = read_stream(io.BufferedReader(Pieces(pieces())).read).root
    assert tracemalloc.get_traced_memory()[1] < 24 << 20
    tracemalloc.stop()
    assert found.lstat("/big2").entry.size == 100 << 20


@settings(max_examples=200)
@given(st.data())
def test_damaged_streams_are_refused_or_read(data: st.DataObject) -> None:
    """Whatever changes in a stream, it is a root or an error for people, and no path leaves the root."""
    whole = bytearray(tar({**ROOT, "./usr/bin/x": "->../../../../etc/passwd", "./a/b/": None}))
    collected = _collected()
    stream = data.draw(st.sampled_from((whole, bytearray(collected))))
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(stream) - 1))
        stream[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        if stream is whole and data.draw(st.booleans()):
            block = at // 512 * 512  # as who means it would: with the right checksum
            head = bytes(stream[block : block + 148]) + b" " * 8 + bytes(stream[block + 156 : block + 512])
            stream[block + 148 : block + 156] = b"%06o\0 " % sum(head)
    try:
        found = read(bytes(stream)).root
    except TargetError:
        return
    for path in every(found):
        assert ".." not in path.split("/")
        try:
            told(found, path)
        except UnseenError:
            continue


# -- the collector's lines -------------------------------------------------------------------


def _entry(mode: int, size: int, name: str, *, links: int = 1, inode: int = 1) -> bytes:
    return f"{mode:x} {size} {links} 1:{inode} {name}\n".encode()


def _collected(*more: bytes, end: bytes = b"+end\n") -> bytes:
    size = len(LIBRARY)
    return b"".join(
        (
            b"runworthy-collected 1\n",
            b"+fact uname-s\n Linux\n+fact uname-m\n x86_64\n+fact uname-r\n 5.10.0-8-amd64\n+fact page-size\n 4096\n",
            b"+fact cpuinfo\n flags\t: cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3\n",
            b"+fact binfmt-status\n enabled\n+fact binfmt b\n enabled\n interpreter /b\n+fact binfmt a\n disabled\n",
            b"+fact binfmt-closed\n c\n+fact gpu 0\n",
            b"+fact gpu\n 0000:01:00.0 0x10de 0x2684 nvidia\n+fact nvidia-gpu 0000:01:00.0\n Model: \t\t NVIDIA X\n",
            b"+fact nvidia-module\n 550.54\n",
            b"+fact mountinfo\n 27 1 254:0 / / rw - ext4 /dev/vda rw\n",
            b"+fact os-release\n ID=x\n\n",
            b"+entries\n",
            _entry(0o40755, 4096, "."),
            _entry(0o40755, 4096, "./lib"),
            _entry(0o40711, 4096, "./run"),
            _entry(0o100644, size, "./lib/libx.so.1", links=2, inode=7),
            _entry(0o100644, size, "./lib/twin", links=2, inode=7),
            _entry(0o100644, 900, "./lib/libc.so"),
            _entry(0o100644, 900, "./lib/data"),
            _entry(0o100644, 5, "./lib/short"),
            _entry(0o100755, 900, "./lib/script"),
            _entry(0o100755, 900, "./lib/Some.class"),
            _entry(0o120777, 9, "./lib/libx.so"),
            _entry(0o120777, 9, "./lib/lost"),
            _entry(0o20666, 0, "./lib/null"),
            b"+closed ./run\n+links 1\n./lib/libx.so\nlibx.so.1\n",
            b"+script ./lib/script\n#!/bin/sh -e\n+plain ./lib/libc.so\n+plain ./lib/Some.class\n",
            *more,
            b"+files 1\n%d ./lib/libx.so.1\n" % size + LIBRARY + b"\n",
            end,
        )
    )


def test_what_is_collected_is_a_root_on_a_machine() -> None:
    found, machine = read(gzip.compress(_collected()))
    assert machine
    assert (machine.arch, machine.kernel, machine.level, machine.page_size) == ("x86_64", "5.10.0-8-amd64", 2, 4096)
    assert machine.binfmt.status == "enabled"
    assert [(entry.name, entry.text) for entry in machine.binfmt.entries] == [
        ("b", "enabled\ninterpreter /b\n"),
        ("a", "disabled\n"),
        ("c", None),
    ]
    assert machine.mounts
    assert (machine.mounts[0].point, machine.mounts[0].fstype) == ("/", "ext4")
    assert [(gpu.address, gpu.driver, gpu.name) for gpu in machine.gpus] == [("0000:01:00.0", "nvidia", "NVIDIA X")]
    assert (machine.nvidia_driver, machine.os_release) == ("550.54", "ID=x\n")
    assert found.elf(found.resolve("/lib/libx.so").path).facts.soname == "libx.so.1"
    assert found.elf("/lib/twin").facts.soname == "libx.so.1"  # another name of a file whose bytes were sent once
    assert found.content("/lib/script").pread(0, 20).startswith(b"#!/bin/sh -e\n")
    assert found.lstat("/lib/null").entry.kind == "other"


@pytest.mark.parametrize(
    ("facts", "status", "unknown"),
    [
        ({}, "absent", "not mounted here"),
        ({"filesystems": ["nodev\tproc"]}, "absent", ""),
        ({"filesystems": ["nodev\tbinfmt_misc"]}, "absent", "not mounted here"),
        ({"binfmt-references": ["0"]}, "absent", ""),
        ({"binfmt-status": ["enabled"]}, "enabled", ""),  # as earlier collectors said it
        ({"binfmt-status": ["disabled"], "binfmt-owner": ["1000"]}, "disabled", "another user namespace"),
        (
            {"binfmt-status": ["enabled"], "binfmt-owner": ["65534"], "user-namespace": ["user:[5]"]},
            "enabled",
            "may have its own",
        ),
        ({"binfmt-closed": ["/proc/sys/fs/binfmt_misc"]}, "unreadable", ""),
    ],
)
def test_whose_handlers_a_machine_has(facts: dict[str, list[str]], status: str, unknown: str) -> None:
    machine = machine_of({"uname-m": ["x86_64"], "uname-s": ["Linux"], "uname-r": ["6.18.0"], **facts})
    assert machine
    assert machine.binfmt.status == status
    assert unknown in machine.binfmt.unknown
    assert bool(unknown) == bool(machine.binfmt.unknown)


def test_what_was_not_sent_is_unseen_and_never_absent() -> None:
    found = read(_collected()).root
    for path in ("/lib/data", "/lib/Some.class"):
        for ask in (found.elf, found.content):
            with pytest.raises(UnseenError):
                ask(path)
    for path in ("/run/lib/libx.so", "/lib/lost"):
        with pytest.raises(UnseenError):
            found.exists(path)
    for path in ("/lib/libc.so", "/lib/short"):  # neither can be ELF: one was looked at, one is too small
        with pytest.raises(FormatError):
            found.elf(path)
    assert not found.exists("/lib/nothing")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (b"+files 1\n%d ./lib/libx.so.1\n" % len(LIBRARY) + LIBRARY + b"x\n", "of another length"),
        (b"+files 1\n%d ./lib/libx.so.1\n" % len(LIBRARY) + LIBRARY[:-9] + b"\n", "of another length"),
        (b"+files 1\n99999999 ./lib/libx.so.1\n" + LIBRARY + b"\n", "was cut off"),
        (b"+files 1\n./lib/libx.so.1\n" + LIBRARY + b"\n", "nothing like it"),
        (b"+files 1\n99999999999999999999 ./lib/libx.so.1\n", "nothing like it"),
        (b"+files 99999999\n", "nothing like it"),
        (b"+links 1\n../x\nx\n", "leave the root"),
        (b"+strange\n", "nothing like it"),
        (b"cat: read error\n", "nothing like it"),
        (b"81a4 -5 1 1:1 ./x\n", "nothing like it"),
        (b"81a4 5 1 1:1 ../x\n", "leave the root"),
        (b"81a4 5 1 1:1 ./lib/short/x\n", "which is no directory"),
        (b"81a4 5 1 1:1 ./lib/libx.so/x\n", "which is a symbolic link"),
        (b"x" * 70000 + b"\n", "a line of more than"),
    ],
)
def test_collections_that_do_not_fit_together(more: bytes, why: str) -> None:
    assert why in refused(_collected(more))


def test_what_came_and_changed_meanwhile_is_passed_over() -> None:
    found = read(
        _collected(
            b"+files 2\n4 ./lib/new.so\n3 ./lib/libc.so\nnew\nold\n",
            b"+links 2\n./lib/newer\n./lib/libc.so\nx\ny\n",
            b"+plain ./lib/gone\n+script ./gone\n#!/bin/sh\n+script ./lib\n#!/bin/sh\n+closed ./gone\n",
        )
    ).root
    assert not any(found.exists(f"/{name}") for name in ("lib/new.so", "lib/newer", "lib/gone", "gone"))
    assert found.lstat("/lib/libc.so").entry.kind == "file"
    assert found.elf("/lib/libx.so.1").facts.soname == "libx.so.1"


def test_a_collection_that_is_cut_off_gives_no_half_root() -> None:
    data = _collected()
    for cut in range(0, len(data) - 1, 41):
        refused(data[:cut])
    refused(_collected(end=b""))
    other = data.replace(b" Linux\n", b" FreeBSD\n")
    assert "FreeBSD" in refused(other)


# -- the stream itself -----------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@given(asked=st.lists(st.tuples(st.integers(0, 300_000), st.integers(0, 70_000)), max_size=8))
def test_reads_that_go_forward_get_what_is_there(pack: Callable[[bytes], bytes], asked: list[tuple[int, int]]) -> None:
    data = noise(400_000)
    stream = Stream(io.BytesIO(pack(data)).read)
    for offset, count in sorted(asked):
        assert stream.pread(offset, count) == data[offset : offset + count]
    assert stream.pread(len(data), 9) == b""
    with pytest.raises(StreamError):
        stream.pread(len(data) + 1, 1)
