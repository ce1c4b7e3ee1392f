"""What made a file, as far as it tells."""

from __future__ import annotations

import re

from runworthy.model.elf import BuildInfo, ElfFacts
from runworthy.model.records import dataclass

__all__ = ["Toolchain", "toolchain_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What made a file. ``kind`` is ``go``, ``rust``, ``c++`` or ``c`` (what is linked like C), ``version`` its own."""

    kind: str
    version: str = ""
    cgo: bool = False
    mode: str = ""
    package: str = ""


def toolchain_of(facts: ElfFacts, build: BuildInfo) -> Toolchain:
    """Return what made a file; what tells nothing of itself is taken to be linked as C is."""
    if build.go is not None:
        settings = build.go.settings
        # Settings are there since Go 1.18; before, whatever needs a loader was made with cgo.
        cgo = settings.get("CGO_ENABLED", "1" if facts.needed else "0") == "1" and bool(facts.needed)
        mode = settings.get("-buildmode", "")
        return Toolchain(
            kind="go", version=build.go.version.removeprefix("go"), cgo=cgo, mode=mode, package=build.go.path
        )
    if build.rust is not None:
        return Toolchain(kind="rust", version=build.rust)
    cpp = any(name.startswith(("libstdc++.so", "libc++.so")) for name in facts.needed)
    gcc = next((found[1] for one in build.comments if (found := re.match(r"GCC: .*?(\d+(?:\.\d+)+)", one))), "")
    return Toolchain(kind="c++" if cpp else "c", version=gcc)
