"""What is kept of a file that passes by: its ELF facts, and the bytes that a kernel or a loader would look at."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from runworthy.formats.content import Content
from runworthy.formats.elf import read_elf
from runworthy.formats.elf.header import MAGIC
from runworthy.formats.elf.record import encode
from runworthy.formats.package.sparse import Sparse
from runworthy.formats.package.streams import UNPACKED_LIMIT, Spool
from runworthy.formats.stream import StreamError
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.targets.binfmt.kept import concerns_boot
from runworthy.targets.snapshot.held import EXEC_HEAD, elf_runs, may_be_loader, other_runs
from runworthy.targets.snapshot.sparse import Run, merged, pack_runs

__all__ = ["Kept", "kept_of", "kept_script"]

_PIECE: Final = 1 << 20
_TEXT_LIMIT: Final = 64 << 20  # an ld.so.cache; the limit of whoever reads one
_LOADER_TEXTS: Final = 4 << 20  # in which the release of a C library is looked for (targets/libc.py)
_LIBC: Final = "libc.so"
_TEXTS: Final = ("etc/ld.so.*", "etc/*.conf", "*/ld-musl-*.path", "*/os-release")
_HOLES: Final = 256 << 20
"""Largest sparse file whose ELF facts are read (bytes): holes cost nothing to send and time to read."""


class Kept(NamedTuple):
    """``letter`` E: runs and a record; F: runs and why it is no ELF file after all; N: runs of another file."""

    letter: str
    data: bytes


def kept_of(content: Content, path: str, mode: int) -> Kept | str | None:
    """Return what is kept of a file whose bytes pass by once.

    That is None of one that no loader would take, "unseen" of one that is too large to be looked at. Raises
    StreamError where the bytes end too early, OSError.
    """
    head = content.pread(0, EXEC_HEAD)
    if len(head) < min(EXEC_HEAD, content.size):
        raise StreamError(f"was cut off in `{path[:200]}`")
    if head.startswith(MAGIC):
        return _elf(content, head, path)
    if content.size <= _TEXT_LIMIT and any(fnmatchcase(path, pattern) for pattern in _TEXTS):
        return Kept("N", pack_runs([(0, _whole(content, path))]))
    spooled = _Spooled(content, head, path)
    if _registers(spooled, path):
        return Kept("N", pack_runs([(0, spooled.pread(0, spooled.size))]))
    runs = other_runs(spooled, head, executable=bool(mode & 0o111))
    return Kept("N", pack_runs(runs)) if runs else None


def _registers(content: Content, path: str) -> bool:
    """Whether a file tells which handlers are registered at boot. Raises StreamError, OSError."""
    concerns = concerns_boot(path, content.size)
    return b"binfmt" in content.pread(0, content.size) if concerns is None else concerns


def kept_script(line: bytes, size: int) -> Kept:
    """Return what is kept of a script of which the first line alone is known."""
    head = (line[: EXEC_HEAD - 1] + b"\n").ljust(EXEC_HEAD, b"\0")[: min(size, EXEC_HEAD)]
    return Kept("N", pack_runs([(0, head)]))


def _elf(content: Content, head: bytes, path: str) -> Kept | str:
    if content.size > (_HOLES if isinstance(content, Sparse) else UNPACKED_LIMIT):
        return "unseen"
    whole = _spool(content, path)
    # A read from the start gets what is there of it; the end is looked at to tell whether a file was cut off.
    ends = (content.size - 1, whole.pread(content.size - 1, 1))
    try:
        elf = read_elf(whole, f"/{path}")
        record = encode(elf)
    except FormatError as error:
        runs = [*elf_runs(whole, head, refused=True), ends]
        offset = "" if error.offset is None else str(error.offset)
        told = f"{offset} {error.message}".encode("utf-8", "surrogateescape")
        return Kept("F", pack_runs(merged(runs)) + told)
    runs = [*elf_runs(whole, head, refused=False), ends, *_texts(elf, record, whole)]
    return Kept("E", pack_runs(merged(runs)) + record)


def _texts(elf: ElfFile, record: bytes, whole: Content) -> list[Run]:
    """Return the bytes in which the texts of a loader or a C library are looked for."""
    if may_be_loader(elf, record) or (elf.facts.soname or "").startswith(_LIBC):
        return [(0, whole.pread(0, _LOADER_TEXTS))]
    return []


class _Spooled:
    """A content that passes by once as one that can be read anywhere: it is unpacked when more than its head is read.

    Raises StreamError, which no reader takes for a fault of the file.
    """

    def __init__(self, content: Content, head: bytes, path: str) -> None:
        self.size = content.size
        self._content = content
        self._head = head
        self._path = path
        self._whole: Content | None = None

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises StreamError, OSError."""
        if offset + min(count, self.size - offset) <= len(self._head):
            return self._head[offset : offset + count] if offset >= 0 and count > 0 else b""
        if self._whole is None:
            if self.size > UNPACKED_LIMIT:
                raise StreamError(f"holds `{self._path[:200]}` of {self.size} bytes, which begins like a library")
            self._whole = _spool(self._content, self._path)
        return self._whole.pread(offset, count)


def _spool(content: Content, path: str) -> Content:
    """Return the bytes of a file that passes by, holes left out. Raises StreamError, OSError."""
    if isinstance(content, Sparse):
        return Sparse(_spool(content.stored, path), content.stretches, content.size)
    spool = Spool()
    while spool.size < content.size:
        piece = content.pread(spool.size, min(_PIECE, content.size - spool.size))
        if not piece:
            raise StreamError(f"was cut off in `{path[:200]}`")
        spool.append(piece)
    return spool


def _whole(content: Content, path: str) -> bytes:
    whole = _spool(content, path)
    return whole.pread(0, whole.size)
