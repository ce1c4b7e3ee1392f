"""Edits carried out for real on a root in a directory, by the plainest means: what the applier has to come to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from runworthy.engine.again import judge_again
from runworthy.formats.elf import is_elf
from runworthy.formats.identify import identify
from runworthy.formats.ld_so_cache import read_ld_so_cache
from runworthy.model.arch import architecture
from runworthy.model.edit import (
    BringFile,
    CopyFile,
    Edit,
    EditText,
    LinkFile,
    PatchBytes,
    PatchElf,
    RunCommand,
    SetMode,
    WriteFile,
)
from runworthy.model.machine import baseline
from runworthy.remedies.situation import Means, Situation
from runworthy.simulate.launch import Launch
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target
from tests.judges import qemu
from tests.judges.process import Jail
from tests.judges.qemu import Emulator
from tests.judges.roots import Root

__all__ = ["carry_out", "situation_in", "situation_of"]


def situation_in(root: Root, path: str, means: Means | None, *, launch: Launch | None = None) -> Situation:
    """Return the situation of a file of a root, judged by the product itself."""
    arch = architecture(root.arch)
    assert arch is not None
    target = Target(name=root.name, view=Overlay(DirectoryView(str(root.path))), machine=baseline(arch))
    return situation_of(target, path, means, launch=launch)


def situation_of(target: Target, path: str, means: Means | None, *, launch: Launch | None = None) -> Situation:
    """Return the situation of a file of a target."""
    judge = judge_again(path.rpartition("/")[2], launch or Launch())
    real = target.view.resolve(path).path
    content = target.view.content(real)
    return Situation(
        target=target,
        path=real,
        file=None if is_elf(content) else identify(content),
        result=judge(target, path),
        judge=judge,
        means=means,
    )


def carry_out(root: Root, edits: Sequence[Edit], *, model: Root, here: str = "") -> None:
    """Make the edits in the directory of a root; ``model`` is the judge root whose ldconfig does the work.

    ``here`` is the directory that stands for this machine's root, where a subject from outside lies.
    """
    for edit in edits:
        if isinstance(edit, RunCommand):
            assert edit.program == "ldconfig"
            _ldconfig(root, model)
            _same_cache(root, edit)
            continue
        assert isinstance(edit, (WriteFile, LinkFile, EditText, PatchElf, PatchBytes, BringFile, SetMode, CopyFile))
        at = _place(root, edit.path, here)
        at.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(edit, WriteFile):
            at.write_bytes(edit.content)
            at.chmod(edit.mode)
        elif isinstance(edit, LinkFile):
            at.symlink_to(edit.text)
        elif isinstance(edit, EditText):
            assert at.read_bytes() == edit.before
            at.write_bytes(edit.after)
        elif isinstance(edit, PatchBytes):
            data = at.read_bytes()
            assert data[edit.offset : edit.offset + len(edit.before)] == edit.before
            assert len(edit.before) == len(edit.after)
            at.write_bytes(data[: edit.offset] + edit.after + data[edit.offset + len(edit.after) :])
        elif isinstance(edit, PatchElf):
            assert sha256(at.read_bytes()).hexdigest() == edit.before
            made = Path(edit.made).read_bytes()
            assert sha256(made).hexdigest() == edit.after
            at.write_bytes(made)  # the mode stays
        elif isinstance(edit, BringFile):
            assert sha256(Path(edit.source).read_bytes()).hexdigest() == edit.sha256
            shutil.copyfile(edit.source, at)
            at.chmod(edit.mode)
        elif isinstance(edit, CopyFile):
            data = _place(root, edit.source, here).read_bytes()
            at.write_bytes(edit.head + data[len(edit.head) :])
            at.chmod(edit.mode)
        else:
            at.chmod(edit.mode)


def _place(root: Root, path: str, here: str) -> Path:
    """Return where a path of the target lies, its links resolved inside the root as the overlay resolves them."""
    if path.startswith(f"{SUBJECT_ROOT}/"):
        return Path(here + path.removeprefix(SUBJECT_ROOT))
    view = DirectoryView(str(root.path))
    directory = os.path.dirname(path)
    real = view.real_directory(directory)
    return Path(view.host_path(real) if real is not None else str(root.path) + directory) / os.path.basename(path)


def _ldconfig(root: Root, model: Root) -> None:
    with Jail(model.path, binds={**qemu.binds_for(model), "/mended": root.path}) as jail:
        command = ["/sbin/ldconfig", "-r", "/mended"]
        emulator = Emulator.for_root(model)
        outcome = jail.run(emulator.command(command, {}) if emulator else command, timeout=120)
    assert outcome.rc == 0, outcome


def _same_cache(root: Root, edit: RunCommand) -> None:
    """Hold what the command was said to do against what it did."""
    for written in edit.effects:
        assert isinstance(written, WriteFile)
        assert written.path == "/etc/ld.so.cache"
        real = read_ld_so_cache((root.path / "etc/ld.so.cache").read_bytes())
        assert {name: set(entries) for name, entries in read_ld_so_cache(written.content).items()} == {
            name: set(entries) for name, entries in real.items()
        }
