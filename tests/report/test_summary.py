"""The text report on directories: causes with files under them, not files with causes."""

from __future__ import annotations

from runworthy.model.finding import Finding, Remedy, Report, Result, Tree
from runworthy.model.trace import Evidence
from runworthy.report.causes import causes, ranked
from runworthy.report.text import report_text
from runworthy.report.words import Style
from tests.report.made import finding, library, report, result
from tests.report.test_text import HOSTILE, text


def tree(subjects: int, **changes: object) -> Tree:
    return Tree(name="app", files=99, subjects=subjects, **changes)  # type: ignore[arg-type]


def missing(subject: str, name: str = "libGL.so.1", by: str = "", **changes: object) -> Finding:
    fields: dict[str, object] = {
        "code": "RW202",
        "cause": f"`{name}` is not found",
        "items": (),
        "evidence": (Evidence(file=by or subject, section=".dynamic"),),
        "lines": ("/lib/libGL.so.1  not found",),
        "notes": (),
        "remedies": (Remedy(title="install `libgl1`"),),
        "fingerprint": f"{subject} {name}",
    }
    return finding(f"`{by or subject}` needs `{name}`", **(fields | changes))


def many(number: int, **changes: object) -> list[Result]:
    names = [f"app/{n:02}.so" for n in range(number)]
    return [result("debian:12", "fails", missing(name), subject=name, libc="glibc 2.36", **changes) for name in names]  # type: ignore[arg-type]


def whole(results: list[Result], **changes: object) -> Report:
    return report(*results, trees=(tree(len({cell.subject for cell in results}), **changes),))


def test_one_missing_library_that_breaks_forty_files_is_one_line_with_forty_under_it() -> None:
    fine = result("debian:12", "runs", subject="app/main", libc="glibc 2.36")
    assert report_text(whole([*many(40), fine])) == text("""
        app: 41 programs and libraries in 99 files
          debian:12  ✗ 40 fail  ✓ 1 run  glibc 2.36

        error[RW202]: `libGL.so.1` is not found: 40 files
           | app/00.so
           | app/01.so
           | app/02.so
           | app/03.so
           | app/04.so
           | and 35 more files
        help: install `libgl1`  (manual)

        checked 41 subjects on 1 target: 40 fail, 1 run; 40 errors
        explain with `runworthy explain RW202`
        """)


def test_with_everything_all_forty_are_named_with_their_other_names() -> None:
    aliases = {"app/01.so": ("app/01.so.1", "app/lib/one.so")}
    shown = report_text(whole(many(40), aliases=aliases, passed_over={"core file": 1, "debug file": 2}), level=1)
    assert shown.splitlines()[:3] == [
        "app: 40 programs and libraries in 99 files",
        "  not judged: 1 core file and 2 debug files",
        "  2 more names: links, and copies in one directory",
    ]
    assert sum(line.startswith("   | app/") for line in shown.splitlines()) == 40
    assert "   | app/01.so  (also 01.so.1 and app/lib/one.so)" in shown.splitlines()


def test_the_object_in_which_it_lies_is_named_where_that_is_not_each_file() -> None:
    cells = [
        result("debian:12", "fails", missing(f"app/{n}", by="app/libQt5Gui.so.5"), subject=f"app/{n}") for n in range(3)
    ]
    block = report_text(whole(cells)).split("\n\n")[1].splitlines()
    assert block[:2] == ["error[RW202]: `libGL.so.1` is not found: 3 files", "  --> app/libQt5Gui.so.5"]


def test_what_differs_only_by_file_is_one_cause_with_numbers() -> None:
    def cell(name: str, *versions: str) -> Result:
        needs = finding(items=versions, fingerprint=name, evidence=(Evidence(file=name),))
        return result("debian:11", "fails", needs, subject=name)

    cells = [cell("app/a", "GLIBC_2.34", "GLIBC_2.33"), cell("app/b", "GLIBC_2.34"), cell("app/c", "GLIBC_2.36")]
    block = report_text(whole(cells)).split("\n\n")[1].splitlines()
    assert block[0] == "error[RW301]: a newer glibc is needed: 3 files"
    assert block[4] == "   = GLIBC_2.34 (2 files), GLIBC_2.33 (1 file) and GLIBC_2.36 (1 file)"


def test_of_one_file_everything_is_told() -> None:
    cells = [*many(1), result("debian:12", "runs", subject="app/main")]
    assert "   | /lib/libGL.so.1  not found" in report_text(whole(cells)).splitlines()


def test_of_many_causes_those_of_one_file_are_a_line_each() -> None:
    cells = [result("x", "fails", missing(f"app/{n}", f"lib{n}.so"), subject=f"app/{n}") for n in range(20)]
    shown = report_text(whole(cells)).split("\n\n")[1].splitlines()
    assert len(shown) == 13
    assert shown[0] == "error[RW202]: `lib0.so` is not found: app/0"
    assert shown[-1] == "and 8 more causes, which -v tells"
    assert sum("error[" in line for line in report_text(whole(cells), level=1).splitlines()) == 20


def test_targets() -> None:
    def cell(name: str, target: str, *found: Finding) -> Result:
        return result(target, "fails" if found else "runs", *found, subject=name)

    same = [cell(name, target, missing(name)) for name in ("app/a", "app/b") for target in ("t:1", "t:2")]
    shown = report_text(whole(same)).splitlines()
    assert shown[1:3] == ["  t:1  ✗ 2 fail  glibc 2.31", "  t:2  ✗ 2 fail  glibc 2.31"]
    assert "   = on t:1 (glibc 2.31) and t:2 (glibc 2.31)" in shown
    shown = report_text(whole([*same, cell("app/c", "t:1", missing("app/c")), cell("app/c", "t:2")])).splitlines()
    assert shown[1:3] == ["  t:1  ✗ 3 fail           glibc 2.31", "  t:2  ✗ 2 fail  ✓ 1 run  glibc 2.31"]
    assert "   = on t:1 (glibc 2.31): 3 files and t:2 (glibc 2.31): 2 files" in shown


def test_notes_are_a_line_each_and_last() -> None:
    def cell(name: str) -> Result:
        left = missing(name, code="RW308", severity="note", cause="symbols are left to CPython")
        return result("debian:12", "runs", left, subject=name)

    shown = report_text(whole([cell("app/a"), cell("app/b"), *many(2)])).split("\n\n")
    assert shown[1].startswith("error[RW202]")
    assert shown[2] == "note[RW308]: symbols are left to CPython: 2 files"


def test_the_worst_comes_first_then_the_largest() -> None:
    cells = [
        result(
            "x", "fails", missing("a", "l1"), missing("a", "l2"), missing("a", "w", severity="warning"), subject="a"
        ),
        result("x", "fails", missing("b", "l2"), missing("b", "w", severity="warning"), subject="b"),
        result("x", "risky", missing("c", "w", severity="warning"), subject="c"),
    ]
    assert [cause.text for cause in ranked(causes(cells))] == [f"`{name}` is not found" for name in ("l2", "l1", "w")]


def test_a_remedy_for_one_file_stands_for_the_others() -> None:
    cells = [
        result("x", "fails", missing(f"app/{n}", remedies=(Remedy(title=f"chmod +x {n}"),)), subject=f"app/{n}")
        for n in range(9)
    ]
    helps = [line for line in report_text(whole(cells)).splitlines() if line.startswith("help")]
    assert helps == ["help: chmod +x 0  (manual)"]


def test_traces_of_directories_are_few() -> None:
    cells = many(20, steps=(library(),))
    assert report_text(whole(cells), trace=True).count("trace: ") == 3
    assert report_text(whole(cells), trace=True, level=1).count("trace: ") == 20


def test_names_cannot_drive_the_terminal() -> None:
    bad = missing(HOSTILE, HOSTILE, items=(HOSTILE, "x"), remedies=(Remedy(title=HOSTILE),))
    cells = [result(HOSTILE, "fails", bad, subject=f"{HOSTILE}{n}", libc=HOSTILE) for n in range(3)]
    held = Tree(name=HOSTILE, files=3, subjects=3, aliases={f"{HOSTILE}1": (HOSTILE,)})
    for level in (0, 1):
        shown = report_text(report(*cells, trees=(held,)), level=level)
        assert all(letter == "\n" or letter.isprintable() for letter in shown)


def test_without_unicode() -> None:
    assert report_text(whole(many(3)), Style(unicode=False)).isascii()


def test_it_is_fast_for_a_whole_system() -> None:
    """Grouping takes one look at each finding: 20,000 of them are a fraction of a second."""
    from time import process_time

    cells = [
        result("x", "fails", *(missing(f"app/{n}", f"lib{m}.so") for m in range(5)), subject=f"app/{n}")
        for n in range(4000)
    ]
    begun = process_time()
    assert len(causes(cells)) == 5
    assert len(causes(cells, one_by_one=True)) == 5
    assert process_time() - begun < 2
