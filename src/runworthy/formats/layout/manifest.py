"""The manifests of packages: small JSON files that nobody has to have written in good faith."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from runworthy.model.errors import FormatError

__all__ = ["Read", "json_object", "strings", "text"]

Read = Callable[[str], bytes | None]
"""Returns the bytes of a member, None where there is none, or none that can be read."""

_MANIFEST_MAX: Final = 8 << 20
_TEXT_MAX: Final = 4096
_ITEMS_MAX: Final = 4096


def json_object(read: Read, path: str) -> Mapping[str, Any]:
    """Return a manifest, empty where it is not there. Raises FormatError for what is no JSON object, or too large."""
    data = read(path)
    if data is None:
        return {}
    if len(data) > _MANIFEST_MAX:
        raise FormatError(f"is {len(data)} bytes, too many for a manifest", path=path)
    try:
        held = json.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise FormatError("is nested too deeply for a manifest", path=path) from None
    except ValueError as error:  # UnicodeDecodeError is one
        raise FormatError(f"is no JSON: {error}", path=path) from None
    if not isinstance(held, dict):
        raise FormatError("is no JSON object", path=path)
    return held


def text(value: object) -> str:
    """Return a text of a manifest, empty for what is none, or none that a person would read."""
    return value if isinstance(value, str) and len(value) <= _TEXT_MAX else ""


def strings(value: object) -> tuple[str, ...] | None:
    """Return a list of texts, of one for a lone text; None where it is not there or is none such."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return None
    return tuple(found for found in map(text, value[:_ITEMS_MAX]) if found)
