"""The words in which a case is written: a tree of files, and what judges say of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.judges.qemu import Emulator

GLIBC = ("bullseye-amd64", "bookworm-amd64", "trixie-amd64")
GLIBC_EVERYWHERE = (*GLIBC, "trixie-arm64", "trixie-i386")
MUSL = ("musl-1.2.2-x86_64", "musl-1.2.3-x86_64", "musl-1.2.5-x86_64")
MUSL_EVERYWHERE = (*MUSL, "musl-1.2.5-aarch64", "musl-1.2.5-i386")

# --- files -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """A compiled file.

    `needs` names, in order, what DT_NEEDED holds: the `at` of an earlier
    object (linked with, so its symbols and versions count), or any other name
    (recorded only). An object whose `at` starts with "ghost/" is linked with
    but not put into the tree: the library as it was when its user was built.
    With `libc="none"` a program has a start routine of four instructions and
    exits with what its `main` returns, so that it starts on every libc.
    `own` is the libc of the root that the case is built for, `gnu` always
    this machine's glibc. Without `filler` an object without constants has an empty segment.
    """

    at: str
    kind: Literal["program", "library"]
    source: str
    needs: tuple[str, ...] = ()
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    interpreter: str | None = None
    versions: str | None = None
    flags: tuple[str, ...] = ()
    libc: Literal["none", "own", "gnu"] = "none"
    arch: str | None = None
    filler: bool = True


def program(at: str = "app/main", source: str = "int main(void) { return 0; }", **options: object) -> Object:
    """A program; it returns 0 when nothing else is said."""
    return Object(at=at, kind="program", source=source, **options)  # type: ignore[arg-type]


def library(at: str, source: str = "int here;", **options: object) -> Object:
    """A shared library; its soname is its file name when nothing else is said."""
    options.setdefault("soname", at.rsplit("/", 1)[-1])
    return Object(at=at, kind="library", source=source, **options)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Text:
    """A file with exactly these bytes."""

    at: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    at: str
    to: str


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty directory."""

    at: str


@dataclass(frozen=True, slots=True)
class Mode:
    """Change the permissions of a file; it belongs to root."""

    at: str
    mode: int


@dataclass(frozen=True, slots=True)
class Poke:
    """Overwrite bytes of a file."""

    at: str
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Edit:
    """Change the bytes of a file by a function of `edits.py`."""

    at: str
    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Ldconfig:
    """Write ld.so.conf with these lines and run the root's own ldconfig.

    Without `keep_conf` the file is removed again: only the cache is left.
    """

    lines: tuple[str, ...] = ()
    keep_conf: bool = True


@dataclass(frozen=True, slots=True)
class Bring:
    """Copy a library of the judge root, with its place, into the small root."""

    name: str


Step = Object | Text | Link | Folder | Mode | Poke | Edit | Ldconfig | Bring

# --- truths ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a loader lists for a program, on each root of `on`.

    Everything is compared exactly, save `fatal` and `warnings`: there a part
    of the text is given. `missing` holds names, for musl (name, needed by).
    With `started` the kernel starts the program, which names its loader;
    otherwise the loader is given the program's path.
    """

    on: tuple[str, ...]
    subject: str = "/app/main"
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    proc: bool = True
    started: bool = False
    uid: int | None = None
    emulator: Emulator | None = None
    missing: tuple[str | tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str, str], ...] = ()
    undefined: tuple[tuple[str, str, str | None], ...] = ()
    relocations: tuple[tuple[str, str], ...] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    fatal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a program ends that is really started, on each root of `on`.

    `rc` is negative for a signal; with `errno`, execve itself failed. Each
    text of `stderr` is a part of what the program or its loader said.
    """

    on: tuple[str, ...]
    subject: str = "/app/main"
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    proc: bool = True
    uid: int | None = None
    emulator: Emulator | None = None
    rc: int | None = 0
    errno: int | None = None
    stderr: tuple[str, ...] = ()


Truth = Listing | Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One semantic of a loader: a tree of files, and what real loaders say of it.

    `name` starts with the number of the case in the project's research notes
    where it has one. `source` cites the loader's own code.
    """

    name: str
    proves: str
    source: str = ""
    tree: tuple[Step, ...]
    truths: tuple[Truth, ...]
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def roots(self) -> tuple[str, ...]:
        """The roots on which something of this case is known, each once."""
        return tuple(dict.fromkeys(name for truth in self.truths for name in truth.on))
