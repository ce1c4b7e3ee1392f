"""What the kernel asks of an ELF file before it takes it, and where it kills the process after that.

Source: Linux ``fs/binfmt_elf.c`` (load_elf_binary, load_elf_phdrs, elf_load, load_elf_interp), each architecture's
``elf_check_arch``, ``fs/compat_binfmt_elf.c``. The header is read in the form that the kernel was built for: on most
architectures the file's own class and byte order are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from runworthy.formats.elf.layout import LAYOUTS, PF_W, PF_X, PT_INTERP, PT_LOAD, Layout
from runworthy.model.arch import Architecture, machine_name
from runworthy.model.elf import ET_DYN, ET_EXEC, Segment
from runworthy.model.machine import Machine
from runworthy.model.records import dataclass
from runworthy.model.trace import Why
from runworthy.simulate.execve.opening import Opened, RefusalError

__all__ = ["Image", "load_elf"]

MAGIC = b"\x7fELF"
_PATH_MAX = 4096
_TABLE_LIMIT = 65536
# What a processor makes of a first instruction of zeros: x86 writes to the address 0, others know no such instruction.
_ZEROS = {3: "SIGSEGV", 62: "SIGSEGV", 183: "SIGILL", 243: "SIGILL"}
_LONG_TABLES = (6, 12, 999), (6, 18, 0)
"""The last release that was read and takes no more than a page of program headers, the first seen to take more."""
_UNSTATED: Why = "machine-unstated"
_LOFF_MAX = (1 << 63) - 1
_TASK_SIZE = {62: (1 << 47) - 4096}  # of x86-64: arch/x86/include/asm/page_64_types.h

# Machine numbers beside the architecture's own that its kernel takes: EM_486 and EM_S390_OLD.
_ALSO = {"i386": (6,), "s390x": (0xA390,)}
# Architectures whose kernels compare the class of the file: arch/{mips,riscv,s390}/include/asm/elf.h.
_CLASS_COUNTS = frozenset(("mips64le", "mipsle", "riscv64", "s390x"))
# Second forms that a kernel may have been built with: (machine numbers, bits, class counts, certain).
_COMPAT: dict[str, tuple[tuple[tuple[int, ...], bool, bool], ...]] = {
    "x86_64": (((3, 6), False, True), ((62,), False, False)),
    "x32": (((3, 6), False, True), ((62,), False, True)),
    "aarch64": (((40,), False, False),),
    "ppc64": (((20,), False, False),),
    "ppc64le": (((20,), False, False),),
    "s390x": (((22,), True, False),),
    "riscv64": (((243,), True, False),),
    "mips64le": (((8,), True, False),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """One loader of ELF files in a kernel. Not ``certain``: it depends on how that was built or on the processor."""

    layout: Layout
    machines: tuple[int, ...]
    class_counts: bool = False
    certain: bool = True

    def takes(self, head: bytes) -> bool:
        """Whether elf_check_arch takes a header."""
        machine: int = self.layout.ehdr.unpack_from(head)[2]
        return machine in self.machines and (not self.class_counts or head[4] == self.layout.bits // 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An ELF file that is loaded. ``interpreter`` is the real path of the one it names; ``dies`` names a signal."""

    interpreter: str = ""
    dies: str = ""
    detail: str = ""


def load_elf(file: Opened, machine: Machine, open_exec: Callable[[str], Opened]) -> Image:
    """Return what becomes of an ELF file on a machine. Raises RefusalError (ENOEXEC: it is for another loader)."""
    if file.head[:4] != MAGIC:
        raise RefusalError("ENOEXEC", "it is no ELF file")
    refused: RefusalError | None = None
    for form in _forms(machine.arch):
        try:
            image = _load(file, form, machine, open_exec)
        except RefusalError as error:
            if error.errno != "ENOEXEC":
                raise _doubtful(error, form, machine.arch) from None
            refused = refused or error
            continue
        if not form.certain:
            raise _doubtful(RefusalError("", ""), form, machine.arch)
        return image
    raise refused or RefusalError("ENOEXEC", "no ELF file")


def _doubtful(error: RefusalError, form: _Form, arch: Architecture) -> RefusalError:
    if form.certain:
        return error
    names = f"{form.layout.bits}-bit {machine_name(form.machines[0])} programs"
    return RefusalError("", f"whether this {arch.name} kernel takes {names} is not known", why=_UNSTATED)


def _forms(arch: Architecture) -> Iterator[_Form]:
    """Yield the loaders of a kernel in the order in which they are asked."""
    order = 1 if arch.endian == "little" else 2
    bits = 64 if arch.name == "x32" else arch.elf_class
    yield _Form(
        layout=LAYOUTS[bits // 32, order],
        machines=(arch.elf_machine, *_ALSO.get(arch.name, ())),
        class_counts=arch.name in _CLASS_COUNTS,
    )
    for machines, class_counts, certain in _COMPAT.get(arch.name, ()):
        yield _Form(layout=LAYOUTS[1, order], machines=machines, class_counts=class_counts, certain=certain)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What of a header the kernel uses, with the program headers."""

    type: int
    entry: int
    segments: tuple[Segment, ...]

    @property
    def loaded(self) -> list[Segment]:
        """The segments that are mapped."""
        return [segment for segment in self.segments if segment.type == PT_LOAD]


def _load(file: Opened, form: _Form, machine: Machine, open_exec: Callable[[str], Opened]) -> Image:
    page_size = machine.page_size
    kind: int = form.layout.ehdr.unpack_from(file.head)[1]
    if kind not in (ET_EXEC, ET_DYN):
        raise RefusalError("ENOEXEC", "neither a program nor a library")
    if not form.takes(file.head):
        number: int = form.layout.ehdr.unpack_from(file.head)[2]
        raise RefusalError("ENOEXEC", f"it is made for {machine_name(number)}")
    header = _header(file, form, machine)
    if header is None:
        raise RefusalError("ENOEXEC", "its program headers are not what the kernel takes")
    name = _interpreter_name(file, header.segments)
    if name is None:
        return _ended("", _killed(file, header, form, page_size) or _lost(file, header, form, page_size))
    interpreter = open_exec(name)
    inner = _interpreter(interpreter, form, machine)
    death = _killed(file, header, form, page_size) or _killed(interpreter, inner, form, page_size)
    if not death and inner.type not in (ET_EXEC, ET_DYN):
        death = "SIGSEGV", "its interpreter is neither a program nor a library"
    return _ended(interpreter.real, death or _lost(interpreter, inner, form, page_size))


def _ended(interpreter: str, death: tuple[str, str] | None) -> Image:
    dies, detail = death or ("", "")
    return Image(interpreter=interpreter, dies=dies, detail=detail)


def _header(file: Opened, form: _Form, machine: Machine) -> _Header | None:
    """Return the headers, None where load_elf_phdrs takes none."""
    layout = form.layout
    _, kind, _, _, entry, phoff, _, _, _, phentsize, phnum, *_ = layout.ehdr.unpack_from(file.head)
    size = layout.phdr.size * phnum
    if phentsize != layout.phdr.size or not 0 < size <= _TABLE_LIMIT:
        return None
    if size > machine.page_size and not _takes_long_tables(machine.kernel):
        return None
    if file.facts is not None:
        return _Header(type=kind, entry=entry, segments=file.facts.segments)
    table = file.content.pread(phoff, size) if file.content else b""
    if len(table) != size:
        return None
    return _Header(type=kind, entry=entry, segments=tuple(_segments(table, layout)))


def _takes_long_tables(kernel: tuple[int, int, int] | None) -> bool:
    """Whether program headers may take more than a page. Raises RefusalError: not known of releases in between."""
    if kernel is None or _LONG_TABLES[0] < kernel < _LONG_TABLES[1]:
        raise RefusalError("", "it depends on the kernel whether more than a page of headers is taken", why=_UNSTATED)
    return kernel >= _LONG_TABLES[1]


def _segments(table: bytes, layout: Layout) -> Iterator[Segment]:
    for row in layout.phdr.iter_unpack(table):
        if layout.bits == 64:
            kind, flags, offset, vaddr, filesz, memsz, align = row
        else:
            kind, offset, vaddr, filesz, memsz, flags, align = row
        yield Segment(kind, flags, offset, vaddr, filesz, memsz, align)


# -- the interpreter ----------------------------------------------------------------------------


def _interpreter_name(file: Opened, segments: Sequence[Segment]) -> str | None:
    """Return what the first PT_INTERP names, None where there is none. Raises RefusalError."""
    segment = next((one for one in segments if one.type == PT_INTERP), None)
    if segment is None:
        return None
    if not 2 <= segment.filesz <= _PATH_MAX:
        raise RefusalError("ENOEXEC", f"PT_INTERP has {segment.filesz} bytes, not 2 to {_PATH_MAX}")
    if file.facts is not None:
        return file.facts.interpreter or ""
    if segment.offset + segment.filesz > _LOFF_MAX:
        raise RefusalError("EINVAL", "PT_INTERP lies outside any file")
    text = file.content.pread(segment.offset, segment.filesz) if file.content else b""
    if len(text) != segment.filesz:
        raise RefusalError("EIO", "PT_INTERP lies behind the end of the file")
    if text[-1:] != b"\0":
        raise RefusalError("ENOEXEC", "PT_INTERP does not end in a NUL")
    return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _interpreter(file: Opened, form: _Form, machine: Machine) -> _Header:
    """Return the headers of an interpreter. Raises RefusalError."""
    if 0 <= file.size < form.layout.ehdr.size:
        raise RefusalError("EIO", f"the interpreter {file.name} has {file.size} bytes, fewer than an ELF header")
    if file.head[:4] != MAGIC:
        raise RefusalError("ELIBBAD", f"the interpreter {file.name} is no ELF file")
    if not form.takes(file.head):
        number: int = form.layout.ehdr.unpack_from(file.head)[2]
        raise RefusalError("ELIBBAD", f"the interpreter {file.name} is made for {machine_name(number)}")
    header = _header(file, form, machine)
    if header is None:
        raise RefusalError(
            "ELIBBAD", f"the program headers of the interpreter {file.name} are not what the kernel takes"
        )
    return header


# -- after the point of no return -----------------------------------------------------------------


def _killed(file: Opened, header: _Header, form: _Form, page_size: int) -> tuple[str, str] | None:
    """Return the signal with which the kernel answers segments that it cannot map."""
    limit = _TASK_SIZE.get(form.machines[0], 1 << (56 if form.layout.bits == 64 else 32))
    for segment in header.loaded:
        apart = (segment.offset - segment.vaddr) % page_size
        if segment.filesz and apart:
            return "SIGSEGV", "a segment's offset and address differ within a page"
        if segment.filesz > segment.memsz:
            return "SIGSEGV", "a segment is larger in the file than in memory"
        if segment.vaddr + segment.memsz > limit:
            return "SIGSEGV", "a segment lies outside any address space"
        end = segment.offset + segment.filesz
        clears = 0 < segment.filesz < segment.memsz and segment.flags & PF_W and end % page_size
        if clears and end // page_size * page_size >= file.size:
            return (
                "SIGSEGV",
                f"the file ends at byte {file.size}, before the last page of a segment that is to be written",
            )
    return None


def _lost(file: Opened, header: _Header, form: _Form, page_size: int) -> tuple[str, str] | None:
    """Return the signal of a program whose first instruction is nowhere. ``file`` is where the entry point lies."""
    entry = header.entry
    if file.facts is not None:
        return None  # recorded facts need not hold every program header
    covering = [one for one in header.loaded if _covers(one, entry, page_size)]
    if not covering:
        return "SIGSEGV", f"its entry point {entry:#x} lies in no segment"
    segment = covering[-1]  # a later mapping replaces an earlier one
    if form.layout.bits == 64 and not segment.flags & PF_X:
        return "SIGSEGV", f"its entry point {entry:#x} lies in no executable segment"
    mapped = segment.vaddr - segment.vaddr % page_size
    in_file = segment.offset - segment.vaddr % page_size + entry - mapped
    from_file = entry < -(-(segment.vaddr + segment.filesz) // page_size) * page_size and segment.filesz
    behind = f"its entry point {entry:#x} lies behind the end of the file"
    if from_file and in_file // page_size * page_size >= file.size:
        return "SIGBUS", behind
    if from_file and in_file >= file.size and form.machines[0] in _ZEROS:
        return _ZEROS[form.machines[0]], behind
    return None


def _covers(segment: Segment, address: int, page_size: int) -> bool:
    """Whether the pages of a segment hold an address."""
    start = segment.vaddr - segment.vaddr % page_size
    end = -(-(segment.vaddr + segment.memsz) // page_size) * page_size
    return start <= address < end
