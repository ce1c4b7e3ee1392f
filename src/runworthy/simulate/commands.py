"""Commands that scripts start by their names: looked up in PATH as execvp(3) and shells do."""

from __future__ import annotations

from runworthy.model.trace import Answer, Need, Probe, Step
from runworthy.simulate.permission import denied
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError

__all__ = ["PATH", "command_step", "find_command"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What login programs and container runtimes set where nothing else is said."""


def find_command(target: Target, name: str, search: str = PATH) -> tuple[str | None, tuple[Probe, ...]]:
    """Return the real path of the first executable file of this name in PATH, and the paths that were tried."""
    probes: list[Probe] = []
    for path in [name] if "/" in name else [f"{directory or '.'}/{name}" for directory in search.split(":")]:
        try:
            found = target.view.find(path)
        except UnseenError:
            continue
        if not isinstance(found, int):
            if found.entry.kind == "file" and not denied(target, found.path):
                return found.path, (*probes, Probe(path=path, origin="PATH", outcome="found"))
            probes.append(Probe(path=path, origin="PATH", outcome="is not executable"))
        else:
            probes.append(Probe(path=path, origin="PATH"))
    return None, tuple(probes)


def command_step(target: Target, name: str, by: str, detail: str, search: str = PATH) -> Step:
    """Return the need of a script for a command; ``detail`` is what is said where it is missing."""
    need = Need(kind="tool", name=name, by=by)
    found, probes = find_command(target, name, search)
    if found is not None:
        return Step(stage="exec", need=need, answer=Answer.MET, met_by=found, searched=probes)
    if target.view.authority is None:
        return Step(stage="exec", need=need, answer=Answer.UNMET, searched=probes, detail=detail)
    return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="outside-core", searched=probes)
