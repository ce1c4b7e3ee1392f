"""The little YAML that configuration needs: mappings, lists, numbers, truth values and text (YAML 1.2, and 1.1).

Text is written between double quotes, or as a block where it is several lines; nothing in it is ever taken for
anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runworthy.model.errors import UsageError
from runworthy.model.records import dataclass

__all__ = ["Unsafe", "Value", "emit"]


@dataclass(frozen=True, slots=True)
class Unsafe:
    """Text in which Ansible is not to look for templates."""

    text: str


Value = str | int | bool | Unsafe | Sequence["Value"] | Mapping[str, "Value"]

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def emit(value: Value) -> str:
    """Return a document. Raises UsageError for text that is no Unicode, which YAML has no way to write."""
    return "\n".join(_lines(value) if _is_nested(value) else _scalar(value)) + "\n"


def _lines(value: Value) -> Iterator[str]:
    """Yield the lines of a value, not indented."""
    if isinstance(value, Mapping):
        for key, held in value.items():
            yield from _entry(f"{key}:", held)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for held in value:
            first, *rest = _lines(held) if _is_nested(held) else _scalar(held)
            yield f"- {first}"
            yield from (f"  {line}" if line else line for line in rest)
    else:
        yield from _scalar(value)


def _entry(key: str, value: Value) -> Iterator[str]:
    if _is_nested(value):
        yield key
        yield from (f"  {line}" if line else line for line in _lines(value))
    else:
        first, *rest = _scalar(value)
        yield f"{key} {first}"
        yield from (f"  {line}" if line else line for line in rest)


def _is_nested(value: Value) -> bool:
    return not isinstance(value, (str, int, Unsafe)) and bool(value)


def _scalar(value: Value) -> list[str]:
    """Return the lines of what is no mapping and no list with something in it."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, int):
        return [str(value)]
    tag, text = ("!unsafe ", value.text) if isinstance(value, Unsafe) else ("", value)
    if not isinstance(text, str):
        return ["{}" if isinstance(text, Mapping) else "[]"]
    if _fits_block(text):
        return [f"{tag}|", *text[:-1].split("\n")]
    return [tag + '"' + "".join(map(_escaped, text)) + '"']


def _fits_block(text: str) -> bool:
    """Whether a block says exactly this text: lines that can be seen, no blank that counts."""
    lines = text.split("\n")
    return (
        len(lines) > 2
        and not lines[-1]
        and bool(lines[-2])
        and bool(lines[0])
        and all(line.isprintable() and line == line.strip() for line in lines)
    )


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return _ESCAPES.get(letter, letter)
    code = ord(letter)
    if 0xD800 <= code <= 0xDFFF:
        raise UsageError("a name is no UTF-8, which YAML cannot say", hint="--export sh can", option="--export")
    named = _ESCAPES.get(letter)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
