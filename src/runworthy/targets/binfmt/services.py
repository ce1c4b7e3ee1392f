"""What registers handlers when a system boots: systemd-binfmt, update-binfmts, OpenRC's script, lines of a shell."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from runworthy.formats.binfmt.conf import SUFFIX, chosen, rule_name, shell_rules, systemd_rules
from runworthy.formats.binfmt.database import Format, parse_format
from runworthy.formats.binfmt.registration import RegistrationError, parse_registration
from runworthy.model.binfmt import Handler
from runworthy.model.errors import FormatError
from runworthy.model.records import replace
from runworthy.targets.binfmt.registry import Registry, is_there, names_nothing, small_text
from runworthy.targets.binfmt.units import entries_of, real_directories
from runworthy.targets.view import FileView, UnseenError

__all__ = [
    "BINFMT_D",
    "DATABASE",
    "IMPORTS",
    "openrc_binfmt",
    "shell_lines",
    "systemd_binfmt",
    "update_binfmts",
]

BINFMT_D: Final = ("/etc/binfmt.d", "/run/binfmt.d", "/usr/local/lib/binfmt.d", "/usr/lib/binfmt.d", "/lib/binfmt.d")
"""In order of precedence. The last one is read by a systemd that was built for a separate /usr."""
DATABASE: Final = "/var/lib/binfmts"
IMPORTS: Final = "/usr/share/binfmts"
_RUN: Final = "/run/binfmt.d"
_FILES: Final = 1024
_LINE: Final = 4096
_CHOOSERS: Final = ("/usr/lib/binfmt-support/run-detectors", "/usr/libexec/binfmt-support/run-detectors")
_OPENRC_SCRIPTS: Final = ("/usr/libexec/rc/sh/binfmt.sh", "/lib/rc/sh/binfmt.sh", "/libexec/rc/sh/binfmt.sh")
# What a shell is told to write to a file of binfmt_misc.
_ECHO: Final = re.compile(
    r"""(?:echo|printf)\s+(?:-[neE]+\s+)?(?:--\s+)?
        (?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s'"<>;|&]+))
        \s*(?:\||1?>>?|\)\s*>)\s*(?:(?:sudo\s+)?tee\s+(?:-a\s+)?)?
        ["']?/proc/sys/fs/binfmt_misc/(?P<file>[^\s"';)|&]+)""",
    re.VERBOSE,
)


def systemd_binfmt(registry: Registry, *, separate: bool, volatile: bool, locked: bool = False) -> None:
    """Do what systemd-binfmt does: forget every handler, then read all files of binfmt.d.

    ``separate``: it reads /lib/binfmt.d too. ``volatile``: what is in /run counts. ``locked``: WSL keeps it from
    forgetting the handlers.
    """
    if not locked:
        registry.flush()
    for directory, name in _chosen(registry, separate=separate, volatile=volatile):
        _apply(registry, f"{directory}/{name}", systemd_rules, _systemd_rule)


def openrc_binfmt(registry: Registry) -> None:
    """Do what the service ``binfmt`` of OpenRC does: read the files of binfmt.d; it forgets nothing."""
    view = registry.view
    raw = not any(b"read -r" not in text for path in _OPENRC_SCRIPTS if (text := _script(view, path)))
    found: dict[str, str] = {}
    for directory in ("/usr/lib/binfmt.d", "/usr/local/lib/binfmt.d", "/etc/binfmt.d"):
        for name in entries_of(view, directory):
            is_system = name == "systemd.conf" or (name.startswith("systemd-") and name.endswith(SUFFIX))
            if name.startswith(".") or is_system or not _is_there(registry, directory, name):
                continue
            if name.endswith(SUFFIX):
                found[name] = directory
            else:
                registry.note("ignored", f"{directory}/{name}", f"has no suffix {SUFFIX}: OpenRC does not read it")
    for name in sorted(found, key=os.fsencode)[:_FILES]:
        _apply(registry, f"{found[name]}/{name}", lambda data: shell_rules(data, raw=raw), _shell_rule)


def update_binfmts(registry: Registry) -> None:
    """Do what ``update-binfmts --enable`` does: register each format of the database, in the order of their names."""
    registry.enabled = True
    formats = _formats(registry)
    if formats is None:
        return
    alike: dict[tuple[bytes, ...], int] = {}
    for one in formats.values():
        alike[one.spec()] = alike.get(one.spec(), 0) + 1
    for name, format_ in formats.items():
        path = f"{DATABASE}/{name}"
        there = registry.find(name)
        if there is not None:
            registry.note("masked", path, f"a handler {name} is there already, of {there.origin}")
        elif name not in ("register", "status"):
            _enable(registry, format_, path, shared=alike[format_.spec()] > 1)
    others = tuple(_behind(registry, formats))
    for handler in registry.entries:
        if handler.interpreter in _CHOOSERS and handler.origin.startswith(DATABASE):
            registry.change(replace(handler, others=others))


def shell_lines(registry: Registry, text: str, path: str) -> None:
    """Do what the lines of a shell script do that write to files of binfmt_misc; others are passed over."""
    told = 0
    for number, line in enumerate(text.splitlines(), 1):
        if "binfmt_misc/" not in line or line.lstrip().startswith("#"):
            continue
        if len(line) > _LINE:
            registry.note("unknown", path, f"is longer than {_LINE} characters", number)
            continue
        for found in _ECHO.finditer(line):
            told += 1
            written = found["single"] if found["single"] is not None else found["double"] or found["bare"] or ""
            if any(mark in written for mark in "\\%$`"):
                registry.note("unknown", path, f"what is written to {found['file']} is made by a shell", number)
            else:
                _write(registry, written, found["file"], path, number)
    if not told and "binfmt_misc/register" in text:
        registry.note("unknown", path, "writes to binfmt_misc/register in a way that is not modelled")


# -- binfmt.d --------------------------------------------------------------------------------


def _chosen(registry: Registry, *, separate: bool, volatile: bool) -> list[tuple[str, str]]:
    """Return the files that systemd-binfmt reads, in order, and note those that it does not."""
    view = registry.view
    directories = [path for path in BINFMT_D if (separate or path != BINFMT_D[-1]) and (volatile or path != _RUN)]
    listings = {at: entries_of(view, at)[:_FILES] for at in real_directories(view, directories)}
    for directory, names in listings.items():
        for name in names:
            if not name.endswith(SUFFIX) and not name.startswith("."):
                registry.note("ignored", f"{directory}/{name}", f"has no suffix {SUFFIX}: systemd never reads it")
    if not volatile:
        _note_volatile(registry)
    files, hidden = chosen(listings)
    for directory, name, winner in hidden:
        empty = " and is empty" if names_nothing(view, winner, name) else ""
        registry.note("masked", f"{directory}/{name}", f"{winner}/{name} has its name{empty}")
    return files


def _note_volatile(registry: Registry) -> None:
    for name in entries_of(registry.view, _RUN)[:_FILES]:
        registry.note("ignored", f"{_RUN}/{name}", "what is in /run is gone at the next boot, unless it is made again")


def _apply(
    registry: Registry,
    path: str,
    rules: Callable[[bytes], Iterator[tuple[int, bytes]]],
    rule: Callable[[Registry, bytes, str, int], None],
) -> None:
    directory, _, name = path.rpartition("/")
    if names_nothing(registry.view, directory, name):
        return
    try:
        data = small_text(registry.view, path)
        if data is None:
            found = is_there(registry.view, path, "file")
            registry.note("unknown" if found else "ignored", path, "cannot be read")
            return
        for line, text in rules(data):
            if registry.full:
                break
            rule(registry, text, path, line)
    except FormatError as error:
        registry.note("stops", path, error.message)


def _systemd_rule(registry: Registry, text: bytes, path: str, line: int) -> None:
    try:
        name = rule_name(text)
    except FormatError as error:
        registry.note("refused", path, error.message, line)
        return
    _replaced(registry, os.fsdecode(name), path, line)
    registry.write(text + b"\n", path, line)


def _shell_rule(registry: Registry, text: bytes, path: str, line: int) -> None:
    name = text.partition(b":")[2].partition(b":")[0] if b":" in text else text
    _replaced(registry, os.fsdecode(name), path, line)
    registry.write(text + b"\n", path, line)


def _replaced(registry: Registry, name: str, path: str, line: int) -> None:
    """Delete the handler of a rule that is read again, and say whose it was."""
    there = registry.find(name)
    if there is not None:
        registry.note("masked", there.origin, f"its handler {name} is deleted again by {path}, line {line}")
    registry.delete(name)


def _script(view: FileView, path: str) -> bytes:
    try:
        return small_text(view, path) or b""
    except FormatError:
        return b""


def _is_there(registry: Registry, directory: str, name: str) -> bool:
    return names_nothing(registry.view, directory, name) or is_there(registry.view, f"{directory}/{name}")


# -- binfmt-support --------------------------------------------------------------------------


def _formats(registry: Registry) -> dict[str, Format] | None:
    """Return the database by name, in the order of names' bytes; None where a file keeps all from being registered."""
    view = registry.view
    found: dict[str, Format] = {}
    for name in sorted(entries_of(view, DATABASE), key=os.fsencode)[:_FILES]:
        path = f"{DATABASE}/{name}"
        try:
            at = view.find(path)
            if isinstance(at, int) or at.entry.kind != "file":
                continue
            data = small_text(view, path)
            if data is None:
                registry.note("unknown", path, "cannot be read")
                continue
            found[name] = parse_format(os.fsencode(name), data)
        except UnseenError:
            registry.note("unknown", path, "cannot be read")
        except FormatError as error:
            registry.note("stops", path, f"{error.message}: update-binfmts ends here and registers no format at all")
            return None
    for name in entries_of(view, IMPORTS)[:_FILES]:
        if name not in found:
            registry.note("ignored", f"{IMPORTS}/{name}", f"was not imported: {DATABASE} has no {name}")
    return found


def _enable(registry: Registry, format_: Format, path: str, *, shared: bool) -> None:
    """Register a format; one that needs a detector, or shares its magic with another, through run-detectors."""
    interpreter = format_.interpreter
    if format_.detector or shared:
        if format_.fixed:
            why = "has a detector" if format_.detector else "shares its magic with another format"
            registry.note("refused", path, f"it {why} and is to be opened once: update-binfmts refuses both together")
            return
        interpreter = next((one for one in _CHOOSERS if is_there(registry.view, one)), _CHOOSERS[0]).encode()
    handler = registry.write(format_.line(interpreter), path)
    if handler is not None:
        registry.change(replace(handler, detector=os.fsdecode(format_.detector)))


def _behind(registry: Registry, formats: Mapping[str, Format]) -> Iterator[Handler]:
    """Yield what run-detectors chooses from, formats with a detector first (``src/find.c``).

    Among those it goes by the order of the directory, which a root does not tell: here it is that of the names.
    """
    known = [(name, one) for name, one in formats.items() if registry.find(name)]
    for name, one in sorted(known, key=lambda row: not row[1].detector):
        try:
            handler = parse_registration(one.line(one.interpreter), f"{DATABASE}/{name}")
        except RegistrationError:
            continue
        yield replace(handler, detector=os.fsdecode(one.detector))


# -- shell -----------------------------------------------------------------------------------


def _write(registry: Registry, text: str, file: str, path: str, line: int) -> None:
    """Write what a shell was told to, to a file of binfmt_misc."""
    if file == "register":
        registry.write(os.fsencode(f"{text}\n"), path, line)
    elif text == "-1":
        registry.delete(file)
    elif text in ("0", "1"):
        registry.switch(file, on=text == "1")
