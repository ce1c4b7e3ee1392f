"""What the interpreter of a binfmt_misc handler makes of the file that it is given: told by its name.

No kernel knows it. The names are those under which distributions install these programs and register them.
"""

from __future__ import annotations

import posixpath
from typing import Literal

from runworthy.model.arch import Architecture, architecture
from runworthy.model.binfmt import Handler
from runworthy.model.program import FileType
from runworthy.model.records import dataclass
from runworthy.model.trace import Taken

__all__ = ["Purpose", "PurposeKind", "purpose_of", "taken_by"]

PurposeKind = Literal["ape-loader", "emulator", "wine", "mono", "wsl", "java", "python", "chooser", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What an interpreter is for. ``arch`` is what an emulator emulates; ``words`` names it in a message.

    ``qemu``: the emulator is QEMU, of which it is known what it does and says.
    """

    kind: PurposeKind
    words: str
    arch: Architecture | None = None
    qemu: bool = False


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
_MEANT: dict[tuple[FileType, PurposeKind], Taken] = {
    ("ape", "ape-loader"): "",
    ("pe", "wine"): "emulated",
    ("pe", "mono"): "emulated",
    ("pe", "wsl"): "emulated",
    ("pe", "chooser"): "emulated",
}
_OWN_PROGRAMS: tuple[FileType, ...] = ("elf", "ape")


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


def taken_by(file: FileType, arch: Architecture | None, handler: Handler) -> Taken:
    """Return how a file of this type and architecture stands when a handler takes it.

    A program of Linux is itself only under its own loader or an emulator of its architecture. Scripts, texts and
    archives have no code of their own: whatever is registered for them is what they are meant for.
    """
    purpose = purpose_of(handler)
    if file == "elf" and purpose.kind == "emulator":
        return "emulated" if purpose.arch is None or arch is None or purpose.arch.name == arch.name else "foreign"
    meant = _MEANT.get((file, purpose.kind))
    if meant is not None:
        return meant
    return "foreign" if file in _OWN_PROGRAMS else ""
