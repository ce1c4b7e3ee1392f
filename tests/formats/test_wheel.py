"""Wheels' names and records, sound and hostile."""

from __future__ import annotations

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.wheel import TEXT_LIMIT, digest_of, parse_wheel_name, read_wheel
from runworthy.model.errors import FormatError
from runworthy.model.wheel import RecordRow

INFO = "demo-1.0.dist-info"
NAME = "demo-1.0-py3-none-any.whl"
WHEEL = b"Wheel-Version: 1.0\r\nRoot-Is-Purelib: True\nTag: py2-none-any\nTag: py3-none-any\n\nBody: not read\n"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: a>=1\nRequires-Dist: b;\n extra == 'x'\n"


def test_every_part_of_a_name() -> None:
    name = parse_wheel_name("Demo_X-1.0+local.1-1a-cp311.cp312-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert (name.project, name.version, name.build) == ("Demo_X", "1.0+local.1", "1a")
    assert name.tags == (
        "cp311-abi3-manylinux_2_17_x86_64",
        "cp311-abi3-manylinux2014_x86_64",
        "cp312-abi3-manylinux_2_17_x86_64",
        "cp312-abi3-manylinux2014_x86_64",
    )


@pytest.mark.parametrize(
    "name",
    [
        "demo-1.0.whl",
        "demo-1.0-py3-none-any.zip",
        "demo-1.0-x1-py3-none-any.whl",
        "demo-1.0-1-2-py3-none-any.whl",
        "demo--py3-none-any.whl",
        "de/mo-1.0-py3-none-any.whl",
        f"demo-1.0-{'.'.join(f'py{n}' for n in range(99))}-none-any.whl",
    ],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(FormatError):
        parse_wheel_name(name)


def test_records_are_read() -> None:
    record = b'demo/a.py,sha256=AA,3\n"demo/b,c.py",,\n\ndemo-1.0.dist-info/RECORD,,\n'
    files: dict[str, bytes | None] = {
        f"{INFO}/WHEEL": WHEEL, f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": record, "demo/a.py": b"a=1"
    }  # fmt: skip
    facts = read_wheel(NAME, [(path, len(data or b"")) for path, data in files.items()], files.get)
    assert not facts.flaws
    assert (facts.info, facts.purelib) == (INFO, True)
    assert facts.wheel["tag"] == ("py2-none-any", "py3-none-any")
    assert "body" not in facts.wheel
    assert facts.requires == ("a>=1", "b;\n extra == 'x'")
    assert facts.record == (
        RecordRow(path="demo/a.py", digest="sha256=AA", size=3),
        RecordRow(path="demo/b,c.py"),
        RecordRow(path=f"{INFO}/RECORD"),
    )


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"a,b,c,d,e\n", "line 1 of RECORD is not a path, a hash and a size"),
        (b"ok,,1\na,,-1\n", "line 2 of RECORD is not a path, a hash and a size"),
        (b"a,,99999999999999999999999\n", "line 1 of RECORD is not a path, a hash and a size"),
        (b'"' + b"x" * 200_000 + b'",,\n', "line 1 of RECORD cannot be read"),
        (b"\xff\n", "its RECORD is not UTF-8 at byte 0"),
        (None, "its RECORD cannot be read"),
    ],
)
def test_damaged_record_is_told(record: bytes | None, problem: str) -> None:
    files: dict[str, bytes | None] = {
        f"{INFO}/WHEEL": WHEEL, f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": record
    }  # fmt: skip
    facts = read_wheel(NAME, [(path, len(data or b"")) for path, data in files.items()], files.get)
    assert [flaw.detail for flaw in facts.flaws] == [problem]


def test_a_record_of_more_rows_than_an_archive_may_have_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes unpack to millions of rows."""
    monkeypatch.setattr("runworthy.formats.wheel._ROWS_MAX", 3)
    files = {f"{INFO}/WHEEL": WHEEL, f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": b"a,,1\r\n" * 4}
    facts = read_wheel(NAME, [(name, len(data)) for name, data in files.items()], files.get)
    assert facts.record is not None
    assert len(facts.record) == 3
    assert [flaw.detail for flaw in facts.flaws] == ["RECORD has more than 3 rows"]


def test_large_records_are_not_asked_for() -> None:
    asked: list[str] = []

    def give(path: str) -> bytes:
        asked.append(path)
        return b""

    facts = read_wheel(NAME, [(f"{INFO}/{name}", TEXT_LIMIT + 1) for name in ("WHEEL", "METADATA", "RECORD")], give)
    assert [flaw.kind for flaw in facts.flaws] == ["wheel", "metadata", "record"]
    assert not asked


def test_the_directory_of_the_name_is_read() -> None:
    facts = read_wheel(NAME, [("other-1.dist-info/WHEEL", 1), (f"{INFO}/WHEEL", 1)], lambda _: WHEEL)
    assert facts.info == INFO
    assert facts.infos == ("other-1.dist-info", INFO)


def test_hash_is_written_as_record_does() -> None:
    """The example of the PyPA specification: urlsafe, without padding."""
    assert digest_of(BytesContent(b"")) == "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    with pytest.raises(ValueError, match="too weak"):
        digest_of(BytesContent(b""), "md5")
