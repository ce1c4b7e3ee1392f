"""What becomes of a file that is executed: who takes it, what that comes to, and how far the trace goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from runworthy.engine import verdict_of
from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.formats.identify import identify
from runworthy.model.arch import architecture
from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.machine import baseline
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Step, Trace
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery, simulate
from runworthy.simulate.purpose import purpose_of
from runworthy.simulate.start import start
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.apewriter import JARTSR, ape, like_ape_loader, mach_header
from tests.elfwriter import elf

X86_64 = architecture("x86_64")
assert X86_64

WINE = Handler(name="DOSWin", interpreter="/usr/bin/wine", magic=b"MZ", origin="/var/lib/binfmts/wine")
APE = Handler(name="APE", interpreter="/usr/bin/ape", magic=b"MZqFpD", flags="PF")
QEMU = Handler(
    name="qemu-aarch64",
    interpreter="/usr/bin/qemu-aarch64-static",
    magic=b"\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\xb7\0",
    mask=b"\xff" * 7 + b"\0" + b"\xff" * 8 + b"\xfe\xff\xff\xff",
    flags="POCF",
)


@pytest.fixture
def root(tmp_path: Path) -> Overlay:
    """A root of static programs: none of them needs a library."""
    (tmp_path / "root").mkdir()
    view = Overlay(DirectoryView(str(tmp_path / "root")))
    for name in ("sh", "env", "wine", "ape", "qemu-aarch64-static"):
        view.add_file(f"/usr/bin/{name}", like_ape_loader() if name == "ape" else elf(kind=2))
    view.add_link("/bin", "usr/bin")
    return view


def judge(
    view: Overlay, data: bytes, *handlers: Handler, callers: tuple[str, ...] = ("shell", "direct"), stated: bool = True
) -> Trace:
    view.add_file("/opt/app", data)
    assert X86_64
    listed = Handlers(entries=handlers, stated=stated, basis="the files of the root")
    target = Target(name="root", view=view, machine=baseline(X86_64), handlers=listed)
    machinery = Machinery(target, Launch(callers=callers, trace=True), lambda _: False)
    if data[:4] == b"\x7fELF":
        return simulate(machinery, "/opt/app", read_elf(BytesContent(data)))
    return start(machinery, "/opt/app", identify(BytesContent(data)), None)


def the_step(trace: Trace, kind: str) -> Step:
    (found,) = [step for step in trace.needs if step.need.kind == kind and step.need.by == "/opt/app"]
    return found


def test_an_ape_that_wine_takes_does_not_run(root: Overlay) -> None:
    trace = judge(root, ape(), WINE, APE)
    assert verdict_of(trace) == ("fails", "exec")
    step = the_step(trace, "exec-format")
    assert (step.answer, step.met_by, step.taken) == (Answer.MET, "DOSWin (/usr/bin/wine)", "foreign")
    assert [probe.outcome for probe in step.searched] == ["takes it"]
    assert [event.text for event in trace.events if event.kind == "rewritten"] == ["/usr/bin/wine /opt/app"]
    assert len(trace.stretches) == 1  # what Wine makes of it is of no interest


def test_an_ape_runs_under_a_loader_that_is_tried_before_wine(root: Overlay) -> None:
    trace = judge(root, ape(), APE, WINE)
    assert verdict_of(trace) == ("runs", None)
    assert [stretch.object for stretch in trace.stretches] == ["/opt/app", "/usr/bin/ape", "/opt/app"]
    assert the_step(trace, "payload").answer is Answer.MET
    assert [event.text for event in trace.events if event.kind == "rewritten"] == ["/usr/bin/ape /opt/app /opt/app"]


def test_the_handler_of_apes_own_magic_is_taken_for_its_loader_whatever_it_is_called(root: Overlay) -> None:
    root.add_file("/opt/loader", like_ape_loader())
    own = Handler(name="mine", interpreter="/opt/loader", magic=b"MZqFpD")
    assert purpose_of(own).kind == "ape-loader"
    assert verdict_of(judge(root, ape(), own)) == ("runs", None)
    broad = Handler(name="mine", interpreter="/opt/loader", magic=b"MZ")
    assert verdict_of(judge(root, ape(), broad)) == ("fails", "exec")


def test_an_ape_without_code_for_the_machine_fails_under_its_own_loader(root: Overlay) -> None:
    trace = judge(root, ape(machines=("aarch64",)), APE)
    assert verdict_of(trace) == ("fails", "exec")
    assert the_step(trace, "payload").detail == "it has code for aarch64"


def test_an_ape_that_nobody_takes_runs_by_a_shell_alone(root: Overlay) -> None:
    for name in ("mkdir", "dd", "gzip", "chmod", "mv", "uname"):
        root.add_file(f"/usr/bin/{name}", elf(kind=2))
    data = ape(magic=JARTSR)
    assert verdict_of(judge(root, data)) == ("fails", "exec")  # a direct exec is refused
    trace = judge(root, data, callers=("shell",))
    assert verdict_of(trace) == ("risky", "exec")
    assert the_step(trace, "caller").met_by == "/bin/sh reads it as a script"
    assert [one.object for one in trace.stretches[-2:]] == ["/usr/bin/sh", "/usr/bin/ape"]


def test_the_loader_that_a_script_finds_has_to_run_itself(root: Overlay) -> None:
    data = ape(magic=JARTSR)
    root.add_file("/usr/bin/ape", elf(kind=2, machine="aarch64"))
    assert verdict_of(judge(root, data, callers=("shell",))) == ("fails", "exec")
    root.add_file("/usr/bin/ape", b"#!/nowhere/sh\n")
    assert verdict_of(judge(root, data, callers=("shell",))) == ("fails", "exec")


def test_an_emulated_program_without_its_loader_ends_in_the_words_of_qemu(root: Overlay) -> None:
    trace = judge(root, elf(kind=2, machine="aarch64", interpreter="/lib/ld-linux-aarch64.so.1"), QEMU)
    assert verdict_of(trace) == ("fails", "exec")
    assert the_step(trace, "interpreter").detail == (
        "ENOENT: QEMU says `Could not open '/lib/ld-linux-aarch64.so.1'` and ends with 255"
    )
    box = purpose_of(Handler(name="x", interpreter="/usr/bin/box64", magic=b"\x7fELF"))
    assert (box.kind, box.qemu) == ("emulator", False)


def test_a_foreign_program_goes_on_under_the_emulator(root: Overlay) -> None:
    static = elf(kind=2, machine="aarch64")
    trace = judge(root, static, QEMU)
    assert verdict_of(trace) == ("risky", "exec")
    assert [(one.object, one.machine) for one in trace.stretches] == [
        ("/opt/app", "x86_64"),
        ("/usr/bin/qemu-aarch64-static", "x86_64"),
        ("/opt/app", "aarch64"),
    ]
    dynamic = elf(kind=2, machine="aarch64", interpreter="/lib/ld-linux-aarch64.so.1", needed=["libc.so.6"])
    trace = judge(root, dynamic, QEMU)
    assert verdict_of(trace) == ("fails", "exec")
    assert the_step(trace, "interpreter").need.name == "/lib/ld-linux-aarch64.so.1"
    assert verdict_of(judge(root, static)) == ("fails", "exec")


def test_a_native_program_that_a_handler_takes_is_another_program(root: Overlay) -> None:
    own = elf(kind=2)
    assert verdict_of(judge(root, own, QEMU)) == ("runs", None)
    everything = Handler(name="all", interpreter="/usr/bin/wine", magic=b"\x7fELF")
    assert verdict_of(judge(root, own, everything)) == ("fails", "exec")


def test_a_windows_program_under_wine_is_meant_so_and_costs(root: Overlay) -> None:
    assert verdict_of(judge(root, ape(magic="MZqFpDx\n"), WINE)) == ("risky", "exec")
    assert verdict_of(judge(root, ape(magic="MZqFpDx\n"))) == ("fails", "exec")


def test_what_only_assumed_handlers_do_is_a_risk(root: Overlay) -> None:
    trace = judge(root, ape(), WINE, stated=False)
    assert verdict_of(trace)[0] == "risky"
    assert the_step(trace, "exec-format").assumption == "the files of the root"


@pytest.mark.parametrize(
    ("text", "verdict", "kind", "detail"),
    [
        (b"#!/bin/sh\necho\n", "runs", "script-interpreter", ""),
        (b"#!/bin/nothing\n", "fails", "script-interpreter", "ENOENT: there is no such file"),
        (b"#!/bin/sh\r\n", "fails", "script-interpreter", "ENOENT: there is no such file"),
        (b"#!/bin\n", "fails", "script-interpreter", "EACCES: it is a directory"),
    ],
)
def test_scripts(root: Overlay, text: bytes, verdict: str, kind: str, detail: str) -> None:
    trace = judge(root, text)
    assert verdict_of(trace)[0] == verdict
    assert the_step(trace, kind).detail == detail


def test_what_env_starts_is_looked_for_in_path(root: Overlay) -> None:
    assert verdict_of(judge(root, b"#!/usr/bin/env python3\n")) == ("fails", "exec")
    root.add_file("/usr/local/bin/python3", elf(kind=2))
    trace = judge(root, b"#!/usr/bin/env -S python3 -u\n")
    assert verdict_of(trace) == ("runs", None)
    assert trace.stretches[-1].object == "/usr/local/bin/python3"
    trace = judge(root, b"#!/usr/bin/env python3 -u\n")  # one argument, with a blank in it
    assert the_step(trace, "tool").need.name == "python3 -u"


def test_interpreters_that_are_scripts_themselves(root: Overlay) -> None:
    for index in range(6):
        root.add_file(f"/opt/s{index}", b"#!/opt/s%d\n" % (index - 1) if index else b"#!/bin/sh\n")
    assert verdict_of(judge(root, b"#!/opt/s3\n")) == ("runs", None)
    trace = judge(root, b"#!/opt/s5\n")
    assert verdict_of(trace) == ("fails", "exec")
    assert any(step.need.kind == "rewrites" and step.detail.startswith("ELOOP") for step in trace.needs)


def test_a_handler_of_this_machine_is_told_by_the_file_that_its_boots_read(root: Overlay) -> None:
    root.add_file("/opt/app", ape())
    assert X86_64
    now = Handlers(entries=(replace(WINE, origin=""),), stated=True)
    target = Target(name="root", view=root, machine=baseline(X86_64), handlers=now)
    machinery = Machinery(target, Launch(), lambda _: False)
    machinery.boot.append(Handlers(entries=(WINE,)))
    trace = start(machinery, "/opt/app", identify(BytesContent(ape())), None)
    assert [(event.by, event.text) for event in trace.events if event.kind == "registered-by"] == [
        ("DOSWin", "/var/lib/binfmts/wine")
    ]


def test_a_program_is_no_ape_loader_by_its_name_or_by_what_it_is_registered_for(root: Overlay) -> None:
    root.add_file("/usr/bin/ape", elf(kind=2))
    root.add_file("/opt/mine", elf(kind=2))
    for handler in (APE, Handler(name="x", interpreter="/opt/mine", magic=b"MZqFpD")):
        trace = judge(root, ape(), handler)
        assert verdict_of(trace) == ("unknown", "exec")
        step = the_step(trace, "handler")
        assert (step.why, step.detail) == ("not-modelled", f"what {handler.interpreter} does with it is not known")
    trace = judge(root, ape(), callers=("shell",))
    assert verdict_of(trace) == ("unknown", "exec")  # the script starts it as it finds it
    other = Handler(name="x", interpreter="/usr/bin/wine", magic=b"MZqFpD")
    assert verdict_of(judge(root, ape(), other)) == ("fails", "exec")


@pytest.mark.parametrize("data", [ape(magic="MZqFpDx\n"), b"MZqFpD, a text\n"])
def test_the_ape_loader_takes_what_has_one_of_its_magics_alone(root: Overlay, data: bytes) -> None:
    trace = judge(root, data, APE)
    assert verdict_of(trace) == ("fails", "exec")
    assert the_step(trace, "exec-format").taken == "foreign"


def test_what_an_unknown_program_makes_of_another_systems_is_not_known(root: Overlay) -> None:
    anybody = Handler(name="x", interpreter="/usr/bin/sh", magic=b"MZ")
    assert verdict_of(judge(root, ape(magic="MZqFpDx\n"), anybody)) == ("unknown", "exec")
    macho = Handler(name="x", interpreter="/usr/bin/sh", magic=b"\xcf\xfa\xed\xfe")
    assert verdict_of(judge(root, mach_header(), macho)) == ("unknown", "exec")


def test_a_handler_that_asks_for_appimages_is_meant_for_them(root: Overlay) -> None:
    root.add_file("/usr/bin/AppImageLauncher", elf(kind=2))
    image = elf(kind=2)
    image = image[:8] + b"AI\2" + image[11:]
    launcher = Handler(name="appimage", interpreter="/usr/bin/AppImageLauncher", magic=b"AI\2", offset=8)
    assert verdict_of(judge(root, image, launcher)) == ("unknown", "exec")
    everything = replace(launcher, magic=b"\x7fELF", offset=0)
    assert verdict_of(judge(root, image, everything)) == ("fails", "exec")


def test_a_relative_interpreter_rests_on_the_working_directory(root: Overlay) -> None:
    text = b"#!bin/sh\n"
    for launch, verdict in ((Launch(), "risky"), (Launch(cwd_stated=True), "runs"), (Launch(cwd="/opt"), "fails")):
        root.add_file("/opt/app", text)
        assert X86_64
        target = Target(name="root", view=root, machine=baseline(X86_64), handlers=Handlers(stated=True))
        machinery = Machinery(target, replace(launch, callers=("direct",)), lambda _: False)
        trace = start(machinery, "/opt/app", identify(BytesContent(text)), None)
        assert verdict_of(trace)[0] == verdict
        if verdict == "risky":
            assert the_step(trace, "script-interpreter").assumption == "it is started in /"


def test_a_handler_that_may_not_be_in_force_takes_nothing_for_certain(root: Overlay) -> None:
    data = ape()
    root.add_file("/opt/app", data)
    assert X86_64
    listed = Handlers(entries=(APE,), stated=True, unknown="they belong to another user namespace")
    target = Target(name="root", view=root, machine=baseline(X86_64), handlers=listed)
    machinery = Machinery(target, Launch(callers=("direct",)), lambda _: False)
    trace = start(machinery, "/opt/app", identify(BytesContent(data)), None)
    assert verdict_of(trace) == ("unknown", "exec")
    step = the_step(trace, "exec-format")
    assert (step.why, step.detail) == ("machine-unstated", "they belong to another user namespace")
    own = elf(kind=2)
    root.add_file("/opt/app", own)
    assert verdict_of(simulate(machinery, "/opt/app", read_elf(BytesContent(own)))) == ("runs", None)


def test_a_loader_that_is_emulated_takes_code_of_its_own_kind(root: Overlay) -> None:
    root.add_file("/usr/bin/ape", like_ape_loader("aarch64"))
    trace = judge(root, ape(machines=("aarch64",)), APE, QEMU)
    assert verdict_of(trace) == ("risky", "exec")
    assert the_step(trace, "payload").need.name == "aarch64"
    assert verdict_of(judge(root, ape(), APE, QEMU)) == ("fails", "exec")


def test_an_interpreter_that_is_held_open_needs_no_permission_any_more(root: Overlay) -> None:
    root.add_file("/usr/bin/ape", like_ape_loader(), mode=0o644)
    assert verdict_of(judge(root, ape(), APE)) == ("runs", None)
    assert verdict_of(judge(root, ape(), replace(APE, flags="P"))) == ("fails", "exec")
