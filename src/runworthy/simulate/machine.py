"""What the loaded objects ask of the machine: instructions, page size, kernel, executable stack.

Sources: glibc ``sysdeps/x86/dl-prop.h`` (ISA markers, since 2.33), ``elf/dl-execstack.c`` (dlopen and
executable stacks, since 2.41), ``elf/dl-load.c`` (congruence of segments), Linux ``fs/binfmt_elf.c``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runworthy.model.elf import DF_STATIC_TLS, ElfFacts, ElfFile
from runworthy.model.libc import Libc
from runworthy.model.machine import Machine, format_kernel, isa_level, isa_name
from runworthy.model.trace import Answer, Evidence, Need, Step
from runworthy.simulate.linkmap import Loaded
from runworthy.simulate.system import system_of
from runworthy.targets.target import Target

__all__ = ["OLDEST_KERNEL", "machine_steps"]

OLDEST_KERNEL = (3, 10, 0)
"""The kernel that an unstated one is taken to be at least: RHEL 7's, the oldest with a vendor's support."""

# Ports on which an object without PT_GNU_STACK asks for an executable stack (DEFAULT_STACK_PERMS, stackinfo.h).
_STACK_BY_DEFAULT = frozenset(("x86_64", "i386", "x32", "armv7", "armv6", "armel", "ppc64", "ppc64le", "s390x"))

_PT_TLS = 7
_STATIC_TLS_SURPLUS = 1664

_PLUGIN_ENTRIES = (b"PyInit_", b"napi_register_module", b"node_register_module", b"JNI_OnLoad", b"Init_", b"boot_")


def machine_steps(
    subject: ElfFile, path: str, objects: Sequence[Loaded], target: Target, libc: Libc | None
) -> Iterator[Step]:
    """Yield what is asked of the machine and not simply met."""
    if subject.facts.is_static:
        yield from _system(subject, path)
    shipped = objects or (Loaded(path, subject, subject.facts, path),)
    yield from _isa(shipped, target.machine, libc)
    yield from _isa_of_root(objects, target, libc)
    if subject.facts.is_program:
        yield from _go_isa(subject, path, target.machine)
    yield from _arm(subject.facts, path, target.machine)
    yield from _pages(subject.facts, path, target.machine)
    yield from _kernel(subject.facts, path, objects, target, libc)
    yield from _stack(subject, objects, target, libc)
    yield from _static_tls(objects, libc)


def _system(subject: ElfFile, path: str) -> Iterator[Step]:
    """Tell of a static program for another system: it is started, and its first calls mean something else to Linux."""
    system = system_of(subject)
    if system:
        need = Need(kind="system", name=system, by=path, evidence=Evidence(file=path))
        yield Step(stage="machine", need=need, answer=Answer.UNMET, detail="ends by a signal (SIGSEGV, SIGSYS)")


def _isa(objects: Iterable[Loaded], machine: Machine, libc: Libc | None) -> Iterator[Step]:
    """Compare ISA_1_NEEDED of every object with the CPU; glibc refuses since 2.33, other loaders do not look."""
    enforced = libc is not None and libc.family == "glibc" and (libc.version or (0,)) >= (2, 33)
    for loaded in objects:
        level = isa_level(loaded.facts.isa_needed)
        if level <= machine.level or not machine.level:
            continue
        need = Need(
            kind="isa",
            name=isa_name(level),
            by=loaded.path,
            evidence=Evidence(file=loaded.path, section=".note.gnu.property"),
        )
        detail = "CPU ISA level is lower than required" if enforced else "not checked by the loader"
        yield _by_machine(need, fatal=enforced, detail=detail, assumed=machine.cpu if not machine.level_stated else "")


def _isa_of_root(objects: Iterable[Loaded], target: Target, libc: Libc | None) -> Iterator[Step]:
    """Compare the level that a distribution builds its own libraries for with the CPU: its loader looks at its own."""
    machine = target.machine
    own = next((one for one in objects if libc is not None and one.path == libc.loader), None)
    if own is None or not 0 < machine.level < target.level or isa_level(own.facts.isa_needed) >= target.level:
        return
    need = Need(kind="isa", name=isa_name(target.level), by=own.path, evidence=Evidence(file=own.path))
    assumed = machine.cpu if not machine.level_stated else ""
    yield _by_machine(need, fatal=True, detail="CPU ISA level is lower than required", assumed=assumed)


def _go_isa(subject: ElfFile, path: str, machine: Machine) -> Iterator[Step]:
    """Read GOAMD64: a Go program checks it at start and exits (Go ``runtime/asm_amd64.s``)."""
    if not machine.level:
        return
    go = subject.go()
    wanted = go.settings.get("GOAMD64", "v1") if go else "v1"
    if wanted in ("v2", "v3", "v4") and int(wanted[1]) > machine.level:
        need = Need(
            kind="isa",
            name=f"x86-64-{wanted}",
            by=path,
            evidence=Evidence(file=path, section=".go.buildinfo"),
        )
        detail = f"built with GOAMD64={wanted}: the Go runtime exits at start"
        yield _by_machine(need, fatal=True, detail=detail, assumed=machine.cpu if not machine.level_stated else "")


def _arm(facts: ElfFacts, path: str, machine: Machine) -> Iterator[Step]:
    """Tell what cannot be told: code for ARMv7 carries no mark in the headers that an ARMv6 machine could refuse."""
    arch = facts.architecture
    if arch is not None and arch.elf_machine == 40 and machine.arch.name in ("armv6", "armel"):
        need = Need(kind="isa", name=machine.arch.name, by=path, evidence=Evidence(file=path))
        yield Step(stage="machine", need=need, answer=Answer.UNKNOWN, why="not-modelled")


def _pages(facts: ElfFacts, path: str, machine: Machine) -> Iterator[Step]:
    """Check that segments can be mapped; an assumed page size is named where a larger one would refuse."""
    fits = {size: _congruent(facts, size) for size in (machine.page_size, *machine.arch.page_sizes)}
    evidence = Evidence(file=path, section="program headers")
    if not fits[machine.page_size]:
        need = Need(kind="page-size", name=_kib(machine.page_size), by=path, evidence=evidence)
        yield Step(stage="machine", need=need, answer=Answer.UNMET, detail=_largest(fits))
    elif not machine.page_size_stated and not all(fits.values()):
        refused = ", ".join(_kib(size) for size, fit in sorted(fits.items()) if not fit)
        need = Need(kind="page-size", name=refused, by=path, evidence=evidence)
        yield Step(
            stage="machine",
            need=need,
            answer=Answer.UNMET,
            fatal=False,
            assumption=f"{_kib(machine.page_size)} pages",
            detail=_largest(fits),
        )


def _congruent(facts: ElfFacts, page_size: int) -> bool:
    return all((segment.vaddr - segment.offset) % page_size == 0 for segment in facts.load_segments)


def _largest(fits: dict[int, bool]) -> str:
    usable = [size for size, fit in fits.items() if fit]
    return (
        f"its segments can be mapped with pages of up to {_kib(max(usable))}"
        if usable
        else "its segments overlap pages"
    )


def _kib(size: int) -> str:
    return f"{size // 1024} KiB"


def _kernel(facts: ElfFacts, path: str, objects: Sequence[Loaded], target: Target, libc: Libc | None) -> Iterator[Step]:
    """Compare minimum kernels. A static program checks its own; of a dynamic one glibc did so until 2.35."""
    kernel = target.machine.kernel
    if facts.abi_kernel and facts.is_static and facts.abi_kernel > (kernel or OLDEST_KERNEL):
        yield _kernel_step(path, facts.abi_kernel, kernel, fatal=True)
    if libc is None or libc.family != "glibc" or (libc.version or (9,)) >= (2, 36) or kernel is None:
        return
    for where, wanted in _libc_kernels(objects, target, libc):
        if wanted > kernel:
            yield _kernel_step(where, wanted, kernel, fatal=True)
            return


def _libc_kernels(objects: Sequence[Loaded], target: Target, libc: Libc) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield the minimum kernels of the loader and of libc.so.6, which were configured together (DL_SYSDEP_OSCHECK)."""
    found = [(loaded.path, loaded.facts) for loaded in objects if (loaded.facts.soname or "").startswith("libc.so.")]
    if libc.loader:
        found.append((libc.loader, target.view.elf(target.view.resolve(libc.loader).path).facts))
    for path, facts in found:
        if facts.abi_kernel:
            yield path, facts.abi_kernel
    if libc.loader and (libc.version or (0,)) >= (2, 26):  # arch_minimum_kernel of configure.ac at the least
        yield libc.loader, (3, 7, 0) if target.arch.name == "aarch64" else (3, 2, 0)


def _kernel_step(path: str, wanted: tuple[int, int, int], kernel: tuple[int, int, int] | None, *, fatal: bool) -> Step:
    need = Need(
        kind="kernel", name=format_kernel(wanted), by=path, evidence=Evidence(file=path, section=".note.ABI-tag")
    )
    assumed = "" if kernel else f"a kernel of at least {format_kernel(OLDEST_KERNEL)}"
    return _by_machine(need, fatal=fatal, detail="FATAL: kernel too old", assumed=assumed)


def _stack(subject: ElfFile, objects: Sequence[Loaded], target: Target, libc: Libc | None) -> Iterator[Step]:
    """Tell of libraries that need an executable stack where a process that is under way will not give it."""
    if libc is None or libc.family not in ("glibc", "musl"):
        return
    opened = [loaded for loaded in objects if loaded.local]
    library = not subject.facts.is_program
    if not opened and library:
        opened = [loaded for loaded in objects if loaded.is_main]
    refuses = libc.family == "glibc" and (libc.version or (0,)) >= (2, 41)
    for loaded in opened if refuses or libc.family == "musl" else ():
        wants = loaded.facts.exec_stack
        if wants is None:
            wants = libc.family == "glibc" and target.arch.name in _STACK_BY_DEFAULT and _has_bytes(loaded)
        if wants:
            need = Need(
                kind="exec-stack",
                name="executable stack",
                by=loaded.path,
                evidence=Evidence(file=loaded.path, section="PT_GNU_STACK"),
            )
            detail = "cannot enable executable stack" if refuses else "musl leaves the stack as it is"
            dlopened = any(other.local for other in objects) or (library and _is_plugin(subject))
            yield Step(stage="machine", need=need, answer=Answer.UNMET, fatal=refuses and dlopened, detail=detail)


def _static_tls(objects: Sequence[Loaded], libc: Libc | None) -> Iterator[Step]:
    """Tell of opened libraries that want a fixed place in every thread's static TLS block (DF_STATIC_TLS).

    musl has none left once a program runs ("initial-exec TLS resolves to dynamic definition"); glibc keeps a surplus
    that all such libraries share (``csu/libc-tls.c``, ``elf/dl-tls.c`` TLS_STATIC_SURPLUS).
    """
    for loaded in objects if libc is not None else ():
        size = sum(segment.memsz for segment in loaded.facts.segments if segment.type == _PT_TLS)
        if not (loaded.local and size and loaded.facts.dt_flags & DF_STATIC_TLS):
            continue
        musl = libc is not None and libc.family == "musl"
        if musl or size > _STATIC_TLS_SURPLUS:
            need = Need(
                kind="static-tls",
                name=f"{size} bytes",
                by=loaded.path,
                evidence=Evidence(file=loaded.path, section="PT_TLS"),
            )
            detail = (
                "initial-exec TLS resolves to dynamic definition"
                if musl
                else "cannot allocate memory in static TLS block"
            )
            yield Step(stage="machine", need=need, answer=Answer.UNMET, detail=detail)


def _has_bytes(loaded: Loaded) -> bool:
    """Whether the program headers were read at all; recorded facts do not hold them."""
    return len(loaded.facts.segments) > 1


def _is_plugin(subject: ElfFile) -> bool:
    """Whether the library is made to be opened by a host: it exports a known entry point."""
    return any(name.startswith(_PLUGIN_ENTRIES) for name in subject.exports().names)


def _by_machine(need: Need, *, fatal: bool, detail: str, assumed: str) -> Step:
    """Return an unmet need of the machine; one that only an assumed value refuses is no failure."""
    return Step(
        stage="machine",
        need=need,
        answer=Answer.UNMET,
        fatal=fatal and not assumed,
        assumption=assumed or None,
        detail=detail,
    )
