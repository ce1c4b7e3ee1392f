"""Actually Portable Executables: a Windows program, a shell script and ELF headers in one file.

Source: cosmopolitan ``ape/specification.md`` (magics, ``printf`` and ``dd`` statements), ``ape/loader.c`` (which header
a loader takes, and what it refuses), ``tool/build/apelink.c`` (how loaders are embedded). Nothing of the script is
executed or interpreted here: its statements are found by their form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, TypeVar

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.layout import LAYOUTS
from runworthy.formats.macho import read_thin
from runworthy.formats.pe import is_pe, read_pe
from runworthy.formats.zip import read_zip_end
from runworthy.model.elf import ET_DYN, ET_EXEC, Segment
from runworthy.model.errors import FormatError
from runworthy.model.program import ApeElf, ApeFacts, ApeLoader, MachoFacts, PeFacts
from runworthy.model.records import replace

__all__ = ["MAGICS", "extract_loader", "is_ape", "is_ape_loader", "read_ape", "with_unpacked"]

MAGICS = (b"MZqFpD='", b"jartsr='", b"APEDBG='")
"""What an APE begins with: for all systems, for all but Windows, for the shell alone."""

_NEAR = 8192
"""Where the loaders look for headers, in bytes from the begin of the file."""
_READ = 64 << 10
"""What is read of a file to find its script; the longest seen ends before 16 KiB."""

_PRINTF = b"printf '"
_ESCAPE = re.compile(rb"\\([0-7]{1,3})")
_EHDR, _PHDR = LAYOUTS[2, 1].ehdr, LAYOUTS[2, 1].phdr
_TABLE_LIMIT = 1024
"""What the loader has room for, in bytes of program headers."""

_ARCHITECTURES = {62: "x86_64", 183: "aarch64", 21: "ppc64le"}
_PAGE_SIZES = {"x86_64": (4096,)}
_ALL_PAGE_SIZES = (4096, 16384, 65536)
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_PF_X, _PF_RWX = 1, 7
_MODERN, _MODERN_MASK = 0x101CA75, 0x1FFFFFF

_SCRIPT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{64,}")
_DD = re.compile(rb"\bdd +if=\"?\$\{?[o0]\}?\"?([^\n]*)")
_NUMBER = rb"\b%s=(?:['\"] *)?(?:\$\(\( *)?([0-9]{1,19})"
_NUMBERS = {name: re.compile(_NUMBER % name.encode()) for name in ("bs", "skip", "count")}
_ONTO_ITSELF = re.compile(rb"\bof=\"?\$\{?[o0]\b")
_LOADER_NAME = re.compile(rb"(?m)^t=.*/([^/\"\s]+)\"?$")
_WRITES_ITSELF = re.compile(rb"(?:<>|>) *\"?\$\{?o\b")
_TOOLS = ("uname", "mkdir", "dd", "gzip", "chmod", "mv", "cp", "cat", "rm", "sed", "head", "tail")
_TOOL = re.compile(rb"(?m)(?:^|[|;&(]|\b(?:then|else|do))[ \t]*(%s)\b(?!=)" % b"|".join(map(str.encode, _TOOLS)))
_LOADERS_LIMIT = 16
_UNPACKED_LIMIT = 16 << 20
_PACKED_LIMIT = 16 << 20
_LOADER_LIMIT = 128 << 10
_LOADER_MARKS = (MAGICS[0], b"ape error", b"actually portable executable loader", b"embed ELF magic")
"""What the loader compares a file with, and what it says (``ape/loader.c``): the first is a constant in its code."""


def is_ape(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an APE. Handlers compare 6 bytes, the loaders all 8."""
    return head[:8] in MAGICS


def is_ape_loader(content: Content) -> bool:
    """Whether a program is the loader of APEs: a small static ELF program that knows their magic.

    Raises FormatError where it cannot be told, OSError where its bytes are not held.
    """
    from runworthy.formats.elf import read_elf

    if content.size > _LOADER_LIMIT or content.pread(0, 4) != b"\x7fELF":
        return False
    facts = read_elf(content).facts
    if facts.interpreter is not None or facts.needed:
        return False
    data = read_exactly(content, 0, content.size, "the program")
    return any(mark in data for mark in _LOADER_MARKS)


def read_ape(content: Content) -> ApeFacts:
    """Return the facts of an APE. A part that is damaged is left out, and told as the problem.

    Raises FormatError where the magic is none of an APE, OSError.
    """
    data = content.pread(0, _READ)
    if not is_ape(data):
        raise FormatError("the file has none of the magics of an APE", offset=0)
    near = list(_headers(data[:_NEAR], 0))
    seen = {at for at, _, _ in near}
    far = [row for row in _headers(data, near[-1][2] if near else 0) if row[0] not in seen]
    script = max(_SCRIPT.findall(data), key=len, default=b"")
    copies = _copies(script)
    loaders = tuple(_loaders(content, copies))
    covered = {loader.arch for loader in loaders if loader.system == "linux"}
    named = _LOADER_NAME.search(script)
    problems: list[str] = []
    machos = _part(problems, lambda: _machos(content, copies))
    end = _part(problems, lambda: read_zip_end(content))
    return ApeFacts(
        magic=data[:8].decode("ascii"),
        elves=tuple(_elf(content, at, header) for at, header, _ in near),
        far_elves=tuple(_elf(content, at, header) for at, header, _ in far),
        machos=machos or (),
        pe=_part(problems, lambda: _pe(content, data)),
        loaders=loaders,
        loader_name=named[1].decode("utf-8", "surrogateescape") if named else "",
        rewrites_itself=bool(_WRITES_ITSELF.search(script))
        and any(_architecture(header) not in covered for _, header, _ in (*near, *far)),
        tools=tuple(dict.fromkeys(tool.decode() for tool in _TOOL.findall(script))),
        zip_entries=None if end is None else end.entries,
        problem="; ".join(problems),
    )


_Part = TypeVar("_Part")


def _part(problems: list[str], read: Callable[[], _Part]) -> _Part | None:
    """Return what a reader gives, None where it is damaged, which is noted."""
    try:
        return read()
    except FormatError as error:
        problems.append(error.message)
        return None


# -- ELF headers -----------------------------------------------------------------------------


def _headers(data: bytes, start: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield where the text of each ELF header begins, the header, and where the text ends.

    As ``ape/loader.c`` finds them: it stops three bytes before the end of what it has read.
    """
    at = start
    while (at := data.find(_PRINTF, at)) >= 0:
        begin = at + len(_PRINTF)
        text = data[begin : max(len(data) - 3, begin)].partition(b"'")[0][:_NEAR]
        header = _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), text)
        if len(header) >= _EHDR.size and header.startswith(b"\x7fELF"):
            yield begin, header[: _EHDR.size], begin + len(text)
        at = begin + len(text)


def _architecture(header: bytes) -> str | None:
    return _ARCHITECTURES.get(int.from_bytes(header[18:20], "little"))


def _elf(content: Content, at: int, header: bytes) -> ApeElf:
    arch = _architecture(header)
    try:
        pages = _mappable(_loads(content, header), _PAGE_SIZES.get(arch or "", _ALL_PAGE_SIZES))
        problem = "" if pages else "its segments cannot be mapped at any page size"
    except FormatError as error:
        pages, problem = (), error.message
    values = _EHDR.unpack(header)
    return ApeElf(
        at=at,
        machine=values[2],
        arch=arch,
        osabi=header[7],
        header=header,
        problem=problem,
        modern=values[7] & _MODERN_MASK == _MODERN,
        page_sizes=pages,
    )


def _loads(content: Content, header: bytes) -> list[Segment]:
    """Return the segments to be mapped. Raises FormatError for what the loader refuses, OSError."""
    _, kind, _, _, entry, phoff, _, _, _, entsize, count, *_ = _EHDR.unpack(header)
    if header[4] != 2:
        raise FormatError("it is no 64-bit ELF header", offset=4)
    if kind not in (ET_EXEC, ET_DYN):
        raise FormatError(f"its ELF type {kind} is not that of a program", offset=16)
    if entsize != _PHDR.size:
        raise FormatError(f"its program header entries are {entsize} bytes, not {_PHDR.size}", offset=54)
    if count * _PHDR.size > _TABLE_LIMIT:
        raise FormatError(f"its {count} program headers are over the loader's {_TABLE_LIMIT} bytes", offset=56)
    table = read_exactly(content, phoff, count * _PHDR.size, "its program header table")
    segments = [Segment._make(row) for row in _PHDR.iter_unpack(table)]
    kinds = {segment.type for segment in segments}
    for refused, name in ((_PT_INTERP, "PT_INTERP"), (_PT_DYNAMIC, "PT_DYNAMIC")):
        if refused in kinds:
            raise FormatError(f"it has {name}, which the loader does not support", offset=phoff)
    loads = [segment for segment in segments if segment.type == _PT_LOAD and segment.memsz]
    _check_loads(loads, entry, phoff, content.size)
    return loads


def _check_loads(loads: Sequence[Segment], entry: int, at: int, size: int) -> None:
    """Raise FormatError for segments (of the table at ``at``) that the loader refuses or the file does not hold."""
    for segment in loads:
        if segment.filesz > segment.memsz:
            raise FormatError("a segment is larger in the file than in memory", offset=at)
        if max(segment.vaddr + segment.memsz, segment.offset + segment.filesz) + max(_ALL_PAGE_SIZES) > 1 << 64:
            raise FormatError("a segment reaches past the end of all addresses", offset=at)
        if segment.filesz and segment.offset + segment.filesz > size:
            raise FormatError("the file ends before its last segment", offset=size)
    code = [segment for segment in loads if segment.flags & _PF_X]
    if not any(segment.vaddr <= entry < segment.vaddr + segment.memsz for segment in code):
        raise FormatError("its entry lies in no segment that is executable", offset=24)


def _mappable(loads: Sequence[Segment], pages: Sequence[int]) -> tuple[int, ...]:
    """Return the page sizes at which addresses and offsets are congruent, and no two segments share a page."""
    return tuple(
        page
        for page in pages
        if all((one.vaddr - one.offset) % page == 0 for one in loads) and not _overlap(_merged(loads, page), page)
    )


def _merged(loads: Sequence[Segment], page: int) -> list[Segment]:
    """Return the segments with neighbours of equal protection made one, as the loader does before it compares them."""
    merged: list[Segment] = []
    for one in loads:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.flags & _PF_RWX == one.flags & _PF_RWX
            and _gap(last.offset + last.filesz, one.offset, page) <= page
            and _gap(last.vaddr + last.memsz, one.vaddr, page) <= page
        ):
            memsz, filesz = one.vaddr + one.memsz - last.vaddr, one.offset + one.filesz - last.offset
            merged[-1] = last._replace(memsz=memsz, filesz=filesz)
        else:
            merged.append(one)
    return merged


def _gap(end: int, start: int, page: int) -> int:
    """Return the bytes from the page where one begins to the page after which the other ends, of 64 bits unsigned."""
    return (-(-end // page) * page - start // page * page) % (1 << 64)


def _overlap(loads: Sequence[Segment], page: int) -> bool:
    spans = sorted((one.vaddr // page, -(-(one.vaddr + one.memsz) // page)) for one in loads)
    return any(first[1] > second[0] for first, second in pairwise(spans))


# -- what the script copies out of the file --------------------------------------------------


def _copies(script: bytes) -> list[tuple[int, int, bool]]:
    """Return offset and size (bytes) of what each dd statement copies, and whether onto the file's own begin."""
    found = []
    for statement in _DD.finditer(script):
        held = {name: pattern.search(statement[1]) for name, pattern in _NUMBERS.items()}
        skip, count = held["skip"], held["count"]
        if skip is None or count is None:
            continue
        block = int(held["bs"][1]) if held["bs"] else 512  # what POSIX says of dd
        itself = _ONTO_ITSELF.search(statement[1]) is not None
        found.append((int(skip[1]) * block, int(count[1]) * block, itself))
    return list(dict.fromkeys(found))


def _machos(content: Content, copies: Sequence[tuple[int, int, bool]]) -> tuple[MachoFacts, ...]:
    """Return the Mach-O headers that are moved to the begin of the file. Raises FormatError, OSError."""
    return tuple(read_thin(content, offset, size) for offset, size, itself in copies[:_LOADERS_LIMIT] if itself)


def _loaders(content: Content, copies: Sequence[tuple[int, int, bool]]) -> Iterator[ApeLoader]:
    """Yield the loaders: what they are is told by their first bytes, not by where the script uses them."""
    for offset, size, itself in copies[:_LOADERS_LIMIT]:
        if itself:
            continue
        head = content.pread(offset, min(size, 4096))
        packed = head.startswith(b"\x1f\x8b\x08")
        first = _inflated(head, 64) if packed else head[:64]
        form: Literal["gzip", "plain"] = "gzip" if packed else "plain"
        if first.startswith(b"\x7fELF") and len(first) == 64:
            arch = _architecture(first) or f"machine {int.from_bytes(first[18:20], 'little')}"
            yield ApeLoader(arch=arch, system="linux", form=form, offset=offset, size=size)
        elif first[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"):
            cpu = int.from_bytes(first[4:8], "little")
            arch = {0x01000007: "x86_64", 0x0100000C: "aarch64"}.get(cpu, f"processor {cpu:#x}")
            yield ApeLoader(arch=arch, system="darwin", form=form, offset=offset, size=size)
        elif packed and first and b"\0" not in first:
            yield ApeLoader(arch="aarch64", system="darwin", form="source", offset=offset, size=size)


def _inflated(data: bytes, limit: int) -> bytes:
    """Return the first bytes of what gzip has packed; none where that cannot be unpacked."""
    import zlib

    try:
        return zlib.decompressobj(31).decompress(data, limit)
    except zlib.error:
        return b""


def extract_loader(content: Content, loader: ApeLoader) -> bytes:
    """Return what an APE's script would unpack: a program, or C source. At most 16 MiB are unpacked.

    Raises FormatError where the loader is cut off, damaged or larger, OSError.
    """
    import zlib

    if loader.size > _PACKED_LIMIT:
        raise FormatError(f"the embedded loader claims {loader.size} bytes", offset=loader.offset)
    data = read_exactly(content, loader.offset, loader.size, "the embedded loader")
    if loader.form == "plain":
        return data
    stream = zlib.decompressobj(31)
    try:
        unpacked = stream.decompress(data, _UNPACKED_LIMIT + 1)
    except zlib.error as error:
        raise FormatError(f"the embedded loader cannot be unpacked: {error}", offset=loader.offset) from None
    if len(unpacked) > _UNPACKED_LIMIT:
        raise FormatError(f"the embedded loader unpacks to over {_UNPACKED_LIMIT} bytes", offset=loader.offset)
    if not stream.eof:
        raise FormatError("the embedded loader is cut off", offset=loader.offset)
    return unpacked


def with_unpacked(content: Content, ape: ApeFacts) -> ApeFacts:
    """Return the facts with size and SHA-256 of what each embedded loader unpacks to. Raises OSError."""
    return replace(ape, loaders=tuple(_measured(content, loader) for loader in ape.loaders))


def _measured(content: Content, loader: ApeLoader) -> ApeLoader:
    from hashlib import sha256

    try:
        data = extract_loader(content, loader)
    except FormatError as error:
        return replace(loader, problem=error.message)
    return replace(loader, sha256=sha256(data).hexdigest(), unpacked=len(data))


def _pe(content: Content, data: bytes) -> PeFacts | None:
    """Return the Windows part, None where there is none. Raises FormatError where one is cut off, OSError."""
    return read_pe(content) if data[:2] == b"MZ" and is_pe(content) else None
