"""Which C library an ELF file was built for, by what it asks for."""

from __future__ import annotations

from typing import Final, Literal

from runworthy.model.elf import ElfFacts

__all__ = ["ANDROID", "is_for_android", "made_for"]

ANDROID: Final = frozenset((
    "libc.so", "libm.so", "libdl.so", "liblog.so", "libandroid.so", "libjnigraphics.so", "libOpenSLES.so",
    "libOpenMAXAL.so", "libmediandk.so", "libcamera2ndk.so", "libaaudio.so", "libamidi.so", "libnativewindow.so",
    "libneuralnetworks.so", "libbinder_ndk.so", "libsync.so",
))  # fmt: skip
"""Libraries of Android that no Linux has under these names, beside its C library (NDK, "Android NDK Native APIs")."""


def is_for_android(facts: ElfFacts) -> bool:
    """Whether a file asks for Android's C library; what asks for ``libc.so`` alone is for musl, which has all in it."""
    return "libc.so" in facts.needed and any(name in ANDROID for name in facts.needed if name != "libc.so")


def made_for(facts: ElfFacts) -> Literal["glibc", "musl", ""]:
    """Return the C library that a file was made for, empty where it asks for none."""
    loader = facts.interpreter or ""
    names = [*facts.needed, loader.rpartition("/")[2]]
    if any(name == "libc.so" or name.startswith(("libc.musl-", "ld-musl-")) for name in names):
        return "musl"
    versions = any(need.version.startswith("GLIBC_") for need in facts.version_needs)
    named = any(name.startswith(("libc.so.6", "ld-linux", "ld64.so.")) for name in names)
    return "glibc" if versions or named else ""
