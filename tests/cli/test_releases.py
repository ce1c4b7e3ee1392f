"""`runworthy diff`, `floor` and `inspect` on archives and releases: whole reports, formats, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runworthy.cli import main
from tests.cli.conftest import Ended, Run
from tests.releases import program, release, tgz, wheel, zipped
from tests.report.test_document import validate
from tests.world import make

DIFF, FLOOR, FACTS = "runworthy.diff-1.json", "runworthy.floor-1.json", "runworthy.facts-1.json"


@pytest.fixture
def runworthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process, in a directory with two releases."""
    monkeypatch.chdir(tmp_path)
    release(tmp_path / "v1", "1.2.3", new=False)
    release(tmp_path / "v2", "1.3.0", new=True)

    def run(*arguments: str) -> Ended:
        code = main(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


def test_two_releases(runworthy: Run) -> None:
    ended = runworthy("diff", "v1", "v2", "--on", "debian:11,debian:12,alpine:3.20")
    assert (ended.code, ended.err) == (1, "")
    assert (
        ended.out
        == """\
✗ app-1.3.0-linux-amd64.tar.gz!app-1.3.0/bin/app no longer runs on debian:11: GLIBC_2.34

app-1.3.0-linux-amd64.tar.gz                  ✗ fails on 1 more  glibc 2.2.5 -> 2.34, kernel none -> 3.2.0  GLIBC_2.34
app-1.3.0-py3-none-manylinux_2_17_x86_64.whl  ✓ as before        glibc 2.14 -> 2.17                         GLIBC_2.17
added    app-1.3.0-linux-riscv64.tar.gz: glibc 2.34, musl nowhere, kernel 3.2.0
removed  app-1.2.3-linux-armv7
nothing differs in 2 assets: app-1.3.0-linux-arm64.tar.gz and app-1.3.0-linux-musl-amd64.zip
no program for Linux in 2 assets: app-1.3.0-darwin-arm64 and app-1.3.0-windows-amd64.zip

needs, and did not need before
  GLIBC_2.34 of libc.so.6  app-1.3.0-linux-amd64.tar.gz (__libc_start_main)
  GLIBC_2.17 of libc.so.6  app-1.3.0-py3-none-manylinux_2_17_x86_64.whl (memcpy)

no longer needs
  GLIBC_2.2.5 of libc.so.6  app-1.3.0-linux-amd64.tar.gz (__libc_start_main)
  GLIBC_2.14 of libc.so.6   app-1.3.0-py3-none-manylinux_2_17_x86_64.whl (memcpy)

worse on (old -> new)
  debian:11  1 file  ✓ runs -> ✗ fails at version  GLIBC_2.34

the same on 2 targets (1 fail, 1 run)
"""
    )


def test_the_same_release(runworthy: Run) -> None:
    told = "nothing differs in 7 assets that a loader or a target looks at"
    assert runworthy("diff", "v1", "v1") == (0, f"v1 and v1: {told}\n", "")


def test_assets_for_other_systems_alone(runworthy: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        zipped(tmp_path / name / "app-windows-amd64.zip", {"app.exe": b"MZ"})
    (tmp_path / "two/app-darwin-arm64").write_bytes(b"\xcf\xfa\xed\xfe")
    ended = runworthy("diff", "one", "two")
    assert ended == (
        0,
        "added    app-darwin-arm64: no program for Linux\nno program for Linux in 1 asset: app-windows-amd64.zip\n",
        "",
    )


@pytest.mark.slow
def test_many_assets_that_tell_the_same_are_one_line(runworthy: Run, tmp_path: Path) -> None:
    for name, node in (("one", "GLIBC_2.2.5"), ("two", "GLIBC_2.34")):
        (tmp_path / name).mkdir()
        for letter in "abcdefghijklm":
            tgz(tmp_path / name / f"{letter}-linux-amd64.tar.gz", {letter: program(node)})
    ended = runworthy("diff", "one", "two", "--on", "debian:11")
    assert "13 assets, as a-linux-amd64.tar.gz  ✗ fails on 1 more  glibc 2.2.5 -> 2.34" in ended.out
    assert "GLIBC_2.34 of libc.so.6  13 assets, as a-linux-amd64.tar.gz (__libc_start_main)" in ended.out
    assert len(ended.out.splitlines()) == 12
    assert "m-linux-amd64.tar.gz" in runworthy("diff", "one", "two", "--on", "debian:11", "-v").out


def test_a_release_as_json(runworthy: Run) -> None:
    ended = runworthy("diff", "v1", "v2", "--on", "debian:11", "--format", "json")
    assert ended.code == 1
    document = validate(ended.out, DIFF)
    assets = {asset["name"]: asset for asset in document["assets"]}
    assert assets["app-1.3.0-linux-amd64.tar.gz"] == {
        "name": "app-1.3.0-linux-amd64.tar.gz",
        "old": "v1/app-1.2.3-linux-amd64.tar.gz",
        "new": "v2/app-1.3.0-linux-amd64.tar.gz",
        "paired_by": "name",
        "files": 1,
    }
    assert assets["app-1.3.0-linux-riscv64.tar.gz"]["old"] is None
    pairs = {pair["asset"]: pair for pair in document["pairs"]}
    assert pairs["app-1.3.0-linux-amd64.tar.gz"]["name"] == "app-1.3.0-linux-amd64.tar.gz!app-1.3.0/bin/app"
    floors = {(floor["asset"], floor["kind"]) for floor in document["floors"]}
    assert ("app-1.3.0-linux-amd64.tar.gz", "glibc") in floors
    assert document["summary"] == {"assets": 8, "pairs": 6, "differ": 4, "worse": 1, "unclear": 0, "better": 0}


@pytest.mark.slow
def test_of_many_renamed_assets_a_few_are_named(runworthy: Run, tmp_path: Path) -> None:
    for directory, tag in (("old", "musllinux_1_1"), ("new", "musllinux_1_2")):
        (tmp_path / directory).mkdir()
        for number in range(20):
            core = program("GLIBC_2.2.5" if directory == "old" else "GLIBC_2.34")
            wheel(tmp_path / directory / f"a{number:02}-1.0-py3-none-{tag}_x86_64.whl", {"a/_core.so": core})
    lines = runworthy("diff", "old", "new", "--on", "debian:12").out.splitlines()
    first = "renamed  a00-1.0-py3-none-musllinux_1_1_x86_64.whl -> a00-1.0-py3-none-musllinux_1_2_x86_64.whl"
    renamed = [line for line in lines if line.startswith("renamed")]
    assert renamed[0] == f"{first}, the same by program and platform"
    assert renamed[3:] == ["renamed  and 17 more, which -v lists"]
    everything = runworthy("diff", "old", "new", "--on", "debian:12", "-v").out
    assert sum(line.startswith("renamed") for line in everything.splitlines()) == 20


def test_what_is_compared_with_what(runworthy: Run) -> None:
    archive = "v1/app-1.2.3-linux-amd64.tar.gz"
    ended = runworthy("diff", archive, "v1/app-1.2.3-linux-armv7")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {archive} is an archive and v1/app-1.2.3-linux-armv7 a file\n")
    assert runworthy("diff", archive, f"{archive}!app-1.2.3/bin/app").code == 2
    same = f"{archive}!app-1.2.3/bin/app"
    assert runworthy("diff", same, same) == (0, f"{same} and {same} hold the same bytes\n", "")


@pytest.mark.slow
def test_floors_of_a_release_are_a_line_for_each_asset(runworthy: Run) -> None:
    ended = runworthy("floor", "v2")
    assert (ended.code, ended.err) == (0, "")
    assert (
        ended.out
        == """\
                                                          glibc  musl             libstdc++  kernel      CPU
v2/app-1.3.0-linux-amd64.tar.gz                  x86_64   2.34   none             any        3.2.0       not marked
v2/app-1.3.0-linux-arm64.tar.gz                  aarch64  2.17   none             any        not marked  not marked
v2/app-1.3.0-linux-musl-amd64.zip                x86_64   any    any              any        not marked  not marked
v2/app-1.3.0-linux-riscv64.tar.gz                riscv64  2.34   none             any        3.2.0       not marked
v2/app-1.3.0-py3-none-manylinux_2_17_x86_64.whl  x86_64   2.17   1.1.24 or older  any        not marked  not marked
"""
    )
    everything = runworthy("floor", "v2", "-v").out
    assert everything.startswith(ended.out)
    assert "what asks for glibc\n  2.34  GLIBC_2.34  v2/app-1.3.0-linux-amd64.tar.gz!app-1.3.0/bin/app" in everything
    gated = runworthy("floor", "v2", "--max-glibc", "2.28")
    assert gated.code == 1
    assert gated.out.count("error[--max-glibc]") == 2
    shipped = validate(runworthy("floor", "v2", "--format", "json").out, FLOOR)["shipped"]
    assert shipped[0]["asset"] == "v2/app-1.3.0-linux-amd64.tar.gz"


def test_what_an_archive_holds(runworthy: Run, tmp_path: Path) -> None:
    make(tmp_path / "world")
    data = (tmp_path / "world/viewer/bin/viewer").read_bytes()
    wheel(tmp_path / "a-1.0-py3-none-any.whl", {"a/viewer": data}, requires="b>=2")
    ended = runworthy("inspect", "a-1.0-py3-none-any.whl")
    assert (ended.code, ended.err) == (0, "")
    total = sum(one["size"] for one in _members(runworthy, "a-1.0-py3-none-any.whl"))
    assert (
        ended.out
        == f"""\
a-1.0-py3-none-any.whl
  kind       wheel
  archive    zip
  holds      4 files, {total} bytes
  ELF files  a/viewer  x86_64
  name       a
  version    1.0
  tags       py3-none-any
  requires   b>=2
"""
    )


def _members(runworthy: Run, name: str) -> list[dict[str, int]]:
    document = validate(runworthy("inspect", name, "--format", "json").out, FACTS)
    members: list[dict[str, int]] = document["files"][0]["archive"]["members"]
    return members


def test_archives_and_members_as_json(runworthy: Run, tmp_path: Path) -> None:
    zipped(tmp_path / "odd.zip", {"../out": b"x", "in": b"y"})
    tgz(tmp_path / "a.tar.gz", {"notes": b"as you like\n"})
    ended = runworthy("inspect", "odd.zip", "a.tar.gz", "a.tar.gz!notes", "a.tar.gz!none", "--format", "json")
    assert ended.code == 4
    odd, tar, notes, none = validate(ended.out, FACTS)["files"]
    assert [one["kind"] for one in odd["archive"]["oddities"]] == ["outside"]
    assert (tar["archive"]["kind"], tar["archive"]["format"], tar["archive"]["packing"]) == ("tar", "tar", "gzip")
    assert (notes["type"], notes["archive"]) == ("text", None)
    assert none["error"]["message"] == "holds no file none"
