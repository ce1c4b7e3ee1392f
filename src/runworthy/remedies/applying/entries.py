"""One entry of a directory is changed, or changed back.

What is new is written beside what it replaces, under a hidden name, and takes its place by a rename; what was there is
kept alive by a hard link where one can be made, so that going back gives the very file with its links and times.
Each step can be the last one that is made: :func:`standing` tells from what lies there how far it came.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Final, Literal

from runworthy.model.errors import RemedyError
from runworthy.model.records import dataclass, replace
from runworthy.remedies.applying.inodes import Content, dress, from_file, is_same, look, looks_like, put, times
from runworthy.remedies.applying.troubles import changed, reason
from runworthy.remedies.applying.walking import Folder, reach
from runworthy.remedies.journal import ABSENT, FileChange, Held

__all__ = ["Standing", "Work"]

Standing = Literal["before", "after", "other"]
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES})
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
_ELSEWHERE: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EXDEV})


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one change needs to be made and taken back. ``kept`` is the journal's directory for what was there."""

    change: FileChange
    kept: str
    token: str
    number: int

    def hidden(self, ending: str) -> str:
        """Return the name under which something lies beside the file for a while."""
        return f".runworthy-{self.token}-{self.number}.{ending}"

    @contextlib.contextmanager
    def _spot(self) -> Iterator[tuple[Folder, str]]:
        spot = reach(self.change.base, self.change.path)
        with spot.folder:
            if spot.missing:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.change.path)
            yield spot.folder, spot.name

    # -- forwards ----------------------------------------------------------------------------

    def prepare(self, content: Content | None) -> tuple[FileChange, tuple[str, ...]]:
        """Keep what is there and write what is to take its place.

        Returns the change with all that is known now, and the attributes that what is new could not get. Raises
        OSError, RemedyError.
        """
        with self._spot() as (folder, name):
            self._unchanged(folder, name)
            change = self.change
            if not change.in_place:
                change = replace(change, backup=self._keep(folder, name))
            if content is None:
                return change, ()
            digest, lost = put(folder, self.hidden("new"), content, change.after)
            if change.after.sha256 not in ("", digest):
                raise changed()
            return replace(change, after=replace(change.after, sha256=digest)), lost

    def do(self) -> None:
        """Make the change; all of it is on the device when this returns. Raises OSError."""
        before, after = self.change.before, self.change.after
        with self._spot() as (folder, name):
            self._unchanged(folder, name)
            if self.change.in_place:
                _set_mode(folder, name, before, after.mode)
            elif after.kind == "file":
                _move_in(folder, self.hidden("new"), name, exclusive=before.kind == "absent")
            elif after.kind == "link" and before.kind == "absent":
                os.symlink(after.text, name, dir_fd=folder.fd)
            elif after.kind == "link":
                os.symlink(after.text, self.hidden("new"), dir_fd=folder.fd)
                _own(folder, self.hidden("new"), before)
                _move_in(folder, self.hidden("new"), name, exclusive=False)
            elif after.kind == "directory":
                os.mkdir(name, after.mode, dir_fd=folder.fd)
                _set_mode(folder, name, look(folder, name, contents=False), after.mode)
            elif before.kind == "directory":
                os.rmdir(name, dir_fd=folder.fd)
            else:
                os.unlink(name, dir_fd=folder.fd)
            folder.sync()

    def _unchanged(self, folder: Folder, name: str) -> None:
        if not is_same(look(folder, name, contents=False), self.change.before):
            raise changed()

    def _keep(self, folder: Folder, name: str) -> Literal["link", "beside", "copy", ""]:
        """Keep what is there; return how. Raises OSError."""
        before = self.change.before
        if before.kind not in ("file", "link"):
            return ""
        backup = os.path.join(self.kept, str(self.number))
        if os.stat(self.kept).st_dev == before.device and _linked(folder, name, backup):
            _check(os.stat(backup, follow_symlinks=False), before)
            _lock_in(self.kept)
            return "link"
        if before.links > 1 and _linked(folder, name, self.hidden("kept"), beside=True):
            _check(os.stat(self.hidden("kept"), dir_fd=folder.fd, follow_symlinks=False), before)
            folder.sync()
            return "beside"
        if before.kind == "link":
            return ""
        try:
            self._copy(folder, name)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise RemedyError(f"what is there cannot be kept in {self.kept}: {reason(error)}") from error
        return "copy"

    def _copy(self, folder: Folder, name: str) -> None:
        with _folder(self.kept) as kept:
            plain = Held(kind="file", mode=0o600, uid=os.geteuid(), gid=os.getegid())
            digest, _ = put(kept, str(self.number), from_file(folder, name, self.change.before), plain)
            if digest != self.change.before.sha256:
                raise changed()
            kept.sync()

    # -- where it stands, and back -----------------------------------------------------------

    def standing(self) -> Standing:
        """Return whether the entry is as it was before, as it was to be, or something else. Raises OSError."""
        before, after = self.change.before, self.change.after
        try:
            with self._spot() as (folder, name):
                now = look(folder, name, contents=not self.change.in_place)
        except FileNotFoundError:
            now = ABSENT
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                raise
            return "other"  # somebody has put a link or a file in the place of a directory
        if self.change.in_place:
            modes = {before.mode: "before", after.mode: "after"} if now.kind == before.kind else {}
            return modes.get(now.mode, "other")  # type: ignore[return-value]
        if (
            now.kind == before.kind
            and now.inode == before.inode
            and (now.sha256, now.text) == (before.sha256, before.text)
        ):
            return "before"
        if (after.kind == "directory" and now.kind == "directory") or looks_like(now, after):
            return "after"
        return "before" if looks_like(now, before) else "other"

    def ready_back(self) -> None:
        """Write what has to be written for going back, so that only renames are left. Raises OSError, RemedyError."""
        self.tidy(kept=False)
        if self.change.in_place or self.change.before.kind == "absent":
            return
        with contextlib.suppress(FileNotFoundError), self._spot() as (folder, _name):
            if _kept_at(self, folder) is None:
                self._made_back(folder)

    def _made_back(self, folder: Folder) -> None:
        before, name = self.change.before, self.hidden("back")
        if before.kind == "directory":
            os.mkdir(name, 0o700, dir_fd=folder.fd)
            _dress_directory(folder, name, before)
        elif before.kind == "link":
            os.symlink(before.text, name, dir_fd=folder.fd)
            _own(folder, name, before)
            times(folder, name, before)
        else:
            with _folder(self.kept) as kept:
                held = look(kept, str(self.number))
                if held.sha256 != before.sha256:
                    raise RemedyError(f"what was kept of {self.change.path} is damaged")
                put(folder, name, from_file(kept, str(self.number), held), before, exact=True)

    def back(self) -> str:
        """Go back; return what of it could not be done, if there is anything. Raises OSError, RemedyError."""
        before = self.change.before
        with self._spot() as (folder, name):
            if self.change.in_place:
                _set_mode(folder, name, look(folder, name, contents=False), before.mode)
            elif before.kind == "absent":
                if (said := _taken_away(folder, name)) != "":
                    return said
            elif (place := _kept_at(self, folder)) is not None:
                directory, kept = place
                os.rename(kept, name, src_dir_fd=directory, dst_dir_fd=folder.fd)
            else:
                if folder.stat(self.hidden("back")) is None:  # its directory was not there to be made ready
                    self._made_back(folder)
                os.rename(self.hidden("back"), name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
            folder.sync()
        return ""

    def tidy(self, *, kept: bool) -> None:
        """Remove what lies beside the file; what is kept of it too where ``kept`` says so. Raises OSError."""
        endings = ("new", "back", "kept") if kept else ("new", "back")
        with contextlib.suppress(FileNotFoundError), self._spot() as (folder, _name):
            for ending in endings:
                if folder.stat(self.hidden(ending)) is not None:  # a read-only file system refuses either way
                    _removed(folder, self.hidden(ending))


def _kept_at(work: Work, folder: Folder) -> tuple[int | None, str] | None:
    """Return where the very file that was there before is kept: an open directory and a name, or a path."""
    before = work.change.before
    backup = os.path.join(work.kept, str(work.number))
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(backup, follow_symlinks=False)
        if (status.st_dev, status.st_ino) == (os.fstat(folder.fd).st_dev, before.inode):
            return None, backup
    status_beside = folder.stat(work.hidden("kept"))
    if status_beside is not None and status_beside.st_ino == before.inode:
        return folder.fd, work.hidden("kept")
    return None


def _lock_in(directory: str) -> None:
    """Have the names in a directory of our own written to the device. Raises OSError."""
    with _folder(directory) as folder:
        folder.sync()


@contextlib.contextmanager
def _folder(directory: str) -> Iterator[Folder]:
    flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
    with Folder(os.open(directory, flags), directory, "/") as folder:
        yield folder


def _linked(folder: Folder, name: str, new: str, *, beside: bool = False) -> bool:
    """Give a file a second name; return whether that is possible there. Raises OSError."""
    try:
        os.link(name, new, src_dir_fd=folder.fd, dst_dir_fd=folder.fd if beside else None, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def _check(status: os.stat_result, before: Held) -> None:
    if (status.st_dev, status.st_ino) != (before.device, before.inode):
        raise changed()


def _move_in(folder: Folder, made: str, name: str, *, exclusive: bool) -> None:
    """Give a file that was made its name; ``exclusive``: only where nothing has it. Raises OSError."""
    if exclusive and _linked(folder, made, name, beside=True):
        os.unlink(made, dir_fd=folder.fd)
        return
    if exclusive and folder.stat(name) is not None:
        raise changed()
    os.rename(made, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)


def _own(folder: Folder, name: str, held: Held) -> None:
    status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
    if (status.st_uid, status.st_gid) != (held.uid, held.gid):
        os.chown(name, held.uid, held.gid, dir_fd=folder.fd, follow_symlinks=False)


def _set_mode(folder: Folder, name: str, held: Held, mode: int) -> None:
    """Set the permissions of the entry that was looked at, and of no other. Raises OSError."""
    flags = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    fd = os.open(name, flags, dir_fd=folder.fd)
    try:
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != (held.device, held.inode):
            raise changed()
        os.chmod(f"/proc/self/fd/{fd}", mode)  # fchmod takes no descriptor of this kind (open(2), O_PATH)
    finally:
        os.close(fd)


def _dress_directory(folder: Folder, name: str, held: Held) -> None:
    flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    fd = os.open(name, flags, dir_fd=folder.fd)
    try:
        dress(fd, held)
        os.utime(fd, ns=(held.atime, held.mtime))
        os.fsync(fd)
    finally:
        os.close(fd)


def _taken_away(folder: Folder, name: str) -> str:
    """Take away what was made; a directory that others use by now is left, and that is returned in words."""
    try:
        _removed(folder, name)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return f"{folder.path.rstrip('/')}/{name} was made for it and is left, as it holds other files by now"
    return ""


def _removed(folder: Folder, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder.fd)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=folder.fd)
