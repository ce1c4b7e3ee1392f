"""The documentation is true: its commands print what it says they print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runworthy.cli.environment import VARIABLES
from tests.docs.examples import CHECKOUT, examples, matches, pages, runners, with_variables

WITH_EXAMPLES = [page for page in pages() if examples(page)]
README, CHINESE = CHECKOUT / "README.md", CHECKOUT / "README.zh-CN.md"


# Those of the other language are the same: one run tells of both.
PAGES = [page for page in WITH_EXAMPLES if page != CHINESE]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (page.name == "README.md"), id=page.name) for page in PAGES],
)
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = runners(tmp_path)
    for block in examples(page):
        for example in block.examples:
            output = run[block.kind](example.command)
            assert matches(example.output, output), "\n".join([f"$ {example.command}", *output])


def test_both_languages_show_the_same() -> None:
    assert examples(README) == examples(CHINESE)
    shape = re.compile(r"^(#+) |^(```\w*)|^(<!-- .* -->)", re.MULTILINE)
    shapes = [shape.findall(page.read_text(encoding="utf-8")) for page in (README, CHINESE)]
    assert shapes[0] == shapes[1]


def test_pages_have_examples() -> None:
    assert {README, CHINESE, CHECKOUT / "docs" / "library.md"} <= set(WITH_EXAMPLES)
    assert all(block.examples for page in WITH_EXAMPLES for block in examples(page))


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        (["a"], ["a"], True),
        (["a"], ["a", "b"], False),
        (["a", "..."], ["a", "b", "c"], True),
        (["...", "c"], ["a", "b", "c"], True),
        (["a", "...", "c"], ["a", "c"], True),
        (["a", "...", "d"], ["a", "b", "c"], False),
    ],
)
def test_dots_stand_for_any_lines(expected: list[str], output: list[str], *, same: bool) -> None:
    assert matches(expected, output) is same


def test_every_variable_is_described() -> None:
    text = (CHECKOUT / "docs" / "environment.md").read_text(encoding="utf-8")
    assert all(f"| `{row.name}` | " in text for row in VARIABLES)
    assert with_variables(text) == text, "`python -m tests.docs.examples` writes it anew"
