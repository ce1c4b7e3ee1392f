"""What the interpreter of a binfmt_misc handler makes of the file that it is given: told by its name.

No kernel knows it. The names are those under which distributions install these programs and register them. The APE
loader is told by its bytes as well: many a file is called ``ape``, and what it is registered for says nothing of it.
"""

from __future__ import annotations

import posixpath
from typing import Literal

from runworthy.model.arch import Architecture, architecture
from runworthy.model.binfmt import Handler
from runworthy.model.errors import FormatError
from runworthy.model.program import FileType
from runworthy.model.records import dataclass, replace
from runworthy.targets.view import FileView, UnseenError

__all__ = ["Purpose", "PurposeKind", "Use", "purpose_in", "purpose_of", "taken_by", "which_loader"]

PurposeKind = Literal["ape-loader", "emulator", "wine", "mono", "wsl", "java", "python", "chooser", "unknown"]
Use = Literal["", "foreign", "emulated", "unknown"]
"""As :data:`~runworthy.model.trace.Taken`; ``unknown``: whoever is given the file may be made for it, or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What an interpreter is for. ``arch`` is what an emulator emulates; ``words`` names it in a message.

    ``qemu``: the emulator is QEMU, of which it is known what it does and says. ``claims``: it is registered or named as
    the APE loader, and is no such program. Not ``sure``: its name and its headers say so, its bytes are not known.
    """

    kind: PurposeKind
    words: str
    arch: Architecture | None = None
    qemu: bool = False
    claims: bool = False
    sure: bool = True


_WORDS: dict[PurposeKind, str] = {
    "ape-loader": "the APE loader",
    "wine": "Wine",
    "mono": "Mono",
    "wsl": "Windows, through WSL",
    "java": "Java",
    "python": "Python",
    "chooser": "binfmt-support's run-detectors",
}
# What file names begin with, up to their end or to something that is no letter: wine64, python3.11, ape.aarch64.
_NAMES: tuple[tuple[str, PurposeKind], ...] = (
    ("ape", "ape-loader"),
    (".ape", "ape-loader"),
    ("wine", "wine"),
    ("proton", "wine"),
    ("mono", "mono"),
    ("cli", "mono"),
    ("jexec", "java"),
    ("jarwrapper", "java"),
    ("jar", "java"),
    ("java", "java"),
    ("python", "python"),
    ("run-detectors", "chooser"),
)
_EMULATORS = {
    "box64": "x86_64",
    "box86": "i386",
    "blink": "x86_64",
    "rosetta": "x86_64",
    "fexinterpreter": "x86_64",
}
# QEMU's names of architectures that ours have no spelling for.
_QEMU = {"armeb": None, "ppc": None, "mips": None, "mips64": None, "mipsn32": None, "sparc": None, "m68k": None}
_SUFFIXES = ("-static", "-binfmt-P", "-binfmt", ".elf", ".exe")
# Debian's name of QEMU in registrations: /usr/libexec/qemu-binfmt/aarch64-binfmt-P, a link to qemu-aarch64-static.
_QEMU_SUFFIXES = ("-binfmt-P", "-binfmt")
_APE_MAGICS = (b"MZqFpD", b"jartsr")

# Which file, given to whom, runs as it is meant. Wine runs a Windows program on purpose, but not as Windows would.
_MEANT: dict[tuple[FileType, PurposeKind], Use] = {
    ("ape", "ape-loader"): "",
    ("pe", "wine"): "emulated",
    ("text", "wine"): "unknown",  # a batch file, perhaps
    ("pe", "mono"): "emulated",
    ("pe", "wsl"): "emulated",
    ("pe", "chooser"): "emulated",
    ("pe", "unknown"): "unknown",
    ("mach-o", "unknown"): "unknown",
}
_OF_ANYBODY: tuple[FileType, ...] = ("elf", "ape", "pe", "mach-o")
"""Programs that are machine code: whoever is not made for them cannot run them."""
_MADE_FOR_ONE: tuple[PurposeKind, ...] = ("ape-loader", "emulator", "wine", "mono", "wsl")
"""Those that refuse whatever is not what they are made for."""
_APPIMAGE_AT, _APPIMAGE = 8, b"AI"
"""What AppImages have where ELF has padding (AppImageSpec, types 1 and 2), and what their handlers ask for."""


def purpose_of(handler: Handler) -> Purpose:
    """Return what a handler's interpreter is for; a handler of APE's own magics is taken for the APE loader's."""
    name = base = posixpath.basename(handler.interpreter)
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    qemu = name.startswith("qemu-") or base.endswith(_QEMU_SUFFIXES)
    if qemu or name.lower() in _EMULATORS:
        return Purpose(kind="emulator", words=f"the emulator {base}", arch=_emulated(name), qemu=qemu)
    kind = next(
        (kind for start, kind in _NAMES if name.startswith(start) and not name[len(start) :][:1].isalpha()), None
    )
    if kind is None and handler.magic.startswith(_APE_MAGICS):
        kind = "ape-loader"
    if handler.interpreter == "/init":
        kind = "wsl"
    if kind is None:
        return Purpose(kind="unknown", words=handler.interpreter)
    return Purpose(kind=kind, words=_WORDS[kind])


def _emulated(name: str) -> Architecture | None:
    known = _EMULATORS.get(name.lower())
    if known:
        return architecture(known)
    guest = name.removeprefix("qemu-")
    return None if guest in _QEMU else architecture(guest)


def purpose_in(handler: Handler, view: FileView, opened: str) -> Purpose:
    """Return what a handler's interpreter is for in a root, where it may be another program than its name says.

    ``opened`` is the real path of the interpreter, empty where the root does not have it.
    """
    named = purpose_of(handler)
    if named.kind != "ape-loader":
        return named
    found = which_loader(view, opened) if opened else True  # one that is held open (F) may lie outside the root
    if found is False:
        return Purpose(kind="unknown", words=handler.interpreter, claims=True)
    return replace(named, sure=found is True)


def which_loader(view: FileView, path: str) -> bool | None:
    """Whether the program at a path is the APE loader, by its bytes; None where those are not known."""
    from runworthy.formats.ape import is_ape_loader

    try:
        found = view.find(path)
        if isinstance(found, int):
            return None
        return found.entry.kind == "file" and is_ape_loader(view.content(found.path))
    except FormatError:
        return False
    except (OSError, UnseenError):
        return None


def taken_by(file: FileType, arch: Architecture | None, handler: Handler, purpose: Purpose | None = None) -> Use:
    """Return how a file of this type and architecture stands when a handler takes it.

    A program of Linux is itself only under its own loader or an emulator of its architecture. Who is made for one kind
    of file takes no other. Scripts, texts and archives have no code of their own: whatever else is registered for them
    is what they are meant for.
    """
    purpose = purpose or purpose_of(handler)
    kind = purpose.kind
    if file == "elf" and kind == "emulator":
        return "emulated" if purpose.arch is None or arch is None or purpose.arch.name == arch.name else "foreign"
    if kind == "unknown" and ((file == "ape" and purpose.claims) or (file == "elf" and _asks_for_appimages(handler))):
        return "unknown"
    meant = _MEANT.get((file, kind))
    if meant is not None:
        return meant
    return "foreign" if file in _OF_ANYBODY or kind in _MADE_FOR_ONE else ""


def _asks_for_appimages(handler: Handler) -> bool:
    """Whether a handler matches nothing but AppImages: it compares their mark."""
    start = _APPIMAGE_AT - handler.offset
    mask = handler.mask or b"\xff" * len(handler.magic)
    mark = slice(start, start + len(_APPIMAGE))
    return start >= 0 and handler.magic[mark] == _APPIMAGE and mask[mark] == b"\xff" * len(_APPIMAGE)
