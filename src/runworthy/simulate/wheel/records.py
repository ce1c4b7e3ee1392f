"""A wheel's records against each other: file name, WHEEL, METADATA and RECORD, and the files that are there.

Sources: PEP 427 and the PyPA specifications; what pip makes of it is in its ``utils/wheel.py``,
``operations/install/wheel.py`` and ``req/req_install.py``. ``fatal`` is what pip refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from runworthy.model.trace import Answer, Evidence, Kind, Need, Step
from runworthy.model.wheel import FlawKind, WheelFacts
from runworthy.simulate.wheel.versions import version_key

__all__ = ["metadata_steps", "record_steps"]

_SCHEMES: Final = frozenset(("purelib", "platlib", "headers", "scripts", "data"))
_UNRECORDED: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")
_FATAL_FLAWS: Final[Mapping[FlawKind, bool]] = {
    "name": True,
    "dist-info": True,
    "wheel": True,
    "metadata": True,
    "record": True,
}


def metadata_steps(facts: WheelFacts) -> Iterator[Step]:
    """Yield what the name of the file, WHEEL and METADATA say differently, and what is missing of them."""
    for flaw in facts.flaws:
        if flaw.kind != "record":
            yield _step("metadata", flaw.detail, flaw.member or facts.file, fatal=_FATAL_FLAWS[flaw.kind])
    yield from _infos(facts)
    yield from _wheel_version(facts)
    yield from _names(facts)
    yield from _tags(facts)
    yield from _data(facts)


def _infos(facts: WheelFacts) -> Iterator[Step]:
    if len(facts.infos) > 1:
        several = f"it has {len(facts.infos)} .dist-info directories: {', '.join(facts.infos[:4])}"
        yield _step("metadata", several, facts.infos[1])
    if not facts.name or not facts.info:
        return
    project, _, version = facts.info.removesuffix(".dist-info").rpartition("-")
    if not _same_name(project, facts.name.project) and not _starts(facts.info, facts.name.project):
        yield _step("metadata", f"the directory is {facts.info}, the file is of {facts.name.project}", facts.info)
    elif not _same_version(version, facts.name.version):
        words = f"the directory is {facts.info}, the file is of version {facts.name.version}"
        yield _step("metadata", words, facts.info, fatal=False)


def _starts(info: str, project: str) -> bool:
    """As pip compares: the directory's name begins with the project's."""
    return _normalized(info).startswith(_normalized(project))


def _wheel_version(facts: WheelFacts) -> Iterator[Step]:
    if not facts.wheel:
        return
    member = f"{facts.info}/WHEEL"
    said = facts.wheel.get("wheel-version", ("",))[0]
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})*", said):
        words = f"WHEEL says Wheel-Version {said}" if said else "WHEEL says no Wheel-Version"
        yield _step("metadata", words, member)
    elif int(said.partition(".")[0]) > 1:
        yield _step("metadata", f"WHEEL says Wheel-Version {said}, installers know 1", member)


def _names(facts: WheelFacts) -> Iterator[Step]:
    """Compare name and version. pip takes the name from the directory, and the version from METADATA."""
    if not facts.name or not facts.metadata:
        return
    member = f"{facts.info}/METADATA"
    project, version = (facts.metadata.get(key, ("",))[0] for key in ("name", "version"))
    if not _same_name(project, facts.name.project):
        yield _step(
            "metadata", f"METADATA says Name {project}, the file's name {facts.name.project}", member, fatal=False
        )
    if not _same_version(version, facts.name.version):
        yield _step("metadata", f"METADATA says Version {version}, the file's name {facts.name.version}", member)


def _tags(facts: WheelFacts) -> Iterator[Step]:
    """Compare the tags of WHEEL with those of the name; installers go by the name."""
    if not facts.name or not facts.wheel:
        return
    member = f"{facts.info}/WHEEL"
    said = {one for tag in facts.wheel.get("tag", ()) for one in _expanded(tag)}
    named = set(facts.name.tags)
    if said != named:
        only = [f"only in WHEEL: {', '.join(sorted(said - named))}" if said - named else ""]
        only += [f"only in the name: {', '.join(sorted(named - said))}" if named - said else ""]
        yield _step("metadata", "tags differ; " + "; ".join(filter(None, only)), member, fatal=False)
    build = facts.wheel.get("build", ("",))[0]
    if build != facts.name.build:
        words = f"WHEEL says Build {build or 'nothing'}, the file's name {facts.name.build or 'nothing'}"
        yield _step("metadata", words, member, fatal=False)
    if facts.purelib is None:
        yield _step("metadata", "WHEEL does not say Root-Is-Purelib, which counts as false", member, fatal=False)


def _expanded(tag: str) -> Iterator[str]:
    """WHEEL has one line for each tag (PEP 427); some builders write the compressed set."""
    parts = tag.split("-")
    if len(parts) != 3:
        yield tag
        return
    pythons, abis, platforms = (part.split(".") for part in parts)
    yield from (f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms)


def _data(facts: WheelFacts) -> Iterator[Step]:
    """Tell of files in a ``.data`` directory that go nowhere."""
    for path in facts.members:
        head, _, rest = path.partition("/")
        if not head.endswith(".data"):
            continue
        scheme, slash, _ = rest.partition("/")
        if not slash:
            yield _step("metadata", f"{path} lies in no directory of {head}", path)
        elif scheme not in _SCHEMES:
            yield _step("metadata", f"{head}/{scheme} is none of {', '.join(sorted(_SCHEMES))}", path)


def record_steps(facts: WheelFacts, digests: Mapping[str, str]) -> Iterator[Step]:
    """Yield how RECORD and the files differ. ``digests`` are those that were computed, as RECORD writes them.

    PEP 427 has an installer refuse all of it; pip and uv look at none of it but that RECORD is there.
    """
    member = f"{facts.info}/RECORD"
    for flaw in facts.flaws:
        if flaw.kind == "record":
            yield _step("record", f"unreadable: {flaw.detail}", member, fatal=facts.record is None)
    if facts.record is None:
        return
    yield _step("record", "read:", member, answer=Answer.MET)
    rows = {row.path.removeprefix("./"): row for row in facts.record}
    own = frozenset(f"{facts.info}/{name}" for name in _UNRECORDED)
    for path in sorted(facts.members.keys() - rows.keys() - own):
        yield _step("record", "unlisted:", path, fatal=False)
    for path, row in rows.items():
        size = facts.members.get(path)
        found = digests.get(path, "")
        if size is None:
            yield _step("record", "absent:", path, fatal=False)
        elif row.size is not None and row.size != size:
            yield _step("record", f"size: {row.size} {size}", path, fatal=False)
        elif not row.digest and path not in own:
            yield _step("record", "unhashed:", path, fatal=False)
        elif found and found.partition("=")[0] == row.digest.partition("=")[0] and found != row.digest.rstrip("="):
            yield _step("record", f"hash: {row.digest} {found}", path, fatal=False)


def _step(kind: Kind, words: str, member: str, *, fatal: bool = True, answer: Answer = Answer.UNMET) -> Step:
    asked = words if kind == "metadata" else None
    need = Need(kind=kind, name=member, by=member, version=asked, evidence=Evidence(file=member))
    return Step(stage="environment", need=need, answer=answer, fatal=fatal, detail=words)


def _normalized(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _same_name(left: str, right: str) -> bool:
    return _normalized(left) == _normalized(right)


def _same_version(left: str, right: str) -> bool:
    """Versions as PEP 440 compares them; a name has ``_`` where ``-`` cannot be (``1.0+local_1``)."""
    return left == right or version_key(left) == version_key(right)
