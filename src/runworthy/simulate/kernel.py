"""What execve does with an ELF file: machine, program interpreter, segments.

Source: Linux ``fs/binfmt_elf.c`` (load_elf_binary, load_elf_phdrs, elf_load). The errno of each refusal is in
the step's ``detail``, since callers tell their users no more than that.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from runworthy.model.arch import Architecture, machine_name
from runworthy.model.elf import ET_DYN, ET_EXEC, ElfFacts
from runworthy.model.errors import FormatError
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Evidence, Need, Probe, Step
from runworthy.simulate.permission import denied, only_for_some
from runworthy.simulate.segments import segment_steps
from runworthy.targets.target import Target
from runworthy.targets.view import Resolved

__all__ = ["exec_steps", "in_directory", "runs_natively"]

_PATH_MAX = 4096

# Architectures whose kernels run programs of another one as well: (machine, program) -> is that certain.
_COMPATIBLE = {
    ("x86_64", "i386"): True,
    ("x86_64", "x32"): False,
    ("x32", "x86_64"): True,  # its kernel is that of x86-64
    ("x32", "i386"): True,
    ("mips64le", "mipsle"): False,
    ("aarch64", "armv7"): False,
    ("aarch64", "armv6"): False,
    ("aarch64", "armel"): False,
    ("armv7", "armv6"): True,
    ("armv7", "armel"): True,
    ("armv6", "armel"): True,
    ("armv6", "armv7"): True,
}


def runs_natively(machine: Architecture, program: Architecture | None) -> bool | None:
    """Return whether a kernel of ``machine`` takes a program of another one; None: it depends on the machine."""
    if program is None:
        return False
    if machine.name == program.name:
        return True
    certain = _COMPATIBLE.get((machine.name, program.name))
    return (True if certain else None) if certain is not None else False


def in_directory(cwd: str) -> str:
    """Return what is assumed where a relative path is found in a directory of which nobody has said anything."""
    return f"it is started in {cwd}"


def exec_steps(
    path: str, facts: ElfFacts, target: Target, cwd: str = "/", *, cwd_stated: bool = True, opened: bool = False
) -> Iterator[Step]:
    """Yield what execve requires, in its order, up to the first refusal. ``cwd`` is where a relative path starts.

    ``opened``: it has been held open since a handler was registered, and nobody is asked for permission any more.
    """
    need = Need(kind="permission", name="execute", by=path, evidence=Evidence(file=path))
    if not opened and (refused := denied(target, path)):
        yield Step(stage="exec", need=need, answer=Answer.UNMET, detail=f"EACCES: {refused}")
        return
    if not opened and (assumed := only_for_some(target, path)):
        yield Step(stage="exec", need=need, answer=Answer.MET, met_by="its mode", assumption=assumed)
    step = _format(path, facts, target)
    yield step
    if step.answer is Answer.UNMET:
        return
    if facts.interpreter is not None:
        step = _interpreter(path, facts, target, cwd)
        depends = not cwd_stated and not facts.interpreter.startswith("/") and step.answer is Answer.MET
        yield replace(step, assumption=in_directory(cwd)) if depends else step
    yield from segment_steps(path, facts, "exec", starts=True)


def _format(path: str, facts: ElfFacts, target: Target) -> Step:
    arch = facts.architecture
    head = facts.header
    name = arch.name if arch else machine_name(head.machine)
    need = Need(kind="exec-format", name=name, by=path, evidence=Evidence(file=path, section="ELF header", offset=16))
    if head.type not in (ET_EXEC, ET_DYN):
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail="ENOEXEC: neither a program nor a library")
    if not facts.segments:
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail="ENOEXEC: no program headers")
    native = runs_natively(target.arch, arch)
    if native is None:
        return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="machine-unstated")
    if not native:
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail=f"ENOEXEC: the machine is {target.arch.name}")
    return Step(stage="exec", need=need, answer=Answer.MET, met_by=f"{target.arch.name} kernel")


def _interpreter(path: str, facts: ElfFacts, target: Target, cwd: str) -> Step:
    name = facts.interpreter or ""
    need = Need(kind="interpreter", name=name, by=path, evidence=Evidence(file=path, section=".interp"))
    if not 2 <= facts.interpreter_size <= _PATH_MAX:
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail="ENOEXEC: PT_INTERP has an impossible size")
    if not facts.interpreter_terminated:
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail="ENOEXEC: PT_INTERP does not end in a NUL")
    try:
        found = target.view.resolve(posixpath.join(cwd, name))
    except OSError as error:
        return _not_opened(need, target, error)
    detail = _unusable(found, facts, target)
    if detail:
        probe = Probe(path=name, origin="PT_INTERP", outcome=detail)
        return Step(stage="exec", need=need, answer=Answer.UNMET, searched=(probe,), detail=detail)
    return Step(stage="exec", need=need, answer=Answer.MET, met_by=found.path)


def _not_opened(need: Need, target: Target, error: OSError) -> Step:
    probe = Probe(path=need.name, origin="PT_INTERP", outcome=error.strerror or "cannot be opened")
    if target.absent(need.name):
        detail = f"{_errno_name(error)}: the kernel reports the program itself as missing"
        return Step(stage="exec", need=need, answer=Answer.UNMET, searched=(probe,), detail=detail)
    return Step(stage="exec", need=need, answer=Answer.UNKNOWN, why="outside-core", searched=(probe,))


def _errno_name(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, "an error")


def _unusable(found: Resolved, facts: ElfFacts, target: Target) -> str:
    """Return why the file at the interpreter's path cannot be one, empty when it can."""
    if found.entry.kind != "file":
        return "EACCES: no regular file"
    if refused := denied(target, found.path):
        return f"EACCES: {refused}"
    try:
        loader = target.view.elf(found.path).facts
    except FormatError as error:
        return f"ELIBBAD: {error.message}"
    except OSError:
        return "ELIBBAD: not an ELF file"
    if loader.header.machine != facts.header.machine:
        return f"ELIBBAD: made for {machine_name(loader.header.machine)}"
    return ""
