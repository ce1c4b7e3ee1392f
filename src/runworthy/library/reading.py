"""What can be read without judging: a file, a system, the rules and the catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from runworthy.library.asking import Path
from runworthy.model.errors import FormatError

if TYPE_CHECKING:
    from runworthy.formats.content import Content
    from runworthy.model.elf import ElfFile
    from runworthy.model.program import FileFacts
    from runworthy.report.page import Explanation
    from runworthy.targets.catalogue import Summary
    from runworthy.targets.placement import Source
    from runworthy.targets.snapshot.capture import Captured

__all__ = ["explain", "inspect", "list_rules", "list_targets", "snapshot"]


def inspect(path: Path) -> ElfFile | FileFacts:
    """Read what the bytes of a file say, without any target, as ``runworthy inspect`` does.

    >>> import runworthy
    >>> runworthy.inspect("app").facts.needed
    ('libc.so.6',)
    >>> runworthy.inspect("notes.txt").type
    'text'

    An ELF file is given as one. Its symbols and relocations are read here already, so that a damaged file is known at
    once. Of every other file the facts say what it is (a script, an APE, a program of another system, an archive with
    its members, text) and, as its ``problem``, what is damaged. A member is named as ``app.whl!_core.so``. Raises
    FormatError for an ELF file that is damaged, with the offset of what is wrong, and OSError for a file that cannot be
    read.
    """
    from runworthy.targets.directory import DirectoryView
    from runworthy.targets.placement import locate

    name = os.fspath(path)
    try:
        if (place := _member_place(name)) is not None:
            from runworthy.formats.archive.facts import member_in

            return _inspect_content(member_in(_content(locate(place[0], DirectoryView("/"))), *place), name)
        source = locate(name, DirectoryView("/"))
        content = _content(source)
        if content.pread(0, 4) != b"\x7fELF":
            return _inspect_content(content, name)
        elf = source.view.elf(source.real)
        elf.imports(), elf.exports(), elf.relocations(), elf.build()
    except FormatError as error:
        raise FormatError(error.message, path=name, offset=error.offset) from error
    return elf


def _member_place(name: str) -> tuple[str, str] | None:
    """Return the archive and the member that a name means, None where it means a file."""
    if "!" not in name or os.path.lexists(name):
        return None
    from runworthy.engine.containers import split_member

    return split_member(name)


def _content(source: Source) -> Content:
    """Return what is in a file. Raises FormatError for what is none, OSError."""
    if source.view.lstat(source.real).entry.kind == "other":
        raise FormatError("it is a pipe, a socket or a device, and no regular file", path=source.real)
    return source.view.content(source.real)


def _inspect_content(content: Content, name: str) -> ElfFile | FileFacts:
    """Return the facts of bytes: those of an archive with its members. Raises FormatError, OSError."""
    if content.pread(0, 4) == b"\x7fELF":
        from runworthy.formats.elf import read_elf

        elf = read_elf(content)
        elf.imports(), elf.exports(), elf.relocations(), elf.build()
        return elf
    facts = _inspect_other(content)
    from runworthy.formats.archive.facts import archive_facts
    from runworthy.model.records import replace

    archive = archive_facts(name, content)
    return (
        facts
        if archive is None
        else replace(facts, archive=archive, problem=facts.problem or archive.container.problem)
    )


def _inspect_other(content: Content) -> FileFacts:
    """Return the facts of a file that is no ELF file, with those of what it has embedded. Raises OSError."""
    from runworthy.formats.identify import identify

    facts = identify(content)
    if facts.ape is None:
        return facts
    from runworthy.formats.ape import with_unpacked
    from runworthy.model.records import replace

    return replace(facts, ape=with_unpacked(content, facts.ape))


def snapshot(source: Path | BinaryIO, output: Path | BinaryIO, *, exclude: Iterable[str] = ()) -> Captured:
    """Capture this machine (``host``) or the root in a directory into one file, as ``runworthy snapshot`` does.

    An open binary file is read as that command reads standard input: a tar stream, or what the collector wrote.

    >>> import runworthy
    >>> captured = runworthy.snapshot("rootfs", "rootfs.runworthy")
    >>> runworthy.check("app", on="rootfs.runworthy").results[0].verdict
    'fails'

    ``output`` is a path, at which there is a file only when all of it was written, or an open binary file. ``exclude``
    are directories of the root. Raises TargetError when the source is no root, and UsageError.
    """
    from runworthy.targets.snapshot.make import snapshot_directory, snapshot_host, write_file

    if not isinstance(source, (str, os.PathLike)):
        from runworthy.targets.stream.making import snapshot_stream

        make = snapshot_stream(source.read, tuple(exclude), None, None)
    elif os.fspath(source) == "host":
        make = snapshot_host(tuple(exclude), None)
    else:
        directory = os.path.expanduser(os.fspath(source).removeprefix("rootfs:"))
        make = snapshot_directory(directory, tuple(exclude), None)
    return write_file(os.fspath(output), make) if isinstance(output, (str, os.PathLike)) else make(output)


def explain(code: str) -> Explanation:
    """Tell what a finding means, why it happens and what helps, as ``runworthy explain`` does.

    >>> import runworthy
    >>> runworthy.explain("RW301").name
    'version-too-new'

    ``code`` may be the name too. Raises UsageError for one that no rule has.
    """
    from runworthy.report.page import explanation

    return explanation(code)


def list_rules() -> tuple[Explanation, ...]:
    """Return what there is to explain, by code, as ``runworthy explain`` lists it.

    >>> import runworthy
    >>> {rule.severity for rule in runworthy.list_rules()} == {"error", "warning", "note"}
    True
    """
    from runworthy.report.page import explanations

    return explanations()


def list_targets(*words: str) -> tuple[Summary, ...]:
    """Return the targets of the catalogue that have all of the words, as ``runworthy targets`` does.

    >>> import runworthy
    >>> [f"{target.name}/{target.arch.name}" for target in runworthy.list_targets("glibc:2.28", "arm64")]
    ['glibc:2.28/aarch64']
    """
    from runworthy.report.target import matching

    return tuple(matching(words))
