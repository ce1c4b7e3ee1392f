"""The stub that gcompat puts in the place of glibc's loader on a root with musl.

The kernel starts it as a program's interpreter. It looks into /proc/self/exe for the program, and has musl's loader
run that, with its library preloaded: ``ld-musl-ARCH.so.1 --argv0 NAME --preload "LIBRARY $LD_PRELOAD" -- PROGRAM``.
Source: gcompat 1.1.0, ``loader/loader.c``. It is known by the texts that it is compiled with.
"""

from __future__ import annotations

import re

from runworthy.model.records import dataclass
from runworthy.targets.view import FileView

__all__ = ["Stub", "read_stub"]

_LIMIT = 1 << 20
_MARK = b"This is the gcompat ELF interpreter stub."
_OPTIONS = (b"\0--argv0\0", b"\0--preload\0")
_LIBRARY = re.compile(rb"\0(/[!-~]{1,4000})(?= \0)")
_LINKER = re.compile(rb"\0(/[!-~]{1,4000}/ld-musl-[0-9a-z_-]{1,40}\.so\.1)(?=\0)")
_NAME = re.compile(rb"\0(ld(?:64)?(?:-linux[0-9a-z_-]{0,40})?\.so\.[0-9])(?=\0)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """What a stub starts. ``linker`` is the path of musl's loader, ``library`` what that preloads.

    ``name`` is what the loader is told that it is called: a library of that name is itself.
    """

    linker: str
    library: str
    name: str


def read_stub(view: FileView, real: str) -> Stub | None:
    """Return what the file at a real path starts, None where it is no stub of gcompat's. Raises OSError."""
    content = view.content(real)
    if content.size > _LIMIT:
        return None
    data = content.pread(0, content.size)
    if _MARK not in data or not all(option in data for option in _OPTIONS):
        return None
    found = [set(pattern.findall(data)) for pattern in (_LINKER, _LIBRARY, _NAME)]
    if any(len(texts) != 1 for texts in found):
        return None  # one that was built in another way
    linker, library, name = (texts.pop().decode("ascii") for texts in found)
    return Stub(linker=linker, library=library, name=name)
