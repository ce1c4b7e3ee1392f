"""Squashfs images, bare or behind the run time of an AppImage.

Source: AppImage specification (docs.appimage.org), "Image format"; Linux ``fs/squashfs/squashfs_fs.h``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from runworthy.formats.archive.gathering import MEMBERS, Gathering
from runworthy.formats.archive.kept import Keeper, Late
from runworthy.formats.archive.kinds import SQUASHFS_MAGIC
from runworthy.formats.content import Content
from runworthy.formats.elf.header import read_header
from runworthy.formats.package.member import MemberKind
from runworthy.formats.package.streams import Slice
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError

__all__ = ["NeedsSquashfsError", "SquashedFile", "read_squashfs"]

_SUPERBLOCK: Final = 96
_SIZES: Final = (4 << 10, 1 << 20)
_PACKINGS: Final = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_READ: Final = ("gzip", "xz", "lz4", "zstd")


class NeedsSquashfsError(FormatError):
    """The bytes are a squashfs image, and PySquashfsImage is not installed."""


class SquashedFile(NamedTuple):
    """An entry of an image. ``read`` yields the bytes of a file."""

    path: str
    kind: MemberKind
    mode: int
    size: int
    target: str
    read: Callable[[], Iterator[bytes]]


def read_squashfs(content: Content, kind: ContainerKind, gathering: Gathering) -> tuple[str, str, str]:
    """Gather the members of an image; return its format, its packing, and why it could not be read to its end.

    Raises FormatError where nothing of it can be read, NeedsSquashfsError, NeedsZstdError, OSError.
    """
    start = _behind_run_time(content) if kind == "appimage" else 0
    image = Slice(content, start, max(content.size - start, 0))
    head = image.pread(0, _SUPERBLOCK)
    if len(head) < _SUPERBLOCK or not head.startswith(SQUASHFS_MAGIC):
        raise FormatError("holds no squashfs image where one belongs", offset=start)
    packing = _PACKINGS.get(int.from_bytes(head[20:22], "little"), "")
    inodes, size, fragments = (int.from_bytes(head[at : at + 4], "little") for at in (4, 12, 16))
    if packing not in _READ:
        raise FormatError(f"is packed by {packing or 'something unknown'}, which is not read here", offset=start)
    if max(inodes, fragments) > MEMBERS or not _SIZES[0] <= size <= _SIZES[1]:
        raise FormatError(f"claims {inodes} files in blocks of {size} bytes", offset=start)
    try:
        from runworthy.formats.archive.image import entries
    except ImportError:
        raise NeedsSquashfsError(
            "is a squashfs image, which takes PySquashfsImage: pip install 'runworthy[appimage]'"
        ) from None
    try:
        keeper = Keeper()
        for one in entries(image, packing):
            held = Late(keeper, one.read, one.size) if one.kind == "file" else None
            gathering.add(one.path, one.kind, mode=one.mode, target=one.target, content=held)
    except FormatError as error:
        if not gathering.count:
            raise
        return "squashfs", packing, str(error)
    return "squashfs", packing, ""


def _behind_run_time(content: Content) -> int:
    """Return where the image of an AppImage begins: where its ELF file ends. Raises FormatError, OSError."""
    if content.pread(8, 3) == b"AI\1":
        raise FormatError("is an AppImage of type 1, an ISO 9660 image, which is not read here")
    header = read_header(content)
    return header.shoff + header.shentsize * header.shnum
