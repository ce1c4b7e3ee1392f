"""Changes to the bytes of ELF files that no compiler option makes (64-bit, little-endian)."""

import struct
from collections.abc import Callable, Iterator

_SHT_GNU_VERNEED = 0x6FFFFFFE
_PT_LOAD = 1
_VER_FLG_WEAK = 2

Change = Callable[[bytes], bytes]


def weak_version(name: str) -> Change:
    """Set VER_FLG_WEAK on the references to the version `name`."""

    def change(content: bytes) -> bytes:
        made = bytearray(content)
        for offset in _vernaux(content, name.encode()):
            struct.pack_into("<H", made, offset + 4, _VER_FLG_WEAK)
        return bytes(made)

    return change


def renamed_version(old: str, new: str) -> Change:
    """Make the references to the version `old` ask for `new`, a name that the file has already."""

    def change(content: bytes) -> bytes:
        made = bytearray(content)
        sections = _sections(content)
        link = next(row for row in sections if row[0] == _SHT_GNU_VERNEED)[2]
        strings = sections[link][1]
        name = content.index(b"\0" + new.encode() + b"\0", strings) + 1 - strings
        for offset in _vernaux(content, old.encode()):
            struct.pack_into("<I", made, offset, _sysv_hash(new.encode()))
            struct.pack_into("<I", made, offset + 8, name)
        return bytes(made)

    return change


def _sysv_hash(name: bytes) -> int:
    """The hash of the System V ABI, which version entries hold beside the name."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value


def incongruent(number: int) -> Change:
    """Move the file offset of a PT_LOAD segment by 8, so that it fits its address no more."""

    def change(content: bytes) -> bytes:
        made = bytearray(content)
        header = list(_program_headers(content, _PT_LOAD))[number]
        (offset,) = struct.unpack_from("<Q", content, header + 8)
        struct.pack_into("<Q", made, header + 8, offset + 8)
        return bytes(made)

    return change


def truncated(size: int) -> Change:
    """Keep the first `size` bytes."""
    return lambda content: content[:size]


def _program_headers(content: bytes, kind: int) -> Iterator[int]:
    (table,) = struct.unpack_from("<Q", content, 32)
    entry, count = struct.unpack_from("<HH", content, 54)
    for at in range(table, table + entry * count, entry):
        if struct.unpack_from("<I", content, at) == (kind,):
            yield at


def _sections(content: bytes) -> list[tuple[int, int, int, int]]:
    """Type, offset, linked section and info of every section."""
    (table,) = struct.unpack_from("<Q", content, 40)
    entry, count = struct.unpack_from("<HH", content, 58)
    found = []
    for at in range(table, table + entry * count, entry):
        _, kind, _, _, offset, _, link, info = struct.unpack_from("<IIQQQQII", content, at)
        found.append((kind, offset, link, info))
    return found


def _vernaux(content: bytes, name: bytes) -> Iterator[int]:
    """The file offsets of the Elf64_Vernaux entries that have `name`."""
    sections = _sections(content)
    _, offset, link, needs = next(row for row in sections if row[0] == _SHT_GNU_VERNEED)
    strings = sections[link][1]
    for _ in range(needs):
        _, count, _, first, following = struct.unpack_from("<HHIII", content, offset)
        at = offset + first
        for _ in range(count):
            _, _, _, text, further = struct.unpack_from("<IHHII", content, at)
            start = strings + text
            if content[start : content.index(b"\0", start)] == name:
                yield at
            at += further
        offset += following
