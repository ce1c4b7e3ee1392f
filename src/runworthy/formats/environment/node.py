"""What the installers of Node packages leave: package.json, and pnpm's record of where its files came from.

Sources: npm's documentation of package.json; pnpm ``pnpm11/installing/modules-yaml/src/index.ts``: it writes JSON and
calls it YAML, and versions before 7 wrote YAML of one level of keys that matter here.
"""

from __future__ import annotations

import re
from typing import Final

from runworthy.formats.environment.loading import load_object, word
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["MODULES_MAX", "PACKAGE_MAX", "Modules", "parse_modules", "parse_package"]

PACKAGE_MAX: Final = 4 << 20
MODULES_MAX: Final = 16 << 20
_LINE: Final = re.compile(
    r"^(storeDir|store|packageManager|layoutVersion|virtualStoreDir):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """``.modules.yaml``: ``store`` is the directory whose files were linked, with its version ("/home/a/store/v10")."""

    manager: str = ""
    version: str = ""
    store: str = ""
    layout: str = ""
    virtual: str = ""


def parse_package(data: bytes, path: str = "") -> tuple[str, str]:
    """Return the name and version of a package, empty where they are not told. Raises FormatError."""
    held = load_object(data, path)
    return word(held.get("name")), word(held.get("version"))


def parse_modules(data: bytes, path: str = "") -> Modules:
    """Return what pnpm wrote down, in JSON or in YAML. Raises FormatError."""
    if len(data) > MODULES_MAX:
        raise FormatError(f"is {len(data)} bytes, too many for a record", path=path)
    if data.lstrip()[:1] == b"{":
        held = load_object(data, path)
    else:
        rows = _LINE.finditer(data.decode("utf-8", "surrogateescape"))
        held = {row[1]: _scalar(row[2]) for row in rows}
    manager, _, version = word(held.get("packageManager")).rpartition("@")
    return Modules(
        manager=manager,
        version=version if manager else "",
        store=word(held.get("storeDir")) or word(held.get("store")),
        layout=str(held.get("layoutVersion", ""))[:20],
        virtual=word(held.get("virtualStoreDir")),
    )


def _scalar(text: str) -> str:
    """Return a YAML scalar of one line: plain, or in quotes with nothing in them that would need more."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    return text.partition(" #")[0].rstrip()
