"""The lists of files that a distribution's package managers keep.

Sources: dpkg ``lib/dpkg/db-fsys-files.c`` (``info/*.list``: a path a line, ``/.`` for the root) and
``db-fsys-divert.c`` (diversions: three lines each); apk-tools ``src/database.c`` (apk_db_read) by
:mod:`runworthy.formats.index.apkindex`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from runworthy.formats.content import BytesContent
from runworthy.formats.index.apkindex import read_installed
from runworthy.model.errors import FormatError

__all__ = ["DATABASE_MAX", "parse_apk", "parse_diversions", "parse_list", "parse_versions"]

DATABASE_MAX: Final = 128 << 20
_FIELD: Final = re.compile(rb"^(package|architecture|version):[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)


def parse_list(data: bytes) -> Iterator[str]:
    """Yield the absolute paths of one of dpkg's lists. Raises FormatError."""
    if len(data) > DATABASE_MAX:
        raise FormatError(f"is {len(data)} bytes, too many for a list of files")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return (line for line in lines if line[:1] == "/" and line != "/.")


def parse_versions(data: bytes) -> dict[tuple[str, str], str]:
    """Return the versions in dpkg's status by name and architecture, and by name and ``""`` as well."""
    found: dict[tuple[str, str], str] = {}
    for stanza in data[:DATABASE_MAX].split(b"\n\n"):
        fields = {row[1].lower(): row[2].decode("utf-8", "replace") for row in _FIELD.finditer(stanza)}
        name = fields.get(b"package", "")
        if name and b"version" in fields:
            found[name, fields.get(b"architecture", "")] = fields[b"version"]
            found.setdefault((name, ""), fields[b"version"])
    return found


def parse_diversions(data: bytes) -> dict[str, str]:
    """Return where dpkg puts files instead: the path that is there to the path that the package names."""
    lines = data[:DATABASE_MAX].decode("utf-8", "surrogateescape").split("\n")
    return {lines[at + 1]: lines[at] for at in range(0, len(lines) - 2, 3)}


def parse_apk(data: bytes) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield name, version and absolute paths of each package that apk installed. Raises FormatError."""
    for package in read_installed(BytesContent(data)).packages():
        yield package.name, package.version, package.files
