"""Every ELF file of this machine, of a newer distribution, and of real wheels and npm packages, on every judge root."""

from __future__ import annotations

import pytest

from tests.differential.trees import PAIRS, compare

# A trace that has lost every version dies (tests/judges/README.md); so few files do that it hides nothing.
_DEAD_AT_MOST = 0.01


@pytest.mark.judge
@pytest.mark.parametrize(("name", "tree"), PAIRS)
def test_every_file_of_a_tree(name: str, tree: str) -> None:
    """Missing libraries, versions and symbols, bad relocations and chosen paths: the same sets, file by file."""
    found = compare(name, tree)
    assert found.subjects, "nothing to compare"
    assert not found.wrong, f"{len(found.wrong)} of {found.subjects}: {dict(list(found.wrong.items())[:3])}"
    assert found.dead <= max(3, _DEAD_AT_MOST * found.subjects)
