"""Actually Portable Executables that the tests write from the specification, and what is told of each part."""

from __future__ import annotations

import gzip
import zlib
from hashlib import sha256
from struct import pack, pack_into

import pytest

from runworthy.formats.ape import extract_loader, is_ape, read_ape, with_unpacked
from runworthy.formats.content import BytesContent
from runworthy.model.errors import FormatError
from runworthy.model.program import ApeFacts, ApeLoader
from tests.apewriter import APEDBG, JARTSR, LOADER_NAME, MZQFPD, Dd, ape, elf_header, mach_header

BOTH = ("x86_64", "aarch64")
LOADERS = {one: elf_header(one, entry=0, phoff=0) + one.encode() * 400 for one in BOTH}


def read(data: bytes) -> ApeFacts:
    return read_ape(BytesContent(data))


@pytest.mark.parametrize("magic", [MZQFPD, JARTSR, APEDBG])
def test_magics(magic: str) -> None:
    facts = read(ape(magic=magic))
    assert (facts.magic, facts.problem) == (magic, "")
    assert (facts.pe is not None) == magic.startswith("MZ")


@pytest.mark.parametrize("head", [b"MZqFpDx\n", b"MZqFpD=", b"jartsr=\n", b'APEDBG="', b"", b"MZ"])
def test_near_magics_are_none(head: bytes) -> None:
    assert not is_ape(head)
    with pytest.raises(FormatError):
        read(head)


@pytest.mark.parametrize("machines", [("x86_64",), ("aarch64",), BOTH, BOTH[::-1]])
def test_headers_by_machine(machines: tuple[str, ...]) -> None:
    data = ape(machines=machines)
    facts = read(data)
    assert [elf.arch for elf in facts.elves] == list(machines)
    for elf in facts.elves:
        assert (elf.osabi, elf.problem, elf.modern) == (9, "", False)
        assert data[elf.at - 8 : elf.at] == b"printf '"
        assert elf.header[:4] == b"\x7fELF"
        assert facts.elf_for(elf.arch or "") is elf
    assert facts.elf_for("riscv64") is None


def test_a_header_past_8192_bytes_is_not_among_those_that_a_loader_sees() -> None:
    facts = read(ape(far=True))
    assert (facts.elves, [elf.arch for elf in facts.far_elves]) == ((), ["x86_64"])
    assert facts.far_elves[0].at > 8192


def test_a_header_that_ends_after_8192_bytes_counts_as_far_as_it_was_read() -> None:
    """The loader decodes what it has; with fewer than 64 bytes of it there is no header."""
    start = ape(pe=False).index(b"printf '")
    for room, near in ((300, True), (100, False)):
        data = ape(pe=False)
        moved = data[:100] + b"\n" * (8192 - room - start) + data[100:]
        facts = read(moved)
        assert (len(facts.elves), len(facts.far_elves)) == ((1, 0) if near else (0, 1))


def test_modern_flag() -> None:
    assert read(ape(modern=True)).elves[0].modern


@pytest.mark.parametrize(
    ("machine", "skew", "pages"),
    [
        ("x86_64", 0, (4096,)),
        ("aarch64", 0, (4096, 16384, 65536)),
        ("aarch64", 0x4000, (4096, 16384)),
        ("aarch64", 0x1000, (4096,)),
        ("aarch64", 0x800, ()),
    ],
)
def test_page_sizes(machine: str, skew: int, pages: tuple[int, ...]) -> None:
    facts = read(ape(machines=[machine], skew=skew))
    assert facts.elves[0].page_sizes == pages
    assert bool(facts.elves[0].problem) == (not pages)
    assert (facts.elf_for(machine) is None) == (not pages)


@pytest.mark.parametrize(
    ("types", "problem"),
    [
        ((1,), ""),
        ((1, 3), "it has PT_INTERP, which the loader does not support"),
        ((1, 2), "it has PT_DYNAMIC, which the loader does not support"),
        ((4,), "its entry lies in no segment that is executable"),
        ((1, 0x6474E551), ""),
        ((1,) + (4,) * 17, ""),
        ((1,) + (4,) * 18, "its 19 program headers are over the loader's 1024 bytes"),
    ],
)
def test_what_the_loader_refuses(types: tuple[int, ...], problem: str) -> None:
    facts = read(ape(segment_types=types))
    assert facts.elves[0].problem == problem


def patched(field: int, layout: str, value: int) -> bytes:
    """Return an APE whose first program header has another value at an offset."""
    data = bytearray(ape())
    table = int.from_bytes(read(bytes(data)).elves[0].header[32:40], "little")
    pack_into(layout, data, table + field, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("field", "layout", "value", "problem"),
    [
        (4, "<I", 4, "its entry lies in no segment that is executable"),
        (16, "<Q", 0x20000000, "its entry lies in no segment that is executable"),
        (40, "<Q", 1, "a segment is larger in the file than in memory"),
        (40, "<Q", (1 << 64) - 1, "a segment reaches past the end of all addresses"),
        (8, "<Q", 1 << 40, "the file ends before its last segment"),
    ],
)
def test_segments_that_cannot_be_mapped(field: int, layout: str, value: int, problem: str) -> None:
    assert read(patched(field, layout, value)).elves[0].problem == problem


def test_classic_and_with_loaders() -> None:
    classic = read(ape(machines=BOTH))
    assert (classic.rewrites_itself, classic.loaders, classic.loader_name) == (True, (), "")
    assert classic.tools == ("uname",)
    modern = read(ape(machines=BOTH, loaders=LOADERS))
    assert (modern.rewrites_itself, modern.loader_name) == (False, LOADER_NAME)
    assert [(loader.arch, loader.system, loader.form) for loader in modern.loaders] == [
        ("x86_64", "linux", "gzip"),
        ("aarch64", "linux", "gzip"),
    ]
    assert set(modern.tools) == {"uname", "mkdir", "dd", "gzip", "chmod", "mv"}
    half = read(ape(machines=BOTH, loaders={"x86_64": LOADERS["x86_64"]}))
    assert half.rewrites_itself


def test_loaders_are_unpacked() -> None:
    source = b"int main(void) { return 0; }\n"
    content = BytesContent(ape(machines=BOTH, loaders=LOADERS, m1_source=source))
    facts = with_unpacked(content, read_ape(content))
    held = {(loader.arch, loader.form): loader for loader in facts.loaders}
    assert extract_loader(content, held["aarch64", "source"]) == source
    assert held["aarch64", "source"].system == "darwin"
    for arch, data in LOADERS.items():
        loader = held[arch, "gzip"]
        assert extract_loader(content, loader) == data
        assert (loader.sha256, loader.unpacked) == (sha256(data).hexdigest(), len(data))


def test_loaders_that_cannot_be_unpacked() -> None:
    """Cut off, damaged, or of a size that nobody needs: a bomb unpacks to no more than the limit."""
    packed = gzip.compress(LOADERS["x86_64"])
    bomb = zlib.compressobj(9, wbits=31)
    blown = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(20)) + bomb.flush()
    cases = {
        "is cut off": packed[:-9],
        "cannot be unpacked": packed[:20] + bytes(20) + packed[40:],
        "unpacks to over 16777216 bytes": blown,
    }
    for words, data in cases.items():
        loader = ApeLoader(arch="x86_64", system="linux", form="gzip", offset=0, size=len(data))
        with pytest.raises(FormatError, match=words):
            extract_loader(BytesContent(data), loader)
    for size in (len(packed) + 1, 1 << 60):
        loader = ApeLoader(arch="x86_64", system="linux", form="gzip", offset=0, size=size)
        with pytest.raises(FormatError):
            extract_loader(BytesContent(packed), loader)


@pytest.mark.parametrize("spelling", ["plain", "arithmetic", "quoted"])
def test_the_spellings_of_dd(spelling: Dd) -> None:
    data = ape(macho=spelling)
    part = read(data).machos[0]
    assert data[part.offset : part.offset + part.size] == mach_header()
    assert (part.arch, part.filetype, part.minimum) == ("x86_64", 2, "10.15")


def test_the_zip_archive_at_the_end() -> None:
    assert read(ape()).zip_entries is None
    assert read(ape(members={"a": b"1", "b/c": b"2"})).zip_entries == 2
    assert read(ape(members={})).zip_entries == 0


def test_a_damaged_part_is_told_and_the_rest_is_there() -> None:
    data = bytearray(ape(macho="plain", members={"a": b"1"}))
    pack_into("<I", data, data.index(mach_header()) + 20, 1 << 30)
    facts = read(bytes(data))
    assert "load commands of the Mach-O" in facts.problem
    assert (facts.machos, facts.zip_entries, len(facts.elves)) == ((), 1, 1)
    lost = data[: data.rindex(b"PK\1\2")] + b"XXXX" + data[data.rindex(b"PK\1\2") + 4 :]
    assert "central directory" in read(bytes(lost)).problem


def test_octal_escapes_of_every_length() -> None:
    header = elf_header("x86_64", entry=0, phoff=0)
    short = b"".join(b"\\%o" % byte if byte > 7 else b"\\%d" % byte for byte in header)
    data = b"MZqFpD='\n\n" + bytes(54) + b"\nprintf '" + short + b"' >&7\n" + bytes(100)
    assert read(data).elves[0].header == header


def test_headers_in_the_first_page_alone_are_enough() -> None:
    """A printf of other things is none, and one without an end neither."""
    data = b"MZqFpD='\n\nprintf 'hello'\nprintf '" + b"\\177ELF" + b"x" * 20
    assert read(data).elves == ()
    assert read(b"MZqFpD='\n" + pack("<I", 0) * 4000).elves == ()
