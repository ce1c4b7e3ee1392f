"""Wheels: the file's name, and WHEEL, METADATA and RECORD out of its ``.dist-info`` directory.

Sources: PEP 427 and the "Binary distribution format" and "Core metadata" of the PyPA specifications; PEP 425 for the
tags and their compressed sets; PEP 376 and "Recording installed projects" for RECORD.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import StringIO
from itertools import islice

from runworthy.formats.content import Content
from runworthy.model.errors import FormatError
from runworthy.model.wheel import Flaw, FlawKind, RecordRow, WheelFacts, WheelName

__all__ = ["digest_of", "normalized", "parse_wheel_name", "read_wheel"]

TEXT_LIMIT = 16 << 20
"""Largest WHEEL, METADATA or RECORD (bytes) that is read: the largest RECORD seen is near 2 MiB."""

_SETS_LIMIT = 64
_FIELDS_MAX = 20_000
_ROWS_MAX = 300_000
"""As many as an archive may have members."""
_STRETCH = 1 << 20
_NAME = re.compile(r"[^\s/\\-]+", re.ASCII)


def parse_wheel_name(file: str) -> WheelName:
    """Return the parts of ``project-version(-build)-python-abi-platform.whl``. Raises FormatError for another name.

    A build tag begins with a digit (PEP 427), and no part is empty.
    """
    stem = file.removesuffix(".whl")
    parts = stem.split("-")
    if stem == file or len(parts) not in (5, 6):
        raise FormatError("a wheel is named project-version(-build)-python-abi-platform.whl", path=file)
    if not all(map(_NAME.fullmatch, parts)):
        raise FormatError("a part of the wheel's name is empty or has a character that none may have", path=file)
    build = parts[2] if len(parts) == 6 else ""
    if build and not build[0].isdecimal():
        raise FormatError(f"the build tag {build} does not begin with a digit", path=file)
    pythons, abis, platforms = (tuple(dict.fromkeys(part.split("."))) for part in parts[-3:])
    if max(map(len, (pythons, abis, platforms))) > _SETS_LIMIT:
        raise FormatError(f"more than {_SETS_LIMIT} tags in one set", path=file)
    return WheelName(project=parts[0], version=parts[1], build=build, pythons=pythons, abis=abis, platforms=platforms)


def normalized(project: str) -> str:
    """Return a project's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", project).lower()


def read_wheel(file: str, members: Iterable[tuple[str, int]], read: Callable[[str], bytes | None]) -> WheelFacts:
    """Return what a wheel says of itself: ``file`` is its name, ``members`` are paths and sizes (bytes) of its files.

    ``read`` gives a member's bytes, None where it cannot. What is missing or damaged is told as a flaw.
    """
    held = dict(members)
    flaws: list[Flaw] = []
    name = None
    try:
        name = parse_wheel_name(file)
    except FormatError as error:
        flaws.append(Flaw(kind="name", detail=error.message))
    infos = tuple(dict.fromkeys(head for path in held if (head := path.partition("/")[0]).endswith(".dist-info")))
    info = _chosen(infos, name)
    if not info:
        flaws.append(Flaw(kind="dist-info", detail="it has no .dist-info directory"))

    texts: dict[str, str | None] = {}
    for member, kind in _KINDS.items() if info else ():
        texts[member], problem = _text(f"{info}/{member}", held, read)
        if problem:
            flaws.append(Flaw(kind=kind, detail=problem, member=f"{info}/{member}"))
    record = texts.get("RECORD")
    rows, problem = _rows(record) if record is not None else (None, "")
    if problem:
        flaws.append(Flaw(kind="record", detail=problem, member=f"{info}/RECORD"))
    return WheelFacts(
        file=file,
        name=name,
        infos=infos,
        info=info,
        wheel=_headers(texts.get("WHEEL") or ""),
        metadata=_headers(texts.get("METADATA") or ""),
        record=rows,
        members=held,
        flaws=tuple(flaws),
    )


_KINDS: Mapping[str, FlawKind] = {"WHEEL": "wheel", "METADATA": "metadata", "RECORD": "record"}


def _chosen(infos: tuple[str, ...], name: WheelName | None) -> str:
    """Return the directory that belongs to the file's name, else the first."""
    wanted = f"{name.project}-{name.version}.dist-info" if name else ""
    return wanted if wanted in infos else next(iter(infos), "")


def _text(path: str, held: Mapping[str, int], read: Callable[[str], bytes | None]) -> tuple[str | None, str]:
    """Return the text of a member, or why there is none."""
    member = path.rpartition("/")[2]
    if path not in held:
        return None, f"it has no {member}"
    if held[path] > TEXT_LIMIT:
        return None, f"its {member} has {held[path]} bytes, over the limit of {TEXT_LIMIT}"
    data = read(path)
    if data is None:
        return None, f"its {member} cannot be read"
    try:
        return data[:TEXT_LIMIT].decode("utf-8"), ""
    except UnicodeDecodeError as error:
        return None, f"its {member} is not UTF-8 at byte {error.start}"


def _headers(text: str) -> dict[str, tuple[str, ...]]:
    """Return the fields up to the first empty line, by name in lower case; a line with a blank first goes on."""
    found: dict[str, list[str]] = {}
    values: list[str] | None = None
    for line in islice(_lines(text), _FIELDS_MAX):
        if not line:
            break
        if line[0] in " \t":
            if values:
                values[-1] += f"\n{line}"
            continue
        key, colon, value = line.partition(":")
        values = found.setdefault(key.strip().lower(), []) if colon else None
        if values is not None:
            values.append(value.strip())
    return {key: tuple(held) for key, held in found.items()}


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a text one by one: all of them at once take many times the room of the text."""
    return (line.rstrip("\r\n") for line in StringIO(text, newline=None))


def _rows(text: str) -> tuple[tuple[RecordRow, ...], str]:
    """Return the rows of RECORD, and what is wrong with those that are left out."""
    import csv

    rows: list[RecordRow] = []
    problem = ""
    reader = csv.reader(_lines(text))
    try:
        for row in reader:
            if not row:
                continue
            if len(rows) >= _ROWS_MAX:
                problem = problem or f"RECORD has more than {_ROWS_MAX} rows"
                break
            path, digest, size, *_ = [*row, "", ""]
            if len(row) > 3 or (size and not (size.isascii() and size.isdecimal() and len(size) < 20)):
                problem = problem or f"line {reader.line_num} of RECORD is not a path, a hash and a size"
                continue
            rows.append(RecordRow(path=path, digest=digest, size=int(size) if size else None))
    except csv.Error:
        problem = f"line {reader.line_num} of RECORD cannot be read"
    return tuple(rows), problem


def digest_of(content: Content, algorithm: str = "sha256") -> str:
    """Return the hash of a member as RECORD writes it: urlsafe base64 without padding. Raises ValueError, OSError.

    ValueError is for an algorithm that hashlib does not have, or that PEP 427 does not allow (weaker than SHA-256).
    """
    from base64 import urlsafe_b64encode
    from hashlib import new

    if algorithm in ("md5", "sha1"):
        raise ValueError(f"{algorithm} is too weak for RECORD")
    found = new(algorithm)
    for offset in range(0, content.size, _STRETCH):
        found.update(content.pread(offset, _STRETCH))
    return f"{algorithm}={urlsafe_b64encode(found.digest()).rstrip(b'=').decode()}"
