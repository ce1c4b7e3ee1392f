"""ELF programs without any library, made to the byte, that say which file they are and which arguments they get."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from typing import Literal

__all__ = ["Load", "program", "said"]

ID_SIZE = 8
_CODE = 0x400
_PAGE = 0x1000
_MARK = b"@" * ID_SIZE

_SOURCE = {
    64: """
    mov (%rsp), %r12; lea 8(%rsp), %rbx; lea mark(%rip), %rsi; mov $8, %edx; mov $1, %edi; mov $1, %eax; syscall
1:  test %r12, %r12; jz 4f; mov (%rbx), %rsi; xor %edx, %edx
2:  cmpb $0, (%rsi,%rdx); je 3f; inc %rdx; jmp 2b
3:  inc %rdx; mov $1, %edi; mov $1, %eax; syscall; add $8, %rbx; dec %r12; jmp 1b
4:  mov $60, %eax; xor %edi, %edi; syscall
mark: .ascii "@@@@@@@@"
""",
    32: """
    mov (%esp), %ebp; lea 4(%esp), %esi; call 5f
5:  pop %ecx; add $(mark - 5b), %ecx; mov $8, %edx; mov $1, %ebx; mov $4, %eax; int $0x80
1:  test %ebp, %ebp; jz 4f; mov (%esi), %ecx; xor %edx, %edx
2:  cmpb $0, (%ecx,%edx); je 3f; inc %edx; jmp 2b
3:  inc %edx; mov $1, %ebx; mov $4, %eax; int $0x80; add $4, %esi; dec %ebp; jmp 1b
4:  mov $1, %eax; xor %ebx, %ebx; int $0x80
mark: .ascii "@@@@@@@@"
""",
}


@cache
def _code(bits: Literal[32, 64]) -> bytes:
    """Assemble the program: it writes its mark and every argument with its NUL."""
    with TemporaryDirectory() as directory:
        made, flat = Path(directory, "made.o"), Path(directory, "flat")
        command = ["gcc", f"-m{bits}", "-x", "assembler", "-c", "-o", str(made), "-"]
        subprocess.run(command, input=_SOURCE[bits], text=True, check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", str(made), str(flat)], check=True)
        return flat.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A PT_LOAD beside the one with the code."""

    offset: int
    vaddr: int
    filesz: int
    memsz: int
    flags: int = 6


def program(
    mark: str,
    *,
    bits: Literal[32, 64] = 64,
    kind: int = 2,
    machine: int | None = None,
    interpreter: bytes | None = None,
    interpreter_size: int | None = None,
    interpreter_offset: int | None = None,
    loads: Sequence[Load] = (),
    phentsize: int | None = None,
    phnum: int | None = None,
    entry: int | None = None,
    ident: bytes = b"",
    size: int | None = None,
) -> bytes:
    """Return a program that says `mark` (8 letters at most); what is not given is as a linker would make it.

    `interpreter` is what PT_INTERP holds, NUL and all; `ident` replaces the bytes of e_ident from the fifth on.
    """
    base = 0x400000 if kind == 2 else 0
    code = _code(bits).replace(_MARK, mark.encode().ljust(ID_SIZE, b"\0"))
    rows = []
    phsize, ehsize = (56, 64) if bits == 64 else (32, 52)
    count = 1 + len(loads) + (interpreter is not None)
    where = ehsize + phsize * count
    if interpreter is not None:
        length = len(interpreter) if interpreter_size is None else interpreter_size
        rows.append((3, 4, where if interpreter_offset is None else interpreter_offset, base, length, length, 1))
    held = interpreter or b""
    start = max(_CODE, -(-(where + len(held)) // 16) * 16)
    end = start + len(code)
    rows.append((1, 5, 0, base, end, end, _PAGE))
    rows += [(1, one.flags, one.offset, base + one.vaddr, one.filesz, one.memsz, _PAGE) for one in loads]
    first = bytes([0x7F, *b"ELF", bits // 32, 1, 1]).ljust(16, b"\0")
    first = first[:4] + ident + first[4 + len(ident) :]
    number = machine if machine is not None else (62 if bits == 64 else 3)
    begin = base + start if entry is None else entry
    counts = (ehsize, phsize if phentsize is None else phentsize, count if phnum is None else phnum, 0, 0, 0)
    header = pack(
        "<16sHHI" + ("QQQ" if bits == 64 else "III") + "IHHHHHH", first, kind, number, 1, begin, ehsize, 0, 0, *counts
    )
    table = b"".join(_row(row, bits) for row in rows)
    data = (header + table + held).ljust(start, b"\0") + code
    length = max([end, *(one.offset + one.filesz for one in loads)]) if size is None else size
    return data.ljust(length, b"\0")[:length]


def _row(row: tuple[int, ...], bits: int) -> bytes:
    kind, flags, offset, vaddr, filesz, memsz, align = row
    if bits == 64:
        return pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, filesz, memsz, align)
    return pack("<IIIIIIII", kind, offset, vaddr, vaddr, filesz, memsz, flags, align)


def said(output: str) -> tuple[str, tuple[str, ...]]:
    """Return the mark and the arguments that such a program printed."""
    mark, rest = output[:ID_SIZE].rstrip("\0"), output[ID_SIZE:]
    return mark, tuple(rest.split("\0")[:-1])
