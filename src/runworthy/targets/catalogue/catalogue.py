"""Finding a target by name and opening its root."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from runworthy.model.arch import Architecture, architecture
from runworthy.model.errors import ArchitectureError, TargetError
from runworthy.model.libc import Family, Libc
from runworthy.model.records import replace
from runworthy.targets.catalogue.layout import authority, layout_of
from runworthy.targets.catalogue.naming import (
    Meaning,
    PythonTag,
    architecture_in,
    is_built_on,
    meaning_of,
    python_tag,
    spellings,
    split_architecture,
)
from runworthy.targets.catalogue.pack import Pack
from runworthy.targets.catalogue.target import CatalogueTarget, Completeness, Summary
from runworthy.targets.catalogue.views import CatalogueView, ClosedView, CoreLibrary, CoreView

if TYPE_CHECKING:
    from runworthy.targets.catalogue.index import CatalogueIndex

__all__ = ["PACK_PATH", "Catalogue"]

PACK_PATH: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "catalogue.pack")

_NO_VERSION: Final = (0,)


class Catalogue:
    """All targets of one catalogue file."""

    def __init__(self, path: str = PACK_PATH) -> None:
        """Open the file at ``path``. Raises FormatError when it is no catalogue, OSError."""
        self._pack = Pack(path, os.stat(path).st_size)
        tables, *rows = self._pack.lines(self._pack.index)
        self._tables = int(tables)
        self._rows: dict[str, list[str]] = {}
        self._chunks: dict[str, int] = {}
        for line in rows:
            name, chunk, *archs = line.split("\t")
            self._chunks[name] = int(chunk)
            if name[0] != "+":
                self._rows[name] = archs

    def _summaries(self, name: str) -> Iterator[tuple[Summary, int]]:
        return (_summary(name, line) for line in self._pack.lines(self._chunks[name]))

    def names(self) -> tuple[str, ...]:
        """Return the catalogue's own names of its targets, sorted."""
        return tuple(self._rows)

    def architectures(self, name: str) -> tuple[Architecture, ...]:
        """Return the architectures for which a target exists. Raises TargetError for an unknown name."""
        tag = python_tag(name)
        if tag is not None:
            return _architectures({arch for text in self._of_tag(tag) for arch in self._rows.get(text, ())})
        return _architectures(self._rows[self._meaning(name).name])

    def targets(self) -> Iterator[Summary]:
        """Return all targets by name, without opening their roots."""
        return (summary for name in self._rows for summary, _ in self._summaries(name))

    def index(self) -> CatalogueIndex:
        """Return what rules may ask about the catalogue as a whole."""
        return self._index

    @cached_property
    def _index(self) -> CatalogueIndex:
        from runworthy.targets.catalogue.index import CatalogueIndex

        return CatalogueIndex(self._pack, tuple(self.targets()), self._pack.lines(self._tables))

    def find(self, name: str, arch: Architecture | None) -> CatalogueTarget:
        """Return the target that ``name`` means, on the architecture that it carries after a slash, else on ``arch``.

        Raises TargetError, with a hint, for an unknown name, for one that has no such architecture, and for one that
        has several when none is given.
        """
        text = name.strip()
        tag = python_tag(text.lower())
        if tag is not None:
            return self._python(tag, tag.arch or arch)
        for base, spelling in split_architecture(text):
            meaning = meaning_of(base.lower(), self._rows) or self._exact(base.lower())
            if meaning is None:
                tag = python_tag(base.lower())
                if tag is not None and spelling:
                    return self._python(tag, architecture(spelling))
                continue
            stated = architecture_in(spelling, meaning.name) if spelling else arch
            return self._meant(meaning, base, stated)
        raise self._unknown(text)

    def recipe(self, name: str, arch: Architecture) -> CatalogueTarget:
        """Return the composed root of a distribution that has a closed one too. It proves the composition.

        Raises TargetError when there is no such pair.
        """
        hidden = f"+{name}"
        if hidden not in self._chunks or all(row.arch is not arch for row, _ in self._summaries(hidden)):
            raise TargetError(f"{name} has no recipe beside its root for {arch.name}")
        return replace(self._open(hidden, arch.name), name=name)

    # -- names --------------------------------------------------------------------------------

    def _meaning(self, name: str) -> Meaning:
        meaning = meaning_of(name.lower(), self._rows) or self._exact(name.lower())
        if meaning is None:
            raise self._unknown(name)
        return meaning

    def _exact(self, text: str) -> Meaning | None:
        """Return what a point release means (``alpine:3.20.3``) where it is the one that the facts were read from."""
        name, _, point = text.rpartition(".")
        if name not in self._rows or not point.isdigit():
            return None
        exact = text.partition(":")[2]
        return Meaning(name=name) if any(row.as_of == exact for row, _ in self._summaries(name)) else None

    def _meant(self, meaning: Meaning, written: str, arch: Architecture | None) -> CatalogueTarget:
        target = self._open(meaning.name, self._chosen(meaning.name, written, arch))
        return _opened(target, written) if meaning.opened else target

    def _chosen(self, name: str, written: str, arch: Architecture | None) -> str:
        rows = self._rows[name]
        if arch is None and len(rows) == 1:
            return next(iter(rows))
        if arch is not None and arch.name in rows:
            return arch.name
        there = ", ".join(row.name for row in _architectures(rows))
        if arch is None:
            raise TargetError(f"{written} is for several architectures", hint=f"write {written}/ARCH, one of: {there}")
        raise ArchitectureError(f"{written} is not in the catalogue for {arch.name}", hint=f"it is there for: {there}")

    def _python(self, tag: PythonTag, arch: Architecture | None) -> CatalogueTarget:
        """Return what PEP 600 or PEP 656 promises under a tag, or the catalogue's nearest fact about it."""
        names = self._of_tag(tag)
        for name in names:
            if name in self._rows and (arch is None or arch.name in self._rows[name]):
                target = self._open(name, self._chosen(name, tag.name, arch))
                return target if name == tag.name else _python_note(target, tag)
        if any(name in self._rows for name in names):
            there = ", ".join(row.name for row in self.architectures(tag.name))
            wanted = arch.name if arch else "any architecture"
            raise ArchitectureError(
                f"{tag.name} is not in the catalogue for {wanted}", hint=f"it is there for: {there}"
            )
        raise self._no_tag(tag)

    def _of_tag(self, tag: PythonTag) -> tuple[str, ...]:
        if tag.family == "musllinux":
            return (tag.name,)
        return (tag.name, f"glibc:{tag.version[0]}.{tag.version[1]}")

    def _no_tag(self, tag: PythonTag) -> TargetError:
        prefixes = ("musllinux_",) if tag.family == "musllinux" else ("manylinux_", "glibc:")
        summaries = (row for name in self._rows if name.startswith(prefixes) for row, _ in self._summaries(name))
        known = sorted({(row.libc.version or _NO_VERSION, row.name) for row in summaries})
        if tag.version < known[0][0][:2]:
            return TargetError(f"{tag.name} is older than the catalogue's facts", hint=f"the oldest is {known[0][1]}")
        return TargetError(f"{tag.name} is not in the catalogue", hint=f"the newest is {known[-1][1]}")

    def _unknown(self, name: str) -> TargetError:
        for at in (at for at, letter in enumerate(name) if letter == "/"):
            meaning = meaning_of(name[:at].lower(), self._rows)
            if meaning is not None:
                there = ", ".join(row.name for row in _architectures(self._rows[meaning.name]))
                return TargetError(f"{name[at + 1 :]!r} is no architecture", hint=f"{name[:at]} is there for: {there}")
        return TargetError(f"there is no target {name!r} in the catalogue", hint=self._nearest(name.lower()))

    def _nearest(self, name: str) -> str:
        """Return words that lead from an unknown name to known ones."""
        from difflib import get_close_matches

        base = [base for base, _ in split_architecture(name)][-1]
        repository, _, tag = base.partition(":")
        if is_built_on(repository):
            return f"name the release it is built on, as in {repository}:TAG-bookworm or {repository}:TAG-alpine3.20"
        family = self.index().families.get(repository, ())
        if repository == "glibc":
            return f"{family[0]} to {family[-1]} are known"
        near = get_close_matches(base, sorted(spellings(self._rows)), n=4, cutoff=0.5) if tag or not family else []
        near = near or list(family)
        return f"did you mean {', '.join(near)}?" if near else "`runworthy targets` lists all names"

    # -- roots --------------------------------------------------------------------------------

    def _open(self, name: str, arch: str) -> CatalogueTarget:
        row, chunk = next(pair for pair in self._summaries(name) if pair[0].arch.name == arch)
        detail: dict[str, list[str]] = {}
        for line in self._pack.lines(chunk):
            key, _, value = line.partition("\t")
            detail.setdefault(key, []).append(value)
        view, search, loader = self._closed(row, detail) if "root" in detail else self._core(row, detail)
        packages = self._pack.mapping(int(detail["packages"][0])) if "packages" in detail else {}
        return CatalogueTarget(
            name=row.name,
            arch=row.arch,
            completeness=row.completeness,
            as_of=row.as_of,
            eol=row.eol,
            eol_support=row.eol_support,
            libc=replace(row.libc, loader=loader),
            loader_directories=search,
            cache_from_configuration="cache" in detail,
            view=view,
            family=row.family,
            order=row.order,
            package_manager=row.package_manager,
            packages=packages,
            notes=tuple(detail.get("note", ())),
            open_versions=view.open_versions,
        )

    def _closed(
        self, row: Summary, detail: Mapping[str, list[str]]
    ) -> tuple[CatalogueView, tuple[str, ...], str | None]:
        view = ClosedView(self._pack, row.arch, int(detail["root"][0]))
        return view, tuple(detail["search"][0].split(":")) if "search" in detail else (), row.libc.loader

    def _core(self, row: Summary, detail: Mapping[str, list[str]]) -> tuple[CatalogueView, tuple[str, ...], str | None]:
        if row.libc.family == "musl":
            return self._musl(row, detail)
        layout = layout_of(detail["layout"][0], row.arch)
        glibc = [line.split("\t") for line in self._pack.lines(int(detail["abi"][0]))]
        runtime = [line.split("\t") for line in detail.get("runtime", ())]
        added = tuple(detail["add"][0].split()) if "add" in detail else ()
        kept = frozenset(self._pack.lines(int(detail["nodes"][0]))) if "nodes" in detail else None
        libraries = [CoreLibrary(layout.loader, int(chunk)) for file, chunk in glibc if file == "ld"]
        libraries += [
            CoreLibrary(f"{layout.glibc}/{file}", int(chunk), added=added if file == "libc.so.6" else ())
            for file, chunk in glibc
            if file != "ld"
        ]
        libraries += [
            CoreLibrary(f"{layout.runtime}/{file}", int(chunk), kept=None if file.startswith("libz.") else kept)
            for file, chunk in runtime
        ]
        view = CoreView(
            self._pack,
            row.arch,
            libraries,
            layout.links,
            authority=authority(frozenset(file for file, _ in runtime)),
            open_versions=frozenset(detail["open"][0].split()) if "open" in detail else frozenset(),
        )
        return view, layout.search, layout.loader

    def _musl(self, row: Summary, detail: Mapping[str, list[str]]) -> tuple[CatalogueView, tuple[str, ...], str | None]:
        files = [line.split("\t") for line in detail["file"]]
        links = dict(line.split("\t") for line in detail["link"])
        libraries = [CoreLibrary(path, int(chunk)) for path, chunk in files]
        view = CoreView(self._pack, row.arch, libraries, links, authority=authority(frozenset(("libz.so.1",))))
        return view, tuple(detail["search"][0].split(":")), row.libc.loader


def _architectures(names: object) -> tuple[Architecture, ...]:
    found = (architecture(str(name)) for name in cast("list[str]", names))
    return tuple(sorted((row for row in found if row), key=lambda row: row.name))


def _summary(name: str, line: str) -> tuple[Summary, int]:
    """Return a target's line as a summary, and the chunk with the rest."""
    fields = line.split("\t")
    arch, completeness, family, order, as_of, eol, lts, elts, libc, version, loader, manager, chunk = fields
    row = architecture(arch)
    if row is None:
        raise TargetError(f"the catalogue names an unknown architecture {arch!r}")
    support = {label: date for label, date in (("lts", lts), ("elts", elts)) if date}
    summary = Summary(
        name=name,
        arch=row,
        completeness=cast("Completeness", completeness),
        family=family,
        order=tuple(map(int, order.split("."))),
        libc=Libc(
            family=cast("Family", libc),
            version=tuple(map(int, version.split("."))) if version else None,
            loader=loader or None,
        ),
        as_of=as_of,
        eol=eol or None,
        eol_support=support,
        package_manager=manager,
    )
    return summary, int(chunk)


def _opened(target: CatalogueTarget, written: str) -> CatalogueTarget:
    """Return ``target`` as the base of an image built on it: what is not in the base is unknown, not absent."""
    view = target.view
    if target.completeness == "closed":
        view.authority = authority(frozenset())
    note = f"the base of {written}, {target.name}, is known; what {written} adds to it is not"
    return replace(target, name=written, completeness="core", notes=(*target.notes, note))


def _python_note(target: CatalogueTarget, tag: PythonTag) -> CatalogueTarget:
    note = f"no recipe for {tag.name}: judged by {target.name}"
    return replace(target, name=tag.name, family=tag.family, notes=(*target.notes, note))
