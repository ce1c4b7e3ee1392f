"""What lies in a ``.dist-info`` directory of an installed distribution: which files, by whom, from where.

Sources: "Recording installed projects" of the PyPA specifications (PEP 376 and 627) for RECORD and INSTALLER, PEP 610
for direct_url.json, "Core metadata" for METADATA; pip ``legacy/install.py`` (up to 23.0) for installed-files.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from runworthy.formats.environment.loading import load_object, word
from runworthy.model.errors import FormatError

__all__ = [
    "INSTALLER_MAX",
    "METADATA_MAX",
    "RECORD_MAX",
    "hash_of_row",
    "parse_direct_url",
    "parse_installed_files",
    "parse_installer",
    "parse_metadata",
    "parse_record",
]

RECORD_MAX: Final = 32 << 20
"""Of a RECORD, in bytes: the largest seen is near 3 MiB."""
METADATA_MAX: Final = 1 << 16
"""Of a METADATA, in bytes: what is read of it. Name and version stand before all that is long."""
INSTALLER_MAX: Final = 256

_ROWS_MAX: Final = 400_000
_HASHES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
_FIELD: Final = re.compile(r"^(name|version):[ \t]*([^\r\n]{0,400})", re.IGNORECASE | re.MULTILINE)


def parse_record(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the paths of a RECORD, each with its hash as it stands there ("sha256=..."). Raises FormatError."""
    if len(data) > RECORD_MAX:
        raise FormatError(f"is {len(data)} bytes, too many for a RECORD")
    if data.count(b"\n") > _ROWS_MAX:
        raise FormatError(f"has more than {_ROWS_MAX} rows")
    text = data.decode("utf-8", "surrogateescape")
    if '"' in text:
        yield from _quoted(text)
        return
    for line in text.split("\n"):
        path, _, rest = line.partition(",")
        if path := path.rstrip("\r"):
            yield path, rest.partition(",")[0]


def _quoted(text: str) -> Iterator[tuple[str, str]]:
    """Yield the rows of a RECORD in which names are quoted: those with commas, quotes and line breaks in them."""
    import csv
    from io import StringIO

    try:
        for row in csv.reader(StringIO(text, newline="")):
            if row and row[0]:
                yield row[0], row[1] if len(row) > 1 else ""
    except csv.Error as error:
        raise FormatError(f"is no RECORD: {error}") from None


def hash_of_row(digest: str) -> str:
    """Return the hash of a row ("sha256=<urlsafe base64>") as "sha256:<hexadecimal>", empty for what is none."""
    from base64 import urlsafe_b64decode

    algorithm, _, value = digest.partition("=")
    if algorithm not in _HASHES or len(value) > 128 or not value.isascii():
        return ""
    try:
        raw = urlsafe_b64decode(f"{value}{'=' * (-len(value) % 4)}")
    except ValueError:
        return ""
    return f"{algorithm}:{raw.hex()}" if len(raw) == _HASHES[algorithm] else ""


def parse_metadata(data: bytes) -> tuple[str, str]:
    """Return the name and the version that a METADATA or PKG-INFO gives, empty where it gives none."""
    head = re.split(r"\r?\n\r?\n", data[:METADATA_MAX].decode("utf-8", "replace"), maxsplit=1)[0]
    found: dict[str, str] = {}
    for row in _FIELD.finditer(head):
        found.setdefault(row[1].lower(), row[2].strip())
    return found.get("name", ""), found.get("version", "")


def parse_installer(data: bytes) -> tuple[str, str]:
    """Return who installed a distribution, in lower case, and the version where it is told ("poetry 1.8.2")."""
    words = data[:INSTALLER_MAX].decode("utf-8", "replace").split()
    return (words[0].lower() if words else ""), (words[1] if len(words) > 1 and words[1][0].isdigit() else "")


def parse_direct_url(data: bytes, path: str = "") -> tuple[str, bool]:
    """Return the directory that a distribution was installed from, and whether it is used in place. Raises FormatError.

    The directory is empty for what came from elsewhere.
    """
    from urllib.parse import unquote, urlsplit

    held = load_object(data, path)
    about = held.get("dir_info")
    if not isinstance(about, dict):
        return "", False
    try:
        parts = urlsplit(word(held.get("url")))
    except ValueError:
        return "", False
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return "", False
    directory = unquote(parts.path, errors="surrogateescape")
    return ("" if "\0" in directory else directory), about.get("editable") is True


def parse_installed_files(data: bytes) -> Iterator[str]:
    """Yield the paths of an installed-files.txt, which are relative to the directory it lies in. Raises FormatError."""
    if len(data) > RECORD_MAX or data.count(b"\n") > _ROWS_MAX:
        raise FormatError(f"is {len(data)} bytes, too many for a list of files")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return (line.rstrip("\r") for line in lines if line.strip())
