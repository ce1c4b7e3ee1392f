"""The report of an earlier check, given again where nothing has changed that it depends on.

A check depends on what was asked, on this program, and on every path that it looked at. It is remembered with all of
that. A directory that was listed has to be as it was; of one that was only passed through, it is enough that it is
the same directory, as open to this user as it was.
"""

from __future__ import annotations

import os
import pickle
import stat
import time
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runworthy.model.finding import Report
from runworthy.targets.cache import Cache, Signature, is_settled, signature_of, times_of
from runworthy.targets.directory import Trail

if TYPE_CHECKING:
    from runworthy.engine.check import Wishes
    from runworthy.targets.names import TargetName

__all__ = ["Recall"]

_MASK = (1 << 64) - 1
_ABSENT = (0,) * 6
_CTIMES = slice(4, None, 6)


class Recall:
    """What one request has to do with earlier ones. It begins before anything is looked at."""

    def __init__(self, cache: Cache, subjects: Sequence[str], targets: Sequence[TargetName], wishes: Wishes) -> None:
        self._cache = cache
        self._began = time.time_ns()
        self._targets = targets
        self._roots = _roots(targets)
        self._key = _key(subjects, targets, wishes, self._roots)

    def report(self) -> Report | None:
        """Return the report of the same request, if nothing that it depends on has changed."""
        held = self._cache.report(self._key)
        if held is None:
            return None
        *paths, signatures, report = pickle.loads(held)  # noqa: S301 - from a file that only its user can write
        if _signatures(*map(_split, paths)).tobytes() != signatures:
            return None
        found = pickle.loads(zlib.decompress(report))  # noqa: S301 - likewise
        return found if isinstance(found, Report) else None

    def keep(self, report: Report, trail: Trail) -> None:
        """Remember a report, unless something that it depends on has changed just now."""
        directories = sorted(set(trail.listed))
        others = sorted(set(trail.looked).difference(directories))
        foreign = sorted(set(trail.foreign).difference(others))
        found = _signatures(others, directories, foreign)
        if (
            all(is_settled(ctime, self._began) for ctime in found[_CTIMES])
            and all(_is_still(path, held) for path, held in trail.passed.items())
            and self._roots == _roots(self._targets)
        ):
            paths = ["\0".join(some) for some in (others, directories, foreign)]
            parts = (*paths, found.tobytes(), zlib.compress(pickle.dumps(report), 1))
            self._cache.keep_report(self._key, pickle.dumps(parts))


def _split(joined: str) -> list[str]:
    return joined.split("\0") if joined else []


def _signatures(looked: Iterable[str], listed: Iterable[str], foreign: Iterable[str]) -> array[int]:
    """Return the signatures of paths, one after the other. Of foreign files the times have to do."""
    numbers: list[int] = []
    for paths, sign in ((looked, _signature_if_passed), (listed, signature_of), (foreign, times_of)):
        for path in paths:
            try:
                numbers += sign(path, os.lstat(path))
            except (OSError, ValueError):
                numbers += _ABSENT
    return array("Q", [number & _MASK for number in numbers])


def _signature_if_passed(path: str, status: os.stat_result) -> Signature:
    """Return the signature of what one entry was asked for: of a directory it matters only whether it lets one in."""
    if stat.S_ISDIR(status.st_mode):
        return status.st_dev, status.st_ino, status.st_mode, os.access(path, os.X_OK), 0, 0
    return signature_of(path, status)


def _is_still(path: str, identity: tuple[int, int]) -> bool:
    """Whether a directory is where it was: one that is moved takes all that lies in it along, with its times."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return (status.st_dev, status.st_ino) == identity


def _roots(targets: Iterable[TargetName]) -> list[str]:
    """Return where the roots in directories lie: a link above one may lead elsewhere tomorrow."""
    return [os.path.realpath(directory) for target in targets if (directory := target.directory) is not None]


def _key(subjects: Sequence[str], targets: Sequence[TargetName], wishes: Wishes, roots: Sequence[str]) -> bytes:
    """Return the words for a request: who asks for what, where, of which program, on which machine."""
    import hashlib

    asked = [(target.text, target.wish, tuple(target.present), target.at_boot) for target in targets]
    who = [getattr(os, name, int)() for name in ("geteuid", "getegid", "getgroups")]
    machine = None
    if any(target.text == "host" for target in targets):
        from runworthy.simulate.launch import SURROUNDINGS
        from runworthy.targets.credentials import own_credentials
        from runworthy.targets.host import running_facts

        machine = running_facts(), own_credentials(), [os.environ.get(name) for name in SURROUNDINGS]
    where = (os.getcwd(), list(roots), machine)
    words = (list(subjects), where, asked, wishes.launch, wishes.at, wishes.steps, who, _program())
    return hashlib.sha256(repr(words).encode("utf-8", "surrogateescape")).digest()


def _program() -> list[tuple[str, int, int]]:
    """Return the files of this package, each with its size and time of change."""
    import runworthy

    top = os.path.dirname(runworthy.__file__)
    found = []
    for directory, below, names in os.walk(top):
        below[:] = [name for name in below if name != "__pycache__"]
        for name in names:
            status = os.stat(os.path.join(directory, name))
            found.append((f"{directory[len(top) :]}/{name}", status.st_size, status.st_mtime_ns))
    return sorted(found)
