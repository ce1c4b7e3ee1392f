"""The members of one archive, gathered as unpackers lay them out: no path leaves the directory.

What unpackers do was asked of GNU tar 1.34, bsdtar 3.6, Info-ZIP unzip 6.0 and CPython's ``zipfile`` and ``tarfile``
(PEP 706, the filter ``data``). Where they agree that a member is not unpacked, it is left out; where they do not, it is
there, and an oddity tells of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from runworthy.formats.archive.unreadable import Unreadable
from runworthy.formats.content import Content
from runworthy.formats.package.member import Member, MemberKind
from runworthy.model.archive import Oddity, OddityKind
from runworthy.model.errors import FormatError
from runworthy.model.records import replace

__all__ = ["MEMBERS", "Gathering", "shown"]

MEMBERS: Final = 300_000
"""Entries that an archive may have: sources of browsers have as many."""
_ROOM: Final = 64 << 20
"""Characters that the paths of members and of their directories may have together."""
_EFFORT: Final = 20_000_000
"""Parts of paths that are looked at to follow links: links can be made that lead through one another without end."""
_LINKS: Final = 40  # MAXSYMLINKS of Linux
_NOWHERE: Final = "\0"
"""Where links lead that lead through one another in a circle, or too often: open(2) answers ELOOP."""
_PATH_MAX: Final = 4096
_NAME_MAX: Final = 255
_TOLD: Final = 1000
_DRIVE: Final = re.compile(r"[A-Za-z]:(?:[\\/]|$)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_RELEASE: Final = ("etc/os-release", "usr/lib/os-release")
_OF_A_ROOT: Final = ("link-outside", "device")


class Gathering:
    """Takes the entries of an archive in their order.

    ``rooted``: it is unpacked into the root of a system, so that absolute names and links are what they should be. An
    archive that holds such a root is known by its os-release.
    """

    def __init__(self, *, rooted: bool = False) -> None:
        self.members: dict[str, Member] = {}
        self._rooted = rooted
        self._links: dict[str, str] = {}
        self._real: dict[str, str | None] = {"": ""}
        self._directories = {""}
        self._offsets: dict[str, int | None] = {}
        self._room = _ROOM
        self._effort = _EFFORT
        self._count = 0
        self._oddities: list[Oddity] = []
        self._told: Counter[OddityKind] = Counter()

    @property
    def count(self) -> int:
        """How many entries came."""
        return self._count

    def odd(self, kind: OddityKind, name: str, detail: str, offset: int | None = None, *, read: bool = False) -> None:
        """Tell of a member. Of each kind no more are told than a person may read, the others are counted."""
        self._told[kind] += 1
        if self._told[kind] <= _TOLD:
            self._oddities.append(Oddity(kind=kind, member=shown(name), detail=detail, offset=offset, read=read))

    def add(
        self,
        name: str,
        kind: MemberKind,
        *,
        mode: int = 0o644,
        target: str = "",
        content: Content | None = None,
        offset: int | None = None,
    ) -> str | None:
        """Take an entry; return the path at which it lies, None where it is left out.

        Raises FormatError where there is more of it than in any archive that is meant well.
        """
        self._count += 1
        if self._count > MEMBERS:
            raise FormatError(f"holds more than {MEMBERS} members", offset=offset)
        path = self._path(name, offset)
        if not path:
            return None
        if kind == "other":
            self.odd("device", name, "is a device, a FIFO or a socket", offset)
            return None
        placed = self._placed(name, path, offset)
        if placed is None:
            return None
        if kind == "hard-link":
            found = self._linked(name, target, offset)
            if found is None or found.path == placed:
                return None
            target, content, mode = found.path, found.content, found.mode
        return self._put(name, Member(path=placed, kind=kind, mode=mode, target=target, content=content), offset)

    def spoil(self, path: str, why: str, kind: OddityKind = "damaged") -> None:
        """Make unreadable what lies at ``path``: it was found to be damaged when it had been taken already."""
        member = self.members[path]
        size = member.content.size if member.content is not None else 0
        self.members[path] = replace(member, content=Unreadable(why, size))
        self.odd(kind, path, why, self._offsets.get(path))

    def oddities(self) -> tuple[Oddity, ...]:
        """Return what is odd, once everything is there. Raises FormatError for links that lead on without end."""
        self._rooted = self._rooted or any(path in self.members for path in _RELEASE)
        for path, target in () if self._rooted else self._links.items():
            self._check_link(path, target)
        told = [one for one in self._oddities if not (self._rooted and one.kind in _OF_A_ROOT)]
        for kind in dict.fromkeys(one.kind for one in told):
            more = self._told[kind] - _TOLD
            if more > 0:
                read = all(one.read for one in told if one.kind == kind)
                told.append(Oddity(kind=kind, member="", detail=f"and {more} more of this kind", read=read))
        return tuple(told)

    # -- names -------------------------------------------------------------------------------------

    def _path(self, name: str, offset: int | None) -> str:
        """Return the path that a name stands for, empty where it stands for the directory itself or for none."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        path = "/".join(parts)
        self._room -= len(path)
        if ".." in parts:
            self.odd("outside", name, "has a name that leads out of the directory by `..`", offset)
            return ""
        if not name or "\0" in path or len(path) >= _PATH_MAX or (len(path) > _NAME_MAX and _too_long(parts)):
            self.odd("name", name, "has a name that no file can have" if name else "has no name", offset)
            return ""
        if name.startswith("/") and path and not self._rooted:
            words = "has an absolute name, of which unpackers take the `/` away, or refuse it"
            self.odd("outside", name, words, offset, read=True)
        elif _DRIVE.match(path):
            self.odd("outside", name, "has a name that begins with a drive of Windows", offset, read=True)
        elif not path.isascii() and not _is_text(path):
            self.odd("name", name, "has a name that is no text in UTF-8", offset, read=True)
        return path

    def _placed(self, name: str, path: str, offset: int | None) -> str | None:
        """Return where a path lies once the links of the archive are followed; None where that is not in it."""
        parent, _, last = path.rpartition("/")
        if parent not in self._real:
            self._real[parent] = self._follow([], parent.split("/"))
        real = self._real[parent]
        if real is None:
            self.odd("through-link", name, "would be written through a link that leads out of the directory", offset)
            return None
        if real == _NOWHERE:
            self.odd("through-link", name, "would be written through links that lead nowhere", offset)
            return None
        if not self._is_directory(real):
            self.odd("duplicate", name, "lies below a file", offset)
            return None
        place = f"{real}/{last}" if real else last
        if real != parent and not self._rooted:
            self.odd("through-link", name, f"is written through a link, to {shown(place)}", offset, read=True)
        return place

    def _is_directory(self, path: str) -> bool:
        """Whether a path of the archive is a directory, or can be made one; then it is one from now on.

        Raises FormatError where there are too many.
        """
        new = []
        while path not in self._directories:
            held = self.members.get(path)
            if held is not None and held.kind != "dir":
                return False
            new.append(path)
            self._room -= len(path)
            if self._room < 0:
                raise FormatError(f"holds paths of more than {_ROOM} characters")
            path = path.rpartition("/")[0]
        self._directories.update(new)
        return True

    def _follow(self, at: Sequence[str], parts: Sequence[str]) -> str | None:
        """Return the path of ``parts`` seen from the directory ``at``, all links followed.

        None where it leads out, ``_NOWHERE`` where it leads to nothing that can be opened.
        """
        if not self._links and ".." not in parts:
            return "/".join((*at, *parts))
        done, ahead, links = list(at), list(reversed(parts)), 0
        while ahead:
            part = ahead.pop()
            self._effort -= 1 + len(done) // 16
            if self._effort < 0:
                raise FormatError("its links lead through one another without end")
            if part == ".." and (done or self._rooted):
                del done[-1:]
            elif part == "..":
                return None
            elif part not in ("", "."):
                done.append(part)
                target = self._links.get("/".join(done))
                if target is None:
                    continue
                links += 1
                if links > _LINKS:
                    return _NOWHERE
                if target.startswith("/") and not self._rooted:
                    return None
                done = [] if target.startswith("/") else done[:-1]
                ahead += reversed(target.split("/"))
        return "/".join(done)

    # -- members -----------------------------------------------------------------------------------

    def _linked(self, name: str, target: str, offset: int | None) -> Member | None:
        """Return the file that a hard link is another name of."""
        parts = [part for part in target.split("/") if part not in ("", ".")]
        path = None if ".." in parts else self._follow([], parts)
        if path is None:
            self.odd("link-outside", name, f"is another name of {shown(target)}, outside of the directory", offset)
            return None
        found = self.members.get(path)
        if found is None or found.kind not in ("file", "hard-link"):
            self.odd("damaged", name, f"is another name of {shown(target)}, which is not there", offset)
            return None
        return found

    def _put(self, name: str, member: Member, offset: int | None) -> str | None:
        path = member.path
        held = self.members.get(path)
        if path in self._directories or (held is not None and held.kind == "dir"):
            if member.kind == "dir":  # more than once, or after what lies in it
                self.members.setdefault(path, member)
                return path
            if path in self._directories:
                self.odd("duplicate", name, "is a directory too, with files in it", offset)
                return None
        elif held is not None and member.kind == "dir" and held.kind == "link":
            return path  # unpackers leave a link that leads to a directory
        if held is not None:
            self.odd("duplicate", name, "is there more than once; the last one counts here", offset, read=True)
            del self.members[path]
            self._links.pop(path, None)
        if member.kind == "link":
            self._links[path] = member.target
        if member.kind == "link" or held is not None:
            self._real = {"": ""}
        self.members[path] = member
        if member.kind != "dir":
            self._offsets[path] = offset
        return path

    def _check_link(self, path: str, target: str) -> None:
        where = None
        if not target.startswith("/"):
            above = path.rpartition("/")[0]
            where = self._follow(above.split("/") if above else [], target.split("/"))
        if where is None:
            words = f"is a link to {shown(target)}, outside of the directory"
            self.odd("link-outside", path, words, self._offsets.get(path), read=True)


def shown(name: str) -> str:
    """Return a name as it can be shown: odd bytes and control characters escaped, long ones cut."""
    if not name.isprintable():
        name = name[:_PATH_MAX].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        name = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", name)
    return name if len(name) <= _NAME_MAX else f"{name[: _NAME_MAX - 3]}..."


def _too_long(parts: Sequence[str]) -> bool:
    return any(len(part.encode("utf-8", "surrogateescape")) > _NAME_MAX for part in parts)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
