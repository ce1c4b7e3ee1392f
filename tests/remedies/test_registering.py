"""The commands that are proposed, run by systemd-binfmt and update-binfmts of Debian: now, and after a boot."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from runworthy.model.binfmt import Handler
from runworthy.model.edit import Edit, RegisterHandler, RunCommand, WriteFile, actions
from runworthy.remedies.registering import ways
from runworthy.remedies.situation import System
from runworthy.targets.directory import DirectoryView
from runworthy.targets.edits import after_boot, edited
from runworthy.targets.overlay import Overlay
from tests.differential.test_boot_order import Booted, booted, fresh
from tests.remedies.made import handlers, target_of

pytestmark = pytest.mark.judge
__all__ = ["booted", "fresh"]

RUNS = "/judge/runs"
APE = [
    Handler(name=name, interpreter=RUNS, magic=magic, flags="PF")
    for name, magic in (("APE", b"MZqFpD"), ("APE-jart", b"jartsr"))
]
WINE = Handler(name="wine", interpreter=RUNS, magic=b"MZ")


def make(fresh: Booted, edits: Sequence[Edit]) -> None:
    """Make edits with the programs of the release."""
    for edit in edits:
        if isinstance(edit, RunCommand):
            program = "/usr/sbin/update-binfmts" if edit.program == "update-binfmts" else edit.argv[0]
            assert fresh.run(program, *edit.argv[1:]) == 0
        else:
            assert isinstance(edit, WriteFile)
            (fresh.root / edit.path.lstrip("/")).write_bytes(edit.content)


def names(text: Sequence[str]) -> list[str]:
    return [one.partition("\n")[0] for one in text]


def test_systemd(fresh: Booted) -> None:
    (fresh.root / "usr/lib/binfmt.d/wine.conf").write_bytes(f":wine:M::MZ::{RUNS}:\n".encode())
    assert names(fresh.boot()) == ["wine"]
    before = target_of(fresh.root, handlers(WINE))
    system = System(init="systemd", systemd_binfmt="/usr/lib/systemd/systemd-binfmt")
    way = next(ways(DirectoryView(str(fresh.root)), system, APE, "a test"))
    make(fresh, way.edits)
    after = edited(before, way.edits)
    assert fresh.kernel.entries() == [one.name for one in after.handlers.entries] == ["APE-jart", "APE", "wine"]
    assert names(fresh.boot()) == [one.name for one in after_boot(after).handlers.entries]
    assert fresh.kernel.entries() == ["APE-jart", "APE", "wine"]


def test_binfmt_support(fresh: Booted) -> None:
    database = fresh.root / "var/lib/binfmts"
    fresh.update("--package", "wine", "--install", "wine", RUNS, "--magic", "MZ")
    assert names(fresh.boot()) == ["wine"]
    before = target_of(fresh.root, handlers(WINE))
    way = next(ways(DirectoryView(str(fresh.root)), System(init="systemd", binfmt_support=True), APE, "a test"))
    after = edited(before, way.edits)
    assert isinstance(after.view, Overlay)
    make(fresh, way.edits)
    for edit in actions(way.edits):
        if isinstance(edit, WriteFile):
            assert (fresh.root / edit.path.lstrip("/")).read_bytes() == edit.content
    expected = ["zz-ape-jart", "zz-ape", "wine"]
    assert fresh.kernel.entries() == [one.name for one in after.handlers.entries] == expected
    make(fresh, way.edits)
    assert sorted(fresh.kernel.entries()) == sorted(expected), "it can be run again"
    assert names(fresh.boot()) == [one.name for one in after_boot(after).handlers.entries] == expected
    for command in reversed(way.edits):
        assert isinstance(command, RunCommand)
        assert fresh.run("/usr/sbin/update-binfmts", *command.undo[1:]) == 0
    assert fresh.kernel.entries() == ["wine"]
    assert [path.name for path in database.iterdir()] == ["wine"]


def test_a_name_that_sorts_first_loses_at_boot(fresh: Booted) -> None:
    """Why the names begin with zz: the model knows it as well."""
    fresh.update("--package", "wine", "--install", "wine", RUNS, "--magic", "MZ")
    fresh.update("--package", "local", "--install", "ape", RUNS, "--magic", "MZqFpD")
    assert fresh.kernel.entries() == ["ape", "wine"]
    assert names(fresh.boot()) == ["wine", "ape"]


def test_the_effects_are_the_registrations_of_the_file() -> None:
    way = next(ways(Overlay(DirectoryView("/nonexistent")), System(init="systemd", systemd_binfmt="/x"), APE, "a test"))
    assert [one.handler for one in actions(way.edits) if isinstance(one, RegisterHandler)] == APE
