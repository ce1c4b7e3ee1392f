"""Machines that were captured: what the next boot changes about their handlers, and how two of them differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import runworthy
from runworthy.model.host import BinfmtEntry, BinfmtMisc, MachineFacts
from runworthy.targets.directory import DirectoryView
from tests.apewriter import ape, like_ape_loader
from tests.cli.conftest import Run
from tests.elfwriter import elf
from tests.remedies.made import write_tree
from tests.targets.snapshot.made import snapshot

APE = BinfmtEntry(name="APE", text="enabled\ninterpreter /usr/bin/ape\nflags: \noffset 0\nmagic 4d5a71467044\n")
WINE = BinfmtEntry(name="DOSWin", text="enabled\ninterpreter /usr/bin/wine\nflags: \noffset 0\nmagic 4d5a\n")
STATIC = elf(kind=2, dynamic=False)
FILE = ape()
ROOT: dict[str, bytes | str] = {
    "/bin/sh": STATIC,
    "/usr/bin/ape": like_ape_loader(),
    "/usr/bin/wine": STATIC,
    "/usr/lib/systemd/systemd": STATIC,
    "/usr/lib/systemd/systemd-binfmt": STATIC,
    "/usr/lib/systemd/system/systemd-binfmt.service": b"[Service]\nExecStart=/usr/lib/systemd/systemd-binfmt\n",
    "/usr/lib/systemd/system/sysinit.target.wants/systemd-binfmt.service": "../systemd-binfmt.service",
    "/usr/lib/binfmt.d/wine.conf": b":DOSWin:M::MZ::/usr/bin/wine:\n",
}
BOOTED: dict[str, bytes | str] = {**ROOT, "/sbin/init": "/usr/lib/systemd/systemd"}
KEPT: dict[str, bytes | str] = {**BOOTED, "/etc/binfmt.d/zz-ape.conf": b":APE:M::MZqFpD::/usr/bin/ape:\n"}


def machine(path: Path, files: dict[str, bytes | str], *entries: BinfmtEntry) -> str:
    """Write a snapshot of a machine with these handlers, the newest first."""
    root = write_tree(path / "root", files)
    facts = MachineFacts(arch="x86_64", kernel="6.1.0", binfmt=BinfmtMisc(status="enabled", entries=entries))
    held = path / "made.runworthy"
    held.write_bytes(snapshot(DirectoryView(str(root)), facts, source="host"))
    return str(held)


@pytest.fixture(name="run")
def started(request: pytest.FixtureRequest) -> Run:
    """The command line; the module of its name is asked here too."""
    found: Run = request.getfixturevalue("runworthy")
    return found


@pytest.mark.parametrize(
    ("files", "entries", "told"),
    [
        (BOOTED, (APE, WINE), "the handler APE (/usr/bin/ape) takes it now, the handler DOSWin (/usr/bin/wine) will"),
        (KEPT, (APE, WINE), ""),  # a file registers it again
        (ROOT, (APE, WINE), ""),  # nothing boots a container: the handlers are its host's
        (BOOTED, (), ""),  # no handler takes it now
    ],
)
def test_a_handler_that_is_only_kept_in_memory_is_told_of(
    world: Path, files: dict[str, bytes | str], entries: tuple[BinfmtEntry, ...], told: str
) -> None:
    (world / "llamafile").write_bytes(FILE)
    (result,) = runworthy.check(world / "llamafile", on=machine(world, files, *entries)).results
    found = [finding.message for finding in result.findings if finding.code == "RW134"]
    assert [message.partition(" boots: ")[2] for message in found] == ([told] if told else [])
    assert (result.verdict == "runs") == bool(entries)  # what is to come changes no verdict


def test_what_the_next_boot_changes_has_a_remedy_that_stays(run: Run, world: Path) -> None:
    (world / "llamafile").write_bytes(FILE)
    ended = run("check", "llamafile", "--on", machine(world, BOOTED, APE, WINE), "--format", "json")
    (finding,) = json.loads(ended.out)["results"][0]["findings"]
    assert (finding["code"], ended.code) == ("RW134", 0)
    first = finding["remedies"][0]
    assert (first["proved"], first["stays"]) == (True, True)
    assert "above every other handler, for good" in first["title"]


def test_the_boot_of_a_container_is_that_of_its_host(run: Run, world: Path) -> None:
    """Nothing is told of what the files inside would register, nor changed in them for it."""
    (world / "llamafile").write_bytes(FILE)
    held = machine(world, {**BOOTED, "/.dockerenv": b""}, WINE)
    now = run("check", "llamafile", "--on", held, "--format", "json")
    findings = json.loads(now.out)["results"][0]["findings"]
    assert [finding["code"] for finding in findings] == ["RW110"]
    assert not [one for one in findings[0]["remedies"] if one["proved"]]
    boot = run("check", "llamafile", "--on", held, "--at-boot", "--format", "json")
    (finding,) = json.loads(boot.out)["results"][0]["findings"]
    assert (finding["code"], boot.code) == ("RW132", 4)
    assert "its host registers" in finding["message"]


def test_what_an_interpreter_is_can_be_told_of_a_snapshot(world: Path) -> None:
    """Of ELF files a snapshot holds facts, and not the bytes that the kernel looks at."""
    script = world / "script"
    script.write_bytes(b"#!/bin/sh\n")
    assert runworthy.check(script, on=machine(world, BOOTED)).results[0].verdict == "runs"


def test_two_machines_differ_in_every_part_of_a_handler(world: Path) -> None:
    other = BinfmtEntry(name="APE", text=(APE.text or "").replace("flags: ", "flags: P"))
    (world / "new").mkdir()
    old, new = machine(world, BOOTED, APE, WINE), machine(world / "new", BOOTED, WINE, other)
    (fact,) = [one for one in runworthy.diff_targets(old, new).facts if one.name == "handlers"]
    assert fact.old == ":APE:M::MZqFpD::/usr/bin/ape: :DOSWin:M::MZ::/usr/bin/wine:"
    assert fact.new == ":DOSWin:M::MZ::/usr/bin/wine: :APE:M::MZqFpD::/usr/bin/ape:P"
    assert fact.counts
