"""Programs for Windows: what the headers say, and which DLLs are imported, at once or when they are first called.

Source: "PE Format" of Microsoft's documentation (https://learn.microsoft.com/windows/win32/debug/pe-format). A PE has
its header at the offset that lies in the DOS header at 0x3c (e_lfanew).
"""

from __future__ import annotations

from struct import Struct

from runworthy.formats.content import Content, read_exactly
from runworthy.model.errors import FormatError
from runworthy.model.program import PeFacts

__all__ = ["ARCHITECTURES", "SUBSYSTEMS", "is_pe", "read_pe"]

ARCHITECTURES = {
    0x014C: "i386", 0x8664: "x86_64", 0x01C0: "armel", 0x01C2: "armel", 0x01C4: "armv7", 0xAA64: "aarch64",
    0x5064: "riscv64", 0x6264: "loongarch64",
}  # fmt: skip
"""IMAGE_FILE_MACHINE_* by our names."""

SUBSYSTEMS = {
    1: "native", 2: "graphical", 3: "console", 7: "POSIX console", 9: "Windows CE", 10: "EFI application",
    11: "EFI boot driver", 12: "EFI runtime driver", 13: "EFI ROM", 14: "Xbox", 16: "boot application",
}  # fmt: skip
"""IMAGE_SUBSYSTEM_* in words."""

_E_LFANEW = 0x3C
_COFF = Struct("<4sHHIIIHH")  # signature, machine, sections, time, symbols, their number, optional header, flags
_SECTION = Struct("<8xIIII")  # virtual size, address, size in the file, offset in the file
_SECTION_SIZE = 40
_DIRECTORY = Struct("<II")
_IMPORT = Struct("<III II")  # lookup table, time, forwarder, name, address table
_DLL = 0x2000
_SUBSYSTEM_AT = 68
_DIRECTORIES_AT = {0x10B: (96, 32), 0x20B: (112, 64)}
"""By the magic of the optional header: where its directories begin, and the bits of an address."""

_DELAYED = Struct("<8I")  # attributes, name, module, address table, name table, bound table, unload table, time
_DELAYED_BY_ADDRESS = 1  # its fields are relative to the image; without it, as in old files, they are not
_IMAGE_BASE = {0x10B: (28, 4), 0x20B: (24, 8)}
"""By the magic: where in the optional header the image's address lies, and how long it is."""
_SYSTEM_AT, _SUBSYSTEM_RELEASE_AT = 40, 48  # the least system, the least subsystem: major and minor, 2 bytes each

_IMPORTS, _DELAY_IMPORTS, _CLR = 1, 13, 14
_SECTIONS_LIMIT = 96
_IMPORTS_LIMIT = 4096
_NAME_LIMIT = 256

_Section = tuple[int, int, int, int]


def is_pe(content: Content) -> bool:
    """Whether a file that begins with ``MZ`` has the signature of a PE where it says. Raises OSError."""
    offset = int.from_bytes(content.pread(_E_LFANEW, 4), "little")
    return offset > 0 and content.pread(offset, 4) == b"PE\0\0"


def read_pe(content: Content) -> PeFacts:
    """Return the facts of a PE file. Raises FormatError where it has no header, or one that is cut off; OSError."""
    offset = int.from_bytes(read_exactly(content, _E_LFANEW, 4, "DOS header"), "little")
    coff = _COFF.unpack(read_exactly(content, offset, _COFF.size, "PE header"))
    signature, machine, count, _, _, _, length, flags = coff
    if signature != b"PE\0\0":
        raise FormatError("there is no PE signature where the DOS header says", offset=offset)
    at = offset + _COFF.size
    optional = read_exactly(content, at, length, "optional header of the PE")
    magic = int.from_bytes(optional[:2], "little")
    if magic not in _DIRECTORIES_AT or length < _DIRECTORIES_AT[magic][0]:
        raise FormatError(f"the optional header of the PE is of kind {magic:#x} and {length} bytes", offset=at)
    start, bits = _DIRECTORIES_AT[magic]
    directories = _directories(optional, start)
    sections, problem = _sections(content, at + length, count)
    base_at, width = _IMAGE_BASE[magic]
    base = int.from_bytes(optional[base_at : base_at + width], "little")
    imports: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()
    try:
        if directories.get(_IMPORTS):
            imports = _imports(content, sections, directories[_IMPORTS])
        if directories.get(_DELAY_IMPORTS):
            delayed = _delay_imports(content, sections, directories[_DELAY_IMPORTS], base)
    except FormatError as error:
        problem = problem or error.message
    return PeFacts(
        offset=offset,
        machine=machine,
        arch=ARCHITECTURES.get(machine),
        bits=bits,
        subsystem=int.from_bytes(optional[_SUBSYSTEM_AT : _SUBSYSTEM_AT + 2], "little"),
        dll=bool(flags & _DLL),
        clr=bool(directories.get(_CLR)),
        imports=imports,
        delayed=delayed,
        minimum=max(_release(optional, _SYSTEM_AT), _release(optional, _SUBSYSTEM_RELEASE_AT)),
        problem=problem,
    )


def _release(optional: bytes, at: int) -> tuple[int, int]:
    return int.from_bytes(optional[at : at + 2], "little"), int.from_bytes(optional[at + 2 : at + 4], "little")


def _directories(optional: bytes, start: int) -> dict[int, int]:
    """Return the addresses of the data directories that there are, by their index."""
    stated = int.from_bytes(optional[start - 4 : start], "little")
    count = min(stated, 16, (len(optional) - start) // _DIRECTORY.size)
    rows = _DIRECTORY.iter_unpack(optional[start : start + count * _DIRECTORY.size])
    return {index: address for index, (address, size) in enumerate(rows) if address and size}


def _sections(content: Content, offset: int, count: int) -> tuple[list[_Section], str]:
    """Return the sections, and what is wrong with them: their table or their bytes may be cut off."""
    if count > _SECTIONS_LIMIT:
        return [], f"the PE claims {count} sections, over the limit of {_SECTIONS_LIMIT}"
    table = content.pread(offset, count * _SECTION_SIZE)
    if len(table) < count * _SECTION_SIZE:
        return [], "the file ends inside the section table of the PE"
    rows: list[_Section] = [_SECTION.unpack_from(table, at) for at in range(0, len(table), _SECTION_SIZE)]
    if any(size and start + size > content.size for _, _, size, start in rows):
        return rows, "the file ends before the last section of the PE"
    return rows, ""


def _offset(sections: list[_Section], address: int) -> int:
    """Return where an address of the image lies in the file. Raises FormatError."""
    for virtual, start, size, offset in sections:
        if start <= address < start + max(virtual, size) and address - start < size:
            return address - start + offset
    raise FormatError(f"the imports of the PE at address {address:#x} lie in no section")


def _imports(content: Content, sections: list[_Section], address: int) -> tuple[str, ...]:
    """Return the names of the DLLs in the import directory, each once. Raises FormatError, OSError."""
    offset = _offset(sections, address)
    names: dict[str, None] = {}
    for index in range(_IMPORTS_LIMIT):
        row = read_exactly(content, offset + index * _IMPORT.size, _IMPORT.size, "import directory of the PE")
        _, _, _, name, table = _IMPORT.unpack(row)
        if not name or not table:
            return tuple(names)
        names[_name(content, _offset(sections, name))] = None
    raise FormatError(f"the PE imports over {_IMPORTS_LIMIT} DLLs", offset=offset)


def _delay_imports(content: Content, sections: list[_Section], address: int, base: int) -> tuple[str, ...]:
    """Return the DLLs that are loaded at the first call ("Delay-Load Import Tables"). Raises FormatError, OSError."""
    offset = _offset(sections, address)
    names: dict[str, None] = {}
    for index in range(_IMPORTS_LIMIT):
        what = "delay import directory of the PE"
        row = read_exactly(content, offset + index * _DELAYED.size, _DELAYED.size, what)
        attributes, name, *_ = _DELAYED.unpack(row)
        if not name:
            return tuple(names)
        names[_name(content, _offset(sections, name if attributes & _DELAYED_BY_ADDRESS else name - base))] = None
    raise FormatError(f"the PE imports over {_IMPORTS_LIMIT} DLLs at their first call", offset=offset)


def _name(content: Content, start: int) -> str:
    text, end, _ = content.pread(start, _NAME_LIMIT).partition(b"\0")
    if not end:
        raise FormatError("the name of an imported DLL has no end", offset=start)
    return text.decode("utf-8", "surrogateescape")
