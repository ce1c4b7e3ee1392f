"""The assets of a release: what each is by its name, and by its bytes, which count for more."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import suppress

from runworthy.engine.matrix.judging import systems_of
from runworthy.engine.matrix.members import MAGICS, read_member
from runworthy.engine.matrix.names import Named, read_name
from runworthy.engine.subjects import MARK
from runworthy.formats.archive import archive_kind, open_archive
from runworthy.formats.content import Content, FileContent, release
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError
from runworthy.model.matrix import Asset, AssetKind, Linkage, Member
from runworthy.model.records import replace

__all__ = ["files_of", "read_asset"]

_UNREAD = {"msi": "a Windows Installer package", "msix": "an MSIX package", "dmg": "a disk image", "7z": "a 7z archive",
    "pkg": "an installer package of macOS", "snap": "a snap", "flatpak": "a Flatpak bundle"}  # fmt: skip
_BUILD_FILES = frozenset(
    "go.mod Cargo.toml Makefile makefile CMakeLists.txt configure configure.ac setup.py pyproject.toml package.json "
    "meson.build pom.xml build.gradle build.zig WORKSPACE MODULE.bazel".split()
)
"""What lies at the top of a tree of sources. A test's binaries in one do not make a build of it."""
_ONE_FILE = frozenset(("gz", "xz", "zst", "bz2", "br"))
_LIMIT = 100_000
_DEPTH = 3
_HEAD = 512


def files_of(paths: Sequence[str]) -> list[str]:
    """Return the files, and the directories shipped as one, that are the assets among ``paths``, in their order.

    A directory whose own name says a platform is an asset. Of any other the files are, and where none of them is a
    build, the directories in it. Names that begin with a dot are passed over. Raises OSError.
    """
    found: dict[str, None] = {}
    for path in paths:
        if not os.path.isdir(path) or _is_asset(path):
            found[path] = None
            continue
        held = sorted(entry.path for entry in os.scandir(path) if not entry.name.startswith("."))
        files = [one for one in held if os.path.isfile(one)]
        builds = any(read_name(posixpath.basename(one)).kind == "build" for one in files)
        found.update(dict.fromkeys(files if builds else held))
    return list(found)


def _is_asset(directory: str) -> bool:
    claims = read_name(_base(directory)).claims
    return bool(claims.system or claims.archs)


def _base(path: str) -> str:
    return os.path.basename(os.path.normpath(path))


def read_asset(path: str) -> Asset:
    """Return what an asset is. What cannot be read is told as its problem."""
    name = _base(path)
    named = read_name(name)
    asset = Asset(name=name, path=path, kind=named.kind, claims=named.claims, of=named.of)
    try:
        size = os.stat(path).st_size if os.path.isfile(path) else 0
        asset = replace(asset, size=size)
        if named.kind in ("checksum", "signature", "sbom", "installer"):
            return asset
        members, source = _members(path, name)
    except FormatError as error:
        return replace(asset, problem=error.message) if named.kind == "build" else asset
    except OSError as error:
        return replace(asset, problem=error.strerror or "cannot be read")
    return _described(asset, members, named, source=source)


def _described(asset: Asset, members: list[Member], named: Named, *, source: bool) -> Asset:
    """Return the asset as its bytes have it."""
    members.sort(key=lambda one: (one.role != "program", one.name))
    decide = [one for one in members if one.role == "program"] or members
    kind = _kind(named, members, source=source)
    what = _UNREAD.get(named.claims.packing, "")
    problem = f"{what} is not read" if what and not members else ""
    if named.claims.packing in _ONE_FILE and not members:
        problem = "it is one file, packed: unpack it to have it judged"
    if kind == "build" and not (members or problem or _is_portable(asset)):
        problem = "it holds no program and no library"
    linkages: list[Linkage] = [one.linkage for one in decide if one.linkage]
    minima = [one.minimum for one in decide if one.minimum]
    return replace(
        asset,
        kind=kind,
        systems=tuple(dict.fromkeys(system for one in decide for system in systems_of(one))),
        archs=tuple(dict.fromkeys(arch for one in decide for arch in one.archs)),
        linkages=tuple(dict.fromkeys(linkages)),
        minimum=max(minima, key=lambda text: [int(part) for part in text.split(".")], default=""),
        members=tuple(members),
        problem=problem,
    )


def _kind(named: Named, members: Sequence[Member], *, source: bool) -> AssetKind:
    if named.kind == "build":
        claims = named.claims
        return "build" if members or claims.system or claims.archs or claims.packing else "other"
    has_program = any(one.role == "program" for one in members)
    return "build" if has_program and not source else named.kind


def _is_portable(asset: Asset) -> bool:
    """Whether it is of a kind that runs in another program, wherever that does: a wheel, a jar of bytecode alone."""
    return asset.claims.packing in ("whl", "jar", "phar", "nupkg", "pex") and not asset.claims.system


# -- what is in it ---------------------------------------------------------------------------------


def _members(path: str, name: str) -> tuple[list[Member], bool]:
    """Return its programs and libraries, and whether it is a tree of sources. Raises FormatError, OSError."""
    if os.path.isdir(path):
        return _read(_of_directory(path))
    content = FileContent(path, os.stat(path).st_size)
    try:
        head = content.pread(0, _HEAD)
        # An AppImage is a program that has its archive behind it.
        kind = None if head.startswith(MAGICS) else archive_kind(head, name)
        if kind is None:
            member = read_member(path, content)
            return [member] if member else [], False
        return _read(_of_archive(path, content, kind, _DEPTH))
    finally:
        release(content)


def _of_archive(name: str, content: Content, kind: ContainerKind, depth: int) -> Iterator[tuple[str, str, Content]]:
    """Yield the files of an archive, and those of archives in it. Raises FormatError, OSError."""
    archive = open_archive(content, kind)
    if archive.problem and not archive.members:
        raise FormatError(archive.problem)
    for one in archive.members:
        if one.kind != "file" or one.content is None:
            continue
        inside = f"{name}{MARK}{one.path}"
        nested = archive_kind(one.content.pread(0, _HEAD), one.path) if depth else None
        if nested is not None:
            with suppress(FormatError, OSError):  # the check tells what is damaged
                yield from _of_archive(inside, one.content, nested, depth - 1)
        else:
            yield inside, one.path, one.content


def _read(files: Iterator[tuple[str, str, Content]]) -> tuple[list[Member], bool]:
    """Return the members among files: their names, their paths in the asset, and what is in them."""
    members: list[Member] = []
    source = False
    for name, path, content in files:
        source = source or (path.count("/") <= 1 and posixpath.basename(path) in _BUILD_FILES)
        try:
            member = read_member(name, content)
        except (FormatError, OSError):
            continue  # the check tells what is damaged
        finally:
            release(content)
        if member is not None:
            members.append(member)
    return members, source


def _of_directory(directory: str) -> Iterator[tuple[str, str, Content]]:
    """Yield the regular files below a directory, no link followed."""
    number = 0
    for top, below, files in os.walk(directory):
        below.sort()
        for file in sorted(files):
            number += 1
            path = os.path.join(top, file)
            if number > _LIMIT:
                raise FormatError(f"it holds over {_LIMIT} files")
            if os.path.isfile(path) and not os.path.islink(path):
                yield path, os.path.relpath(path, directory), FileContent(path, os.stat(path).st_size)
