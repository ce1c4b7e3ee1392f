"""A writer of synthetic Actually Portable Executables: ``ape(machines=("x86_64", "aarch64"))`` gives the bytes.

Made from the specification (cosmopolitan ``ape/specification.md``), nothing of another program is inside. What comes
out really runs: through ``sh FILE``, through a loader (``tests/ape_loader.c``, which ``ape_loader`` compiles) and
through binfmt_misc. Each part says who ran it, by what it writes and by its exit code:

- the code of each ELF header writes ``message`` and exits with ``code`` (x86-64 and arm64, machine code by hand);
- the PE part, which Windows and Wine run, calls ExitProcess of KERNEL32.dll with ``pe_code`` and writes nothing.

The parts, in the order of the file: magic and DOS header, a here-document that hides binary bytes from the shell, the
script with the ELF headers in printf statements, Mach-O header, PE headers, program headers, code, the section of the
PE part, the compressed loaders, the zip archive.

A *classic* APE (no ``loaders``) makes itself an ELF file: its script writes the header over the file's first bytes,
and starts the file again. With ``loaders`` the script unpacks the right one with dd and gzip to
``${TMPDIR:-${HOME:-.}}/.ape-1.10`` and starts that with the file; headers are written only for ``--assimilate``.
"""

from __future__ import annotations

import gzip
import io
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import pack
from typing import Literal

from tests.elfwriter import elf

__all__ = [
    "APEDBG",
    "JARTSR",
    "LOADER_NAME",
    "MZQFPD",
    "Dd",
    "ape",
    "ape_loader",
    "elf_header",
    "like_ape_loader",
    "mach_header",
    "octal",
    "windows_program",
]

MZQFPD, JARTSR, APEDBG = "MZqFpD='", "jartsr='", "APEDBG='"
"""The three magics: for all systems; for all but Windows; for the shell only, which no handler is to take."""

LOADER_NAME = ".ape-1.10"
MODERN = 0x101CA75
"""e_flags of programs that do not need their argv[0] mended."""

Dd = Literal["plain", "arithmetic", "quoted"]
"""How the numbers of a dd statement are written: ``skip=12  ``, ``skip=$(( 12))``, ``skip=" 12"``, the latest first."""

_DD = {"plain": "{:<9d}", "arithmetic": "$(({:9d}))", "quoted": '"{:9d}"'}
_NUMBERS = {"x86_64": 62, "aarch64": 183}
_UNAMES = {"x86_64": ("x86_64", "amd64"), "aarch64": ("aarch64", "arm64")}
_BASE = 0x10000000
_MARKER = b"\n@\n#'\"\n\n"
_PHDR = 56
_COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}


def like_ape_loader(machine: str = "x86_64") -> bytes:
    """Return a program that is told for the APE loader by what it holds, and does nothing."""
    return elf(machine=machine, kind=2, dynamic=False) + MZQFPD.encode()


def ape(
    *,
    magic: str = MZQFPD,
    machines: Sequence[str] = ("x86_64",),
    message: str = "an APE ran natively\n",
    code: int = 42,
    loaders: Mapping[str, bytes] | None = None,
    m1_source: bytes = b"",
    far: bool = False,
    skew: int = 0,
    modern: bool = False,
    pe: bool | None = None,
    pe_code: int = 7,
    macho: Dd | None = None,
    members: Mapping[str, bytes] | None = None,
    path_lookup: bool = True,
    segment_types: Sequence[int] = (1,),
) -> bytes:
    r"""Return the bytes of an APE.

    ``magic`` are its first 8 bytes, so that ``"MZqFpDx\n"`` makes a near miss. ``machines`` are of x86_64 and aarch64,
    with a header and code for each in this order. ``loaders`` are ELF files by machine (``ape_loader``) to be embedded;
    ``m1_source`` is the C source of a loader for macOS. ``far`` puts the script's work behind offset 8192, where no
    loader looks for headers. ``skew`` (bytes, of 4096) is added to the addresses, so that segments are not congruent
    at page sizes that it does not divide by. ``pe`` is whether there is a PE part; with the MZ magic there is.
    ``members`` are the files of the zip archive at its end. Without ``path_lookup`` the script does not ask for a
    program ``ape`` in PATH. ``segment_types`` are the types of the program headers, PT_LOAD first.
    """
    held = loaders or {}
    with_pe = magic.startswith("MZ") if pe is None else pe
    codes = {machine: _CODES[machine](message.encode(), code) for machine in machines}
    packed = {machine: gzip.compress(loader, mtime=0) for machine, loader in held.items()}
    source = gzip.compress(m1_source, mtime=0) if m1_source else b""

    def script(at: Mapping[str, int]) -> bytes:
        rows = [_LOOKUP if path_lookup else 'o=$(command -v "$0")\n']
        rows += [_filler()] if far else []
        rows += [_FIND_LOADER] if held else []
        rows += ["m=$(uname -m)\n", "if [ ! -d /Applications ]; then\n"]
        for machine in machines:
            header = elf_header(
                machine,
                entry=_address(at[machine], skew),
                phoff=at[f"{machine} table"],
                phnum=len(segment_types),
                flags=MODERN if modern else 0,
            )
            rows.append(_writes(machine, header, asked=machine in held))
        rows += ["else\n", _mac(at, macho, len(source)), "fi\n"]
        rows += [_unpacks(machine, at[f"{machine} loader"], len(data)) for machine, data in packed.items()]
        rows.append('echo "$0: no code for $m inside" >&2\nexit 127\n')
        return "".join(rows).encode()

    parts: dict[str, tuple[int, bytes]] = {}
    names = ("mach", "pe", *machines, *(f"{one} table" for one in machines), *(f"{one} loader" for one in packed), "m1")
    at = dict.fromkeys((*names, "section"), 0)
    length = 64 + len(_MARKER) + len(script(at))
    for name, align, data in _sized(
        codes, packed, source, pe=with_pe, macho=macho is not None, tables=len(segment_types)
    ):
        length += -length % align
        at[name] = length
        parts[name] = length, data
        length += len(data)
    tables = {
        f"{one} table": b"".join(_program_header(at[one], len(codes[one]), skew, kind) for kind in segment_types)
        for one in machines
    }
    made = {name: (start, tables.get(name, data)) for name, (start, data) in parts.items()}
    if with_pe:
        header, section = windows_program(at["pe"], at["section"], pe_code)
        made |= {"pe": (at["pe"], header), "section": (at["section"], section)}
    whole = bytearray(_dos_header(magic, at["pe"] if with_pe else 0) + _MARKER + script(at))
    for start, data in made.values():
        whole += bytes(start - len(whole)) + data
    return _with_zip(bytes(whole), members) if members is not None else bytes(whole)


def ape_loader(machine: str, directory: Path) -> bytes:
    """Compile ``tests/ape_loader.c`` for a machine and return the ELF file. Raises OSError without a compiler."""
    made = directory / f"ape-{machine}"
    source = Path(__file__).with_name("ape_loader.c")
    options = ("-Os", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie",
        "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none", "-Wl,-Ttext-segment=0x7000000000", "-s")  # fmt: skip
    subprocess.run([_COMPILERS[machine], *_MODELS[machine], *options, "-o", made, source], check=True)
    return made.read_bytes()


_MODELS = {"x86_64": ("-mcmodel=large", "-mno-red-zone", "-mno-sse"), "aarch64": ()}


def octal(data: bytes) -> str:
    """Return bytes as a printf statement of an APE holds them: octal escapes, and letters as they are."""
    return "".join(chr(byte) if chr(byte).isalpha() and byte < 128 else f"\\{byte:03o}" for byte in data)


def elf_header(
    machine: str, *, entry: int, phoff: int, phnum: int = 1, flags: int = 0, kind: int = 2, osabi: int = 9
) -> bytes:
    """Return the 64 bytes of an ELF header. The OS ABI is that of FreeBSD, as the specification wants it."""
    ident = b"\x7fELF\2\1\1" + bytes([osabi]) + bytes(8)
    return ident + pack("<HHIQQQIHHHHHH", kind, _NUMBERS[machine], 1, entry, phoff, 0, flags, 64, _PHDR, phnum, 0, 0, 0)


def mach_header() -> bytes:
    """Return a Mach-O header of x86-64 with an LC_BUILD_VERSION (macOS 10.15), no segments (``mach-o/loader.h``)."""
    command = pack("<IIIIII", 0x32, 24, 1, 10 << 16 | 15 << 8, 10 << 16 | 15 << 8, 0)
    return pack("<IIIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 1, len(command), 0x1, 0) + command


# -- the program -----------------------------------------------------------------------------


def _x86_64(message: bytes, code: int) -> bytes:
    """write(1, message); exit_group(code)."""
    length = 36
    return b"".join((
        b"\xb8\x01\0\0\0",  # mov eax, 1
        b"\xbf\x01\0\0\0",  # mov edi, 1
        b"\x48\x8d\x35" + pack("<i", length - 17),  # lea rsi, [rip + message]
        b"\xba" + pack("<I", len(message)),  # mov edx, length
        b"\x0f\x05",  # syscall
        b"\xb8\xe7\0\0\0",  # mov eax, 231
        b"\xbf" + pack("<I", code),  # mov edi, code
        b"\x0f\x05",  # syscall
        message,
    ))  # fmt: skip


def _aarch64(message: bytes, code: int) -> bytes:
    """The same: ``movz`` for the numbers, ``adr`` for the message."""

    def movz(register: int, number: int) -> int:
        return 0xD2800000 | number << 5 | register

    svc, adr_x1 = 0xD4000001, 0x10000001 | (32 - 4) // 4 << 5
    words = (movz(0, 1), adr_x1, movz(2, len(message)), movz(8, 64), svc, movz(0, code), movz(8, 94), svc)
    return pack("<8I", *words) + message


_CODES = {"x86_64": _x86_64, "aarch64": _aarch64}


def _address(offset: int, skew: int) -> int:
    return _BASE + offset + skew


def _program_header(offset: int, size: int, skew: int, kind: int) -> bytes:
    address = _address(offset, skew)
    align = 0x1000 if skew % 0x10000 else 0x10000
    return pack("<IIQQQQQQ", kind, 5, offset, address, address, size, size, align)


# -- the script ------------------------------------------------------------------------------

_LOOKUP = 'o=$(command -v "$0")\ntype ape >/dev/null 2>&1 && exec ape "$o" "$@"\n'
_FIND_LOADER = (
    f't="${{TMPDIR:-${{HOME:-.}}}}/{LOADER_NAME}"\n'
    '[ x"$1" != x--assimilate ] && [ -x "$t" ] && exec "$t" "$o" "$@"\n'
)  # fmt: skip


def _filler() -> str:
    return "# nothing to see here, only room before what follows\n" * 170


def _if_machine(machine: str) -> str:
    one, two = _UNAMES[machine]
    return f'if [ "$m" = {one} ] || [ "$m" = {two} ]; then\n'


def _writes(machine: str, header: bytes, *, asked: bool) -> str:
    """Return what writes an ELF header over the file, only where that is ``asked`` for with --assimilate."""
    write = f"exec 7<> \"$o\" || exit 121\nprintf '{octal(header)}' >&7\nexec 7<&-\n"
    if asked:
        return f'{_if_machine(machine)}if [ x"$1" = x--assimilate ]; then\n{write}exit\nfi\nfi\n'
    return f'{_if_machine(machine)}{write}exec "$o" "$@"\nfi\n'


def _mac(at: Mapping[str, int], macho: Dd | None, source: int) -> str:
    """Return what macOS runs: moves the Mach-O header to the front, or compiles the loader."""
    rows = [":\n"]
    if macho:
        skip, count = _DD[macho].format(at["mach"] // 8), _DD[macho].format(len(mach_header()) // 8)
        rows.append(f'dd if="$o" of="$o" bs=8 skip={skip} count={count} conv=notrunc 2>/dev/null || exit\n')
        rows.append('exec "$o" "$@"\n')
    if source:
        rows.append(
            f'dd if="$o" skip={at["m1"]:<9d} count={source:<9d} bs=1 2>/dev/null | gzip -dc >"$t.c.$$" || exit\n'
        )
        rows.append('mv -f "$t.c.$$" "$t.c" || exit\ncc -w -O -o "$t.$$" "$t.c" || exit\n')
        rows.append('mv -f "$t.$$" "$t" || exit\nexec "$t" "$o" "$@"\n')
    return "".join(rows)


def _unpacks(machine: str, offset: int, size: int) -> str:
    return (
        f"{_if_machine(machine)}"
        'mkdir -p "${t%/*}" || exit\n'
        f'dd if="$o" skip={offset:<9d} count={size:<9d} bs=1 2>/dev/null | gzip -dc >"$t.$$" || exit\n'
        'chmod 755 "$t.$$" || exit\n'
        'mv -f "$t.$$" "$t" || exit\n'
        'exec "$t" "$o" "$@"\n'
        "fi\n"
    )


# -- the layout ------------------------------------------------------------------------------


def _dos_header(magic: str, pe: int) -> bytes:
    """Return the first 64 bytes: a line without NUL, the DOS header in quotes, the start of a here-document."""
    head = magic.encode("latin-1") + b"\n\n"
    return (head.ljust(40, b"\0") + b"' <<'@'\n").ljust(60, b"\0") + pack("<I", pe)


def _sized(
    codes: Mapping[str, bytes], packed: Mapping[str, bytes], source: bytes, *, pe: bool, macho: bool, tables: int
) -> list[tuple[str, int, bytes]]:
    """Return name, alignment and bytes of each part; of those that hold offsets, as many bytes as they will have."""
    rows = [("mach", 8, mach_header())] if macho else []
    rows += [("pe", 8, windows_program(0, 0, 0)[0])] if pe else []
    rows += [(f"{one} table", 8, bytes(_PHDR * tables)) for one in codes]
    rows += [(one, 16, code) for one, code in codes.items()]
    rows += [("section", 512, windows_program(0, 0, 0)[1])] if pe else []
    rows += [(f"{one} loader", 1, data) for one, data in packed.items()]
    return rows + ([("m1", 1, source)] if source else [])


def _with_zip(data: bytes, members: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO(data)
    with zipfile.ZipFile(held, "a", zipfile.ZIP_STORED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return held.getvalue()


# -- the part for Windows --------------------------------------------------------------------


def windows_program(
    header: int, section: int, code: int, *, machine: int = 0x8664, subsystem: int = 3, dll: bool = False
) -> tuple[bytes, bytes]:
    """Return the PE headers and the one section of a program that calls ExitProcess (PE/COFF specification).

    ``header`` and ``section`` are where the two will lie in the file (bytes; the section at a multiple of 512).
    """
    base = max(0x1000, section + 0xFFF & ~0xFFF)
    body = _windows_section(base, code)
    headers = (header + 24 + 240 + 40 + 511) & ~511
    image = base + 0x1000
    directories = [(0, 0)] * 16
    directories[1] = base + 0x40, 40
    directories[12] = base + 0x78, 16
    coff = pack("<4sHHIIIHH", b"PE\0\0", machine, 1, 0, 0, 0, 240, 0x2022 if dll else 0x22)
    optional = pack("<HBBIIIII", 0x20B, 14, 0, 512, 0, 0, base, base)
    optional += pack("<QIIHHHHHHIIIIHH", 0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, image, headers, 0, subsystem, 0)
    optional += pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
    optional += b"".join(pack("<II", *row) for row in directories)
    table = pack("<8sIIIIIIHHI", b".text", len(body), base, len(body), section, 0, 0, 0, 0, 0xE0000020)
    return coff + optional + table, body


def _windows_section(base: int, code: int) -> bytes:
    """Return code at 0, the import directory at 0x40, the lookup table at 0x68, the addresses at 0x78, then names."""
    program = b"\x48\x83\xec\x28\xb9" + pack("<I", code) + b"\xff\x15" + pack("<i", 0x78 - 15)
    directory = pack("<IIIII", base + 0x68, 0, 0, base + 0x98, base + 0x78) + bytes(20)
    lookup = pack("<QQ", base + 0x88, 0)
    names = b"\0\0ExitProcess\0".ljust(16, b"\0") + b"KERNEL32.dll\0"
    return (program.ljust(0x40, b"\0") + directory + lookup + lookup + names).ljust(512, b"\0")
