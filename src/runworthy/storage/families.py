"""What counts as builds of one library, by the names that loaders know them by.

auditwheel puts eight digits of a hash behind the stem of what it copies into a wheel (``auditwheel/repair.py``,
``copylib``), so that ``libgomp-a34b3233.so.1.0.0`` is a build of ``libgomp.so.1``. Some libraries have several names,
of which a process should have one: OpenMP has a runtime of each compiler.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from runworthy.model.elf import ElfFacts

__all__ = ["FAMILIES", "family_of", "has_state", "lacking", "library_of"]

_HASH: Final = re.compile(r"(?:-[0-9a-f]{8})+(?=\.so|$)")
_NAME: Final = re.compile(r"(lib.+?|[^/]+?)\.so(?:\.(\d+))?(?:[.\d]*)$")

FAMILIES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("OpenMP runtime", re.compile(r"lib(?:gomp|omp\d*|iomp5?|iompstubs5)")),
    ("OpenBLAS", re.compile(r"lib(?:scipy_)?openblas\w*")),
    ("libstdc++", re.compile(r"libstdc\+\+")),
    ("libgfortran", re.compile(r"libgfortran")),
    ("libcrypto", re.compile(r"libcrypto")),
    ("libssl", re.compile(r"libssl")),
    ("libpython", re.compile(r"libpython[23][\d.]*[a-z]*")),
)
"""Libraries that have state which a process should have once, whatever their names and major versions."""


def library_of(name: str) -> str:
    """Return a library's name without hash and minor version: ``libgomp-a34b3233.so.1.0.0`` is ``libgomp.so.1``."""
    plain = _HASH.sub("", name)
    found = _NAME.fullmatch(plain)
    if found is None:
        return plain
    return f"{found[1]}.so.{found[2]}" if found[2] else f"{found[1]}.so"


def family_of(name: str) -> str:
    """Return what a library is one of: a family, else the library itself."""
    library = library_of(name)
    stem = library.partition(".so")[0]
    return next((family for family, pattern in FAMILIES if pattern.fullmatch(stem)), library)


def has_state(family: str) -> bool:
    """Whether a process should have one build only of what :func:`family_of` returned."""
    return any(family == name for name, _ in FAMILIES)


def lacking(
    needers: Iterable[tuple[str, ElfFacts]], first: ElfFacts, names: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Yield (file, version) of what files require of a library by one of its ``names``, and ``first`` does not define.

    Of a library that defines no versions at all none is missed (glibc ``elf/dl-version.c``, match_symbol).
    """
    defined = {one.name for one in first.version_defs}
    if not defined:
        return
    for path, facts in needers:
        for need in facts.version_needs:
            if need.file in names and not need.weak and need.version not in defined:
                yield path, need.version
