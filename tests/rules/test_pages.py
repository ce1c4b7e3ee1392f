"""Every rule has its page, and every page is true."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path
from types import ModuleType

import pytest

from runworthy.model.finding import VERDICTS
from runworthy.model.records import replace
from runworthy.model.waiver import Waiver
from runworthy.rules._index import load_rules
from tests.rules.page import RULES, Block, blocks, in_directory, judge, pages

_SCRIPT = run_path(str(Path(__file__).parents[2] / "scripts" / "index_rules.py"))
_RULES: list[ModuleType] = _SCRIPT["discover"]()
_EXAMPLES = [
    pytest.param(page, block, id=f"{page.stem}-{number}")
    for page in pages()
    for number, block in enumerate(blocks(page), 1)
]
_CODE = re.compile(r"\[(RW\d{3})\]")


def _page(rule: ModuleType) -> Path:
    return RULES / f"{rule.__name__.removeprefix('runworthy.rules.').replace('.', '/')}.md"


@pytest.mark.parametrize(("page", "block"), _EXAMPLES)
def test_example_is_true(page: Path, block: Block, tmp_path: Path) -> None:
    """What the page shows is what is said; ``python -m tests.rules.update`` writes it anew."""
    assert in_directory(block.facts, tmp_path) == block.text


@pytest.mark.parametrize(("page", "block"), _EXAMPLES)
def test_findings_weigh_what_the_verdict_does(
    page: Path, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each finding explains, and what none does, come to the verdict; with all waived nothing of it counts."""
    monkeypatch.chdir(tmp_path)
    result = judge(block.facts, tmp_path)
    assert max((result.rest, *(finding.weight for finding in result.findings)), key=VERDICTS.index) == result.verdict
    waiver = Waiver(codes=(), reason="known", expires="never")
    held = replace(result, findings=tuple(replace(finding, waived=waiver) for finding in result.findings))
    assert held.counted == "runs"


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule.CODE)
def test_page_belongs_to_its_rule(rule: ModuleType) -> None:
    """The page begins with the code and name, and shows the rule speak and be silent."""
    page = _page(rule)
    assert page.read_text("utf-8").splitlines()[0] == f"# {rule.CODE}: {rule.NAME}"
    said = [set(_CODE.findall(block.text)) for block in blocks(page)]
    assert any(rule.CODE in codes for codes in said), "no example shows the finding"
    assert any(rule.CODE not in codes for codes in said), "no example is without the finding"


def test_pages_and_rules_are_the_same_in_number() -> None:
    assert sorted(map(_page, _RULES)) == pages()


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for link in re.findall(r"\]\(([^)]+\.md)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_index_is_what_is_discovered() -> None:
    """``python scripts/index_rules.py`` writes it anew."""
    held = _SCRIPT["INDEX"].read_text("utf-8")
    assert _SCRIPT["index"](held) == held


def test_codes_and_names_are_unique_and_fit_their_family() -> None:
    codes = [rule.CODE for rule in _RULES]
    names = [rule.NAME for rule in _RULES]
    assert len(set(codes)) == len(codes)
    assert len(set(names)) == len(names)
    hundreds = {"exec": "1", "load": "2", "symbols": "3", "machine": "4", "packaging": "5", "configuration": "6"}
    hundreds["storage"] = "8"
    for rule in _RULES:
        family, slug = rule.__name__.split(".")[-2:]
        assert rule.CODE.startswith(f"RW{hundreds[family]}")
        assert slug.replace("_", "-") == rule.NAME
        assert rule.SINCE
        assert rule.SEVERITY in ("error", "warning", "note")
        assert (rule.__doc__ or "").startswith(f"{rule.CODE}: ")


def test_only_rules_that_read_what_is_there_are_loaded() -> None:
    codes = [rule.CODE for rule in load_rules({"isa", "isa:unmet"})]
    assert codes == ["RW401"]
    assert not load_rules(())
    everything = {kind for rule in _RULES for kind in rule.READS}
    assert len(load_rules(everything)) == len(_RULES)
