"""The floors of the machine: kernel, CPU level and page sizes, by the marks that files carry.

Most files carry none for the CPU, and then nothing is promised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runworthy.engine.floor.jury import Jury
from runworthy.engine.floor.shipped import Holding
from runworthy.model.elf import GoBuild
from runworthy.model.floor import Floor, Kind, PageSizes, Reason, Rung
from runworthy.model.machine import baseline, isa_level, isa_name
from runworthy.model.records import replace
from runworthy.simulate.machine import machine_steps

__all__ = ["cpu_floor", "fits_pages", "kernel_floor", "page_sizes"]

_Kernel = tuple[int, int, int]
_Order = tuple[int, ...]

# Go wiki, "Go on Linux": the first release that asks for a kernel, the newest first.
_GO_KERNELS: tuple[tuple[tuple[int, int], _Kernel], ...] = (
    ((1, 24), (3, 2, 0)),
    ((1, 19), (2, 6, 32)),
    ((1, 0), (2, 6, 23)),
)
_GO_ARCH_KERNELS: Mapping[str, _Kernel] = {"loongarch64": (5, 19, 0), "mips64le": (4, 8, 0)}
_GO_RELEASE = re.compile(r"(?:go)?(\d+)\.(\d+)")
_NO_KERNEL: _Kernel = (1, 0, 0)
_LAST_CHECKED = (2, 35)
"""The last glibc whose loader looks at the kernel's release (NEWS of 2.36)."""


def kernel_floor(jury: Jury, holdings: Sequence[Holding], glibc: Floor) -> Floor:
    """Return the oldest kernel by ABI notes, Go's own requirement, and the loader of the oldest glibc that fits."""
    found: dict[_Order, list[Reason]] = {}
    for holding in holdings:
        for kernel, need in _kernels(holding):
            found.setdefault(kernel, []).append(Reason(file=holding.shown, need=need))
    for kernel, said in _of_loader(jury, glibc):
        found.setdefault(kernel, []).append(said)
    return _highest("kernel", {kernel: (".".join(map(str, kernel)), reasons) for kernel, reasons in found.items()})


def _kernels(holding: Holding) -> Iterator[tuple[_Kernel, str]]:
    facts = holding.elf.facts
    if facts.abi_kernel:
        checked = "its own start checks it" if facts.is_static else "loaders of glibc up to 2.35 check it"
        yield facts.abi_kernel, f".note.ABI-tag, {checked}"
    go = holding.elf.go()
    release = _GO_RELEASE.match(go.version) if go else None
    if go is not None and release is not None:
        version = (int(release[1]), int(release[2]))
        kernel = next(kernel for first, kernel in _GO_KERNELS if version >= first)
        arch = facts.architecture
        kernel = max(kernel, _GO_ARCH_KERNELS.get(arch.name if arch else "", _NO_KERNEL))
        yield kernel, f"built with Go {go.version.removeprefix('go')}, which asks for it"


def _of_loader(jury: Jury, glibc: Floor) -> Iterator[tuple[_Kernel, Reason]]:
    """Yield the kernel that the oldest glibc on which everything runs asks for."""
    order = glibc.order
    file = next((file for file in jury.files if not file.elf.facts.is_static), None)
    if glibc.state != "at" or not glibc.judged or order > _LAST_CHECKED or file is None:
        return
    machine = replace(baseline(jury.arch), kernel=_NO_KERNEL)
    for step in jury.trace(file, f"glibc:{glibc.release}", machine).needs:
        if step.need.kind == "kernel":
            numbers = [int(part) for part in step.need.name.split(".")]
            need = f"glibc {glibc.release}, the oldest that fits, refuses older kernels"
            yield (numbers[0], numbers[1], numbers[2]), Reason(file="", need=need)
            return


# -- the CPU ---------------------------------------------------------------------------------


def cpu_floor(holdings: Sequence[Holding]) -> Floor:
    """Return the CPU level that files are marked with, ``unmarked`` where none is."""
    found: dict[_Order, list[Reason]] = {}
    unmarked = []
    for holding in holdings:
        marks = list(_levels(holding))
        for level, need in marks:
            found.setdefault((level,), []).append(Reason(file=holding.shown, need=need))
        if not marks:
            unmarked.append(Reason(file=holding.shown, need="not marked"))
    if not found:
        return Floor(kind="cpu", state="unmarked", reasons=tuple(unmarked))
    floor = _highest("cpu", {order: (isa_name(order[0]), reasons) for order, reasons in found.items()})
    return replace(floor, reasons=tuple(unmarked))


def _levels(holding: Holding) -> Iterator[tuple[int, str]]:
    facts = holding.elf.facts
    arch = facts.architecture
    if arch is None or arch.name not in ("x86_64", "x32"):
        return
    level = isa_level(facts.isa_needed)
    if level:
        yield level, ".note.gnu.property (ISA_1_NEEDED)"
    level = _go_level(holding.elf.go())
    if level and facts.is_program:
        yield level, f"built with GOAMD64=v{level}"


def _go_level(go: GoBuild | None) -> int:
    """Return the level that Go code is compiled for. A build that does not say has Go's default, v1."""
    setting = go.settings.get("GOAMD64", "v1") if go else ""
    return int(setting[1]) if setting in ("v1", "v2", "v3", "v4") else 0


def _highest(kind: Kind, found: Mapping[_Order, tuple[str, list[Reason]]]) -> Floor:
    """Return the floor with a rung for each mark, ``unmarked`` where there is none."""
    rungs = tuple(
        Rung(release=found[order][0], order=order, reasons=tuple(found[order][1]))
        for order in sorted(found, reverse=True)
    )
    if not rungs:
        return Floor(kind=kind, state="unmarked")
    return Floor(kind=kind, state="at", release=rungs[0].release, order=rungs[0].order, rungs=rungs)


# -- pages -----------------------------------------------------------------------------------


def page_sizes(jury: Jury, holdings: Sequence[Holding]) -> PageSizes:
    """Return which page sizes of the architecture's kernels fit every file."""
    sizes = sorted(jury.arch.page_sizes)
    refused = {size: tuple(fits_pages(jury, holdings, size)) for size in sizes}
    return PageSizes(
        fit=tuple(size for size in sizes if not refused[size]),
        refused={size: files for size, files in refused.items() if files},
    )


def fits_pages(jury: Jury, holdings: Iterable[Holding], size: int) -> Iterator[str]:
    """Yield the files whose segments cannot be mapped with pages of this size in bytes."""
    target = next(iter(jury.benches())).target
    machine = replace(baseline(jury.arch), page_size=size, page_size_stated=True)
    for holding in holdings:
        steps = machine_steps(holding.elf, holding.path, (), replace(target, machine=machine), None)
        if any(step.need.kind == "page-size" for step in steps):
            yield holding.shown
