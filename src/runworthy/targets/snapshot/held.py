"""What is kept of a file beside its ELF facts: the few bytes that decide what a kernel or a loader does with it.

Nothing else travels in a snapshot. Of a file that no loader could map, not even its first bytes are kept, unless it may
be executed: then they say what would execute it (a script's first line, the magic that binfmt_misc compares).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from runworthy.formats.content import BytesContent, Content, Spliced
from runworthy.formats.elf import read_elf
from runworthy.formats.elf.record import PARTS, encode_known
from runworthy.model.elf import ET_DYN, ET_EXEC, ElfFile
from runworthy.model.errors import FormatError
from runworthy.targets.libc import compiled_directories, identify_loader
from runworthy.targets.snapshot.sparse import HEAD, HeadOnly, MoreError, Run, Watched, merged
from runworthy.targets.view import Entry, FileView

__all__ = ["EXEC_HEAD", "elf_runs", "loader_bytes", "may_be_loader", "other_runs", "texts_alone"]

EXEC_HEAD: Final = 256
"""What the kernel reads of a file that it is to execute (bytes; BINPRM_BUF_SIZE, ``include/uapi/linux/binfmts.h``)."""

_ODD_LIMIT: Final = 8 << 20
# musl maps a library of any class and byte order as one of its own (ldso/dynlink.c, map_library): every reading counts.
_READINGS: Final = tuple(b"\x7fELF" + bytes((bits, order)) for bits in (2, 1) for order in (1, 2))
_LOADER_PARTS: Final = tuple(part for part in PARTS if part not in ("go", "build", "mentions"))
_TYPE: Final = slice(16, 18)
_MAPPED: Final = frozenset(kind.to_bytes(2, order) for kind in (ET_EXEC, ET_DYN) for order in ("little", "big"))
_PRINTABLE: Final = bytes(letter if 0x20 <= letter < 0x7F else 0 for letter in range(256))
_SHORT: Final = re.compile(rb"(?<![^\0])[^\0]{1,4}(?![^\0])")
_LOADER_NAMES: Final = ("ld-linux", "ld64.so", "ld.so")


def elf_runs(content: Content, head: bytes, *, refused: bool) -> list[Run]:
    """Return what is kept of a file that begins like an ELF file. Raises OSError.

    ``refused``: the reader does not take it, so that loaders are asked about its bytes; of a file that it takes, they
    are only when it is read as one of another class or byte order.
    """
    readings = _READINGS if refused else [label for label in _READINGS if label != head[:6]]
    return merged([(0, head[:HEAD]), *_odd(content, head[:HEAD], readings)])


def other_runs(content: Content, head: bytes, *, executable: bool) -> list[Run]:
    """Return what is kept of a file that is no ELF file, nothing for most. Raises OSError.

    What is not kept is shown as zeros up to ``HEAD``: no loader takes it either.
    """
    if head[_TYPE] in _MAPPED:
        kept = head if executable else head[:HEAD]
        return merged([(0, kept), *_odd(content, head[:HEAD], _READINGS)])
    if not executable:
        return []
    shown = head.partition(b"\n")[0] + b"\n" if head.startswith(b"#!") and b"\n" in head else head
    shown = shown.ljust(min(content.size, HEAD), b"\0")
    asks = shown[_TYPE] in _MAPPED or any(_asks_more(shown[:HEAD], content.size, label) for label in _READINGS)
    return [] if asks else [(0, shown)]


def _odd(content: Content, head: bytes, readings: Iterable[bytes]) -> Iterator[Run]:
    """Yield what a loader that reads the file in another way would look at behind its head."""
    for label in readings:
        if not _asks_more(head, content.size, label):
            continue
        watched = Watched(content, _ODD_LIMIT)
        try:
            encode_known(read_elf(Spliced(watched, 0, label)), _LOADER_PARTS)
        except FormatError:
            pass
        except MoreError:
            continue  # too much to keep: whoever asks is told that the bytes are not there
        yield from watched.runs()


def _asks_more(head: bytes, size: int, label: bytes) -> bool:
    """Whether a file that begins with ``head`` is read any further under a label."""
    try:
        read_elf(Spliced(HeadOnly(head, size), 0, label))
    except MoreError:
        return True
    except FormatError:
        return False
    return False


# -- loaders ---------------------------------------------------------------------------------


def may_be_loader(elf: ElfFile, record: bytes) -> bool:
    """Whether ``targets.libc`` might take the file for a loader whose texts tell its release and its directories."""
    if (elf.facts.soname or "").startswith(_LOADER_NAMES):
        return True
    return not elf.facts.version_defs and all(name in record for name in (b"__libc_start_main", b"stdin", b"dlopen"))


def loader_bytes(view: FileView, real: str) -> Mapping[str, bytes]:
    """Return, by real path, the bytes in which the texts of the loader at ``real`` are looked for. Raises OSError."""
    whole = _Scanned(view, {})
    _told(whole, real)
    return {path: scan.data for path, scan in whole.scans.items()}


def texts_alone(view: FileView, real: str, found: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return what :func:`loader_bytes` found with all but texts blanked, if that changes no answer. Raises OSError."""
    texts = {path: _SHORT.sub(_blank, data.translate(_PRINTABLE)) for path, data in found.items()}
    same = _told(_Scanned(view, texts), real) == _told(_Scanned(view, found), real)
    return texts if same else found


def _blank(found: re.Match[bytes]) -> bytes:
    return bytes(len(found[0]))


def _told(view: FileView, real: str) -> object:
    try:
        libc = identify_loader(view, real)
    except FormatError as error:
        return error.message
    return libc, compiled_directories(view, real) if libc.family == "glibc" else ()


class _Scan:
    """The start of a file, as far as it was read."""

    def __init__(self, content: Content) -> None:
        self.size = content.size
        self.data = b""
        self._content = content

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        if offset + count > len(self.data):
            self.data = self._content.pread(0, offset + count)
        return self.data[offset : offset + count]


class _Scanned(FileView):
    """A view that remembers what is read of its files' bytes; of ``given`` ones other bytes are shown."""

    def __init__(self, view: FileView, given: Mapping[str, bytes]) -> None:
        super().__init__()
        self._view = view
        self._given = given
        self.scans: dict[str, _Scan] = {}

    def entry(self, directory: str, name: str) -> Entry | None:
        return self._view.entry(directory, name)

    def names(self, directory: str) -> Iterable[str]:
        return self._view.names(directory)

    def content(self, real: str) -> Content:
        if real in self._given:
            return BytesContent(self._given[real])
        return self.scans.setdefault(real, _Scan(self._view.content(real)))

    def load_elf(self, real: str) -> ElfFile:
        return self._view.load_elf(real)
