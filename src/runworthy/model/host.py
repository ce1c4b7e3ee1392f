"""What a live machine says of itself, beyond its files: kernel, processor, binfmt_misc, mounts, GPUs."""

from __future__ import annotations

from typing import Literal

from runworthy.model.arch import architecture
from runworthy.model.machine import Machine, baseline, parse_kernel
from runworthy.model.records import dataclass, replace

__all__ = ["BinfmtEntry", "BinfmtMisc", "BinfmtStatus", "Gpu", "MachineFacts", "Mount"]

BinfmtStatus = Literal["enabled", "disabled", "absent", "unreadable"]
"""``absent``: binfmt_misc is not mounted where it is looked for, or not known to the kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinfmtEntry:
    """One registered handler.

    ``text`` is what its file says (kernel ``fs/binfmt_misc.c`` entry_status), None when it could not be read.
    """

    name: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BinfmtMisc:
    """The foreign handlers of a kernel. ``entries`` stand in the order in which they are matched, the newest first.

    ``point`` is where they are mounted. ``unknown`` says why they may not be those in force, empty where they are.
    """

    status: BinfmtStatus = "absent"
    entries: tuple[BinfmtEntry, ...] = ()
    point: str = "/proc/sys/fs/binfmt_misc"
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One row of /proc/self/mountinfo. A later row covers an earlier one at the same ``point``.

    ``options`` are those of the mount (ro, noexec), ``super_options`` of its file system.
    """

    point: str
    fstype: str
    options: tuple[str, ...] = ()
    super_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A graphics or compute device on the PCI bus: its address and the numbers of its vendor and model.

    ``driver`` is the kernel driver that holds it, ``name`` what that driver calls it; empty where unknown.
    """

    address: str
    vendor: str
    device: str
    driver: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """A machine as it was found. What could not be read is empty, zero or None.

    ``arch`` and ``kernel`` are what uname(2) says; ``level`` is the x86-64 level (1 to 4), 0 on other architectures;
    ``cpu_flags`` are Linux's names of processor features; ``page_size`` is in bytes; ``mounts`` is None where they
    could not be read; ``nvidia_driver`` is the version of NVIDIA's kernel driver.
    """

    arch: str
    kernel: str
    level: int = 0
    cpu_flags: tuple[str, ...] = ()
    page_size: int = 0
    binfmt: BinfmtMisc = BinfmtMisc()
    mounts: tuple[Mount, ...] | None = None
    gpus: tuple[Gpu, ...] = ()
    nvidia_driver: str = ""
    os_release: str = ""

    def machine(self) -> Machine | None:
        """Return it as a target's machine, stated where it is known; None on an architecture that nobody knows."""
        arch = architecture(self.arch)
        if arch is None:
            return None
        machine = replace(baseline(arch), kernel=parse_kernel(self.kernel))
        if self.level or not machine.level:
            machine = replace(machine, level=self.level if machine.level else 0, level_stated=True)
        if self.page_size:
            machine = replace(machine, page_size=self.page_size, page_size_stated=True)
        return machine
