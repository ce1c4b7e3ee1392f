"""TOML (https://toml.io/en/v1.0.0): bytes into tables, and in which line each of them stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runworthy.configuration.model import Place
from runworthy.formats.toml import LONG_KEY, MOST_PARTS
from runworthy.model.errors import UsageError

__all__ = ["lines", "parse"]

_PART = re.compile(r"""[ \t]*(?:"((?:\\.|[^"\\\n])*)"|'([^'\n]*)'|([\w-]+))[ \t]*(\.?)""")
_KEY_LOOKED_AT = 512
_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|[\[\]{}\n]|[^"'#\[\]{}\n]+''',
    re.DOTALL,
)


def parse(data: bytes, name: str) -> dict[str, object]:
    """Return the tables of a file, of which ``name`` is how it is shown. Raises UsageError with line and column."""
    import tomllib

    if LONG_KEY.search(data):
        raise UsageError(f"{name}: a key has more than {MOST_PARTS} parts", option="--config")
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{name}: line {line} is no UTF-8, as TOML has to be", option="--config") from error
    except RecursionError as error:
        raise UsageError(f"{name}: values are nested too deeply", option="--config") from error
    except ValueError as error:  # TOMLDecodeError, and numbers with too many digits
        raise UsageError(f"{name}: {error}", option="--config") from error


def lines(text: str) -> dict[Place, int]:
    """Return the line of each table and key of a text that was parsed; those of inline tables have none."""
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    for line, head, body in _statements(text):
        if head is None:
            found.setdefault((*table, *_key(body)), line)
            continue
        table = ()
        *above, last = _key(body)
        for part in above:
            table = (*table, part)
            table = (*table, counts[table] - 1) if table in counts else table
        table = (*table, last)
        if head == "[[":
            counts[table] = counts.get(table, 0) + 1
        table = (*table, counts[table] - 1) if table in counts else table
        found.setdefault(table, line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str | None, str]]:
    """Yield each statement with its line: the bracket and what is in it of a table's head, else a key and more."""
    line, depth, begun = 1, 0, False
    for token in _TOKEN.finditer(text):
        word = token[0]
        if not begun and word.strip() and not word.startswith("#"):
            start, begun = token.start(), True
            head = "[[" if text.startswith("[[", start) else "[" if word == "[" else None
            start += len(head or "")
            yield line, head, text[start : start + _KEY_LOOKED_AT]
        depth += (word in ("[", "{")) - (word in ("]", "}"))
        line += word.count("\n")
        if word == "\n" and depth <= 0:
            begun, depth = False, 0


def _key(text: str) -> Place:
    """Return the parts of the dotted key at the beginning of a text."""
    parts: list[str | int] = []
    at = 0
    while (found := _PART.match(text, at)) is not None:
        parts.append(next(part for part in found.groups()[:3] if part is not None))
        at = found.end()
        if not found[4]:
            break
    return tuple(parts)
