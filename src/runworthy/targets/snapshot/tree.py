"""A directory of this machine as a root that is walked once."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Hashable, Iterable

from runworthy.formats.content import Content, FileContent
from runworthy.targets.directory import DirectoryView
from runworthy.targets.view import Entry, Resolved, failure

__all__ = ["TreeView"]


class TreeView(DirectoryView):
    """A DirectoryView that remembers nothing, so that a walk over everything costs no memory."""

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of a real directory, None when there is none. Raises OSError."""
        return self._look(directory, name)

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""
        self.trail.take()
        return os.listdir(self.host_path(directory))

    def content(self, real: str) -> Content:
        """Return the bytes of the regular file at a real path. Raises OSError."""
        path = self.host_path(real)
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise failure(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EACCES, real)
        return FileContent(path, status.st_size)

    def identity(self, found: Resolved) -> Hashable:
        """Return device and inode as one number, the smallest thing that hundreds of thousands can be kept of."""
        try:
            status = os.lstat(self.host_path(found.path))
        except OSError:
            return found.path
        return status.st_dev << 64 | status.st_ino
