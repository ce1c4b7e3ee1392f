"""What is taken of the archives among the subjects on each target, and which of them are installed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runworthy.engine.containers import Holder
from runworthy.engine.promises import choice_on, platform_of
from runworthy.engine.subjects import Subject
from runworthy.model.arch import Architecture
from runworthy.model.layout import Choice, Platform
from runworthy.model.trace import Answer, Step
from runworthy.targets.names import TargetName

if TYPE_CHECKING:  # of use where there is more than one archive
    from runworthy.engine.projects import Projects

__all__ = ["Choices"]


class Choices:
    """The choices of installers among some archives, each made once for a platform.

    ``added`` returns the wheels that are added to every target: they are installed with each wheel that is judged.
    """

    def __init__(self, holders: Sequence[Holder], added: Callable[[], list[Holder]]) -> None:
        self._holders = holders
        self._added = added
        self._projects: Projects | None = None
        self._platforms: dict[tuple[int, str], Platform | None] = {}
        self._made: dict[tuple[int, Platform], Choice | None] = {}

    def of(self, holder: Holder, name: TargetName, arch: Architecture | None) -> Choice | None:
        """Return what the rule of an archive's kind takes on a target, None where it has no such rule."""
        platform = self._platform(name, arch)
        if platform is None:
            return None
        key = (id(holder), platform)
        if key not in self._made:
            self._made[key] = self._among_others(holder, choice_on(holder, platform), platform)
        return self._made[key]

    def _among_others(self, holder: Holder, own: Choice | None, platform: Platform) -> Choice | None:
        """Return the choice with the packages of its project beside it."""
        if len(self._holders) < 2:
            return own
        if self._projects is None:
            from runworthy.engine.projects import Projects

            self._projects = Projects(self._holders)
        return self._projects.choice(holder, own, platform)

    def takes(self, subject: Subject, name: TargetName) -> bool:
        """Whether a member of an archive is what its ecosystem takes on a target; whatever else is judged anywhere."""
        if subject.holder is None or subject.source is None:
            return True
        choice = self.of(subject.holder, name, subject.arch)
        if choice is None:
            return True
        member = subject.holder.view.name_at(subject.source.real)
        return member not in choice.among or member in choice.taken

    def joined(self, holder: Holder, name: TargetName, arch: Architecture | None) -> list[Holder]:
        """Return the packages that are installed with one on a target: those that it requires, and what is added."""
        extra = self._added() if holder.container.kind == "wheel" else []
        found = self._companions(holder, arch)
        holder.joined = [*(one for one in found if not self._refuses(one, name, arch)), *extra]
        return holder.joined

    def _companions(self, holder: Holder, arch: Architecture | None) -> list[Holder]:
        if len(self._holders) < 2:
            return []
        from runworthy.engine.companions import companions

        return companions(holder, self._holders, arch)

    def _refuses(self, holder: Holder, name: TargetName, arch: Architecture | None) -> bool:
        """Whether an installer does not take a package on a target."""
        choice = self.of(holder, name, arch)
        steps = choice.steps if choice else ()
        return any(isinstance(step, Step) and step.answer is Answer.UNMET for step in steps)

    def _platform(self, name: TargetName, arch: Architecture | None) -> Platform | None:
        key = (id(name), arch.name if arch else "")
        if key not in self._platforms:
            self._platforms[key] = platform_of(name, arch)
        return self._platforms[key]
