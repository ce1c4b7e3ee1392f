"""What the collector (``collect.sh``) writes: lines, and behind ``+files`` the bytes of files.

After the head stand ``+fact NAME`` and the lines of the fact, each behind a space; then ``+entries`` and one line for
each file (mode in hexadecimal, size, links, device:inode, name), among which lines with a plus tell more:

    +closed PATH      the directory was not looked into
    +links N          N names, and as many lines that tell where these links lead
    +script PATH      a script, with its first line
    +plain PATH       neither ELF nor a script
    +files N          N lines with size and name, and the bytes of these files, one after the other
    +end              without it, the stream was cut off

A machine changes meanwhile: what is told of a file that was not there before, or was another one, is passed over.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from typing import Final

from runworthy.formats.package.member import inside
from runworthy.formats.package.streams import Slice
from runworthy.formats.stream import Stream, StreamError
from runworthy.model.host import BinfmtEntry, BinfmtMisc, Gpu, MachineFacts
from runworthy.targets.binfmt.live import Surroundings, doubt
from runworthy.targets.machine_facts import cpu_flags, nvidia_version, x86_64_level
from runworthy.targets.mounts import parse_mounts
from runworthy.targets.stream.kept import kept_of, kept_script
from runworthy.targets.stream.root import StreamRoot
from runworthy.targets.view import Entry, FileKind

__all__ = ["HEAD", "Facts", "machine_of", "read_collected"]

HEAD: Final = b"runworthy-collected "
_VERSION: Final = b"1\n"
_LINE: Final = 1 << 16
_FACTS: Final = 16 << 20
_BATCH: Final = 1 << 16
_SMALLEST_ELF: Final = 52
_DIGITS: Final = 18
_EXECUTE: Final = 0o111
_KINDS: Final[dict[int, FileKind]] = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
_HINT: Final = "print the collector again with `runworthy snapshot --script`; its output must come through unchanged"

Facts = dict[str, list[str]]
"""Name -> lines, in the order in which they came."""


class _Collected:
    """Reads one collection into a root."""

    def __init__(self, stream: Stream, root: StreamRoot, progress: Callable[[int, str], None] | None) -> None:
        self._stream = stream
        self._root = root
        self._progress = progress
        self._at = 0
        self._shared: set[object] = set()
        self._told: list[str] | None = None
        self.facts: Facts = {}

    def read(self) -> None:
        """Read all of it. Raises StreamError, OSError."""
        head = self._line()
        if head.removeprefix(HEAD) != _VERSION:
            how = "has carriage returns: a terminal was between" if b"\r" in head else "is of another version"
            raise StreamError(f"begins like the collector's, but {how}", hint="use `kubectl exec -i` without `-t`")
        while self._take(self._line()):
            pass
        self._root.spread(self._shared)

    def _take(self, line: bytes) -> bool:
        """Read what a line tells; return whether more is to come. Raises StreamError, OSError."""
        word, _, rest = line[1:-1].partition(b" ")
        if line == b"+end\n":
            return False
        if line == b"+entries\n":
            self._told = None
        elif line.startswith(b"+fact "):
            self._told = self.facts.setdefault(_text(rest), [])
        elif line.startswith(b"+"):
            self._more(word, rest)
        elif line.startswith(b" ") and self._told is not None:
            self._told.append(_text(line[1:-1]))
            if self._at > _FACTS:
                raise StreamError("tells more of a machine than any has")
        elif line != b"\n":
            self._entry(line[:-1])
        return True

    def _line(self) -> bytes:
        line = self._stream.line(self._at, _LINE)
        self._at += len(line)
        if not line.endswith(b"\n"):
            raise self._stream.cut_off()
        return line

    def _lines(self, count: bytes) -> list[bytes]:
        if not count.isdigit() or not 0 < int(count) <= _BATCH:
            raise _strange(count)
        return [self._line()[:-1] for _ in range(int(count))]

    def _entry(self, line: bytes) -> None:
        """Read one entry. Raises StreamError."""
        try:
            mode_text, size, links, inode, name = line.split(b" ", 4)
            mode = int(mode_text, 16)
            number = tuple(map(int, inode.split(b":"))) if int(links) > 1 else None
            kind = _KINDS.get(stat.S_IFMT(mode), "other")
            entry = Entry(kind, stat.S_IMODE(mode), int(size))
        except ValueError:
            raise _strange(line) from None
        if entry.size < 0:
            raise _strange(line)
        path = self._path(name)
        if number is not None and kind == "file":
            self._shared.add(number)
        least = 1 if entry.mode & _EXECUTE else _SMALLEST_ELF
        unseen = "unseen" if kind == "file" and entry.size >= least else None
        self._root.put(path, entry, kept=unseen, number=number)
        if self._progress is not None:
            self._progress(len(self._root), f"/{path}")

    def _more(self, word: bytes, rest: bytes) -> None:
        if word == b"links":
            names = self._lines(rest)
            for name, target in zip(names, self._lines(rest), strict=True):
                path, entry = self._named(name)
                if entry is not None and entry.kind == "link":
                    self._root.lead(path, _text(target))
        elif word == b"closed":
            self._root.closed.add(f"/{self._path(rest)}")
        elif word == b"plain":
            path, entry = self._named(rest)
            # What may be executed can be a file that binfmt_misc knows.
            if entry is not None and entry.kind == "file" and not entry.mode & _EXECUTE:
                self._root.know(path, None)
        elif word == b"script":
            path, entry = self._named(rest)
            line = self._line()[:-1]
            if entry is not None and entry.kind == "file" and entry.size > len(line):
                self._root.know(path, kept_script(line, entry.size))
        elif word == b"files":
            self._files(self._lines(rest))
        else:
            raise _strange(word)

    def _files(self, names: list[bytes]) -> None:
        for line in names:
            length, _, name = line.partition(b" ")
            if not length.isdigit() or len(length) > _DIGITS:
                raise _strange(line)
            path, entry = self._named(name)
            if entry is not None and entry.kind == "file" and 0 < entry.size == int(length):
                self._root.know(path, kept_of(Slice(self._stream, self._at, entry.size), path, entry.mode))
            self._at += int(length)
        if self._line() != b"\n" or self._stream.pread(self._at, 1) not in (b"+", b""):
            raise StreamError("has files of another length than it says: they changed meanwhile", hint="collect again")

    def _named(self, name: bytes) -> tuple[str, Entry | None]:
        """Return a path, and the entry that was told of before, None where there is none."""
        path = self._path(name)
        return path, self._root.has(path)

    def _path(self, name: bytes) -> str:
        return inside(_text(name), self._at)


def read_collected(stream: Stream, root: StreamRoot, progress: Callable[[int, str], None] | None = None) -> Facts:
    """Put what was collected into the root; return what was told of the machine.

    Raises StreamError, FormatError, OSError.
    """
    collected = _Collected(stream, root, progress)
    collected.read()
    return collected.facts


def machine_of(facts: Facts) -> MachineFacts | None:
    """Return the machine that the facts tell of, None where they tell of none. Raises StreamError."""
    arch, system = _first(facts, "uname-m"), _first(facts, "uname-s")
    if not arch:
        return None
    if system != "Linux":
        raise StreamError(f"tells of a machine with {system or 'an unknown system'}, not Linux")
    flags = cpu_flags("\n".join(facts.get("cpuinfo", ())))
    page = _digits(facts, "page-size")
    return MachineFacts(
        arch=arch,
        kernel=_first(facts, "uname-r"),
        level=x86_64_level(flags) if flags and arch in ("x86_64", "amd64") else 0,
        cpu_flags=flags,
        page_size=int(page) if page and len(page) < 8 else 0,
        binfmt=_binfmt(facts),
        mounts=parse_mounts(_whole(facts, "mountinfo")) if "mountinfo" in facts else None,
        gpus=tuple(_gpus(facts)),
        nvidia_driver=nvidia_version(_whole(facts, "nvidia-version")) or _first(facts, "nvidia-module"),
        os_release=_whole(facts, "os-release"),
    )


def _binfmt(facts: Facts) -> BinfmtMisc:
    if "binfmt-closed" in facts and not any(name.startswith("binfmt ") for name in facts):
        return BinfmtMisc(status="unreadable")
    owner = int(_digits(facts, "binfmt-owner") or "0") if "binfmt-status" in facts else None
    unknown = doubt(_surroundings(facts), owner)
    if owner is None:
        return BinfmtMisc(unknown=unknown)
    entries = [
        BinfmtEntry(name=name.removeprefix("binfmt "), text=_whole(facts, name) or None)
        for name in facts
        if name.startswith("binfmt ")
    ]
    closed = [BinfmtEntry(name=name, text=None) for name in facts.get("binfmt-closed", ())]
    enabled = _first(facts, "binfmt-status") == "enabled"
    return BinfmtMisc(status="enabled" if enabled else "disabled", entries=(*entries, *closed), unknown=unknown)


def _surroundings(facts: Facts) -> Surroundings:
    references = _digits(facts, "binfmt-references")
    return Surroundings(
        kernel=_first(facts, "uname-r"),
        user_namespace=_first(facts, "user-namespace"),
        uid_map=_whole(facts, "uid-map"),
        offered="filesystems" not in facts or "binfmt_misc" in _whole(facts, "filesystems").split(),
        references=int(references) if references else None,
    )


def _gpus(facts: Facts) -> Iterator[Gpu]:
    for row in facts.get("gpu", ()):
        address, vendor, device, driver, *_ = *row.split(" "), "", "", ""
        told = facts.get(f"nvidia-gpu {address}", ())
        model = next((line for line in told if line.startswith("Model:")), "")
        yield Gpu(address=address, vendor=vendor, device=device, driver=driver, name=model.partition(":")[2].strip())


def _first(facts: Facts, name: str) -> str:
    return next(iter(facts.get(name, ())), "").strip()


def _digits(facts: Facts, name: str) -> str:
    """Return a number as it is written, empty where there is none."""
    text = _first(facts, name)
    return text if text.isascii() and text.isdigit() and len(text) < 20 else ""


def _whole(facts: Facts, name: str) -> str:
    return "".join(f"{line}\n" for line in facts.get(name, ()))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _strange(line: bytes) -> StreamError:
    return StreamError(f"holds {line[:60]!r} where the collector writes nothing like it", hint=_HINT)
