"""The bench of the search for copies: what is read of other programs, and the table that is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.finders import FINDERS, Found, sets_of_jdupes
from bench.measure import Measured, Run
from bench.storage import AGAIN, COLUMNS, US, Results, sentence, table
from bench.tree import Tree, seen

from tests.judges.roots import requires_tool

KNOWN = {finder.name: finder for finder in FINDERS}


def measured(seconds: float) -> Measured:
    return Measured(runs=[Run(seconds=seconds, memory=10.0)])


def test_the_table_sets_us_against_the_best_that_compares_bytes() -> None:
    times = {
        (name, column): measured(seconds)
        for column in COLUMNS
        for name, seconds in ((US, 3.0), (AGAIN, 0.5), ("jdupes", 5.0), ("hardlink", 4.0), ("jdupes -Q", 1.0))
    }
    results = Results(tree=Tree(files=3, size=10), times=times, found={"jdupes": 7, US: 7}, agreed="They agree.")
    rows = {line.split(" | ")[0].strip("| "): line for line in table(results)}
    assert rows[US].count("3.00 = 0.75 x hardlink |") == 2  # warm: within 0.8
    assert rows[US].count("3.00 = 0.75 x hardlink, **over** |") == 2  # cold: over 0.7
    assert rows[AGAIN].count("0.50 = 0.12 x hardlink |") == 4
    assert rows["jdupes"].endswith("| 5.00 (n=1) | 5.00 (n=1) | 5.00 (n=1) | 5.00 (n=1) | 10 | 7 |")
    assert "| not measured |" in rows["fclones"]
    assert len({line.count("|") for line in rows.values()}) == 1
    assert [*sentence(results, runs=5, cold=3)][1] == "They agree."


def tree_of_copies(top: Path) -> None:
    for name, data in {"a": b"1" * 90, ".b": b"1" * 90, "d/c": b"1" * 90, "e": b"2" * 90, "f": b"", "g": b""}.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_bytes(data)
    (top / "linked").hardlink_to(top / "e")
    (top / "symlink").symlink_to("a")


def test_a_tree_is_counted_as_it_is_stored(tmp_path: Path) -> None:
    tree_of_copies(tmp_path)
    assert seen(tmp_path) == Tree(files=4, size=360)


@pytest.mark.judge
def test_jdupes_tells_sets(tmp_path: Path) -> None:
    requires_tool("jdupes", package="jdupes")
    tree_of_copies(tmp_path)
    expected = frozenset({(90, frozenset(str(tmp_path / name) for name in ("a", ".b", "d/c")))})
    assert sets_of_jdupes(tmp_path, 1) == expected
    assert sets_of_jdupes(tmp_path, 91) == frozenset()
    assert Found.of(expected) == Found(duplicates=2, size=180)


@pytest.mark.judge
@pytest.mark.parametrize("name", [finder.name for finder in FINDERS if finder.number])
def test_others_find_the_same_number(name: str, tmp_path: Path) -> None:
    requires_tool(name.partition(" ")[0], package="util-linux" if name == "hardlink" else name.partition(" ")[0])
    tree_of_copies(tmp_path)
    for size, number in ((1, 2), (90, 2), (91, 0)):
        words = KNOWN[name].words(tmp_path, size)
        assert words
        found = KNOWN[name].duplicates(words)
        assert (found or 0) == number, words
