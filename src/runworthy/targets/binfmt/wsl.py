"""What WSL does about binfmt_misc in a root that it boots.

Source: microsoft/WSL, ``src/linux/init`` (init.cpp, main.cpp, binfmt.h, WslDistributionConfig.h). Its releases differ:

==============  =============================================================================================
before 2.5.8    systemd-binfmt.service registers ``WSLInterop-late`` after all else that it does
before 2.6.2    binfmt-support.service does so too
before 2.8.9    the same under the name ``WSLInterop``
since           ``WSLInterop``, with the flag F, stays as it was before systemd started: the oldest of all
==============  =============================================================================================
"""

from __future__ import annotations

from typing import Final

from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.targets.binfmt.registry import Registry, is_there, small_text

__all__ = ["CONFIGURATION", "Wsl", "wsl_of"]

CONFIGURATION: Final = "/etc/wsl.conf"
_NAME: Final = "WSLInterop"
_LATE: Final = "WSLInterop-late"
_WORDS: Final = {"1": True, "true": True, "0": False, "false": False}
"""What ParseBool (``src/shared/inc/stringshared.h``) takes; at another word WSL warns, and keeps its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wsl:
    """``interop``: Windows programs are to be run. ``systemd``: it starts systemd. ``protected``: its handler stays.

    ``late`` is the name under which it registers its handler again, empty where it leaves the first one in place.
    ``after_support``: also after binfmt-support.service. ``known``: the release has been told by the handlers of now.
    """

    interop: bool = True
    systemd: bool = False
    protected: bool = True
    command: str = ""
    late: str = _NAME
    after_support: bool = True
    known: bool = False

    @property
    def locked(self) -> bool:
        """Whether systemd-binfmt is kept from forgetting the handlers that are there."""
        return self.protected and not self.late

    def begin(self, registry: Registry) -> None:
        """Register what is there before the root's own programs start."""
        if self.interop:
            _register(registry, _NAME, "PF" if self.known and not self.late else "P")

    def after(self, registry: Registry, unit: str) -> None:
        """Do what a unit does behind its own commands."""
        again = self.interop and self.protected and self.late
        if again and (unit == "systemd-binfmt.service" or (unit == "binfmt-support.service" and self.after_support)):
            _register(registry, self.late, "P")
            if not self.known:
                told = f"{self.late} is taken to be registered again behind {unit}; WSL 2.8.9 and newer leave it oldest"
                registry.note("unknown", CONFIGURATION, told)


def _register(registry: Registry, name: str, flags: str) -> None:
    """Register WSL's handler. /init is not to be found among the root's files: WSL puts it there."""
    registry.add(Handler(name=name, interpreter="/init", magic=b"MZ", flags=flags, origin="WSL"))


def wsl_of(registry: Registry, kernel: str, now: Handlers | None) -> Wsl | None:
    """Return what WSL does with this root, None where it is none of its.

    ``kernel`` is the release of the machine's kernel, empty where it is not known; ``now`` its handlers.
    """
    names = {one.name: one for one in now.entries} if now is not None else {}
    there = _NAME in names or _LATE in names
    if kernel and "microsoft" not in kernel.lower() and not there:
        return None
    if not there and not kernel and not is_there(registry.view, CONFIGURATION):
        return None
    told = _settings(registry)

    def is_on(key: str, *, default: bool) -> bool:
        return _WORDS.get(told.get(key, "").lower(), default)

    fixed = _NAME in names and "F" in names[_NAME].flags
    return Wsl(
        interop=is_on("interop.enabled", default=True),
        systemd=is_on("boot.systemd", default=False),
        protected=is_on("boot.protectbinfmt", default=True),
        command=told.get("boot.command", ""),
        late="" if fixed else _LATE if _LATE in names else _NAME,
        known=there,
    )


def _settings(registry: Registry) -> dict[str, str]:
    """Return the settings of wsl.conf, the first of each, by section and key in small letters."""
    try:
        data = small_text(registry.view, CONFIGURATION) or b""
    except FormatError:
        return {}
    section, found = "", dict[str, str]()
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[]").strip().lower()
        elif "=" in text and not text.startswith("#"):
            key, _, value = text.partition("=")
            value = value.strip()
            value = value.strip('"') if value.startswith('"') else value.partition("#")[0].strip()
            found.setdefault(f"{section}.{key.strip().lower()}", value)
    return found
