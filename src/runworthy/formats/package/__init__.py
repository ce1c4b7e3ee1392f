"""Packages: what files a .deb, .apk, .rpm or tar archive lays into a root.

Source: deb(5); Alpine wiki, "Apk spec" (v2: gzip streams of tar members one after another); see the other modules.
"""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.formats.content import Content
from runworthy.formats.package.member import Member, MemberKind
from runworthy.formats.package.rpm import RPM_MAGIC, read_cpio, read_rpm
from runworthy.formats.package.streams import NeedsZstdError, Slice, compression_of, unpack
from runworthy.formats.package.tar import is_tar, read_tar
from runworthy.model.errors import FormatError

__all__ = ["DEB_MAGIC", "Member", "MemberKind", "NeedsZstdError", "is_package", "part_of_deb", "read_package"]

DEB_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_MEMBERS = 200_000
_DIRECTORIES = 1_000_000


def is_package(head: bytes) -> bool:
    """Whether a file that begins so (512 bytes) may be a package."""
    return head.startswith((DEB_MAGIC, RPM_MAGIC)) or bool(compression_of(head)) or is_tar(head)


def read_package(content: Content) -> Iterator[Member]:
    """Yield the files that a package brings, in its order, without its own notes. Raises FormatError, OSError."""
    depth = 0
    parents: set[str] = set()
    notes = False
    for count, member in enumerate(_read(content), start=1):
        parent = member.path.rpartition("/")[0]
        if parent not in parents:
            parents.add(parent)
            depth += parent.count("/") + 1
        if count > _MEMBERS or depth > _DIRECTORIES:
            raise FormatError(f"holds more than {_MEMBERS} files or {_DIRECTORIES} directories")
        # .PKGINFO and its like lie first in packages of Alpine and Arch.
        notes = notes or member.path.startswith((".SIGN.", ".PKGINFO", ".MTREE", ".BUILDINFO"))
        if member.path and not (notes and not parent and member.path.startswith(".") and member.kind == "file"):
            yield member


def _read(content: Content) -> Iterator[Member]:
    head = content.pread(0, 512)
    if head.startswith(DEB_MAGIC):
        return read_tar(unpack(part_of_deb(content, "data.tar")))
    if head.startswith(RPM_MAGIC):
        return read_rpm(content)
    if compression_of(head):
        content = unpack(content)
        head = content.pread(0, 512)
    if head.startswith((b"070701", b"070702")):
        return read_cpio(content)
    if not is_tar(head):
        raise FormatError("is no .deb, .apk, .rpm or tar archive")
    return read_tar(content)


def part_of_deb(content: Content, name: str) -> Slice:
    """Return the first member of an ar archive whose name begins so. Raises FormatError, OSError."""
    offset = len(DEB_MAGIC)
    while head := content.pread(offset, _AR_HEADER):
        size = head[48:58].strip()
        if len(head) < _AR_HEADER or head[58:] != b"`\n" or not size.isdigit():
            raise FormatError("an ar member's header is damaged", offset=offset)
        start = offset + _AR_HEADER
        if start + int(size) > content.size:
            raise FormatError("an ar member reaches past the end", offset=offset)
        if head[:16].rstrip(b" /").startswith(name.encode()):
            return Slice(content, start, int(size))
        offset = start + int(size) + int(size) % 2
    raise FormatError(f"is an ar archive without {name}, no package", offset=offset)
