"""The page on storage in a real browser: on a phone, in both schemes, on paper, and by axe-core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runworthy.model.storage import StorageReport
from runworthy.report.dedupe_html import dedupe_html
from runworthy.report.words import clean
from tests.report.browsing import DESK, FAINT, PHONE, opened, violations
from tests.report.storage import HOSTILE, applied, hostile, huge, projects

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.judge

REPORTS: dict[str, Callable[[], StorageReport]] = {
    "projects": projects,
    "applied": applied,
    "hostile": hostile,
    "huge": lambda: huge(600),
}
UNFOLD = "document.querySelectorAll('details').forEach((box) => { box.open = true; })"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp("pages") / f"{name}.html" for name in REPORTS}
    for name, path in made.items():
        path.write_text(dedupe_html(REPORTS[name](), dry_run=True), encoding="utf-8")
    return made


@pytest.mark.parametrize("name", list(REPORTS))
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_nothing_is_asked_or_refused_and_it_is_wide_enough(
    browser: Browser, pages: dict[str, Path], name: str, size: tuple[int, int]
) -> None:
    with opened(browser, pages[name], size=size) as held:
        held.page.evaluate(UNFOLD)
        assert held.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert held.page.locator("img, script").count() == 0


def test_what_strangers_wrote_is_shown_as_it_is(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["hostile"]) as held:
        held.page.evaluate(UNFOLD)
        said = held.page.locator("body").inner_text()
    assert said.count(clean(HOSTILE).partition("`")[0]) > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["projects", "applied"])
def test_every_text_stands_out(browser: Browser, pages: dict[str, Path], scheme: Any, name: str) -> None:  # noqa: ANN401
    with opened(browser, pages[name], color_scheme=scheme) as held:
        held.page.evaluate(UNFOLD)
        seen, faint = held.page.evaluate(FAINT)
        ground = held.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert seen > 100
    assert not faint
    assert ground == {"light": "rgb(245, 246, 248)", "dark": "rgb(15, 19, 24)"}[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("name", list(REPORTS))
def test_axe_finds_nothing(
    browser: Browser,
    pages: dict[str, Path],
    scheme: Any,  # noqa: ANN401
    size: tuple[int, int],
    name: str,
) -> None:
    with opened(browser, pages[name], size=size, color_scheme=scheme) as held:
        held.page.evaluate(UNFOLD)
        found, passes = violations(held.page)
    assert found == []
    assert passes > 20


def test_without_scripts_it_is_the_same_page(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["projects"], java_script_enabled=False) as held:
        held.page.get_by_text("2 notes", exact=True).click()
        assert held.page.get_by_text("note[RW830]").is_visible()


def test_keys_reach_what_scrolls_and_what_unfolds(browser: Browser, pages: dict[str, Path]) -> None:
    kinds = set()
    with opened(browser, pages["projects"], size=PHONE) as held:
        for _ in range(40):
            held.page.keyboard.press("Tab")
            kinds.add(held.page.evaluate("document.activeElement.className || document.activeElement.tagName"))
    assert {"skip", "scroller", "SUMMARY"} <= kinds


def test_paper_has_all_of_it(browser: Browser, pages: dict[str, Path]) -> None:
    cut = """[...document.querySelectorAll('.scroller')]
      .filter((box) => getComputedStyle(box).overflowX !== 'visible').length"""
    with opened(browser, pages["projects"]) as held:
        held.page.emulate_media(media="print")
        assert held.page.evaluate(cut) == 0
        assert held.page.get_by_text("note[RW830]").bounding_box()
        assert len(held.page.pdf(prefer_css_page_size=True)) > 10_000
