"""What GNU readelf says about a file, in the shape of our facts: the oracle of the reader's tests."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Said", "readelf"]

_HEAD = re.compile(r"^  (?P<key>[A-Z][\w /]+):\s+(?P<value>.*)$")
_DYNAMIC = re.compile(r"^ 0x[0-9a-f]+ \((?P<tag>[^)]*)\)\s*(?P<value>.*)$")
_SEGMENT = re.compile(
    r"^  (\S+)\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+ 0x([0-9a-f]+) 0x([0-9a-f]+) ([R ][W ][E ]) (\w+)"
)
_FILE = re.compile(r"Version: \d+  File: (?P<file>.*?)  Cnt: \d+")
_NEED = re.compile(r"Name: (?P<name>.*?)  Flags: (?P<flags>.*?)  Version: (?P<index>\d+)$")
_DEF = re.compile(r"Rev: \d+  Flags: (?P<flags>.*?)  Index: (?P<index>\d+)  Cnt: \d+  Name: (?P<name>.*)$")
_SYMBOL = re.compile(
    r"^ *\d+: (?P<value>[0-9a-f]+) +\S+ (?P<kind>[A-Z]\S*|<.*?>: \d+) +"
    r"(?P<bind>[A-Z]\S*|<.*?>: \d+) +(?P<visibility>\S+) +(?:\[.*?\] +)?"
    r"(?P<section>bad section index\[ *\d+\]|\S+)"  # of files whose section headers were stripped but for a few
    r"(?: (?P<name>\S+?)(?:(?P<at>@@?)(?P<version>[^@\s]+))?(?: \((?P<index>\d+)\))?)?$"
)
_RELOCATION = re.compile(r"^[0-9a-f]{8,16} +([0-9a-f]{8,16}) \S")
_LINKABLE = ("NOTYPE", "OBJECT", "FUNC", "COMMON", "TLS")
# Only where EI_OSABI says GNU does readelf know their names; ld.so knows them everywhere.
_INDIRECT = ("IFUNC", "<OS specific>: 10")
_UNIQUE = ("UNIQUE", "<OS specific>: 10")

Version = tuple[str | None, str | None]


@dataclass(slots=True)
class Said:
    """What readelf printed.

    ``imports`` are (name, (file, version), weak), ``exports`` (name, version), ``visible`` the names that
    have a default version and are no indirect function. ``infos`` are r_info values in hexadecimal.
    """

    head: dict[str, str] = field(default_factory=dict)
    segments: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    stack: str | None = None
    interpreter: str | None = None
    dynamic: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    needs: list[tuple[str, str, bool]] = field(default_factory=list)
    defs: list[tuple[str, int, bool]] = field(default_factory=list)
    imports: set[tuple[str, Version, bool]] = field(default_factory=set)
    exports: set[tuple[str, str | None]] = field(default_factory=set)
    visible: set[str] = field(default_factory=set)
    copied: bool = False
    infos: set[str] = field(default_factory=set)
    relocations: int = 0
    build_id: str | None = None
    kernel: str | None = None

    undefined: list[tuple[str, str | None, bool]] = field(default_factory=list)
    indexes: dict[str | None, Version] = field(default_factory=dict)
    file: str = ""


def readelf(path: str) -> Said:
    """Ask readelf about the file at ``path``."""
    questions = "--file-header --segments --dynamic --version-info --dyn-syms --relocs --notes --wide".split()
    done = subprocess.run(["readelf", *questions, path], capture_output=True, check=False, env={"LC_ALL": "C"})
    said = Said()
    part: Callable[[Said, str], None] = _nothing
    for line in done.stdout.decode("utf-8", "surrogateescape").split("\n"):
        if line and not line[0].isspace() and not (part is _relocation and _RELOCATION.match(line)):
            part = next((take for title, take in _PARTS if line.startswith(title)), _nothing)
        else:
            part(said, line)
    nodes = {name for name, _, base in said.defs if not base}
    # readelf leaves the version out where the symbol is the version node itself.
    said.exports = {(name, name if version is None and name in nodes else version) for name, version in said.exports}
    said.imports = {(name, said.indexes.get(index, (None, None)), weak) for name, index, weak in said.undefined}
    return said


def _nothing(said: Said, line: str) -> None:
    pass


def _head(said: Said, line: str) -> None:
    if found := _HEAD.match(line):
        said.head[found["key"]] = found["value"]


def _segment(said: Said, line: str) -> None:
    if found := _SEGMENT.match(line):
        kind, offset, address, filesz, memsz, flags, align = found.groups()
        if kind == "LOAD":
            said.segments.append((int(offset, 16), int(address, 16), int(filesz, 16), int(memsz, 16), int(align, 16)))
        elif kind == "GNU_STACK":
            said.stack = flags
    elif "[Requesting program interpreter: " in line and said.interpreter is None:
        said.interpreter = line.partition("interpreter: ")[2].removesuffix("]")


def _dynamic(said: Said, line: str) -> None:
    if found := _DYNAMIC.match(line):
        said.dynamic[found["tag"]].append(found["value"])


def _need(said: Said, line: str) -> None:
    if found := _FILE.search(line):
        said.file = found["file"]
    elif found := _NEED.search(line):
        said.needs.append((said.file, found["name"], "WEAK" in found["flags"]))
        said.indexes[found["index"]] = said.file, found["name"]


def _def(said: Said, line: str) -> None:
    if found := _DEF.search(line):
        said.defs.append((found["name"], int(found["index"]), "BASE" in found["flags"]))


def _symbol(said: Said, line: str) -> None:
    found = _SYMBOL.match(line)
    if not found or not found["name"] or found["bind"] == "LOCAL" or found["visibility"] in ("HIDDEN", "INTERNAL"):
        return
    if found["section"] != "UND":
        _export(said, found)
    elif found["kind"] != "REGISTER":  # SPARC's register symbols are not looked up
        said.undefined.append((found["name"], found["index"], found["bind"] == "WEAK"))


def _export(said: Said, found: re.Match[str]) -> None:
    placed = int(found["value"], 16) or found["section"] == "ABS" or found["kind"] == "TLS"
    if placed and found["kind"] in (*_LINKABLE, *_INDIRECT) and found["bind"] in ("GLOBAL", "WEAK", *_UNIQUE):
        said.exports.add((found["name"], found["version"]))
        said.copied |= found["index"] is not None
        if found["at"] != "@" and found["kind"] not in _INDIRECT:
            said.visible.add(found["name"])


def _relocation(said: Said, line: str) -> None:
    if found := _RELOCATION.match(line):
        said.relocations += 1
        said.infos.add(found[1])


def _note(said: Said, line: str) -> None:
    if "Build ID: " in line:
        said.build_id = line.partition("Build ID: ")[2].strip()
    elif "OS: Linux, ABI: " in line:
        said.kernel = line.partition("ABI: ")[2].strip()


_PARTS: tuple[tuple[str, Callable[[Said, str], None]], ...] = (
    ("ELF Header", _head),
    ("Elf file type", _segment),
    ("Program Headers", _segment),
    ("Dynamic section", _dynamic),
    ("Version needs", _need),
    ("Version definition", _def),
    ("Symbol table", _symbol),
    ("Relocation section '.relr", _nothing),
    ("Relocation section", _relocation),
    ("Displaying notes", _note),
)
