"""Units of systemd in a root that is not running: what would be started, and whether its conditions hold.

Sources: systemd.unit(5) and systemd.service(5); systemd ``src/core/load-dropin.c`` (process_deps),
``src/shared/condition.c``, ``src/basic/stat-util.c`` (dir_is_empty_at). What is in /run is made anew at each boot and
is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from runworthy.formats.binfmt.conf import chosen
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.targets.binfmt.registry import names_nothing, small_text
from runworthy.targets.view import FileView, UnseenError

__all__ = ["MISC", "Unit", "entries_of", "find_unit", "real_directories", "unmet_condition", "wanted"]

MISC: Final = "/proc/sys/fs/binfmt_misc"
_DIRECTORIES: Final = (
    "/etc/systemd/system.control",
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_TARGETS: Final = ("sysinit", "local-fs", "basic", "multi-user", "graphical", "default")
"""Targets of which a usual boot starts all: what one of them wants is started."""
_LINKS: Final = 1024
_BACKUPS: Final = frozenset(
    "rpmnew rpmsave rpmorig dpkg-old dpkg-new dpkg-tmp dpkg-dist dpkg-bak dpkg-backup dpkg-remove ucf-new ucf-old "
    "ucf-dist swp bak old new".split()
)
_LINE_END: Final = re.compile(r"\n\r?\0?|\r\n?\0?|\0")
"""What read_line_full (``src/basic/fileio.c``) takes for the end of a line."""
_PASSED_OVER: Final = ("lost+found", "aquota.user", "aquota.group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit with its drop-ins. ``settings`` are section, key and value in the order in which they are read.

    ``masked`` is the link to /dev/null that keeps it from being started.
    """

    name: str
    path: str
    settings: tuple[tuple[str, str, str], ...] = ()
    masked: str = ""

    def values(self, section: str, key: str) -> list[str]:
        """Return the values of a setting that can be given several times; an empty one forgets those before it."""
        found: list[str] = []
        for at, name, value in self.settings:
            if (at, name) == (section, key):
                if value:
                    found.append(value)
                else:
                    found.clear()
        return found

    def names(self, key: str) -> frozenset[str]:
        """Return the units that an ordering names."""
        return frozenset(word for value in self.values("Unit", key) for word in value.split())


def real_directories(view: FileView, directories: Iterable[str]) -> list[str]:
    """Return the directories that are there, each once, without links."""
    found = []
    for path in directories:
        try:
            real = view.real_directory(path)
        except UnseenError:
            continue
        if real is not None and real not in found:
            found.append(real)
    return found


def entries_of(view: FileView, directory: str) -> list[str]:
    """Return the names in a directory, none where it cannot be listed."""
    try:
        return view.readdir(directory)
    except (OSError, UnseenError):
        return []


def find_unit(view: FileView, name: str) -> Unit | None:
    """Return a unit by its name, None where there is no such file."""
    for directory in real_directories(view, _DIRECTORIES):
        path = f"{directory}/{name}"
        try:
            view.lstat(path)
        except (OSError, UnseenError):
            continue
        if names_nothing(view, directory, name):
            return Unit(name=name, path=path, masked=path)
        text = _text(view, path)
        return None if text is None else Unit(name=name, path=path, settings=(*_parse(text), *_dropped_in(view, name)))
    return None


def wanted(view: FileView) -> dict[str, str]:
    """Return the units that the targets of a usual boot ask for, each with the link that says so."""
    found: dict[str, str] = {}
    for target in _TARGETS:
        for kind in ("wants", "requires"):
            places = real_directories(view, (f"{at}/{target}.target.{kind}" for at in _DIRECTORIES))
            seen: set[str] = set()
            for directory, name in ((at, one) for at in places for one in entries_of(view, at)[:_LINKS]):
                if name not in seen and _is_link(view, f"{directory}/{name}"):
                    seen.add(name)
                    if not names_nothing(view, directory, name):
                        found.setdefault(name, f"{directory}/{name}")
    return found


def unmet_condition(view: FileView, unit: Unit, *, mounted: bool, volatile: bool) -> tuple[str, list[str]]:
    """Return the condition by which a unit is not started, empty where all hold, and those that cannot be told.

    ``mounted``: whether binfmt_misc is mounted by then. ``volatile``: whether what lies in /run counts.
    """
    conditions: list[tuple[str, str]] = []
    for section, key, value in unit.settings:
        if section == "Unit" and key.startswith("Condition"):
            if value:
                conditions.append((key, value))
            else:
                conditions.clear()
    unknown, triggers = [], []
    for key, value in conditions:
        asked = value.removeprefix("|").strip()
        held = _holds(view, key, asked.removeprefix("!").strip(), mounted=mounted, volatile=volatile)
        if held is None:
            unknown.append(f"{key}={value}")
            held = True
        elif asked.startswith("!"):
            held = not held
        if value.startswith("|"):
            triggers.append((held, f"{key}={value}"))
        elif not held:
            return f"{key}={value}", unknown
    if triggers and not any(held for held, _ in triggers):
        return " and ".join(text for _, text in triggers), unknown
    return "", unknown


# -- inside ----------------------------------------------------------------------------------


def _dropped_in(view: FileView, name: str) -> Iterator[tuple[str, str, str]]:
    stem, _, kind = name.rpartition(".")
    prefixes = [f"{stem[: at + 1]}.{kind}" for at, letter in enumerate(stem) if letter == "-"]
    places = [f"{at}/{one}.d" for one in (name, *reversed(prefixes), kind) for at in _DIRECTORIES]
    files, _ = chosen({at: entries_of(view, at) for at in real_directories(view, places)})
    for directory, file in files:
        if not names_nothing(view, directory, file):
            yield from _parse(_text(view, f"{directory}/{file}") or "")


def _parse(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and value of each setting. A comment may stand between the lines of a continued one."""
    section, held = "", list[str]()
    for line in (*_LINE_END.split(text), ""):  # the end of the file ends a line that is to be continued
        if line.lstrip().startswith(("#", ";")):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held.append(line[:-1])
            continue
        whole = " ".join((*held, line)).strip()
        held.clear()
        if whole.startswith("[") and whole.endswith("]"):
            section = whole[1:-1]
        elif "=" in whole:
            key, _, value = whole.partition("=")
            yield section, key.strip(), value.strip()


def _text(view: FileView, path: str) -> str | None:
    try:
        data = small_text(view, path)
    except FormatError:
        return None
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _is_link(view: FileView, path: str) -> bool:
    try:
        return view.lstat(path).entry.kind == "link"
    except (OSError, UnseenError):
        return False


def _holds(view: FileView, key: str, value: str, *, mounted: bool, volatile: bool) -> bool | None:
    """Whether a condition holds, None where that is not to be seen in the files of a root."""
    if value.rstrip("/") == MISC and key in ("ConditionPathIsMountPoint", "ConditionPathExists"):
        return mounted or key == "ConditionPathExists"
    if value.rstrip("/") == "/proc/sys" and key == "ConditionPathIsReadWrite":
        return True  # systemd-binfmt.service asked that before systemd 254; only a container has it read-only
    asked = _CONDITIONS.get(key)
    if value.startswith("/run/") and not volatile:
        return False if key == "ConditionDirectoryNotEmpty" else None
    if asked is None or not value.startswith("/") or value.startswith(("/proc/", "/sys/", "/dev/")):
        return None
    try:
        return asked(view, value)
    except UnseenError:
        return None


def _kind(view: FileView, path: str) -> str:
    found = view.find(path)
    return "" if isinstance(found, int) else found.entry.kind


def _holds_names(view: FileView, path: str) -> bool:
    return any(not _is_backup(name) for name in entries_of(view, path))


def _is_backup(name: str) -> bool:
    """Whether systemd passes a name over (hidden_or_backup_file)."""
    named = name.startswith(".") or name.endswith("~") or name in _PASSED_OVER
    return named or ("." in name and name.rpartition(".")[2] in _BACKUPS)


def _is_executable(view: FileView, path: str) -> bool:
    found = view.find(path)
    return not isinstance(found, int) and found.entry.kind == "file" and bool(found.entry.mode & 0o111)


def _has_bytes(view: FileView, path: str) -> bool:
    found = view.find(path)
    return not isinstance(found, int) and found.entry.kind == "file" and found.entry.size > 0


_CONDITIONS: Final[dict[str, Callable[[FileView, str], bool]]] = {
    "ConditionPathExists": lambda view, path: bool(_kind(view, path)),
    "ConditionPathIsDirectory": lambda view, path: _kind(view, path) == "dir",
    "ConditionDirectoryNotEmpty": _holds_names,
    "ConditionFileNotEmpty": _has_bytes,
    "ConditionFileIsExecutable": _is_executable,
}
