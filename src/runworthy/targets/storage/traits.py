"""What is asked of an inode before it may become one with another, beside what the walk has seen of it."""

from __future__ import annotations

import os

from runworthy.model.storage import StoredFile, Traits
from runworthy.targets.storage.comparing import open_quietly
from runworthy.targets.storage.ioctls import APPEND, IMMUTABLE
from runworthy.targets.storage.told import comparable, flags_of, is_copied_on_write, told

__all__ = ["traits_of"]


def traits_of(file: StoredFile) -> Traits:
    """Return the traits of a file, which is opened once.

    Attributes are the extended ones (``xattr(7)``: capabilities, ACLs, labels), and what it was told by chattr(1) and
    its like. Those that cannot be read are like no others.
    """
    if not hasattr(os, "listxattr"):
        return Traits(())
    alone = (file.device, file.inode)
    try:
        fd = open_quietly(file.names[0])
    except OSError:
        return Traits(alone)
    try:
        flags = flags_of(fd)
        words = told(fd, flags)
        held = tuple((name, os.getxattr(fd, name)) for name in sorted(os.listxattr(fd)))
        attributes = held, comparable(words)
        return Traits(attributes, bool(flags & (APPEND | IMMUTABLE)), is_copied_on_write(words))
    except OSError:
        return Traits(alone)
    finally:
        os.close(fd)
