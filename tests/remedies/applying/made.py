"""Trees with all that a file system keeps about them, to be compared before and after."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runworthy.model.edit import (
    CopyFile,
    Edit,
    EditText,
    LinkFile,
    PatchBytes,
    RemoveDirectory,
    RemoveFile,
    SetMode,
    WriteFile,
)

__all__ = ["SCENARIOS", "Dump", "dump", "furnish", "read", "world"]

Dump = dict[str, tuple[Any, ...]]


def dump(root: Path, *, links: bool = True, times: bool = True) -> Dump:
    """Everything below a directory: kinds, bytes, modes, owners, times, attributes, and which names are one file.

    Without ``links`` the number of links is left out, which what a journal keeps counts in; times of directories and
    of files without ``times``.
    """
    found: Dump = {}
    groups: dict[tuple[int, int], list[str]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        name = re.sub(r"\.runworthy-[0-9a-f]{16}-", ".runworthy-TOKEN-", str(path.relative_to(root)))
        kind = stat.S_IFMT(status.st_mode)
        follow = kind != stat.S_IFLNK
        attributes = {
            one: os.getxattr(path, one, follow_symlinks=follow) for one in os.listxattr(path, follow_symlinks=follow)
        }
        held: bytes | str = b""
        if kind == stat.S_IFREG:
            held = read(path)
            groups.setdefault((status.st_dev, status.st_ino), []).append(name)
        elif kind == stat.S_IFLNK:
            held = os.readlink(path)
        found[name] = (
            (kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, held, attributes)
            + ((status.st_mtime_ns, status.st_atime_ns if kind == stat.S_IFREG else 0) if times else ())
            + ((status.st_nlink,) if links else ())
        )
    for names in groups.values():
        if len(names) > 1:
            found[f"one file: {names}"] = ()
    return found


def read(path: Path) -> bytes:
    """The bytes of a file, whose time of access stays."""
    with open(os.open(path, os.O_RDONLY | os.O_NOATIME), "rb") as stream:
        return stream.read()


ACL = bytes.fromhex("0200000001000600ffffffff020007000000000004000400ffffffff10000700ffffffff20000400ffffffff")
"""user::rw-, user:0:rwx, group::r--, mask::rwx, other::r--: version 2 of posix_acl_xattr.h."""


def furnish(root: Path) -> Path:
    """Make a tree with every kind of thing that has to come back."""
    for directory in ("bin", "etc", "lib/deep", "empty", "locked"):
        (root / directory).mkdir(parents=True)
    (root / "etc/text").write_bytes(b"one\ntwo\n")
    (root / "bin/app").write_bytes(b"\x7fELF" + bytes(range(256)) * 40)
    (root / "bin/app").chmod(0o4711)
    os.setxattr(root / "bin/app", "user.note", b"\0kept\xff")
    (root / "bin/named").write_bytes(b"a name of two\n")
    os.link(root / "bin/named", root / "lib/deep/other-name")
    (root / "bin/link").symlink_to("app")
    (root / "locked/file").write_bytes(b"locked")
    (root / "lib/old").symlink_to("nowhere")
    with open(root / "lib/sparse", "wb") as stream:
        stream.seek(1 << 20)
        stream.write(b"end")
    if os.geteuid() == 0:
        os.setxattr(root / "etc/text", "system.posix_acl_access", ACL)
        for held, owner in (("etc/text", 1234), ("lib/sparse", 4321)):
            os.chown(root / held, owner, owner)
        os.setxattr(
            root / "bin/named", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000")
        )
    (root / "locked").chmod(0o555)
    (root / "lib/deep").chmod(0o2755)
    for number, path in enumerate([root, *sorted(root.rglob("*"))]):
        past = 1_600_000_000_123_456_789 + number * 1_000_000_007
        os.utime(path, ns=(past + 11, past), follow_symlinks=False)
    return root


def world(place: Path) -> Path:
    """Make the tree in a directory of its own."""
    root = place / "root"
    root.mkdir(parents=True)
    return furnish(root)


def _several() -> Sequence[Edit]:
    return (
        EditText(path="/etc/text", before=b"one\ntwo\n", after=b"one\n2\nthree\n", what="other lines"),
        PatchBytes(path="/bin/app", offset=4, before=b"\0\1", after=b"\7\7", what="two bytes"),
        PatchBytes(path="/bin/link", offset=6, before=b"\2", after=b"\7", what="one more byte, through a link"),
        WriteFile(path="/bin/named", content=b"another file\n", mode=0o755),
        CopyFile(path="/usr/local/copy", source="/bin/app", head=b"HEAD", mode=0o755),
        SetMode(path="/lib/sparse", mode=0o751),
        LinkFile(path="/lib/old", text="../bin/app"),
        LinkFile(path="/locked/new", text="file"),
        RemoveFile(path="/locked/file"),
        RemoveDirectory(path="/empty"),
    )


SCENARIOS: dict[str, Callable[[], Sequence[Edit]]] = {
    "edit": lambda: (EditText(path="/etc/text", before=b"one\ntwo\n", after=b"2\n", what="shorter"),),
    "chmod": lambda: (SetMode(path="/bin/app", mode=0o755),),
    "new": lambda: (WriteFile(path="/new/dir/file", content=b"new\n"),),
    "replaced": lambda: (WriteFile(path="/bin/named", content=b"new\n", mode=0o600),),
    "link": lambda: (LinkFile(path="/lib/old", text="deep"),),
    "removed": lambda: (RemoveFile(path="/lib/deep/other-name"),),
    "several": _several,
}
