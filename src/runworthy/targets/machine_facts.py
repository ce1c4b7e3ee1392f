"""What Linux tells of the machine it runs on, read from /proc and /sys. No command is started."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection, Iterator
from typing import Final

from runworthy.model.host import Gpu, MachineFacts
from runworthy.targets.binfmt.live import read_binfmt_misc
from runworthy.targets.mounts import read_mounts

__all__ = ["cpu_flags", "known_machine", "nvidia_version", "read_machine", "x86_64_level"]

_X86_64_FLAGS: Final = {
    # x86-64 psABI, "Micro-architecture levels", in the names of Linux's /proc/cpuinfo.
    2: frozenset(("cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3")),
    3: frozenset(("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave")),
    4: frozenset(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")),
}
_X86_64: Final = ("x86_64", "amd64")
_FLAG_LINES: Final = ("flags", "Features", "features", "isa")  # x86, Arm, s390x, RISC-V
# PCI class codes (PCI-SIG): display controllers, and processing accelerators.
_GPU_CLASSES: Final = ("0x03", "0x12")
_NVIDIA_VERSION: Final = re.compile(r"Kernel Module(?: for \S+)?\s+([0-9][0-9.]*)")
_TEXT_LIMIT: Final = 1 << 20
_DEVICES: Final = 1 << 12


def known_machine() -> MachineFacts:
    """Return of this machine what a check needs: architecture, kernel, CPU level and page size."""
    flags = cpu_flags(_read("/proc/cpuinfo"))
    arch = platform.machine()
    return MachineFacts(
        arch=arch,
        kernel=platform.release(),
        level=x86_64_level(flags) if arch in _X86_64 else 0,
        cpu_flags=flags,
        page_size=os.sysconf("SC_PAGE_SIZE"),
    )


def read_machine(proc: str = "/proc", sys: str = "/sys") -> MachineFacts:
    """Return everything that this machine says of itself, as far as it can be read."""
    from dataclasses import replace

    binfmt = read_binfmt_misc(proc, sys)
    return replace(
        known_machine(),
        binfmt=binfmt,
        mounts=read_mounts(f"{proc}/self/mountinfo"),  # with what the look at binfmt_misc may have mounted
        gpus=tuple(_gpus(proc, sys)),
        nvidia_driver=nvidia_version(_read(f"{proc}/driver/nvidia/version")),
        os_release=_read("/etc/os-release") or _read("/usr/lib/os-release"),
    )


def cpu_flags(cpuinfo: str) -> tuple[str, ...]:
    """Return the feature flags of the first processor in the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, colon, text = line.partition(":")
        if colon and name.strip() in _FLAG_LINES:
            return tuple(text.split())
    return ()


def x86_64_level(flags: Collection[str]) -> int:
    """Return the x86-64 level that a processor with these flags has, 1 at least."""
    held = frozenset(flags)
    level = 1
    for step, needed in _X86_64_FLAGS.items():
        if not needed <= held:
            break
        level = step
    return level


def nvidia_version(text: str) -> str:
    """Return the driver's version out of /proc/driver/nvidia/version, empty when there is none."""
    found = _NVIDIA_VERSION.search(text)
    return found[1] if found else ""


def _gpus(proc: str, sys: str) -> Iterator[Gpu]:
    try:
        addresses = sorted(os.listdir(f"{sys}/bus/pci/devices"))[:_DEVICES]
    except OSError:
        return
    for address in addresses:
        at = f"{sys}/bus/pci/devices/{address}"
        if _read(f"{at}/class").startswith(_GPU_CLASSES):
            try:
                driver = os.path.basename(os.readlink(f"{at}/driver"))
            except OSError:
                driver = ""
            told = _read(f"{proc}/driver/nvidia/gpus/{address}/information")
            model = next((line for line in told.splitlines() if line.startswith("Model:")), "")
            yield Gpu(
                address=address,
                vendor=_read(f"{at}/vendor").strip(),
                device=_read(f"{at}/device").strip(),
                driver=driver,
                name=model.partition(":")[2].strip(),
            )


def _read(path: str) -> str:
    """Return the text of a small file, empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read(_TEXT_LIMIT)
    except OSError:
        return ""
