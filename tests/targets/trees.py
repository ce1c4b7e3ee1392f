"""Trees of files on this machine, made from descriptions, and the kernel asked about paths inside them."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st

SYS_OPENAT2 = 437
RESOLVE_IN_ROOT = 0x10
O_PATH = 0o10000000
NAMES = ("a", "b", "c", "lib", "usr")
"""Few names, so that paths and links meet what is there."""

Tree = Mapping[str, str | None]
"""Relative path -> text of a link (``->x``), content of a file, or None for a directory."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def build(root: Path, tree: Tree) -> None:
    """Make the tree; what has no room (a file stands where a directory is needed) is left out."""
    for path, what in tree.items():
        at = root / path
        try:
            at.parent.mkdir(parents=True, exist_ok=True)
            if what is None:
                at.mkdir(exist_ok=True)
            elif what.startswith("->"):
                at.symlink_to(what[2:])
            elif not at.is_symlink():
                at.write_text(what)
        except (FileExistsError, NotADirectoryError, IsADirectoryError, FileNotFoundError, OSError):
            continue


def kernel_resolve(root: Path, path: str) -> int | tuple[int, int]:
    """Return device and inode of what the kernel finds at ``path`` in ``root``, or an errno (openat2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    how = _OpenHow(O_PATH | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT)
    directory = os.open(root, O_PATH | os.O_DIRECTORY)
    try:
        while True:
            found = libc.syscall(
                SYS_OPENAT2, directory, os.fsencode(path), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
            )
            number = ctypes.get_errno()
            if found >= 0:
                status = os.fstat(found)
                os.close(found)
                return status.st_dev, status.st_ino
            if number != errno.EAGAIN:
                return number
    finally:
        os.close(directory)


def kernel_can() -> bool:
    """Whether this kernel resolves inside a root (Linux 5.6)."""
    try:
        return not isinstance(kernel_resolve(Path("/"), "/"), int)
    except (OSError, AttributeError):
        return False


names = st.sampled_from(NAMES)
pieces = st.sampled_from((*NAMES, *NAMES, "..", ".", ""))
paths = st.lists(pieces, min_size=1, max_size=6).map(lambda parts: "/" + "/".join(parts))
targets = st.tuples(st.sampled_from(("", "/", "../", "./")), st.lists(pieces, min_size=1, max_size=4)).map(
    lambda parts: (parts[0] + "/".join(parts[1])) or "."
)
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=4).map("/".join),
    st.one_of(st.none(), st.just("text"), targets.map("->{}".format), targets.map("->{}".format)),
    max_size=14,
)
