"""Assemblies of .NET: which native libraries they call into, by the names that stand in ``DllImport``.

Source: ECMA-335, 6th edition, II.24 (metadata root, streams, the ``#~`` stream), II.22.22 ImplMap, II.22.31 ModuleRef.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct, error, unpack_from
from typing import Final

from runworthy.model.errors import FormatError

__all__ = ["has_resolver", "is_assembly", "native_imports"]

_MAGIC: Final = 0x424A5342
_CLR_DIRECTORY: Final = 14
_DIRECTORIES_AT: Final = {0x10B: 96, 0x20B: 112}
_SECTION: Final = Struct("<8xIIII")  # virtual size, address, size in the file, offset in the file
_SECTIONS_MAX: Final = 96
_STREAMS_MAX: Final = 16
_NAME_MAX: Final = 1024
_MODULE_REF, _IMPL_MAP = 0x1A, 0x1C

# What a coded index may lead to: the bits that say which, and the tables (II.24.2.6).
_CODED: Final[Mapping[str, tuple[int, tuple[int, ...]]]] = {
    "TypeDefOrRef": (2, (0x02, 0x01, 0x1B)),
    "HasConstant": (2, (0x04, 0x08, 0x17)),
    "HasCustomAttribute": (5, (0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0A, 0x00, 0x0E, 0x17, 0x14, 0x11, 0x1A, 0x1B, 0x20,
                               0x23, 0x26, 0x27, 0x28, 0x2A, 0x2C, 0x2B)),
    "HasFieldMarshal": (1, (0x04, 0x08)),
    "HasDeclSecurity": (2, (0x02, 0x06, 0x20)),
    "MemberRefParent": (3, (0x02, 0x01, 0x1A, 0x06, 0x1B)),
    "HasSemantics": (1, (0x14, 0x17)),
    "MethodDefOrRef": (1, (0x06, 0x0A)),
    "MemberForwarded": (1, (0x04, 0x06)),
    "CustomAttributeType": (3, (0x06, 0x0A)),
    "ResolutionScope": (2, (0x00, 0x1A, 0x23, 0x01)),
}  # fmt: skip

# The columns of the tables up to ImplMap: a number is its size in bytes, S, G and B are heaps, #n is a row of table n.
_TABLES: Final[Mapping[int, str]] = {
    0x00: "2 S G G G",
    0x01: "ResolutionScope S S",
    0x02: "4 S S TypeDefOrRef #4 #6",
    0x03: "#4",
    0x04: "2 S B",
    0x05: "#6",
    0x06: "4 2 2 S B #8",
    0x07: "#8",
    0x08: "2 2 S",
    0x09: "#2 TypeDefOrRef",
    0x0A: "MemberRefParent S B",
    0x0B: "2 HasConstant B",
    0x0C: "HasCustomAttribute CustomAttributeType B",
    0x0D: "HasFieldMarshal B",
    0x0E: "2 HasDeclSecurity B",
    0x0F: "2 4 #2",
    0x10: "4 #4",
    0x11: "B",
    0x12: "#2 #20",
    0x13: "#20",
    0x14: "2 S TypeDefOrRef",
    0x15: "#2 #23",
    0x16: "#23",
    0x17: "2 S B",
    0x18: "2 #6 HasSemantics",
    0x19: "#2 MethodDefOrRef MethodDefOrRef",
    0x1A: "S",
    0x1B: "B",
    0x1C: "2 MemberForwarded S #26",
}
_RESOLVERS: Final = (b"SetDllImportResolver", b"add_ResolvingUnmanagedDll", b"LoadUnmanagedDll")
"""What an assembly calls, or overrides, that looks for native libraries itself (System.Runtime.InteropServices)."""
_HEAPS: Final = {"S": 1, "G": 2, "B": 4}


def is_assembly(data: bytes) -> bool:
    """Whether a file is an assembly of .NET, as far as its headers say."""
    try:
        return data[:2] == b"MZ" and _cli_header(data) > 0
    except (FormatError, error):
        return False


def native_imports(data: bytes) -> tuple[str, ...]:
    """Return the libraries that methods of an assembly are taken from, in its order. Raises FormatError."""
    try:
        at = _cli_header(data)
        if not at:
            return ()
        root = _offset(data, int.from_bytes(data[at + 8 : at + 12], "little"))
        streams = _streams(data, root)
        return _imports(data, streams)
    except error:
        raise FormatError("the assembly is cut off") from None


def has_resolver(data: bytes) -> bool:
    """Whether an assembly names one of the functions by which code of its own finds native libraries."""
    return any(b"\0%b\0" % name in data for name in _RESOLVERS)


def _cli_header(data: bytes) -> int:
    """Return where the CLI header lies in the file, 0 for a PE without one."""
    pe = int.from_bytes(data[0x3C:0x40], "little")
    optional = pe + 24
    (magic,) = unpack_from("<H", data, optional)
    if data[pe : pe + 4] != b"PE\0\0" or magic not in _DIRECTORIES_AT:
        raise FormatError("is no PE file", offset=pe)
    directories = optional + _DIRECTORIES_AT[magic]
    (number,) = unpack_from("<I", data, directories - 4)
    if number <= _CLR_DIRECTORY:
        return 0
    (address,) = unpack_from("<I", data, directories + 8 * _CLR_DIRECTORY)
    return _offset(data, address) if address else 0


def _offset(data: bytes, address: int) -> int:
    """Return where the bytes of a virtual address lie in the file. Raises FormatError."""
    pe = int.from_bytes(data[0x3C:0x40], "little")
    count, length = unpack_from("<6xH12xH", data, pe)
    at = pe + 24 + length
    for number in range(min(count, _SECTIONS_MAX)):
        size, start, held, offset = _SECTION.unpack_from(data, at + 40 * number)
        if start <= address < start + max(size, held):
            return int(offset + address - start)
    raise FormatError(f"no section holds the address {address:#x}")


def _streams(data: bytes, root: int) -> dict[bytes, tuple[int, int]]:
    """Return the streams of the metadata: name -> offset and size."""
    magic, length = unpack_from("<I8xI", data, root)
    if magic != _MAGIC:
        raise FormatError("the metadata of the assembly has no signature", offset=root)
    at = root + 16 + length
    (count,) = unpack_from("<2xH", data, at)
    at += 4
    found = {}
    for _ in range(min(count, _STREAMS_MAX)):
        offset, size = unpack_from("<II", data, at)
        name = data[at + 8 : at + 40].partition(b"\0")[0]
        found[name] = (root + offset, size)
        at += 8 + (len(name) // 4 + 1) * 4
    return found


def _imports(data: bytes, streams: Mapping[bytes, tuple[int, int]]) -> tuple[str, ...]:
    if b"#~" not in streams or b"#Strings" not in streams:
        return ()
    tables, _ = streams[b"#~"]
    strings, length = streams[b"#Strings"]
    heaps, valid = unpack_from("<6xBxQ", data, tables)
    numbers = [number for number in range(64) if valid >> number & 1]
    rows = dict(zip(numbers, unpack_from(f"<{len(numbers)}I", data, tables + 24), strict=True))
    at = tables + 24 + 4 * len(numbers)
    places: dict[int, tuple[int, tuple[int, ...]]] = {}
    for number, columns in _TABLES.items():
        widths = tuple(_width(column, rows, heaps) for column in columns.split())
        places[number] = (at, widths)
        at += rows.get(number, 0) * sum(widths)
    if at > len(data):
        raise FormatError("the tables of the assembly reach past its end", offset=tables)
    used = _column(data, places[_IMPL_MAP], rows.get(_IMPL_MAP, 0), 3)
    modules = _column(data, places[_MODULE_REF], rows.get(_MODULE_REF, 0), 0)
    heap = data[strings : strings + length]
    names = (_string(heap, modules[row - 1]) for row in dict.fromkeys(used) if 0 < row <= len(modules))
    return tuple(dict.fromkeys(name for name in names if name))


def _width(column: str, rows: Mapping[int, int], heaps: int) -> int:
    if column in _HEAPS:
        return 4 if heaps & _HEAPS[column] else 2
    if column.startswith("#"):
        return 4 if rows.get(int(column[1:]), 0) > 0xFFFF else 2
    if column in _CODED:
        bits, tables = _CODED[column]
        return 4 if max(rows.get(table, 0) for table in tables) >= 1 << (16 - bits) else 2
    return int(column)


def _column(data: bytes, place: tuple[int, tuple[int, ...]], rows: int, column: int) -> list[int]:
    at, widths = place
    size, start, width = sum(widths), at + sum(widths[:column]), widths[column]
    places = range(start, start + size * rows, size)
    return [int.from_bytes(data[place : place + width], "little") for place in places]


def _string(heap: bytes, at: int) -> str:
    return heap[at : at + _NAME_MAX].partition(b"\0")[0].decode("utf-8", "replace")
