"""Storage: which bytes are stored how often on a machine, by whom, why, and what sharing them would give back.

A *stored file* is an inode with the names that are known of it: storage is freed when the last name of one goes.
*Copies* are stored files with the same bytes. A *spare* is one of them that need not be, beside the
one that is *kept*. A *waste* is what one cause costs in one place. Sizes are in bytes, times in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from runworthy.model.records import dataclass, field

if TYPE_CHECKING:
    from runworthy.model.edit import ShareFile
    from runworthy.model.finding import Result

__all__ = [
    "BARS",
    "CACHES",
    "CAUSES",
    "Advice",
    "Bar",
    "Build",
    "Cause",
    "Clash",
    "Copies",
    "Environment",
    "EnvironmentKind",
    "Idle",
    "Owner",
    "Partial",
    "Place",
    "Proof",
    "Reclaimed",
    "Spare",
    "StorageReport",
    "StoredFile",
    "Together",
    "Trial",
    "Waste",
    "as_given",
]

EnvironmentKind = Literal[
    "venv",
    "conda",
    "pixi",
    "magic",
    "node_modules",
    "root",
    "tree",
    "uv-cache",
    "pip-cache",
    "conda-cache",
    "rattler-cache",
    "pnpm-store",
    "npm-cache",
]
"""``root``: the files of a whole system, as a container has them; ``tree``: a directory that is none of the others."""

CACHES: Final[frozenset[EnvironmentKind]] = frozenset(
    ("uv-cache", "pip-cache", "conda-cache", "rattler-cache", "pnpm-store", "npm-cache")
)
"""Kinds that hold what installers link or copy into environments."""


# -- what is there ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a directory lies, as far as that decides about sharing.

    ``filesystem`` names the file system, the same for every subvolume and mount of it (``btrfs:<uuid>``, else
    ``<type>:<major>:<minor>``); ``device`` is st_dev, which btrfs gives to each subvolume. ``mount`` is the number of
    the mount in /proc/self/mountinfo (link(2) refuses to cross one), ``point`` where it is mounted, ``subvolume`` the
    root inside the file system that is mounted there. ``read_only``: the mount or the file system is.
    """

    path: str
    filesystem: str
    device: int
    type: str
    mount: int = 0
    point: str = "/"
    subvolume: str = "/"
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A tree that one installer looks after, or a plain one. ``path`` has no links.

    ``installer`` is who made it, as its own files say, with its version; empty where they do not. ``python`` is the
    version of a Python environment ("3.12"). ``used`` is the latest use that can be told, 0 where none can, and
    ``used_by`` says what tells it. ``files`` and ``allocated`` count what lies in it, each stored file once.
    """

    path: str
    kind: EnvironmentKind
    place: Place
    installer: str = ""
    version: str = ""
    python: str = ""
    used: int = 0
    used_by: str = ""
    files: int = 0
    allocated: int = 0

    @property
    def is_cache(self) -> bool:
        """Whether it holds what is linked or copied into environments."""
        return self.kind in CACHES

    @property
    def is_counted(self) -> bool:
        """Whether ``files`` and ``allocated`` are known: caches elsewhere are searched for copies alone."""
        return self.files > 0 or not self.is_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose a file is. ``environment`` is the path of one; ``package`` is empty where nobody's records name the file.

    ``recorded`` is the hash that the records give ("sha256:<hexadecimal>"): of what was installed, not of what is
    there. ``patched``: the installer wrote the environment's own path into it (conda's ``prefix_placeholder``).
    ``link`` is what the records say of how it came there ("hard", "soft", "copy"), which is not always so.
    ``manifest`` is the file that says all this.
    """

    environment: str
    package: str = ""
    version: str = ""
    build: str = ""
    installer: str = ""
    recorded: str = ""
    patched: bool = False
    editable: bool = False
    link: Literal["hard", "soft", "copy", ""] = ""
    manifest: str = ""


class StoredFile(NamedTuple):
    """An inode. ``names`` are its known paths, sorted, without links on their way; ``links`` how many there are.

    ``allocated`` is what it takes in blocks as the file system counts (st_blocks x 512). It is a tuple, because
    there are a hundred thousand of them, and a tuple is made in a third of the time.
    """

    device: int
    inode: int
    size: int
    mtime: int
    ctime: int
    allocated: int
    mode: int
    uid: int
    gid: int
    links: int
    names: tuple[str, ...]

    @property
    def outside(self) -> int:
        """How many names it has that are not known: while one of them is left, nothing is freed."""
        return max(0, self.links - len(self.names))


class Traits(NamedTuple):
    """What an inode has beside bytes, owner, mode and times: what one of two would lose if both became one.

    ``attributes`` are extended attributes, flags and the like, which are to be the same of both.
    ``unchangeable``: the kernel lets
    nobody change the file. ``copied_on_write``: it shares storage with its like,
    which btrfs does not let the others do.
    """

    attributes: Hashable
    unchangeable: bool = False
    copied_on_write: bool = True


Proof = Literal["compared", "remembered", "recorded"]
"""How it is known that bytes are equal: they were compared now; an earlier run compared them and nothing about the
files has changed since; or two records name one hash, and nobody has read them. Only the first is acted on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Stored files with the same bytes, two or more, sorted by their first names.

    ``filesystem`` is empty where they lie on several.

    ``extents`` numbers them by the storage that they take: those with one number share all of it already (reflinks).
    Empty where no two do.
    """

    size: int
    filesystem: str
    files: tuple[StoredFile, ...]
    proof: Proof = "compared"
    extents: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """Two stored files of one size that differ in a few blocks alone, where extents can be shared.

    ``ranges`` are (offset, length) of what is equal and not shared yet, in whole blocks; ``equal`` their sum.
    """

    file: StoredFile
    kept: StoredFile
    ranges: tuple[tuple[int, int], ...]
    equal: int

    @property
    def share(self) -> ShareFile:
        """What sharing them comes to."""
        from runworthy.model.edit import ShareFile

        names, kept = self.file.names, self.kept.names[0]
        return ShareFile(
            paths=names, kept=kept, how="ranges", size=self.file.size, frees=self.equal, ranges=self.ranges
        )


# -- why, and what could be done -------------------------------------------------------------

Cause = Literal[
    "other-filesystem",
    "bind-mount",
    "subvolume",
    "copying-installer",
    "copy-setting",
    "separate-cache-entries",
    "not-in-cache",
    "prefix-patched",
    "vendored",
    "version-chain",
    "editable",
    "permissions",
    "too-many-links",
    "image-layer",
    "separate-copies",
]
CAUSES: Mapping[Cause, str] = {
    "other-filesystem": "the cache is on another file system, so that the installer copied",
    "bind-mount": "the cache is behind another mount of the same file system, so that links are refused",
    "subvolume": "the cache is in another btrfs subvolume, so that hard links are refused",
    "copying-installer": "the installer always copies",
    "copy-setting": "links work and are not there: the installer was told to copy, or they were copied since",
    "separate-cache-entries": "each comes from an entry of its own in the cache, which knows packages and not bytes",
    "not-in-cache": "the installer links what it installs, and none of their names is in its cache",
    "prefix-patched": "the installer wrote the environment's own path into them",
    "vendored": "each package brings the library along",
    "version-chain": "a package has the same file under several names",
    "editable": "they belong to a source tree that is installed in place",
    "permissions": "owners or permissions differ",
    "too-many-links": "the file has as many names as its file system allows",
    "image-layer": "they lie in layers of images",
    "separate-copies": "nothing tells how they came there",
}
"""Why the same bytes are stored again: closed, in the order in which they are looked for."""

Bar = Literal[
    "other-filesystem",
    "other-mount",
    "no-reflinks",
    "copying-differs",
    "links-outside",
    "storage-outside",
    "one-library",
    "not-asked",
    "mode-differs",
    "owner-differs",
    "attributes-differ",
    "set-id",
    "unchangeable",
    "source-times",
    "kept-apart",
    "image-layer",
    "read-only",
    "not-permitted",
    "program",
    "too-many-links",
    "already-shared",
]
BARS: Mapping[Bar, str] = {
    "other-filesystem": "they are on different file systems",
    "other-mount": "no hard link leads from one mount to another",
    "no-reflinks": "their file system has no shared extents",
    "copying-differs": "one of them is never copied on write (chattr +C), and such share with their like alone",
    "links-outside": "it has names outside of what was looked at, so that nothing would be freed",
    "storage-outside": "its storage is used by what was not looked at, or none is its own: nothing would be freed",
    "one-library": "a process may load both, and they would become one library (--within-env)",
    "not-asked": "whether a process loads both was not asked, as little would be gained (--dry-run asks)",
    "mode-differs": "a hard link has one set of permissions, and theirs differ",
    "owner-differs": "a hard link has one owner, and theirs differ",
    "attributes-differ": "a hard link has one set of extended attributes, and theirs differ",
    "set-id": "it is set-user-ID or set-group-ID",
    "unchangeable": "it is immutable or append-only",
    "source-times": "its bytecode is told from it by the time of its change, and theirs differ",
    "kept-apart": "installers and databases change such files in place",
    "image-layer": "links made there take more room, since overlay copies up what is changed",
    "read-only": "the file system is mounted read-only",
    "not-permitted": "that is not permitted to this user",
    "program": "programs are never replaced by symbolic links",
    "too-many-links": "the file has as many names as its file system allows",
    "already-shared": "they share their storage already",
}
"""Why spares are left as they are: closed. Each is one of the rules that keep sharing safe."""

How = Literal["extents", "clone", "hardlink", "symlink", "ranges"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What really happened when links were made between two directories, and taken away again.

    ``hard`` and ``clone`` are empty where it worked, else the name of the error ("EXDEV") or why it was not tried.
    """

    source: str
    target: str
    hard: str
    clone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """A stored file whose bytes ``kept`` has as well. ``cause`` is why, ``bar`` why it is left, empty where it is not.

    ``how`` is how it would be shared, ``frees`` what that would free: 0 where names of it are left. ``owner`` and
    ``kept_owner`` are the owners of their first names, outside of caches where they have such; ``doer`` is whose doing
    the cause is: one of both, or the owner of a copy that is nearer than the kept one. ``why`` says more of the bar in
    words; where there is none, how a process may load two that become one.
    """

    file: StoredFile
    kept: StoredFile
    owner: Owner
    kept_owner: Owner
    cause: Cause = "separate-copies"
    bar: Bar | Literal[""] = ""
    how: How | Literal[""] = ""
    frees: int = 0
    proof: Proof = "compared"
    why: tuple[str, ...] = ()
    doer: Owner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """What one cause costs in one place: files of ``environment`` that are stored again though ``other`` has them.

    ``other`` is the path of the environment that has the same bytes; it is empty where these are several. ``cause_in``
    is the environment in which the cause lies, empty where these are several: ``installer``, ``version``, ``cache`` and
    ``setting`` are of it. ``cache`` is what they could have been linked from, where it is known. ``size`` is stored
    again, of which ``frees`` would be freed by ``shares``. ``packages`` are (name, files, bytes), ``examples`` (path,
    same as, bytes), the largest first. ``facts`` are (what, how it is) on which the cause rests. ``setting`` would have
    avoided it, and ``works`` says whether links are made with it in place: None where that was not tried. ``bars`` are
    (why, files, bytes) of what is left as it is. ``plain``: one of each two is of no package and lies in no environment
    of an installer: documents and data, which people and programs change in place.
    """

    cause: Cause
    environment: str
    other: str = ""
    cause_in: str = ""
    cache: str = ""
    installer: str = ""
    version: str = ""
    files: int = 0
    size: int = 0
    frees: int = 0
    packages: tuple[tuple[str, int, int], ...] = ()
    examples: tuple[tuple[str, str, int], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    setting: str = ""
    works: bool | None = None
    bars: tuple[tuple[Bar, int, int], ...] = ()
    shares: tuple[ShareFile, ...] = ()
    plain: bool = False

    @property
    def is_one_file(self) -> bool:
        """Whether plain files become one that is changed under all of its names, as hard links are."""
        return self.plain and any(share.how in ("hardlink", "symlink") for share in self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Whether a process may load two paths of one environment as two libraries, which one inode would make one.

    ``no``: the simulation of its loaders shows that none does; ``yes``: it shows one that does; ``unknown``: something
    may open one of them by its path; ``not-asked``: nothing was simulated. ``why`` are the facts in words.
    """

    answer: Literal["no", "yes", "unknown", "not-asked"]
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build of a library. ``wanted_by`` are the files that need it and get this one."""

    path: str
    soname: str
    owner: Owner
    size: int
    wanted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """Different builds of one library in one environment that a process would load together, or one library twice.

    ``library`` is what it is called ("libstdc++.so.6", "OpenMP runtime"). ``outcome``: ``both`` are loaded; the
    ``first`` one is taken by all that need the name; ``one``: two paths are one inode, and so one library.
    ``breaks`` are (file, symbol version) that the first one lacks. ``process`` says which process loads both, and
    why that is known; ``certain`` whether it always does.
    """

    environment: str
    library: str
    builds: tuple[Build, ...]
    outcome: Literal["both", "first", "one"]
    process: str
    certain: bool = False
    breaks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """An environment or a cache that nothing has used for some time. ``used`` is 0 where no use can be told at all.

    ``command`` is what its installer has for it; it ``empties`` a cache, or removes what no environment needs.
    """

    environment: Environment
    used: int
    used_by: str
    allocated: int
    command: str = ""
    empties: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A setting of an installer that keeps copies from coming back. ``setting`` is what is to be written, ``where``.

    ``works`` says what a trial between ``source`` (a cache) and ``target`` (an environment) showed: None where none
    could be made; ``trial`` tells it in words. ``since`` is the first version of the installer that can, where the one
    that made the environment (``version``) cannot.
    """

    installer: str
    setting: str
    where: str
    source: str
    target: str
    works: bool | None
    trial: str = ""
    version: str = ""
    since: str = ""
    notes: tuple[str, ...] = ()


def as_given(path: str, given: Mapping[str, str]) -> str:
    """Return a path below one of the keys of ``given`` as seen from its value, others as they are."""
    for real, name in given.items():
        if path == real:
            return name
        if path.startswith(real if real.endswith("/") else f"{real}/"):
            below = path[len(real) :].lstrip("/")
            return below if name == "." else f"{name.rstrip('/')}/{below}"
    return path


# -- the report ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaimed:
    """What was done. ``entry`` is that of the journal, by which `runworthy undo` takes it back.

    ``shared`` are (path, how, bytes freed); ``left`` are (path, why). ``estimated`` is what was to be freed,
    ``measured`` what statvfs(3) says was, over all file systems: others that write meanwhile change it too.
    """

    entry: str
    shared: tuple[tuple[str, How, int], ...]
    left: tuple[tuple[str, str], ...]
    estimated: int
    measured: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageReport:
    """What a scan found. ``results`` hold the findings, one result for each environment that has any.

    ``files`` and ``allocated`` are what was looked at, each stored file once. ``again`` is what is stored again,
    ``frees`` what sharing would free, ``shared`` what is shared by extents already. ``passed_over`` counts files by
    why they were not compared; ``problems`` are (path, why). ``reasons``: it was asked whose the copies are, why they
    are there and what could be done; where it was not, ``copies`` and ``again`` are all there is. ``new`` are names
    of spare files that no earlier run of the guard told, and that alone are told; None where that was not asked.
    ``given`` are the paths as they were written, by what they are.
    """

    paths: tuple[str, ...]
    environments: tuple[Environment, ...]
    copies: Sequence[Copies]
    spares: tuple[Spare, ...]
    results: tuple[Result, ...]
    wastes: tuple[Waste, ...] = ()
    partial: tuple[Partial, ...] = ()
    clashes: tuple[Clash, ...] = ()
    idle: tuple[Idle, ...] = ()
    advice: tuple[Advice, ...] = ()
    files: int = 0
    allocated: int = 0
    again: int = 0
    frees: int = 0
    shared: int = 0
    min_size: int = 0
    only: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()
    new: frozenset[str] | None = None
    reclaimed: Reclaimed | None = None
    reasons: bool = True
    given: Mapping[str, str] = field(default_factory=dict)

    def shown(self, path: str) -> str:
        """Return a path as people know it who gave one that holds it."""
        return as_given(path, self.given)

    @property
    def shares(self) -> tuple[ShareFile, ...]:
        """What sharing all that can be shared comes to: parts of files first, then whole files.

        What is shared as a whole takes over how the one that stays lies by then. The other way round its old storage
        would be in use by two when the first gave up parts of it, and nothing would be freed.
        """
        return (*(one.share for one in self.partial), *(one for waste in self.wastes for one in waste.shares))

    def exit_code(self, fail_over: int | None = None) -> int:
        """Return 1 where more than ``fail_over`` bytes could be freed, what has been freed left out, else 0."""
        freed = sum(size for _, _, size in self.reclaimed.shared) if self.reclaimed else 0
        return 1 if fail_over is not None and self.frees - freed > fail_over else 0
