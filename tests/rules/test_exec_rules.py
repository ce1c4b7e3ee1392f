"""Rules on execve where no page can show it: what is assumed or unknown, and steps of every kind put into words."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from runworthy.engine.context import Index, Objects
from runworthy.formats.binfmt.registration import parse_registration
from runworthy.model.binfmt import Handlers
from runworthy.model.finding import Finding
from runworthy.model.program import ApeFacts, FileFacts, FileType, MachoFacts, PeFacts, ScriptLine
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Event, Evidence, Need, Probe, Step, Stretch, Trace, Why
from runworthy.rules import Case, apply_rules, kinds_to_explain
from runworthy.rules._index import load_rules
from tests.rules.page import judge

_PATH = "/subject/app"
_KINDS = (
    "permission",
    "exec-format",
    "handler",
    "script-interpreter",
    "rewrites",
    "caller",
    "tool",
    "scratch-directory",
    "payload",
)
_DETAILS = (
    "",
    "ENOENT: there is no such file",
    "EACCES: it is a directory",
    "ENOEXEC: the machine is x86_64",
    "ELOOP: x",
)
_WINE = parse_registration(b":wine:M::MZ::/usr/bin/wine:")
_APE = parse_registration(b":APE:M::MZqFpD::/usr/bin/ape:")
_PE = PeFacts(offset=64, machine=0x8664, arch="x86_64", bits=64, subsystem=3)


def _file(type_: FileType, head: bytes = b"MZqFpD='") -> FileFacts:
    """Return facts of a file with everything that its type may have."""
    return FileFacts(
        type=type_,
        size=4096,
        head=head.ljust(256, b"\0"),
        script=ScriptLine(interpreter="/bin/sh") if type_ == "script" else None,
        ape=ApeFacts(magic="MZqFpD='", pe=_PE) if type_ == "ape" else None,
        pe=_PE if type_ == "pe" else None,
        machos=(MachoFacts(cpu=7, arch="x86_64", offset=0, size=4096, filetype=2),) if type_ == "mach-o" else (),
    )


def _step(kind: str, name: str = "", answer: Answer = Answer.UNMET, **more: object) -> Step:
    need = Need(kind=kind, name=name, by=_PATH, evidence=Evidence(file=_PATH))  # type: ignore[arg-type]
    return Step(stage="exec", need=need, answer=answer, **more)  # type: ignore[arg-type]


def _told(
    *steps: Step | Event, file: FileFacts | None = None, handlers: Handlers | None = None
) -> tuple[tuple[Finding, ...], tuple[Step, ...]]:
    stretch = Stretch(object=_PATH, machine="x86_64", loader="kernel", root="there", steps=steps)
    trace = Trace(stretches=(stretch,))
    case = Case(
        subject="app",
        target="there",
        path=_PATH,
        facts=None,
        libc=None,
        machine="x86_64",
        hardware=None,
        completeness="closed",
        trace=trace,
        catalogue=Index(),
        objects=Objects(None),
        file=file,
        handlers=handlers or Handlers(),
    )
    kinds = kinds_to_explain(trace)
    return apply_rules(case, load_rules(kinds), kinds)


def _codes(found: tuple[Finding, ...]) -> list[str]:
    return [one.code for one in found]


@pytest.mark.parametrize(("kind", "detail"), [*product(_KINDS, _DETAILS)])
def test_every_refusal_is_told_once(kind: str, detail: str) -> None:
    """Whatever the file is and whatever is said of it."""
    types: tuple[FileType, ...] = get_args(FileType)
    for type_, fatal in product(types, (True, False)):
        found, left = _told(_step(kind, "x", detail=detail, fatal=fatal), file=_file(type_))
        if kind == "caller":  # which never stands alone
            continue
        assert len(found) == 1, (type_, found)
        assert not left
        assert found[0].severity == ("error" if fatal else "warning")


@pytest.mark.parametrize("why", get_args(Why))
def test_what_is_not_known_of_the_kernel_is_told(why: Why) -> None:
    types: tuple[FileType, ...] = get_args(FileType)
    for type_, unknown in product(types, ("", "it is not mounted")):
        step = _step("exec-format", "x", Answer.UNKNOWN, why=why, detail=unknown or "the bytes of /x are not known")
        found, left = _told(step, file=_file(type_), handlers=Handlers(unknown=unknown))
        assert not left
        assert len(found) == 1
        assert found[0].severity == "warning"
        assert (found[0].code == "RW132") == bool(unknown)


@pytest.mark.parametrize(
    ("kind", "detail", "code"),
    [
        ("handler", "ENOENT: there is no such file", "RW113"),
        ("handler", "ENOENT: its interpreter /lib64/ld-linux-x86-64.so.2: there is no such file", "RW113"),
        ("handler", "EACCES: it is a directory", "RW113"),
        ("handler", "EACCES: its file system is mounted with noexec", "RW120"),
        ("handler", "ENOEXEC: it is no ELF file", "RW114"),
        ("handler", "ENOEXEC: a handler with O or C keeps the file open, and its interpreter is a script", "RW114"),
        ("handler", "ELIBBAD: the interpreter /lib64/ld.so is made for AArch64", "RW114"),
        ("script-interpreter", "ENOENT: there is no such file", "RW115"),
        ("script-interpreter", "EACCES: its file system is mounted with noexec", "RW120"),
        ("script-interpreter", "EACCES: no execute permission is set", "RW119"),
        ("script-interpreter", "ENOEXEC: it is made for AArch64", "RW119"),
    ],
)
def test_each_way_to_miss_an_interpreter_has_its_rule(kind: str, detail: str, code: str) -> None:
    found, _ = _told(_step(kind, "/usr/bin/it", detail=detail), file=_file("script", b"#!/usr/bin/it\n"))
    assert _codes(found) == [code]
    assert "/usr/bin/it" in found[0].message


def test_a_foreign_handler_that_is_assumed_warns_and_names_the_assumption() -> None:
    probes = (Probe(path="wine", origin="binfmt_misc", outcome="takes it"),)
    handlers = Handlers(entries=(_WINE, _APE), basis="the files of the root")
    taken = _step("exec-format", "APE", Answer.MET, taken="foreign", met_by="wine (/usr/bin/wine)", searched=probes)
    sure, _ = _told(taken, file=_file("ape"), handlers=replace(handlers, stated=True))
    assert [one.severity for one in sure] == ["error"]
    assumed, _ = _told(replace(taken, assumption="the files of the root"), file=_file("ape"), handlers=handlers)
    assert _codes(assumed) == _codes(sure) == ["RW110"]
    assert assumed[0].severity == "warning"
    assert any("the files of the root" in note for note in assumed[0].notes)
    assert not any("assumed" in note for note in sure[0].notes)


def test_why_a_handler_wins_is_told_of_the_right_one_alone() -> None:
    """The handler that would do is named with what keeps it from it: its age, or that it is disabled."""
    probes = (Probe(path="wine", origin="binfmt_misc", outcome="takes it"),)
    taken = _step("exec-format", "APE", Answer.MET, taken="foreign", met_by="wine (/usr/bin/wine)", searched=probes)
    said = {}
    for name, others in (
        ("older", (_APE,)),
        ("off", (replace(_APE, enabled=False),)),
        ("none", (parse_registration(b":python:M::\\x6f\\x0d\\x0d::/usr/bin/python3:"),)),
    ):
        found, _ = _told(taken, file=_file("ape"), handlers=Handlers(entries=(_WINE, *others), stated=True))
        said[name] = "; ".join(found[0].notes)
    assert "APE (/usr/bin/ape) is made for it, and was registered before wine" in said["older"]
    assert "APE (/usr/bin/ape) is made for it, and is disabled" in said["off"]
    assert "made for it" not in said["none"]


def test_a_circle_of_interpreters_is_called_one() -> None:
    def link(name: str) -> Step:
        return _step("script-interpreter", name, Answer.MET, met_by=name)

    end = _step("rewrites", "script", detail="ELOOP: more than 5 interpreters, each run by the next")
    long, _ = _told(*(link(f"/{number}") for number in range(6)), end, file=_file("script"))
    circle, _ = _told(*(link(f"/{number % 2}") for number in range(6)), end, file=_file("script"))
    assert _codes(long) == _codes(circle) == ["RW121"]
    assert len(long[0].lines) == 6
    assert not any("leads back" in note for note in long[0].notes)
    assert any("leads back" in note for note in circle[0].notes)


def test_a_caller_that_ends_decides_over_one_that_does_not() -> None:
    """ENOEXEC is as bad as what the worst of the stated callers makes of it."""
    refused = _step("exec-format", "text", detail="ENOEXEC: nobody takes it", fatal=False)
    reads = _step("caller", "shell", Answer.MET, met_by="/bin/sh reads it as a script")
    ends = _step("caller", "python", detail="OSError: [Errno 8] Exec format error")
    for steps, severity in (((refused, reads), "warning"), ((refused, reads, ends), "error")):
        found, left = _told(*steps, file=_file("text", b"exec app\n"))
        assert [(one.code, one.severity) for one in found] == [("RW122", severity)]
        assert not left
        assert len(found[0].lines) == len(steps) - 1


def test_run_detectors_is_told_with_what_it_tries() -> None:
    """Of all formats that it knows, those that match the file."""
    others = (
        _WINE,
        parse_registration(b":cli:M::MZ::/usr/bin/mono:"),
        parse_registration(b":jar:M::PK::/usr/bin/jar:"),
    )
    chooser = replace(_WINE, interpreter="/usr/lib/binfmt-support/run-detectors", others=others)
    probes = (Probe(path="wine", origin="binfmt_misc", outcome="takes it"),)
    taken = _step("exec-format", "APE", Answer.MET, taken="foreign", searched=probes)
    found, _ = _told(taken, file=_file("ape"), handlers=Handlers(entries=(chooser,), stated=True))
    assert "binfmt-support's run-detectors" in found[0].message
    assert any("tries wine (/usr/bin/wine) and cli (/usr/bin/mono) in this order" in note for note in found[0].notes)
    assert any("unable to find an interpreter" in note for note in found[0].notes)


_ARM = """
target = "./root"
platform = "linux/amd64"
{state}
[app]
machine = "aarch64"
kind = "executable"
base = 4194304
"""
_QEMU = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:F"
)


@pytest.mark.parametrize(
    ("state", "note"),
    [
        (f"handlers = [{{{{line = '{_QEMU}', enabled = false}}}}]", "emulates it, and is disabled"),
        (f"handlers = ['{_QEMU}']\nbinfmt_misc = 'disabled'", "emulates it, and binfmt_misc is disabled as a whole"),
        ("handlers = [':wine:M::MZ::/usr/bin/wine:']", "no handler emulates aarch64: ./root has wine"),
        ("handlers = []", "no handler emulates aarch64: ./root has no handlers"),
        (f"handlers = ['{_QEMU.replace('xb7', 'xb8')}']", "its magic does not match the beginning of the file"),
    ],
)
def test_why_no_emulator_takes_a_foreign_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, note: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = judge(_ARM.format(state=state.replace("{{", "{").replace("}}", "}")), tmp_path)
    assert [one.code for one in result.findings] == ["RW103"]
    assert any(note in one for one in result.findings[0].notes)
    assert result.verdict == "fails"


def test_an_emulator_that_takes_it_is_a_risk_and_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = judge(_ARM.format(state=f"handlers = ['{_QEMU}']"), tmp_path)
    assert [one.code for one in result.findings] == ["RW111"]
    assert result.verdict == "risky"


def test_a_handler_that_takes_a_windows_program_is_no_foreign_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One handler, two files: what is meant for Wine, and what is not."""
    monkeypatch.chdir(tmp_path)
    head = "target = './root'\nplatform = 'linux/amd64'\nhandlers = [':wine:M::MZ::/usr/bin/wine:F']\n"
    codes = {
        name: [one.code for one in judge(f"{head}['{name}']\n{what}\n", tmp_path).findings]
        for name, what in (("app.exe", "pe = {}"), ("app", "ape = {machines = ['x86_64']}"))
    }
    assert codes == {"app.exe": ["RW112"], "app": ["RW110"]}


def test_only_files_with_a_part_for_windows_are_too_large_for_it() -> None:
    event = Event(stage="exec", kind="rewritten", text="/usr/bin/ape app", by=_PATH)
    large = replace(_file("ape"), size=5 << 30)
    assert _codes(_told(event, file=large)[0]) == ["RW131"]
    assert not _told(event, file=replace(large, ape=ApeFacts(magic="jartsr='")))[0]
    assert not _told(event, file=replace(large, size=1 << 32))[0]
    assert not _told(event, file=replace(_file("script"), size=5 << 30))[0]
