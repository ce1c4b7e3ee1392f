"""The database of binfmt-support, ``/var/lib/binfmts``.

Source: binfmt-support ``src/format.c`` (binfmt_load, binfmt_new) and ``src/update-binfmts.c`` (act_enable).
A file of the database has one value on each line, in the order of ``_FIELDS``; the last four may be missing.
"""

from __future__ import annotations

from typing import Final

from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["LOCAL", "Format", "parse_format"]

LOCAL: Final = b":"
"""The package of formats that an administrator has installed."""

_FIELDS: Final = (
    "package",
    "type",
    "offset",
    "magic",
    "mask",
    "interpreter",
    "detector",
    "credentials",
    "preserve",
    "fix_binary",
)
_REQUIRED: Final = 6
_SPACES: Final = b" \t\n\v\f\r"
_FLAGS: Final = (("credentials", b"C"), ("preserve", b"P"), ("fix_binary", b"F"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format as it is written down: magic and mask with their escapes; ``magic`` may be an extension."""

    name: bytes
    package: bytes
    type: bytes
    offset: bytes
    magic: bytes
    mask: bytes
    interpreter: bytes
    detector: bytes = b""
    credentials: bytes = b""
    preserve: bytes = b""
    fix_binary: bytes = b""

    @property
    def fixed(self) -> bool:
        """Whether the interpreter is opened when the format is registered."""
        return self.fix_binary == b"yes"

    def spec(self) -> tuple[bytes, ...]:
        """Return what is equal for formats that no kernel can tell apart (binfmt_equals): compared as it is written."""
        return self.type, self.offset, self.magic, self.mask

    def line(self, interpreter: bytes) -> bytes:
        """Return the line that is written to ``register``, with another interpreter where it needs a detector."""
        flags = b"".join(letter for field, letter in _FLAGS if getattr(self, field) == b"yes")
        kind = b"M" if self.type == b"magic" else b"E"
        fields = (self.name, kind, self.offset, self.magic, self.mask, interpreter, flags)
        return b"".join(b":" + field for field in fields) + b"\n"


def parse_format(name: bytes, data: bytes) -> Format:
    """Return the format ``name`` of the database. Raises FormatError for a file that update-binfmts calls corrupt."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    values = [line.rstrip(_SPACES).partition(b"\0")[0] for line in lines[: len(_FIELDS)]]
    if len(values) < _REQUIRED:
        raise FormatError(f"has {len(values)} lines, and ends before the {_FIELDS[len(values)]}")
    return Format(name=name, **dict(zip(_FIELDS, values, strict=False)))
