"""Which directory of which machine a snapshot was taken of: so that a file of that root is known to lie in it."""

from __future__ import annotations

import os

__all__ = ["is_origin", "origin_of"]

_MACHINE_ID = "/etc/machine-id"


def origin_of(directory: str) -> str:
    """Return what is equal for one directory of one machine. Raises OSError."""
    return f"{_place(directory)}{_machine()}"


def is_origin(directory: str, origin: str) -> bool:
    """Whether ``origin`` is that of the directory. Raises OSError."""
    return origin.startswith(_place(directory)) and origin == origin_of(directory)


def _place(directory: str) -> str:
    status = os.stat(directory)
    return f"{status.st_dev}:{status.st_ino}:"


def _machine() -> str:
    """Return what is equal for one machine: machine-id(5) asks that it be told to others only keyed and hashed."""
    from hashlib import blake2b

    try:
        with open(_MACHINE_ID, "rb") as stream:
            told = stream.read(64).strip()
    except OSError:
        told = b""
    return blake2b(told, key=b"runworthy snapshot", digest_size=16).hexdigest()
