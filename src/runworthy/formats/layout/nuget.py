"""Packages of NuGet: native files by runtime identifier (RID).

Source: NuGet's documentation, "Create NuGet packages for multiple platforms" (``runtimes/<rid>/native``), and
``ManagedCodeConventions`` of NuGet.Client, which knows ``runtimes/{rid}/nativeassets/{tfm}`` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runworthy.formats.layout.claims import claim_of
from runworthy.formats.layout.folders import is_native
from runworthy.formats.layout.manifest import Read
from runworthy.model.layout import Build, Group

__all__ = ["nuspec", "rid_groups"]

_MISPLACED = re.compile(r"runtimes/(?P<rid>[^/]+)/(?!lib/|native/|nativeassets/).+", re.IGNORECASE)
_NATIVE = re.compile(r"runtimes/(?P<rid>[^/]+)/(?:native|nativeassets/[^/]+)/.+", re.IGNORECASE)


def nuspec(read: Read, paths: Iterable[str]) -> tuple[str, str, str]:
    """Return the id, the version and the path of the manifest, empty where there is none. Raises FormatError."""
    path = next((path for path in sorted(paths) if "/" not in path and path.lower().endswith(".nuspec")), "")
    data = read(path) if path else None
    if data is None:
        return "", "", ""
    from runworthy.formats.index.xml import parse
    from runworthy.model.errors import FormatError

    try:
        metadata = parse(data).child("metadata")
    except FormatError as error:
        raise error.at(path) from None
    return metadata.child("id").text.strip(), metadata.child("version").text.strip(), path


def rid_groups(paths: Iterable[str]) -> Iterator[Group]:
    """Yield the native files: one RID is taken with all of its files (NuGet takes one for each sort of asset).

    Those that lie below the RID's own folder, rather than its ``native``, are taken by nothing.
    """
    builds = []
    for path in paths:
        if path.endswith("/_._"):
            continue
        if found := _NATIVE.fullmatch(path):
            builds.append(Build(path=path, tag=found["rid"], claim=claim_of(found["rid"])))
        elif (found := _MISPLACED.fullmatch(path)) and is_native(path):
            builds.append(Build(path=path, tag=f"{found['rid']}, not native/", claim=claim_of(found["rid"])))
    if builds:
        yield Group(ruling="rid", name="runtimes", builds=tuple(builds))
