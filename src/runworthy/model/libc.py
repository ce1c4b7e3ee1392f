"""The C library and loader of a root, as far as loaders differ by it."""

from __future__ import annotations

from typing import Literal

from runworthy.model.records import dataclass

__all__ = ["Family", "Libc"]

Family = Literal["glibc", "musl", "uclibc", "bionic", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Libc:
    """Which C library a root has. ``version`` is None when it cannot be told; ``loader`` is its path there."""

    family: Family
    version: tuple[int, ...] | None = None
    loader: str | None = None

    def __str__(self) -> str:
        if self.family == "none":
            return "no C library"
        return self.family if self.version is None else f"{self.family} {'.'.join(map(str, self.version))}"
