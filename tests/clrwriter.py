"""Small assemblies of .NET, written byte by byte: they have nothing but methods that are taken from native libraries.

ECMA-335, II.25.3.3 (CLI header) and II.24.2 (metadata): three tables, of which two are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

__all__ = ["assembly"]

_PE_AT, _HEADERS, _ADDRESS = 0x80, 0x200, 0x2000
_TABLES = (0x00, 0x1A, 0x1C)


def assembly(libraries: Sequence[str], *, wide: bool = False) -> bytes:
    """Return a library whose methods are taken from native libraries; ``wide``: with large heaps."""
    metadata = _metadata(libraries, wide=wide)
    cli = pack("<IHHIIII", 72, 2, 5, _ADDRESS + 72, len(metadata), 1, 0).ljust(72, b"\0")
    section = (cli + metadata).ljust(_HEADERS, b"\0")
    coff = b"PE\0\0" + pack("<HHIIIHH", 0x14C, 1, 0, 0, 0, 224, 0x2102)
    directories = b"".join(pack("<II", *((_ADDRESS, 72) if number == 14 else (0, 0))) for number in range(16))
    optional = pack("<H", 0x10B).ljust(92, b"\0") + pack("<I", 16) + directories
    row = b".text\0\0\0" + pack("<IIII", len(section), _ADDRESS, len(section), _HEADERS) + bytes(16)
    start = b"MZ".ljust(0x3C, b"\0") + pack("<I", _PE_AT)
    return (start.ljust(_PE_AT, b"\0") + coff + optional + row).ljust(_HEADERS, b"\0") + section


def _metadata(libraries: Sequence[str], *, wide: bool) -> bytes:
    heap = b"\0"
    places = []
    for name in libraries:
        places.append(len(heap))
        heap += name.encode() + b"\0"
    index = "I" if wide else "H"
    module = pack(f"<H{index}{index}{index}{index}", 0, 0, 0, 0, 0)
    references = b"".join(pack(f"<{index}", place) for place in places)
    methods = b"".join(pack(f"<HH{index}H", 0x100, 2 * row + 1, 0, row) for row in range(1, len(places) + 1))
    valid = sum(1 << table for table in _TABLES)
    rows = pack("<III", 1, len(places), len(places))
    tables = pack("<IBBBBQQ", 0, 2, 0, 7 if wide else 0, 1, valid, 0) + rows + module + references + methods
    version = b"v4.0.30319\0\0"
    streams = [(b"#~\0\0", tables), (b"#Strings\0\0\0\0", heap)]
    head = pack("<IHHII", 0x424A5342, 1, 1, 0, len(version)) + version + pack("<HH", 0, len(streams))
    at = len(head) + sum(8 + len(name) for name, _ in streams)
    listed, body = b"", b""
    for stream, data in streams:
        listed += pack("<II", at + len(body), len(data)) + stream
        body += data + bytes(-len(data) % 4)
    return head + listed + body
