"""Files of binfmt.d: which of them are read, in which order, and the rules in them.

Sources: systemd ``src/binfmt/binfmt.c``, ``src/basic/conf-files.c`` (conf_files_list_strv), ``src/basic/fileio.c``
(read_line_full); OpenRC ``sh/binfmt.sh.in``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from runworthy.model.errors import FormatError

__all__ = ["SUFFIX", "Rule", "chosen", "rule_name", "shell_rules", "systemd_rules", "with_rule"]

SUFFIX: Final = ".conf"
_LINE_LIMIT: Final = 1 << 20
"""LONG_LINE_MAX, in bytes: at a longer line systemd gives the file up."""
_LINE: Final = re.compile(rb"([^\n\r\0]*)(\n\r?\0?|\r\n?\0?|\0|\Z)")
_BLANKS: Final = b" \t\n\r"
_COMMENTS: Final = (b"#", b";")
_ESCAPED: Final = re.compile(rb"\\(.?)", re.DOTALL)
_NAME_MAX: Final = 255
_RESERVED: Final = (b"", b".", b"..", b"register", b"status")


class Rule(NamedTuple):
    """A line that is written to ``register``. ``line`` counts from 1."""

    line: int
    text: bytes


def chosen(listings: Mapping[str, Iterable[str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    """Return the files that are read, in order, and those that are not because another one has their name.

    ``listings`` are the names in each directory, the directory that has precedence first. A file is told as directory
    and name; one that is hidden by another also with the other one's directory. Files are read in the order of their
    names' bytes, whatever their directories.
    """
    found: dict[str, str] = {}
    hidden = []
    for directory, names in listings.items():
        for name in sorted(names):
            if name.startswith(".") or not name.endswith(SUFFIX):
                continue
            if name in found:
                hidden.append((directory, name, found[name]))
            else:
                found[name] = directory
    return [(found[name], name) for name in sorted(found, key=_bytes)], hidden


def systemd_rules(data: bytes) -> Iterator[Rule]:
    """Yield what systemd-binfmt takes for rules. Raises FormatError at a line at which it stops reading the file.

    A line ends at a newline, a carriage return, a NUL, or several different ones of these.
    """
    for number, found in enumerate(_LINE.finditer(data), 1):
        if len(found[1]) >= _LINE_LIMIT:
            raise FormatError(f"line {number} is longer than {_LINE_LIMIT} bytes", offset=found.start())
        text = found[1].strip(_BLANKS)
        if text and not text.startswith(_COMMENTS):
            yield Rule(number, text)


def shell_rules(data: bytes, *, raw: bool) -> Iterator[Rule]:
    """Yield what the shell script of OpenRC takes for rules. A last line without a newline is not among them.

    ``raw``: it reads with ``read -r``, else it takes backslashes away.
    """
    lines = data.replace(b"\0", b"").split(b"\n")[:-1]
    number = 0
    while number < len(lines):
        parts = [lines[number]]
        number += 1
        while not raw and _is_continued(parts[-1]) and number < len(lines):
            parts[-1] = parts[-1][:-1]
            parts.append(lines[number])
            number += 1
        text = b"".join(parts)
        if not raw:
            text = _ESCAPED.sub(rb"\1", text)
        text = text.strip(b" \t")
        if text and not text.startswith(_COMMENTS):
            yield Rule(number, text)


def _is_continued(line: bytes) -> bool:
    return bool((len(line) - len(line.rstrip(b"\\"))) % 2)


def rule_name(text: bytes) -> bytes:
    """Return the name that systemd-binfmt reads in a rule, which it deletes first. Raises FormatError for none."""
    name = text[1:].split(text[:1], 1)[0]
    if name in _RESERVED or b"/" in name or len(name) > _NAME_MAX:
        raise FormatError(f"`{name[:80].decode('utf-8', 'replace')}` is no name of a rule")
    return name


def with_rule(data: bytes, name: bytes, text: bytes = b"") -> bytes:
    """Return a file with another text in the place of the rules of a name, which become comments where there is none.

    All other lines stay as they are.
    """
    parts = []
    for found in _LINE.finditer(data):
        line = found[1].strip(_BLANKS)
        ours = line and not line.startswith(_COMMENTS) and line[1:].split(line[:1], 1)[0] == name
        parts.append((text or b"#" + line) + found[2] if ours else found[0])
    return b"".join(parts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
