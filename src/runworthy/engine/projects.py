"""Several packages of one project among the subjects: on each target an installer takes one of them.

The wheels of one release differ in their platforms; a package of npm has one more for each platform among its optional
dependencies. What an installer leaves out on a target is not judged there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runworthy.engine.containers import Holder
from runworthy.engine.promises import layout_in, wheel_name
from runworthy.formats.wheel import normalized
from runworthy.model.layout import Choice, Layout, Platform
from runworthy.model.records import replace
from runworthy.model.trace import Event, Step
from runworthy.model.wheel import WheelName

__all__ = ["Projects"]


class Projects:
    """The packages among some archives that belong together. Choices are made once for each platform."""

    def __init__(self, holders: Iterable[Holder]) -> None:
        self._wheels = _builds_of_wheels(holders)
        self._packages = _packages_of_npm(holders)
        self._made: dict[tuple[str, Platform], Choice] = {}

    def choice(self, holder: Holder, own: Choice | None, platform: Platform) -> Choice | None:
        """Return what is taken of a package, where those beside it count: nothing where one of them is taken."""
        names = self._wheels.get(holder.name)
        if names is not None:
            chosen = self._of_wheels(names, platform)
            if chosen.taken - {holder.name}:
                return _left_out(holder, chosen, platform)
            if own is not None and not _is_for(names[holder.name], platform):
                return replace(own, among=frozenset(holder.members))
            return own
        layout = self._packages.get(holder.name)
        if layout is None or own is None:
            return own
        chosen = self._of_npm(platform)
        if holder.name in chosen.among - chosen.taken:
            return _left_out(holder, chosen, platform)
        family = (step for step in chosen.steps if isinstance(step, Step) and _is_about(step, layout))
        return replace(own, steps=(*own.steps, *family))

    def _of_wheels(self, names: Mapping[str, WheelName], platform: Platform) -> Choice:
        from runworthy.simulate.wheel import choose

        key = min(names), platform
        if key not in self._made:
            self._made[key] = choose(names, platform)
        return self._made[key]

    def _of_npm(self, platform: Platform) -> Choice:
        from runworthy.simulate.layout import choose_among

        key = "", platform
        if key not in self._made:
            self._made[key] = choose_among(self._packages, platform)
        return self._made[key]


def _builds_of_wheels(holders: Iterable[Holder]) -> dict[str, Mapping[str, WheelName]]:
    """Return of each wheel the builds of one release for the same Pythons that it is one of, where there are several.

    Those for other Pythons are for other environments.
    """
    groups: dict[object, dict[str, WheelName]] = {}
    for holder in holders:
        name = wheel_name(holder)
        if name is not None:
            key = normalized(name.project), name.version, name.pythons, name.abis
            groups.setdefault(key, {})[holder.name] = name
    return {file: group for group in groups.values() if len(group) > 1 for file in group}


def _packages_of_npm(holders: Iterable[Holder]) -> dict[str, Layout]:
    found = {holder.name: layout for holder in holders if (layout := layout_in(holder)) is not None and layout.npm}
    return found if len(found) > 1 else {}


def _is_about(step: Step, layout: Layout) -> bool:
    return step.need.name.startswith(f"{layout.name} (")


def _left_out(holder: Holder, chosen: Choice, platform: Platform) -> Choice:
    """Return the choice of a package of which nothing is taken, since another one is."""
    words = _listed(sorted(chosen.taken))
    text = f"{words} is taken on {platform.target} in its place" if words else f"it is left out on {platform.target}"
    event = Event(stage="environment", kind="left-out", text=text, by=holder.name)
    return Choice(target=platform.target, among=frozenset(holder.members), steps=(event,))


def _is_for(name: WheelName, platform: Platform) -> bool:
    """Whether a wheel is for the architecture: what is in any other need not be judged to know that."""
    from runworthy.simulate.wheel.tags import platform_tags

    return any(platform.arch.name in tag.archs for tag in platform_tags(name))


def _listed(names: Sequence[str]) -> str:
    return names[0].rpartition("/")[2] if len(names) == 1 else ""
