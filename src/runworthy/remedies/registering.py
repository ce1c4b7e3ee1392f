"""How each system registers a handler so that it comes last, wins, and is there after a reboot.

Measured with the programs of systemd 252 and binfmt-support 2.2.2: files of binfmt.d are read in the order of their
names, and the format that is registered last is tried first; ``update-binfmts --enable`` adds formats in the order of
their names, and its service comes after systemd's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.formats.binfmt.registration import format_registration
from runworthy.model.binfmt import Handler
from runworthy.model.edit import Edit, LinkFile, RegisterHandler, RunCommand, WriteFile
from runworthy.model.records import dataclass, replace
from runworthy.remedies.situation import System, exists
from runworthy.targets.binfmt.services import BINFMT_D, DATABASE
from runworthy.targets.binfmt.units import MISC, entries_of
from runworthy.targets.view import FileView

__all__ = ["Way", "conf_directories", "ways"]

_UNITS = "/etc/systemd/system"
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/._-+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to register handlers. ``words`` tell it after "register ..."; ``stays``: it is made for every boot."""

    words: str
    edits: tuple[Edit, ...]
    stays: bool = True


def ways(view: FileView, system: System, handlers: Sequence[Handler], purpose: str) -> Iterator[Way]:
    """Yield the ways of a system, the one that comes last at boot first. ``purpose`` is a comment for files."""
    if system.wsl and _is_plain(handlers):
        yield _after_wsl(view, handlers, purpose)
    if system.binfmt_support:
        yield _with_update_binfmts(view, handlers)
    if system.init == "systemd" and not system.wsl:
        path = _conf_path(view, handlers)
        yield Way(
            words=f"for good, in {path}", edits=(_conf(path, handlers, purpose), _systemd(system, path, handlers))
        )
    if system.init == "openrc":
        path = _conf_path(view, handlers)
        yield Way(
            words=f"for good, in {path}", edits=(_conf(path, handlers, purpose), *_rc_update(view), *_now(handlers))
        )
    yield Way(words="until the next boot", edits=_now(handlers), stays=False)


def conf_directories(view: FileView) -> list[str]:
    """Return the directories of binfmt.d that are there, the one that counts most first."""
    return [path for path in BINFMT_D if exists(view, path)]


def _now(handlers: Sequence[Handler]) -> tuple[Edit, ...]:
    return tuple(RegisterHandler(handler=one) for one in handlers)


# -- systemd and OpenRC: files of binfmt.d ---------------------------------------------------


def _conf_path(view: FileView, handlers: Sequence[Handler]) -> str:
    """Return a file in /etc/binfmt.d whose name sorts after all others."""
    present = [name for path in conf_directories(view) for name in entries_of(view, path) if name.endswith(".conf")]
    return f"/etc/binfmt.d/{_last(handlers[0].name.lower(), present, '.conf')}"


def _last(stem: str, present: Sequence[str], suffix: str = "") -> str:
    """Return ``zz-STEM``, with more of the letter z where a name would sort after it. Bytes are compared.

    A name that goes on behind its letters z with a byte above them sorts after all of these, and is left where it is.
    """
    letters = "zz"
    own = f"zz-{stem}{suffix}"
    others = [name for name in present if name.strip("z") != own.strip("z") and name.lstrip("z") < "{"]
    while any(name > f"{letters}-{stem}{suffix}" for name in others) and len(letters) < 200:
        letters += "z"
    return f"{letters}-{stem}{suffix}"


def _conf(path: str, handlers: Sequence[Handler], purpose: str) -> WriteFile:
    lines = [b"# " + purpose.encode("ascii", "replace"), *map(format_registration, handlers)]
    return WriteFile(path=path, content=b"\n".join(lines) + b"\n")


def _systemd(system: System, path: str, handlers: Sequence[Handler]) -> RunCommand:
    """Return the command that registers the handlers of one file alone: restarting the service would flush others."""
    return RunCommand(argv=(system.systemd_binfmt, path), changes=f"register what {path} says", effects=_now(handlers))


def _rc_update(view: FileView) -> tuple[Edit, ...]:
    """Return what has OpenRC mount binfmt_misc, where it does not yet, and read binfmt.d."""
    levels = [f"/etc/runlevels/{level}" for level in ("sysinit", "boot", "default")]
    missing = [one for one in ("procfs", "binfmt") if not any(exists(view, f"{level}/{one}") for level in levels)]
    return tuple(
        RunCommand(
            argv=("rc-update", "add", service, "boot"),
            changes=f"start {service} at every boot",
            undo=("rc-update", "delete", service, "boot"),
            effects=(LinkFile(path=f"/etc/runlevels/boot/{service}", text=f"/etc/init.d/{service}"),),
        )
        for service in missing
    )


def _after_wsl(view: FileView, handlers: Sequence[Handler], purpose: str) -> Way:
    """Return the way for WSL, which registers Windows' handler behind the services that register handlers."""
    name = _last(handlers[0].name.lower(), entries_of(view, _UNITS), "-binfmt.service")
    unit = f"{_UNITS}/{name}"
    commands = "".join(_unit_lines(one) for one in handlers)
    after = "systemd-binfmt.service wsl-binfmt.service binfmt-support.service"
    text = (
        f"[Unit]\nDescription={purpose}\nAfter={after}\n\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\n{commands}\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    edits: tuple[Edit, ...] = (
        WriteFile(path=unit, content=text.encode("ascii", "replace")),
        LinkFile(path=f"{_UNITS}/multi-user.target.wants/{name}", text=unit),
    )
    return Way(words=f"for good, by {name} after WSL's own", edits=(*edits, *_now(handlers)))


def _unit_lines(handler: Handler) -> str:
    """Return the lines of a unit that register a handler anew. Nothing in them is special to a shell or to systemd."""
    entry, line = f"{MISC}/{handler.name}", format_registration(handler).decode()
    return (
        f'ExecStart=-/bin/sh -c "[ ! -e {entry} ] || echo -1 >{entry}"\n'
        f'ExecStart=/bin/sh -c "echo {line} >{MISC}/register"\n'
    )


def _is_plain(handlers: Sequence[Handler]) -> bool:
    """Whether the lines that register handlers can stand in a unit as they are."""
    return all(set(format_registration(one)) <= _PLAIN for one in handlers)


# -- binfmt-support --------------------------------------------------------------------------


def _with_update_binfmts(view: FileView, handlers: Sequence[Handler]) -> Way:
    """Return the way of binfmt-support. What it writes into its database is what it is judged by."""
    present = entries_of(view, DATABASE)
    edits = tuple(_installed(replace(one, name=_last(one.name.lower(), present))) for one in handlers)
    return Way(words="for good, with update-binfmts", edits=edits)


def _installed(handler: Handler) -> RunCommand:
    interpreter, magic = handler.interpreter, _written(handler.magic)
    yes = {"C": ("--credentials", "yes"), "P": ("--preserve", "yes"), "F": ("--fix-binary", "yes")}
    flags = tuple(word for flag, words in yes.items() if flag in handler.flags for word in words)
    mask = ("--mask", _written(handler.mask)) if handler.mask else ()
    offset = ("--offset", str(handler.offset)) if handler.offset else ()
    program = ("update-binfmts", "--package", "local")
    spec = ("--magic", magic, *mask, *offset, *flags)
    values = ("local", "magic", str(handler.offset), magic, _written(handler.mask), interpreter, "")
    rows = (*values, *("yes" if flag in handler.flags else "" for flag in "CPF"))
    record = "".join(f"{row}\n" for row in rows)
    return RunCommand(
        argv=(*program, "--install", handler.name, interpreter, *spec),
        changes=f"register {handler.name} now and at every boot",
        undo=(*program, "--remove", handler.name, interpreter),
        effects=(
            WriteFile(path=f"{DATABASE}/{handler.name}", content=record.encode("utf-8", "surrogateescape")),
            RegisterHandler(handler=handler),
        ),
    )


def _written(magic: bytes) -> str:
    """Return a magic or mask as update-binfmts takes it: plain letters and digits, the rest as escapes."""
    return "".join(chr(one) if chr(one).isalnum() and one < 0x80 else f"\\x{one:02x}" for one in magic)
