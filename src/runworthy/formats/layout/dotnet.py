"""Published .NET applications: which native files their ``.deps.json`` names, and what their assemblies call into.

Source: dotnet/runtime ``src/native/corehost/hostpolicy/deps_format.cpp``: ``runtimeTarget.name`` picks one of
``targets``; there ``runtimeTargets`` are files for one RID each, ``native`` files for every platform.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from runworthy.formats.layout.claims import claim_of
from runworthy.formats.layout.manifest import Read, json_object, text
from runworthy.model.errors import FormatError
from runworthy.model.layout import Asset, Build, DotnetApp, Group, Import

__all__ = ["application", "application_groups", "imports_of"]

_DEPS, _CONFIG = ".deps.json", ".runtimeconfig.json"
_RUNTIMES: Final = re.compile(r"(?:^|/)runtimes/[^/]+/native/")
_ASSETS_MAX: Final = 20_000
_ASSEMBLIES_MAX: Final = 256
_BYTES_MAX: Final = 128 << 20
_INTERNAL: Final = frozenset(("QCall", "__Internal", ""))
"""Names that the run time answers itself."""


def application(read: Read, paths: Sequence[str]) -> DotnetApp | None:
    """Return the application that lies nearest to the top, None where there is none. Raises FormatError."""
    named = (path for path in paths if path.endswith((_CONFIG, _DEPS)))
    held = sorted(named, key=lambda path: (path.count("/"), path))
    config = next((path for path in held if path.endswith(_CONFIG)), "")
    deps = next((path for path in held if path.endswith(_DEPS)), "")
    # A library's own deps.json in a package is no application: that has a configuration, or is its only manifest.
    found = config.removesuffix(_CONFIG) + _DEPS if config else deps
    manifest = found if found in held else ""
    if not config and not manifest:
        return _copied(paths)
    root = (config or manifest).rpartition("/")[0]
    return DotnetApp(root=root, manifest=manifest, assets=_assets(read, manifest) if manifest else ())


def _copied(paths: Sequence[str]) -> DotnetApp | None:
    """Return an application of which neither manifest is there: its assemblies beside a folder ``runtimes``."""
    near = [path for path in paths if "runtimes/" in path]
    roots = [path[: found.start()] for path in near if (found := _RUNTIMES.search(path))]
    if not roots:
        return None
    assemblies = {path.rpartition("/")[0] for path in paths if path.lower().endswith(".dll")}
    root = next((root for root in roots if root in assemblies), None)
    return DotnetApp(root=root) if root is not None else None


def _assets(read: Read, manifest: str) -> tuple[Asset, ...]:
    held = json_object(read, manifest)
    runtime = held.get("runtimeTarget")
    name = text(runtime.get("name")) if isinstance(runtime, dict) else text(runtime)
    targets = held.get("targets")
    libraries = targets.get(name) if isinstance(targets, dict) else None
    if not isinstance(libraries, dict):
        raise FormatError(f"has no target {name!r}, which it says is the one to run", path=manifest)
    found = [asset for library, told in libraries.items() if isinstance(told, dict) for asset in _of(library, told)]
    if len(found) > _ASSETS_MAX:
        raise FormatError(f"names more than {_ASSETS_MAX} native files", path=manifest)
    return tuple(found)


def _of(library: str, told: Mapping[str, Any]) -> Iterator[Asset]:
    for key in ("runtimeTargets", "native"):
        files = told.get(key)
        for path, row in files.items() if isinstance(files, dict) else ():
            facts: Mapping[str, Any] = row if isinstance(row, dict) else {}
            if key == "native" or text(facts.get("assetType")).lower() == "native":
                yield Asset(library=library, path=path, rid=text(facts.get("rid")) if key != "native" else "")


def application_groups(app: DotnetApp, paths: frozenset[str]) -> Iterator[Group]:
    """Yield the native files of each library by RID, those that are there."""
    base = f"{app.root}/" if app.root else ""
    builds: dict[str, list[Build]] = {}
    for asset in app.assets:
        if asset.rid and base + asset.path in paths:
            build = Build(path=base + asset.path, tag=asset.rid, claim=claim_of(asset.rid))
            builds.setdefault(asset.library, []).append(build)
    for library, held in builds.items():
        yield Group(ruling="rid", name=library, builds=tuple(held))


def imports_of(read: Read, paths: Iterable[str]) -> tuple[Import, ...]:
    """Return what the assemblies call into, each name once for each. What is no assembly, or damaged, has none."""
    from runworthy.formats.clr import has_resolver, is_assembly, native_imports

    found: list[Import] = []
    budget = _BYTES_MAX
    assemblies = [path for path in sorted(paths) if path.lower().endswith((".dll", ".exe"))]
    for path in assemblies[:_ASSEMBLIES_MAX]:
        data = read(path)
        budget -= len(data or b"")
        if budget < 0:
            break
        if data is None or not is_assembly(data):
            continue
        try:
            names = [name for name in native_imports(data) if name not in _INTERNAL]
        except FormatError:
            continue
        resolver = bool(names) and has_resolver(data)
        found += [Import(name=name, by=path, resolver=resolver) for name in names]
    return tuple(found)
