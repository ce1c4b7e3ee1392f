"""Platform tags of wheels: what they mean, and which of them an installer takes on a platform, in its order.

Sources: PEP 425, PEP 600, PEP 656; ``packaging.tags``, ``packaging._manylinux`` and ``packaging._musllinux``, which pip
carries a copy of; pip's ``index/package_finder.py`` (CandidateEvaluator._sort_key) for the choice between wheels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from runworthy.model.arch import ARCHITECTURES, Architecture
from runworthy.model.layout import Platform
from runworthy.model.wheel import WheelName
from runworthy.targets.catalogue.naming import LEGACY

__all__ = ["MACHINES", "PlatformTag", "platform_tag", "platform_tags", "supported", "taken_by"]

Family = Literal["manylinux", "musllinux", "linux", "macosx", "win", "any", "other"]

MACHINES: Final = {row.pypi: row for row in ARCHITECTURES}
"""Architectures by the names that platform tags have for them."""

_WINDOWS: Final = {"win32": "i386", "win_amd64": "x86_64", "win_arm64": "aarch64", "win_arm32": "armv7"}
_MAC_PARTS: Final = {
    "universal2": ("x86_64", "arm64"),
    "intel": ("i386", "x86_64"),
    "universal": ("i386", "ppc"),
    "fat": ("i386", "ppc"),
    "fat3": ("i386", "x86_64", "ppc"),
    "fat32": ("i386", "ppc"),
    "fat64": ("x86_64", "ppc64"),
}
"""Which processors a macOS tag promises together (distutils' ``get_platform_osx``)."""

_MACOS: Final = re.compile(r"macosx_(\d{1,4})_(\d{1,4})_(\w+)", re.ASCII)
_LINUX: Final = re.compile(r"(many|musl)linux_(\d{1,4})_(\d{1,4})_(\w+)", re.ASCII)
_LAST_GLIBC_2: Final = 50
"""As packaging has it for a glibc 3 that may come one day; no release 2 has a higher number yet."""


class PlatformTag(NamedTuple):
    """A platform tag. ``release`` is that of glibc, musl or macOS; ``archs`` are ours, on macOS Apple's names.

    ``legacy``: written as manylinux1, manylinux2010 or manylinux2014.
    """

    text: str
    family: Family
    release: tuple[int, int] = (0, 0)
    archs: tuple[str, ...] = ()
    legacy: bool = False

    @property
    def name(self) -> str:
        """The tag as PEP 600 spells it."""
        return f"manylinux_{self.release[0]}_{self.release[1]}_{self.machine}" if self.legacy else self.text

    @property
    def machine(self) -> str:
        """The architecture as the tag has it."""
        known = next((row.pypi for row in ARCHITECTURES if row.name in self.archs), "")
        return known or self.text.rpartition("linux_")[2]

    @property
    def arch(self) -> Architecture | None:
        """The architecture of a tag for Linux, None where it is none of the table's."""
        return next((row for row in ARCHITECTURES if row.name in self.archs), None)

    @property
    def libc(self) -> str:
        """The C library that the tag is for, empty where it does not say."""
        return {"manylinux": "glibc", "musllinux": "musl"}.get(self.family, "")


def platform_tag(text: str) -> PlatformTag:
    """Return what a platform tag means; one that nobody here knows is of the family ``other``."""
    if text == "any":
        return PlatformTag(text, "any")
    if text in _WINDOWS:
        return PlatformTag(text, "win", archs=(_WINDOWS[text],))
    if found := _MACOS.fullmatch(text):
        archs = _MAC_PARTS.get(found[3], (found[3],))
        return PlatformTag(text, "macosx", (int(found[1]), int(found[2])), archs)
    if found := _LINUX.fullmatch(text):
        family: Family = "manylinux" if found[1] == "many" else "musllinux"
        return PlatformTag(text, family, (int(found[2]), int(found[3])), _arch(found[4]))
    family_name, _, machine = text.partition("_")
    if family_name in LEGACY and machine:
        return PlatformTag(text, "manylinux", LEGACY[family_name], _arch(machine), legacy=True)
    if family_name == "linux" and machine:
        return PlatformTag(text, "linux", archs=_arch(machine))
    return PlatformTag(text, "other")


def platform_tags(name: WheelName | None) -> list[PlatformTag]:
    """Return the platform tags of a name, two spellings of one tag once."""
    tags = [platform_tag(text) for text in (name.platforms if name else ())]
    return list({tag.name: tag for tag in reversed(tags)}.values())[::-1]


def _arch(machine: str) -> tuple[str, ...]:
    return (MACHINES[machine].name,) if machine in MACHINES else ()


def taken_by(tag: PlatformTag, platform: Platform) -> bool | None:
    """Whether an installer takes a platform tag on a platform, None where that is not known.

    The Python of the platform is taken to be built for its architecture, and of a form that has wheels at all.
    """
    if tag.family == "any":
        return True
    if platform.system != "linux":
        return None if tag.family == {"windows": "win", "macos": "macosx"}[platform.system] else False
    if tag.family not in ("manylinux", "musllinux", "linux") or platform.arch.name not in tag.archs:
        return False if tag.family != "other" else None
    if tag.family == "linux":
        return True
    if not platform.libc:
        return None
    if tag.libc != platform.libc:
        return False
    if not platform.release:
        return None
    return _promised(tag, platform)


def _promised(tag: PlatformTag, platform: Platform) -> bool:
    """Compare releases: any older glibc down to the first with wheels; of musl the same major release."""
    major, minor, *_ = (*platform.release, 0)
    if tag.family == "musllinux":
        return tag.release[0] == major and tag.release[1] <= minor
    lowest = (2, 5) if platform.arch.name in ("x86_64", "i386") else (2, 17)
    return lowest <= tag.release <= (major, minor)


def supported(platform: Platform, python: tuple[int, int]) -> Iterator[str]:
    """Yield every tag that CPython ``python`` takes on a Linux platform, the one it likes best first.

    Source: ``packaging.tags`` (sys_tags: cpython_tags, then compatible_tags).
    """
    platforms = list(_platforms(platform))
    major, minor = python
    version = f"{major}{minor}"
    for abi in (f"cp{version}", "abi3", "none"):
        yield from (f"cp{version}-{abi}-{one}" for one in platforms)
    for older in range(minor - 1, 1, -1):
        yield from (f"cp{major}{older}-abi3-{one}" for one in platforms)
    generic = [f"py{version}", f"py{major}", *(f"py{major}{older}" for older in range(minor - 1, -1, -1))]
    yield from (f"{python_}-none-{one}" for python_ in generic for one in platforms)
    yield f"cp{version}-none-any"
    yield from (f"{python_}-none-any" for python_ in generic)


def _platforms(platform: Platform) -> Iterator[str]:
    machine = platform.arch.pypi
    yield f"linux_{machine}"  # first since packaging 24.2: what was built for this very system
    major, minor, *_ = (*platform.release, 0, 0)
    if platform.libc == "glibc" and platform.release:
        lowest = 5 if platform.arch.name in ("x86_64", "i386") else 17
        legacy = {release: name for name, release in LEGACY.items()}
        for at in range(major, 1, -1):
            for below in range(minor if at == major else _LAST_GLIBC_2, (lowest if at == 2 else 0) - 1, -1):
                yield f"manylinux_{at}_{below}_{machine}"
                if (at, below) in legacy:
                    yield f"{legacy[at, below]}_{machine}"
    elif platform.libc == "musl" and platform.release:
        yield from (f"musllinux_{major}_{below}_{machine}" for below in range(minor, -1, -1))
