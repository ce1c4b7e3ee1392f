"""The text report, as whole outputs."""

from __future__ import annotations

from textwrap import dedent

import pytest

from runworthy.model.finding import Remedy, Result
from runworthy.model.trace import Answer, Event, Evidence, Need, Step
from runworthy.report.text import finding_lines, report_text
from runworthy.report.words import Style, clean, count, encodable, listed, size, table
from tests.report.made import finding, library, report, result, symbol, version


def text(expected: str) -> str:
    return dedent(expected).removeprefix("\n")


def test_finding() -> None:
    assert "\n".join([*finding_lines(finding()), ""]) == text("""
        error[RW301]: `app` needs GLIBC_2.34, ubuntu:20.04 has glibc 2.31
          --> app .gnu.version_r
           | libc.so.6  GLIBC_2.34  `__libc_start_main`, `dlopen`
           = note: first in debian:12
        help: build in manylinux_2_28  (manual)
        """)


def test_finding_with_many_places() -> None:
    places = tuple(Evidence(file=f"lib{n}.so", section=".dynamic", offset=n * 16) for n in range(9))
    bare = finding("it is so", evidence=places, lines=(), notes=(), remedies=())
    assert finding_lines(bare)[1:] == [
        "  --> lib0.so .dynamic at offset 0x0",
        "  --> lib1.so .dynamic at offset 0x10",
        "  --> lib2.so .dynamic at offset 0x20",
        "  --> and 6 more places",
    ]
    assert len(finding_lines(bare, everything=True)) == 10


def test_a_proved_remedy_says_so() -> None:
    proved = finding(remedies=(Remedy(title="set the run path", applicability="safe", proved=True),))
    assert finding_lines(proved)[-1] == "help: set the run path  (safe, proved)"


def test_one_that_runs() -> None:
    cell = result("debian:12", "runs", libc="glibc 2.36", arch_stated=False)
    assert report_text(report(cell)) == text("""
        ✓ app runs on debian:12
          judged against glibc 2.36, x86_64, as of 2026-08-08
          on a machine with x86-64-v1 assumed; kernel not stated
        debian:12 taken as x86_64, like the subject; NAME/ARCH or --platform says otherwise
        """)


def test_a_library_loads() -> None:
    cell = result("debian:12", "runs", is_library=True)
    assert report_text(report(cell)).splitlines()[0] == "✓ app loads on debian:12"


def test_one_that_fails() -> None:
    cell = result(
        "ubuntu:20.04", "fails", finding(), completeness="core", assumptions=("libx.so is stated to be there",)
    )
    assert report_text(report(cell)) == text("""
        error[RW301]: `app` needs GLIBC_2.34, ubuntu:20.04 has glibc 2.31
          --> app .gnu.version_r
           | libc.so.6  GLIBC_2.34  `__libc_start_main`, `dlopen`
           = note: first in debian:12
        help: build in manylinux_2_28  (manual)

        ✗ app does not run on ubuntu:20.04: it fails at version (1 error)
          judged against glibc 2.31, x86_64, only libc, the compiler runtime and zlib are known, as of 2026-08-08
          on a machine with x86-64-v1 assumed; kernel not stated
          assumed: libx.so is stated to be there
        explain with `runworthy explain RW301`
        """)


def test_the_same_cause_on_several_targets_is_told_once() -> None:
    cells = (
        result("ubuntu:20.04", "fails", finding()),
        result("debian:11", "fails", finding("`app` needs GLIBC_2.34, debian:11 has glibc 2.31")),
        result("debian:10", "fails", finding("`app` needs GLIBC_2.34, debian:10 has glibc 2.28"), libc="glibc 2.28"),
        result("debian:12", "runs", libc="glibc 2.36"),
    )
    assert report_text(report(*cells)) == text("""
        app
          ubuntu:20.04  ✗ fails at version  glibc 2.31
          debian:11     ✗ fails at version  glibc 2.31
          debian:10     ✗ fails at version  glibc 2.28
          debian:12     ✓ runs              glibc 2.36

        error[RW301]: `app` needs GLIBC_2.34, ubuntu:20.04 has glibc 2.31
          --> app .gnu.version_r
           | libc.so.6  GLIBC_2.34  `__libc_start_main`, `dlopen`
           = note: first in debian:12
           = the same on: debian:11 and debian:10 (glibc 2.28)
        help: build in manylinux_2_28  (manual)

        checked 1 subject on 4 targets: 3 fail, 1 run; 3 errors
        explain with `runworthy explain RW301`
        """)


def needs_it(subject: str, target: str) -> Result:
    words = finding(f"`{subject}` needs GLIBC_2.34, {target} has glibc 2.31", evidence=(Evidence(file=subject),))
    return result(target, "fails", words, subject=subject)


def test_remedies_of_the_same_cause_are_gathered() -> None:
    def cell(target: str, first: str, then: str) -> Result:
        words = finding(
            f"`app` needs GLIBC_2.34, {target} has glibc 2.31",
            lines=(f"GLIBC_2.34  in {first}, {then} and later",),
            remedies=(Remedy(title=f"run it on {first}"), Remedy(title="build it elsewhere")),
        )
        return result(target, "fails", words)

    cells = (cell("debian:11", "debian:12", "ubuntu:22.04"), cell("ubuntu:20.04", "ubuntu:22.04", "debian:12"))
    assert report_text(report(*cells)).split("\n\n")[1] == text("""
        error[RW301]: `app` needs GLIBC_2.34, debian:11 has glibc 2.31
          --> app .gnu.version_r
           | GLIBC_2.34  in debian:12, ubuntu:22.04 and later
           = note: first in debian:12
           = the same on: ubuntu:20.04
        help: run it on debian:12  (manual)
        help: build it elsewhere  (manual)
        help: run it on ubuntu:22.04  (manual)""")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["a.so t:1", "b.so t:1", "c.so t:1"], ["the same for: b.so and c.so"]),
        (["a.so t:1", "a.so t:2", "b.so t:1", "b.so t:2"], ["the same on: t:2", "the same for: b.so"]),
        (["a.so t:1", "a.so t:2", "b.so t:2"], ["the same: a.so on t:2 and b.so on t:2"]),
        ([f"{n}.so t:1" for n in range(40)], ["the same for: 1.so, 2.so, 3.so, 4.so, 5.so, 6.so, 7.so and 32 more"]),
    ],
    ids=["subjects", "both", "some cells", "many"],
)
def test_the_same_cause_in_several_subjects_is_told_once(cells: list[str], said: list[str]) -> None:
    shown = report_text(report(*(needs_it(*cell.split()) for cell in cells))).splitlines()
    assert [line[5:] for line in shown if line.startswith("   = the same")] == said
    assert sum(line.startswith("error[") for line in shown) == 1


def test_different_causes_stay_apart() -> None:
    cells = (
        result("ubuntu:20.04", "fails", finding()),
        result(
            "debian:11", "fails", finding("`app` needs GLIBC_2.33, debian:11 has glibc 2.31", items=("GLIBC_2.33",))
        ),
    )
    assert report_text(report(*cells)).count("error[RW301]") == 2


def grid(subjects: int, targets: int, **changes: object) -> list[str]:
    cells = [
        result(f"target:{t}", "runs", subject=f"bin/{s}", **changes)  # type: ignore[arg-type]
        for s in range(subjects)
        for t in range(targets)
    ]
    return report_text(report(*cells)).splitlines()


def test_matrix() -> None:
    assert grid(3, 2)[:4] == [
        "       target:0  target:1",
        "bin/0  ✓ runs    ✓ runs",
        "bin/1  ✓ runs    ✓ runs",
        "bin/2  ✓ runs    ✓ runs",
    ]


def test_many_targets_become_rows() -> None:
    assert grid(2, 8)[:3] == ["          bin/0   bin/1", "target:0  ✓ runs  ✓ runs", "target:1  ✓ runs  ✓ runs"]


def test_many_of_both_become_a_list() -> None:
    lines = grid(4, 8)
    assert lines[:2] == ["bin/0", "  target:0  ✓ runs  glibc 2.31"]
    assert lines[9:11] == ["bin/1", "  target:0  ✓ runs  glibc 2.31"]


def test_a_narrow_terminal_gets_no_wide_table() -> None:
    cells = [result(f"target:{t}", "runs", subject=f"bin/{s}") for s in range(4) for t in range(4)]
    lines = report_text(report(*cells), Style(width=40)).splitlines()
    assert lines[:2] == ["bin/0", "  target:0  ✓ runs  glibc 2.31"]


def test_quiet_is_the_verdicts() -> None:
    cells = (result("debian:12", "runs"), result("ubuntu:20.04", "unknown", stage="load"))
    assert report_text(report(*cells), level=-1) == "app on debian:12: ✓ runs\napp on ubuntu:20.04: ? unknown\n"


def test_without_unicode() -> None:
    cells = (result("debian:12", "runs"), result("ubuntu:20.04", "fails"))
    assert report_text(report(*cells), Style(unicode=False), level=-1).isascii()


def test_meaning_is_never_by_colour_alone() -> None:
    import re

    cells = (result("debian:12", "runs"), result("ubuntu:20.04", "fails", finding(), steps=(library(),)))
    coloured = report_text(report(*cells), Style(colour=True), trace=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == report_text(report(*cells), trace=True)


def test_steps_without_a_rule_are_told() -> None:
    cell = result("ubuntu:20.04", "fails", unexplained=(library(),), stage="load")
    assert report_text(report(cell)).startswith(
        text("""
        app on ubuntu:20.04:
          ✗ library libx.so.1, needed by app: not found
              paths considered in this order:
               1. /opt/libx.so.1  not found  [RPATH of app]
               2. /lib/libx.so.1  passed over: wrong ELF class  [default directory]
        """)
    )


def test_trace() -> None:
    steps = (
        Step(
            stage="exec",
            need=Need(kind="interpreter", name="/lib64/ld-linux-x86-64.so.2", by="/subject/app"),
            answer=Answer.MET,
            met_by="/lib/ld.so",
        ),
        Event(stage="load", kind="path-dropped", text="search path $ORIGIN is dropped", by="/subject/app"),
        library(),
        version("GLIBC_2.34"),
        version("GLIBC_2.2.5"),
        symbol("puts"),
        symbol("printf"),
        symbol("gone", Answer.UNMET),
        symbol("later", Answer.UNKNOWN, why="outside-core", because="library:libx.so.1"),
    )
    shown = report_text(report(result("debian:12", "fails", steps=steps, stage="load")), trace=True)
    assert shown.partition("\n\n")[0] + "\n" == text("""
        trace: app on debian:12, x86_64, loaded by /lib64/ld-linux-x86-64.so.2 (glibc 2.31)
          exec
            ✓ interpreter /lib64/ld-linux-x86-64.so.2, needed by app: /lib/ld.so
          load
            - search path $ORIGIN is dropped (app)
            ✗ library libx.so.1, needed by app: not found
                paths considered in this order:
                 1. /opt/libx.so.1  not found  [RPATH of app]
                 2. /lib/libx.so.1  passed over: wrong ELF class  [default directory]
          version
            ✓ versions GLIBC_2.34 and GLIBC_2.2.5 of libc.so.6, needed by app: /lib/libc.so.6
          bind
            ✓ 2 symbols of app: defined by /lib/libc.so.6
            ✗ symbol gone, version GLIBC_2.2.5, needed by app: not met
            ? symbol later, version GLIBC_2.2.5, needed by app: unknown (outside what is known of this target), \
because of libx.so.1
          loaded, in order
            app
            /lib/libc.so.6
          = assumed: a target's own libraries are consistent with each other
        """)


def test_everything_names_each_symbol() -> None:
    cell = result("debian:12", "runs", steps=(symbol("puts"), symbol("printf")))
    shown = report_text(report(cell), level=1, trace=True)
    assert "✓ symbol puts, version GLIBC_2.2.5, needed by app: /lib/libc.so.6" in shown


HOSTILE = "a\nb\x1b[2J\x9b31m\r\u202egnp.exe\udcff"


def test_names_cannot_drive_the_terminal() -> None:
    bad = finding(HOSTILE, evidence=(Evidence(file=HOSTILE, section=HOSTILE),), lines=(HOSTILE,), notes=(HOSTILE,))
    step = Step(stage="load", need=Need(kind="library", name=HOSTILE, by=HOSTILE), answer=Answer.UNMET, detail=HOSTILE)
    cells = [result(HOSTILE, "fails", bad, subject=HOSTILE, libc=HOSTILE, steps=(step,), unexplained=(step,))]
    for many in (1, 2):
        shown = report_text(report(*cells * many), trace=True, level=1)
        assert all(letter == "\n" or letter.isprintable() for letter in shown)
        shown.encode()
    assert r"a\nb\x1b[2J\x9b31m\r\u202egnp.exe\xff" in shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [("plain", "plain"), ("grün 中文", "grün 中文"), ("\t\0\x7f", r"\t\x00\x7f"), ("\U000e0001", r"\U000e0001")],
)
def test_clean(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_words() -> None:
    assert [count(1, "file"), count(2, "file"), count(2, "library", "libraries")] == [
        "1 file",
        "2 files",
        "2 libraries",
    ]
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], 3)] == [
        "",
        "a",
        "a, b and c",
        "a, b and 2 more",
    ]
    assert [size(4096), size(1 << 20), size(1), size(4097)] == ["4 KiB", "1 MiB", "1 byte", "4097 bytes"]
    assert encodable("é\udcff") == "é\\xff"
    assert table([("a", "bb"), ("ccc", "d")]) == ["a    bb", "ccc  d"]
