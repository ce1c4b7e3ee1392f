"""Snapshots in memory, and everything that a root answers, to be compared."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from pathlib import Path

from runworthy.formats.content import BytesContent
from runworthy.formats.elf.record import encode
from runworthy.model.arch import architecture
from runworthy.model.errors import FormatError
from runworthy.model.host import MachineFacts
from runworthy.model.machine import baseline
from runworthy.simulate.glibc.accept import Accepted, Unjudged, accept
from runworthy.simulate.launch import Launch
from runworthy.simulate.musl.load import Itself, Loader
from runworthy.targets.snapshot.capture import Source, capture
from runworthy.targets.snapshot.tree import TreeView
from runworthy.targets.snapshot.view import SnapshotView
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, Resolved

__all__ = ["NAME", "answers", "captured", "snapshot", "walk"]

NAME = "made.runworthy"
_LOADERS = ("x86_64", "i386", "s390x")


def snapshot(
    view: FileView, machine: MachineFacts | None = None, *, source: Source = "directory", exclude: Collection[str] = ()
) -> bytes:
    """Return the bytes of a root's snapshot."""
    out = io.BytesIO()
    told = capture(view, machine, out, source=source, exclude=exclude)
    assert told.size == len(out.getvalue())
    return out.getvalue()


def captured(root: Path | FileView, *, exclude: Collection[str] = ()) -> SnapshotView:
    """Return the snapshot of a root as a root."""
    view = TreeView(str(root)) if isinstance(root, Path) else root
    return SnapshotView(BytesContent(snapshot(view, exclude=exclude)), NAME)


def walk(view: FileView, top: str = "/") -> Iterator[str]:
    """Yield every path of a root. Raises OSError."""
    for name in view.readdir(top):
        path = f"{top.rstrip('/')}/{name}"
        yield path
        if view.lstat(path).entry.kind == "dir":
            yield from walk(view, path)


def answers(view: FileView, paths: Collection[str]) -> dict[tuple[str, str], object]:
    """Return what a root answers to every question about each of the paths. The identities count as groups."""
    told: dict[tuple[str, str], object] = {}
    first: dict[object, str] = {}
    for path in paths:
        for question, ask in _QUESTIONS.items():
            told[path, question] = _told(ask, view, path)
        found = view.find(path)
        if isinstance(found, Resolved) and found.entry.kind == "file":
            told[path, "same file as"] = first.setdefault(view.identity(found), found.path)
    return told


def _told(ask: Callable[[FileView, str], object], view: FileView, path: str) -> object:
    try:
        return ask(view, path)
    except FormatError as error:
        return "refused", error.message, error.offset
    except OSError as error:
        return "fails", error.errno


def _elf(view: FileView, path: str) -> object:
    return encode(view.elf(view.resolve(path).path))


def _entry(found: Resolved) -> object:
    return found.path, found.entry


def _glibc(view: FileView, path: str) -> object:
    """Return what a glibc of each of several architectures makes of a file."""
    return [_accepted(view, path, name) for name in _LOADERS]


def _accepted(view: FileView, path: str, name: str) -> object:
    arch = architecture(name)
    assert arch is not None
    outcome = accept(view, view.resolve(path), baseline(arch), arch, (2, 31))
    if isinstance(outcome, Accepted):
        return asdict(outcome.elf.facts)
    return str(outcome.error) if isinstance(outcome, Unjudged) else outcome


def _musl(view: FileView, path: str) -> object:
    return [_refused(view, path, name) for name in _LOADERS]


def _refused(view: FileView, path: str, name: str) -> object:
    arch = architecture(name)
    assert arch is not None
    target = Target(name=NAME, view=view, machine=baseline(arch))
    loader = Loader(target, arch, Launch(), Itself(path="/ld", name="/ld", version=(1, 2, 2)))
    elf = loader._accept(view.resolve(path))  # noqa: SLF001 - what becomes of the file, without a search for it
    return elf and (asdict(elf.facts), elf.imports(), sorted(elf.exports().default), elf.relocations())


_QUESTIONS: dict[str, Callable[[FileView, str], object]] = {
    "find": lambda view, path: _entry(view.resolve(path)),
    "lstat": lambda view, path: _entry(view.lstat(path)),
    "readdir": lambda view, path: view.readdir(path),
    "elf": _elf,
    "glibc": _glibc,
    "musl": _musl,
}
