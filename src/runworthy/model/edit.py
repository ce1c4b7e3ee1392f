"""Edits: what a remedy does, one thing at a time, as data. They are described here, and carried out nowhere in here.

Each edit knows in words what it does, and whether it changes the files of a root or the memory of a running kernel,
which is gone after a reboot. What takes it back depends on what was there before: see ``targets/edits.py``.
"""

from __future__ import annotations

from typing import Literal

from runworthy.model.binfmt import Handler
from runworthy.model.records import dataclass

__all__ = [
    "Action",
    "ActsOn",
    "BringFile",
    "BringLibrary",
    "CopyFile",
    "DisableHandler",
    "Edit",
    "EditText",
    "EnableHandler",
    "FileEdit",
    "InstallPackages",
    "KernelEdit",
    "KnownEffect",
    "LinkFile",
    "LocalEdit",
    "PatchBytes",
    "PatchElf",
    "PortableEdit",
    "RegisterHandler",
    "RemoveDirectory",
    "RemoveFile",
    "RemovePackages",
    "RunCommand",
    "SetMode",
    "ShareFile",
    "SwitchHandlers",
    "UnpackPackage",
    "UnregisterHandler",
    "Vouched",
    "WriteFile",
    "WriteLoader",
    "actions",
    "acts_on",
    "kind",
]

ActsOn = Literal["root", "kernel"]
Vouched = Literal["given", "root", "signed", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    """Put a regular file with these bytes at ``path``, over what is there; missing parents are made."""

    path: str
    content: bytes
    mode: int = 0o644

    @property
    def words(self) -> str:
        """What it does."""
        return f"write {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLoader:
    """Put a program that loads others at ``path``. ``source`` says where its bytes come from, and ``sha256`` which."""

    path: str
    content: bytes
    source: str
    mode: int = 0o755

    @property
    def sha256(self) -> str:
        """The hash of its bytes, in hexadecimal digits."""
        from hashlib import sha256

        return sha256(self.content).hexdigest()

    @property
    def words(self) -> str:
        """What it does."""
        return f"write {self.path} ({self.source}, sha256 {self.sha256})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFile:
    """Put a copy of the file ``source`` at ``path``, its first bytes replaced by ``head``."""

    path: str
    source: str
    head: bytes = b""
    mode: int = 0o755

    @property
    def words(self) -> str:
        """What it does."""
        changed = f", with {len(self.head)} bytes written over its beginning" if self.head else ""
        return f"copy {self.source} to {self.path}{changed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditText:
    """Replace the bytes of the file at ``path``, which are ``before``, by ``after``. ``what`` says how they differ."""

    path: str
    before: bytes
    after: bytes
    what: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"edit {self.path}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BringFile:
    """Put a copy of ``source``, a file of this machine, at ``path``, over what is there; missing parents are made.

    ``origin`` says in words where the file comes from.
    """

    path: str
    source: str
    sha256: str
    origin: str
    mode: int = 0o644

    @property
    def words(self) -> str:
        """What it does."""
        return f"put {self.origin} at {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchBytes:
    """Replace the bytes at ``offset`` of the file at ``path``, which are ``before``, by as many others."""

    path: str
    offset: int
    before: bytes
    after: bytes
    what: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"edit {self.path}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchElf:
    """Have patchelf rewrite the ELF file at ``path``, whose hash is ``before`` (SHA-256, hexadecimal).

    ``arguments`` are patchelf's without the file. ``made`` is a file of this machine in which its work lies, done on a
    copy: what is judged is what is put in place, and ``after`` is its hash.
    """

    path: str
    arguments: tuple[str, ...]
    before: str
    made: str
    after: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"patchelf {' '.join(self.arguments)} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackPackage:
    """Lay the files of the package ``archive``, a file of this machine, into the root.

    It is what is known of an installation; by itself nobody carries it out. ``package`` is its name and version,
    ``sha256`` the hash of the archive that was looked into. ``vouched`` says who answers for it: a person gave it
    (``given``), it lay in the root's own cache (``root``), or a signature covers it (``signed``); empty where nobody
    does, so that the package manager is to fetch and check it itself.
    """

    archive: str
    package: str
    sha256: str = ""
    vouched: Vouched = ""

    @property
    def words(self) -> str:
        """What it does."""
        return f"unpack {self.package}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BringLibrary:
    """Put a library at ``path`` of which the facts are known and not the bytes: what is known of a package's file.

    ``library`` is its soname, ``arch`` the name of its architecture, ``system`` whose it is (``alpine:3.20``). By
    itself nobody carries it out.
    """

    path: str
    library: str
    arch: str
    system: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"put {self.library} of {self.system} at {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFile:
    """Take the file or symbolic link at ``path`` away."""

    path: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"remove {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDirectory:
    """Take the directory at ``path`` away, where it is empty: so that making a file can be taken back."""

    path: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"remove the directory {self.path}, if it is empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFile:
    """Put a symbolic link with the text ``text`` at ``path``, over the file that is there."""

    path: str
    text: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"link {self.path} to {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMode:
    """Give the file at ``path`` these permission bits."""

    path: str
    mode: int

    @property
    def words(self) -> str:
        """What it does."""
        return f"set the mode of {self.path} to {self.mode:04o}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFile:
    """Have a stored file of this machine share its bytes with another one that holds the same.

    ``paths`` are all names that are known of it, ``kept`` is one of the other's, all absolute. ``how``: "extents" has
    the kernel compare both and share their storage (FIDEDUPERANGE), "clone" puts a reflink in its place, "hardlink" a
    name of the other, "symlink" a link to it; "ranges" shares the parts of it that ``ranges`` (offset, length) name.
    ``size`` is that of the file, ``frees`` what is freed, both in bytes.
    """

    paths: tuple[str, ...]
    kept: str
    how: Literal["extents", "clone", "hardlink", "symlink", "ranges"]
    size: int = 0
    frees: int = 0
    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def words(self) -> str:
        """What it does."""
        more = f" and {len(self.paths) - 1} more of its names" if len(self.paths) > 1 else ""
        return f"{_SHARES[self.how]} {self.paths[0]}{more} {'to' if self.how.endswith('link') else 'with'} {self.kept}"


_SHARES = {
    "extents": "share the storage of",
    "clone": "share the storage of",
    "hardlink": "hard-link",
    "symlink": "link",
    "ranges": "share parts of",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterHandler:
    """Register a handler above all others; one of the same name goes first. The kernel forgets it at a reboot."""

    handler: Handler

    @property
    def words(self) -> str:
        """What it does."""
        return f"register the handler {self.handler.name} ({self.handler.interpreter}) until the next boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnregisterHandler:
    """Take a handler away until the next boot."""

    name: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"take the handler {self.name} away until the next boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableHandler:
    """Switch one handler off until the next boot; its place in the order stays its own."""

    name: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"switch the handler {self.name} off until the next boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableHandler:
    """Switch one handler on again until the next boot."""

    name: str

    @property
    def words(self) -> str:
        """What it does."""
        return f"switch the handler {self.name} on until the next boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchHandlers:
    """Switch all of binfmt_misc on or off, until the next boot."""

    on: bool

    @property
    def words(self) -> str:
        """What it does."""
        return f"switch every handler of binfmt_misc {'on' if self.on else 'off'} until the next boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Have another program make a change. It is undone by that program, and never byte by byte.

    ``changes`` says what the command does, ``undo`` is the command that takes it back (empty: none does). ``effects``
    are the edits that it is known to come to: by them it is judged.
    """

    argv: tuple[str, ...]
    changes: str
    undo: tuple[str, ...] = ()
    effects: tuple[Edit, ...] = ()

    @property
    def program(self) -> str:
        """The program that makes the change."""
        return self.argv[0].rpartition("/")[2]

    @property
    def words(self) -> str:
        """What it does."""
        return f"{self.program}: {self.changes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPackages:
    """Have the system's package manager install packages. ``effects`` are what is known of what they bring.

    ``names`` are those to ask for, ``with_them`` those that come along because they depend on them.
    """

    manager: str
    names: tuple[str, ...]
    with_them: tuple[str, ...] = ()
    effects: tuple[Edit, ...] = ()

    @property
    def archives(self) -> tuple[UnpackPackage, ...]:
        """The files that bring all of the packages, where each is at hand and answered for; else none."""
        held = tuple(one for one in self.effects if isinstance(one, UnpackPackage) and one.sha256 and one.vouched)
        wanted = {name.partition(":")[0] for name in (*self.names, *self.with_them)}
        complete = len(held) == len(self.names) + len(self.with_them)
        return held if complete and {one.package.partition(" ")[0] for one in held} == wanted else ()

    @property
    def words(self) -> str:
        """What it does."""
        return f"install {', '.join(self.names)} with {self.manager}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePackages:
    """Have the system's package manager remove packages. ``effects`` are what is known of what goes with them."""

    manager: str
    names: tuple[str, ...]
    effects: tuple[Edit, ...] = ()

    @property
    def words(self) -> str:
        """What it does."""
        return f"remove {', '.join(self.names)} with {self.manager}"


FileEdit = WriteFile | WriteLoader | CopyFile | EditText | RemoveFile | RemoveDirectory | LinkFile | SetMode
LocalEdit = BringFile | PatchBytes | PatchElf
"""Edits that somebody can make only where this machine's files, or the very file that was judged, are at hand."""
KernelEdit = RegisterHandler | UnregisterHandler | DisableHandler | EnableHandler | SwitchHandlers
ProgramEdit = RunCommand | InstallPackages | RemovePackages
KnownEffect = UnpackPackage | BringLibrary
"""What is known of a package manager's work: effects that only it can make, and take back."""
Action = FileEdit | LocalEdit | KernelEdit | KnownEffect
"""What edits come to in the end, where it is known what programs do."""
PortableEdit = FileEdit | KernelEdit | ProgramEdit
"""Edits that mean the same on any machine like the one they were planned for."""
Edit = PortableEdit | LocalEdit | KnownEffect | ShareFile
"""Closed: who carries edits out, judges or writes them knows every one of these."""

_KERNEL = (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)
_PROGRAMS = (RunCommand, InstallPackages, RemovePackages)


def actions(edits: tuple[Edit, ...]) -> tuple[Action, ...]:
    """Return the edits with what programs are known to do in the programs' place.

    Sharing is none: no path holds other bytes after it.
    """
    found: list[Action] = []
    for edit in edits:
        if isinstance(edit, _PROGRAMS):
            found += actions(edit.effects)
        elif not isinstance(edit, ShareFile):
            found.append(edit)
    return tuple(found)


def acts_on(edit: Edit) -> ActsOn:
    """Return what an edit changes: files of a root, which stay, or a running kernel."""
    if isinstance(edit, _KERNEL):
        return "kernel"
    effects = actions((edit,)) if isinstance(edit, _PROGRAMS) else ()
    return "kernel" if effects and all(isinstance(one, _KERNEL) for one in effects) else "root"


def kind(edit: Edit) -> str:
    """Return the name of an edit's kind, as reports write it: ``write-file``."""
    name = type(edit).__name__
    return name[0].lower() + "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name[1:])
