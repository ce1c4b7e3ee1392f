"""Layouts: what a package holds for which platform, read off its manifest and the paths of its members.

What is taken of it on a platform is for ``simulate.layout`` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from runworthy.formats.layout.folders import folder_groups, is_native
from runworthy.formats.layout.manifest import Read
from runworthy.formats.layout.npm import napi_groups, npm_package, package_root, prebuild_groups
from runworthy.model.archive import ContainerKind
from runworthy.model.layout import Group, Layout
from runworthy.model.records import replace

__all__ = ["Read", "is_native", "layout_of"]

_PATHS_MAX: Final = 200_000
_PATH_MAX: Final = 1024


def layout_of(kind: ContainerKind, paths: Iterable[str], read: Read) -> Layout | None:
    """Return what a package or archive with these files holds for which platform, None where it chooses nothing.

    ``read`` returns a member's bytes, None where it has none. Raises FormatError for a manifest that is none.
    """
    held = [path for path, _ in zip(paths, range(_PATHS_MAX), strict=False) if len(path) <= _PATH_MAX]
    return _READERS.get(kind, _other)(kind, held, read)


def _npm(kind: ContainerKind, paths: list[str], read: Read) -> Layout | None:
    root = package_root(paths)
    if root is None:
        return _other(kind, paths, read)
    name, version, package = npm_package(read, root)
    groups = _each_once(prebuild_groups(paths), napi_groups(paths), folder_groups(paths, below=root.count("/")))
    return Layout(
        kind="npm",
        name=name,
        version=version,
        manifest=f"{root}package.json",
        groups=groups,
        npm=package,
        paths=frozenset(paths),
    )


def _nupkg(kind: ContainerKind, paths: list[str], read: Read) -> Layout | None:
    from runworthy.formats.layout.dotnet import imports_of
    from runworthy.formats.layout.nuget import nuspec, rid_groups

    name, version, manifest = nuspec(read, paths)
    groups = _each_once(rid_groups(paths), folder_groups(path for path in paths if not _managed(path)))
    imports = imports_of(read, [path for path in paths if _managed(path)]) if groups else ()
    return Layout(
        kind=kind,
        name=name,
        version=version,
        manifest=manifest,
        groups=groups,
        imports=imports,
        paths=frozenset(paths),
    )


def _managed(path: str) -> bool:
    """Whether a file of a NuGet package is one that compilers or the run time take as an assembly."""
    parts = path.lower().split("/")
    return parts[0] in ("lib", "ref") or (parts[0] == "runtimes" and len(parts) > 3 and parts[2] == "lib")


def _jar(kind: ContainerKind, paths: list[str], read: Read) -> Layout | None:
    from runworthy.formats.layout.jar import jar_groups

    del read
    groups = _each_once(jar_groups(paths), folder_groups(paths))
    return Layout(kind=kind, name="", groups=groups, paths=frozenset(paths)) if groups else None


def _other(kind: ContainerKind, paths: list[str], read: Read) -> Layout | None:
    """Return what a tree of files has that is chosen among at run time: a .NET application, addons of Node.js."""
    from runworthy.formats.layout.dotnet import application, application_groups, imports_of

    app = application(read, paths)
    whole = frozenset(paths)
    groups = _each_once(application_groups(app, whole) if app else (), prebuild_groups(paths))
    if app is None and not groups:
        return None
    return Layout(
        kind=kind,
        name=app.manifest.rpartition("/")[2].removesuffix(".deps.json") if app else "",
        manifest=app.manifest if app else "",
        groups=groups,
        app=app,
        imports=imports_of(read, _beside(paths, app.root)) if app else (),
        paths=whole,
    )


def _beside(paths: list[str], root: str) -> list[str]:
    base = f"{root}/" if root else ""
    return [path for path in paths if path.startswith(base)]


def _each_once(*kinds: Iterable[Group]) -> tuple[Group, ...]:
    """Return the groups, less the files that an earlier one has: a rule that is known comes before none."""
    seen: set[str] = set()
    groups: list[Group] = []
    for group in _flat(kinds):
        left = tuple(build for build in group.builds if build.path not in seen)
        if left:
            seen |= {build.path for build in left} | set(group.always)
            groups.append(group if len(left) == len(group.builds) else replace(group, builds=left))
    return tuple(groups)


def _flat(kinds: Iterable[Iterable[Group]]) -> Iterator[Group]:
    for groups in kinds:
        yield from groups


_READERS: Final[dict[ContainerKind, Callable[[ContainerKind, list[str], Read], Layout | None]]] = {
    "npm": _npm,
    "nupkg": _nupkg,
    "jar": _jar,
    "wheel": lambda kind, paths, read: None,  # noqa: ARG005 - pip chooses among wheels, not inside one
}
