"""A root out of a pipe, in one pass and in bounded memory, whatever its length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from runworthy.formats.package.member import Member
from runworthy.formats.package.sparse import Sparse
from runworthy.formats.package.streams import UNPACKED_LIMIT, Read
from runworthy.formats.package.tar import is_tar, read_tar
from runworthy.formats.stream import Stream, StreamError
from runworthy.model.errors import FormatError, TargetError
from runworthy.model.host import MachineFacts
from runworthy.targets.host import root_target
from runworthy.targets.stream.collected import HEAD, machine_of, read_collected
from runworthy.targets.stream.kept import kept_of
from runworthy.targets.stream.root import StreamRoot
from runworthy.targets.view import Entry

__all__ = ["Streamed", "collector", "read_stream"]

_BLOCK: Final = 512
_AFTER: Final = 64 << 20
"""What is read behind the end of a root (bytes), so that whoever writes it does not end with a broken pipe."""
_PSEUDO: Final = ("proc", "sys")
_TAR_HINT: Final = "send a root, as in `ssh HOST tar -cf - --one-file-system / | runworthy snapshot - -o FILE`"
_SHOWN: Final = 120

Progress = Callable[[int, str], None]
"""Told how many entries have been read, and the path it is at."""


class Streamed(NamedTuple):
    """A root that came through a pipe. ``machine`` is None where only files were told of."""

    root: StreamRoot
    machine: MachineFacts | None


def read_stream(read: Read, progress: Progress | None = None) -> Streamed:
    """Return the root in a stream: a tar archive, packed or not, or what the collector writes.

    ``read`` returns as many bytes as it is asked for, fewer only at the end. Raises TargetError for a stream that is
    damaged, cut off, hostile or no root, OSError.
    """
    try:
        return _read(Stream(read), progress)
    except StreamError as error:
        raise TargetError(f"the stream {error}", hint=error.hint) from error
    except FormatError as error:
        raise TargetError(f"the stream {error.message}", hint="it is damaged, or was made to do damage") from error


def _read(stream: Stream, progress: Progress | None) -> Streamed:
    root = StreamRoot()
    head = stream.pread(0, _BLOCK)
    if head.startswith(HEAD):
        return Streamed(root, machine_of(read_collected(stream, root, progress)))
    if not head:
        raise StreamError("is empty", hint="did the command on the other side fail?")
    if not is_tar(head) and any(head):
        raise StreamError(f"is no tar archive; it begins with {_first_line(head)}", hint=_TAR_HINT)
    _read_tar(stream, root, progress)
    stream.drain(_AFTER)
    _judge(root)
    return Streamed(root, None)


def collector() -> str:
    """Return the shell script whose output :func:`read_stream` reads."""
    from importlib.resources import files

    return (files("runworthy.targets.stream") / "collect.sh").read_text(encoding="ascii")


def _read_tar(stream: Stream, root: StreamRoot, progress: Progress | None) -> None:
    holes = 0
    for member in read_tar(stream, whole=True):
        top, slash, _ = member.path.partition("/")
        if slash and top in _PSEUDO:  # what the kernel showed there is no part of the root
            if f"/{top}" not in root.closed:
                root.put(top, Entry("dir", 0o555))
                root.closed.add(f"/{top}")
            continue
        if isinstance(member.content, Sparse):
            holes += min(member.content.size - member.content.stored.size, UNPACKED_LIMIT // 16)
            if holes > UNPACKED_LIMIT:
                raise StreamError("holds too many files with holes: it is no root, but a bomb")
        _put(root, member)
        if progress is not None:
            progress(len(root), f"/{member.path}")


def _put(root: StreamRoot, member: Member) -> None:
    path, content = member.path, member.content
    if member.kind == "hard-link":
        root.put_again(path, member.target)
    elif content is not None:
        kept = kept_of(content, path, member.mode) if content.size else None
        root.put(path, Entry("file", member.mode, content.size), kept=kept)
    elif member.kind == "link":
        if not member.target:
            raise StreamError(f"holds the symbolic link `{path[:200]}` to nothing")
        length = len(member.target.encode("utf-8", "surrogateescape"))
        root.put(path, Entry("link", 0o777, length, member.target))
    else:
        root.put(path, Entry("dir" if member.kind == "dir" else "other", member.mode))


def _judge(root: StreamRoot) -> None:
    """Raise StreamError for a tar archive of something else than a root."""
    if not len(root):
        raise StreamError("is a tar archive without files", hint=_TAR_HINT)
    if root.has("manifest.json") or root.has("oci-layout"):
        raise StreamError("holds images, not a root", hint="`docker export CONTAINER` streams the root of a container")
    try:
        root_target(root, "the stream", "the stream", None, None)
    except TargetError as error:
        raise StreamError(str(error).removeprefix("the stream "), hint=error.hint) from None


def _first_line(head: bytes) -> str:
    line = head.partition(b"\n")[0][:_SHOWN]
    return repr(line)[1:]
