"""What is stored again, in every format but the page: whole reports as they were last looked at, and what may not be.

``python -m tests.report.test_dedupe`` writes the whole reports anew, for a person to read them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from runworthy.model import storage as words
from runworthy.model.finding import Remedy
from runworthy.model.records import replace
from runworthy.model.storage import BARS, CAUSES, Idle, StorageReport
from runworthy.report.dedupe import View, dedupe_text
from runworthy.report.dedupe_document import dedupe_document, dedupe_json
from runworthy.report.dedupe_figures import short, top_of, within
from runworthy.report.dedupe_html import dedupe_html
from runworthy.report.dedupe_markdown import dedupe_markdown
from runworthy.report.markdown import block, code, text
from runworthy.report.words import Style, bytes_of, clean
from tests.report.storage import HOSTILE, applied, empty, hostile, huge, projects
from tests.report.test_document import schema, validate

GOLDEN = Path(__file__).parent / "dedupe"
ESCAPE = "\x1b"
VIEWS: tuple[View, ...] = get_args(View)


def _json(report: StorageReport, *, everything: bool = False) -> str:
    return re.sub(r'("runworthy": )"[^"]+"', r'\1"0"', dedupe_json(report, everything=everything))


WHOLE: dict[str, Callable[[], str]] = {
    "quiet.txt": lambda: dedupe_text(projects(), level=-1),
    "environments.txt": lambda: dedupe_text(projects()),
    "environments-80.txt": lambda: dedupe_text(projects(), Style(unicode=False, width=80)),
    "packages.txt": lambda: dedupe_text(projects(), view="packages"),
    "files.txt": lambda: dedupe_text(projects(), Style(width=100), view="files"),
    "verbose.txt": lambda: dedupe_text(projects(), level=1, view="files"),
    "colour.txt": lambda: dedupe_text(projects(), Style(colour=True)),
    "dry-run.txt": lambda: dedupe_text(projects(), dry_run=True),
    "applied.txt": lambda: dedupe_text(applied()),
    "applied-verbose.txt": lambda: dedupe_text(applied(), level=1),
    "nothing.txt": lambda: dedupe_text(empty()),
    "report.md": lambda: dedupe_markdown(projects(), dry_run=True),
    "applied.md": lambda: dedupe_markdown(applied()),
    "report.json": lambda: _json(projects()),
    "everything.json": lambda: _json(applied(), everything=True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_reports(name: str) -> None:
    assert WHOLE[name]() == (GOLDEN / name).read_text(encoding="utf-8")


def test_no_report_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(WHOLE)


# -- text ----------------------------------------------------------------------------------------


def test_the_first_line_says_what_is_stored_again_and_how_much_it_can_shrink() -> None:
    first = dedupe_text(projects()).partition("\n")[0]
    assert first == dedupe_text(projects(), level=-1).rstrip("\n")
    assert re.match(r"666\.0 MiB of 1\.3 GiB is stored again in 4 environments and 2 caches; 637\.0 MiB can be", first)
    assert dedupe_text(empty()).startswith("nothing is stored again in 1 environment\n")
    stuck = replace(projects(), frees=0)
    assert dedupe_text(stuck, level=-1).endswith("; none of it can be freed\n")


def test_what_is_new_is_told_where_it_was_asked() -> None:
    told = dedupe_text(replace(projects(), new=frozenset("a")))
    assert "is newly stored again" in told
    assert "what an earlier run told is left out" in told
    assert "nothing is newly stored again" in dedupe_text(replace(empty(), new=frozenset()), level=-1)


def test_what_shares_its_storage_is_in_no_table() -> None:
    report = projects()
    first, *others = report.spares
    told = replace(report, spares=(replace(first, bar="already-shared"), *others), results=(), wastes=(), partial=())
    for view in VIEWS:
        assert "421.0 MiB" not in dedupe_text(told, view=view)


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_adds_up(view: View) -> None:
    """What the rows of a view say together is what the report says."""
    report = replace(projects(), results=(), idle=(), advice=())
    lines = dedupe_text(report, Style(), view=view).split("\n\n")[1].splitlines()
    size = r" +([\d.]+) MiB  \S" if view == "files" else r"  \S.*? ([\d.]+) MiB"
    assert sum(float(found[1]) for line in lines if (found := re.match(size, line))) == pytest.approx(658.0)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100])
def test_tables_are_no_wider_than_the_terminal(width: int) -> None:
    for report in (projects(), hostile(), huge(300)):
        for view in VIEWS[:2]:
            told = dedupe_text(replace(report, results=(), reclaimed=None), Style(width=width), view=view)
            lines = told.split("\n\n")[1].splitlines()
            rows = [line for line in lines if re.search(r"\d (bytes?|[KM]iB)\b|  files  ", line)]
            assert len(rows) > 2
            assert max(map(len, rows)) <= max(width, 54)


@pytest.mark.parametrize("view", VIEWS[:2])
def test_no_column_is_explained_that_is_not_there(view: View) -> None:
    """In a narrow terminal the causes go first, and the words for them with them."""
    report = replace(projects(), results=())
    for width, there in ((200, True), (40, False)):
        told = dedupe_text(report, Style(width=width), view=view).split("\n\n")[1]
        assert ("  why" in told) is there
        assert ("the installer always copies" in told) is there


def test_a_cache_that_was_not_walked_is_not_said_to_be_empty() -> None:
    """Caches outside of the paths are searched for copies, and their files are not counted."""
    report = projects()
    cache = replace(report.environments[4], files=0, allocated=0)
    idle = Idle(environment=cache, used=1, used_by="", allocated=0)
    report = replace(report, environments=(*report.environments[:4], cache), idle=(idle,))
    for told in (dedupe_text(report, level=1), dedupe_markdown(report), dedupe_html(report)):
        assert "not counted" in told
        assert "0 bytes" not in told
    held = validate(dedupe_json(report), "runworthy.dedupe-1.json")
    assert (held["environments"][4]["files"], held["environments"][4]["allocated"]) == (None, None)
    assert held["idle"][0]["allocated"] is None


@pytest.mark.parametrize("level", [-1, 0, 1])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_that_strangers_wrote_is_obeyed(view: View, level: int) -> None:
    for report in (hostile(), replace(hostile(), reclaimed=None)):
        for style in (Style(), Style(width=80)):
            told = dedupe_text(report, style, view=view, level=level, dry_run=True)
            assert all(letter.isprintable() or letter == "\n" for letter in told)
            assert told.encode()
            assert level < 0 or clean(HOSTILE) in told


def test_single_files_are_told_by_the_view_and_not_by_findings() -> None:
    report = huge(3000)
    first, *others = report.results
    found = replace(first.findings[0], remedies=(Remedy(title="share them", edits=report.shares),))
    report = replace(report, results=(replace(first, findings=(found,)), *others))
    assert dedupe_text(report, level=1, view="packages").count("share the storage") == 0


def test_sharing_is_told_action_by_action() -> None:
    report = huge(3000)
    told = dedupe_text(report, dry_run=True).splitlines()
    lines = [line for line in told if line.startswith("  share the storage of ")]
    assert len(lines) == 3000
    assert len(set(lines)) == 3000


def test_hard_links_and_reflinks_are_told_apart() -> None:
    held = projects().wastes
    links = dedupe_text(replace(projects(), partial=()))
    assert "memory holds it once" in links
    assert "stay apart" not in links
    wastes = tuple(replace(one, shares=tuple(replace(edit, how="extents") for edit in one.shares)) for one in held)
    shared = dedupe_text(replace(projects(), wastes=wastes))
    assert "stay apart" in shared
    assert "memory holds it once" not in shared
    both = dedupe_text(replace(projects(), wastes=(*wastes, *held)))
    assert both.count("memory holds it once") == both.count("stay apart") == 1


def test_documents_that_become_one_file_are_told() -> None:
    report = projects()
    assert "under each name" not in dedupe_text(report)
    plain = replace(report, wastes=tuple(replace(one, plain=True) for one in report.wastes))
    for told in (dedupe_text(plain), dedupe_text(plain, dry_run=True), dedupe_markdown(plain), dedupe_html(plain)):
        assert "2 files become one with others, and one or both are of no package" in told


@pytest.mark.slow
def test_a_huge_report_is_short_and_takes_no_time() -> None:
    report = huge()
    for view in VIEWS:
        start = time.process_time()
        told = dedupe_text(report, view=view)
        assert time.process_time() - start < 1
        assert told.count("\n") < 120
    assert len(dedupe_markdown(report, dry_run=True)) < 200_000
    start = time.process_time()
    dedupe_json(report)
    assert time.process_time() - start < 1.5


# -- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("made", [projects, applied, empty, hostile])
def test_json_is_as_its_schema_says(made: Callable[[], StorageReport], *, everything: bool) -> None:
    report = made()
    written = dedupe_json(report, everything=everything)
    held = validate(written, "runworthy.dedupe-1.json")
    assert written.isascii()
    assert held == json.loads(json.dumps(dedupe_document(report, everything=everything)))
    assert ("spares" in held) is ("actions" in held) is everything
    assert held["totals"]["spares"] == len(report.spares)


def test_json_of_a_dry_run_holds_the_actions() -> None:
    held = validate(dedupe_json(projects(), dry_run=True), "runworthy.dedupe-1.json")
    assert [one["kind"] for one in held["actions"]] == ["share-file"] * 3
    assert "spares" not in held
    files = [edit for result in held["results"] for one in result["findings"] for edit in one["remedies"]]
    assert not any(remedy["edits"] for remedy in files)


def test_json_holds_each_name_of_each_file() -> None:
    report = projects()
    held: Any = dedupe_document(report, everything=True)
    names = [[file["names"] for file in one["files"]] for one in held["copies"]]
    assert names == [[list(file.names) for file in one.files] for one in report.copies]
    assert [one["path"] for one in held["spares"]] == [one.file.names[0] for one in report.spares]
    owner = held["copies"][0]["files"][1]["owner"]
    assert (owner["package"], owner["installer"]) == ("torch", "pip")


def test_schema_knows_every_word() -> None:
    held = schema("runworthy.dedupe-1.json")["$defs"]
    assert held["environment-kind"]["enum"] == list(get_args(words.EnvironmentKind))
    assert held["cause"]["enum"] == list(get_args(words.Cause)) == list(CAUSES)
    assert held["bar"]["enum"] == list(get_args(words.Bar)) == list(BARS)
    assert held["how"]["enum"] == list(get_args(words.How))
    assert held["proof"]["enum"] == list(get_args(words.Proof))
    assert all(f"{name}: {meaning}" in held["cause"]["description"] for name, meaning in CAUSES.items())
    assert all(f"{name}: {meaning}" in held["bar"]["description"] for name, meaning in BARS.items())


# -- Markdown ------------------------------------------------------------------------------------


def test_markdown_holds_no_markup_of_strangers() -> None:
    told = dedupe_markdown(hostile(), dry_run=True)
    assert all(letter.isprintable() or letter == "\n" for letter in told)
    outside = _without_code(told)
    assert not re.findall(r"(?<!\\)<(?!/?details>|/?summary>)", outside)
    assert not re.findall(r"(?<!\\)\[", outside.replace("[RW", "(RW"))


def _without_code(told: str) -> str:
    """Return Markdown without blocks and spans of code, by the rules of CommonMark 0.31 (4.5, 6.1)."""
    told = re.sub(r"^ *(`{3,}).*\n(?:.*\n)*?^ *\1$", "", told, flags=re.MULTILINE)
    return re.sub(r"(?<![`\\])(`+)(?!`)(.*?[^`])\1(?!`)", "", told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("a `b<c` d<e", "a `b<c` d\\<e"),
        ("``` <b> `", "\\`\\`\\` \\<b\\> \\`"),
        ("odd ` <b>", "odd \\` \\<b\\>"),
        ("__x__ &amp; ~y~", "\\_\\_x\\_\\_ \\&amp; \\~y\\~"),
    ],
)
def test_text_in_markdown(words: str, told: str) -> None:
    assert text(words) == told


@pytest.mark.parametrize(
    ("words", "told"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a|b", "`a\\|b`")]
)
def test_code_in_markdown(words: str, told: str) -> None:
    assert code(words) == told


def test_no_line_ends_a_block() -> None:
    assert block(["`````", "x"])[0] == block(["`````", "x"])[-1] == "``````"


# -- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1536 * 1024**2, "1.5 GiB"),
        (5 << 40, "5.0 TiB"),
        (5 << 60, "5242880.0 TiB"),
    ],
)
def test_sizes(number: int, told: str) -> None:
    assert bytes_of(number) == told


def test_paths_are_told_from_what_they_have_in_common() -> None:
    assert top_of(["/a/b/c", "/a/b/d"]) == "/a/b"
    assert top_of(["/a/b", "/c"]) == top_of(["/a/b"]) == top_of(["/a/b", "c"]) == top_of([]) == ""
    assert (within("/a/b", "/a"), within("/a", "/a"), within("/ab", "/a"), within("/a", "")) == ("b", ".", "/ab", "/a")
    assert (short("abcdefghij", 7), short("abc", 3)) == ("ab…ghij", "abc")


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, made in WHOLE.items():
        (GOLDEN / name).write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    main()
