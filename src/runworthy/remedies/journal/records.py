"""What the journal tells: entries, the changes in them and the directories these were in; and how JSON holds it."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from runworthy.model.records import dataclass

__all__ = [
    "ABSENT",
    "SCHEMA",
    "UNFINISHED",
    "Change",
    "Entry",
    "FileChange",
    "Held",
    "KernelChange",
    "ProgramChange",
    "ShareChange",
    "State",
    "TouchedDirectory",
    "as_json",
    "plain",
]

SCHEMA = "runworthy.journal/1"

State = Literal["applying", "applied", "rolled-back", "undoing", "undone"]
UNFINISHED: frozenset[str] = frozenset({"applying", "undoing"})
"""States in which nobody leaves an entry but who is stopped."""

ChangeState = Literal["begun", "done", "undone"]
FileKind = Literal["absent", "file", "link", "directory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What lies at a path. Times are in nanoseconds; ``inode`` is 0 where it does not matter which it is.

    ``sha256`` is the hash of a file's bytes, ``text`` the text of a link; ``xattrs`` are extended attributes (ACLs and
    capabilities among them) in base64. ``told`` is what the inode is told to be, where that matters
    (``targets.storage.told``).
    """

    kind: FileKind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    atime: int = 0
    mtime: int = 0
    ctime: int = 0
    device: int = 0
    inode: int = 0
    links: int = 0
    sha256: str = ""
    text: str = ""
    xattrs: tuple[tuple[str, str], ...] = ()
    told: tuple[int, ...] = ()


ABSENT = Held(kind="absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One entry of a directory changes from ``before`` to ``after``.

    ``base`` is a directory of this machine, ``path`` the way from there, without links. ``backup`` says where what was
    there is kept: "link" in the journal as the very file, "beside" it under the hidden name that ``names`` gives,
    "copy" in the journal as its bytes; it is empty where the record tells all. ``in_place``: nothing takes its place,
    its permissions alone change.
    """

    words: str
    base: str
    path: str
    before: Held
    after: Held
    state: ChangeState = "begun"
    backup: Literal["link", "beside", "copy", ""] = ""
    in_place: bool = False
    kind: Literal["file"] = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelChange:
    """Lines are written into files of binfmt_misc; ``back`` are those that lead back to ``before``.

    A pair holds the path of the file and the line, in Latin-1. ``before`` and ``after`` are the handlers there are, in
    their order, each with what the kernel says of it; ``boot`` is the boot for which all this holds.
    """

    words: str
    point: str
    writes: tuple[tuple[str, str], ...]
    back: tuple[tuple[str, str], ...]
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...] = ()
    boot: str = ""
    state: ChangeState = "begun"
    kind: Literal["kernel"] = "kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramChange:
    """Another program makes a change: ``argv`` in the root directory ``root``, ``undo`` takes it back.

    ``manager`` is the package manager, where it is one; ``before`` and ``after`` are the packages that it knew, with
    their versions. ``archives`` are files that it installs: what the copy is called that lies where it is started, the
    hash of its bytes (SHA-256, hexadecimal), and where it was. ``said`` is the end of what the program printed.
    ``back`` are lines for binfmt_misc that take back what no command does.
    """

    words: str
    root: str
    argv: tuple[str, ...]
    undo: tuple[str, ...] = ()
    manager: str = ""
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = ()
    said: str = ""
    back: tuple[tuple[str, str], ...] = ()
    archives: tuple[tuple[str, str, str], ...] = ()
    state: ChangeState = "begun"
    kind: Literal["program"] = "program"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareChange:
    """One name of a stored file comes to share its bytes with another file, which lies at ``kept``.

    ``number`` is its place in the log; all names of one stored file have one ``unit``, and there are ``names`` of them.
    ``before`` is the file itself, ``after`` what the name leads to when it is done: its ``inode`` is 0 while that is
    not known. ``temporary`` is the hidden name beside it that holds what is new, then what is old. What shares storage
    and stays what it was ("extents", "ranges") has none; ``storage`` tells where such a file lay before, where all of
    that was shared with others ("" else).
    """

    words: str
    number: int
    unit: int
    base: str
    path: str
    how: Literal["extents", "clone", "hardlink", "symlink", "ranges"]
    kept: str
    before: Held
    after: Held
    names: int = 1
    temporary: str = ""
    storage: str = ""
    state: ChangeState = "begun"
    kind: Literal["share"] = "share"


Change = FileChange | KernelChange | ProgramChange | ShareChange


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedDirectory:
    """A directory in which entries change. ``mtime`` is its time before, ``after`` when all was done (0: not yet).

    ``names`` is the hash of the names that it held before. ``restored``: nobody else changed it until it was taken
    back, so that it gets its time again.
    """

    base: str
    path: str
    mtime: int
    names: str
    after: int = 0
    restored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One remedy that was carried out, or begun.

    ``when`` is the time in UTC as ISO 8601 writes it. ``token`` is part of the hidden names that it leaves for a while.
    ``reason`` says why it was rolled back, ``notes`` what a person should know of. ``unreadable`` says why nothing else
    of it is known, and is empty where it is.
    """

    id: str
    when: str = ""
    subject: str = ""
    target: str = ""
    title: str = ""
    state: State = "applying"
    token: str = ""
    changes: tuple[Change, ...] = ()
    directories: tuple[TouchedDirectory, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    unreadable: str = ""


def as_json(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON holds it: what has its usual value is left out."""
    held: dict[str, Any] = plain(entry)
    return held


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a record may hold
    """Return a record as JSON holds it."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if not hasattr(value, "__slots__"):
        return value
    held = {}
    cls: Any = type(value)
    for name, usual in _fields(cls):
        one = getattr(value, name)
        if one != usual or name in _ALWAYS:
            held[name] = one if isinstance(one, (str, int)) else plain(one)
    return held


@cache
def _fields(cls: Any) -> tuple[tuple[str, Any], ...]:  # noqa: ANN401 - the class of any record
    """Return the fields of a record, each with its usual value."""
    rows = cls.__dataclass_fields__
    return tuple((name, rows[name].default) for name in cls.__slots__)


_ALWAYS = frozenset({"kind", "state"})
