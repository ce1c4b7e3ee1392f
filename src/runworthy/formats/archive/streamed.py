"""Archives of one member after another: tar and cpio, packed or not.

What is packed by gzip can be read at any offset (``inflated``). What is packed otherwise is read once; of that, members
are kept that are small or may be judged, the others have nothing but their first bytes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Final

from runworthy.formats.archive.gathering import Gathering
from runworthy.formats.archive.inflated import WITH_HEADER, Inflated
from runworthy.formats.archive.kept import HEAD, SMALL, Forward, Keeper, Kept, is_judged
from runworthy.formats.archive.kinds import NOTHING
from runworthy.formats.archive.unreadable import Unreadable
from runworthy.formats.content import Content
from runworthy.formats.package.member import Member, Place
from runworthy.formats.package.rpm import read_cpio
from runworthy.formats.package.streams import NeedsZstdError, compression_of, pieces, reader
from runworthy.formats.package.tar import is_tar, read_tar
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError

__all__ = ["read_streamed"]

_CPIO: Final = (b"070701", b"070702", b"07070X")
_MOST: Final = 8 << 30
_HARMLESS: Final = 64 << 20
_RATIO: Final = 400  # as for packages: real ones reach 50


def read_streamed(content: Content, kind: ContainerKind, gathering: Gathering) -> tuple[str, str, str]:
    """Gather the members of a tar or cpio archive, which may be packed as a whole.

    Return its format, its packing, and why it could not be read to its end (empty: it could). Raises FormatError where
    it is none, NeedsZstdError, OSError.
    """
    packing = compression_of(content.pread(0, 8))
    limit = min(_MOST, max(_HARMLESS, content.size * _RATIO))
    keeper = Keeper()
    walk: _Walk
    if packing == "gzip":
        inflated = Inflated(content, keeper.blocks, WITH_HEADER, limit=limit)
        walk = _Walk(inflated, gathering)
    elif packing:
        walk = _Packed(Forward(pieces(reader(content), packing), limit), gathering, keeper)
    else:
        walk = _Walk(content, gathering)
    try:
        head = walk.source.pread(0, 512)
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        raise FormatError(f"the {packing} stream cannot be unpacked: {error.strerror}") from None
    if not is_tar(head) and head != NOTHING and not head.startswith(_CPIO):
        raise FormatError(f"holds no tar or cpio archive{f', packed by {packing}' if packing else ''}")
    form = "cpio" if head.startswith(_CPIO) else "tar"
    problem = walk.through(read_cpio if form == "cpio" else read_tar, skip_notes=kind == "apk")
    return form, packing, problem


class _Walk:
    """Goes through members that can be read at any time."""

    def __init__(self, source: Content, gathering: Gathering) -> None:
        self.source = source
        self._gathering = gathering
        self._offset = 0
        self._last: str | None = None

    def through(self, read: Callable[[Content, Place], Iterator[Member]], *, skip_notes: bool) -> str:
        """Gather the members; return why that ended too early. Raises NeedsZstdError, OSError.

        ``skip_notes``: what lies first and has a dot before its name tells of the package.
        """
        try:
            for member in read(self.source, self._place):
                skip_notes = skip_notes and member.path.startswith(".") and "/" not in member.path.removeprefix("./")
                if not skip_notes:
                    self._take(member)
        except NeedsZstdError:
            raise
        except FormatError as error:
            problem = str(error)
        except OSError as error:
            if error.errno not in (errno.EBADMSG, errno.EFBIG):
                raise
            problem = error.strerror or "is damaged"
        else:
            return ""
        self._verify_last(problem)
        return problem

    def _place(self, name: str, offset: int) -> str:
        """Leave a name as it is, for the gathering to judge."""
        self._offset = offset
        return name

    def _take(self, member: Member) -> None:
        self._add(member, member.content)

    def _add(self, member: Member, content: Content | None) -> None:
        self._last = self._gathering.add(
            member.path,
            member.kind,
            mode=member.mode,
            target=member.target,
            content=content,
            offset=self._offset,
        )

    def _verify_last(self, problem: str) -> None:
        """Spoil the member that came last where it was cut off."""
        member = self._gathering.members.get(self._last) if self._last is not None else None
        content = member.content if member is not None and member.kind == "file" else None
        if self._last is None or content is None or not content.size or isinstance(content, Kept):
            return
        try:
            whole = bool(content.pread(content.size - 1, 1))
        except OSError:
            whole = False
        if not whole:
            self._gathering.spoil(self._last, f"is cut off: {problem}")


class _Packed(_Walk):
    """Goes through members that have to be read at once."""

    def __init__(self, source: Forward, gathering: Gathering, keeper: Keeper) -> None:
        super().__init__(source, gathering)
        self._keeper = keeper

    def _take(self, member: Member) -> None:
        content = member.content
        if content is None:
            self._add(member, None)
            return
        head = content.pread(0, min(HEAD, content.size))
        if content.size > SMALL and not is_judged(head):
            self._add(member, Unreadable("is not kept: nothing like it is judged", content.size, head))
            return
        try:
            kept = self._keeper.keep(content)
        except (FormatError, OSError) as error:
            self._add(member, Unreadable(str(error), content.size))
            raise
        if kept is None:
            self._gathering.odd("size", member.path, "is not kept: the archive unpacks to too much", self._offset)
        self._add(member, kept or Unreadable("is not kept: the archive unpacks to too much", content.size, head))
