"""What an ecosystem's own rule takes out of a package on a platform, and what that leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from runworthy.model.layout import Choice, Contents, Group, Layout, Platform, Ruling
from runworthy.model.records import replace
from runworthy.model.trace import Event, Step
from runworthy.simulate.layout.folders import by_name
from runworthy.simulate.layout.jar import JAR_RULINGS
from runworthy.simulate.layout.node import napi_rs, prebuilds
from runworthy.simulate.layout.npm import installed, made_when_installed
from runworthy.simulate.layout.projects import choose_among
from runworthy.simulate.layout.rid import by_rid, rids
from runworthy.simulate.layout.words import Pick, fits, platform_words, steps_of

__all__ = ["choose", "choose_among", "fits", "rids"]

_RULINGS: Final[Mapping[Ruling, Callable[[Group, Platform], Pick]]] = {
    "prebuilds": prebuilds,
    "napi-rs": napi_rs,
    "rid": by_rid,
    "folder": by_name,
    **JAR_RULINGS,
}


def choose(layout: Layout, platform: Platform, contents: Mapping[str, Contents] | None = None) -> Choice:
    """Return what is taken of a package on a platform.

    ``contents`` are what the bytes of builds are, by path, as far as they are known: what is taken is compared with
    what it should be.
    """
    steps: list[Step | Event] = []
    place = installed(layout, platform)
    if place is not None:
        steps.append(place)
        if place.answer.value == "unmet":
            return Choice(among=layout.paths, steps=tuple(steps))
    among: set[str] = set()
    taken: set[str] = set()
    if not layout.groups:
        steps += made_when_installed(layout)
    for group in layout.groups:
        if place is not None and _nothing_to_choose(group, platform):
            continue
        chosen, told = _of_group(layout, group, platform, contents or {})
        among.update(group.always, (build.path for build in group.builds))
        taken |= chosen
        steps += told
    if layout.imports:
        from runworthy.simulate.layout.dotnet import native_libraries

        steps += native_libraries(layout, platform, frozenset(taken))
    return Choice(among=frozenset(among), taken=frozenset(taken), steps=tuple(steps))


def _nothing_to_choose(group: Group, platform: Platform) -> bool:
    """Whether the files of a package that is for this platform alone only repeat in their names for what it is."""
    return group.ruling == "folder" and all(fits(build.claim, platform) for build in group.builds)


def _of_group(
    layout: Layout, group: Group, platform: Platform, contents: Mapping[str, Contents]
) -> tuple[set[str], Sequence[Step | Event]]:
    """Return the paths of a group that are taken, and how."""
    if group.always:
        text = f"{group.always[0]} is taken before {group.name}, whatever the platform"
        return set(group.always), [Event(stage="environment", kind="built-first", text=text, by=group.always[0])]
    systems = {build.claim.system for build in group.builds}
    if (group.optional or group.ruling == "folder") and "" not in systems and platform.system not in systems:
        text = f"{group.name} is for {' and '.join(sorted(systems))}: nothing of it is for {platform_words(platform)}"
        return set(), [Event(stage="environment", kind="other-systems", text=text)]
    pick = _RULINGS[group.ruling](group, platform)
    if not pick.taken and group.ruling == "prebuilds" and (made := made_when_installed(layout, group.name)):
        return set(), [replace(step, searched=pick.probes) for step in made]
    return {build.path for build in pick.taken}, steps_of(layout, group, pick, platform, contents)
