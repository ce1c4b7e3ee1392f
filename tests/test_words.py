"""Words for numbers, lists and tables: one for findings and reports, and as light as both need them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runworthy.model import words as shared
from runworthy.report import words as of_reports
from runworthy.rules import words as of_rules

HELD = ["1023.9 KiB", "1.0 MiB", "1023.9 MiB", "1.0 GiB"]


@pytest.mark.parametrize("name", sorted(set(shared.__all__) - {"aligned"}))
def test_findings_and_reports_have_the_same(name: str) -> None:
    assert getattr(of_rules, name) is getattr(of_reports, name) is getattr(shared, name)


def test_nothing_that_both_have_is_written_twice() -> None:
    both = set(of_rules.__all__) & set(of_reports.__all__)
    assert both == set(shared.__all__) - {"aligned"}


def test_words_bring_nothing_else_along() -> None:
    """A report is made without the rules, and a start pays for neither."""
    script = "import sys; import runworthy.model.words; print(*(name for name in sys.modules if 'runworthy' in name))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == {"runworthy", "runworthy.model", "runworthy.model.words"}


def test_what_rounds_to_the_next_unit_is_told_in_it() -> None:
    sizes = [1048473, 1048525, (1 << 30) - (1 << 20) // 10, (1 << 30) - 1]
    assert [shared.bytes_of(size) for size in sizes] == HELD
    assert [shared.bytes_of(size) for size in (0, 1, 1023, 5 << 60)] == [
        "0 bytes",
        "1 byte",
        "1023 bytes",
        "5242880.0 TiB",
    ]


def test_tables_are_aligned_however_long_their_rows_are() -> None:
    assert shared.aligned([]) == []
    assert shared.aligned([("a", "bb"), ("ccc",), ("d", "e", "f")]) == ["a    bb", "ccc", "d    e   f"]
    assert of_rules.rows([("a", "bb"), ("ccc", "d")]) == tuple(of_reports.table([("a", "bb"), ("ccc", "d")]))
    assert of_reports.table([("\x1b[1ma\x1b[0m", "b"), ("cc", "d")]) == ["\x1b[1ma\x1b[0m   b", "cc  d"]
