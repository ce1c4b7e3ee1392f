"""What an installer makes of the platform tags of wheels: whether it takes one, and which one of several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from runworthy.model.layout import Choice, Platform
from runworthy.model.trace import Answer, Need, Step
from runworthy.model.wheel import WheelFacts, WheelName
from runworthy.simulate.wheel.demands import dotted
from runworthy.simulate.wheel.tags import PlatformTag, platform_tags, supported, taken_by
from runworthy.simulate.wheel.versions import version_key

__all__ = ["accepts", "choose"]


def accepts(facts: WheelFacts, platform: Platform) -> Step:
    """Return whether an installer takes the wheel on a platform, by its platform tags; Pythons are not judged.

    ``detail`` lists what the tags are for where none of them fits.
    """
    tags = platform_tags(facts.name)
    taken = [taken_by(tag, platform) for tag in tags]
    fits = next((tag.text for tag, answer in zip(tags, taken, strict=True) if answer), None)
    need = Need(kind="tag", name=platform.target, by=facts.file, file=".".join(tag.text for tag in tags))
    if fits is not None:
        return Step(stage="environment", need=need, answer=Answer.MET, met_by=fits)
    if None in taken:
        return Step(
            stage="environment", need=need, answer=Answer.UNKNOWN, why="not-modelled", detail="offer: not known"
        )
    reasons = dict.fromkeys(_refusal(tag, platform) for tag in tags) or (
        "no wheel has such a name, and it says no tag",
    )
    return Step(stage="environment", need=need, answer=Answer.UNMET, detail=f"offer: {'; '.join(reasons)}")


def _refusal(tag: PlatformTag, platform: Platform) -> str:
    """Return why an installer does not take a tag."""
    system = {"macosx": "macos", "win": "windows"}.get(tag.family, "linux")
    if system != platform.system:
        words = {"macos": "macOS", "windows": "Windows", "linux": "Linux"}[system]
        return f"{tag.text} is for {words}"
    if platform.arch.name not in tag.archs:
        return f"{tag.text} is for {tag.machine}"
    has = f"{platform.libc} {dotted(platform.release)}"
    if tag.libc != platform.libc:
        return f"{tag.text} is for {tag.libc}, {platform.target} has {has}"
    if tag.release > platform.release:
        return f"{tag.text} is for {tag.libc} {dotted(tag.release)}, {platform.target} has {has}"
    return f"no installer takes {tag.text}"


def choose(names: Mapping[str, WheelName], platform: Platform, python: tuple[int, int] | None = None) -> Choice:
    """Return which of several wheels pip takes on a Linux platform: the newest version, then the best tag, then build.

    ``names`` are the parsed names by path. Where no Python is stated, the newest that one of them is for is assumed.
    """
    python = python or _newest_python(names.values())
    order = {tag: rank for rank, tag in reversed(list(enumerate(supported(platform, python))))}
    ranked = []
    for path, name in names.items():
        rank = min((order[tag] for tag in name.tags if tag in order), default=None)
        if rank is not None:
            ranked.append((version_key(name.version), -rank, _build(name.build), path))
    words = f"CPython {python[0]}.{python[1]}"
    paths = frozenset(names)
    if ranked:
        best = max(ranked)[-1]
        tag = min((tag for tag in names[best].tags if tag in order), key=order.__getitem__)
        need = Need(kind="tag", name=platform.target, by=best, file=tag)
        step = Step(stage="environment", need=need, answer=Answer.MET, met_by=tag, detail=f"offer: for {words}")
        return Choice(among=paths, taken=frozenset((best,)), steps=(step,))
    need = Need(kind="tag", name=platform.target, by=next(iter(names), ""), file=None)
    step = Step(
        stage="environment", need=need, answer=Answer.UNMET, detail=f"offer: none of {len(names)} wheels for {words}"
    )
    return Choice(among=paths, steps=(step,))


def _build(text: str) -> tuple[int, str]:
    """Return what orders build tags: a number, then the rest as text; none comes first (PEP 427)."""
    digits = re.match(r"\d*", text)
    number = digits[0] if digits else ""
    return (int(number), text[len(number) :]) if number else (-1, "")


def _newest_python(names: Iterable[WheelName]) -> tuple[int, int]:
    found = [
        (3, int(tag[3:])) for name in names for tag in name.pythons if tag.startswith("cp3") and tag[3:].isdecimal()
    ]
    return max(found, default=(3, 12))
