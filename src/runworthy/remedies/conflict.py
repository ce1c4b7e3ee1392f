"""Remedies against the handler that takes a file: that one alone, its package, and all of them as the last resort."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.binfmt import Handler
from runworthy.model.edit import (
    DisableHandler,
    Edit,
    LinkFile,
    RemoveFile,
    RemovePackages,
    SwitchHandlers,
    UnregisterHandler,
)
from runworthy.model.errors import FormatError
from runworthy.model.trace import Step
from runworthy.remedies.registering import conf_directories
from runworthy.remedies.situation import Proposal, Situation, exists
from runworthy.targets.binfmt.services import DATABASE
from runworthy.targets.view import UnseenError

__all__ = ["disable", "last_resort", "proposals", "remove_package"]

_DPKG = "/var/lib/dpkg/info"
# Packages of Debian that bring a handler and nothing else that a program needs.
_HANDLER_PACKAGES = {"wine": "wine-binfmt"}
_LISTED = 256


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what gives a program of this machine back to the kernel."""
    del cause
    yield from disable(situation, "the kernel takes the file itself")
    yield from remove_package(situation)
    yield from last_resort(situation)


def disable(situation: Situation, then: str) -> Iterator[Proposal]:
    """Yield how to switch off the one handler that is in the way, for good where its file can be masked."""
    handler = situation.taker()
    if handler is None:
        return
    what = f"switch off the handler {handler.name} ({handler.interpreter}) alone"
    masks = tuple(_masked(situation, handler))
    off = DisableHandler(name=handler.name)
    loss = f"what it is for is then started by `{handler.interpreter} FILE`; {then}"
    if masks:
        yield Proposal(title=f"{what}, for good: {loss}", edits=(*masks, off), stays=True)
    else:
        yield Proposal(title=f"{what}, until the next boot: {loss}", edits=(off,))


def _masked(situation: Situation, handler: Handler) -> Iterator[Edit]:
    """Yield the link of the same name that keeps systemd from reading the file that registers a handler.

    binfmt-support has nothing like it: ``--disable`` holds until its service is started again.
    """
    directory, _, name = handler.origin.rpartition("/")
    others = [path for path in conf_directories(situation.target.view) if path != "/etc/binfmt.d"]
    if name.endswith(".conf") and directory in others:
        yield LinkFile(path=f"/etc/binfmt.d/{name}", text="/dev/null")


def remove_package(situation: Situation) -> Iterator[Proposal]:
    """Yield the removal of the package that brings the handler, where it is one that brings nothing else."""
    handler = situation.taker()
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


def last_resort(situation: Situation) -> Iterator[Proposal]:
    """Yield switching all handlers off, and whom that hits."""
    handler = situation.taker()
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
