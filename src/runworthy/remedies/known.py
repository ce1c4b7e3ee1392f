"""Remedies by heart: the package that is known to bring a library or an interpreter, where no index is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from runworthy.model.arch import Architecture
from runworthy.model.edit import Edit, InstallPackages, RunCommand
from runworthy.model.errors import FormatError
from runworthy.model.finding import Cost
from runworthy.model.records import replace
from runworthy.model.trace import Step
from runworthy.remedies.situation import Proposal, Situation
from runworthy.rules.known import libc_of_library
from runworthy.targets.packages.choice import Choice, Wanted
from runworthy.targets.packages.known import by_capability, known_choices
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError

__all__ = ["again", "before", "install", "is_there", "proposals"]

_KINDS: dict[str, Literal["library", "path"]] = {
    "library": "library",
    "dlopen": "library",
    "interpreter": "path",
    "script-interpreter": "path",
}


def proposals(situation: Situation, step: Step) -> Iterator[Proposal]:
    """Yield the packages that bring what a step needs."""
    kind = _KINDS.get(step.need.kind)
    name = step.need.name
    if kind is None or (kind == "path" and not name.startswith("/")) or (kind == "library" and "/" in name):
        return
    target = situation.target
    wanted = Wanted(kind=kind, name=name, arch=_architecture(situation))
    choices = known_choices(target, wanted)
    asked = by_capability(target, wanted) if kind == "library" and not choices else ()
    if libc_of_library(name) == "glibc":  # what Alpine has of that name is gcompat's, which has a planner of its own
        asked = tuple(one for one in asked if one.manager != "apk")
    for choice in choices or asked:
        if is_there(target, choice):
            yield again(choice)
            continue
        yield Proposal(
            title=f"install {', '.join(choice.names)}",
            edits=(*before(target, wanted), install(choice)),
            approach="install",
            cost=Cost(packages=len(choice.names) + len(choice.with_them), size=choice.installed),
            unprovable="" if choice.known else choice.why,
            last=not choices,
        )


def install(choice: Choice) -> InstallPackages:
    """Return the edit that installs what was chosen."""
    return InstallPackages(
        manager=choice.manager, names=choice.names, with_them=choice.with_them, effects=choice.effects
    )


def is_there(target: Target, choice: Choice) -> bool:
    """Whether a package manager takes everything that is chosen for installed already, so that it would do nothing."""
    from runworthy.targets.packages.installed import base_view, installed

    try:
        held = installed(replace(target, view=base_view(target.view)))
    except (FormatError, OSError):
        return False
    return held is not None and all(name in held for name in choice.names)


def again(choice: Choice) -> Proposal:
    """Return what is left where a package is installed and its file is gone: its manager alone knows what it was."""
    names = ", ".join(choice.names)
    command = {"apt": "apt-get install --reinstall", "apk": "apk fix --reinstall", "dnf": "dnf reinstall"}
    line = f"{command[choice.manager]} {' '.join(choice.names)}" if choice.manager in command else ""
    return Proposal(
        title=f"install {names} again: it is there for its manager, and its file is not",
        approach="install",
        cost=Cost(packages=len(choice.names), size=choice.size),
        recipe=(line,) if line else (),
        unprovable="whether its manager runs there, and still has that package, is not known here",
    )


def before(target: Target, wanted: Wanted) -> Iterator[Edit]:
    """Yield what has to be done before packages of another architecture can be had: dpkg is told of it."""
    if wanted.arch is target.arch or not target.view.exists("/usr/bin/dpkg"):
        return
    word = {"x86_64": "amd64", "aarch64": "arm64", "armv7": "armhf", "ppc64le": "ppc64el"}.get(
        wanted.arch.name, wanted.arch.name
    )
    try:
        told = target.view.read("/var/lib/dpkg/arch", 1 << 12).decode("ascii", "replace").split()
    except (FormatError, OSError, UnseenError):
        told = []
    if word not in told:
        yield RunCommand(
            argv=("dpkg", "--add-architecture", word),
            undo=("dpkg", "--remove-architecture", word),
            changes=f"takes packages for {word} too",
        )
        yield RunCommand(argv=("apt-get", "update"), changes="reads the lists of packages")


def _architecture(situation: Situation) -> Architecture:
    """Return for which architecture something is missing: the subject's own, where it is an ELF file."""
    try:
        found = situation.target.view.elf(situation.path).facts.architecture
    except (FormatError, OSError, UnseenError):
        found = None
    return found or situation.target.arch
