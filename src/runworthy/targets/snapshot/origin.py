"""Which directory of which machine a snapshot was taken from: so that a file of that root is known to lie in it."""

from __future__ import annotations

import os
from hashlib import blake2b

__all__ = ["origin_of"]

_MACHINE_ID = "/etc/machine-id"


def origin_of(directory: str) -> str:
    """Return what is equal for one directory of one machine. Raises OSError.

    machine-id(5) asks that the identity of a machine be not told to others: it goes in keyed and hashed.
    """
    status = os.stat(directory)
    try:
        with open(_MACHINE_ID, "rb") as stream:
            machine = stream.read(64)
    except OSError:
        machine = b""
    told = b"%s\0%d\0%d" % (machine.strip(), status.st_dev, status.st_ino)
    return blake2b(told, key=b"runworthy snapshot", digest_size=16).hexdigest()
