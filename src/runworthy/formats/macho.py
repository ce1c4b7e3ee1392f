"""Programs and libraries for macOS: thin and fat Mach-O files of 32 and 64 bits, of either byte order.

Source: ``mach-o/loader.h`` and ``mach-o/fat.h`` of Apple's xnu (EXTERNAL_HEADERS/mach-o). A fat file shares its magic
0xCAFEBABE with Java classes; where it has the number of its parts, they have their version, 45 or more.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from runworthy.formats.content import Content, read_exactly
from runworthy.model.errors import FormatError
from runworthy.model.program import MachoFacts

__all__ = ["FILETYPES", "is_java_class", "read_macho", "read_thin"]

FILETYPES = {1: "object", 2: "program", 4: "core dump", 6: "library", 7: "dynamic linker", 8: "bundle",
    9: "stub library", 10: "debug symbols", 11: "kernel extension", 12: "set of files"}  # fmt: skip
"""MH_* in words."""

_THIN: dict[bytes, tuple[str, int]] = {
    b"\xfe\xed\xfa\xce": ("big", 28), b"\xfe\xed\xfa\xcf": ("big", 32),
    b"\xce\xfa\xed\xfe": ("little", 28), b"\xcf\xfa\xed\xfe": ("little", 32),
}  # fmt: skip
"""By magic: the byte order, and the length of the header in bytes."""

_FAT = {b"\xca\xfe\xba\xbe": 20, b"\xca\xfe\xba\xbf": 32}
"""By magic: the length of the row of one part; its offset and size have 4 or 8 bytes."""

_CPUS = {1: "vax", 6: "m68k", 7: "i386", 10: "mc98000", 11: "hppa", 12: "arm", 13: "m88k", 14: "sparc", 18: "ppc",
    0x01000007: "x86_64", 0x0100000C: "arm64", 0x01000012: "ppc64", 0x0200000C: "arm64_32"}  # fmt: skip
_SUBTYPES = {(0x01000007, 8): "x86_64h", (0x0100000C, 2): "arm64e"}
_PARTS_LIMIT = 44  # with more it is a Java class, of which 45 is the least version
_COMMANDS_LIMIT = 1 << 20
_LC_VERSION_MIN = {0x24: 8, 0x25: 8, 0x2F: 8, 0x30: 8, 0x32: 12}
"""By load command: where in it the least release lies (LC_VERSION_MIN_*, and LC_BUILD_VERSION)."""

_PLATFORMS = {1: "macos", 2: "ios", 3: "tvos", 4: "watchos", 5: "bridgeos", 6: "maccatalyst", 7: "ios-simulator",
    8: "tvos-simulator", 9: "watchos-simulator", 10: "driverkit", 11: "visionos", 12: "visionos-simulator"}  # fmt: skip
"""PLATFORM_* of LC_BUILD_VERSION."""
_LC_BUILD_VERSION = 0x32
_OF_MINIMUM = {0x24: "macos", 0x25: "ios", 0x2F: "tvos", 0x30: "watchos"}
"""By LC_VERSION_MIN_*: the platform."""

_LC_DYLIB = frozenset((0xC, 0x20, 0x80000018, 0x8000001F, 0x80000023))
"""LC_LOAD_DYLIB, and the lazy, weak, re-exported and upward ones: each names a library, where its bytes at 8 say."""


def is_java_class(head: bytes) -> bool:
    """Whether bytes that begin with 0xCAFEBABE are those of a compiled Java class."""
    return head[:4] == b"\xca\xfe\xba\xbe" and int.from_bytes(head[4:8], "big") > _PARTS_LIMIT


def read_macho(content: Content) -> tuple[MachoFacts, ...]:
    """Return the parts of a Mach-O file, one where it is thin. Raises FormatError, OSError."""
    head = content.pread(0, 8)
    if head[:4] in _THIN:
        return (read_thin(content, 0, content.size),)
    if head[:4] not in _FAT or len(head) < 8:
        raise FormatError("the file ends inside the Mach-O header" if head[:4] in _FAT else "no Mach-O file", offset=0)
    width, count = _FAT[head[:4]], int.from_bytes(head[4:8], "big")
    if not 0 < count <= _PARTS_LIMIT:
        raise FormatError(f"the fat Mach-O header claims {count} parts", offset=4)
    table = read_exactly(content, 8, count * width, "table of the parts of the Mach-O file")
    rows = [table[at : at + width] for at in range(0, len(table), width)]
    return tuple(_part(content, row) for row in rows)


def _part(content: Content, row: bytes) -> MachoFacts:
    """Return one part of a fat file; what is no Mach-O itself (an archive of objects) is told by its processor."""
    wide = 8 if len(row) == 32 else 4
    cpu, subtype = int.from_bytes(row[:4], "big"), int.from_bytes(row[4:8], "big")
    offset, size = int.from_bytes(row[8 : 8 + wide], "big"), int.from_bytes(row[8 + wide : 8 + 2 * wide], "big")
    if offset + size > content.size:
        raise FormatError(f"the {_arch(cpu, subtype)} part of the Mach-O file is cut off", offset=offset)
    if content.pread(offset, 4) not in _THIN:
        return MachoFacts(cpu=cpu, arch=_arch(cpu, subtype), offset=offset, size=size, filetype=0)
    return read_thin(content, offset, size)


def read_thin(content: Content, offset: int, size: int) -> MachoFacts:
    """Return the facts of the Mach-O header at ``offset`` (bytes). Raises FormatError, OSError."""
    magic = content.pread(offset, 4)
    if magic not in _THIN:
        raise FormatError("no Mach-O header", offset=offset)
    order, length = _THIN[magic]
    header = read_exactly(content, offset, length, "Mach-O header")
    numbers = [int.from_bytes(header[at : at + 4], "little" if order == "little" else "big") for at in range(4, 28, 4)]
    cpu, subtype, filetype, count, commands, _ = numbers
    if commands > min(_COMMANDS_LIMIT, max(size - length, 0)):
        raise FormatError(f"the load commands of the Mach-O file claim {commands} bytes", offset=offset + 20)
    held = read_exactly(content, offset + length, commands, "load commands of the Mach-O file")
    said = _commands(held, count, little=order == "little", start=offset + length)
    return MachoFacts(
        cpu=cpu,
        arch=_arch(cpu, subtype),
        offset=offset,
        size=size,
        filetype=filetype,
        minimum=said.minimum,
        platform=said.platform,
        libraries=said.libraries,
    )


def _arch(cpu: int, subtype: int) -> str:
    return _SUBTYPES.get((cpu, subtype & 0xFFFFFF)) or _CPUS.get(cpu, f"processor {cpu:#x}")


class _Commands(NamedTuple):
    """What the load commands state: the least release of the platform, and the libraries that are loaded."""

    minimum: str
    platform: str
    libraries: tuple[str, ...]


def _commands(commands: bytes, count: int, *, little: bool, start: int) -> _Commands:
    """Return what the load commands say that matters here. Raises FormatError."""
    row, word = (Struct("<II"), Struct("<I")) if little else (Struct(">II"), Struct(">I"))
    minimum = platform = ""
    libraries: dict[str, None] = {}
    at = 0
    for _ in range(min(count, len(commands) // 8)):
        kind, length = row.unpack_from(commands, at)
        if length < 8 or at + length > len(commands):
            raise FormatError(f"a load command of the Mach-O file is {length} bytes long", offset=start + at)
        place = _LC_VERSION_MIN.get(kind)
        if place is not None and place + 4 <= length and not minimum:
            minimum = _release(word.unpack_from(commands, at + place)[0])
            stated = word.unpack_from(commands, at + 8)[0]
            platform = _PLATFORMS.get(stated, f"platform {stated}") if kind == _LC_BUILD_VERSION else _OF_MINIMUM[kind]
        elif kind in _LC_DYLIB and length >= 12:
            name = commands[at + word.unpack_from(commands, at + 8)[0] : at + length] if length > 12 else b""
            libraries[name.partition(b"\0")[0].decode("utf-8", "surrogateescape")] = None
        at += length
        if at + 8 > len(commands):
            break
    return _Commands(minimum, platform, tuple(name for name in libraries if name))


def _release(version: int) -> str:
    """Return a release (xxxx.yy.zz in nibbles) as it is written, without an update of zero."""
    patch = f".{version & 0xFF}" if version & 0xFF else ""
    return f"{version >> 16}.{version >> 8 & 0xFF}{patch}"
