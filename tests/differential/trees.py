"""Whole trees of files, the model against a judge, file by file.

``python -m tests.differential`` prints how many were compared, on which judges.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runworthy.formats.content import FileContent
from runworthy.formats.elf import is_elf, read_elf
from runworthy.model.errors import FormatError
from tests.differential.model import Model, Said, judged
from tests.judges import panel, roots
from tests.judges.answer import Answer
from tests.judges.roots import Root

__all__ = ["PAIRS", "Comparison", "compare", "differences"]

_AT = "/mnt/subject"
_GLIBC = ("bullseye-amd64", "bookworm-amd64", "trixie-amd64")
_MUSL = ("musl-1.2.2-x86_64", "musl-1.2.3-x86_64", "musl-1.2.5-x86_64")
_ARM = ("bullseye-arm64", "trixie-arm64", "musl-1.2.5-aarch64")

# (judge root, where the subjects lie): a path of this machine, "root:NAME" or "corpus".
PAIRS = [
    *((name, tree) for name in (*_GLIBC, *_MUSL) for tree in ("/usr/bin", "/usr/sbin", "/usr/lib")),
    *((name, "root:trixie-amd64") for name in (*_GLIBC, "musl-1.2.5-x86_64")),
    *((name, "corpus") for name in (*_GLIBC, *_MUSL, *_ARM)),
    ("trixie-i386", "root:trixie-i386"),
    ("musl-1.2.5-i386", "root:trixie-i386"),
    ("trixie-arm64", "root:trixie-arm64"),
    ("bullseye-arm64", "root:trixie-arm64"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of one tree on one judge. ``dead`` counts traces that died, so that there was nothing to compare."""

    subjects: int
    dead: int
    wrong: dict[str, object]


def compare(name: str, tree: str) -> Comparison:
    """Ask the judge root ``name`` and the model about every file of a tree. Skips where one of them is absent."""
    root = roots.requires(name)
    where = _tree(tree)
    subjects = {_AT + path[len(str(where)) :] for path in _subjects(where, root)}
    binds = {_AT: where}
    model = Model(root, binds=binds)
    dead = 0
    wrong: dict[str, object] = {}
    for path, answer in panel.ask_many(root, sorted(subjects), binds=binds):
        if answer.unparsed and root.libc == "glibc":
            wrong[path] = answer.unparsed
        elif answer.died:
            dead += 1
        elif found := differences(model, model.say(path), answer):
            wrong[path] = found
    return Comparison(subjects=len(subjects), dead=dead, wrong=wrong)


def _tree(name: str) -> Path:
    if name == "corpus":
        return roots.requires_corpus("numpy-manylinux-x86_64").parent
    return roots.requires(name[5:]).path / "usr" if name.startswith("root:") else Path(name)


def _subjects(tree: Path, root: Root) -> Iterator[str]:
    """Yield the dynamic ELF files below ``tree`` that are made for the root's architecture."""
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            try:
                content = FileContent(path, os.path.getsize(path))
                facts = read_elf(content).facts if is_elf(content) else None
            except (FormatError, OSError):
                continue
            if facts and facts.dynamic and facts.architecture and facts.architecture.name == root.arch:
                yield path


def differences(model: Model, said: Said, answer: Answer) -> dict[str, object]:
    """Return what differs between what the model says and what a judge answered, empty when nothing does."""
    heard = judged(model, answer, said)
    if answer.fatal:
        return {} if said.fatal else {"fatal": (said.fatal, answer.fatal)}
    return {
        key: (getattr(said, key), getattr(heard, key)) for key in _COMPARED if getattr(said, key) != getattr(heard, key)
    }


_COMPARED = tuple(key for key in Said.__dataclass_fields__ if key != "fatal")
