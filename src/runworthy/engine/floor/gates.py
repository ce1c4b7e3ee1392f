"""Gates: the oldest things that a release must still run on, and what of it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runworthy.engine.floor.runtime import gcc_release
from runworthy.model.errors import UsageError
from runworthy.model.floor import Breach, Floor, Kind, Reason, Rung, ShippedFloor
from runworthy.model.machine import isa_name, level_of_cpu, parse_kernel
from runworthy.model.records import dataclass
from runworthy.targets.names import parse_page_size

__all__ = ["Gates", "breaches", "parse_gates"]

_Order = tuple[int, ...]
_NUMBERS = re.compile(r"\d{1,4}(\.\d{1,4}){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The highest floor of one kind that is allowed. ``text`` is the limit in the words of the floor."""

    option: str
    kind: Kind
    order: _Order
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """All gates. ``page_size`` is in bytes, 0 where none must be supported."""

    highest: tuple[Gate, ...] = ()
    page_size: int = 0


def parse_gates(
    *, glibc: str = "", musl: str = "", libstdcxx: str = "", kernel: str = "", cpu: str = "", page_size: str = ""
) -> Gates:
    """Return the gates that are written so; what is empty is not asked for. Raises UsageError."""
    found = []
    if glibc:
        found.append(_gate("--max-glibc", "glibc", glibc.removeprefix("GLIBC_"), "2.28"))
    if musl:
        found.append(_gate("--max-musl", "musl", musl, "1.2.3"))
    if libstdcxx:
        found.append(_runtime(libstdcxx))
    if kernel:
        release = parse_kernel(kernel)
        if release is None:
            raise UsageError(
                f"--max-kernel {kernel} is no kernel release", hint="write it as in 4.18", option="--max-kernel"
            )
        found.append(Gate(option="--max-kernel", kind="kernel", order=release, text=kernel))
    if cpu:
        level = level_of_cpu(cpu)
        if level is None:
            hint = "x86-64-v1, x86-64-v2, x86-64-v3 and x86-64-v4 are known"
            raise UsageError(f"--max-cpu {cpu} is no CPU level", hint=hint, option="--max-cpu")
        found.append(Gate(option="--max-cpu", kind="cpu", order=(level,), text=isa_name(level)))
    return Gates(highest=tuple(found), page_size=parse_page_size(page_size) if page_size else 0)


def _gate(option: str, kind: Kind, text: str, example: str) -> Gate:
    if not _NUMBERS.fullmatch(text) or "." not in text:
        raise UsageError(
            f"{option} {text} is no release of {kind}", hint=f"write it as in {option} {example}", option=option
        )
    return Gate(option=option, kind=kind, order=tuple(map(int, text.split("."))), text=f"{kind} {text}")


def _runtime(text: str) -> Gate:
    """Return the gate that a version of libstdc++ or a release of GCC names: GLIBCXX_3.4.28, 3.4.28, gcc-9.3, 9."""
    node = text if "XX" in text else f"GLIBCXX_{text}"
    order = gcc_release(node)
    if order is None:
        release = re.sub(r"(?i)^gcc[- ]?", "", text)
        if not _NUMBERS.fullmatch(release):
            hint = "write it as in GLIBCXX_3.4.28, or as a release of GCC, as in gcc-9"
            raise UsageError(f"--max-libstdcxx {text} is not known", hint=hint, option="--max-libstdcxx")
        # The runtime of a series is that of its last release.
        order = (*map(int, release.split(".")), *(1 << 16,) * (2 - release.count(".")))
        return Gate(option="--max-libstdcxx", kind="libstdc++", order=order, text=f"the libstdc++ of GCC {release}")
    return Gate(option="--max-libstdcxx", kind="libstdc++", order=order, text=node)


def breaches(shipped: ShippedFloor, gates: Gates) -> Iterator[Breach]:
    """Yield the gates that the files of one architecture do not keep, or may not."""
    for gate in gates.highest:
        other = shipped.libc not in ("", gate.kind)
        if not (gate.kind in ("glibc", "musl") and other):
            yield from _breach(shipped, gate)
    pages = shipped.pages
    if pages is not None and gates.page_size in pages.refused:
        files = pages.refused[gates.page_size]
        said = tuple(Reason(file=file, need="segments for smaller pages") for file in files)
        size = f"{gates.page_size // 1024} KiB"
        rung = Rung(release=size, order=(gates.page_size,), reasons=said)
        yield Breach(
            gate="--page-size", limit=f"pages of {size}", has="cannot be mapped", arch=shipped.arch, rungs=(rung,)
        )


def _breach(shipped: ShippedFloor, gate: Gate) -> Iterator[Breach]:
    floor = shipped.floor(gate.kind)
    above = tuple(rung for rung in floor.rungs if rung.order > gate.order)
    if floor.state == "nowhere":
        rungs = (Rung(release="", order=(), reasons=floor.reasons),)
        yield Breach(
            gate=gate.option,
            limit=gate.text,
            has=f"run on no {gate.kind} that is known",
            arch=shipped.arch,
            rungs=rungs,
        )
    elif above:
        yield Breach(gate=gate.option, limit=gate.text, has=_needs(floor), arch=shipped.arch, rungs=above)
    elif floor.state == "unknown":
        rungs = (Rung(release="", order=(), reasons=floor.reasons),)
        has = f"cannot be judged on {gate.kind}"
        yield Breach(gate=gate.option, limit=gate.text, has=has, arch=shipped.arch, rungs=rungs, unknown=True)
    elif floor.open_below and not floor.judged_to(gate.order):
        has = f"are judged down to {gate.kind} {floor.oldest}"
        yield Breach(gate=gate.option, limit=gate.text, has=has, arch=shipped.arch, unknown=True)


def _needs(floor: Floor) -> str:
    words = {
        "libstdc++": floor.release,
        "libgcc": floor.release,
        "cpu": floor.release,
        "kernel": f"Linux {floor.release}",
    }
    return f"need {words.get(floor.kind, f'{floor.kind} {floor.release}')}"
