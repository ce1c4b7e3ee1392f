"""Windows and macOS: what the file says of itself, and what it asks for that these do not bring. Nothing is judged.

Sources: "Universal CRT deployment" and "Running 32-bit applications" of Microsoft's documentation (the Universal CRT is
part of Windows 10 and newer, the Visual C++ runtime is not part of Windows); Apple's "Rosetta" and dyld(1): what is in
``/usr/lib`` and ``/System`` comes with macOS.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from runworthy.model.matrix import Asset, Column, Member

__all__ = ["told_elsewhere"]

_NOT_BROUGHT: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"(vcruntime|msvcp|concrt|vcomp|mfc|atl)\d+(_\w+)?\.dll", re.IGNORECASE), "the Visual C++ runtime"),
    (
        re.compile(r"lib(gcc_s\w*|stdc\+\+|winpthread|gomp|ssp|quadmath)-\d+\.dll", re.IGNORECASE),
        "the runtime of MinGW",
    ),
    (re.compile(r"msys-2\.0\.dll|cygwin1\.dll", re.IGNORECASE), "Cygwin"),
    (re.compile(r"python3\d*\.dll", re.IGNORECASE), "Python"),
)
_UCRT = re.compile(r"api-ms-win-crt-[\w-]+\.dll|ucrtbase\.dll", re.IGNORECASE)
_WINDOWS = {(10, 0): "Windows 10", (6, 3): "Windows 8.1", (6, 2): "Windows 8", (6, 1): "Windows 7",
    (6, 0): "Windows Vista", (5, 2): "Windows XP x64", (5, 1): "Windows XP", (5, 0): "Windows 2000",
    (4, 0): "Windows 95"}  # fmt: skip


def told_elsewhere(asset: Asset, column: Column) -> tuple[str, str]:
    """Return the member that a person starts there, and what its bytes tell, in a sentence."""
    held = [one for one in asset.members if column.system in (one.system, "") or one.format == "ape"]
    own = [one for one in held if column.arch in one.archs]
    member = (own or held or list(asset.members))[0]
    beside = {posixpath.basename(one.name.partition("!")[2] or one.name).lower() for one in asset.members}
    told = [_format(member, column), *_emulated(member, column)]
    told += _windows(member, beside) if member.format == "pe" else _macos(member, beside)
    name = "" if member.name == asset.path else member.name
    return name, f"{', '.join(told)}; {_SYSTEMS[column.system]} is not modelled"


_SYSTEMS = {"windows": "Windows", "macos": "macOS"}


def _format(member: Member, column: Column) -> str:
    archs = " and ".join(member.archs) if member.archs != ("any",) else "any processor"
    least = ""
    if member.minimum and member.format == "pe":
        major, _, minor = member.minimum.partition(".")
        least = f", {_WINDOWS.get((int(major), int(minor or 0)), f'Windows {member.minimum}')} or newer"
    elif member.minimum:
        least = f", {_SYSTEMS.get(member.system, member.system)} {member.minimum} or newer"
    kind = "program" if member.role == "program" else "library"
    return f"a {_SYSTEMS[column.system]} {kind} for {archs}{least}"


def _emulated(member: Member, column: Column) -> list[str]:
    if column.arch in member.archs or member.archs == ("any",):
        return []
    by = {("windows", "x86_64"): "WOW64", ("windows", "aarch64"): "the emulation of Windows 11 on ARM"}
    return [f"started by {by.get((column.system, column.arch), 'Rosetta 2')}"]


def _windows(member: Member, beside: set[str]) -> list[str]:
    told = []
    names = [*member.imports, *member.delayed]
    for pattern, brings in _NOT_BROUGHT:
        wanted = [name for name in names if pattern.fullmatch(name) and name.lower() not in beside]
        if wanted:
            told.append(f"imports {', '.join(wanted)}, which {brings} brings and not Windows")
    if any(map(_UCRT.fullmatch, names)):
        told.append("imports the Universal CRT, which Windows 10 and newer have")
    if member.built_by == ".net":
        told.append("is started by .NET")
    if member.delayed:
        told.append(
            f"loads {', '.join(member.delayed[:3])} when it first calls {'it' if len(member.delayed) == 1 else 'them'}"
        )
    return told


def _macos(member: Member, beside: set[str]) -> list[str]:
    outside = [
        name
        for name in member.imports
        if not name.startswith(("/usr/lib/", "/System/")) and posixpath.basename(name).lower() not in beside
    ]
    return [f"loads {', '.join(outside[:3])}, which macOS does not bring"] if outside else []
