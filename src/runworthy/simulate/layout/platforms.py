"""The platform that a target is, as installers and run times see it."""

from __future__ import annotations

from typing import Literal

from runworthy.model.layout import Platform
from runworthy.targets.libc import libc_of_root
from runworthy.targets.target import Target

__all__ = ["platform_of"]

_FAMILIES: dict[str, Literal["glibc", "musl"]] = {"glibc": "glibc", "musl": "musl"}


def platform_of(target: Target) -> Platform:
    """Return what a target is to them: its architecture, and the C library of its root where it has one."""
    libc = libc_of_root(target)
    family: Literal["glibc", "musl", ""] = _FAMILIES.get(libc.family, "") if libc else ""
    release = (libc.version or ()) if libc else ()
    return Platform(target=target.name, arch=target.arch, libc=family, release=release)
