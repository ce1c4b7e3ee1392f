"""Edits carried out for real on a root in a directory, by the plainest means: what the applier has to come to."""

from __future__ import annotations

import os
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
    RemoveDirectory,
    RemoveFile,
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
            if not edit.changes.startswith("undoes"):
                _same_cache(root, edit)
            continue
        path = getattr(edit, "path", "")
        assert path, edit
        at = _place(root, path, here)
        if isinstance(edit, (RemoveFile, RemoveDirectory)):
            _remove(at)
            continue
        at.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(edit, LinkFile):
            at.symlink_to(edit.text)
        elif isinstance(edit, SetMode):
            at.chmod(edit.mode)
        else:
            at.write_bytes(_bytes(root, edit, at, here))  # the mode stays where none is told
            if isinstance(edit, (WriteFile, BringFile, CopyFile)):
                at.chmod(edit.mode)


def _bytes(root: Root, edit: Edit, at: Path, here: str) -> bytes:
    """Return what an edit makes of a file, which is to be the one that it was planned for."""
    if isinstance(edit, WriteFile):
        return edit.content
    if isinstance(edit, BringFile):
        brought = Path(edit.source).read_bytes()
        assert sha256(brought).hexdigest() == edit.sha256
        return brought
    if isinstance(edit, CopyFile):
        return edit.head + _place(root, edit.source, here).read_bytes()[len(edit.head) :]
    data = at.read_bytes()
    if isinstance(edit, PatchElf):
        assert sha256(data).hexdigest() == edit.before
        made = Path(edit.made).read_bytes()
        assert sha256(made).hexdigest() == edit.after
        return made
    if isinstance(edit, PatchBytes):
        assert data[edit.offset : edit.offset + len(edit.before)] == edit.before
        assert len(edit.before) == len(edit.after)
        return data[: edit.offset] + edit.after + data[edit.offset + len(edit.after) :]
    assert isinstance(edit, EditText), edit
    assert data == edit.before
    return edit.after


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink()
    elif not any(path.iterdir()):
        path.rmdir()


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
    for made in edit.effects:
        if isinstance(made, LinkFile):
            assert os.readlink(_place(root, made.path, "")) == made.text
            continue
        assert isinstance(made, WriteFile)
        assert made.path == "/etc/ld.so.cache"
        real = read_ld_so_cache((root.path / "etc/ld.so.cache").read_bytes())
        assert {name: set(entries) for name, entries in read_ld_so_cache(made.content).items()} == {
            name: set(entries) for name, entries in real.items()
        }
