"""Pages on storage: what their facts describe of places, environments and files, and what is told of it.

``storage`` is the environment that is told of. ``[places]`` are by name: ``at`` is the mount point, and what else a
:class:`Place` has; ``[environments]`` by path, each with its ``kind``, ``place`` and ``installer`` ("uv 0.8.3").
A table of ``[[copies]]`` has the ``size`` and the ``files``, of which the first is kept. Each has its ``names``, the
``package`` that owns the first ("numpy 2.1.0", a third word is the build), and what else an :class:`Owner`, a
:class:`StoredFile` or a :class:`Spare` has; ``times`` makes many of one. ``[[idle]]`` are environments that nothing has
used, ``[[partial]]`` what differs in a few blocks alone: ``file``, ``kept``, ``size`` and ``ranges``. ``[settings]``
are by environment, each a list of what its installers were told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runworthy.engine.results import Cell, result_of
from runworthy.model.finding import Finding, Result
from runworthy.model.records import replace
from runworthy.model.storage import Clash, Environment, Idle, Owner, Partial, Place, Spare, StoredFile, Waste
from runworthy.storage.causes import Situation, with_causes
from runworthy.storage.telling import told
from runworthy.storage.wastes import wastes_of
from runworthy.targets.storage.settings import Setting

__all__ = ["findings_of", "judge_storage", "situation_of", "spares_of", "wastes_in"]

_OWNER = ("environment", "installer", "recorded", "patched", "editable", "link", "manifest")
_SPARE = ("bar", "how", "proof")
_FILE = ("device", "allocated", "mode", "uid", "gid", "links", "mtime", "ctime")


def judge_storage(facts: Mapping[str, Any]) -> Result:
    """Return what the rules say of one environment."""
    path = facts["storage"]
    situation = situation_of(facts)
    idle = [
        Idle(
            environment=situation.environments[one["environment"]],
            **{k: v for k, v in one.items() if k != "environment"},
        )
        for one in facts.get("idle", ())
    ]
    found: list[Waste | Clash | Idle | Partial] = [
        *(waste for waste in wastes_of(spares_of(facts), situation) if waste.environment == path),
        *(_partial(one) for one in facts.get("partial", ())),
        *(one for one in idle if one.environment.path == path),
    ]
    return result_of(Cell(subject=path, target="", path=path, trace=told(path, found), storage=tuple(found)))


def wastes_in(facts: Mapping[str, Any]) -> tuple[Waste, ...]:
    """Return what is stored again, by cause and place."""
    return wastes_of(spares_of(facts), situation_of(facts))


def findings_of(found: Sequence[Waste]) -> tuple[Finding, ...]:
    """Return what the rules say of what is stored again."""
    path = found[0].environment
    cell = Cell(subject=path, target="", path=path, trace=told(path, found), storage=tuple(found))
    return result_of(cell).findings


def situation_of(facts: Mapping[str, Any]) -> Situation:
    """Return what is known beside the files."""
    places = {
        name: Place(
            **{
                "path": given.get("at", "/"),
                "point": given.get("at", "/"),
                "filesystem": name,
                "device": 1,
                **{key: value for key, value in given.items() if key != "at"},
            }
        )
        for name, given in facts.get("places", {"": {"type": "ext4"}}).items()
    }
    first = next(iter(places))
    environments = {
        path: _environment(path, given, places[given.get("place", first)])
        for path, given in facts["environments"].items()
    }
    settings = {path: [_setting(given, places) for given in held] for path, held in facts.get("settings", {}).items()}
    return Situation(
        environments=environments,
        settings=settings,
        linking=facts.get("linking", ()),
        cloned=[tuple(one) for one in facts.get("cloned", ())],
    )


def _environment(path: str, given: Mapping[str, Any], place: Place) -> Environment:
    installer, _, version = given.get("installer", "").partition(" ")
    more = {key: value for key, value in given.items() if key not in ("place", "installer")}
    return Environment(path=path, place=replace(place, path=path), installer=installer, version=version, **more)


def _setting(given: Mapping[str, Any], places: Mapping[str, Place]) -> Setting:
    held = dict(given)
    if "cache" in held:
        place, _, path = held["cache"].partition(":")
        held["cache"] = replace(places[place], path=path)
    return Setting(**held)


def spares_of(facts: Mapping[str, Any]) -> list[Spare]:
    """Return each file but the first of its copies, with the cause."""
    situation = situation_of(facts)
    found = (spare for copies in facts.get("copies", ()) for spare in _spares(copies, situation))
    return list(with_causes(found, situation))


def _spares(copies: Mapping[str, Any], situation: Situation) -> Iterator[Spare]:
    for number in range(copies.get("times", 1)):
        files = [_file(copies, given, number, at) for at, given in enumerate(copies["files"])]
        owners = [_owner(given, situation, file) for given, file in zip(copies["files"], files, strict=True)]
        for given, file, owner in list(zip(copies["files"], files, owners, strict=True))[1:]:
            more = {"how": "hardlink", **{key: given[key] for key in _SPARE if key in given}}
            how = "" if more.get("bar") else more["how"]
            yield Spare(
                file=file,
                kept=files[0],
                owner=owner,
                kept_owner=owners[0],
                frees=file.allocated if how else 0,
                **{**more, "how": how},
            )


def _file(copies: Mapping[str, Any], given: Mapping[str, Any], number: int, at: int) -> StoredFile:
    names = tuple(sorted(name.replace("{n}", str(number)) for name in given["names"]))
    held = {
        "device": 1,
        "inode": hash((copies["size"], number, at)),
        "size": copies["size"],
        "allocated": -(-copies["size"] // 4096) * 4096,
        "mode": 0o100644,
        "uid": 1000,
        "gid": 1000,
        "links": len(names),
        "mtime": 0,
        "ctime": 0,
    }
    return StoredFile(names=names, **{**held, **{key: given[key] for key in _FILE if key in given}})


def _partial(given: Mapping[str, Any]) -> Partial:
    file, kept = (_file(given, {"names": [given[which]]}, 0, at) for at, which in enumerate(("file", "kept")))
    ranges = tuple((offset, length) for offset, length in given["ranges"])
    return Partial(file=file, kept=kept, ranges=ranges, equal=sum(length for _, length in ranges))


def _owner(given: Mapping[str, Any], situation: Situation, file: StoredFile) -> Owner:
    package, version, build = [*given.get("package", "").split(), "", "", ""][:3]
    tops = [path for path in situation.environments if file.names[0].startswith(f"{path}/")]
    held = {"environment": max(tops, key=len, default="")}
    more = {key: given[key] for key in _OWNER if key in given}
    return Owner(package=package, version=version, build=build, **{**held, **more})
