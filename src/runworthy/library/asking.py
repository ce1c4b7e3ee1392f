"""What the arguments of the library's functions mean: understood once, and refused where they cannot be.

The functions write out their arguments one by one, for :func:`help` and for editors. Those that several of them share
are an :class:`Arguments` from there on.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runworthy.model.errors import SubjectError, UsageError
from runworthy.model.records import dataclass
from runworthy.model.trace import STAGES, Stage

if TYPE_CHECKING:
    from typing import TypedDict

    from runworthy.engine import Wishes
    from runworthy.model.finding import Report
    from runworthy.simulate.launch import Launch
    from runworthy.targets.additions import Addition
    from runworthy.targets.names import MachineWish, TargetName

    class CheckOptions(TypedDict, total=False):
        """What a project's file can state of a check, as the arguments of :func:`check`."""

        on: Path | Iterable[Path]
        platform: str
        cpu: str
        page_size: str | int
        kernel: str
        with_: Path | Iterable[Path]
        assume_present: str | Iterable[str]
        at: str | None
        env: Mapping[str, str] | None
        cwd: str | None
        secure: bool
        loaded_by: str | None
        caller: str | Iterable[str]
        at_boot: bool
        until: Stage


__all__ = [
    "ENVIRONMENT",
    "Arguments",
    "Path",
    "Request",
    "Watch",
    "additions",
    "found_subjects",
    "target_names",
    "texts",
    "written",
]

Path = str | os.PathLike[str]
"""A path of this machine."""

Watch = Callable[[str, int, int], None]
"""Is told what is being done (``find``, ``judge``), how far it is, and how much there is."""

ENVIRONMENT = ("HOME", "LD_BIND_NOW", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "QEMU_LD_PREFIX", "TMPDIR")
"""The variables that ``env`` may state."""


class Request(NamedTuple):
    """What is to be judged, on which targets and how."""

    names: list[str]
    targets: list[TargetName]
    wishes: Wishes

    def judged(self, watch: Watch | None = None) -> Report:
        """Return the report on it, with no remedies but those of its rules."""
        from runworthy.engine import Engine

        return Engine(self.wishes).check(self.names, self.targets, watch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of :func:`check`, which tells what each means, as they were given. Other functions have some."""

    subjects: Path | Iterable[Path] = ()
    on: Path | Iterable[Path] = ()
    platform: str = ""
    cpu: str = ""
    page_size: str | int = ""
    kernel: str = ""
    with_: Path | Iterable[Path] = ()
    assume_present: str | Iterable[str] = ()
    at: str | None = None
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    secure: bool = False
    loaded_by: str | None = None
    caller: str | Iterable[str] = ()
    at_boot: bool = False
    loader: str = ""
    until: Stage = "environment"
    trace: bool = False
    steps: bool = True
    jobs: int = 1
    cache: Path | bool = False

    def request(self, *, may_lack: bool = False) -> Request:
        """Return what is asked. Raises UsageError, TargetError, and SubjectError unless all subjects ``may_lack``."""
        from runworthy.targets.names import MachineWish

        names = list(dict.fromkeys(texts(self.subjects))) if may_lack else found_subjects(self.subjects)
        given = texts(self.on)
        if not given:
            _refuse_root(names)
        wish = MachineWish(platform=self.platform, cpu=self.cpu, page_size=str(self.page_size), kernel=self.kernel)
        targets = target_names(given or ("host",), wish, texts(self.assume_present))
        for target in targets:
            target.at_boot = self.at_boot
        return Request(names, targets, self._wishes())

    def _wishes(self) -> Wishes:
        """Return how it is to be judged. Raises UsageError."""
        from runworthy.engine import Wishes

        return Wishes(
            launch=self._launch(),
            at=self.at,
            additions=additions(self.with_),
            steps=self.steps or self.trace,
            jobs=self.jobs,
            cache=_cache(self.cache),
        )

    def _launch(self) -> Launch:
        """Return how the subjects are started. Raises UsageError."""
        from runworthy.simulate.launch import Launch

        _refuse_paths({"--at": self.at, "--cwd": self.cwd, "--loader": self.loader or None})
        for name in self.env or {}:
            if name not in ENVIRONMENT:
                raise UsageError(f"--env {name} is not modelled", hint=f"{', '.join(ENVIRONMENT)} are", option="--env")
        if self.until not in STAGES:
            raise UsageError(f"--until {self.until} is no stage", hint=f"{', '.join(STAGES)} are", option="--until")
        return Launch(
            env=dict(self.env or {}),
            secure=self.secure,
            cwd=self.cwd or "/",
            cwd_stated=self.cwd is not None,
            loaded_by=self.loaded_by,
            until=self.until,
            trace=self.trace,
            callers=_callers(texts(self.caller)),
        )


def texts(given: Path | Iterable[Path]) -> list[str]:
    """Return one word or path, or each of several, as texts."""
    held = [given] if isinstance(given, (str, os.PathLike)) else given
    return [os.fspath(one) for one in held]


def found_subjects(given: Path | Iterable[Path], *, all_of_them: bool = False) -> list[str]:
    """Return the names of subjects, each once. Raises SubjectError where none is there, or not ``all_of_them``."""
    from runworthy.engine import missing_subjects

    names = list(dict.fromkeys(texts(given)))
    missing = missing_subjects(names)
    if missing if all_of_them else missing == names:
        raise SubjectError(missing)
    return names


def target_names(on: Iterable[str], wish: MachineWish | None = None, present: Sequence[str] = ()) -> list[TargetName]:
    """Return the targets of what is written after ``--on``, each once, on the machine that is stated.

    ``present`` are the libraries that are taken as present. Raises UsageError. Targets are opened, and found to be
    there or not, when a subject is judged on them.
    """
    from runworthy.targets.names import MachineWish, TargetName

    if "" in present:
        hint = "as in --assume-present libssl.so.3"
        raise UsageError("--assume-present names no library", hint=hint, option="--assume-present")
    stated = wish or MachineWish()
    names = dict.fromkeys(name for part in written(on) for name in _of_set(part))
    return [TargetName(name, stated, tuple(present)) for name in names]


def written(on: Iterable[str]) -> list[str]:
    """Return what is written after ``--on``, each once: lists with commas are taken apart, sets stand as they are."""
    return list(dict.fromkeys(part for text in on for part in _split(text)))


def _split(text: str) -> list[str]:
    """Return the targets of a list with commas. A path that exists is one target, whatever letters it has."""
    parts = text.split(",")
    if len(parts) == 1 or os.path.exists(text) or not all(parts):
        return [text]
    return [part.strip() for part in parts]


def _of_set(name: str) -> Iterable[str]:
    """Return the targets that a named set (``@release``) holds, any other name as it is. Raises TargetError."""
    if not name.startswith("@"):
        return (name,)
    from runworthy.targets.catalogue.sets import names_in

    return names_in(name)


def additions(with_: Path | Iterable[Path]) -> Sequence[Addition]:
    """Return what ``with_`` adds to each target. Raises UsageError."""
    specs = texts(with_)
    if not specs:
        return ()
    from runworthy.targets.additions import addition

    return [addition(spec) for spec in specs]


def _callers(names: Sequence[str]) -> tuple[str, ...]:
    """Return who executes the subjects, each once. Raises UsageError."""
    if not names:
        from runworthy.simulate.launch import CALLERS

        return CALLERS
    from runworthy.simulate.execve.callers import CALLERS as KNOWN
    from runworthy.simulate.execve.callers import GROUPS

    for name in names:
        if name not in KNOWN and name not in GROUPS:
            hint = f"{', '.join(dict.fromkeys((*GROUPS, *KNOWN)))} are"
            raise UsageError(f"--caller {name} is not known", hint=hint, option="--caller")
    return tuple(dict.fromkeys(names))


def _cache(wish: Path | bool) -> str:  # noqa: FBT001 - as callers of check write it
    """Return the directory of the cache, empty for none."""
    if wish is True:
        from runworthy.targets.kept import cache_directory

        return cache_directory()
    return os.fspath(wish) if wish else ""


def _refuse_paths(given: Mapping[str, str | None]) -> None:
    """Raise UsageError for a path in the target, by its option, that is not absolute or not normal."""
    for option, path in given.items():
        if path is not None and (not path.startswith("/") or path != posixpath.normpath(path)):
            hint = "as in /usr/bin/app"
            raise UsageError(f"{option} {path!r} is no absolute path without `.` and `..`", hint=hint, option=option)


def _refuse_root(subjects: Sequence[str]) -> None:
    """Raise UsageError for the root of another system when nothing says where it is to run."""
    for name in filter(os.path.isdir, subjects):
        from runworthy.targets.placement import is_own_root

        if is_own_root(name):
            named = name if name.startswith((".", "/", "~")) else f"./{name}"
            raise UsageError(
                f"{name} is the root of a system, and no target is named",
                hint=f"`--on {named}` judges it in itself, `--on host` on this machine",
            )
