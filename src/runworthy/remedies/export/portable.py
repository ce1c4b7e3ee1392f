"""Which remedies can be carried to other machines."""

from __future__ import annotations

from runworthy.model.edit import (
    BringFile,
    BringLibrary,
    PatchBytes,
    PatchElf,
    PortableEdit,
    ShareFile,
    UnpackPackage,
)
from runworthy.model.errors import UsageError
from runworthy.model.finding import Remedy

__all__ = ["portable"]


def portable(remedy: Remedy) -> tuple[PortableEdit, ...]:
    """Return the edits of a remedy. Raises UsageError where one of them needs files of this machine."""
    found: list[PortableEdit] = []
    for edit in remedy.edits:
        if isinstance(edit, (BringFile, BringLibrary, PatchBytes, PatchElf, ShareFile, UnpackPackage)):
            hint = "`runworthy fix` makes it"
            raise UsageError(f"it needs files of this machine: {edit.words}", hint=hint, option="--export")
        found.append(edit)
    return tuple(found)
