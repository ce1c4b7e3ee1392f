"""The record of every case against the live judges."""

from pathlib import Path

import pytest

from tests.judges import roots

from . import every
from .build import Builder
from .recipe import Case
from .verdicts import differences, judge_for

_PAIRS = [(case, name) for case in every() for name in case.roots]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """One builder for the module: files compiled for one root serve the next."""
    return Builder(Path(tmp_path_factory.mktemp("cases")))


def test_names_are_unique() -> None:
    """A name is the identity of a case."""
    names = [case.name for case in every()]
    assert len(names) == len(set(names))


@pytest.mark.judge
@pytest.mark.parametrize(("case", "name"), _PAIRS, ids=[f"{case.name}-{name}" for case, name in _PAIRS])
def test_recorded_truth(builder: Builder, case: Case, name: str) -> None:
    """What a case records is what the real loader says today."""
    composed = builder.compose(case, roots.requires(name))
    wrong = []
    for truth in case.truths:
        if name in truth.on:
            with judge_for(composed, truth) as judge:
                if found := differences(judge, truth):
                    wrong.append((truth, found))
    assert not wrong
