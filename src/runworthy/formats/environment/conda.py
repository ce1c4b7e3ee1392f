"""What conda's installers write down: records of what is installed, what is in a cache, and who wrote a history.

Sources: conda ``conda/models/records.py`` (PrefixRecord, PathData), ``conda/models/enums.py`` (LinkType, PathType) and
``conda/history.py`` (write_head); rattler ``crates/rattler_conda_types/src/prefix_record.rs``; pixi
``crates/pixi_core/src/environment/mod.rs`` (EnvironmentFile) and ``conda_metadata.rs`` (create_history_file).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from runworthy.formats.environment.loading import items, load_object, word
from runworthy.model.records import dataclass, field

__all__ = ["HISTORY_MAX", "CondaFiles", "CondaPackage", "parse_history", "parse_index", "parse_paths", "parse_pixi",
           "parse_prefix_record"]  # fmt: skip

HISTORY_MAX: Final = 4 << 20
_LINKS: Final[Mapping[object, Literal["hard", "soft", "copy"]]] = {1: "hard", 2: "soft", 3: "copy"}
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_COMMAND: Final = re.compile(r"^# cmd: *(\S+)", re.MULTILINE)
_CONDA: Final = re.compile(r"^# conda version: *(\S{1,40})", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaFiles:
    """The files of a package by their paths below the prefix, with the SHA-256 that they have there, "" for unknown.

    ``patched`` are those into which the prefix was written, ``unlinked`` those that are copied whatever links are
    possible, ``soft`` those that are symbolic links in the package itself.
    """

    hashes: Mapping[str, str] = field(default_factory=dict)
    patched: frozenset[str] = frozenset()
    unlinked: frozenset[str] = frozenset()
    soft: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPackage:
    """A record of ``conda-meta``.

    ``link`` is how files came there as the record has it; rattler writes "hard" where hard links were allowed, whatever
    was done. ``extracted`` is the directory in the cache that they came from.
    """

    name: str = ""
    version: str = ""
    build: str = ""
    link: Literal["hard", "soft", "copy", ""] = ""
    extracted: str = ""
    files: CondaFiles = CondaFiles()


def parse_prefix_record(data: bytes, path: str = "") -> CondaPackage:
    """Return the record of an installed package. Raises FormatError."""
    held = load_object(data, path)
    link = held.get("link")
    kind = link.get("type") if isinstance(link, dict) else None
    return CondaPackage(
        name=word(held.get("name")),
        version=word(held.get("version")),
        build=word(held.get("build")),
        link=_LINKS.get(kind, "") if isinstance(kind, int) else "",
        extracted=word(held.get("extracted_package_dir")),
        files=_files(held.get("paths_data"), held.get("files")),
    )


def parse_index(data: bytes, path: str = "") -> tuple[str, str, str]:
    """Return name, version and build that the ``info/index.json`` of a package gives. Raises FormatError."""
    held = load_object(data, path)
    return word(held.get("name")), word(held.get("version")), word(held.get("build"))


def parse_paths(data: bytes, path: str = "") -> CondaFiles:
    """Return the files of an ``info/paths.json``. Raises FormatError."""
    return _files(load_object(data, path), None)


def parse_history(data: bytes) -> tuple[str, str]:
    """Return the program that wrote the first entry of a history and its version, empty where none did.

    mamba and micromamba write a version of conda that they are not: none is told for them. rattler leaves the file
    empty, and pixi writes a line that is no entry.
    """
    text = data[:HISTORY_MAX].decode("utf-8", "replace")
    command = _COMMAND.search(text)
    program = re.split(r"[/\\]", command[1])[-1].removesuffix(".exe").lower() if command else ""
    version = _CONDA.search(text)
    if program in ("mamba", "micromamba"):
        return program, ""
    return ("conda", version[1]) if version else ("", "")


def parse_pixi(data: bytes, path: str = "") -> tuple[str, str]:
    """Return the version of pixi, or of magic, that made an environment, and its manifest. Raises FormatError."""
    held = load_object(data, path)
    version = word(held.get("pixi_version")) or word(held.get("magic_version"))
    return version, word(held.get("manifest_path"))


def _files(data: object, names: object) -> CondaFiles:
    """Return what ``paths_data`` says; of what it leaves out, and ``files`` names, only that it is there."""
    hashes: dict[str, str] = {}
    patched, unlinked, soft = set(), set(), set()
    for path, row in _rows(data):
        shown = word(row.get("sha256_in_prefix")) or ("" if row.get("prefix_placeholder") else word(row.get("sha256")))
        hashes[path] = shown if _HASH.fullmatch(shown) else ""
        if row.get("prefix_placeholder"):
            patched.add(path)
        if row.get("no_link") is True:
            unlinked.add(path)
        if row.get("path_type") == "softlink":
            soft.add(path)
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str):
            hashes.setdefault(name, "")
    return CondaFiles(hashes=hashes, patched=frozenset(patched), unlinked=frozenset(unlinked), soft=frozenset(soft))


def _rows(data: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = items(data.get("paths")) if isinstance(data, dict) else iter(())
    return ((path, row) for row in rows if (path := word(row.get("_path"))))
