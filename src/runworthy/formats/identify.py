"""What a file is that may be executed: told by its first page, and by more only where that names more.

The magics are those of the formats' own specifications, each cited where its reader stands. A kernel looks at 256
bytes, and a shell at a line; this looks at 4096, so that text and data are told apart as people would.
"""

from __future__ import annotations

from runworthy.formats.content import Content
from runworthy.formats.magics import APE_SCRIPTS, MACHO
from runworthy.formats.script import BUFFER, read_script_line
from runworthy.model.errors import FormatError
from runworthy.model.program import FileFacts, FileType
from runworthy.model.records import replace

__all__ = ["identify"]

_PAGE = 4096
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_LFS = b"version https://git-lfs.github.com/spec/"
_CONTROL = bytes([*range(8), 11, *range(14, 27), *range(28, 32), 127])
"""What no text has in it: control characters without backspace, tab, newlines and the escape of colours."""

_PACKED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"BZh", "bzip2"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"\x5d\0\0", "lzma"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"),
    (0, b"!<arch>\ndebian", "Debian package"),
    (0, b"!<arch>\n", "ar"),
    (0, b"!<thin>\n", "thin ar"),
    (0, b"\xed\xab\xee\xdb", "RPM package"),
    (0, b"hsqs", "squashfs"),
    (0, b"MSCF", "cabinet"),
    (0, b"xar!", "xar"),
    (0, b"070701", "cpio"),
    (0, b"070702", "cpio"),
    (257, b"ustar", "tar"),
)
"""Offset, magic and name of what is packed in another way than zip."""

_PYTHON = (3000, 3999)
"""The numbers of Python 3's bytecode, with room for years (CPython ``pycore_magic_number.h``); CR, LF and flags of 0 to
3 (PEP 552) follow."""


def identify(content: Content) -> FileFacts:
    """Return what the file is. What is damaged in what it claims to be is told as its problem. Raises OSError."""
    page = content.pread(0, _PAGE)
    for begins, read in _READERS:
        if page.startswith(begins) and (facts := read(content, page)) is not None:
            return facts
    return _other(content, page)


def _facts(kind: FileType, content: Content, page: bytes) -> FileFacts:
    return FileFacts(type=kind, size=content.size, head=page[:BUFFER].ljust(BUFFER, b"\0"))


def _elf(content: Content, page: bytes) -> FileFacts | None:
    return _facts("elf", content, page)


def _script(content: Content, page: bytes) -> FileFacts | None:
    return replace(_facts("script", content, page), script=read_script_line(page))


def _windows(content: Content, page: bytes) -> FileFacts | None:
    """What begins as an APE or for DOS: an APE, a PE, a program for DOS; text that happens to begin so is none."""
    from runworthy.formats.ape import is_ape

    if is_ape(page):
        return _ape(content, page)
    from runworthy.formats.pe import is_pe, read_pe

    if is_pe(content):
        try:
            pe = read_pe(content)
        except FormatError as error:
            return replace(_facts("pe", content, page), problem=error.message)
        return replace(_facts("pe", content, page), pe=pe, problem=pe.problem)
    if _is_text(page):
        return None
    offset = int.from_bytes(page[0x3C:0x40], "little")
    cut = len(page) < 0x40 or offset + 4 > content.size
    problem = f"the file ends before the PE header, which its DOS header places at {offset:#x}" if cut else ""
    return replace(_facts("data", content, page), detail="MS-DOS program", problem=problem)


def _ape(content: Content, page: bytes) -> FileFacts | None:
    from runworthy.formats.ape import read_ape

    ape = read_ape(content)
    return replace(_facts("ape", content, page), ape=ape, zip_entries=ape.zip_entries, problem=ape.problem)


def _macho(content: Content, page: bytes) -> FileFacts | None:
    from runworthy.formats.macho import is_java_class, read_macho

    if is_java_class(page):
        return replace(_facts("data", content, page), detail="Java class")
    try:
        return replace(_facts("mach-o", content, page), machos=read_macho(content))
    except FormatError as error:
        return replace(_facts("mach-o", content, page), problem=error.message)


def _zip(content: Content, page: bytes) -> FileFacts | None:
    """A jar is a zip archive with a manifest."""
    from runworthy.formats.zip import main_class, read_manifest, read_zip_end

    try:
        end = read_zip_end(content)
        manifest = read_manifest(content, end) if end else None
    except FormatError as error:
        return replace(_facts("zip", content, page), problem=error.message)
    if end is None:
        return replace(_facts("zip", content, page), problem="the zip archive has no end: it is cut off")
    if manifest is None:
        return replace(_facts("zip", content, page), zip_entries=end.entries)
    return replace(_facts("jar", content, page), zip_entries=end.entries, main_class=main_class(manifest))


def _wasm(content: Content, page: bytes) -> FileFacts | None:
    return _facts("wasm", content, page)


_READERS = (
    (b"\x7fELF", _elf),
    (b"#!", _script),
    (b"MZ", _windows),
    (APE_SCRIPTS, _ape),
    (MACHO, _macho),
    ((b"PK\3\4", b"PK\5\6"), _zip),
    (b"\0asm", _wasm),
)  # fmt: skip
"""What a file begins with, and who reads it; a reader that gives None leaves it to the next."""


def _other(content: Content, page: bytes) -> FileFacts:
    kind, detail, bom = _told(page)
    return replace(_facts(kind, content, page), bom=bom, detail=detail)


def _told(page: bytes) -> tuple[FileType, str, bool]:
    """Return the type of what has no reader of its own, its name, and whether a byte order mark begins it."""
    if not page:
        return "empty", "", False
    for offset, magic, name in _PACKED:
        if page.startswith(magic, offset):
            return "archive", name, False
    number, rest = int.from_bytes(page[:2], "little"), page[2:4]
    if rest == b"\r\n" and _PYTHON[0] <= number <= _PYTHON[1] and int.from_bytes(page[4:8], "little") <= 3:
        return "python-bytecode", "", False
    if page.startswith(_UTF16_BOMS):
        return "text", "UTF-16", False
    bom = page.startswith(_UTF8_BOM)
    if not _is_text(page):
        return "data", "", False
    text = page[3:] if bom else page
    if text.startswith(_LFS):
        return "text", "Git LFS pointer", bom
    return "text", "#! behind a byte order mark" if bom and text.startswith(b"#!") else "", bom


def _is_text(page: bytes) -> bool:
    return len(page.translate(None, _CONTROL)) == len(page)
