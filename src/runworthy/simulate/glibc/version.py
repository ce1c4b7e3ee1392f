"""Whether each required symbol version is defined by the library that the record names.

Source: glibc ``elf/dl-version.c`` (_dl_check_map_versions, match_symbol).
"""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.elf import ElfFacts, VersionNeed
from runworthy.model.records import dataclass, field
from runworthy.model.trace import Answer, Event, Evidence, Need, Probe, Step
from runworthy.simulate.linkmap import LinkMap, Loaded

__all__ = ["VersionMemo", "check_versions"]

Required = tuple[tuple[str, frozenset[str], list[VersionNeed]], ...]

RELR_NODE = "GLIBC_ABI_DT_RELR"


@dataclass(slots=True)
class VersionMemo:
    """What files of one target require and define, arranged once. A file is named by its facts, which it keeps."""

    _required: dict[int, tuple[ElfFacts, Required]] = field(default_factory=dict)
    _defined: dict[int, tuple[ElfFacts, frozenset[str]]] = field(default_factory=dict)

    def required(self, facts: ElfFacts) -> Required:
        """Return the version needs by the file that their records name, in the order of the records."""
        held = self._required.get(id(facts))
        if held is None:
            groups: dict[str, list[VersionNeed]] = {}
            for need in facts.version_needs:
                groups.setdefault(need.file, []).append(need)
            rows = tuple((file, frozenset(need.version for need in needs), needs) for file, needs in groups.items())
            held = self._required[id(facts)] = (facts, rows)
        return held[1]

    def defined(self, facts: ElfFacts) -> frozenset[str]:
        """Return the versions that a file defines."""
        held = self._defined.get(id(facts))
        if held is None:
            held = self._defined[id(facts)] = (facts, frozenset(record.name for record in facts.version_defs))
        return held[1]


def check_versions(
    link_map: LinkMap, glibc: tuple[int, ...], memo: VersionMemo, *, trace: bool
) -> Iterator[Step | Event]:
    """Yield a step for each required version that is not met (every one when ``trace``)."""
    for loaded in link_map.objects:
        for file, versions, needs in memo.required(loaded.facts):
            provider = link_map.by_name.get(file)
            if provider is None:
                for need in needs:
                    yield from _without_provider(link_map, loaded, need)
                continue
            names = memo.defined(provider.facts)
            if trace or not versions <= names:
                judged = (_judge(loaded, provider, need, names) for need in needs if trace or need.version not in names)
                yield from [step for step in judged if step is not None]
        if glibc >= (2, 36) and _unguarded_relr(loaded.facts):
            yield _relr_step(loaded)


def _judge(by: Loaded, provider: Loaded, need: VersionNeed, names: frozenset[str]) -> Step | Event | None:
    if need.version in names:
        return Step(stage="version", need=_need(by, need), answer=Answer.MET, met_by=provider.path)
    if not provider.facts.version_defs:
        # The loader only warns here; whether a symbol lookup then ends the process is told when symbols are bound.
        text = f"{provider.path}: no version information available (required by {by.path})"
        return Event(stage="version", kind="no-version-information", text=text, by=by.path)
    return Step(
        stage="version",
        need=_need(by, need),
        answer=Answer.UNMET,
        fatal=not need.weak,
        searched=(Probe(path=provider.path, origin="loaded", outcome="does not define it"),),
    )


def _without_provider(link_map: LinkMap, by: Loaded, need: VersionNeed) -> Iterator[Step]:
    missing = link_map.missing.get(need.file)
    if missing is not None:
        if missing.answer is Answer.MET:  # stated to be present: its versions are stated with it
            return
        yield Step(
            stage="version",
            need=_need(by, need),
            answer=missing.answer,
            why=missing.why,
            because=missing.key,
            fatal=not need.weak,
        )
    else:  # the record names a file that is not among the needed libraries: find_needed's assertion fails
        yield Step(stage="version", need=_need(by, need), answer=Answer.UNMET, detail="not among the needed libraries")


def _unguarded_relr(facts: ElfFacts) -> bool:
    """Whether the object packs relocations (DT_RELR) without saying so by the version that guards old loaders."""
    return (
        facts.relr
        and bool(facts.version_needs)
        and any(name.startswith("libc.so.") for name in facts.needed)
        and all(need.version != RELR_NODE for need in facts.version_needs)
    )


def _relr_step(by: Loaded) -> Step:
    need = Need(kind="symbol-version", name="libc.so.6", version=RELR_NODE, by=by.path, file="libc.so.6")
    return Step(stage="version", need=need, answer=Answer.UNMET, detail="DT_RELR without GLIBC_ABI_DT_RELR dependency")


def _need(by: Loaded, need: VersionNeed) -> Need:
    return Need(
        kind="symbol-version",
        name=need.file,
        version=need.version,
        file=need.file,
        by=by.path,
        weak=need.weak,
        evidence=Evidence(file=by.path, section=".gnu.version_r"),
    )
