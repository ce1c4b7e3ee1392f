"""The machine half of a target: what is stated about it, and what is only assumed."""

from __future__ import annotations

from runworthy.model.arch import X86_64_LEVELS, Architecture
from runworthy.model.records import dataclass

__all__ = ["Machine", "baseline", "format_kernel", "isa_level", "isa_name", "level_of_cpu", "parse_kernel"]

_X86_CPU_LEVELS = {name: level for level, name in enumerate(X86_64_LEVELS, start=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """An architecture, a CPU level, a page size (bytes) and a kernel release.

    A field whose ``*_stated`` is False is the architecture's baseline: a need that only such a value
    refuses is no failure but a risk that names the assumption. ``kernel`` is None when unstated.
    ``level`` is the x86-64 level (1 to 4), 0 on other architectures.
    """

    arch: Architecture
    level: int
    level_stated: bool
    page_size: int
    page_size_stated: bool
    kernel: tuple[int, int, int] | None = None

    @property
    def cpu(self) -> str:
        """The CPU level in words."""
        return X86_64_LEVELS[self.level - 1] if self.level else self.arch.name


def baseline(arch: Architecture) -> Machine:
    """Return the machine that a target without a machine is taken to be: the architecture's least."""
    return Machine(
        arch=arch,
        level=1 if arch.name in ("x86_64", "x32") else 0,
        level_stated=False,
        page_size=arch.page_sizes[0] if arch.fixed_page_size else 4096,
        page_size_stated=arch.fixed_page_size,
    )


def isa_level(bits: int) -> int:
    """Return the highest x86-64 level in an ISA_1 property bit set, 0 for none.

    x86-64 psABI, "Program Property": bit 0 is the baseline, bits 1 to 3 are v2 to v4.
    """
    return (bits & 0xF).bit_length()


def isa_name(level: int) -> str:
    """Return the psABI name of a level from 1 to 4."""
    return X86_64_LEVELS[level - 1]


def level_of_cpu(name: str) -> int | None:
    """Return the level that ``x86-64-v3`` or ``v3`` names, None for an unknown name."""
    return _X86_CPU_LEVELS.get(name if name.startswith("x86-64") else f"x86-64-{name}")


def parse_kernel(text: str) -> tuple[int, int, int] | None:
    """Return the numbers at the start of a kernel release such as ``5.10.0-8-amd64``, None when there are none."""
    numbers = []
    for part in text.split("-", maxsplit=1)[0].split("+", maxsplit=1)[0].split(".")[:3]:
        if not part.isdigit() or not part.isascii():
            break
        numbers.append(int(part))
    if not numbers:
        return None
    major, minor, patch, *_ = (*numbers, 0, 0)
    return major, minor, patch


def format_kernel(release: tuple[int, int, int]) -> str:
    """Return ``(5, 10, 0)`` as ``5.10.0``."""
    return ".".join(map(str, release))
