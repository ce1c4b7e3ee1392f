"""What a root says of itself: os-release(5)."""

from __future__ import annotations

from runworthy.model.errors import FormatError
from runworthy.targets.view import FileView, UnseenError

__all__ = ["family_of", "os_release"]

_PATHS = ("/etc/os-release", "/usr/lib/os-release")
_LIMIT = 1 << 16


def os_release(view: FileView) -> dict[str, str]:
    """Return the fields, without their quotes, of the first of the files that can be read; none where none can be."""
    for path in _PATHS:
        try:
            text = view.read(path, _LIMIT).decode("utf-8", "replace")
        except (FormatError, OSError, UnseenError):
            continue
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
    return {}


def family_of(fields: dict[str, str]) -> tuple[str, ...]:
    """Return the names that the fields give a distribution and those it descends from, its own first."""
    return tuple(f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".split())
