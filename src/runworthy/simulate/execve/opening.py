"""Opening a file in order to execute it: the path, the kind of file, permission, where it is mounted.

Source: Linux ``fs/exec.c`` (do_open_execat), ``fs/namei.c`` (may_open, path_noexec). What cannot be told from a file
is left out: ETXTBSY (somebody has it open for writing), security modules.
"""

from __future__ import annotations

import errno
import posixpath

from runworthy.formats.content import Content
from runworthy.formats.elf.layout import LAYOUTS
from runworthy.model.binfmt import HEAD_SIZE
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import FormatError
from runworthy.model.host import Mount
from runworthy.model.records import dataclass
from runworthy.model.trace import Why
from runworthy.simulate.permission import denied
from runworthy.targets.mounts import mounted_noexec
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target
from runworthy.targets.view import Resolved, UnseenError

__all__ = ["Opened", "Opener", "RefusalError"]

_PATH_MAX = 4096
_ELF = b"\x7fELF"
_TABLE_LIMIT = 65536


class RefusalError(Exception):
    """The end of an execve: ``errno`` is its name, empty where ``why`` says that it cannot be told."""

    def __init__(self, errno: str, detail: str, *, why: Why | None = None) -> None:
        super().__init__(detail)
        self.errno = errno
        self.detail = detail
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A file that was opened: ``name`` as it was asked for, ``real`` where it lies, ``head`` its first 256 bytes.

    ``content`` is None where only the ``facts`` of an ELF file are recorded; ``size`` is in bytes, -1 where it is not.
    """

    name: str
    real: str
    head: bytes
    size: int
    content: Content | None = None
    facts: ElfFacts | None = None


class Opener:
    """Opens files of a target as a process in ``cwd`` would; ``root_user``: it may pass any directory."""

    def __init__(self, target: Target, cwd: str, *, root_user: bool) -> None:
        self._target = target
        self._cwd = cwd
        self._root_user = root_user
        facts = target.machine_facts
        self._mounts: tuple[Mount, ...] = (facts.mounts if facts else None) or ()

    def find(self, name: str) -> Resolved | None:
        """Return what a path names, None where nothing that is known of."""
        try:
            found = self._target.view.find(posixpath.join(self._cwd, name))
        except UnseenError:
            return None
        return None if isinstance(found, int) else found

    def open(self, name: str, *, pinned: bool = False) -> Opened:
        """Return the file that would be executed by this name. Raises RefusalError.

        ``pinned``: it was opened when a handler was registered, and is not asked for permission again.
        """
        found = self._resolve(name)
        if found.entry.kind != "file":
            kinds = {"dir": "it is a directory", "other": "it is no regular file"}
            raise RefusalError("EACCES", kinds.get(found.entry.kind, "it is a symbolic link"))
        if not pinned:
            self._check(found)
        return self._read(name, found)

    def _resolve(self, name: str) -> Resolved:
        if len(name) >= _PATH_MAX // 4 and len(name.encode("utf-8", "surrogateescape")) >= _PATH_MAX:
            raise RefusalError("ENAMETOOLONG", "the path has 4096 bytes or more")
        path = posixpath.join(self._cwd, name)
        try:
            found = self._target.view.find(path)
        except UnseenError:
            raise RefusalError("", f"nothing is recorded of {path}", why="outside-core") from None
        if isinstance(found, int):
            if found == errno.ENOENT and not self._is_absent(name):
                raise RefusalError("", f"{name} is outside what is known of {self._target.name}", why="outside-core")
            raise RefusalError(errno.errorcode.get(found, str(found)), _WORDS.get(found, "it cannot be opened"))
        self._check_search(found.path)
        return found

    def _is_absent(self, name: str) -> bool:
        """Whether a file that was not found is not there for certain; no package has a name that ends in a CR."""
        return name.endswith("\r") or self._target.absent(name)

    # -- permission -------------------------------------------------------------------------

    def _check_search(self, real: str) -> None:
        """Refuse what lies in a directory that the user may not pass."""
        if self._root_user or self._target.credentials is not None or real.startswith(f"{SUBJECT_ROOT}/"):
            return
        directory = posixpath.dirname(real)
        while directory != "/":
            self._check_bits(self._mode(directory, 0o755), f"search {directory}")
            directory = posixpath.dirname(directory)

    def _check(self, found: Resolved) -> None:
        if mounted_noexec(found.path, self._mounts):
            raise RefusalError("EACCES", "its file system is mounted with noexec")
        if refused := denied(self._target, found.path):
            raise RefusalError("EACCES", refused)
        if not (self._root_user or self._target.credentials or found.path.startswith(f"{SUBJECT_ROOT}/")):
            self._check_bits(self._mode(found.path, 0o755), f"execute {found.path}")

    @staticmethod
    def _check_bits(mode: int, what: str) -> None:
        """Refuse where nobody has the permission; where only some have it, it depends on the user."""
        if mode & 0o111 == 0:
            raise RefusalError("EACCES", f"nobody may {what}")
        if mode & 0o111 != 0o111:
            raise RefusalError("", f"not every user may {what}", why="machine-unstated")

    def _mode(self, real: str, otherwise: int) -> int:
        try:
            return self._target.view.mode(real)
        except (OSError, UnseenError):
            return otherwise

    # -- bytes ------------------------------------------------------------------------------

    def _read(self, name: str, found: Resolved) -> Opened:
        view = self._target.view
        try:
            content = view.content(found.path)
            head = content.pread(0, HEAD_SIZE)
            table = _table(content, head.ljust(HEAD_SIZE, b"\0")) if head.startswith(_ELF) else b""
        except (OSError, FormatError, UnseenError):
            return self._recorded(name, found.path)
        if table and not any(table) and self._has_segments(found.path):  # a snapshot blanks what is no loader's text
            return self._recorded(name, found.path)
        return Opened(name=name, real=found.path, head=head.ljust(HEAD_SIZE, b"\0"), size=content.size, content=content)

    def _has_segments(self, real: str) -> bool:
        try:
            return bool(self._target.view.elf(real).facts.load_segments)
        except (OSError, FormatError, UnseenError):
            return False

    def _recorded(self, name: str, real: str) -> Opened:
        """Return a file of which the facts are known and not the bytes. Raises RefusalError where neither are."""
        try:
            facts = self._target.view.elf(real).facts
        except (OSError, FormatError, UnseenError):
            raise RefusalError("", f"the bytes of {real} are not known", why="unreadable") from None
        return Opened(name=name, real=real, head=_head_of(facts), size=facts.size, facts=facts)


_WORDS = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "a part of the path is no directory",
    errno.ELOOP: "too many symbolic links",
    errno.ENAMETOOLONG: "a part of the path is too long",
    errno.EACCES: "a directory of the path may not be searched",
}


def _table(content: Content, head: bytes) -> bytes:
    """Return an ELF file's program headers, empty where there are none. Raises OSError where they are not held."""
    layout = LAYOUTS.get((head[4], head[5]))
    if layout is None:
        return b""
    _, _, _, _, _, phoff, _, _, _, phentsize, phnum, *_ = layout.ehdr.unpack_from(head)
    return content.pread(phoff, min(phentsize * phnum, _TABLE_LIMIT))


def _head_of(facts: ElfFacts) -> bytes:
    """Return the first 256 bytes as far as the header tells them: enough for the magics of emulators."""
    head = facts.header
    layout = LAYOUTS[head.elf_class // 32, 1 if head.endian == "little" else 2]
    values = (head.ident, head.type, head.machine, head.version, head.entry, head.phoff, head.shoff, head.flags)
    sizes = (layout.ehdr.size, head.phentsize, head.phnum, head.shentsize, head.shnum, head.shstrndx)
    return layout.ehdr.pack(*values, *sizes).ljust(HEAD_SIZE, b"\0")
