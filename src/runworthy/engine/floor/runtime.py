"""The floors of GCC's runtime libraries, by the versions that are asked of them.

Every symbol of these libraries has a version, and a library that defines a version defines all of its symbols; so the
names of the versions are the floor. Targets whose runtime is known are judged with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runworthy.engine.floor.reasons import carriers
from runworthy.engine.floor.shipped import Holding
from runworthy.model.floor import Floor, Kind, Reason, Rung

__all__ = ["gcc_release", "runtime_floor"]

_FILES: Mapping[Kind, str] = {"libstdc++": "libstdc++.so.6", "libgcc": "libgcc_s.so.1"}

# GCC's manual of libstdc++, "ABI Policy and Guidelines", Versioning: the release that brought a version. What is not
# listed there (CXXABI_TM_1 and the like) came with the release named in config/abi/pre/gnu.ver.
_RELEASES = """
3.4.0   GLIBCXX_3.4 CXXABI_1.3
3.4.1   GLIBCXX_3.4.1
3.4.2   GLIBCXX_3.4.2
3.4.3   GLIBCXX_3.4.3
4.0.0   GLIBCXX_3.4.4 CXXABI_1.3.1
4.0.1   GLIBCXX_3.4.5
4.0.2   GLIBCXX_3.4.6
4.0.3   GLIBCXX_3.4.7
4.1.1   GLIBCXX_3.4.8
4.2.0   GLIBCXX_3.4.9
4.3.0   GLIBCXX_3.4.10 CXXABI_1.3.2
4.4.0   GLIBCXX_3.4.11 CXXABI_1.3.3
4.4.1   GLIBCXX_3.4.12
4.4.2   GLIBCXX_3.4.13
4.5.0   GLIBCXX_3.4.14 CXXABI_1.3.4
4.6.0   GLIBCXX_3.4.15 CXXABI_1.3.5
4.6.1   GLIBCXX_3.4.16
4.7.0   GLIBCXX_3.4.17 CXXABI_1.3.6 CXXABI_TM_1
4.8.0   GLIBCXX_3.4.18 CXXABI_1.3.7
4.8.3   GLIBCXX_3.4.19
4.9.0   GLIBCXX_3.4.20 CXXABI_1.3.8
5.1.0   GLIBCXX_3.4.21 CXXABI_1.3.9 CXXABI_FLOAT128
6.1.0   GLIBCXX_3.4.22 CXXABI_1.3.10
7.1.0   GLIBCXX_3.4.23 CXXABI_1.3.11
7.2.0   GLIBCXX_3.4.24
8.1.0   GLIBCXX_3.4.25
9.1.0   GLIBCXX_3.4.26 CXXABI_1.3.12
9.2.0   GLIBCXX_3.4.27
9.3.0   GLIBCXX_3.4.28
11.1.0  GLIBCXX_3.4.29 CXXABI_1.3.13
12.1.0  GLIBCXX_3.4.30
13.1.0  GLIBCXX_3.4.31 CXXABI_1.3.14
13.2.0  GLIBCXX_3.4.32
14.1.0  GLIBCXX_3.4.33 CXXABI_1.3.15
15.1.0  GLIBCXX_3.4.34 CXXABI_1.3.16
16.1.0  GLIBCXX_3.4.35 CXXABI_1.3.17
"""
_SINCE: Mapping[str, tuple[int, ...]] = {
    node: tuple(map(int, release.split(".")))
    for release, *nodes in (line.split() for line in _RELEASES.strip().splitlines())
    for node in nodes
}
_NEWER = (1 << 16,)
_LIBGCC = re.compile(r"GCC_(\d+(?:\.\d+)*)")


def gcc_release(node: str) -> tuple[int, ...] | None:
    """Return the release of GCC that brought a version of libstdc++ or libgcc, None where that is not known.

    libgcc's versions are called after it (gcc ``libgcc/libgcc-std.ver.in``).
    """
    of_libgcc = _LIBGCC.fullmatch(node)
    return tuple(map(int, of_libgcc[1].split("."))) if of_libgcc else _SINCE.get(node)


def runtime_floor(kind: Kind, holdings: Sequence[Holding]) -> Floor:
    """Return the floor of libstdc++ or libgcc, ``any`` where the release brings its own or needs none."""
    file = _FILES[kind]
    found: dict[tuple[int, ...], list[Reason]] = {}
    needed = False
    for holding in holdings:
        if file in holding.bundled:
            continue
        needed = needed or file in holding.elf.facts.needed
        for need in holding.elf.facts.version_needs:
            if need.file == file and not need.weak:
                symbols, weak = carriers(holding.elf, file, need.version)
                said = Reason(file=holding.shown, need=need.version, library=file, symbols=symbols, weak=weak)
                found.setdefault(gcc_release(need.version) or _NEWER, []).append(said)
    if not found:
        return (
            Floor(kind=kind, state="at", open_below=True, words="any release")
            if needed
            else Floor(kind=kind, state="any")
        )
    rungs = tuple(_rung(order, found[order]) for order in sorted(found, reverse=True))
    first = rungs[0]
    return Floor(kind=kind, state="at", release=first.release, order=first.order, words=first.words, rungs=rungs)


def _rung(order: tuple[int, ...], reasons: Sequence[Reason]) -> Rung:
    node = max((reason.need for reason in reasons), key=_node_order)
    shown = order[: 2 if order[-1:] == (0,) else 3]
    words = "a GCC that is not known yet" if order == _NEWER else f"GCC {'.'.join(map(str, shown))}"
    return Rung(release=node, order=order, reasons=tuple(reasons), words=words)


def _node_order(node: str) -> tuple[bool, tuple[int, ...]]:
    """Return what puts the version that people know a release by last: GLIBCXX before CXXABI, by number."""
    numbers = node.rpartition("_")[2].split(".")
    return not node.startswith("CXXABI"), tuple(int(part) for part in numbers if part.isdecimal())
