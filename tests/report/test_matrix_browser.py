"""The page of a matrix in a real browser: by keys, without scripts, on a phone, in both schemes, and by axe-core."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from runworthy.model.matrix import Matrix
from runworthy.model.records import replace
from runworthy.report.matrix_html import matrix_html
from runworthy.report.words import clean
from tests.report.browsing import DESK, FAINT, PHONE, opened, violations
from tests.report.releases import HOSTILE, hostile, large, small

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.judge

MATRICES: dict[str, Callable[[], Matrix]] = {"small": small, "large": large, "hostile": hostile}
CELL = "cell-demo-1.4.0-amd64.deb~debian-11-x86_64"
# Opens every panel there is by its address, and gives what is in them.
PANELS = """async () => {
  const links = [...document.querySelectorAll("#matrix a")];
  const ids = [...new Set(links.map((link) => link.getAttribute("href").slice(1)))];
  const said = [];
  for (const id of ids) {
    const changed = new Promise((done) => addEventListener("hashchange", done, { once: true }));
    location.hash = id;
    await changed;
    said.push([id, document.getElementById("panel").open, document.getElementById("panel").innerText]);
  }
  return said;
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp("pages") / f"{name}.html" for name in MATRICES}
    for name, path in made.items():
        path.write_text(matrix_html(MATRICES[name]()), encoding="utf-8")
    return made


# -- it keeps to itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(MATRICES))
def test_every_panel_opens_and_nothing_is_asked_or_refused(browser: Browser, pages: dict[str, Path], name: str) -> None:
    matrix = MATRICES[name]()
    with opened(browser, pages[name]) as held:
        told = held.page.evaluate(PANELS)
    assert len(told) == len(matrix.cells) + len(matrix.builds) + len(matrix.columns)
    assert all(is_open for _, is_open, _ in told)
    assert not [id_ for id_, _, text in told if "undefined" in text or "[object" in text or len(text) < 40]


def test_what_subjects_say_is_shown_as_it_is(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["hostile"]) as held:
        said = {id_: text for id_, _, text in held.page.evaluate(PANELS)}
        assert held.page.locator("img").count() == 0
    shown = clean(HOSTILE)
    assert not [id_ for id_, text in said.items() if shown.partition("`")[0] not in text]


def test_a_page_that_watches_does_see_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    text = matrix_html(small()).replace("<h1>", '<img src="https://example.org/x.png"><h1 style="color: red">', 1)
    path = tmp_path / "broken.html"
    path.write_text(text.replace('"use strict";', '"use strict"; ', 1), encoding="utf-8")
    with pytest.raises(AssertionError) as raised, opened(browser, path):
        pass
    said = str(raised.value)
    assert "img-src" in said
    assert "style-src-attr" in said
    assert "script-src-elem" in said


class Server(BaseHTTPRequestHandler):
    """Serves one page, and counts what else is asked for."""

    page: ClassVar[bytes] = b""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_is_asked_for_the_page_alone(browser: Browser, pages: dict[str, Path]) -> None:
    Server.page, Server.asked = pages["small"].read_bytes(), []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/matrix.html")
        page.locator("#matrix tbody:not(.served) a").first.click()
        assert page.locator("#panel").is_visible()
        page.wait_for_timeout(300)
        page.close()
        server.shutdown()
    assert Server.asked == ["/matrix.html"]


# -- keys ------------------------------------------------------------------------------------------


def test_a_walk_by_keys_alone(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["small"]) as held:
        keys = held.page.keyboard
        held.page.locator("#find").focus()
        for _ in range(20):
            keys.press("Tab")
            if held.page.evaluate("document.activeElement.closest('#matrix') !== null"):
                break
        assert held.focused() == "#target-debian-11-x86_64"
        keys.press("ArrowDown")
        assert held.focused() == "#cell-demo-1.4.0-x86_64-unknown-linux-gnu.tar.gz~debian-11-x86_64"
        keys.press("ArrowRight")
        keys.press("ArrowDown")
        assert held.focused() == "#cell-demo-1.4.0-x86_64-unknown-linux-musl.tar.gz~debian-12-x86_64"
        keys.press("Home")
        assert held.focused() == "#asset-demo-1.4.0-x86_64-unknown-linux-musl.tar.gz"
        keys.press("ArrowLeft")
        assert held.focused() == "#asset-demo-1.4.0-x86_64-unknown-linux-musl.tar.gz"
        keys.press("End")
        assert held.focused() == "#cell-demo-1.4.0-x86_64-unknown-linux-musl.tar.gz~macos-x86_64"
        keys.press("Control+End")
        assert held.focused() == "#cell-demo-1.4.0-darwin-universal.tar.gz~macos-x86_64"
        keys.press("PageUp")
        keys.press("Control+Home")
        assert held.focused() == "#target-debian-11-x86_64"
        assert held.page.locator("#matrix a[tabindex='0']").count() == 1
        keys.press("Tab")
        assert not held.page.evaluate("document.activeElement.closest('#matrix') !== null")
        keys.press("Shift+Tab")
        assert held.focused() == "#target-debian-11-x86_64"


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_cell_opens_and_gives_the_focus_back(browser: Browser, pages: dict[str, Path], key: str) -> None:
    inside = "[document.body, ...document.querySelectorAll('#panel, #panel *')].includes(document.activeElement)"
    with opened(browser, pages["small"]) as held:
        link = held.page.locator(f"#matrix a[href='#{CELL}']")
        link.focus()
        held.page.keyboard.press(key)
        assert held.is_open()
        assert held.hash() == f"#{CELL}"
        assert held.page.evaluate("document.getElementById('panel').contains(document.activeElement)")
        said = held.page.locator("#panel").inner_text()
        for words in ("fails at version", "RW301", "needs GLIBC_2.34", "docker run debian:13", "paths considered"):
            assert words in said
        for _ in range(30):  # a modal panel keeps the focus
            held.page.keyboard.press("Tab")
            assert held.page.evaluate(inside)
        held.page.keyboard.press("Escape")
        assert not held.is_open()
        assert held.focused() == f"#{CELL}"
        held.page.wait_for_url(re.compile(r"^[^#]*#?$"))


def test_a_focused_cell_is_not_below_the_heads(browser: Browser, pages: dict[str, Path]) -> None:
    covered = """() => {
      const link = document.activeElement, box = link.getBoundingClientRect();
      const top = document.elementFromPoint(box.left + 4, box.top + 4);
      return link.contains(top) || top === link;
    }"""
    with opened(browser, pages["large"], size=(1000, 600)) as held:
        held.page.locator("#matrix tbody:not(.served) a").first.focus()
        held.page.keyboard.press("Control+End")
        for key in ("ArrowUp", "ArrowLeft") * 18:
            held.page.keyboard.press(key)
            assert held.page.evaluate(covered), held.focused()


def test_an_address_leads_to_a_cell(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["small"], at=CELL) as held:
        assert held.is_open()
        assert "debian:11/x86_64" in held.page.locator("#panel-title").inner_text()
        held.page.keyboard.press("Escape")
        held.page.wait_for_url(re.compile(r"^[^#]*#?$"))  # a dialog tells that it is closed a moment later
        assert (held.is_open(), held.focused()) == (False, f"#{CELL}")


def test_back_closes_and_links_in_a_panel_lead_on(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["small"]) as held:
        held.page.locator(f"#matrix a[href='#{CELL}']").click()
        held.page.locator("#panel-title a").last.click()
        assert held.hash() == "#target-debian-11-x86_64"
        assert held.page.locator("#panel .answers a").count() == 6
        held.page.go_back()
        held.page.wait_for_selector("#panel:not([open])", state="attached")
        assert held.hash() == ""
        held.page.locator("#matrix .served a.fails").first.click()
        held.page.get_by_role("link", name="The job that would build it", exact=True).click()
        assert not held.is_open()
        assert held.page.locator("#job-1[open] pre").is_visible()


def test_a_job_that_is_folded_away_unfolds(browser: Browser, tmp_path: Path) -> None:
    matrix = small()
    job = matrix.jobs[0]
    jobs = tuple(replace(job, name=f"job {at}", targets=(row.target,)) for at, row in enumerate(matrix.served))
    served = tuple(replace(row, asset="", verdict="fails") for row in matrix.served)
    path = tmp_path / "jobs.html"
    path.write_text(matrix_html(replace(matrix, jobs=jobs, served=served)), encoding="utf-8")
    with opened(browser, path, at="target-macos-x86_64") as held:
        assert not held.page.locator("#job-14").is_visible()
        held.page.get_by_role("link", name="The job that would build it", exact=True).click()
        assert held.page.locator("#job-14 pre").is_visible()
        assert held.page.locator("#job-14 > summary").evaluate("(summary) => summary === document.activeElement")


# -- filter ----------------------------------------------------------------------------------------


def test_what_nothing_serves_can_be_shown_alone(browser: Browser, pages: dict[str, Path]) -> None:
    missing = [row.target for row in small().served if not row.asset]
    with opened(browser, pages["small"]) as held:
        held.page.get_by_label("what nothing serves").check()
        heads = [name for name in held.cells() if name.startswith("#target-")]
        assert len(heads) == len(missing) * 2 == 4  # each with the row of what to take
        assert held.page.locator("#shown").inner_text() == "2 of 12 assets, 2 of 14 targets"
        assert held.page.locator("thead .groups th:visible").all_inner_texts() == ["Linux aarch64"]
        held.page.get_by_label("everything").check()
        assert len(held.cells()) == 12 * 14 + 12 + 14 * 2


@pytest.mark.parametrize(
    ("words", "assets", "targets"),
    [("musl", 2, 2), ("deb alpine", 2, 2), ("RW201", 6, 2), ("arm64", 3, 1), ("no-such-thing", 0, 0), ("  ", 12, 14)],
)
def test_words_narrow_the_table(
    browser: Browser, pages: dict[str, Path], words: str, assets: int, targets: int
) -> None:
    with opened(browser, pages["small"]) as held:
        held.page.locator("#find").fill(words)
        assert held.page.locator("#shown").inner_text() == f"{assets} of 12 assets, {targets} of 14 targets"
        shown = held.cells()
        assert len([name for name in shown if name.startswith("#asset-")]) == assets
        assert len([name for name in shown if name.startswith("#target-")]) == targets * 2
        assert not assets or held.page.locator("#matrix a[tabindex='0']:visible").count() == 1


# -- how it looks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("at", ["", CELL])
def test_every_text_stands_out(browser: Browser, pages: dict[str, Path], scheme: Any, at: str) -> None:  # noqa: ANN401
    with opened(browser, pages["small"], at=at, color_scheme=scheme) as held:
        held.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
        seen, faint = held.page.evaluate(FAINT)
        ground = held.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert seen > 300
    assert not faint
    assert ground == {"light": "rgb(245, 246, 248)", "dark": "rgb(15, 19, 24)"}[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("size", "at"), [(DESK, ""), (DESK, CELL), (PHONE, ""), (PHONE, CELL)])
def test_axe_finds_nothing(
    browser: Browser,
    pages: dict[str, Path],
    scheme: Any,  # noqa: ANN401
    size: tuple[int, int],
    at: str,
) -> None:
    with opened(browser, pages["small"], size=size, at=at, color_scheme=scheme, reduced_motion="reduce") as held:
        found, passes = violations(held.page)
    assert found == []
    assert passes > 20


@pytest.mark.parametrize("at", ["", CELL])
@pytest.mark.parametrize("name", list(MATRICES))
def test_a_phone_is_wide_enough(browser: Browser, pages: dict[str, Path], name: str, at: str) -> None:
    wide = "[document.documentElement.scrollWidth, document.getElementById('panel').scrollWidth]"
    with opened(browser, pages[name], size=PHONE, at=at, is_mobile=True, has_touch=True) as held:
        held.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
        assert max(held.page.evaluate(wide)) <= PHONE[0]
        assert held.page.evaluate("innerWidth") == PHONE[0]


def test_motion_is_left_out_where_it_is_not_wanted(browser: Browser, pages: dict[str, Path]) -> None:
    moves = "getComputedStyle(document.getElementById('panel')).animationName"
    for wish, name in (("reduce", "none"), ("no-preference", "come")):
        with opened(browser, pages["small"], at=CELL, reduced_motion=wish) as held:
            assert held.page.evaluate(moves) == name


def test_paper_has_the_whole_table(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["small"], at="") as held:
        held.page.emulate_media(media="print")
        held.page.set_viewport_size({"width": 1030, "height": 700})  # A4 landscape within its margins
        box = held.page.evaluate(
            "(() => { const box = document.querySelector('.scroller'); return [box.scrollWidth, box.clientWidth]; })()"
        )
        assert box[0] <= box[1]
        assert not held.page.locator(".tools").is_visible()
        assert len(held.page.pdf(prefer_css_page_size=True)) > 10_000


# -- without scripts, and to copy -------------------------------------------------------------------


def test_without_scripts_a_cell_leads_to_what_it_comes_to(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["small"], java_script_enabled=False) as held:
        assert not held.page.locator(".tools").is_visible()
        held.page.locator(f"#matrix a[href='#{CELL}']").click()
        part = held.page.locator(f"[id='{CELL}']")
        assert part.is_visible()
        assert part.locator("h4").inner_text().split() == ["demo-1.4.0-amd64.deb", "on", "debian:11/x86_64", "fails"]
        assert "RW301" in part.inner_text()
        assert "GLIBC_2.34" in part.inner_text()
        part.get_by_role("link", name="details").first.click()
        detail = held.page.locator("details > div:target")
        assert detail.is_visible()
        assert "docker run debian:13" in detail.inner_text()
        part.get_by_role("link", name="trace").first.click()
        trace = held.page.locator("details > div:target")
        assert trace.is_visible()
        assert "paths considered before it" in trace.inner_text()


def test_a_job_is_copied_as_it_is(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["small"], permissions=["clipboard-read", "clipboard-write"]) as held:
        held.page.locator("#job-1 > summary").click()
        held.page.locator("#job-1 button").click()
        held.page.get_by_text("Copied", exact=True).first.wait_for()
        assert held.page.evaluate("navigator.clipboard.readText()") == small().jobs[0].text
