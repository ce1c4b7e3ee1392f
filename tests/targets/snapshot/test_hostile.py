"""Files that are no snapshots, or no longer: an error and never an answer, in bounded time and memory."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent
from runworthy.formats.elf.record import PARTS
from runworthy.model.errors import FormatError, TargetError
from runworthy.targets.names import TargetName
from runworthy.targets.snapshot.blocks import CHUNK_LIMIT, BlockWriter
from runworthy.targets.snapshot.listing import Row, pack_listing
from runworthy.targets.snapshot.view import SnapshotView
from runworthy.targets.view import UnseenError
from tests.elfwriter import elf
from tests.targets.snapshot.made import NAME, answers, snapshot, walk
from tests.targets.snapshot.test_same import FILES

TAIL = 32


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from runworthy.targets.snapshot.tree import TreeView

    root = tmp_path_factory.mktemp("root")
    for name in ("library", "cut-in-tables", "script", "text", "no-magic"):
        path = root / "usr" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(FILES[name])
    (root / "etc").mkdir()
    (root / "etc" / "os-release").write_text("ID=made\n")
    (root / "lib").symlink_to("usr")
    return snapshot(TreeView(str(root)))


def opened(data: bytes) -> SnapshotView:
    return SnapshotView(BytesContent(data), NAME)


def everything(view: SnapshotView) -> object:
    paths = [*walk(view), "/lib/library", "/etc/none"]
    return answers(view, paths), view.read("/etc/os-release")


def test_cut_off_anywhere(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(TargetError, match=r"is no snapshot|was cut off|is damaged"):
            opened(data[:end])


def test_one_more_byte(data: bytes) -> None:
    with pytest.raises(TargetError, match="cut off"):
        opened(data + b"\0")


@settings(max_examples=150)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_bit_flipped(data: bytes, at: float, bit: int) -> None:
    """It is refused, or the bit says nothing: never another answer."""
    place = int(at * len(data))
    flipped = bytearray(data)
    flipped[place] ^= 1 << bit
    with suppress(TargetError):
        assert everything(opened(bytes(flipped))) == everything(opened(data))


def test_a_later_version(data: bytes) -> None:
    with pytest.raises(TargetError, match=r"made\.runworthy.*: is a snapshot of version 7; 1 can be read"):
        opened(data[:8] + b"\7\0" + data[10:])


def test_facts_of_another_form() -> None:
    with pytest.raises(TargetError, match=r"by runworthy 99\.0, with facts in a form of its own"):
        opened(made(pack_listing((), 1), meta={"record": ["facts"], "runworthy": "99.0"}))


@pytest.mark.parametrize(("data", "words"), [(b"", "no snapshot"), (b"\x7fELF", "no snapshot"), (b"{}", "no snapshot")])
def test_something_else(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.runworthy"
    path.write_bytes(data)
    with pytest.raises(TargetError, match=words):
        TargetName(str(path)).open(None)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="No such file") as caught:
        TargetName(f"snapshot:{tmp_path}/none").open(None)
    assert caught.value.hint
    with pytest.raises(TargetError):
        TargetName(f"snapshot:{tmp_path}").open(None)


# -- with every checksum right ---------------------------------------------------------------


def made(*listings: bytes, directories: int = 1, meta: Mapping[str, object] | None = None) -> bytes:
    """Return a snapshot of these listings, the last being the top directory's; ``meta`` replaces parts of its head."""
    out = BytesIO()
    writer = BlockWriter(out)
    places = [writer.add("listing", listing) for listing in listings]
    told = {
        "runworthy": "0",
        "record": PARTS,
        "created": "",
        "source": "directory",
        "arch": "",
        "origin": "",
        "machine": None,
        "left_out": [],
        "top": [places[-1], directories],
        "held": {},
        "entries": 1,
        **(meta or {}),
    }
    writer.finish(writer.add("meta", json.dumps(told).encode()))
    return out.getvalue()


def directory(place: int, directories: int, name: str = "d") -> Row:
    return Row(name, "d", 0o755, 0, place, directories)


FIRST = 1 << 32


def test_a_directory_in_itself() -> None:
    """However it counts, it does not add up."""
    for count in (1, 2, 3, 1000):
        with pytest.raises(TargetError, match="damaged"):
            list(walk(opened(made(pack_listing([directory(FIRST, count)], 1), directories=count + 1))))


def test_a_tree_that_doubles_at_each_step() -> None:
    """Forty levels, each twice the one below, add up; but there are not as many directories in the file."""
    listings = list[bytes]()
    for level in range(40):
        below = FIRST | sum(len(one) + 4 for one in listings[:-1])
        listings.append(pack_listing([directory(below, 2**level - 1, name) for name in "ab"] if level else [], 1))
    for claimed in (2**40 - 1, 1000):
        began = time.monotonic()
        with pytest.raises(TargetError, match="damaged"):
            list(walk(opened(made(*listings, directories=claimed))))
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "x" * 256])
def test_names_that_no_directory_has(name: str) -> None:
    with pytest.raises(TargetError, match="damaged"):
        opened(made(pack_listing([Row(name, "f"), Row("z", "f")], 1))).readdir("/")


def test_a_name_twice() -> None:
    with pytest.raises(TargetError, match="damaged"):
        opened(made(pack_listing([Row("a", "f"), Row("a", "d")], 1))).readdir("/")


@pytest.mark.parametrize(
    ("meta", "value"),
    [
        ("top", [0, 1]),
        ("top", [7 << 32, 1]),
        ("top", [FIRST | 1 << 30, 1]),
        ("top", [-1, 1]),
        ("top", [1 << 70, 1]),
        ("top", "x"),
        ("held", {"/x": "y"}),
        ("held", []),
        ("left_out", [1]),
        ("machine", {"arch": 1}),
        ("machine", []),
        ("entries", None),
        ("created", 5),
    ],
)
def test_a_head_that_makes_no_sense(meta: str, value: object) -> None:
    with pytest.raises(TargetError, match="damaged"):
        opened(made(pack_listing((), 1), meta={meta: value})).readdir("/")


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"?",
        b"E",
        b"E\xff\xff\xff\xff",
        b"E\1\0\0\0" + struct.pack("<QI", 0, 1 << 31),
        b"E\0\0\0\0",
        b"E\0\0\0\0" + b"\xff" * 64,
        b"F\0\0\0\0",
        b"F\0\0\0\0[1,2]",
        b"F\0\0\0\0" + b"[" * 100_000,
        b"F\0\0\0\0[" + b"[]," * 100_000 + b"0]",
        b"N\xff\0\0\0",
        b"N\1\0\0\0" + struct.pack("<QI", 1 << 63, 0),
        b"O",
        b"E\0\0\0\0" + elf()[:200],
    ],
)
def test_facts_that_make_no_sense(chunk: bytes) -> None:
    out = BytesIO()
    writer = BlockWriter(out)
    facts = writer.add("facts", chunk)
    listing = pack_listing([Row("x", "f", 0o755, 1 << 40, facts)], 1)
    top = writer.add("listing", listing)
    meta = json.loads(opened(made(listing))._blocks.chunk(opened(made(listing))._blocks.first))  # noqa: SLF001
    writer.finish(writer.add("meta", json.dumps({**meta, "top": [top, 1]}).encode()))
    view = opened(out.getvalue())
    for ask in (lambda: view.elf("/x"), lambda: view.content("/x").pread(0, 64), lambda: view.read("/x")):
        with pytest.raises((TargetError, FormatError, OSError)):
            ask()


def test_a_bomb() -> None:
    """A block that claims what DEFLATE cannot do is refused unread; one that does what it can stays within bounds."""
    out = BytesIO()
    writer = BlockWriter(out)
    writer.finish(writer.add("meta", bytes(CHUNK_LIMIT)))
    for data, limit in ((out.getvalue(), 4 * CHUNK_LIMIT), (claimed(out.getvalue(), CHUNK_LIMIT * 4), 1 << 20)):
        tracemalloc.start()
        with pytest.raises(TargetError, match="damaged"):
            opened(data)
        assert tracemalloc.get_traced_memory()[1] < limit
        tracemalloc.stop()


def claimed(data: bytes, length: int) -> bytes:
    """Return a snapshot of one block with another length in its table, every checksum right."""
    table, count, _, first, _, end = struct.unpack("<QIIQI4s", data[-TAIL:])
    row = bytearray(data[table:-TAIL])
    struct.pack_into("<I", row, 12, length)
    sealed = struct.pack("<QIIQ", table, count, zlib.crc32(row), first)
    return b"".join((data[:table], row, sealed, struct.pack("<I", zlib.crc32(sealed)), end))


def test_a_tail_that_claims_more_than_there_is() -> None:
    data = made(pack_listing((), 1))
    table, _, crc, first, _, end = struct.unpack("<QIIQI4s", data[-TAIL:])
    for wrong in ((table, 1 << 31), (0, 1), (1 << 60, 1), (table + 20, 1)):
        sealed = struct.pack("<QIIQ", *wrong, crc, first)
        with pytest.raises(TargetError, match="damaged"):
            opened(data[:-TAIL] + sealed + struct.pack("<I", zlib.crc32(sealed)) + end)


def test_what_is_left_out_is_no_answer() -> None:
    view = opened(made(pack_listing((), 1, 1)))
    with pytest.raises(UnseenError):
        view.find("/x")
