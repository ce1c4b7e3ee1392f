"""Words of a shell: paths and bytes quoted so that every POSIX shell reads exactly them, and what has to be typed."""

from __future__ import annotations

from runworthy.formats.binfmt.registration import format_registration
from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    EnableHandler,
    InstallPackages,
    KernelEdit,
    RegisterHandler,
    RemovePackages,
    RunCommand,
    SwitchHandlers,
    UnregisterHandler,
)
from runworthy.remedies.managers import CALLS
from runworthy.targets.binfmt.units import MISC

__all__ = ["argv_of", "base64_lines", "comment", "copying", "fresh", "kernel_line", "octal", "quoted", "readable"]

# Where no service has mounted it, as OpenRC's procfs does (and systemd's automount, when somebody looks).
_MOUNTED = f"[ -e {MISC}/register ] || mount -t binfmt_misc -o nodev,noexec,nosuid binfmt_misc {MISC}"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,")
_LINE = 76


def quoted(text: str) -> str:
    """Return one word of a POSIX shell. Bytes that are no UTF-8 (surrogates) are made by printf."""
    if text and _PLAIN.issuperset(text):
        return text
    raw = text.encode("utf-8", "surrogateescape")
    if readable(raw):
        return "'" + text.replace("'", "'\"'\"'") + "'"
    # Command substitution takes newlines off the end: those are quoted.
    body = raw.rstrip(b"\n")
    ends = "'" + "\n" * (len(raw) - len(body)) + "'" if len(raw) > len(body) else ""
    return f"\"$(printf '{octal(body)}')\"{ends}"


def octal(raw: bytes) -> str:
    """Return the format by which printf writes these bytes: letters and digits as they are, the rest by number."""
    return "".join(chr(one) if chr(one) in _PLAIN - {"%", "-"} else f"\\{one:03o}" for one in raw)


def base64_lines(raw: bytes) -> str:
    """Return bytes as lines of base64, for text that stands in a script."""
    from base64 import b64encode

    encoded = b64encode(raw).decode()
    return "".join(f"{encoded[at : at + _LINE]}\n" for at in range(0, len(encoded), _LINE))


def readable(raw: bytes) -> bool:
    """Whether bytes are text that can stand in a script as it is."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


def comment(text: str) -> str:
    """Return text as one line that no reader obeys."""
    return "".join(one if one.isprintable() else "?" for one in text)


def argv_of(edit: RunCommand | InstallPackages | RemovePackages) -> tuple[str, ...]:
    """Return the command of an edit that another program makes."""
    if isinstance(edit, RunCommand):
        return edit.argv
    return CALLS[edit.manager].by_hand(edit.names, install=isinstance(edit, InstallPackages))


def kernel_line(edit: KernelEdit) -> str:
    """Return the shell command that makes an edit of the running kernel; made again, it changes nothing."""
    if isinstance(edit, SwitchHandlers):
        return f"echo {int(edit.on)} >{MISC}/status"
    if isinstance(edit, RegisterHandler):
        entry = quoted(f"{MISC}/{edit.handler.name}")
        line = quoted(format_registration(edit.handler).decode("utf-8", "surrogateescape"))
        return f"{_MOUNTED}; if [ -e {entry} ]; then echo -1 >{entry}; fi; printf %s {line} >{MISC}/register"
    values: dict[type, str] = {UnregisterHandler: "-1", DisableHandler: "0", EnableHandler: "1"}
    entry = quoted(f"{MISC}/{edit.name}")
    return f"if [ -e {entry} ]; then echo {values[type(edit)]} >{entry}; fi"


def fresh(path: str, command: str = ":") -> str:
    """Return the shell command that makes a new file of what a command writes; a link that lies there is not followed.

    Where others may write to the directory, they could have put one there.
    """
    return f"rm -f -- {quoted(path)} && (set -C; {command} >{quoted(path)})"


def copying(edit: CopyFile) -> str:
    """Return the shell command that copies a file and writes over its first bytes."""
    new, path = quoted(f"{edit.path}.new"), quoted(edit.path)
    head = f"printf '{octal(edit.head)}' | dd of={new} conv=notrunc 2>/dev/null && " if edit.head else ""
    copied = f"{fresh(f'{edit.path}.new')} && cp -- {quoted(edit.source)} {new}"
    return f"{copied} && {head}chmod {edit.mode:o} {new} && mv -f -- {new} {path}"
