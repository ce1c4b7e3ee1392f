"""Nothing that is not met stays without words, and one cause is told once."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest

from runworthy import inspect
from runworthy.engine import Engine, Wishes
from runworthy.model.errors import TargetError
from runworthy.model.finding import Result
from runworthy.model.program import FileFacts
from runworthy.simulate.launch import Launch
from runworthy.targets.names import MachineWish, TargetName
from tests.rules.page import blocks, judge, pages

_TARGETS = ("alpine:3.12", "alpine:3.20", "busybox:musl", "debian:11", "debian:13", "rhel:8", "ubuntu:18.04")
_OTHERS = ("alpine:3.12", "busybox:musl", "debian:11", "rhel:8")
_DIRECTORIES = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu/gconv")
_REAL = 40
_LIBCS = ("/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/lib/libc.so")
_FACTS = [block.facts for page in pages() for block in blocks(page) if 'target = "./' not in block.facts]


def _explained(result: Result) -> None:
    assert not result.unexplained
    assert result.verdict == "runs" or result.findings
    assert result.verdict != "fails" or any(finding.severity == "error" for finding in result.findings)
    for finding in result.findings:
        texts = (finding.message, *finding.notes, *(remedy.title for remedy in finding.remedies))
        for text in texts:
            assert text == text.strip()
            assert not text.endswith(".")
            assert "/subject/" not in text
            assert "``" not in text
        assert not any(text.startswith(("please", "you should")) for text in texts)
    causes = [(finding.code, finding.message) for finding in result.findings]
    assert len(set(causes)) == len(causes)
    prints = [finding.fingerprint for finding in result.findings]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("target", _TARGETS)
def test_real_files_are_explained(target: str) -> None:
    """Programs and libraries of this machine on other systems."""
    files = [f"{top}/{name}" for top in _DIRECTORIES if os.path.isdir(top) for name in sorted(os.listdir(top))]
    files = [path for path in files if os.path.isfile(path) and not os.path.islink(path)]
    report = Engine().check(files[:: max(1, len(files) // _REAL)], [TargetName(target)])
    for result in report.results:
        _explained(result)


@pytest.mark.parametrize("wish", [MachineWish(), MachineWish(kernel="3.0", page_size="4k")], ids=["assumed", "stated"])
def test_real_files_are_explained_when_secure_or_without_proc(wish: MachineWish) -> None:
    files = [f"/usr/bin/{name}" for name in sorted(os.listdir("/usr/bin"))[::40]]
    files = [path for path in files if os.path.isfile(path)]
    for launch in (Launch(secure=True), Launch(proc=False), Launch(until="load"), Launch(trace=True)):
        report = Engine(Wishes(launch=launch)).check(
            files, [TargetName("debian:11", wish), TargetName("alpine:3.20", wish)]
        )
        for result in report.results:
            _explained(result)


@pytest.mark.parametrize("number", range(len(_FACTS)))
def test_examples_are_explained_on_every_target(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page's files on targets they were not written for."""
    facts = _FACTS[number]
    for at, target in enumerate(_OTHERS):
        directory = tmp_path / str(at)
        directory.mkdir()
        monkeypatch.chdir(directory)
        head, tables = facts.split("\n\n", 1)
        lines = [f'target = "{target}"' if line.startswith("target") else line for line in head.splitlines()]
        lines = [line for line in lines if not line.startswith(("platform", "cpu", "page_size"))]
        try:
            _explained(judge("\n".join([*lines, "", tables]), directory))
        except TargetError as error:
            assert "is not in the catalogue for" in str(error)  # noqa: PT017 - not every target has every architecture


def test_fingerprints_differ_by_target_and_subject_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = '[{}]\ninterpreter = "glibc"\nneeded = ["libnowhere.so.1", "libc.so.6"]\n'
    prints = {}
    for target, subject in product(("debian:11", "debian:12"), ("one", "two")):
        text = f'target = "{target}"\n\n{facts.format(subject)}'
        prints[target, subject] = judge(text, tmp_path).findings[0].fingerprint
        assert judge(text, tmp_path).findings[0].fingerprint == prints[target, subject]
    assert len(set(prints.values())) == 4


def test_a_library_that_many_need_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    libraries = "".join(
        f'["lib{name}.so.1"]\nsoname = "lib{name}.so.1"\nneeded = ["libnowhere.so.1"]\nimports = ["lost_{name}"]\n'
        for name in "abcd"
    )
    result = judge(
        'target = "debian:12"\n\n[app]\ninterpreter = "glibc"\nrunpath = "$ORIGIN"\n'
        f'needed = ["liba.so.1", "libb.so.1", "libc.so.1", "libd.so.1", "libc.so.6"]\n{libraries}',
        tmp_path,
    )
    assert [finding.code for finding in result.findings] == ["RW202"]
    assert "4 symbols would come from it" in result.findings[0].notes


_PLUGIN = """
target = "debian:11"

["plugin.so"]
kind = "library"
needed = ["libc.so.6"]
imports = [{imports}]
"""


@pytest.mark.parametrize(
    ("imports", "verdict", "severity"),
    [
        ("'getpid'", "runs", None),  # libc is there
        ("'lazy dladdr'", "risky", "warning"),  # libdl.so.2 is another library before glibc 2.34
        ("'dladdr', 'PyErr_SetString'", "runs", "note"),  # CPython brings it
        ("'arc4random'", "fails", "error"),  # nothing of glibc 2.31 defines it
        ("'strlcpy', 'strlcat'", "fails", "error"),  # nor these
        ("'strlcpy', 'strlcat', 'errfinish'", "runs", None),  # but PostgreSQL does
        ("'strlcpy', 'PyErr_SetString'", "fails", "error"),
        ("'arc4random', 'errfinish'", "fails", "error"),
    ],
)
def test_names_of_the_own_c_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imports: str, verdict: str, severity: str | None
) -> None:
    """What a library takes from the C library's other files without needing them is the loading program's to bring."""
    monkeypatch.chdir(tmp_path)
    result = judge(_PLUGIN.format(imports=imports), tmp_path)
    assert result.verdict == verdict
    told = {finding.severity for finding in result.findings if finding.code != "RW308"}
    assert told == ({severity} if severity else set())


def test_postgresql_has_what_its_plug_ins_take_for_granted() -> None:
    """Where its C library has none, the server exports a copy of its own."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not servers:
        pytest.skip("no PostgreSQL server")
    libc = next(path for path in map(Path, _LIBCS) if path.exists())
    read = [inspect(path) for path in (servers[0], libc)]
    exported = {name for elf in read if not isinstance(elf, FileFacts) for name in elf.exports().names}
    assert {b"strlcat", b"strlcpy"} <= exported


@pytest.mark.parametrize(("target", "loader"), [("alpine:3.20", "musl"), ("debian:12", "glibc")])
def test_a_stated_library_is_there_under_either_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, loader: str
) -> None:
    """What the user states holds on closed roots too, and without it the library is missing."""
    monkeypatch.chdir(tmp_path)
    facts = f'target = "{target}"\n{{stated}}\n[app]\ninterpreter = "{loader}"\nneeded = ["libstated.so.1"]\n'
    assert judge(facts.format(stated=""), tmp_path).verdict == "fails"
    assert judge(facts.format(stated='assume_present = ["libstated.so.1"]'), tmp_path).verdict == "runs"
