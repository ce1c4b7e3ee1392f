"""Making snapshots of this machine and of directories on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import BinaryIO

from runworthy.model.errors import TargetError, UsageError
from runworthy.targets.host import root_target
from runworthy.targets.machine_facts import read_machine
from runworthy.targets.mounts import pseudo_mounts
from runworthy.targets.snapshot.capture import Captured, capture
from runworthy.targets.snapshot.origin import origin_of
from runworthy.targets.snapshot.tree import TreeView
from runworthy.targets.view import FileView

__all__ = ["Maker", "Progress", "inside", "snapshot_directory", "snapshot_host", "write_file"]

Progress = Callable[[int, str], None]
Maker = Callable[[BinaryIO], Captured]

_LIVE = ("/dev", "/proc", "/run", "/sys")
"""Directories of a running machine in which there is what runs, not what is installed."""


def snapshot_host(exclude: Collection[str], progress: Progress | None) -> Maker:
    """Return what writes a snapshot of this machine. Raises UsageError, TargetError."""
    if platform.system() != "Linux":
        raise TargetError("a snapshot of `host` needs Linux", hint="name the directory of a root")
    view = TreeView("/")
    left_out = {*_LIVE, *pseudo_mounts("/"), *inside(view, exclude)}
    origin = origin_of("/")
    return lambda out: capture(
        view, read_machine(), out, source="host", origin=origin, exclude=left_out, progress=progress
    )


def snapshot_directory(directory: str, exclude: Collection[str], progress: Progress | None) -> Maker:
    """Return what writes a snapshot of the root in a directory. Raises UsageError; TargetError when it is no root."""
    if not os.path.isdir(directory):
        raise TargetError(f"{directory} is not a directory", hint="name `host`, or the directory that holds a root")
    view = TreeView(directory)
    root_target(view, directory, directory, None, None)
    top = os.path.realpath(directory).rstrip("/")
    mounted = {point[len(top) :] for point in pseudo_mounts(top)}
    left_out = {*mounted, *inside(view, exclude)}
    origin = origin_of(top or "/")
    return lambda out: capture(view, None, out, source="directory", origin=origin, exclude=left_out, progress=progress)


def inside(view: FileView, exclude: Collection[str]) -> set[str]:
    """Return the real directories of a root that are to be left out."""
    found = set()
    for path in exclude:
        real = view.real_directory(path if path == "/" else path.rstrip("/"))
        if real is None:
            raise UsageError(
                f"--exclude {path} is no directory of the root", hint="write its path inside the root, as in /srv/data"
            )
        if real == "/":
            raise UsageError("--exclude / leaves nothing", hint="name directories that no program needs")
        found.add(real)
    return found


def write_file(path: str, make: Maker) -> Captured:
    """Have a snapshot written to the file ``path``, which is there only when all of it is. Raises UsageError."""
    directory, name = os.path.split(path)
    beside = os.path.join(directory, f".{name}.{os.getpid()}.part")
    try:
        with open(beside, "xb") as out:
            try:
                made = make(out)
                out.flush()
                os.fsync(out.fileno())
                os.replace(beside, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(beside)
                raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}", hint="name another file with -o") from error
    return made
