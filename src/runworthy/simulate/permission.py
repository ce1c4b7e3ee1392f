"""Whether somebody may execute, search or write: the permission bits, access control lists, capabilities.

Source: Linux ``fs/namei.c`` (acl_permission_check, generic_permission), ``fs/posix_acl.c`` (posix_acl_permission),
``kernel/capability.c`` (privileged_wrt_inode_uidgid). Who it is that executes is known of the host alone, where it is
taken to be whoever asks; of any other target it is not. Security modules are not modelled.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from struct import iter_unpack

from runworthy.model.credentials import Credentials, Owner
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["EXECUTE", "READ", "WRITE", "denied", "forbidden", "only_for_some"]

EXECUTE, WRITE, READ = 1, 2, 4
_EVERYBODY = 0o111
_NAMES = {EXECUTE: "execute", WRITE: "write", READ: "read"}
_ACL_HEADER, _ACL_ENTRY = 4, "<HHI"
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK = 1, 2, 4, 8, 16  # the rest is ACL_OTHER


def denied(target: Target, real: str, wanted: int = EXECUTE) -> str:
    """Return why nobody, or the user who executes where that is known, is let at a file; empty where somebody is.

    A file that was placed in a target gets its mode when it is installed.
    """
    if real.startswith(f"{SUBJECT_ROOT}/"):
        return ""
    who = target.credentials
    if who is not None and (closed := _closed(target, who, real)):
        return closed
    mode = _mode(target.view, real)
    if mode is None:
        return ""
    if wanted == EXECUTE and not mode & _EVERYBODY:
        return "no execute permission is set"
    if who is None:
        return ""
    owner = _owner(target.view, real)
    if _may(who, owner, mode, wanted, is_directory=False):
        return ""
    return f"user {who.uid} may not {_NAMES[wanted]} it (mode {mode & 0o7777:04o}, of user {owner.uid})"


def forbidden(target: Target, directory: str, wanted: int) -> str:
    """Return why the user who executes has no such permission for a real directory; empty where that is not known."""
    who = target.credentials
    if who is None or directory.startswith(SUBJECT_ROOT):
        return ""
    if closed := _closed(target, who, directory):
        return closed
    mode = _mode(target.view, directory)
    if mode is None:
        return ""
    owner = _owner(target.view, directory)
    if _may(who, owner, mode, wanted, is_directory=True):
        return ""
    return f"user {who.uid} may not write in {directory} (mode {mode & 0o7777:04o}, of user {owner.uid})"


def only_for_some(target: Target, real: str) -> str:
    """Return in words who may execute a file, where that is not everybody and nobody knows who will; else empty."""
    if target.credentials is not None or target.view.authority is not None or real.startswith(f"{SUBJECT_ROOT}/"):
        return ""
    for path, what in ((real, "its mode"), *((one, f"the mode of {one}") for one in _above(real))):
        mode = _mode(target.view, path)
        if mode is not None and mode & _EVERYBODY and mode & _EVERYBODY != _EVERYBODY:
            return f"it is executed by root, or by whom {what}, {mode & 0o7777:04o}, lets"
    return ""


def _closed(target: Target, who: Credentials, real: str) -> str:
    """Return which directory above a file the user may not search, empty where none is in the way."""
    if who.override and who.nobody is None:
        return ""
    for path in _above(real):
        mode = _mode(target.view, path)
        if mode is not None and not _may(who, _owner(target.view, path), mode, EXECUTE, is_directory=True):
            return f"user {who.uid} may not search {path} (mode {mode & 0o7777:04o})"
    return ""


def _above(real: str) -> Iterator[str]:
    directory = posixpath.dirname(real)
    while directory != "/":
        yield directory
        directory = posixpath.dirname(directory)


def _may(who: Credentials, owner: Owner, mode: int, wanted: int, *, is_directory: bool) -> bool:
    """Whether the kernel lets a user at an inode (generic_permission)."""
    if _by_bits(who, owner, mode, wanted):
        return True
    if who.nobody is not None and who.nobody in (owner.uid, owner.gid):
        return False
    if who.override and (is_directory or wanted != EXECUTE or mode & _EVERYBODY):
        return True
    return who.search and (wanted == READ or (is_directory and wanted & WRITE == 0))


def _by_bits(who: Credentials, owner: Owner, mode: int, wanted: int) -> bool:
    if who.uid == owner.uid:
        return (mode >> 6) & wanted == wanted
    if owner.acl and mode & 0o070:
        return _by_list(who, owner, wanted)
    return (mode >> (3 if who.has_group(owner.gid) else 0)) & wanted == wanted


def _by_list(who: Credentials, owner: Owner, wanted: int) -> bool:
    """Whether an access control list gives a permission: the first entry that is the user's, else one of a group."""
    data = owner.acl[_ACL_HEADER:]
    entries: list[tuple[int, int, int]] = list(iter_unpack(_ACL_ENTRY, data[: len(data) // 8 * 8]))
    mask = next((perm for tag, perm, _ in entries if tag == _MASK), 7)
    grouped = False
    for tag, perm, number in entries:
        if tag == _USER and number == who.uid:
            return perm & mask & wanted == wanted
        of_group = (tag == _GROUP_OBJ and who.has_group(owner.gid)) or (tag == _GROUP and who.has_group(number))
        grouped = grouped or of_group
        if of_group and perm & wanted == wanted:
            return mask & wanted == wanted
        if tag not in (_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK):
            return not grouped and perm & wanted == wanted
    return False


def _mode(view: FileView, real: str) -> int | None:
    """Return the permission bits of a file, None where they are not known."""
    try:
        return view.mode(real)
    except (OSError, UnseenError):
        return None


def _owner(view: FileView, real: str) -> Owner:
    """Return to whom a file belongs; what is put there anew is root's."""
    try:
        return view.owner(real) or Owner()
    except (OSError, UnseenError):
        return Owner()
