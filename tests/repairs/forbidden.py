"""What no remedy may ever propose, unless somebody asks for it by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from runworthy.model.edit import (
    BringFile,
    BringLibrary,
    CopyFile,
    DisableHandler,
    Edit,
    EditText,
    InstallPackages,
    LinkFile,
    PatchBytes,
    PatchElf,
    RemoveFile,
    RemovePackages,
    RunCommand,
    SwitchHandlers,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
    actions,
)

__all__ = ["forbidden"]

_OF_LIBC = re.compile(
    r"(?:ld-linux[\w.-]*\.so\.\d+|ld-musl-\w+\.so\.1|ld64?\.so\.[12]|ld-\d+\.\d+\.so|libc\.so\.6|libc-\d+\.\d+\.so"
    r"|libc\.musl-\w+\.so\.1|libc\.so|lib(?:m|pthread|dl|rt|util|resolv|anl|mvec)\.so\.\d+)"
)
_PACKAGES = re.compile(r"libc6|libc-bin|musl|glibc|glibc-common")  # one of another architecture replaces none
_PROGRAMS = ("ldconfig", "dpkg", "apt-get", "update-binfmts")
_GLIBC = re.compile(rb"GNU C Library|\0GLIBC_PRIVATE\0")
_WRITES = (WriteFile, WriteLoader, CopyFile, BringFile, EditText, LinkFile, PatchBytes, PatchElf, RemoveFile)


def forbidden(edits: Sequence[Edit], root: Path, *, musl: bool) -> Iterator[str]:
    """Yield in words what edits do to a root in a directory that nobody may propose."""
    for edit in edits:
        if isinstance(edit, SwitchHandlers) and not edit.on:
            yield "binfmt_misc is switched off as a whole"
        if isinstance(edit, (InstallPackages, RemovePackages)):
            came = (*edit.names, *edit.with_them) if isinstance(edit, InstallPackages) else edit.names
            yield from (f"the C library's package: {edit.words}" for name in came if _PACKAGES.fullmatch(name))
        if isinstance(edit, RunCommand) and edit.program not in _PROGRAMS:
            yield f"a program that nobody expects: {edit.words}"
    for edit in actions(tuple(edits)):
        yield from _of_a_file(edit, root, musl=musl)


def _of_a_file(edit: Edit, root: Path, *, musl: bool) -> Iterator[str]:
    if isinstance(edit, (DisableHandler, UnregisterHandler)) and edit.name in ("status", "register", "all"):
        yield "binfmt_misc is switched off as a whole"
    if isinstance(edit, BringLibrary) and (_OF_LIBC.fullmatch(edit.library) or _is_libc(root, edit.path)):
        yield f"the C library is replaced: {edit.words}"
    if not isinstance(edit, _WRITES):
        return
    if _is_libc(root, edit.path):
        yield f"the C library is changed in place: {edit.words}"
    if musl and _GLIBC.search(_bytes(edit, root)):
        yield f"glibc is copied into a root of musl: {edit.words}"


def _is_libc(root: Path, path: str) -> bool:
    """Whether a file of the root is there that is the C library or its loader, by its name or by what it leads to."""
    there = root / path.lstrip("/")
    if not os.path.lexists(there) or path.startswith("/subject/"):
        return False
    return any(_OF_LIBC.fullmatch(name) for name in (there.name, Path(os.path.realpath(there)).name))


def _bytes(edit: Edit, root: Path) -> bytes:
    if isinstance(edit, (WriteFile, WriteLoader)):
        return edit.content
    source = edit.source if isinstance(edit, BringFile) else ""
    source = source or (str(root / edit.source.lstrip("/")) if isinstance(edit, CopyFile) else "")
    return Path(source).read_bytes() if source and os.path.isfile(source) else b""
