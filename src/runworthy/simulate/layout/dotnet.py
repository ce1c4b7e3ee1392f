"""Whether .NET finds the native libraries that the assemblies of an application or a package call into.

Sources: dotnet/runtime ``src/coreclr/vm/nativelibrary.cpp`` (LoadNativeLibraryBySearch, DetermineLibNameVariations: for
each variation of the name the directories of the host, then that of the assembly, then the system's loader), and
``src/native/corehost/hostpolicy/deps_resolver.cpp`` (resolve_probe_dirs: the directories of the native files that the
``.deps.json`` names, in its order; without one the application's own directory).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from runworthy.model.layout import Claim, Import, Layout, Platform
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Probe, Step
from runworthy.simulate.layout.words import fits, layout_need, layout_step

__all__ = ["native_libraries", "variations"]

_ELSEWHERE = "not judged"
_RESOLVER = "the assembly finds its libraries by code of its own"
_SUFFIXES = {"linux": ".so", "macos": ".dylib", "windows": ".dll"}


def variations(name: str, platform: Platform) -> tuple[str, ...]:
    """Return the names under which a library is tried, in order."""
    if platform.system == "windows":
        bare = name.endswith(".") or name.lower().endswith((".dll", ".exe"))
        return (name,) if bare else (name, f"{name}.dll")
    suffix = _SUFFIXES[platform.system]
    at = name.find(suffix)
    # A version may follow the suffix: libicuuc.so.57.
    has_suffix = at >= 0 and name[at + len(suffix) : at + len(suffix) + 1] in ("", ".")
    plain, longer = [name, f"lib{name}"], [f"{name}{suffix}", f"lib{name}{suffix}"]
    if "/" in name:
        plain, longer = plain[:1], longer[:1]
    return tuple([*plain, *longer] if has_suffix else [*longer, *plain])


def native_libraries(layout: Layout, platform: Platform, taken: frozenset[str]) -> Iterator[Step]:
    """Yield for each library that an assembly calls into and that the package holds whether it is found.

    A library that the package does not hold under any of its names is the system's, or one of another system's: the
    methods that need it may never be called.
    """
    by_name = _by_name(layout, platform)
    host = tuple(_host_directories(layout, taken))
    for one in layout.imports:
        names = variations(one.name, platform)
        if one.name.startswith("/") or not (lying := _lying(names, by_name)):
            continue
        yield _step(layout, one, names, host, lying)


def _by_name(layout: Layout, platform: Platform) -> dict[str, list[str]]:
    """Return the files that may be a library for the platform, by their name in lower case."""
    of_builds = {build.path: build.claim for group in layout.groups for build in group.builds}
    found: dict[str, list[str]] = {}
    for path in sorted(layout.paths):
        name = posixpath.basename(path).lower()
        managed = name.endswith((".dll", ".exe")) and platform.system != "windows"
        if not managed and fits(of_builds.get(path, Claim()), platform):
            found.setdefault(name, []).append(path)
    return found


def _lying(names: Iterable[str], by_name: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(path for name in names for path in by_name.get(posixpath.basename(name).lower(), ()))


def _host_directories(layout: Layout, taken: frozenset[str]) -> Iterator[str]:
    """Yield the directories that the host hands to the run time (NATIVE_DLL_SEARCH_DIRECTORIES), once each."""
    app = layout.app
    if app is None:
        chosen = (build.path for group in layout.groups if group.ruling == "rid" for build in group.builds)
        yield from dict.fromkeys(posixpath.dirname(path) for path in chosen if path in taken)
        return
    if not app.manifest:
        yield app.root
        return
    found = []
    for asset in app.assets:
        # A file for every platform lies flat beside the application, whatever its path in the package was.
        path = posixpath.join(app.root, asset.path if asset.rid else posixpath.basename(asset.path))
        if path in (taken if asset.rid else layout.paths):
            found.append(posixpath.dirname(path))
    yield from dict.fromkeys(found)


def _step(layout: Layout, one: Import, names: Sequence[str], host: Sequence[str], lying: Sequence[str]) -> Step:
    need = layout_need(layout, "native-library", one.name, by=one.by)
    probes: list[Probe] = []
    for probe in _probes(names, host, posixpath.dirname(one.by)):
        found = probe.outcome != _ELSEWHERE and probe.path in layout.paths
        probes.append(replace(probe, outcome="found") if found else probe)
        if found:
            return layout_step(need, Answer.MET, met_by=probe.path, searched=probes)
    if one.resolver:
        return layout_step(need, Answer.UNKNOWN, searched=probes, why="not-modelled", detail=_RESOLVER)
    return layout_step(need, Answer.UNMET, searched=probes, detail="\n".join(dict.fromkeys(lying)))


def _probes(names: Sequence[str], host: Sequence[str], beside: str) -> Iterator[Probe]:
    """Yield every path that is tried, in order. What lies outside the package is not judged."""
    for name in names:
        for directory in host:
            yield Probe(path=posixpath.normpath(posixpath.join(directory, name)), origin="the host's directories")
        yield Probe(path=name, origin="the framework's directory", outcome=_ELSEWHERE)
        yield Probe(path=posixpath.normpath(posixpath.join(beside, name)), origin="beside the assembly")
        yield Probe(path=name, origin="the system's loader", outcome=_ELSEWHERE)
