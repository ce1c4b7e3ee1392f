"""Edits on real trees: what is there afterwards, and that taking them back leaves nothing of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runworthy.model.edit import BringFile, Edit, EditText, LinkFile, PatchElf, RemoveFile, SetMode, WriteFile
from runworthy.model.errors import RemedyError
from runworthy.remedies.applying import Ground, apply, fingerprints, recover, undo, would_undo
from runworthy.remedies.journal import Journal
from tests.remedies.applying.made import SCENARIOS, dump, world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return world(tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "journal"))


def ground(root: Path) -> Ground:
    return Ground(root=str(root), name="the root")


@pytest.mark.parametrize("name", SCENARIOS)
def test_undo_is_identity(root: Path, journal: Journal, name: str) -> None:
    before = dump(root)
    entry = apply(SCENARIOS[name](), ground(root), journal, title="a test")
    assert entry.state == "applied"
    assert dump(root) != before
    done = undo(journal)
    assert done.left == ()
    assert done.entry.state == "undone"
    assert dump(root) == before
    assert os.listdir(os.path.join(journal.path, entry.id, "before")) == []
