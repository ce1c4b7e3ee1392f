"""RW101: the program names a loader that the root does not have."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.arch import architecture
from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.known import KnownLoader, built_elsewhere, known_loader
from runworthy.rules.words import finding, help_

CODE = "RW101"
NAME = "missing-interpreter"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("interpreter:unmet",)
ORDER = 50

# What Debian calls the architectures whose programs it can install beside its own.
_DEBIAN = {
    "aarch64": "arm64",
    "armv7": "armhf",
    "armv6": "armel",
    "armel": "armel",
    "i386": "i386",
    "x86_64": "amd64",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "mips64le": "mips64el",
}
_MISSING = ("ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG")


def check(case: Case) -> Iterator[Match]:
    """Yield the program whose PT_INTERP leads nowhere."""
    for step in case.steps("interpreter"):
        if step.detail.startswith(_MISSING):
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    path = step.need.name
    known = known_loader(path)
    who = case.needer(step.need)
    message = f"`{who}` names the loader `{path}`, which is not in {case.target}"
    notes = (
        _said(step, who),
        _whose(known, path),
        "" if "QEMU" in step.detail else _own_loader(case),
    )
    remedies = tuple(_remedies(case, known, step, who))
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"the loader `{path}` is not there",
        steps=(step,),
        notes=notes,
        remedies=remedies,
    )


def _said(step: Step, who: str) -> str:
    """Tell who answers what: the kernel, or the emulator that opens the loader in its place."""
    number, _, words = step.detail.partition(": ")
    if words.startswith("QEMU"):
        return words
    return f"execve answers {number} for it, and a shell says `{who}: not found` of a file that exists"


def _whose(known: KnownLoader, path: str) -> str:
    place = built_elsewhere(path)
    whose = f"it is {known.words}" if known.family else ""
    if place:
        lies = f"the path lies in {place} of the machine that built the program"
        return f"{whose}; {lies}" if whose else lies
    return (
        whose
        if whose or path.startswith("/")
        else "the path is relative: it is looked for where the program is started"
    )


def _own_loader(case: Case) -> str:
    """Tell which loader the root has, or that it has none."""
    if case.libc is None or case.libc.family == "none":
        return f"{case.target} has no dynamic loader for {case.machine}"
    arch = architecture(case.machine)
    path = _usual(case) if arch else ""
    return f"{case.target} has {case.libc}, whose loader is `{path}`" if path else f"{case.target} has {case.libc}"


def _usual(case: Case) -> str:
    """Return the path by which programs name the loader of the root's C library."""
    arch = architecture(case.machine)
    if arch is None or case.libc is None:
        return ""
    return {"glibc": arch.glibc_loader, "musl": arch.musl_loader}.get(case.libc.family, "")


def _for_emulator(known: KnownLoader, who: str) -> Iterator[Remedy]:
    """Propose what gives an emulated program its loader: qemu looks below QEMU_LD_PREFIX first, then in the root."""
    yield help_(f"name the root of such a system, which has it, to qemu: `QEMU_LD_PREFIX=DIR {who}`")
    arch = architecture(known.arch) if known.arch else None
    debian = _DEBIAN.get(arch.name) if arch else None
    if debian and known.family == "glibc":
        yield help_(f"on Debian and Ubuntu: `dpkg --add-architecture {debian}`, and install `libc6:{debian}`")
    yield help_("link it statically")


def _remedies(case: Case, known: KnownLoader, step: Step, who: str) -> Iterator[Remedy]:
    if "QEMU" in step.detail:
        yield from _for_emulator(known, who)
        return
    usual, path = _usual(case), step.need.name
    subject = case.facts.architecture if case.facts else None
    same = subject is not None and subject.name == case.machine
    if usual and usual != path and same and known.family in ("", "lsb", case.libc.family if case.libc else ""):
        yield help_(f"name the root's loader: `patchelf --set-interpreter {usual}`, or build it with that loader")
    if known.arch == "i386" and case.machine == "x86_64" and known.family == "glibc":
        family = case.target.partition(":")[0]
        package = {"debian": "libc6:i386", "ubuntu": "libc6:i386"}.get(family)
        if family in ("fedora", "rhel", "centos", "almalinux", "rockylinux", "oraclelinux"):
            package = "glibc.i686"
        if package:
            yield help_(f"install `{package}`")
    if case.libc is None or case.libc.family == "none":
        yield help_("link it statically, or use a root that has a C library")
