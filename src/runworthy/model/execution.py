"""What execve(2) makes of a file: each program that is put in the place of another, and what is loaded at last."""

from __future__ import annotations

from runworthy.model.binfmt import Handler
from runworthy.model.records import dataclass
from runworthy.model.trace import Why

__all__ = ["Execution", "Rewrite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """One interpreter in the place of a file (``fs/exec.c``, exec_binprm).

    ``path`` is the file as it was named, ``real`` where it lies. ``handler`` is the one of binfmt_misc that took it,
    None where its ``#!`` line did. ``interpreter`` is as named there, ``opened`` its real path, empty where it cannot
    be opened or where the kernel holds it open since the registration (F). ``argv`` is what the interpreter gets.
    """

    path: str
    real: str
    interpreter: str
    argv: tuple[str, ...]
    handler: Handler | None = None
    opened: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What becomes of one execve.

    ``errno`` is its name (``ENOEXEC``), empty where an image is loaded; ``refused`` is the path at which it fell,
    ``detail`` says why. ``image`` is the real path of the ELF file that is loaded at last, with ``argv``; it is empty
    where an interpreter is loaded that is held open since its registration (F) and that the root does not have.
    ``loader`` is the real path of the program interpreter that the image names. ``dies`` names the signal that ends the
    process after the point of no return. ``why`` says that it cannot be told, and ``detail`` what is not known.
    """

    rewrites: tuple[Rewrite, ...] = ()
    errno: str = ""
    refused: str = ""
    detail: str = ""
    image: str = ""
    loader: str = ""
    argv: tuple[str, ...] = ()
    dies: str = ""
    why: Why | None = None
