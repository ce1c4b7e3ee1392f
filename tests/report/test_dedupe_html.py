"""The page on storage as text: whole, self-contained, and proof against what strangers wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from runworthy.model.records import replace
from runworthy.model.storage import StorageReport
from runworthy.report.dedupe_html import dedupe_html
from runworthy.report.words import clean
from tests.report.storage import HOSTILE, applied, empty, hostile, huge, projects
from tests.report.test_matrix_html import Page

EVERY = pytest.mark.parametrize("made", [projects, applied, empty, hostile])


@EVERY
def test_every_element_is_closed_and_every_anchor_there_once(made: Callable[[], StorageReport]) -> None:
    page = Page(dedupe_html(made(), dry_run=True))
    assert not page.open
    ids = Counter(page.values("id"))
    assert not [one for one, number in ids.items() if number > 1]
    links = {link[1:] for link in page.values("href") if link.startswith("#")}
    assert links - set(ids) <= ({"where"} if made is empty else set())


@EVERY
def test_nothing_is_taken_from_elsewhere_and_no_script_is_there(made: Callable[[], StorageReport]) -> None:
    page = Page(dedupe_html(made(), dry_run=True))
    assert all(link.startswith(("#", "data:image/svg+xml,")) for link in page.values("href"))
    assert not page.values("src")
    assert not page.values("style")
    assert not page.within("script")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert "script-src 'none'" in policy
    assert "url(" not in "".join(page.within("style"))


def test_what_strangers_wrote_stays_text() -> None:
    text = dedupe_html(hostile(), dry_run=True)
    page, plain = Page(text), Page(dedupe_html(applied(), dry_run=True))
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements} | {"br"}
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert text.encode()
    assert any(clean(HOSTILE) in held for held in page.within("li"))


def test_the_sentence_comes_first_and_the_numbers_below_it_add_up() -> None:
    page = Page(dedupe_html(projects()))
    texts = page.within("p")
    assert "666.0 MiB of 1.3 GiB is stored again in 4 environments and 2 caches; 637.0 MiB can be freed (48 %)" in texts
    numbers = [float(text.split()[0]) for text in page.within("b") if text.endswith("MiB")][:3]
    assert sum(numbers) == 1331.0
    widths = [float(a["width"] or 0) for tag, a in page.elements if tag == "rect" and "class" in a]
    assert sum(widths) == pytest.approx(1000, abs=7)


def test_each_cause_is_told_and_notes_unfold() -> None:
    page = Page(dedupe_html(projects()))
    assert [text for text in page.within("span") if text.startswith(("error[", "warning[", "note["))] == [
        "error[RW820]",
        "warning[RW803]",
        "warning[RW805]",
        "note[RW801]",
        "note[RW830]",
    ]
    assert "2 notes" in page.within("summary")


def test_what_there_is_nothing_of_has_no_section() -> None:
    heads = Page(dedupe_html(empty())).within("h2")
    assert heads == ["Environments and caches"]
    assert "Left as it is" in Page(dedupe_html(projects())).within("h2")


def test_a_page_says_whether_something_was_changed() -> None:
    assert "Nothing was changed." in dedupe_html(projects())
    told = dedupe_html(applied())
    assert "Nothing was changed." not in told
    assert "runworthy undo 20260301-101500-3f2a" in told


def test_a_huge_report_is_a_page_that_browsers_open() -> None:
    report = huge(5000)
    text = dedupe_html(report, dry_run=True)
    assert len(text) < 1_000_000
    page = Page(text)
    assert "and 4001 more" in "".join(page.within("pre"))
    assert any("4700 more files" in held for held in page.within("p"))


def test_equal_totals_make_no_empty_bar() -> None:
    report = replace(empty(), allocated=0, files=0)
    assert not [a for tag, a in Page(dedupe_html(report)).elements if tag == "rect" and "class" in a]
