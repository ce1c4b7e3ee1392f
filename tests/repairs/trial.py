"""A broken pair on trial: what is proposed for it, and what becomes of it when that is carried out for real."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Literal

import runworthy
from runworthy.engine import Engine, Wishes
from runworthy.model.edit import InstallPackages, RunCommand
from runworthy.model.errors import RemedyError
from runworthy.model.finding import Remedy
from runworthy.remedies.applying import apply, undo
from runworthy.remedies.applying.ground import ground_of
from runworthy.remedies.fixing import Planned, plans
from runworthy.remedies.journal import Journal
from runworthy.remedies.situation import Means
from runworthy.targets.names import TargetName
from tests.repairs.broken import Broken
from tests.repairs.forbidden import forbidden
from tests.repairs.scene import Scene, Scenes, Tree, tree_of

__all__ = ["Trial", "Tried", "tried"]

Came = Literal["ran", "did not run", "not carried out", "no judge"]

# ldconfig writes its cache anew, and notes for itself: the same in other bytes, which no undo promises.
_OF_LDCONFIG = re.compile(r"etc|etc/ld\.so\.cache|var/cache|var/cache/ldconfig(/aux-cache)?")

# Targets of the catalogue that are roots of the judges.
_JUDGES = {
    ("x86_64", "debian:11"): "bullseye-amd64",
    ("x86_64", "debian:12"): "bookworm-amd64",
    ("x86_64", "debian:13"): "trixie-amd64",
    ("i386", "debian:13"): "trixie-i386",
    ("aarch64", "debian:11"): "bullseye-arm64",
    ("aarch64", "debian:13"): "trixie-arm64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A remedy, and what came of it. ``undone`` says in what the tree differed after undo."""

    remedy: Remedy
    came: Came
    words: str = ""
    undone: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A broken pair and all that was tried. ``before`` is how it ended as it was, ``seconds`` what planning took."""

    broken: Broken
    verdict: str
    before: str
    seconds: float
    tried: tuple[Tried, ...]


def tried(broken: Broken, scenes: Scenes, *, only_proved: bool = False) -> Trial:
    """Plan for a broken pair, and carry out every remedy by itself, each in a scene of its own.

    What is proved is carried out as a person would, by :func:`runworthy.fix`; what is not proved is carried out without
    asking whether it helps.
    """
    with scenes.made(broken) as scene, TemporaryDirectory() as scratch:
        before = scenes.run(broken, scene)
        started = time.monotonic()
        verdict, planned = _planned(broken, scene, scratch)
        seconds = time.monotonic() - started
        remedies = planned.plan.remedies if planned else ()
        found = [_forbidden(one, scene) for one in remedies]
    came = []
    for number, remedy in enumerate(remedies):
        if not remedy.proved and only_proved:
            continue
        made = _one(broken, scenes, number, remedy)
        came.append(Tried(remedy=remedy, came=made[0], words=made[1], undone=made[2], forbidden=found[number]))
    ended = "runs" if before.ran else before.words
    return Trial(broken=broken, verdict=verdict, before=ended, seconds=seconds, tried=tuple(came))


def _planned(broken: Broken, scene: Scene, scratch: str) -> tuple[str, Planned | None]:
    name = str(scene.given(broken.subject))
    target = TargetName(f"rootfs:{scene.root.path}")
    wishes = Wishes()
    report = Engine(wishes).check([name], [target])
    means = Means(scratch=scratch, packages=_packages(broken, scene))
    found = plans(report, [target], wishes, means)
    return report.results[0].verdict, found[0] if found else None


def _packages(broken: Broken, scene: Scene) -> tuple[str, ...]:
    at_hand = (str(scene.root.path / "repo"),) if broken.at_hand else ()
    return (*at_hand, *(str(scene.given(one)) for one in broken.brought))


def _forbidden(remedy: Remedy, scene: Scene) -> tuple[str, ...]:
    return tuple(forbidden(remedy.edits, scene.root.path, musl=scene.root.libc == "musl"))


def _one(broken: Broken, scenes: Scenes, number: int, remedy: Remedy) -> tuple[Came, str, tuple[str, ...]]:
    if remedy.elsewhere:
        return (*_elsewhere(broken, scenes, remedy), ())
    if not remedy.edits and not remedy.path:
        return "not carried out", "a person has to do it", ()
    with scenes.made(broken) as scene, _journal() as journal:
        before = tree_of(scene.root.path), tree_of(scene.outside) if scene.outside else {}
        why = _as_a_person(broken, scene, number, remedy) if remedy.proved else _anyway(broken, scene, number, journal)
        if why:
            return "not carried out", why, ()
        ending = scenes.run(broken, scene, remedy.path)
        left = tuple(_undone(scene, before, journal, remedy)) if remedy.edits else ()
    return "ran" if ending.ran else "did not run", ending.words, left


def _as_a_person(broken: Broken, scene: Scene, number: int, remedy: Remedy) -> str:
    """Carry a proved remedy out through the front door; return why it was not, empty where it was."""
    report = runworthy.fix(
        str(scene.given(broken.subject)),
        on=f"rootfs:{scene.root.path}",
        packages=_packages(broken, scene),
        apply=True,
        unsafe=True,
        choose=number + 1,
    )
    (repair,) = report.repairs
    if _plain(repair.remedy.title) != _plain(remedy.title):
        return f"another plan the second time: {repair.remedy.title}"
    return "" if repair.kept else repair.why or "it was not kept"


def _plain(title: str) -> str:
    """Return a title without the names of scenes."""
    return re.sub(r"scene-[^/ ]+", "", title)


def _anyway(broken: Broken, scene: Scene, number: int, journal: Journal) -> str:
    """Carry a remedy out that is not proved, whatever judging says of it afterwards."""
    with TemporaryDirectory() as scratch:
        _, planned = _planned(broken, scene, scratch)
        if planned is None or number >= len(planned.plan.remedies):
            return "another plan the second time"
        remedy = planned.plan.remedies[number]
        try:
            entry = apply(remedy.edits, ground_of(planned.situations[0].target), journal, allow_unsafe=True)
        except RemedyError as error:
            return str(error)
        return "" if entry.state == "applied" else entry.reason


def _undone(scene: Scene, before: tuple[Tree, Tree], journal: Journal, remedy: Remedy) -> Iterator[str]:
    """Take everything back and yield in what the trees differ from what they were."""
    try:
        done = undo(journal)
    except RemedyError as error:
        yield f"undo: {error}"
        return
    yield from (line for line in done.left if not line.startswith("no command is known that takes this back: apt-get"))
    if any(isinstance(edit, InstallPackages) for edit in remedy.edits):
        return  # taken back by their manager, and never byte by byte
    by_ldconfig = any(isinstance(edit, RunCommand) and edit.program == "ldconfig" for edit in remedy.edits)
    for was, top in zip(before, (scene.root.path, scene.outside), strict=True):
        now = tree_of(top) if top else {}
        differs = (path for path in sorted({*was, *now}) if was.get(path) != now.get(path))
        yield from (path for path in differs if not (by_ldconfig and _OF_LDCONFIG.fullmatch(path)))


def _elsewhere(broken: Broken, scenes: Scenes, remedy: Remedy) -> tuple[Came, str]:
    name, _, arch = remedy.elsewhere.partition("/")
    root = _JUDGES.get((arch or "x86_64", name.removesuffix("-slim")))
    if root is None:
        return "no judge", remedy.elsewhere
    with scenes.made(broken, root=root) as scene:
        ending = scenes.run(broken, scene)
    return "ran" if ending.ran else "did not run", ending.words


@contextmanager
def _journal() -> Iterator[Journal]:
    """Have the journal of :func:`runworthy.fix` in a directory of its own."""
    held = os.environ.get("XDG_STATE_HOME")
    with TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state
        try:
            yield Journal()
        finally:
            if held is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = held
