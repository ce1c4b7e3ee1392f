"""A record answers as the file does, and is read as hostile bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.formats.elf.record import PARTS, RecordedElf, decode, encode, encode_known, known_parts
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from tests.elfwriter import Note, elf
from tests.formats.test_reader import go_blob

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.elf"))
CORPUS = sorted((Path(__file__).parent / "corpus").rglob("*"))

QUESTIONS: dict[str, Callable[[ElfFile], object]] = {
    "facts": lambda file: file.facts,
    "imports": lambda file: file.imports(),
    "copies": lambda file: file.copies(),
    "relocations": lambda file: file.relocations(),
    "go": lambda file: file.go(),
    "build": lambda file: file.build(),
    "mentions": lambda file: file.mentions(),
    "names": lambda file: file.exports().names,
    "by_version": lambda file: file.exports().by_version,
    "base": lambda file: file.exports().base,
    "unversioned": lambda file: file.exports().unversioned,
    "default": lambda file: file.exports().default,
    "indirect": lambda file: file.exports().indirect,
    "versions_of": lambda file: {name: file.exports().versions_of(name) for name in sorted(file.exports().names)[:50]},
    "bindings": lambda file: file.bindings([name for group in file.imports() for name in group.strong | group.weak]),
    "bindings of what musl does not see": lambda file: file.bindings(file.exports().names - file.exports().default),
}


def answers(file: ElfFile) -> dict[str, object]:
    """Every answer of a file, errors too."""
    found: dict[str, object] = {}
    for name, question in QUESTIONS.items():
        try:
            found[name] = question(file)
        except FormatError as error:
            found[name] = (error.message, error.offset)
    return found


def read(data: bytes) -> ElfFile:
    return read_elf(BytesContent(data), "file")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_record_gives_the_answers_of_its_file(path: Path) -> None:
    file = read(path.read_bytes())
    record = encode(file)
    assert answers(decode(record, "file")) == answers(file)
    assert encode(decode(record)) == record


def test_damaged_files_give_the_same_errors_through_a_record() -> None:
    readable = 0
    for path in CORPUS:
        if not path.is_file():
            continue
        try:
            file = read(path.read_bytes())
        except FormatError:
            continue
        readable += 1
        assert answers(decode(encode(file), "file")) == answers(file), path.name
    assert readable > 10


def test_what_was_not_recorded_is_asked_of_the_file() -> None:
    file = read(elf(imports=[("puts", "GLIBC_2.2.5", "libc.so.6")], exports=["made"]))
    partial = encode_known(file, ["facts", "imports"])
    with pytest.raises(FormatError, match="exports were not recorded"):
        decode(partial).exports()
    asked: list[str] = []

    def source() -> ElfFile:
        asked.append("file")
        return file

    record = decode(partial)
    record.source = source
    assert known_parts(record) == {"facts", "imports"}
    assert record.imports() == file.imports()
    assert not asked
    assert record.exports().names == file.exports().names
    assert asked == ["file"]
    assert record.parts == {"facts", "imports"}
    assert known_parts(record) == {"facts", "imports", "exports"}
    assert decode(encode_known(record, known_parts(record))).exports().names == file.exports().names


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_record_is_a_format_error(data: st.DataObject) -> None:
    record = bytearray(encode(read(FIXTURES[-1].read_bytes())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(record) - 1))
        record[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(record)))
    try:
        file = decode(bytes(record[:cut]), "file")
    except FormatError:
        return
    assert isinstance(file, RecordedElf)
    answers(file)  # a question may be answered or refused, and nothing else


def test_every_part_is_asked_for_by_a_question() -> None:
    assert {*PARTS} <= {*QUESTIONS, "exports"}


def test_go_build_settings_and_comments_are_recorded() -> None:
    module = "path\texample.org/app\nmod\texample.org/app\tv1.0.0\nbuild\tCGO_ENABLED=0\nbuild\tGOAMD64=v3\n"
    sections = {".go.buildinfo": go_blob("go1.22.1", module), ".comment": b"GCC: (GNU) 13.2.0\0rustc version 1.80.0\0"}
    file = read(elf(sections=sections))
    record = decode(encode(file), "file")
    assert answers(record) == answers(file)
    go = record.go()
    assert go is not None
    assert go.settings["GOAMD64"] == "v3"
    assert record.build().rust == "1.80.0"


def test_a_record_of_a_program_for_another_system() -> None:
    file = read(elf(kind=2, notes=[Note(b"FreeBSD\0", 1, bytes(4))]))
    assert decode(encode(file)).facts == file.facts
    assert file.facts.system == "FreeBSD"
