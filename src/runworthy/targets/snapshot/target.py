"""A snapshot as a target."""

from __future__ import annotations

from runworthy.model.arch import Architecture
from runworthy.model.errors import TargetError
from runworthy.targets.binfmt.live import handlers_of
from runworthy.targets.host import root_target
from runworthy.targets.snapshot.view import open_snapshot
from runworthy.targets.target import Target

__all__ = ["snapshot_target"]


def snapshot_target(path: str, name: str, stated: Architecture | None, wanted: Architecture | None) -> Target:
    """Return the target in the file ``path``: on the machine that it was captured on, else as a directory would be.

    Raises TargetError.
    """
    view = open_snapshot(path)
    facts = view.meta.machine
    machine = facts.machine() if facts else None
    if facts is None or (machine is None and stated):
        return root_target(view, path, name, stated, wanted)
    if machine is None:
        raise TargetError(
            f"{path} was captured on the architecture {facts.arch}, which is not known", hint="state it with --platform"
        )
    if stated and stated.name != machine.arch.name:
        raise TargetError(f"{path} was captured on {machine.arch.name}, not {stated.name}", hint="leave --platform out")
    handlers = handlers_of(facts.binfmt)
    return Target(name=name, view=view, machine=machine, machine_facts=facts, handlers=handlers, arch_stated=True)
