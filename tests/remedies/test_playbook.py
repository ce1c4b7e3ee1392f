"""Ansible itself is asked about the playbook: its grammar, what it does, and that it does it once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runworthy.model.edit import CopyFile, Edit
from runworthy.model.records import replace
from runworthy.remedies.export import export
from runworthy.targets.edits import edited
from runworthy.targets.overlay import Overlay
from tests.judges.roots import requires_environment
from tests.remedies.made import read_tree, target_of, view_tree, write_tree
from tests.remedies.test_export import BASE, FILE_EDITS, KERNEL_EDITS, remedy

pytestmark = pytest.mark.judge


def play(playbook: Path, *words: str) -> str:
    python = requires_environment("ansible") / "bin/python"
    command = [str(python), "-m", "ansible.cli.playbook", "-i", "localhost,", "-c", "local", str(playbook), *words]
    interpreter = shutil.which("python3", path="/usr/bin") or "auto_silent"
    env = {**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PYTHON_INTERPRETER": interpreter}
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_grammar(tmp_path: Path) -> None:
    playbook = tmp_path / "remedy.yml"
    playbook.write_text(export(remedy(*FILE_EDITS, *KERNEL_EDITS), "ansible"))
    play(playbook, "--syntax-check")


def test_it_makes_what_the_overlay_shows_once(tmp_path: Path) -> None:
    """In a directory of its own, since Ansible knows no other root."""
    root = write_tree(tmp_path / "root", BASE)
    after = edited(target_of(root), FILE_EDITS).view
    assert isinstance(after, Overlay)
    expected = view_tree(after)

    def below(edit: Edit) -> Edit:
        places: dict[str, Any] = {"path": f"{root}{getattr(edit, 'path', '')}"}
        if isinstance(edit, CopyFile):
            places["source"] = f"{root}{edit.source}"
        moved: Edit = replace(edit, **places)
        return moved

    playbook = tmp_path / "remedy.yml"
    text = export(remedy(*map(below, FILE_EDITS)), "ansible")
    playbook.write_text(text.replace("become: true", "become: false"))
    first, second = (re.findall(r"changed=(\d+)", play(playbook))[0] for _ in range(2))
    assert read_tree(root) == expected
    assert int(first) >= len(FILE_EDITS)
    assert int(second) == 0
