"""Edits as plain data: what a remedy would do, for other programs to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from runworthy.formats.binfmt.registration import format_registration
from runworthy.model.edit import Edit, RegisterHandler, acts_on, kind
from runworthy.model.errors import FormatError
from runworthy.report.words import encodable

__all__ = ["edit_data"]

_TEXT_LIMIT = 64 << 10
"""The longest text (bytes) that is shown in full; a file that is longer is told by its size and hash."""
_NAMES: Mapping[str, str] = {"name": "handler", "names": "packages", "after": "sha256"}
_HIDDEN = ("changes", "what", "before", "made")
_OPTIONAL = ("sha256", "vouched")


def edit_data(edit: Edit) -> dict[str, object]:
    """Return one edit as data: its kind, what it does, what it acts on, and what its kind has beyond that."""
    data: dict[str, object] = {"kind": kind(edit), "title": encodable(edit.words), "acts_on": acts_on(edit)}
    if isinstance(edit, RegisterHandler):
        return data | {"handler": encodable(edit.handler.name), "registration": _registration(edit)}
    for name in edit.__slots__:
        data |= _field(str(_NAMES.get(name, name)), getattr(edit, name))
    return data


def _field(name: str, value: object) -> dict[str, object]:
    """Return one field of an edit by its type, and by its name where it is text that only people read."""
    if name in _HIDDEN or (name in _OPTIONAL and not value):
        return {}
    if isinstance(value, bytes):
        return _bytes(value)
    if name == "mode":
        return {name: f"{value:04o}"}
    if name == "ranges":
        return {name: list(map(list, cast("tuple[tuple[int, int], ...]", value)))} if value else {}
    if name == "effects" and isinstance(value, tuple):
        return {name: [edit_data(one) for one in value]}
    if isinstance(value, tuple):
        return {name: [encodable(one) for one in value]}
    return {name: encodable(value) if isinstance(value, str) else value}


def _bytes(content: bytes) -> dict[str, object]:
    from hashlib import sha256

    data: dict[str, object] = {"size": len(content), "sha256": sha256(content).hexdigest()}
    try:
        text = content.decode() if len(content) <= _TEXT_LIMIT and b"\0" not in content else None
    except UnicodeDecodeError:
        text = None
    return data if text is None else {"text": text, **data}


def _registration(edit: RegisterHandler) -> str:
    try:
        return encodable(format_registration(edit.handler).decode("utf-8", "surrogateescape"))
    except FormatError:  # a kernel told of it, and no line can: the name says which it is
        return ""
