"""pnpm's index of its store: which package has which files, by the SHA-512 of each.

Sources: pnpm ``store/cafs/src/getFilePathInCafs.ts`` for the names of files, and what it writes: entries up to layout
v10 are JSON with ``integrity`` in base64, those of v11 msgpack with ``digest`` in hexadecimal, and of these only the
digests are taken, which stand there as text.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from collections.abc import Iterator
from typing import Final

from runworthy.formats.environment.loading import load_object, word

__all__ = ["INDEX_MAX", "digests_of", "package_of_key", "parse_store_entry"]

INDEX_MAX: Final = 256 << 20
"""Of an index, in bytes, beyond which it is not read."""

_PACKAGE: Final = re.compile(r"(@?[^\s@:]{1,214})@(\d[^\s@:]{0,255})")
_DIGEST: Final = re.compile(rb"[0-9a-f]{128}")


def parse_store_entry(data: bytes, path: str = "") -> tuple[str, str, list[str]]:
    """Return name, version and the digests (hexadecimal) of an entry in JSON. Raises FormatError."""
    held = load_object(data, path)
    files = held.get("files")
    rows = files.values() if isinstance(files, dict) else ()
    return word(held.get("name")), word(held.get("version")), list(_integrities(rows))


def _integrities(rows: object) -> Iterator[str]:
    for row in rows if hasattr(rows, "__iter__") else ():
        text = word(row.get("integrity")) if isinstance(row, dict) else ""
        if text.startswith("sha512-"):
            try:
                yield a2b_base64(text[7:]).hex()
            except (Error, ValueError):
                continue


def digests_of(data: bytes) -> Iterator[str]:
    """Yield the digests (hexadecimal) in an entry of layout v11."""
    return (found[0].decode("ascii") for found in _DIGEST.finditer(data))


def package_of_key(key: str) -> tuple[str, str]:
    """Return name and version of an entry of layout v11: its key is an integrity, a tab and ``name@version``.

    Both are empty for what came from no registry: there the key has a path or a URL.
    """
    found = _PACKAGE.fullmatch(key.partition("\t")[2])
    return (found[1], found[2]) if found else ("", "")
