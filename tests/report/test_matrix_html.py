"""The page of a matrix as text: whole, self-contained, readable, and proof against what subjects say."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import runworthy
from runworthy.model.matrix import Matrix
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Step, Trace
from runworthy.report.matrix_html import matrix_html
from runworthy.report.webpage.markup import Html, element
from runworthy.report.words import clean
from tests.report.made import symbol
from tests.report.releases import HOSTILE, hostile, large, small

PARTS = Path(runworthy.__file__).parent / "report" / "webpage"
VOID = frozenset(("meta", "link", "input", "wbr", "use", "rect", "path", "br"))


class Page(HTMLParser):
    """What a browser without scripts makes of a page: elements, their attributes, and the text in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def within(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]

    def data(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.within("script")[0])


EVERY = pytest.mark.parametrize("matrix", [small(), large(), hostile()], ids=["small", "large", "hostile"])


@EVERY
def test_every_element_is_closed_and_every_anchor_there_once(matrix: Matrix) -> None:
    page = Page(matrix_html(matrix))
    assert not page.open
    ids = Counter(page.values("id"))
    assert not [one for one, number in ids.items() if number > 1]
    links = [link for link in page.values("href") if link.startswith("#")]
    assert {link[1:] for link in links} <= set(ids)
    assert len([link for link in links if link.startswith("#cell-")]) >= len(matrix.cells)


@EVERY
def test_nothing_is_taken_from_elsewhere(matrix: Matrix) -> None:
    page = Page(matrix_html(matrix))
    assert all(link.startswith(("#", "data:image/svg+xml,")) for link in page.values("href"))
    assert not page.values("src")
    assert not page.values("style")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "url(" not in "".join(page.within("style"))


@EVERY
def test_the_policy_knows_style_and_script_by_their_hashes(matrix: Matrix) -> None:
    page = Page(matrix_html(matrix))
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for name, text in (("style-src", page.within("style")[0]), ("script-src", page.within("script")[1])):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_what_subjects_say_stays_text() -> None:
    text = matrix_html(hostile())
    page, plain = Page(text), Page(matrix_html(small()))
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in plain.elements}
    assert len(page.within("script")) == 2
    assert {name for _, a in page.elements for name in a} <= {name for _, a in plain.elements for name in a}
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert text.encode()
    shown = clean(HOSTILE)
    assert any(shown in held for held in page.within("li"))
    assert shown in page.data()["texts"][0] or any(shown in line for line in page.data()["texts"])


@given(st.text(st.characters(), max_size=40), st.text(st.characters(), max_size=40))
def test_a_text_comes_out_of_an_element_as_it_went_in(text: str, value: str) -> None:
    page = Page(element("p", text, title=value))
    assert "".join(page.within("p")) == clean(text)
    assert page.elements == [("p", {"title": clean(value) or None})]


def test_markup_is_not_escaped_twice_and_long_texts_end() -> None:
    assert element("b", Html("<i>&amp;</i>"), "<") == "<b><i>&amp;</i>&lt;</b>"
    assert len(element("b", "x" * 1_000_000)) < 3000


# -- size ----------------------------------------------------------------------------------------


def test_equal_texts_findings_and_traces_stand_once() -> None:
    data = Page(matrix_html(large())).data()
    assert len(data["texts"]) == len(set(data["texts"]))
    findings = [json.dumps(one) for one in data["findings"]]
    assert len(findings) == len(set(findings))
    traces = [tuple(one) for one in data["traces"]]
    assert len(traces) == len(set(traces))
    referred = {at for _, held in _results(data) for _, at in held.get("trace", [])}
    assert referred == set(range(len(traces)))
    assert len(traces) < sum("trace" in held for _, held in _results(data)) / 2


def _results(data: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    for cells in data["cells"]:
        for cell in cells:
            for held in (cell or {}).get("results", []):
                yield cell, held


def test_a_large_release_is_small() -> None:
    matrix = large()
    assert (len(matrix.builds), len(matrix.columns)) == (40, 20)
    assert len(matrix_html(matrix)) < 1_500_000


def test_a_cell_of_many_members_tells_the_steps_of_a_few() -> None:
    matrix = small()
    cell = next(cell for cell in matrix.cells if cell.fit == "fails")
    many = tuple(replace(cell.results[0], subject=f"{cell.member}{at}") for at in range(50))
    data = Page(matrix_html(replace(matrix, cells=(replace(cell, results=many),)))).data()
    told = [held for _, held in _results(data)]
    assert (len(told), sum("trace" in held for held in told)) == (50, 6)


@pytest.mark.slow
def test_a_release_of_strangers_cannot_make_a_page_without_end() -> None:
    matrix = small()
    cell = next(cell for cell in matrix.cells if cell.fit == "fails")
    [found] = cell.results
    stretch = found.trace.stretches[0]
    cells = [
        replace(
            cell,
            asset=other.asset,
            target=other.target,
            member="",
            results=tuple(
                replace(found, trace=Trace(stretches=(replace(stretch, steps=_steps(f"{at}_{number}")),)))
                for number in range(6)
            ),
        )
        for at, other in enumerate(matrix.cells)
    ]
    text = matrix_html(replace(matrix, cells=tuple(cells)))
    assert len(text) < 20_000_000
    told = [len(held["trace"]) for _, held in _results(Page(text).data())]
    assert (told[0], told[-1], len(told)) == (1, 0, 6 * len(cells))


def _steps(name: str) -> tuple[Step, ...]:
    return tuple(symbol(f"{name}_{at}", Answer.UNMET) for at in range(210))


# -- what is told --------------------------------------------------------------------------------


def test_data_holds_what_a_panel_shows() -> None:
    matrix = small()
    data = Page(matrix_html(matrix)).data()
    texts, names = data["texts"], [asset["name"] for asset in data["assets"]]
    row, column = names.index("demo-1.4.0-amd64.deb"), 0
    cell = data["cells"][row][column]
    assert data["targets"][column]["name"] == "debian:11/x86_64"
    assert cell["fit"] == "fails"
    [held] = cell["results"]
    assert (held["verdict"], held["stage"]) == ("fails", "version")
    finding = data["findings"][held["findings"][0]]
    assert (finding["code"], finding["severity"]) == ("RW301", "error")
    assert texts[finding["message"]] == texts[cell["reason"]]
    assert texts[finding["places"][0]].endswith("!bin/demo .gnu.version_r at offset 0x1234")
    assert [texts[at] for at in finding["remedies"][1]["lines"]] == ["docker run debian:13", "./demo"]
    assert finding["remedies"][1]["how"] == "manual, proved"
    [[head, trace]] = held["trace"]
    assert texts[head].startswith("dist/demo-1.4.0-amd64.deb!bin/demo on debian:11/x86_64")
    assert texts[data["traces"][trace][0]] == "load"
    assert "judged against glibc 2.31, x86-64-v1, as of 2026-08-08" in [texts[at] for at in held["against"]]


def test_without_a_script_everything_can_be_read() -> None:
    matrix = small()
    page = Page(matrix_html(matrix))
    words = " ".join(" ".join(text for inside, text in page.texts if inside not in {"script", "style"}).split())
    for cell in matrix.cells:
        told = re.sub("`", " ", cell.reason)
        assert " ".join(told.split()) in words
    lines = {line for text in page.within("pre") for line in text.split("\n")}
    assert {page.data()["texts"][at] for trace in page.data()["traces"] for at in trace} <= lines
    for job in matrix.jobs:
        assert job.text.rstrip("\n") in page.within("pre")


def test_long_lists_unfold() -> None:
    matrix = small()
    served = tuple(replace(row, asset="", verdict="fails", why=f"because of {row.target}") for row in matrix.served)
    page = Page(matrix_html(replace(matrix, served=served)))
    assert "8 more targets" in page.within("summary")
    assert "Nothing serves 14 of 14 targets" in page.within("p")
    assert {f"because of {row.target}" for row in served} <= set(page.within("p"))


def test_the_same_matrix_gives_the_same_page() -> None:
    assert matrix_html(small()) == matrix_html(small())


def test_a_matrix_of_nothing_is_a_page_too() -> None:
    page = Page(matrix_html(Matrix(assets=(), columns=(), cells=(), served=())))
    assert not page.open
    assert "There is no build among these files" in page.within("p")


def test_a_cell_that_is_not_there_is_empty() -> None:
    matrix = small()
    gone, *cells = matrix.cells
    page = Page(matrix_html(replace(matrix, cells=tuple(cells))))
    links = set(page.values("href"))
    assert not [link for link in links if link.startswith("#cell-") and link[1:] not in page.values("id")]
    assert page.data()["cells"][0][0] is None
    assert gone.asset == "dist/demo-1.4.0-x86_64-unknown-linux-gnu.tar.gz"


def test_anchors_are_made_of_names_and_differ() -> None:
    matrix = small()
    names = ("a b", "a/b", "a-b")
    assets = tuple(replace(one, name=name, path=name) for one, name in zip(matrix.builds, names, strict=False))
    cells = tuple(replace(cell, asset=name) for cell, name in zip(matrix.cells, names, strict=False))
    page = Page(matrix_html(replace(matrix, assets=assets, cells=cells, served=(), redundant=(), misnamed=())))
    assert [link for link in page.values("href") if link.startswith("#asset-")][:3] == [
        "#asset-a-b",
        "#asset-a-b-2",
        "#asset-a-b-3",
    ]


def test_two_assets_of_one_name_are_told_by_their_paths() -> None:
    matrix = small()
    first, second = matrix.builds[:2]
    page = Page(matrix_html(replace(matrix, assets=(first, replace(second, name=first.name)))))
    names = [asset["name"] for asset in page.data()["assets"]]
    assert names == [first.path, second.path]


# -- colours -------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink: str, ground: str) -> float:
    light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colours(scheme: str) -> dict[str, str]:
    text = (PARTS / "page.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", held)) for held in text.split("@media", 2)[:2])
    assert set(light) == set(dark)
    return dark if scheme == "dark" else light


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_inks_stand_out_from_their_grounds(scheme: str) -> None:
    held = colours(scheme)
    pairs = [(name, name) for name in (key.removesuffix("-ink") for key in held if key.endswith("-ink"))]
    assert len(pairs) == 11
    pairs += [("soft", "card"), ("link", "card"), ("not-for", "card"), ("risky", "card"), ("soft", "page")]
    for ink, ground in pairs:
        assert contrast(held[f"{ink}-ink"], held[f"{ground}-ground"]) >= 4.5, (ink, ground)
    for mark in ("runs", "risky", "unknown", "fails"):
        assert len({held[f"{mark}-ink"], held[f"{mark}-ground"], held[f"{mark}-mark"]}) == 3


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
