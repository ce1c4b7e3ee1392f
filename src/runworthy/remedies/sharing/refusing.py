"""Why a file is left as it is: the rules that keep sharing safe, asked of the open files at the time of the act.

A plan may be old, or wrong: nothing that it says is believed here.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from runworthy.model.edit import ShareFile
from runworthy.model.records import dataclass
from runworthy.model.storage import BARS
from runworthy.remedies.sharing.opened import Name, Opened, Refused
from runworthy.targets.storage.told import Told, are_alike, is_copied_on_write, is_sealed

__all__ = ["Pair", "cannot", "refuse"]

_FROZEN = "it lies in a read-only snapshot"
_SET_ID = 0o6000
_EXECUTABLE = 0o111
_BY_TIME = (".py", ".pyc", ".pyo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A stored file, all names that are known of it, the one that stays; their attributes, and what they are told."""

    share: ShareFile
    victim: Opened
    kept: Opened
    names: tuple[Name, ...]
    attributes: tuple[tuple[str, str], ...]
    kept_attributes: tuple[tuple[str, str], ...]
    told: Told
    kept_told: Told


def refuse(pair: Pair) -> None:
    """Raise Refused for the first rule that a pair breaks, OSError where it cannot be asked."""
    for rule in _ALWAYS:
        rule(pair)
    if pair.share.how in ("extents", "ranges"):
        return  # the file stays what it is: the kernel compares, and changes where its bytes lie
    for rule in _ITS_PLACE_IS_TAKEN:
        rule(pair)
    if pair.share.how == "clone":
        return  # what takes its place gets its owner, mode, times and attributes
    for rule in _ANOTHER_ONE:
        rule(pair)
    if pair.share.how == "symlink":
        _no_program(pair)


# -- whatever is done ------------------------------------------------------------------------


def cannot(error: OSError, pair: Pair) -> Exception:
    """Return what is told where a link or a clone was refused: that of the rule that the kernel went by."""
    if error.errno == errno.EXDEV:
        same = pair.victim.status.st_dev == pair.kept.status.st_dev
        return Refused(BARS["other-mount" if same else "other-filesystem"])
    if error.errno == errno.EMLINK:
        return Refused(BARS["too-many-links"])
    if error.errno == errno.EINVAL and is_copied_on_write(pair.told) != is_copied_on_write(pair.kept_told):
        return Refused(BARS["copying-differs"])
    if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL):
        return Refused(f"its file system refuses it ({os.strerror(error.errno)})")
    return error


def _two_files(pair: Pair) -> None:
    if pair.victim.inode == pair.kept.inode:
        raise Refused("they are one file already")
    if pair.share.how != "ranges" and not 0 < pair.victim.status.st_size == pair.kept.status.st_size:
        raise Refused("they differ" if pair.victim.status.st_size else "it is empty")


def _all_lead_to_it(pair: Pair) -> None:
    for name in pair.names:
        status = name.folder.stat(name.name)
        if status is None or (status.st_dev, status.st_ino) != pair.victim.inode:
            raise Refused(f"{name.path} is no longer a name of it")


def _writable(pair: Pair) -> None:
    if any(os.fstatvfs(name.folder.fd).f_flag & os.ST_RDONLY for name in pair.names):
        raise Refused(BARS["read-only"])
    from runworthy.targets.storage.ioctls import BTRFS, filesystem_type, in_read_only_subvolume

    if filesystem_type(pair.victim.fd) == BTRFS and in_read_only_subvolume(pair.victim.fd):
        raise Refused(_FROZEN)


def _no_layer(pair: Pair) -> None:
    from runworthy.targets.storage.ioctls import OVERLAY, filesystem_type

    if OVERLAY in (filesystem_type(pair.victim.fd), filesystem_type(pair.kept.fd)):
        raise Refused(BARS["image-layer"])


def _changeable(pair: Pair) -> None:
    from runworthy.targets.storage.ioctls import APPEND, IMMUTABLE

    if any(_flags(fd) & (IMMUTABLE | APPEND) for fd in (pair.victim.fd, pair.kept.fd)):
        raise Refused(BARS["unchangeable"])


def _not_kept_apart(pair: Pair) -> None:
    from runworthy.targets.storage.apart import kept_apart

    if any(kept_apart(path) for path in (*(name.path for name in pair.names), pair.kept.name.path)):
        raise Refused(BARS["kept-apart"])


# -- where something else takes its place ----------------------------------------------------


def _no_names_outside(pair: Pair) -> None:
    if pair.victim.status.st_nlink > len(pair.names):
        raise Refused(BARS["links-outside"])


def _no_set_id(pair: Pair) -> None:
    if (pair.victim.status.st_mode | pair.kept.status.st_mode) & _SET_ID:
        raise Refused(BARS["set-id"])


def _not_sealed(pair: Pair) -> None:
    if is_sealed(pair.told):
        raise Refused("the kernel vouches for its bytes (fs-verity), which it would not for those of another file")


def _directories_can_be_changed(pair: Pair) -> None:
    """What is made in an append-only directory cannot be taken away again."""
    from runworthy.targets.storage.ioctls import APPEND, IMMUTABLE

    if any(_flags(name.folder.fd) & (IMMUTABLE | APPEND) for name in pair.names):
        raise Refused("its directory is immutable or append-only")


def _no_script(pair: Pair) -> None:
    """What installers write into ``bin``: the first line names the environment that it lies in."""
    if pair.victim.status.st_mode & _EXECUTABLE and os.pread(pair.victim.fd, 2, 0) == b"#!":
        raise Refused(BARS["kept-apart"])


# -- where a name of another file takes its place --------------------------------------------


def _same_mode(pair: Pair) -> None:
    if pair.victim.status.st_mode != pair.kept.status.st_mode:
        raise Refused(BARS["mode-differs"])


def _same_owner(pair: Pair) -> None:
    one, other = pair.victim.status, pair.kept.status
    if (one.st_uid, one.st_gid) != (other.st_uid, other.st_gid):
        raise Refused(BARS["owner-differs"])


def _same_attributes(pair: Pair) -> None:
    if pair.attributes != pair.kept_attributes or not are_alike(pair.told, pair.kept_told):
        raise Refused(BARS["attributes-differ"])


def _same_time_of_source(pair: Pair) -> None:
    """Bytecode belongs to a source of one time and size (importlib, ``_validate_timestamp_pyc``)."""
    names = (*(one.name for one in pair.names), pair.kept.name.name)
    if any(one.endswith(_BY_TIME) for one in names) and (
        pair.victim.status.st_mtime_ns != pair.kept.status.st_mtime_ns
    ):
        raise Refused(BARS["source-times"])


def _no_program(pair: Pair) -> None:
    """The kernel and loaders take what a link leads to for the place of a program: ``$ORIGIN`` is another one then."""
    from runworthy.formats.elf import is_elf, read_elf
    from runworthy.model.errors import FormatError

    if pair.victim.status.st_mode & _EXECUTABLE:
        raise Refused(BARS["program"])
    content = _Bytes(pair.victim)
    if not is_elf(content):
        return
    try:
        facts = read_elf(content, pair.victim.name.path).facts
    except FormatError as error:
        raise Refused(BARS["program"]) from error
    if facts.interpreter is not None or any("ORIGIN" in (one or "") for one in (facts.rpath, facts.runpath)):
        raise Refused(BARS["program"])


class _Bytes:
    """A file as formats read it: the one that is open, whose time of access stays."""

    def __init__(self, file: Opened) -> None:
        self._fd = file.fd
        self.size = file.status.st_size

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        count = min(count, self.size - offset)
        return os.pread(self._fd, count, offset) if offset >= 0 and count > 0 else b""


_ALWAYS: Sequence[Callable[[Pair], None]] = (
    _two_files,
    _all_lead_to_it,
    _writable,
    _no_layer,
    _changeable,
    _not_kept_apart,
)
_ITS_PLACE_IS_TAKEN: Sequence[Callable[[Pair], None]] = (
    _no_names_outside,
    _no_set_id,
    _not_sealed,
    _directories_can_be_changed,
    _no_script,
)
_ANOTHER_ONE: Sequence[Callable[[Pair], None]] = (_same_mode, _same_owner, _same_attributes, _same_time_of_source)


def _flags(fd: int) -> int:
    from runworthy.targets.storage.ioctls import flags

    try:
        return flags(fd)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            return 0  # a file system that knows no such thing
        raise
