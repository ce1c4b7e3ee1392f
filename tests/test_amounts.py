"""Sizes and ages as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

import runworthy
from runworthy.library.amounts import seconds_of, size_of


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (65536, 65536),
        ("65536", 65536),
        ("64k", 65536),
        (" 64 KiB ", 65536),
        ("1.5GiB", 3 << 29),
        ("0.1m", 104857),
        ("2tb", 2 << 40),
        ("7B", 7),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert size_of(text, "--min-size") == size


@pytest.mark.parametrize(("text", "seconds"), [("0h", 0), ("12h", 43_200), ("30d", 2_592_000), ("8w", 4_838_400)])
def test_ages(text: str, seconds: int) -> None:
    assert seconds_of(text, "--unused") == seconds


@pytest.mark.parametrize("text", ["", "-1", "1e3", "64q", "k", "1,5m", "64k x", "٣k", "9" * 16, "nan", "inf"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(runworthy.UsageError, match="is no size") as caught:
        size_of(text, "--fail-over")
    assert caught.value.option == "--fail-over"


@pytest.mark.parametrize("text", ["", "30", "30 d", "-1d", "1m", "d", "٣d", "1d\n", "9" * 7 + "d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(runworthy.UsageError, match="is no age") as caught:
        seconds_of(text, "--unused")
    assert caught.value.option == "--unused"


def test_both_that_take_ages_refuse_the_same(tmp_path: Path) -> None:
    """Each names its own option, so that a variable of the environment that gave it can be named."""
    with pytest.raises(runworthy.UsageError) as caught:
        runworthy.forget(older_than="soon")
    assert (str(caught.value), caught.value.option) == ("soon is no age", "--older-than")
    with pytest.raises(runworthy.UsageError) as caught:
        runworthy.dedupe(tmp_path, unused="soon")
    assert (str(caught.value), caught.value.option) == ("soon is no age", "--unused")
