"""Remedies against the handler that takes a file: that one alone, its package, and all of them as the last resort."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.binfmt import Handler
from runworthy.model.edit import (
    DisableHandler,
    Edit,
    RemoveFile,
    RemovePackages,
    SwitchHandlers,
    UnregisterHandler,
)
from runworthy.model.errors import FormatError
from runworthy.model.program import FileType
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Step
from runworthy.remedies.boot_files import registered_otherwise
from runworthy.remedies.judging import first_cause
from runworthy.remedies.situation import Proposal, Situation, exists, system_of, taker_of
from runworthy.targets.binfmt.services import DATABASE
from runworthy.targets.edits import edited
from runworthy.targets.view import UnseenError

__all__ = ["disable", "last_resort", "proposals", "remove_package"]

_DPKG = "/var/lib/dpkg/info"
# Packages of Debian that bring a handler and nothing else that a program needs.
_HANDLER_PACKAGES = {"wine": "wine-binfmt"}
_LISTED = 256
_MOST = 16  # handlers that are switched off for one file
# What becomes of a file that no handler takes, by its type.
_TAKES: dict[FileType, str] = {
    "ape": "a shell reads the APE as a script",
    "script": "the kernel reads its `#!` line",
    "text": "a shell reads the file",
}


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what gives a program of this machine back to the kernel."""
    yield from disable(situation, cause)
    yield from remove_package(situation, cause)
    yield from last_resort(situation, cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The handlers that are in the way of a file, in the order in which they are tried.

    ``then`` is the handler that takes the file without them; ``free``: nothing keeps it from being started then.
    """

    handlers: tuple[Handler, ...]
    then: Handler | None
    free: bool


def disable(situation: Situation, cause: Step, *, partly: bool = False) -> Iterator[Proposal]:
    """Yield how to switch off the handlers that are in the way, for good where files can be told not to register them.

    It is proposed only where the file starts then; ``partly``: also where it starts from some callers alone.
    """
    way = _way(situation, cause)
    if way is None or not (way.free or partly):
        return
    off = tuple(DisableHandler(name=one.name) for one in way.handlers)
    words = " and ".join(f"{one.name} ({one.interpreter})" for one in way.handlers)
    what = f"switch off the handler{f' {words} alone' if len(off) == 1 else f's {words}'}"
    tells = f"{_loss(way, cause)}; {_then(situation, cause, way)}"
    if system_of(situation.target).container:
        yield Proposal(title=f"on the host of this container, {what}, until it boots: {tells}", edits=off)
        return
    files = registered_otherwise(situation.target.view, {one.name: b"" for one in way.handlers})
    if files.names == {one.name for one in way.handlers}:
        yield Proposal(title=f"{what}, for good: {tells}", edits=(*files.edits, *off), stays=True)
    else:  # binfmt-support has nothing like it: ``--disable`` holds until its service is started again
        yield Proposal(title=f"{what}, until the next boot: {tells}", edits=off)


def _way(situation: Situation, cause: Step) -> _Way | None:
    """Switch off the handler that takes the file, then the one that takes it in its place, until none is in the way."""
    target, result, by = situation.target, situation.result, cause.need.by
    still: Step | None = cause
    off: list[Handler] = []
    then = taker_of(target, result, by)
    while then is not None and still is not None and still.need.by == by and len(off) < _MOST:
        off.append(then)
        target = edited(target, (DisableHandler(name=then.name),))
        result = situation.judge(target, situation.path)
        still, then = first_cause(result), taker_of(target, result, by)
    return _Way(handlers=tuple(off), then=then, free=still is None) if off else None


def _loss(way: _Way, cause: Step) -> str:
    if cause.answer is Answer.UNMET:
        return "as things are, it starts nothing"
    if len(way.handlers) > 1:
        return "what they are for is then started by their interpreters"
    return f"what it is for is then started by `{way.handlers[0].interpreter} FILE`"


def _then(situation: Situation, cause: Step, way: _Way) -> str:
    if way.then is not None:
        return f"{way.then.name} ({way.then.interpreter}) takes the file"
    type_ = situation.file.type if situation.file and cause.need.by == situation.real else "elf"
    return _TAKES.get(type_, "the kernel takes the file itself")


def remove_package(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the removal of the package that brings the handler, where it is one that brings nothing else."""
    handler = taker_of(situation.target, situation.result, cause.need.by)
    package = _HANDLER_PACKAGES.get(handler.name.lower()) if handler else None
    if handler is None or package is None:
        return
    brought = _files_of(situation, package)
    if brought is None:
        return
    held = (path for path in (f"{DATABASE}/{handler.name}", *brought) if exists(situation.target.view, path))
    gone: tuple[Edit, ...] = tuple(RemoveFile(path=path) for path in dict.fromkeys(held))
    yield Proposal(
        title=f"remove the package {package}, where nobody starts Windows programs by their own name",
        edits=(RemovePackages(manager="apt", names=(package,), effects=(*gone, UnregisterHandler(name=handler.name))),),
        stays=True,
    )


def _files_of(situation: Situation, package: str) -> list[str] | None:
    """Return the configuration of handlers that a package of dpkg brings, None where it is not installed."""
    try:
        text = situation.target.view.read(f"{_DPKG}/{package}.list").decode("utf-8", "surrogateescape")
    except (FormatError, OSError, UnseenError):
        return None
    directories = ("/usr/share/binfmts/", "/usr/lib/binfmt.d/")
    return [line for line in text.splitlines() if line.startswith(directories)][:_LISTED]


def last_resort(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield switching all handlers off, and whom that hits."""
    handler = taker_of(situation.target, situation.result, cause.need.by)
    hit = [one.name for one in situation.target.handlers.entries if one.enabled and one != handler]
    if handler is None:
        return
    others = (
        f"this also ends {', '.join(hit[:6])}{' and more' if len(hit) > 6 else ''}" if hit else "no other is registered"
    )
    yield Proposal(
        title=f"as a last resort, switch binfmt_misc off until the next boot: {others}; "
        "containers of other architectures end with it",
        edits=(SwitchHandlers(on=False),),
        last=True,
    )
