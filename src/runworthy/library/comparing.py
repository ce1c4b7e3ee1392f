"""Comparing two builds, or two targets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runworthy.library.asking import Path, Watch, additions, target_names, texts
from runworthy.model.errors import SubjectError

if TYPE_CHECKING:
    from runworthy.model.difference import Difference
    from runworthy.model.target_difference import TargetDifference

__all__ = ["diff", "diff_targets"]


def diff(
    old: Path,
    new: Path,
    on: Path | Iterable[Path] = (),
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    at: str | None = None,
    watch: Watch | None = None,
) -> Difference:
    """Compare two builds as ``runworthy diff`` does: files, archives, directories, or directories of assets.

    >>> import runworthy
    >>> difference = runworthy.diff("app", "server", on="debian:12")
    >>> [(cell.shift, cell.new.verdict) for cell in difference.pairs[0].cells]
    [('worse', 'fails')]

    Where ``on`` is empty, targets of the catalogue are taken. Raises SubjectError where one of the builds is not there,
    TargetError and UsageError as :func:`check` does.
    """
    from runworthy.engine import Wishes, missing_subjects
    from runworthy.engine.diff import compare_builds
    from runworthy.targets.names import MachineWish

    before, after = os.fspath(old), os.fspath(new)
    if missing := missing_subjects((before, after)):
        raise SubjectError(missing)
    wish = MachineWish(platform=platform, cpu=cpu, page_size=str(page_size), kernel=kernel)
    assumed = texts(assume_present)
    return compare_builds(
        before,
        after,
        target_names(texts(on), wish, assumed),
        like=target_names([""], wish, assumed)[0],
        wishes=Wishes(at=at, additions=additions(with_)),
        watch=watch,
    )


def diff_targets(old: Path, new: Path, *, platform: str = "") -> TargetDifference:
    """Compare what two targets have for a loader, as ``runworthy targets diff`` does.

    >>> import runworthy
    >>> runworthy.diff_targets("debian:11", "debian:12", platform="amd64").exit_code()
    1

    Raises TargetError and UsageError.
    """
    from runworthy.engine.target_diff import compare_targets
    from runworthy.targets.names import MachineWish, TargetName

    wish = MachineWish(platform=platform)
    return compare_targets(TargetName(os.fspath(old), wish), TargetName(os.fspath(new), wish))
