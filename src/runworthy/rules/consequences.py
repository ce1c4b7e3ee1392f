"""What becomes of a process that has two builds of a library of which it should have one.

Sources, by library:

* OpenMP: threadpoolctl ``multiple_openmp.md``; LLVM ``openmp/runtime/src/kmp_runtime.cpp``,
  __kmp_register_library_startup (OMP: Error #15); GCC bug 52303 (libgomp and fork).
* OpenBLAS: its README, "Setting the number of threads using environment variables".
* libstdc++: glibc ``elf/dl-lookup.c``, do_lookup_unique (STB_GNU_UNIQUE); conda-forge/conda-forge.github.io#388 and
  tesseract-robotics/tesseract_nanobind#119 tell what crashed.
* libgfortran: GCC ``libgfortran/io/unit.c`` (the tree of open units is a static variable).
* OpenSSL: psycopg/psycopg2#543 and "Psycopg: binary install from PyPI"; openssl/openssl#15768.
* libpython: CPython ``Python/pystate.c`` (_PyRuntime and the current thread state are variables of the library).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["consequences", "what_helps"]

_LLVM: Final = re.compile(r"lib(?:omp\d*|iomp5?|iompstubs5)\b")
_THREADS: Final = "each has threads of its own, as many as there are CPUs: code over both runs twice as many"

_OF: Final[dict[str, tuple[str, ...]]] = {
    "OpenBLAS": (_THREADS, "a limit that is set through one, as `openblas_set_num_threads` does, is none to the other"),
    "libstdc++": (
        "the loader makes one of their unique symbols (STB_GNU_UNIQUE) and two of all others: objects meet other code",
        "locales, streams and regular expressions are where that crashed",
    ),
    "libgfortran": ("a Fortran unit that is opened through one is not open to code over the other",),
    "libcrypto": (
        "an object of one that gets to the code of the other ends in a crash",
        "the order of imports decides whose functions are called where one was loaded for all (RTLD_GLOBAL)",
    ),
    "libpython": ("modules that are bound to one know nothing of the interpreter that runs in the other, and crash",),
}
_HELPS: Final[dict[str, str]] = {
    "OpenMP runtime": "take all packages that use OpenMP from one channel, or built with one compiler",
    "OpenBLAS": "set OPENBLAS_NUM_THREADS before the start, which counts for each, or limit both with threadpoolctl",
    "libstdc++": "leave libstdc++ to the system (auditwheel does so), or take all packages from one channel",
    "libgfortran": "take the packages in releases that were built with one compiler",
    "libcrypto": "take the package that is built from source, over the system's OpenSSL",
    "libpython": "build the modules without linking them to libpython (since Python 3.8 none needs it)",
}
_SAME_HELP: Final = {"libssl": "libcrypto"}


def consequences(family: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return what two builds of a library come to, given the names of what is loaded; nothing where none is known."""
    if family == "OpenMP runtime":
        return _openmp(tuple(names))
    return _OF.get(_SAME_HELP.get(family, family), ())


def what_helps(family: str) -> str:
    """Return what a person can do about two builds of a library."""
    return _HELPS.get(_SAME_HELP.get(family, family), "take the packages in releases that bring the same build")


def _openmp(names: tuple[str, ...]) -> tuple[str, ...]:
    llvm = [name for name in names if _LLVM.match(name)]
    notes = [_THREADS]
    if len(llvm) > 1:
        notes.append(
            "LLVM's and Intel's runtimes look for each other: the second ends the process with `OMP: Error #15`"
        )
    if len(llvm) < len(names):
        notes.append("a child of fork() hangs at its next parallel region where libgomp's threads ran before")
        notes.append(
            "libgomp wants static thread-local storage: `cannot allocate memory in static TLS block` where none is left"
        )
    return tuple(notes)
