"""Packages made byte by byte: tar, .deb, .apk, cpio, .rpm.

Files are given as path -> bytes, None (a directory) or ``->link``.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from collections.abc import Callable, Mapping

__all__ = ["apk", "ar", "cpio", "deb", "ext", "mem", "rpm", "tar"]

Files = Mapping[str, bytes | str | None]
Packer = Callable[[bytes], bytes]


def tar(files: Files, pack: Packer = bytes, *, cut: bool = False) -> bytes:
    """Return a tar archive; ``cut`` leaves its end out, as Alpine does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, what in files.items():
            info = tarfile.TarInfo()
            info.name = name  # as it is, hostile or not
            if what is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            elif isinstance(what, str):
                info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, what.removeprefix("->")
                archive.addfile(info)
            else:
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
        end = archive.offset
    return pack(buffer.getvalue()[:end] if cut else buffer.getvalue())


def ar(members: Mapping[str, bytes]) -> bytes:
    """Return an ar archive."""
    data = b"!<arch>\n"
    for name, content in members.items():
        data += b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name.encode(), 0, 0, 0, 0o100644, len(content))
        data += content + b"\n" * (len(content) % 2)
    return data


def deb(files: Files, pack: Packer = gzip.compress) -> bytes:
    """Return a Debian package."""
    control = gzip.compress(tar({"./control": b"Package: x\n"}))
    return ar({"debian-binary": b"2.0\n", "control.tar.gz": control, "data.tar": pack(tar(files))})


def apk(files: Files) -> bytes:
    """Return an Alpine package (v2)."""
    parts = ({".SIGN.RSA.x": b"signature"}, {".PKGINFO": b"pkgname = x\n", ".post-install": b"#!/bin/sh\n"})
    return b"".join(tar(part, gzip.compress, cut=True) for part in parts) + tar(files, gzip.compress)


def mem(name: str, mode: int, data: bytes, *, inode: int = 0, links: int = 1) -> bytes:
    """Return one member of a cpio archive."""
    raw = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


def cpio(files: Files) -> bytes:
    """Return a cpio archive in the new ASCII format."""
    data = b""
    for number, (name, what) in enumerate(files.items(), start=1):
        if what is None:
            data += mem(name, 0o040755, b"", inode=number)
        elif isinstance(what, str):
            data += mem(name, 0o120777, what.removeprefix("->").encode(), inode=number)
        else:
            data += mem(name, 0o100644, what, inode=number)
    return data + mem("TRAILER!!!", 0, b"")


def ext(members: bytes) -> bytes:
    """Return an rpm package with these members of cpio."""
    return _rpm(members + mem("TRAILER!!!", 0, b""))


def rpm(files: Files, pack: Packer = gzip.compress) -> bytes:
    """Return an rpm package."""
    return _rpm(pack(cpio(files)))


def _rpm(payload: bytes) -> bytes:
    lead = b"\xed\xab\xee\xdb" + bytes(92)
    signature = _header(b"12345")
    return lead + signature + bytes(-len(signature) % 8) + _header(b"payload") + payload


def _header(store: bytes) -> bytes:
    entry = struct.pack(">IIII", 1000, 6, 0, 1)
    return b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", 1, len(store)) + entry + store
