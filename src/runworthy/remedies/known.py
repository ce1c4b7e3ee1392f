"""Remedies by heart: the package that is known to bring a library or an interpreter, where no index is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from runworthy.model.arch import Architecture
from runworthy.model.edit import Edit, InstallPackages, RunCommand
from runworthy.model.errors import FormatError
from runworthy.model.finding import Cost
from runworthy.model.trace import Step
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.packages.choice import Choice, Wanted
from runworthy.targets.packages.known import by_capability, known_choices
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError

__all__ = ["before", "install", "proposals"]

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
    for choice in choices or by_capability(target, wanted) if kind == "library" else choices:
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
