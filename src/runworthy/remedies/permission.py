"""Remedies for a file that may not be executed where it lies."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.edit import RunCommand, SetMode
from runworthy.model.trace import Step
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.mounts import mount_of
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.view import UnseenError

__all__ = ["executable", "proposals"]


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what lets the file be executed."""
    if "noexec" in (cause.need.name, *cause.detail.replace(",", " ").split()):
        yield from _mounted_to_execute(situation)
    elif "no execute permission" in cause.detail and cause.need.by == situation.real:
        yield executable(situation, situation.path, situation.name)


def executable(situation: Situation, path: str, name: str) -> Proposal:
    """Return the change of mode by which a file at a path, called ``name``, may be executed."""
    title = f"`chmod +x {name}`"
    if path.startswith(f"{SUBJECT_ROOT}/") and situation.means is None:
        return Proposal(title=title, unprovable="the file does not lie in the target")
    try:
        real = situation.target.view.resolve(path).path
        mode = situation.target.view.mode(real)
    except (OSError, UnseenError):
        return Proposal(title=title, unprovable="the file cannot be found")
    # Who may read it may execute it: as chmod +x does with the usual umask, but nobody gets more than that.
    edit = SetMode(path=real, mode=mode | (mode & 0o444) >> 2 | 0o100)
    return Proposal(title=title, edits=(edit,), stays=True)


def _mounted_to_execute(situation: Situation) -> Iterator[Proposal]:
    yield Proposal(
        title=f"put `{situation.name}` into a directory that is not mounted noexec",
        unprovable="where to is for a person to choose",
    )
    point = _mount_point(situation)
    if point:
        yield Proposal(
            title=f"mount {point} so that programs on it can be executed, until the next boot; fstab or its unit says "
            "what comes then",
            edits=(
                RunCommand(
                    argv=("mount", "-o", "remount,exec", point),
                    changes=f"allow execution on {point}",
                    undo=("mount", "-o", "remount,noexec", point),
                ),
            ),
            unprovable="mounts are not edited here",
        )


def _mount_point(situation: Situation) -> str:
    """Return where the file system of the file is mounted, empty where that is not known or the mount is exec."""
    facts = situation.target.machine_facts
    held = mount_of(situation.path, (facts.mounts if facts else None) or ())
    return held.point if held is not None and "noexec" in held.options else ""
