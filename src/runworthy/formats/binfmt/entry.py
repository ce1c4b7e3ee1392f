"""The file of a handler in ``/proc/sys/fs/binfmt_misc``.

Source: Linux ``fs/binfmt_misc.c`` (entry_status)::

    enabled
    interpreter /usr/bin/ape
    flags: PF
    offset 0
    magic 4d5a71467044
    mask ffffffffffff

or ``extension .NAME`` in place of the last three; the mask may be missing. Nothing in it is escaped.
"""

from __future__ import annotations

from runworthy.model.binfmt import HEAD_SIZE, Handler
from runworthy.model.errors import FormatError
from runworthy.model.records import replace

__all__ = ["parse_entry"]

_LIMIT = 1 << 12
"""More than any registration comes to: its line has at most 1920 bytes, of which 256 and 256 are doubled."""
_STATUS = {"enabled": True, "disabled": False}
_FLAGS_LINE = "\nflags: "
_HEX = frozenset("0123456789abcdef")


def parse_entry(name: str, text: str) -> Handler:
    """Return the handler that the file ``name`` with this text tells of. Raises FormatError.

    An interpreter and an extension can hold newlines, and then a text may be that of more than one handler: that is
    an error as well.
    """
    if not name or name in (".", "..") or "/" in name:
        raise FormatError(f"{name!r} is no name of a handler")
    if len(text) > _LIMIT:
        raise FormatError(f"the text has {len(text)} characters, more than {_LIMIT}")
    status, _, rest = text.partition("\n")
    if status not in _STATUS or not rest.startswith("interpreter "):
        raise FormatError("not the text of a handler: enabled or disabled, then its interpreter")
    rest = rest.removeprefix("interpreter ")
    found: list[Handler] = []
    at = rest.find(_FLAGS_LINE)
    while at >= 0 and len(found) < 2:
        handler = _handler(rest[:at], rest[at + len(_FLAGS_LINE) :])
        found += [handler] if handler else []
        at = rest.find(_FLAGS_LINE, at + 1)
    if len(found) != 1:
        raise FormatError("more than one handler has this text" if found else "flags, magic or extension are amiss")
    return replace(found[0], name=name, enabled=_STATUS[status])


def _handler(interpreter: str, rest: str) -> Handler | None:
    """Return the handler whose text goes on with ``rest`` after the word flags, None where none does."""
    flags, _, rest = rest.partition("\n")
    if not interpreter or flags != "".join(one for one in "POCF" if one in flags) or not rest.endswith("\n"):
        return None
    if rest.startswith("extension ."):
        extension = rest[len("extension .") : -1]
        good = bool(extension) and "/" not in extension
        return Handler(name="", interpreter=interpreter, extension=extension, flags=flags) if good else None
    lines = [line.partition(" ") for line in rest[:-1].split("\n")]
    if [word for word, _, _ in lines] not in (["offset", "magic"], ["offset", "magic", "mask"]):
        return None
    offset = _number(lines[0][2])
    magic, *masks = (_bytes(written) for _, _, written in lines[1:])
    mask = masks[0] if masks else b""
    if offset is None or not magic or mask is None or (masks and len(mask) != len(magic)):
        return None
    if offset + len(magic) > HEAD_SIZE:
        return None
    return Handler(name="", interpreter=interpreter, magic=magic, mask=mask, offset=offset, flags=flags)


def _number(written: str) -> int | None:
    good = written.isascii() and written.isdigit() and len(written) <= len(str(HEAD_SIZE))
    return int(written) if good else None


def _bytes(written: str) -> bytes | None:
    """Return what hexadecimal digits say, two for each byte; None where they say nothing."""
    if not written or len(written) % 2 or not _HEX.issuperset(written):
        return None
    return bytes.fromhex(written)
