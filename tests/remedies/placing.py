"""Situations of files of this machine on targets that are named."""

from __future__ import annotations

from pathlib import Path

from runworthy.engine.again import judge_again
from runworthy.engine.subjects import read_subject
from runworthy.model.records import replace
from runworthy.remedies.situation import Means, Situation
from runworthy.simulate.launch import Launch
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import place

__all__ = ["situation_on"]


def situation_on(path: Path, on: str, *, builds: tuple[Path, ...] = (), scratch: Path | None = None) -> Situation:
    """Return the situation of a file on a target of the catalogue, or in the root of a directory."""
    subject = read_subject(str(path), DirectoryView("/"))
    assert subject.source is not None
    target = TargetName(on).open(subject.arch)
    overlay = Overlay(target.view)
    target = replace(target, view=overlay)
    lies_at = place(subject.source, target, overlay)
    judge = judge_again(str(path), Launch())
    return Situation(
        target=target,
        path=lies_at,
        file=subject.file,
        result=judge(target, lies_at),
        judge=judge,
        means=Means(scratch=str(scratch or path.parent), builds=tuple(map(str, builds))),
    )
