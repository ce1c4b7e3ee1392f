"""Handlers of this machine's kernel are registered and taken away, and put back in the order in which they were."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runworthy.model.edit import (
    Action,
    DisableHandler,
    Edit,
    EnableHandler,
    KernelEdit,
    RegisterHandler,
    SwitchHandlers,
    UnregisterHandler,
    actions,
)
from runworthy.model.errors import RemedyError
from runworthy.remedies.applying.ground import Ground
from runworthy.remedies.journal import KernelChange

if TYPE_CHECKING:
    from runworthy.remedies.applying.entries import Standing

__all__ = [
    "KERNEL_EDITS",
    "back_lines",
    "carry_out",
    "change",
    "check",
    "handlers_at",
    "standing",
    "take_back",
    "write_lines",
]

KERNEL_EDITS = (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_CONTROL = ("register", "status")
_AWAY = "-1"
_LARGEST = 1 << 16


def check(edit: Edit, ground: Ground) -> None:
    """Raise RemedyError where an edit would change a kernel that is not there to be changed."""
    if not ground.live:
        name = ground.name or "the target"
        raise RemedyError(f"{name} has no running kernel: it is not possible to {edit.words}")
    _point()


def change(edit: KernelEdit) -> KernelChange:
    """Return what an edit comes to on this machine as it is. Raises RemedyError, OSError."""
    point = _point()
    return KernelChange(
        words=edit.words,
        point=point,
        writes=tuple(_lines(point, (edit,))),
        back=back_lines((edit,)),
        before=handlers_at(point),
        boot=_boot(),
    )


def back_lines(edits: Sequence[Edit]) -> tuple[tuple[str, str], ...]:
    """Return the lines that lead from the machine with the edits in place back to it as it is. Raises RemedyError."""
    from runworthy.targets.edits import inverse
    from runworthy.targets.host import host_target

    return tuple(_lines(_point(), actions(inverse(host_target(), tuple(edits)))))


def carry_out(change: KernelChange) -> None:
    """Write the lines. Raises OSError."""
    write_lines(change.writes)


def standing(change: KernelChange) -> Standing:
    """Return whether the handlers are as they were before, as they were left, or otherwise. Raises OSError."""
    if change.boot != _boot():
        return "before"  # the kernel that knew of it is gone
    now = handlers_at(change.point)
    return "before" if now == change.before else "after" if now == change.after else "other"


def take_back(change: KernelChange) -> str:
    """Put the handlers back; return in words what differs from before, if anything does. Raises OSError."""
    if standing(change) == "before":
        return ""
    write_lines(change.back)
    if handlers_at(change.point) != change.before:
        return f"the handlers of {change.point} are not all as they were before: others have changed them"
    return ""


def handlers_at(point: str) -> tuple[tuple[str, str], ...]:
    """Return the handlers that are registered, in their order, each with what the kernel says of it. Raises OSError."""
    names = [name for name in os.listdir(point) if name not in _CONTROL]
    return tuple((name, _text(os.path.join(point, name))) for name in [*names, "status"])


def write_lines(lines: Sequence[tuple[str, str]]) -> None:
    """Write each line into its file with one call, as binfmt_misc wants it. Raises OSError."""
    for path, line in lines:
        try:
            fd = os.open(path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            if line == _AWAY:
                continue  # it has gone already
            raise
        try:
            os.write(fd, line.encode("latin-1"))
        finally:
            os.close(fd)


def _lines(point: str, edits: Sequence[Action]) -> Iterator[tuple[str, str]]:
    from runworthy.formats.binfmt.registration import format_registration

    for edit in edits:
        if isinstance(edit, RegisterHandler):
            yield _file(point, edit.handler.name), _AWAY
            yield _file(point, "register"), format_registration(edit.handler).decode("latin-1")
        elif isinstance(edit, SwitchHandlers):
            yield _file(point, "status"), str(int(edit.on))
        elif isinstance(edit, UnregisterHandler):
            yield _file(point, edit.name), _AWAY
        elif isinstance(edit, (EnableHandler, DisableHandler)):
            yield _file(point, edit.name), str(int(isinstance(edit, EnableHandler)))


def _file(point: str, name: str) -> str:
    if not name or "/" in name or name in (".", ".."):
        raise RemedyError(f"no handler can be called {name}")
    return os.path.join(point, name)


def _point() -> str:
    from runworthy.targets.binfmt.live import read_binfmt_misc

    found = read_binfmt_misc()
    if found.status in ("enabled", "disabled") and found.point:
        return found.point
    raise RemedyError("binfmt_misc is not mounted here", hint="`mount -t binfmt_misc none /proc/sys/fs/binfmt_misc`")


def _boot() -> str:
    return _text(_BOOT_ID).strip()


def _text(path: str) -> str:
    with open(path, encoding="latin-1") as stream:
        return stream.read(_LARGEST)
