"""What else may register handlers while a system boots, beside the services that are made for it: found, not modelled.

Sources: tmpfiles.d(5) (the types w and w+), crontab(5) (@reboot), modprobe.d(5) (install, blacklist). Scripts are
looked for what they name, and not followed: whatever they do, it cannot be told then which handlers there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from runworthy.formats.binfmt.conf import chosen
from runworthy.model.errors import FormatError
from runworthy.targets.binfmt.registry import names_nothing, small_text
from runworthy.targets.binfmt.units import MISC, Unit, entries_of, find_unit, real_directories
from runworthy.targets.view import FileView

__all__ = ["by_cron", "by_scripts_of_units", "by_tmpfiles", "kept_from_loading"]

_MARK: Final = "binfmt_misc"
_TMPFILES: Final = ("/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d")
_TMPFILES_UNIT: Final = "systemd-tmpfiles-setup.service"
_CRONTABS: Final = ("/etc/cron.d", "/var/spool/cron/crontabs", "/var/spool/cron")
_MODPROBE: Final = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d")
_FILES: Final = 1024
_WORDS: Final = 64
_STARTS: Final = ("ExecStartPre", "ExecStart", "ExecStartPost")


def by_scripts_of_units(view: FileView, links: Mapping[str, str], known: frozenset[str]) -> Iterator[str]:
    """Yield the scripts that name binfmt_misc and that units start, but the ``known`` units."""
    for name in links:
        unit = find_unit(view, name) if name.endswith(".service") and name not in known else None
        if unit is not None and not unit.masked:
            for path in _scripts(view, unit):
                yield f"{name} starts {path}, which names {_MARK}, and what it registers is not modelled"


def by_tmpfiles(view: FileView) -> Iterator[str]:
    """Yield the files that have systemd-tmpfiles write to binfmt_misc: nothing orders it and systemd-binfmt."""
    if find_unit(view, _TMPFILES_UNIT) is None:
        return
    for path, line in _lines(view, _TMPFILES):
        words = line.split(maxsplit=2)
        if len(words) > 1 and words[0][:1] == "w" and fnmatchcase(f"{MISC}/register", words[1]):
            yield f"{path} writes to {words[1]} at boot, before systemd-binfmt or after it"


def by_cron(view: FileView) -> Iterator[str]:
    """Yield the tables of cron by which something that names binfmt_misc is started at boot."""
    tables = [f"{at}/{name}" for at in real_directories(view, _CRONTABS) for name in entries_of(view, at)[:_FILES]]
    for path in ("/etc/crontab", *tables):
        for line in _text(view, path).splitlines():
            command = line.strip().removeprefix("@reboot")
            if command != line.strip() and (_MARK in command or any(_named(view, command))):
                yield f"{path} starts at boot what names {_MARK}, and what that registers is not modelled"


def kept_from_loading(view: FileView) -> Iterator[str]:
    """Yield the files that keep modprobe from loading binfmt_misc, where the kernel has it as a module."""
    for path, line in _lines(view, _MODPROBE):
        words = line.split()
        if words[1:2] == [_MARK] and (words[0] == "blacklist" or (words[0] == "install" and "modprobe" not in line)):
            yield f"{path} keeps the module {_MARK} from being loaded, which the kernel may need"


def _scripts(view: FileView, unit: Unit) -> Iterator[str]:
    for key in _STARTS:
        for command in unit.values("Service", key):
            yield from _named(view, command)


def _named(view: FileView, command: str) -> Iterator[str]:
    """Yield the scripts among the words of a command that name binfmt_misc."""
    for word in command.split()[:_WORDS]:
        path = word.lstrip("@-:+!|'\"").rstrip("'\";&|")
        if path.startswith("/") and not path.startswith(("/dev/", "/proc/", "/sys/")):
            text = _text(view, path)
            if text.startswith("#!") and _MARK in text:
                yield path


def _lines(view: FileView, directories: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield path and text of the lines of files of configuration, of those of one name the first."""
    files, _ = chosen({at: entries_of(view, at)[:_FILES] for at in real_directories(view, directories)})
    for directory, name in files:
        if not names_nothing(view, directory, name):
            path = f"{directory}/{name}"
            lines = (line.strip() for line in _text(view, path).splitlines())
            yield from ((path, line) for line in lines if line and not line.startswith(("#", ";")))


def _text(view: FileView, path: str) -> str:
    try:
        return os.fsdecode(small_text(view, path) or b"")
    except FormatError:
        return ""
