"""A report on storage as JSON. The layout is ``runworthy.dedupe/1``; ``schema/runworthy.dedupe-1.json`` has it.

There may be tens of thousands of copies: they are made into text one set to a line, and not held beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runworthy import __version__
from runworthy.model.finding import Result
from runworthy.model.records import replace
from runworthy.model.storage import (
    BARS,
    CAUSES,
    Advice,
    Build,
    Clash,
    Copies,
    Environment,
    Idle,
    Owner,
    Partial,
    Place,
    Reclaimed,
    Spare,
    StorageReport,
    StoredFile,
    Waste,
)
from runworthy.report import dedupe_figures as figures
from runworthy.report.document import Data, result_data
from runworthy.report.edits import edit_data
from runworthy.report.words import encodable

__all__ = ["SCHEMA", "dedupe_document", "dedupe_json"]

SCHEMA = "runworthy.dedupe/1"

Owners = Mapping[tuple[int, int], Owner]


def dedupe_json(report: StorageReport, *, everything: bool = False, dry_run: bool = False) -> str:
    """Return the report as JSON text, the same bytes for the same report. Arguments as for ``dedupe_document``."""
    parts = _parts(report, everything=everything, dry_run=dry_run)
    return "{\n" + ",\n".join(f'  "{key}": {_text(value)}' for key, value in parts) + "\n}\n"


def dedupe_document(report: StorageReport, *, everything: bool = False, dry_run: bool = False) -> Data:
    """Return the report as data of strings, numbers, lists and dictionaries.

    Totals, causes and sets of copies are told always; ``everything`` adds each spare file with its owners and what
    would be done with it, and ``dry_run`` the latter alone.
    """
    parts = _parts(report, everything=everything, dry_run=dry_run)
    return {key: list(value) if isinstance(value, Iterator) else value for key, value in parts}


def _text(value: object) -> str:
    """Return JSON: of an iterator each item in a line of its own, which is fast, and easy to take apart."""
    if isinstance(value, Iterator):
        lines = ",\n    ".join(json.dumps(item) for item in value)
        return f"[\n    {lines}\n  ]" if lines else "[]"
    return json.dumps(value, indent=2).replace("\n", "\n  ")  # a line feed in a string is an escape


def _parts(report: StorageReport, *, everything: bool, dry_run: bool) -> Iterator[tuple[str, object]]:
    """Yield the keys of the document with their values, long lists as iterators."""
    yield "schema", SCHEMA
    yield "runworthy", __version__
    yield "paths", _texts(report.paths)
    yield "min_size", report.min_size
    yield "only", _texts(report.only)
    yield "totals", _totals(report)
    yield "environments", [_environment(one) for one in report.environments]
    yield (
        "left",
        [{"bar": one.bar, "why": one.words, "files": one.files, "size": one.size} for one in figures.left(report)],
    )
    yield "results", [_result(one, everything=everything) for one in report.results]
    yield "wastes", (_waste(one) for one in report.wastes)
    yield "partial", (_partial(one) for one in report.partial)
    yield "clashes", [_clash(one) for one in report.clashes]
    yield "idle", [_idle(one) for one in report.idle]
    yield "advice", [_advice(one) for one in report.advice]
    yield "passed_over", {encodable(why): number for why, number in report.passed_over.items()}
    yield "problems", [{"path": encodable(path), "why": encodable(why)} for path, why in report.problems]
    yield "new", None if report.new is None else sorted(_texts(report.new))
    owners = _owners(report.spares) if everything else None
    yield "copies", (_copies(one, owners) for one in report.copies)
    if everything:
        yield "spares", (_spare(one) for one in report.spares)
    if everything or dry_run:
        yield "actions", (edit_data(one) for one in report.shares)
    yield "reclaimed", _reclaimed(report.reclaimed) if report.reclaimed else None


def _totals(report: StorageReport) -> Data:
    return {
        "files": report.files,
        "allocated": report.allocated,
        "again": report.again,
        "frees": report.frees,
        "shared": report.shared,
        "environments": len(report.environments),
        "sets": len(report.copies),
        "spares": len(report.spares),
        "recorded": sum(one.proof == "recorded" for one in report.spares),
        "sentence": encodable(figures.sentence(report)),
    }


def _result(result: Result, *, everything: bool) -> Data:
    """Return a result. What proposals would do to single files is told with everything alone."""
    if not everything:
        result = replace(result, findings=tuple(map(figures.without_files, result.findings)))
    return result_data(result, (), trace=False)


# -- where, and why ----------------------------------------------------------------------------------


def _environment(one: Environment) -> Data:
    return {
        "path": encodable(one.path),
        "kind": one.kind,
        "cache": one.is_cache,
        "installer": encodable(one.installer) or None,
        "version": encodable(one.version) or None,
        "python": encodable(one.python) or None,
        "used": _moment(one.used),
        "used_by": encodable(one.used_by) or None,
        "files": one.files if one.is_counted else None,
        "allocated": one.allocated if one.is_counted else None,
        "place": _place(one.place),
    }


def _place(place: Place) -> Data:
    return {
        "filesystem": encodable(place.filesystem),
        "device": place.device,
        "type": encodable(place.type),
        "mount": place.mount,
        "point": encodable(place.point),
        "subvolume": encodable(place.subvolume),
        "read_only": place.read_only,
    }


def _waste(one: Waste) -> Data:
    return {
        "cause": one.cause,
        "why": CAUSES[one.cause],
        "environment": encodable(one.environment),
        "other": encodable(one.other) or None,
        "cause_in": encodable(one.cause_in) or None,
        "cache": encodable(one.cache) or None,
        "installer": encodable(one.installer) or None,
        "version": encodable(one.version) or None,
        "files": one.files,
        "size": one.size,
        "frees": one.frees,
        "packages": [{"name": encodable(name), "files": files, "size": size} for name, files, size in one.packages],
        "examples": [
            {"path": encodable(path), "same_as": encodable(other), "size": size} for path, other, size in one.examples
        ],
        "facts": [{"what": encodable(what), "is": encodable(how)} for what, how in one.facts],
        "setting": encodable(one.setting) or None,
        "works": one.works,
        "left": [{"bar": bar, "why": BARS[bar], "files": files, "size": size} for bar, files, size in one.bars],
    }


def _partial(one: Partial) -> Data:
    return {
        "file": _stored(one.file),
        "kept": _stored(one.kept),
        "ranges": list(map(list, one.ranges)),
        "equal": one.equal,
    }


def _clash(one: Clash) -> Data:
    return {
        "environment": encodable(one.environment),
        "library": encodable(one.library),
        "builds": [_build(build) for build in one.builds],
        "outcome": one.outcome,
        "process": encodable(one.process),
        "certain": one.certain,
        "breaks": [{"path": encodable(path), "version": encodable(version)} for path, version in one.breaks],
    }


def _build(one: Build) -> Data:
    return {
        "path": encodable(one.path),
        "soname": encodable(one.soname) or None,
        "owner": _owner(one.owner),
        "size": one.size,
        "wanted_by": _texts(one.wanted_by),
    }


def _idle(one: Idle) -> Data:
    return {
        "environment": encodable(one.environment.path),
        "kind": one.environment.kind,
        "used": _moment(one.used),
        "used_by": encodable(one.used_by) or None,
        "allocated": one.allocated if one.environment.is_counted else None,
        "command": encodable(one.command) or None,
    }


def _advice(one: Advice) -> Data:
    return {
        "installer": encodable(one.installer),
        "setting": encodable(one.setting),
        "where": encodable(one.where),
        "source": encodable(one.source),
        "target": encodable(one.target),
        "works": one.works,
        "trial": encodable(one.trial) or None,
        "version": encodable(one.version) or None,
        "since": encodable(one.since) or None,
        "notes": _texts(one.notes),
    }


# -- files -------------------------------------------------------------------------------------------


def _copies(one: Copies, owners: Owners | None) -> Data:
    data: Data = {"size": one.size, "filesystem": encodable(one.filesystem), "proof": one.proof}
    data["files"] = (
        [_stored(file) for file in one.files] if owners is None else [_in_full(file, owners) for file in one.files]
    )
    if one.extents:
        data["extents"] = list(one.extents)
    return data


def _stored(file: StoredFile) -> Data:
    return {"names": _texts(file.names), "allocated": file.allocated, "links": file.links}


def _in_full(file: StoredFile, owners: Owners) -> Data:
    data = _stored(file)
    data["outside"] = file.outside
    data["device"] = file.device
    data["inode"] = file.inode
    data["mode"] = f"{file.mode:06o}"
    data["uid"] = file.uid
    data["gid"] = file.gid
    if owner := owners.get((file.device, file.inode)):
        data["owner"] = _owner(owner)
    return data


def _owners(spares: Iterable[Spare]) -> Owners:
    """Return whose each stored file is."""
    found: dict[tuple[int, int], Owner] = {}
    for spare in spares:
        found[spare.file.device, spare.file.inode] = spare.owner
        found[spare.kept.device, spare.kept.inode] = spare.kept_owner
    return found


def _owner(owner: Owner) -> Data:
    texts = ("package", "version", "build", "installer", "recorded", "link", "manifest")
    data: Data = {"environment": encodable(owner.environment)}
    for name in texts:
        if text := getattr(owner, name):
            data[name] = encodable(text)
    for name in ("patched", "editable"):
        if getattr(owner, name):
            data[name] = True
    return data


def _spare(spare: Spare) -> Data:
    return {
        "path": _first(spare.file.names),
        "kept": _first(spare.kept.names),
        "size": spare.file.size,
        "allocated": spare.file.allocated,
        "cause": spare.cause,
        "bar": spare.bar or None,
        "how": spare.how or None,
        "frees": spare.frees,
        "proof": spare.proof,
        "environment": encodable(spare.owner.environment),
        "package": encodable(spare.owner.package) or None,
        "kept_environment": encodable(spare.kept_owner.environment),
        "kept_package": encodable(spare.kept_owner.package) or None,
    }


def _first(names: Sequence[str]) -> str:
    return encodable(names[0]) if names else ""


def _reclaimed(held: Reclaimed) -> Data:
    return {
        "entry": encodable(held.entry) or None,
        "estimated": held.estimated,
        "measured": held.measured,
        "shared": [{"path": encodable(path), "how": how, "frees": frees} for path, how, frees in held.shared],
        "left": [{"path": encodable(path), "why": encodable(why)} for path, why in held.left],
        "notes": _texts(held.notes),
    }


def _moment(nanoseconds: int) -> str | None:
    """Return a time as RFC 3339 has it, None where there is none."""
    from time import gmtime, strftime

    try:
        return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(nanoseconds // 10**9)) if nanoseconds else None
    except (OverflowError, OSError, ValueError):  # a file system holds any number, and no calendar does
        return None


def _texts(texts: Iterable[str]) -> list[str]:
    return [encodable(text) for text in texts]
