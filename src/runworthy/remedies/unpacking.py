"""Archives in which builds come, laid into a directory: wheels and zip files, and tar files as npm packs them.

Names that lead out of the directory, links, devices and what is too large are left out: nothing in an archive decides
where anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, NamedTuple

from runworthy.model.errors import FormatError

__all__ = ["UNPACKED", "unpacked"]

UNPACKED = (".whl", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_MEMBERS, _BYTES, _BLOCK = 100_000, 4 << 30, 1 << 20


class _Member(NamedTuple):
    name: str
    size: int
    opened: AbstractContextManager[IO[bytes]]
    runs: bool


def unpacked(archive: str, scratch: str) -> str:
    """Return a new directory below ``scratch`` that holds the regular files of an archive.

    Raises FormatError where it is no such archive or holds too much, OSError.
    """
    import lzma
    import tarfile
    import zipfile
    import zlib
    from tempfile import mkdtemp

    directory = mkdtemp(prefix="build-", dir=scratch)
    members = _zipped(archive) if archive.lower().endswith((".whl", ".zip")) else _tarred(archive)
    broken = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
    try:
        _lay(members, directory, archive)
    except (*broken, RuntimeError) as error:  # the last: it is encrypted
        raise FormatError(f"cannot be unpacked: {error}", path=archive) from error
    return directory


def _lay(members: Iterator[_Member], directory: str, archive: str) -> None:
    left = _BYTES
    for count, member in enumerate(members):
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if ".." in parts or member.name.startswith("/") or not parts or "\0" in member.name or "\\" in member.name:
            continue
        left -= member.size
        if left < 0 or count >= _MEMBERS:
            raise FormatError("it holds more than is unpacked", path=archive)
        _write(os.path.join(directory, *parts), member)


def _write(path: str, member: _Member) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with member.opened as source, open(path, "xb") as file:
            left = member.size  # what an archive says that a member holds is all that is read of it
            while left > 0 and (data := source.read(min(left, _BLOCK))):
                file.write(data)
                left -= len(data)
            os.chmod(file.fileno(), 0o755 if member.runs else 0o644)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return  # a name that stands there twice


def _zipped(archive: str) -> Iterator[_Member]:
    import zipfile

    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = info.external_attr >> 28
            if not info.is_dir() and kind in (0, 8):  # S_IFREG >> 12, or none stated
                yield _Member(info.filename, info.file_size, file.open(info), bool(info.external_attr >> 16 & 1))


def _tarred(archive: str) -> Iterator[_Member]:
    import tarfile
    from contextlib import nullcontext

    with tarfile.open(archive) as file:
        for info in file:
            source = file.extractfile(info) if info.isreg() else None
            if source is not None:
                yield _Member(info.name, info.size, nullcontext(source), bool(info.mode & 1))
