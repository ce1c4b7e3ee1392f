"""The journal of what was changed: for each remedy that was carried out one directory that a person can read.

``entry.json`` says what was done, when, for what, and how each operation stands; ``before/`` holds what was there. It
is written anew and put in place by a rename each time, so that it is whole at any moment; an operation stands in it,
with what takes it back, before it is begun. What cannot be read is told and left alone.

Files are shared by the thousand, and to write all of them anew for each would take the square of their number. They
stand in ``shares.jsonl`` beside it, to which one line is added for each thing that comes to be known. It is on the
device before what it tells of is begun, so that a last line that is torn tells of nothing that was.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from types import TracebackType
from typing import Any, Literal, Self

from runworthy.model.errors import RemedyError
from runworthy.model.records import dataclass, replace

__all__ = [
    "ABSENT",
    "BEFORE",
    "UNFINISHED",
    "Change",
    "Entry",
    "FileChange",
    "Held",
    "Journal",
    "KernelChange",
    "ProgramChange",
    "ShareChange",
    "ShareLog",
    "State",
    "TouchedDirectory",
    "as_json",
    "journal_directory",
]

SCHEMA = "runworthy.journal/1"
BEFORE = "before"
_ENTRY, _LOG, _LOCK, _NEW = "entry.json", "shares.jsonl", ".lock", ".new-"
_ID = re.compile(r"(\d{8})-(\d{1,6})")
_LARGEST = 256 << 20
_WAIT = 10.0

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


def journal_directory() -> str:
    """Return where the journal lies: the platform's place for what a program has done (XDG base directories)."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/runworthy/journal")
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~"), "runworthy", "journal")
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "runworthy", "journal")


class Journal:
    """The entries below one directory, which only their owner can look into."""

    def __init__(self, path: str = "", *, wait: float = _WAIT) -> None:
        """``wait`` is how long (seconds) another run that holds the journal is waited for."""
        self.path = os.path.abspath(path or journal_directory())
        self._wait = wait

    def directory(self, name: str) -> str:
        """Return the directory of an entry."""
        return os.path.join(self.path, name)

    # -- reading -----------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """Return all entries, the oldest first; of those that cannot be read why."""
        try:
            names = os.listdir(self.path)
        except OSError:
            return []
        return [self._read(name) for name in sorted(filter(_ID.fullmatch, names), key=_order)]

    def unfinished(self) -> Entry | None:
        """Return an entry that was cut off, if there is one that can be read. Logs of others are not read for it."""
        try:
            names = [name for name in os.listdir(self.path) if _ID.fullmatch(name)]
        except OSError:
            return None
        for name in sorted(names, key=_order):
            if self._read(name, log=False).state in UNFINISHED:
                entry = self._read(name)
                if not entry.unreadable:
                    return entry
        return None

    def entry(self, name: str) -> Entry:
        """Return one entry. Raises RemedyError where there is none, or it cannot be read."""
        if not _ID.fullmatch(name) or not os.path.isdir(self.directory(name)):
            hint = "`runworthy history` lists what there is"
            raise RemedyError(f"there is no entry {name} in {self.path}", hint=hint)
        found = self._read(name)
        if found.unreadable:
            raise RemedyError(f"the entry {name} cannot be read: {found.unreadable}", entry=name)
        return found

    def _read(self, name: str, *, log: bool = True) -> Entry:
        import json

        path = os.path.join(self.directory(name), _ENTRY)
        try:
            if os.stat(path).st_size > _LARGEST:
                return Entry(id=name, unreadable=f"{path} is larger than any entry")
            with open(path, "rb") as stream:
                held = json.loads(stream.read(_LARGEST + 1))
            entry = _entry(name, held)
            path = os.path.join(self.directory(name), _LOG)
            return _with_log(entry, path) if log else entry
        except OSError as error:
            return Entry(id=name, unreadable=f"{path}: {error.strerror or error}")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return Entry(id=name, unreadable=f"{path}: {error}")

    # -- writing -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs from changing anything. Raises RemedyError where one of them does, and takes long."""
        import fcntl

        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            self._is_ours()
            fd = os.open(os.path.join(self.path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RemedyError(f"the journal {self.path} cannot be used: {error.strerror or error}") from error
        try:
            end = time.monotonic() + self._wait
            while not _lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if time.monotonic() > end:
                    raise RemedyError("another run of runworthy is changing something", hint="wait until it has ended")
                time.sleep(0.05)
            yield
        finally:
            os.close(fd)

    def _is_ours(self) -> None:
        """Raise RemedyError where others can write the journal: who undoes what it tells does what they want."""
        status = os.stat(self.path)
        if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
            raise RemedyError(
                f"the journal {self.path} is not this user's alone: who can write it has anything changed",
                hint="XDG_STATE_HOME names another place for it",
            )

    def begin(self, entry: Entry) -> Entry:
        """Make the directory of a new entry, and return the entry with its id. Raises OSError."""
        last = max(filter(_ID.fullmatch, os.listdir(self.path)), key=_order, default="00000000-0")
        day, number = last.split("-")
        today = max(time.strftime("%Y%m%d"), day)  # a clock that was put back puts no entry before an older one
        entry = replace(entry, id=f"{today}-{int(number) + 1 if today == day else 1}")
        made = self.directory(_NEW + entry.id)
        shutil.rmtree(made, ignore_errors=True)
        os.makedirs(os.path.join(made, BEFORE), mode=0o700)
        _write(made, entry)
        os.rename(made, self.directory(entry.id))
        _sync(self.path)
        return entry

    def save(self, entry: Entry) -> None:
        """Write an entry, so that a power cut leaves the old or the new one. Raises OSError."""
        _write(self.directory(entry.id), entry)

    def log(self, entry: Entry) -> ShareLog:
        """Open the log of an entry, to be added to. Raises OSError."""
        return ShareLog(os.path.join(self.directory(entry.id), _LOG))

    def drop_backups(self, entry: Entry) -> None:
        """Remove what an entry keeps in the journal. Raises OSError."""
        before = os.path.join(self.directory(entry.id), BEFORE)
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(before):
                os.unlink(os.path.join(before, name))

    def forget(self, entry: Entry) -> None:
        """Remove an entry and what it keeps in the journal. Raises OSError."""
        made = self.directory(_NEW + entry.id)
        os.rename(self.directory(entry.id), made)
        shutil.rmtree(made)
        _sync(self.path)

    def sweep(self) -> None:
        """Remove what is left of entries that were never begun, or being forgotten. Raises OSError."""
        for name in os.listdir(self.path):
            if name.startswith(_NEW):
                shutil.rmtree(self.directory(name))


class ShareLog:
    """The lines that tell of files that are shared. It is whole at any moment but for a last line that is torn."""

    def __init__(self, path: str) -> None:
        """Cut off a torn last line: nothing was done for it. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._fd = os.open(path, flags, 0o600)
        try:
            self._size = _whole(self._fd)
            os.ftruncate(self._fd, self._size)
            if not self._size:
                _sync(os.path.dirname(path))
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def append(self, *records: ShareChange | TouchedDirectory, sync: bool = True) -> None:
        """Add records; ``sync``: they are on the device when this returns. Raises OSError: then none of them is there.

        What has been told of a change before is told anew by its number. Without ``sync`` it may be lost again, as
        what can be seen of the files themselves may be.
        """
        import json

        lines = (json.dumps(_plain(one), separators=(",", ":")) for one in records)
        view = memoryview("".join(f"{line}\n" for line in lines).encode("ascii"))
        end = self._size + len(view)
        try:
            while view:
                view = view[os.pwrite(self._fd, view, end - len(view)) :]
            if sync:
                os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size = end


def _whole(fd: int) -> int:
    """Return how long a log is without a torn last line."""
    end = os.fstat(fd).st_size
    while end:
        start = max(0, end - (1 << 16))
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _lock(fd: int, how: int) -> bool:
    import fcntl

    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        return False
    return True


def _order(name: str) -> tuple[str, int]:
    day, number = name.split("-")
    return day, int(number)


def _write(directory: str, entry: Entry) -> None:
    import json

    logged = replace(entry, changes=tuple(one for one in entry.changes if not isinstance(one, ShareChange)))
    text = json.dumps({"schema": SCHEMA, **as_json(logged)}, indent=1)
    path = os.path.join(directory, _ENTRY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
    with open(os.open(f"{path}.new", flags, 0o600), "w", encoding="ascii") as stream:
        stream.write(f"{text}\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(f"{path}.new", path)
    _sync(directory)


def _sync(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# -- records and JSON ------------------------------------------------------------------------

_CHANGES: Mapping[str, type] = {
    "file": FileChange,
    "kernel": KernelChange,
    "program": ProgramChange,
    "share": ShareChange,
}
_HELD = {"before": Held, "after": Held}
_NESTED: Mapping[str, Mapping[str, type]] = {"FileChange": _HELD, "ShareChange": _HELD}
_STATES = {"Entry": (*UNFINISHED, "applied", "rolled-back", "undone"), "Change": ("begun", "done", "undone")}


def as_json(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON holds it: what has its usual value is left out."""
    held: dict[str, Any] = _plain(entry)
    return held


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a record may hold
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if not hasattr(value, "__slots__"):
        return value
    held = {}
    cls: Any = type(value)
    for name, usual in _fields(cls):
        one = getattr(value, name)
        if one != usual or name in _ALWAYS:
            held[name] = one if isinstance(one, (str, int)) else _plain(one)
    return held


@cache
def _fields(cls: Any) -> tuple[tuple[str, Any], ...]:  # noqa: ANN401 - the class of any record
    """Return the fields of a record, each with its usual value."""
    rows = cls.__dataclass_fields__
    return tuple((name, rows[name].default) for name in cls.__slots__)


_ALWAYS = frozenset({"kind", "state"})


def _entry(name: str, held: Any) -> Entry:  # noqa: ANN401 - what JSON may hold
    """Return an entry from JSON. Raises ValueError, TypeError and KeyError for what is none."""
    if not isinstance(held, dict) or held.pop("schema", None) != SCHEMA:
        raise ValueError("it is not of this version")
    changes = tuple(_change(one) for one in held.pop("changes", ()))
    directories = tuple(_record(TouchedDirectory, one) for one in held.pop("directories", ()))
    entry: Entry = replace(_record(Entry, held), changes=changes, directories=directories)
    if entry.id != name or entry.state not in _STATES["Entry"] or not re.fullmatch(r"[0-9a-f]{16}", entry.token):
        raise ValueError("it is damaged")
    return entry


def _with_log(entry: Entry, path: str) -> Entry:
    """Return an entry with what its log tells, if it has one. Raises OSError, ValueError, TypeError and KeyError."""
    import json

    try:
        with open(path, "rb") as stream:
            data = stream.read(_LARGEST + 1)
    except FileNotFoundError:
        return entry
    if len(data) > _LARGEST:
        raise ValueError("its log is larger than any")
    shares: dict[int, ShareChange] = {}
    directories = {(one.base, one.path): one for one in entry.directories}
    for line in data.split(b"\n")[:-1]:  # what comes after the last end of a line is torn
        held = json.loads(line)
        if not isinstance(held, dict):
            raise ValueError("its log is damaged")  # noqa: TRY004 - as for all else that is damaged
        if "kind" not in held:
            directory = _record(TouchedDirectory, held)
            directories.setdefault((directory.base, directory.path), directory)
            continue
        change = _change(held)
        if not isinstance(change, ShareChange) or not _is_sound(change, entry.token):
            raise ValueError("its log is damaged")
        shares[change.number] = change
    changes = tuple(shares[number] for number in sorted(shares))
    made: Entry = replace(entry, changes=(*entry.changes, *changes), directories=tuple(directories.values()))
    return made


_IN_PLACE, _PUT_THERE = frozenset({"extents", "ranges"}), frozenset({"clone", "hardlink", "symlink"})
_SET_ID = 0o6000


def _is_sound(change: ShareChange, token: str) -> bool:
    """Whether a line can be one of ours: others would have us write where they like, or make what they like."""
    if change.base != "/" or not all(_is_plain(one) for one in (change.path, change.kept)):
        return False
    if change.how in _IN_PLACE:
        return not change.temporary
    ours = change.temporary == f".runworthy-{token}-{change.number}.tmp"
    return ours and change.how in _PUT_THERE and change.before.kind == "file" and not change.before.mode & _SET_ID


def _is_plain(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path


def _change(held: dict[str, Any]) -> Change:
    made: Change = _record(_CHANGES[held["kind"]], held)
    if made.state not in _STATES["Change"]:
        raise ValueError("it is damaged")
    return made


def _record(cls: type, held: dict[str, Any]) -> Any:  # noqa: ANN401 - an instance of cls
    """Return a record whose fields are of the kinds that they are by default. Raises ValueError, TypeError."""
    if not isinstance(held, dict):
        raise TypeError("it is damaged")
    nested = _NESTED.get(cls.__name__, {})
    made = cls(**{key: _record(nested[key], one) if key in nested else _tuples(one) for key, one in held.items()})
    for key in made.__slots__:
        wanted = _KINDS.get(cls.__annotations__[key].partition("[")[0])
        value = getattr(made, key)
        if wanted is not None and (type(value) is not wanted or not _is_possible(key, value)):
            raise ValueError(f"its {key} is damaged")
    return made


_TIME = 10**27
"""More nanoseconds than any file system counts, and fewer than seconds in 64 bits hold."""
_NUMBERS: Mapping[str, tuple[int, int]] = {
    "mode": (0, 0o7777),
    "uid": (0, 2**32 - 2),
    "gid": (0, 2**32 - 2),
    "atime": (-_TIME, _TIME),
    "mtime": (-_TIME, _TIME),
    "after": (-_TIME, _TIME),
    "size": (0, 2**63 - 1),
}
_PATHS = frozenset({"base", "path", "kept", "text"})


def _is_possible(key: str, value: Any) -> bool:  # noqa: ANN401 - what JSON may hold
    """Whether the system takes such a value, which has the right type, for what it is."""
    if key == "told":
        return len(value) in (0, 5) and all(type(one) is int and 0 <= one < 2**32 for one in value)
    if key == "xattrs":
        return all(_is_attribute(one) for one in value)
    if key in _PATHS:
        os.fsencode(value)
        return "\0" not in value
    if type(value) is not int or key not in _NUMBERS:  # what programs and kernels did has an ``after`` that is no time
        return True
    low, high = _NUMBERS[key]
    return bool(low <= value <= high)


def _is_attribute(pair: Any) -> bool:  # noqa: ANN401 - what JSON may hold
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
        return False
    return _BASE64.fullmatch(pair[1]) is not None and bool(pair[0]) and "\0" not in pair[0]


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


_KINDS: Mapping[str, type] = {"str": str, "int": int, "bool": bool, "tuple": tuple, "Literal": str}


def _tuples(value: Any) -> Any:  # noqa: ANN401 - what JSON may hold
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
