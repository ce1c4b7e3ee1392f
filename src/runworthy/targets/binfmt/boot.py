"""Which handlers a root registers when it boots, in the order in which the kernel will try them."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from runworthy.model.binfmt import BootPlan, Handlers
from runworthy.model.errors import FormatError
from runworthy.targets.binfmt.others import by_cron, by_scripts_of_units, by_tmpfiles, kept_from_loading
from runworthy.targets.binfmt.registry import Registry, is_there, small_text
from runworthy.targets.binfmt.services import (
    BINFMT_D,
    DATABASE,
    openrc_binfmt,
    shell_lines,
    systemd_binfmt,
    update_binfmts,
)
from runworthy.targets.binfmt.units import MISC, Unit, entries_of, find_unit, real_directories, unmet_condition, wanted
from runworthy.targets.binfmt.wsl import Wsl, wsl_of
from runworthy.targets.view import FileView, UnseenError

if TYPE_CHECKING:
    from runworthy.targets.target import Target

__all__ = ["boot_handlers", "boot_of"]

_INITS: Final = ("/sbin/init", "/etc/init", "/bin/init")
"""What the kernel starts, the first that is there (``init/main.c``); behind them it starts a shell."""
_SYSTEMD: Final = "systemd-binfmt.service"
_SUPPORT: Final = "binfmt-support.service"
_MISC_UNIT: Final = "proc-sys-fs-binfmt_misc"
_SEPARATE: Final = "/lib/systemd/systemd-binfmt"
_OWN_UNITS: Final = "/etc/systemd/system/"
_MARKS: Final = ("binfmt_misc/", "systemd-binfmt", "update-binfmts")
_PREFIXES: Final = "@-:+!|"
_TOLD: Final = 3
_RUNLEVELS: Final = ("sysinit", "boot", "default")
_DEFAULT: Final = re.compile(r"^\w*:(\d):initdefault:", re.MULTILINE)


def boot_handlers(
    view: FileView, *, name: str = "", kernel: str = "", now: Handlers | None = None, volatile: bool = False
) -> BootPlan:
    """Return what a root registers when it boots. Nothing of it is run, and no error comes of what it holds.

    ``name`` is what the root is called. ``kernel`` is the release of the kernel that it will run on and ``now`` are the
    handlers of the machine that it runs on, where they are known: by them WSL is known, which registers one of its own.
    ``volatile``: what lies in /run counts too, as it does when the services are started again without a boot.
    """
    boot = _Boot(view, volatile=volatile)
    unknown = boot.run(wsl_of(boot.registry, kernel, now))
    if boot.registry.full:
        unknown = "there are more rules than are looked at"
    handlers = Handlers(
        entries=boot.registry.entries,
        enabled=boot.registry.enabled,
        basis=f"what {name or 'this root'} registers when it boots",
        unknown=unknown,
    )
    return BootPlan(handlers=handlers, systems=tuple(boot.systems), notes=boot.registry.notes)


def boot_of(target: Target) -> BootPlan:
    """Return what a target registers at its next boot, on the kernel and beside the handlers that are known of it."""
    now = target.handlers_before or target.handlers
    kernel = target.machine_facts.kernel if target.machine_facts else os.uname().release if target.live else ""
    return boot_handlers(target.view, name=target.name, kernel=kernel, now=now if now.stated else None)


class _Boot:
    """One boot of a root."""

    def __init__(self, view: FileView, *, volatile: bool) -> None:
        self.view = view
        self.volatile = volatile
        self.registry = Registry(view)
        self.systems: list[str] = []

    def run(self, wsl: Wsl | None) -> str:
        """Boot; return why it cannot be told what is registered, empty where it can."""
        if wsl is not None:
            self._do("WSL", lambda: wsl.begin(self.registry))
            if wsl.command:
                self._do("boot.command", lambda: shell_lines(self.registry, wsl.command, "/etc/wsl.conf"))
            if not wsl.systemd:
                self._left_alone("WSL starts no systemd here")
                return ""
        init = self._init()
        system = "systemd" if wsl is not None else self._system(init)
        if system == "systemd":
            self._systemd(wsl)
        elif system == "openrc":
            self._openrc()
        elif system == "sysv":
            self._sysv()
        elif init:
            return f"what {init} starts is not modelled"
        else:
            self._left_alone("there is no init here, so nothing reads it: a container has its host's handlers")
            return ""
        return self._others(system)

    def _others(self, system: str) -> str:
        """Return who else may change the handlers while it boots, empty where nobody does."""
        found = list(by_cron(self.view))
        if system == "systemd":
            known = frozenset(self.systems)
            found += [*by_scripts_of_units(self.view, wanted(self.view), known), *by_tmpfiles(self.view)]
        if self.registry.entries:
            found += kept_from_loading(self.view)
        return "; ".join(dict.fromkeys(found[:_TOLD]))

    def _do(self, name: str, work: Callable[[], None]) -> None:
        self.systems.append(name)
        work()

    def _left_alone(self, text: str) -> None:
        """Note the configuration that nobody reads."""
        self._off_all((*BINFMT_D, DATABASE), text)

    # -- which system it is -----------------------------------------------------------------

    def _init(self) -> str:
        """Return the real path of the program that the kernel starts, empty where there is none."""
        for path in _INITS:
            try:
                found = self.view.find(path)
            except UnseenError:
                continue
            if not isinstance(found, int):
                return found.path
        return ""

    def _system(self, init: str) -> str:
        name = posixpath.basename(init)
        if name == "systemd":
            return "systemd"
        if not name:
            return ""
        inittab = self._text("/etc/inittab")
        if name == "openrc-init" or "openrc" in inittab:
            return "openrc"
        return "sysv" if any(is_there(self.view, f"/etc/rc{level}.d") for level in "S2") else ""

    def _text(self, path: str) -> str:
        try:
            return (small_text(self.view, path) or b"").decode("utf-8", "surrogateescape")
        except FormatError:
            return ""

    # -- systemd ----------------------------------------------------------------------------

    def _systemd(self, wsl: Wsl | None) -> None:
        links = wanted(self.view)
        mounted = self._is_mounted(links)
        units = self._units(links)
        self._note_unordered(units)
        for unit in _ordered(units):
            reason = unit.masked and f"{unit.masked} masks {unit.name}"
            if not reason:
                failed, untold = unmet_condition(self.view, unit, mounted=mounted, volatile=self.volatile)
                reason = f"{unit.name} is not started: {failed} does not hold" if failed else ""
                for condition in untold:
                    self.registry.note("unknown", unit.path, f"whether {condition} holds is not known")
            if reason:
                self._off(unit, reason)
                continue
            self._do(unit.name, lambda unit=unit: self._start(unit, wsl))  # type: ignore[misc]
        self._script("/etc/rc.local", unless="rc-local.service")
        self._unwanted(links, units)

    def _units(self, links: Mapping[str, str]) -> list[Unit]:
        """Return the units that are asked for and register something, those of systemd and binfmt-support first."""
        found = []
        for name in sorted(links, key=lambda name: (name != _SYSTEMD, name != _SUPPORT, name)):
            ours = name in (_SYSTEMD, _SUPPORT)
            if not ours and not (name.endswith(".service") and self._is_own(name)):
                continue
            unit = find_unit(self.view, name)
            if unit is None and name == _SYSTEMD:
                continue
            if unit is not None and (ours or any(mark in one for one in _commands(unit) for mark in _MARKS)):
                found.append(unit)
        if _SUPPORT not in links and find_unit(self.view, _SUPPORT) is None and self._is_started("binfmt-support"):
            settings = (("Service", "ExecStart", "/usr/sbin/update-binfmts --enable"),)
            found.append(Unit(name=_SUPPORT, path="/etc/init.d/binfmt-support", settings=settings))
        return found

    def _note_unordered(self, units: list[Unit]) -> None:
        """Note the units of which nobody says which comes first: systemd starts those at once."""
        services = [unit for unit in units if unit.name in (_SYSTEMD, _SUPPORT)]
        for unit in (one for one in units if one not in services):
            early = unit.values("Unit", "DefaultDependencies")[-1:] == ["no"]
            for other in services:
                named = unit.names("After") | unit.names("Before")
                if other.name in named or unit.name in other.names("After") | other.names("Before"):
                    continue
                if early or other.name == _SUPPORT:
                    told = f"it is taken to start after {other.name}, which nothing says"
                    self.registry.note("unknown", unit.path, told)

    def _is_own(self, name: str) -> bool:
        """Whether a unit was made by whoever keeps the machine: those of packages use the services of their system."""
        return is_there(self.view, f"{_OWN_UNITS}{name}", "file")

    def _is_mounted(self, links: Mapping[str, str]) -> bool:
        """Whether binfmt_misc is mounted when services start: by its units, or a line of fstab."""
        mount = find_unit(self.view, f"{_MISC_UNIT}.mount")
        if mount is not None and not mount.masked:
            for kind in ("automount", "mount"):
                unit = find_unit(self.view, f"{_MISC_UNIT}.{kind}")
                if unit is not None and not unit.masked and unit.name in links:
                    return True
        return any(
            MISC in line.split()[1:2] for line in self._text("/etc/fstab").splitlines() if not line.startswith("#")
        )

    def _start(self, unit: Unit, wsl: Wsl | None) -> None:
        commands = _commands(unit)
        separate = any(_program(command) == _SEPARATE for command in commands)
        for command in commands:
            program = posixpath.basename(_program(command))
            words = command.split()[1:]
            if program == "systemd-binfmt" and not words:
                locked = wsl is not None and wsl.locked
                systemd_binfmt(self.registry, separate=separate, volatile=self.volatile, locked=locked)
            elif program == "update-binfmts" and words == ["--enable"]:
                update_binfmts(self.registry)
            elif any(mark in command for mark in _MARKS):
                shell_lines(self.registry, command, unit.path)
                if "binfmt_misc/" not in command:
                    self.registry.note("unknown", unit.path, f"what `{command[:120]}` does is not modelled")
        if wsl is not None:
            wsl.after(self.registry, unit.name)

    def _off(self, unit: Unit, reason: str) -> None:
        directories = {_SYSTEMD: BINFMT_D, _SUPPORT: (DATABASE,)}.get(unit.name)
        if directories is None:
            self.registry.note("off", unit.path, reason)
        else:
            self._off_all(directories, reason)

    def _unwanted(self, links: Mapping[str, str], units: list[Unit]) -> None:
        """Note what would register handlers and is not asked for."""
        for name in (_SYSTEMD, _SUPPORT):
            if name in links or any(unit.name == name for unit in units):
                continue
            unit = find_unit(self.view, name)
            reason = f"there is no {name}" if unit is None else f"{name} is not enabled"
            if unit is not None and unit.masked:
                reason = f"{unit.masked} masks {name}"
            self._off(unit or Unit(name=name, path=""), reason)

    # -- OpenRC and System V ----------------------------------------------------------------

    def _openrc(self) -> None:
        started = [
            name for level in _RUNLEVELS for name in entries_of(self.view, f"/etc/runlevels/{level}") if name != level
        ]
        mounted = "procfs" in started
        for name in dict.fromkeys(started):
            if name == "binfmt" and mounted:
                self._do(name, lambda: openrc_binfmt(self.registry))
            elif name == "binfmt":
                self._off_all(BINFMT_D, "the service procfs, which mounts binfmt_misc, is in no runlevel")
            elif name == "binfmt-support":
                self._do(name, lambda: update_binfmts(self.registry))
            elif name == "local":
                for script in entries_of(self.view, "/etc/local.d"):
                    if script.endswith(".start"):
                        self._script(f"/etc/local.d/{script}")
        if "binfmt" not in started:
            self._off_all(BINFMT_D, "the service binfmt is in no runlevel")
        if "binfmt-support" not in started:
            self._off_all((DATABASE,), "the service binfmt-support is in no runlevel")

    def _sysv(self) -> None:
        if self._is_started("binfmt-support"):
            self._do("binfmt-support", lambda: update_binfmts(self.registry))
        else:
            self._off_all((DATABASE,), "no runlevel starts binfmt-support")
        self._off_all(BINFMT_D, "System V init does not read it")
        self._script("/etc/rc.local")

    def _is_started(self, name: str) -> bool:
        """Whether the default runlevel, or rcS, starts a script of /etc/init.d."""
        if not is_there(self.view, f"/etc/init.d/{name}"):
            return False
        found = _DEFAULT.search(self._text("/etc/inittab"))
        level = found[1] if found else "2"
        return any(
            link.startswith("S") and link.lstrip("S").lstrip("0123456789") == name
            for at in ("S", level)
            for link in entries_of(self.view, f"/etc/rc{at}.d")
        )

    def _off_all(self, directories: tuple[str, ...], reason: str) -> None:
        for directory in real_directories(self.view, directories):
            for name in entries_of(self.view, directory):
                self.registry.note("off", f"{directory}/{name}", reason)

    def _script(self, path: str, unless: str = "") -> None:
        """Do what an executable script of the machine's keeper writes to binfmt_misc."""
        try:
            found = self.view.find(path)
        except UnseenError:
            return
        if isinstance(found, int) or not found.entry.mode & 0o111:
            return
        text = self._text(path)
        masked = find_unit(self.view, unless) if unless else None
        if "binfmt_misc/" in text and not (masked is not None and masked.masked):
            self._do(path, lambda: shell_lines(self.registry, text, path))


def _commands(unit: Unit) -> list[str]:
    """Return the commands that a unit runs when it is started, one after the other."""
    return [
        command for key in ("ExecStartPre", "ExecStart", "ExecStartPost") for command in unit.values("Service", key)
    ]


def _program(command: str) -> str:
    return command.lstrip(_PREFIXES).split(maxsplit=1)[0] if command.lstrip(_PREFIXES) else ""


def _ordered(units: list[Unit]) -> list[Unit]:
    """Return units in an order in which systemd may start them: as they stand, but each after those that it names.

    Where they wait for each other in a circle, the one that stands first goes on.
    """
    places = {unit.name: at for at, unit in enumerate(units)}
    waits = [{places[name] for name in unit.names("After") if name in places} - {at} for at, unit in enumerate(units)]
    for at, unit in enumerate(units):
        for name in unit.names("Before"):
            if name in places and places[name] != at:
                waits[places[name]].add(at)
    followers: dict[int, list[int]] = {}
    for at, those in enumerate(waits):
        for other in those:
            followers.setdefault(other, []).append(at)
    ready = [at for at, those in enumerate(waits) if not those]
    left = dict.fromkeys(range(len(units)))
    found: list[Unit] = []
    while left:
        at = heappop(ready) if ready else next(iter(left))
        if at in left:
            del left[at]
            found.append(units[at])
            for other in followers.get(at, ()):
                waits[other].discard(at)
                if not waits[other]:
                    heappush(ready, other)
    return found
