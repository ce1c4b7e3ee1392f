"""Archives as subjects: opened, laid out in memory, and looked through for programs, libraries and more archives.

Nothing is unpacked to disk. A member is named ``dist/app.whl!pkg/_core.so``, one of an archive in an archive
``dist/a.zip!lib/b.jar!natives/c.so``.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from runworthy.engine.subjects import INSTALLED, MARK
from runworthy.engine.trees import Found
from runworthy.formats.archive import Archive, archive_kind, claimed_kind, open_archive
from runworthy.formats.content import Content, release
from runworthy.formats.elf_kind import MAGIC, elf_kind
from runworthy.formats.magics import OTHER_SYSTEMS
from runworthy.formats.package import NeedsZstdError
from runworthy.formats.package.member import Member
from runworthy.formats.ties import Ties, ties_of
from runworthy.formats.wheel import digest_of
from runworthy.model.archive import Container, ContainerKind, Oddity
from runworthy.model.errors import FormatError
from runworthy.model.finding import Tree
from runworthy.model.package import Package
from runworthy.model.records import dataclass, field, replace
from runworthy.targets.placement import SUBJECT_ROOT, Source
from runworthy.targets.twins import Named, once_each
from runworthy.targets.unpacked import Unpacked, unpacked
from runworthy.targets.view import Resolved

__all__ = ["Holder", "Opened", "found_at", "open_container", "split_member"]

_WITH_PROMISES: frozenset[ContainerKind] = frozenset(("wheel",))
_HEAD = 512
_SAME_HEAD = 1024
_CHUNK = 1 << 18
_MANIFEST_LIMIT = 16 << 20
_DEPTH = 3
_ARCHIVES = 256
_NEEDS_ZSTD = "is packed with zstd, which this Python cannot read: pip install 'runworthy[zstd]'"


@dataclass(slots=True, eq=False)
class Holder:
    """An archive that was opened. ``shown`` is the directory of a target in which its files are shown.

    ``ties`` are its name as a package and what it requires. ``programs`` are its ELF programs and libraries, copies and
    links too; ``others`` those of other systems; ``joined`` are packages that are installed with it. ``digests`` are
    hashes of what is judged, as the RECORD of a wheel writes them. What it says of itself is read when it is first
    ``asked``, and kept as its ``promise``; what a package of a system tells its manager is read from ``source``, and
    kept as the one item of ``package``.
    """

    container: Container
    view: Unpacked
    members: Mapping[str, Member]
    shown: str
    ties: Ties
    programs: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    joined: list[Holder] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    promise: object = None
    asked: bool = False
    source: Content | None = None
    package: list[Package | None] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name, as people write it."""
        return self.container.name

    @property
    def has_more_to_tell(self) -> bool:
        """Whether there is something to say of the archive itself."""
        return bool(self.container.oddities or self.container.problem) or self.container.kind in _WITH_PROMISES

    @property
    def apart(self) -> str:
        """The directory under which its files are named: where it is shown, and what a package installs nowhere else.

        Archives in it are shown there.
        """
        return self.shown if self.shown != "/" else f"{SUBJECT_ROOT}/{self.name.strip('./')}{MARK}"

    def read(self, member: str) -> bytes | None:
        """Return the bytes of a manifest, None where there is none of this name, or none that can be read whole."""
        return _whole(self.members.get(member))

    def member_named(self, member: str) -> str | None:
        """Return a member's name with that of the archive, the archive's for its own; None for what is neither."""
        if member in self.members:
            return f"{self.name}{MARK}{member}"
        return self.name if member == self.name.rpartition(MARK)[2].rpartition("/")[2] else None

    def named(self, path: str) -> str | None:
        """Return the name of what lies, or would lie, at a path of a target in which this archive is shown."""
        if self.shown == "/":  # in a root whose /lib may be a link to /usr/lib
            places = (path, path.removeprefix("/usr"))
            owners = ((owner, one) for owner in (self, *self.joined) for one in places if owner.view.exists(one))
            return next((f"{owner.name}{MARK}{owner.view.name_at(one)}" for owner, one in owners), None)
        if not path.startswith(f"{self.shown}/"):
            return None
        below = path[len(self.shown) :]
        owner = next((one for one in (self, *self.joined) if one.view.exists(below)), self)
        return f"{owner.name}{MARK}{owner.view.name_at(below)}"


@dataclass(slots=True)
class Opened:
    """What came of opening an archive: itself and those in it, their subjects, and what the report tells of each."""

    holders: list[Holder] = field(default_factory=list)
    found: list[tuple[Found, Holder]] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)


def split_member(name: str) -> tuple[str, str] | None:
    """Return the archive and the member of ``dist/app.whl!pkg/_core.so``, None where that is no such name."""
    at = -1
    while (at := name.find(MARK, at + 1)) >= 0:
        if os.path.isfile(name[:at]) and name[at + 1 :]:
            return name[:at], name[at + 1 :]
    return None


def open_container(name: str, path: str, content: Content, within: str = "") -> Opened:
    """Return the archive ``name``, which lies at ``path`` of this machine, and all that is in it. Raises OSError.

    ``within`` is the directory that it was found in. Of what is no archive nothing is returned, unless it is called
    like one: a download that became a page of text, a pointer that stands for the file.
    """
    opened = Opened()
    head = content.pread(0, _HEAD)
    kind = archive_kind(head, name)
    claimed = claimed_kind(name)
    if kind is not None:
        shown = "/" if kind in INSTALLED else f"{SUBJECT_ROOT}{path}{MARK}"
        _open(opened, _Place(name, shown, within, _DEPTH), content, kind)
    elif claimed is not None and not head.startswith(MAGIC):
        container = Container(name=name, kind=claimed, format=claimed, problem=_instead(head, claimed))
        opened.holders.append(Holder(container, Unpacked(), {}, f"{SUBJECT_ROOT}{path}{MARK}", Ties()))
        opened.trees.append(Tree(name=name, files=0, subjects=0, kind=claimed, within=within))
    return opened


def _instead(head: bytes, claimed: ContainerKind) -> str:
    """Return what a file is that is called like an archive of some kind."""
    if not head:
        return "the file is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, which stands for the file"
    wanted = {"deb": "a Debian package", "rpm": "an RPM package", "tar": "a tar archive"}.get(claimed, "a zip archive")
    return f"it does not begin as {wanted} does"


def found_at(holder: Holder, name: str) -> Found | None:
    """Return the file of an archive that is called ``dist/app.whl!pkg/_core.so``, None where that is none of its files.

    A link is what it leads to.
    """
    real = holder.view.places.get(name.removeprefix(f"{holder.name}{MARK}"))
    leads = holder.view.find(real) if real is not None and name.startswith(f"{holder.name}{MARK}") else None
    if not isinstance(leads, Resolved) or leads.entry.kind != "file":
        return None
    return Found(name=name, source=_source(holder, leads.path))


class _Place(NamedTuple):
    """An archive's name, where it is shown, what it lies in, and how many more may lie in one another in it."""

    name: str
    shown: str
    within: str
    depth: int


def _open(opened: Opened, place: _Place, content: Content, kind: ContainerKind) -> None:
    archive = _read(content, kind)
    files = {member.path: member for member in archive.members if member.content is not None}
    ties = ties_of(kind, files, lambda path: _whole(files.get(path)))
    view = unpacked(archive.members, kind, ties.name)
    strange = [
        Oddity(kind="name", member=member, detail=error.strerror or "does not go there")
        for member, error in view.left_out.items()
    ]
    container = Container(
        name=place.name,
        kind=kind,
        format=archive.format,
        packing=archive.packing,
        members=len(archive.members),
        oddities=(*archive.oddities, *strange),
        problem=archive.problem or _of_layers(files),
    )
    members = {member.path: member for member in archive.members if member.path in view.places}
    holder = Holder(container, view, members, place.shown, ties, source=content)
    opened.holders.append(holder)
    looked = _Looked(opened, holder, place)
    for member in members.values():
        looked.at(member)
    opened.trees.append(looked.told())


def _of_layers(files: Mapping[str, Member]) -> str:
    """Return why what is judged of a container's image is not all of it: its layers lie over one another.

    Sources: the OCI image layout (``oci-layout``, ``index.json``) and what ``docker save`` writes (``manifest.json``).
    """
    layout = "oci-layout" in files and "index.json" in files
    saved = "manifest.json" in files and any(path.endswith("/layer.tar") for path in files)
    words = "it is a container's image, whose layers lie over one another, and each is judged here by itself"
    return words if layout or saved else ""


def _whole(member: Member | None) -> bytes | None:
    if member is None or member.content is None or member.content.size > _MANIFEST_LIMIT:
        return None
    try:
        return member.content.pread(0, member.content.size)
    except (OSError, FormatError):
        return None


def _read(content: Content, kind: ContainerKind) -> Archive:
    try:
        return open_archive(content, kind)
    except NeedsZstdError:
        problem = _NEEDS_ZSTD
    except FormatError as error:
        problem = error.message
    except OSError as error:
        problem = error.strerror or "cannot be read"
    return Archive(format=kind, packing="", members=(), problem=problem)


class _Looked:
    """Goes through the members of one archive."""

    def __init__(self, opened: Opened, holder: Holder, place: _Place) -> None:
        self._opened = opened
        self._holder = holder
        self._depth = place.depth
        self._within = place.within
        self._found: list[Named] = []
        self._links: list[tuple[str, str]] = []
        self._passed_over: Counter[str] = Counter()
        self._problems: dict[str, str] = {}
        self._files = 0

    def at(self, member: Member) -> None:
        """Look at one member by its first bytes."""
        real = self._holder.view.places[member.path]
        if member.kind == "link":
            self._links.append((member.path, real))
        elif member.kind == "hard-link" or member.content is not None:
            self._files += 1
            try:
                self._look(member, real)
            except FormatError as error:
                self._problems[member.path] = error.message
            except OSError:  # what is not kept of a packed stream begins like nothing that is judged
                pass

    def _look(self, member: Member, real: str) -> None:
        """Take what is judged, and open what is an archive itself. Raises FormatError, OSError."""
        content = self._holder.view.content(real)
        head = content.pread(0, _HEAD)
        if head.startswith(MAGIC):
            kind = elf_kind(content)
            if kind == "subject":
                self._holder.programs.append(member.path)
                self._found.append(self._named(member, real, content))
                self._read_now(member.path, real, content)
            else:
                self._passed_over[kind] += 1
        elif head.startswith(OTHER_SYSTEMS):
            self._holder.others.append(member.path)
        nested = archive_kind(head, member.path)
        if nested is not None and member.kind == "file":
            self._enter(member, content, nested)

    def _read_now(self, path: str, real: str, content: Content) -> None:
        """Read what will be asked for while the bytes are at hand: unpacking them again is most of the work."""
        with suppress(FormatError, OSError):
            self._holder.view.elf(real).imports()
        if self._holder.container.kind == "wheel":
            with suppress(OSError):
                self._holder.digests[path] = digest_of(content)

    def _named(self, member: Member, real: str, content: Content) -> Named:
        view = self._holder.view
        entry = view.lstat(real).entry
        like = (content.size, stat.S_IMODE(entry.mode), content.pread(0, _SAME_HEAD))
        return Named(member.path, like, view.identity(Resolved(real, entry)), lambda: _pieces(content))

    def _enter(self, member: Member, content: Content, kind: ContainerKind) -> None:
        holder = self._holder
        if not self._depth or len(self._opened.holders) >= _ARCHIVES:
            deep = Oddity(kind="nested", member=member.path, detail=f"is an archive in {_DEPTH} others")
            holder.container = replace(holder.container, oddities=(*holder.container.oddities, deep))
            return
        name, shown = f"{holder.name}{MARK}{member.path}", f"{holder.apart}/{member.path}{MARK}"
        _open(self._opened, _Place(name, shown, holder.name, self._depth - 1), content, kind)

    def told(self) -> Tree:
        """Hand over the subjects; return what the report tells of the archive."""
        holder, view = self._holder, self._holder.view
        once = once_each(self._found)
        by_place = {view.places[one.path]: one for one in self._found}
        for path, real in self._links:
            leads = view.find(real)
            if isinstance(leads, Resolved) and leads.path in by_place:
                by_place[leads.path].first.aliases.append(path)
        rows = [(one.path, "") for one in once] + list(self._problems.items())
        for path, problem in sorted(rows, key=lambda row: row[0].split("/")):
            found = Found(name=f"{holder.name}{MARK}{path}", source=_source(holder, view.places[path]), problem=problem)
            self._opened.found.append((found, holder))
        return Tree(
            name=holder.name,
            kind=holder.container.kind,
            within=self._within,
            files=self._files,
            links=len(self._links),
            subjects=len(rows),
            passed_over=dict(sorted(self._passed_over.items())),
            aliases={f"{holder.name}{MARK}{one.path}": _names(holder, one.aliases) for one in once if one.aliases},
        )


def _names(holder: Holder, paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{holder.name}{MARK}{path}" for path in sorted(paths))


def _source(holder: Holder, real: str) -> Source:
    shown = holder.shown.rstrip("/") or "/"
    return Source(view=holder.view, real=real, kind="file", top="/", root="/", base="/", shown=shown)


def _pieces(content: Content) -> Iterator[bytes]:
    try:
        for offset in range(0, content.size, _CHUNK):
            yield content.pread(offset, _CHUNK)
    except FormatError as error:
        raise OSError(error.message) from error
    finally:
        release(content)
