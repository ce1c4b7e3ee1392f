"""Every ELF file of this machine, of a newer distribution, and of real wheels and npm packages, on every judge root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.formats.content import FileContent
from runworthy.formats.elf import is_elf, read_elf
from runworthy.model.errors import FormatError
from tests.differential.model import Model, Said, judged
from tests.judges import panel, roots
from tests.judges.answer import Answer
from tests.judges.roots import Root

_AT = "/mnt/subject"
_GLIBC = ("bullseye-amd64", "bookworm-amd64", "trixie-amd64")
_MUSL = ("musl-1.2.2-x86_64", "musl-1.2.3-x86_64", "musl-1.2.5-x86_64")
_ARM = ("bullseye-arm64", "trixie-arm64", "musl-1.2.5-aarch64")

# (judge root, where the subjects lie): a path of this machine, "root:NAME" or "corpus".
_PAIRS = [
    *((name, tree) for name in (*_GLIBC, *_MUSL) for tree in ("/usr/bin", "/usr/sbin", "/usr/lib")),
    *((name, "root:trixie-amd64") for name in (*_GLIBC, "musl-1.2.5-x86_64")),
    *((name, "corpus") for name in (*_GLIBC, *_MUSL, *_ARM)),
    ("trixie-i386", "root:trixie-i386"),
    ("musl-1.2.5-i386", "root:trixie-i386"),
    ("trixie-arm64", "root:trixie-arm64"),
    ("bullseye-arm64", "root:trixie-arm64"),
]

# A trace that has lost every version dies (tests/judges/README.md); so few files do that it hides nothing.
_DEAD_AT_MOST = 0.01


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


def _differences(model: Model, path: str, answer: Answer) -> dict[str, object]:
    said = model.say(path)
    heard = judged(model, answer, said)
    if answer.fatal:
        return {} if said.fatal else {"fatal": (said.fatal, answer.fatal)}
    return {
        key: (getattr(said, key), getattr(heard, key)) for key in _COMPARED if getattr(said, key) != getattr(heard, key)
    }


_COMPARED = tuple(key for key in Said.__dataclass_fields__ if key != "fatal")


@pytest.mark.judge
@pytest.mark.parametrize(("name", "tree"), _PAIRS)
def test_every_file_of_a_tree(name: str, tree: str) -> None:
    """Missing libraries, versions and symbols, bad relocations and chosen paths: the same sets, file by file."""
    root = roots.requires(name)
    where = _tree(tree)
    subjects = {_AT + path[len(str(where)) :] for path in _subjects(where, root)}
    assert subjects, "nothing to compare"
    binds = {_AT: where}
    model = Model(root, binds=binds)
    dead = 0
    wrong: dict[str, object] = {}
    for path, answer in panel.ask_many(root, sorted(subjects), binds=binds):
        assert not answer.unparsed or root.libc == "musl", (path, answer.unparsed)
        if answer.died:
            dead += 1
        elif found := _differences(model, path, answer):
            wrong[path] = found
    assert not wrong, f"{len(wrong)} of {len(subjects)}: {dict(list(wrong.items())[:3])}"
    assert dead <= max(3, _DEAD_AT_MOST * len(subjects))
