"""Roots, handlers and situations for the tests of remedies."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from runworthy.engine.again import judge_again
from runworthy.formats.elf import is_elf
from runworthy.formats.identify import identify
from runworthy.model.arch import architecture
from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.machine import baseline
from runworthy.remedies.situation import Situation
from runworthy.simulate.launch import Launch
from runworthy.targets.directory import DirectoryView
from runworthy.targets.edits import after_boot
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target

__all__ = ["WINE", "Tree", "handlers", "read_tree", "situation", "target_of", "view_tree", "write_tree"]

Tree = Mapping[str, tuple[str, int, bytes]]
"""Path -> kind, mode and bytes (the text of a link)."""

WINE = Handler(name="DOSWin", interpreter="/usr/bin/wine", magic=b"MZ", origin="/usr/lib/binfmt.d/wine.conf")


def handlers(*entries: Handler) -> Handlers:
    return Handlers(entries=entries, stated=True, basis="the test")


def write_tree(root: Path, files: Mapping[str, bytes | str], *, mode: int = 0o755) -> Path:
    """Write files, and links where a text is given, below a directory."""
    for name, held in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(held, str):
            path.symlink_to(held)
        else:
            path.write_bytes(held)
            path.chmod(mode)
    return root


def read_tree(root: Path) -> Tree:
    """Return everything below a directory, itself left out."""
    found: dict[str, tuple[str, int, bytes]] = {}
    for above, directories, files in os.walk(os.fsencode(root)):
        for name in (*directories, *files):
            path = os.path.join(above, name)
            status = os.lstat(path)
            key = "/" + os.fsdecode(os.path.relpath(path, os.fsencode(root)))
            if stat.S_ISLNK(status.st_mode):
                found[key] = ("link", 0o777, os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                found[key] = ("dir", 0o755, b"")
            else:
                found[key] = ("file", stat.S_IMODE(status.st_mode), Path(os.fsdecode(path)).read_bytes())
    return found


def view_tree(overlay: Overlay) -> Tree:
    """Return everything that an overlay shows."""
    found: dict[str, tuple[str, int, bytes]] = {}
    pending = ["/"]
    while pending:
        directory = pending.pop()
        for name in overlay.names(directory):
            path = f"{directory.rstrip('/')}/{name}"
            entry = overlay.entry(directory, name)
            assert entry is not None
            if entry.kind == "dir":
                pending.append(path)
                found[path] = ("dir", 0o755, b"")
            elif entry.kind == "link":
                found[path] = ("link", 0o777, os.fsencode(entry.target))
            else:
                content = overlay.content(path)
                found[path] = ("file", overlay.mode(path), content.pread(0, content.size))
    return found


def situation(
    target: Target, path: str, *, loader: str = "", env: Mapping[str, str] | None = None, at_boot: bool = False
) -> Situation:
    """Return the situation of a file of a target that is judged by the product itself."""
    judge = judge_again(path.rpartition("/")[2], Launch(env=env or {}))
    content = target.view.content(target.view.resolve(path).path)
    file = None if is_elf(content) else identify(content)
    return Situation(
        target=target,
        path=path,
        file=file,
        result=judge(target, path),
        judge=judge,
        boot=after_boot,
        loader=loader,
        at_boot=at_boot,
    )


def target_of(root: Path, held: Handlers | None = None, arch: str = "x86_64") -> Target:
    known = architecture(arch)
    assert known is not None
    return Target(
        name="host", view=Overlay(DirectoryView(str(root))), machine=baseline(known), handlers=held or Handlers()
    )
