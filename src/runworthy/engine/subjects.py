"""Subjects: the files that are given, and what is read of each before any target is asked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runworthy.formats.content import release
from runworthy.formats.elf import is_elf, read_header
from runworthy.model.arch import Architecture, architecture_of_elf
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError
from runworthy.model.program import FileFacts
from runworthy.model.records import dataclass
from runworthy.targets.directory import DirectoryView
from runworthy.targets.placement import Source, locate

if TYPE_CHECKING:
    from runworthy.engine.containers import Holder
    from runworthy.model.storage import Environment

__all__ = ["INSTALLED", "MARK", "Subject", "missing_subjects", "read_subject"]

MARK = "!"
"""What stands between an archive and its member, as in ``dist/app.whl!pkg/_core.so``."""

INSTALLED: frozenset[ContainerKind] = frozenset(("deb", "apk", "rpm"))
"""What lays its files into the root itself, when a system's package manager installs it."""


@dataclass(slots=True)
class Subject:
    """A file as given, of which the beginning was read. ``problem`` says why it cannot be judged.

    ``file`` is what it is where it is no ELF file; then it has no ``arch`` of its own. ``holder`` is the archive that
    it lies in, or that it is itself (``whole``). So is an ``environment``: of its files each is a subject of its own.
    """

    name: str
    source: Source | None = None
    arch: Architecture | None = None
    problem: FormatError | None = None
    foreign: bool = False
    file: FileFacts | None = None
    holder: Holder | None = None
    whole: bool = False
    environment: Environment | None = None


def read_subject(name: str, machine: DirectoryView, source: Source | None = None) -> Subject:
    """Return the subject at ``name``, which is a path of this machine, or at ``source``."""
    try:
        source = source or locate(name, machine)
        if source.kind != "file":
            return Subject(name, problem=FormatError("is no regular file"), foreign=True)
        content = source.view.content(source.real)
        try:
            if not is_elf(content):
                from runworthy.formats.identify import identify

                return Subject(name, source, file=identify(content))
            head = read_header(content)
        except FormatError as error:
            return Subject(name, problem=error.at(source.real))
        finally:
            release(content)
        return Subject(name, source, architecture_of_elf(head.machine, head.elf_class, head.endian, head.flags))
    except OSError as error:
        return Subject(name, problem=FormatError(error.strerror or "cannot be read"))


def missing_subjects(names: Iterable[str]) -> list[str]:
    """Return the names at which nothing lies. What is named in an archive is looked for when that is opened."""
    return [name for name in names if not os.path.lexists(name) and not _names_member(name)]


def _names_member(name: str) -> bool:
    if MARK not in name:
        return False
    from runworthy.engine.containers import split_member

    return split_member(name) is not None
