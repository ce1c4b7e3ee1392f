"""The x86-64 levels that distributions build their own packages for, the C library among them.

The catalogue's facts come from symbols, which tell nothing of it. Sources: Red Hat, "Building Red Hat Enterprise Linux
9 for the x86-64-v2 microarchitecture level" and the release notes of RHEL 10 (x86-64-v3); AlmaLinux 10 is built for
both, so that the lower counts; openSUSE Leap 16.0 release notes; "Amazon Linux 2023", system requirements.
"""

from __future__ import annotations

from collections.abc import Mapping

from runworthy.model.arch import Architecture

__all__ = ["level_of"]

# Family -> (the first release, level), the latest first.
_LEVELS: Mapping[str, tuple[tuple[tuple[int, ...], int], ...]] = {
    **dict.fromkeys(("rhel", "centos", "rockylinux", "oraclelinux"), (((10,), 3), ((9,), 2))),
    "almalinux": (((9,), 2),),
    "amazonlinux": (((2023,), 2),),
    "opensuse/leap": (((16,), 2),),
}


def level_of(family: str, order: tuple[int, ...], arch: Architecture) -> int:
    """Return the x86-64 level (1 to 4) of a release's own packages, 0 on other architectures."""
    if arch.name != "x86_64":
        return 0
    return next((level for first, level in _LEVELS.get(family, ()) if order >= first), 1)
