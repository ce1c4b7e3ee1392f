"""A small ELF writer for tests: ``elf(machine="s390x", needed=["libc.so.6"], imports=[...])`` gives the bytes.

The file is laid out as linkers do it: headers, notes, hash tables, symbols, strings, version records,
relocations, the dynamic section, and section headers if they are wanted. One PT_LOAD
maps it all at the address 0 (a program: at ``base``), so addresses are offsets plus ``base``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from struct import pack
from typing import Literal, NamedTuple

__all__ = ["MACHINES", "PAGE", "Machine", "Note", "Symbol", "dlopen_note", "elf", "gnu_property", "symbol_hash"]

Hashes = Literal["gnu", "sysv", "both", "none"]
GNU_ABI_TAG, GNU_BUILD_ID, GNU_PROPERTY = 1, 3, 5
FDO_DLOPEN = 0x407C0C0A
PAGE = 0x1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What of a psABI a file shows: ``kinds`` are its (ordinary symbol, PLT, COPY, IRELATIVE) relocation numbers."""

    number: int
    bits: Literal[32, 64] = 64
    endian: Literal["little", "big"] = "little"
    addend: bool = True
    wide_hash: bool = False
    kinds: tuple[int, int, int, int]


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(number=62, kinds=(6, 7, 5, 37)),
    "x32": Machine(number=62, bits=32, kinds=(6, 7, 5, 37)),
    "i386": Machine(number=3, bits=32, addend=False, kinds=(6, 7, 5, 42)),
    "aarch64": Machine(number=183, kinds=(1025, 1026, 1024, 1032)),
    "arm": Machine(number=40, bits=32, addend=False, kinds=(21, 22, 20, 160)),
    "ppc64": Machine(number=21, endian="big", kinds=(38, 21, 19, 248)),
    "ppc64le": Machine(number=21, kinds=(38, 21, 19, 248)),
    "s390x": Machine(number=22, endian="big", wide_hash=True, kinds=(10, 11, 9, 61)),
    "riscv64": Machine(number=243, kinds=(2, 5, 4, 58)),
    "loongarch64": Machine(number=258, kinds=(2, 5, 4, 12)),
    "mips": Machine(number=8, bits=32, endian="big", addend=False, kinds=(3, 127, 126, 3)),
    "mips64el": Machine(number=8, kinds=(3, 127, 126, 3)),
    "sparc64": Machine(number=43, endian="big", kinds=(20, 21, 19, 249)),
    "alpha": Machine(number=0x9026, wide_hash=True, kinds=(25, 26, 24, 0)),
    "m68k": Machine(number=4, bits=32, endian="big", kinds=(20, 21, 19, 0)),
}


class Symbol(NamedTuple):
    """A dynamic symbol. ``file`` names the library of a needed version; ``default`` is ``@@`` instead of ``@``.

    ``use`` is the relocation that refers to it: ``data`` is bound at start, ``plt`` may be bound lazily.
    """

    name: str
    version: str | None = None
    file: str | None = None
    default: bool = True
    bind: Literal["local", "global", "weak", "unique"] = "global"
    kind: Literal["notype", "object", "func", "section", "common", "tls", "ifunc"] = "func"
    visibility: Literal["default", "internal", "hidden", "protected"] = "default"
    value: int = 0x1000
    section: int = 1
    use: Literal["none", "data", "plt", "copy"] = "none"


class Note(NamedTuple):
    """A note; ``align`` is 8 for GNU properties of 64-bit files."""

    owner: bytes
    kind: int
    body: bytes
    align: int = 4


_BINDS = {"local": 0, "global": 1, "weak": 2, "unique": 10}
_KINDS = {"notype": 0, "object": 1, "func": 2, "section": 3, "common": 5, "tls": 6, "ifunc": 10}
_VISIBILITIES = {"default": 0, "internal": 1, "hidden": 2, "protected": 3}


def symbol_hash(name: bytes) -> int:
    """Return the hash of the gABI, which version records use too."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value >> 24 & 0xF0)) & 0xFFFFFFF
    return value


def _gnu_hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def gnu_property(machine: Machine, properties: Mapping[int, int]) -> Note:
    """Return the GNU property note with these 4-byte properties."""
    order = "<" if machine.endian == "little" else ">"
    align = machine.bits // 8
    body = b"".join(pack(order + "III", kind, 4, value).ljust(8 + align, b"\0") for kind, value in properties.items())
    return Note(b"GNU\0", GNU_PROPERTY, body, align)


def dlopen_note(text: str) -> Note:
    """Return a ``.note.dlopen`` with this JSON."""
    return Note(b"FDO\0", FDO_DLOPEN, text.encode() + b"\0")


def elf(
    *,
    machine: str | Machine = "x86_64",
    kind: int = 3,
    interpreter: str | None = None,
    needed: Sequence[str] = (),
    soname: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
    flags: int = 0,
    flags_1: int = 0,
    e_flags: int = 0,
    imports: Sequence[Symbol | tuple[str, str, str] | str] = (),
    exports: Sequence[Symbol | tuple[str, str] | str] = (),
    needs: Sequence[tuple[str, str, bool]] = (),
    defines: Sequence[str] = (),
    notes: Sequence[Note] = (),
    abi_kernel: tuple[int, int, int] | None = None,
    build_id: bytes = b"",
    exec_stack: bool | None = False,
    irelative: int = 0,
    relr: bool = False,
    align: int = PAGE,
    hashes: Hashes = "gnu",
    tags: Sequence[tuple[int, int]] = (),
    sections: Mapping[str, bytes] | None = None,
    dynamic: bool | None = None,
    base: int = 0,
    tls: int = 0,
) -> bytes:
    """Return an ELF file.

    ``imports`` are names, ``(name, version, file)`` or Symbols; ``exports`` names, ``(name, version)`` or Symbols.
    ``needs`` adds (file, version, weak) records beyond those of the imports, ``defines`` versions, numbered
    before those of the exports. ``tags`` adds dynamic entries. ``sections`` adds section headers with these contents;
    None leaves the file without any. ``kind`` is e_type: 3 (ET_DYN) for libraries and most programs. ``tls`` is the
    size of PT_TLS in bytes.
    """
    wanted = any((needed, soname, rpath, runpath, imports, exports, needs, defines, flags, flags_1, tags, interpreter))
    writer = _Writer(
        machine=MACHINES[machine] if isinstance(machine, str) else machine,
        imports=[_symbol(symbol) for symbol in imports],
        exports=[_symbol(symbol) for symbol in exports],
        needed=needed,
        base=base,
    )
    if abi_kernel is not None:
        notes = [Note(b"GNU\0", GNU_ABI_TAG, writer.words(0, *abi_kernel)), *notes]
    if build_id:
        notes = [Note(b"GNU\0", GNU_BUILD_ID, build_id), *notes]
    if tls:
        writer.segments.append((7, 4, 0, tls, 8))
    writer.interpreter(interpreter)
    writer.notes(notes)
    if wanted if dynamic is None else dynamic:
        writer.names({14: soname, 15: rpath, 29: runpath})
        writer.tags += [(30, flags)] * bool(flags) + [(0x6FFFFFFB, flags_1)] * bool(flags_1) + list(tags)
        writer.versions(needs, defines)
        writer.symbols(hashes)
        writer.relocations(irelative=irelative, relr=relr)
        writer.dynamic()
    return writer.finish(kind=kind, e_flags=e_flags, exec_stack=exec_stack, align=align, sections=sections)


def _symbol(symbol: Symbol | tuple[str, str] | tuple[str, str, str] | str) -> Symbol:
    if isinstance(symbol, Symbol):
        return symbol
    return Symbol(symbol) if isinstance(symbol, str) else Symbol(*symbol[:3])


@dataclass(slots=True, kw_only=True)
class _Writer:
    machine: Machine
    imports: list[Symbol]
    exports: list[Symbol]
    needed: Sequence[str]
    base: int
    tags: list[tuple[int, int]] = field(default_factory=list)
    segments: list[tuple[int, int, int, int, int]] = field(default_factory=list)  # type, flags, offset, size, align
    strings: bytearray = field(default_factory=lambda: bytearray(b"\0"))
    image: bytearray = field(default_factory=bytearray)
    indexes: dict[tuple[str | None, str], int] = field(default_factory=dict)
    order: list[Symbol | None] = field(default_factory=list)
    verneed: list[tuple[str, list[tuple[str, bool]]]] = field(default_factory=list)
    verdef: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image.extend(bytes((64 if self.wide else 52) + 12 * self.phdr_size))

    # -- numbers ----------------------------------------------------------------------------

    @property
    def wide(self) -> bool:
        return self.machine.bits == 64

    @property
    def phdr_size(self) -> int:
        return 56 if self.wide else 32

    def pack(self, code: str, *values: object) -> bytes:
        """Pack in the file's byte order; ``P`` is an address."""
        order = "<" if self.machine.endian == "little" else ">"
        return pack(order + code.replace("P", "Q" if self.wide else "I"), *values)

    def words(self, *values: int) -> bytes:
        return self.pack(f"{len(values)}I", *values)

    def place(self, data: bytes, align: int = 8) -> int:
        """Append ``data``; return its offset."""
        self.image.extend(bytes(-len(self.image) % align))
        offset = len(self.image)
        self.image.extend(data)
        return offset

    def string(self, text: str) -> int:
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        if raw not in self.strings:
            self.strings.extend(raw)
        return self.strings.index(raw)

    # -- parts ------------------------------------------------------------------------------

    def interpreter(self, path: str | None) -> None:
        if path is not None:
            data = path.encode() + b"\0"
            self.segments.append((3, 4, self.place(data, 1), len(data), 1))

    def notes(self, notes: Sequence[Note]) -> None:
        for note in notes:
            pad = -(12 + len(note.owner)) % note.align
            body = note.body + bytes(-len(note.body) % note.align)
            head = self.words(len(note.owner), len(note.body), note.kind)
            data = head + note.owner + bytes(pad) + body
            offset = self.place(data, note.align)
            self.segments.append((4, 4, offset, len(data), note.align))
            if note.owner == b"GNU\0" and note.kind == GNU_PROPERTY:
                self.segments.append((0x6474E553, 4, offset, len(data), note.align))

    def names(self, tags: Mapping[int, str | None]) -> None:
        self.tags += [(1, self.string(name)) for name in self.needed]
        self.tags += [(tag, self.string(text)) for tag, text in tags.items() if text is not None]

    def versions(self, needs: Sequence[tuple[str, str, bool]], defines: Sequence[str]) -> None:
        """Number the versions from 2 on, definitions first: 1 is the base definition."""
        own = [symbol.version for symbol in self.exports if symbol.version and not symbol.file]
        self.verdef = list(dict.fromkeys((*defines, *own)))
        by_file: dict[str, dict[str, bool]] = {}
        for file, version, weak in needs:
            by_file.setdefault(file, {})[version] = weak
        for symbol in (*self.imports, *self.exports):
            if symbol.version and symbol.file:
                by_file.setdefault(symbol.file, {}).setdefault(symbol.version, False)
        self.verneed = [(file, list(found.items())) for file, found in by_file.items()]
        keys: list[tuple[str | None, str]] = [(None, name) for name in self.verdef]
        keys += [(file, version) for file, found in self.verneed for version, _ in found]
        self.indexes = {key: number for number, key in enumerate(keys, 2)}
        self._place_needs()
        self._place_defs()

    def _place_needs(self) -> None:
        data = b""
        for number, (file, found) in enumerate(self.verneed, 1):
            size = 16 + 16 * len(found)
            data += self.pack("HHIII", 1, len(found), self.string(file), 16, size if number < len(self.verneed) else 0)
            for left, (version, weak) in zip(range(len(found) - 1, -1, -1), found, strict=True):
                hashed, name = symbol_hash(version.encode()), self.string(version)
                index = self.indexes[file, version]
                data += self.pack("IHHII", hashed, 2 if weak else 0, index, name, 16 if left else 0)
        if data:
            self.tags += [(0x6FFFFFFE, self.base + self.place(data)), (0x6FFFFFFF, len(self.verneed))]

    def _place_defs(self) -> None:
        if not self.verdef:
            return
        data = b""
        records = [("base", 1, 1), *((name, index, 0) for index, name in enumerate(self.verdef, 2))]
        for name, index, flags in records:
            following = 28 if index <= len(self.verdef) else 0
            data += self.pack("HHHHIII", 1, flags, index, 1, symbol_hash(name.encode()), 20, following)
            data += self.pack("II", self.string(name), 0)
        self.tags += [(0x6FFFFFFC, self.base + self.place(data)), (0x6FFFFFFD, len(records))]

    def symbols(self, hashes: Hashes) -> None:
        """Write the tables. As in real files undefined symbols come first, those of the GNU hash in bucket order."""
        buckets = max(1, len(self.exports) // 3)
        exports = self.exports
        if hashes in ("gnu", "both"):
            exports = sorted(exports, key=lambda symbol: _gnu_hash(_raw(symbol)) % buckets)
        undefined = [_undefined(symbol) for symbol in self.imports]
        self.order = [None, *undefined, *exports]
        data, versions = b"", []
        for symbol in self.order:
            data += self._row(symbol)
            versions.append(self._version(symbol))
        self.tags.append((6, self.base + self.place(data)))
        if self.indexes:
            self.tags.append((0x6FFFFFF0, self.base + self.place(self.pack(f"{len(versions)}H", *versions))))
        if hashes in ("gnu", "both"):
            table = self._gnu_table(exports, len(undefined) + 1, buckets)
            self.tags.append((0x6FFFFEF5, self.base + self.place(table)))
        if hashes in ("sysv", "both"):
            self.tags.append((4, self.base + self.place(self._sysv_table())))
        self.tags.append((5, self.base + self.place(bytes(self.strings))))
        self.tags += [(10, len(self.strings)), (11, 24 if self.wide else 16)]

    def _row(self, symbol: Symbol | None) -> bytes:
        if symbol is None:
            return bytes(24 if self.wide else 16)
        info = _BINDS[symbol.bind] << 4 | _KINDS[symbol.kind]
        other = _VISIBILITIES[symbol.visibility]
        name = self.string(symbol.name)
        if self.wide:
            return self.pack("IBBHQQ", name, info, other, symbol.section, symbol.value, 8)
        return self.pack("IIIBBH", name, symbol.value, 8, info, other, symbol.section)

    def _version(self, symbol: Symbol | None) -> int:
        if symbol is None:
            return 0
        if symbol.version is None:
            return 1
        return self.indexes[symbol.file, symbol.version] | (0 if symbol.default else 0x8000)

    def _gnu_table(self, exports: Sequence[Symbol], first: int, buckets: int) -> bytes:
        values = [_gnu_hash(_raw(symbol)) for symbol in exports]
        heads, chain = [0] * buckets, []
        for row, value in enumerate(values):
            heads[value % buckets] = heads[value % buckets] or first + row
            last = row + 1 == len(values) or values[row + 1] % buckets != value % buckets
            chain.append(value & ~1 | last)
        bloom = self.pack("P", (1 << self.machine.bits) - 1)
        head = self.words(buckets, first if exports else 1, 1, 6)
        return head + bloom + self.words(*heads) + self.words(*chain)

    def _sysv_table(self) -> bytes:
        """Return one bucket with every symbol in its chain."""
        count = len(self.order)
        numbers = [1, count, count - 1, *(max(row - 1, 0) for row in range(count))]
        return self.pack(f"{len(numbers)}{'Q' if self.machine.wide_hash else 'I'}", *numbers)

    def relocations(self, *, irelative: int, relr: bool) -> None:
        data, plt, copy, indirect = self.machine.kinds
        kinds = {"data": data, "plt": plt, "copy": copy}
        used = [(symbol.use, row) for row, symbol in enumerate(self.order) if symbol and symbol.use != "none"]
        plain = [self._relocation(kinds[use], row) for use, row in used if use != "plt"]
        plain += [self._relocation(indirect, 0)] * irelative
        calls = [self._relocation(kinds[use], row) for use, row in used if use == "plt"]
        start, size = (7, 8) if self.machine.addend else (17, 18)
        if plain:
            table = b"".join(plain)
            self.tags += [(start, self.base + self.place(table)), (size, len(table))]
        if calls:
            table = b"".join(calls)
            self.tags += [(23, self.base + self.place(table)), (2, len(table)), (20, start)]
        if relr:
            self.tags += [(36, self.base + self.place(self.pack("P", 0x2000))), (35, self.machine.bits // 8)]

    def _relocation(self, kind: int, symbol: int) -> bytes:
        if not self.wide:
            data = self.pack("II", 0x2000, symbol << 8 | kind)
        elif self.machine.number == 8:
            data = self.pack("QIBBBB", 0x2000, symbol, 0, 0, 0, kind)
        else:
            data = self.pack("QQ", 0x2000, symbol << 32 | kind)
        return data + self.pack("P", 0) if self.machine.addend else data

    def dynamic(self) -> None:
        data = b"".join(self.pack("PP", tag, value) for tag, value in (*self.tags, (0, 0)))
        self.segments.append((2, 6, self.place(data), len(data), 8))

    # -- the whole --------------------------------------------------------------------------

    def finish(
        self, *, kind: int, e_flags: int, exec_stack: bool | None, align: int, sections: Mapping[str, bytes] | None
    ) -> bytes:
        shoff, count = self._sections(sections) if sections is not None else (0, 0)
        segments = [(1, 5, 0, len(self.image), align), *self.segments]
        if exec_stack is not None:
            segments.append((0x6474E551, 7 if exec_stack else 6, 0, 0, 16))
        phoff = 64 if self.wide else 52
        rows = b"".join(self._segment(*segment) for segment in segments)
        self.image[phoff : phoff + len(rows)] = rows
        ident = bytes((0x7F, 0x45, 0x4C, 0x46, 2 if self.wide else 1, 1 if self.machine.endian == "little" else 2, 1))
        sizes = (phoff, self.phdr_size, len(segments), 64 if self.wide else 40, count, count - 1 if count else 0)
        head = ident.ljust(16, b"\0")
        head += self.pack("HHIPPPIHHHHHH", kind, self.machine.number, 1, self.base, phoff, shoff, e_flags, *sizes)
        self.image[: len(head)] = head
        return bytes(self.image)

    def _segment(self, kind: int, flags: int, offset: int, size: int, align: int) -> bytes:
        address = 0 if kind == 0x6474E551 else self.base + offset
        if self.wide:
            return self.pack("IIQQQQQQ", kind, flags, offset, address, address, size, size, align)
        return self.pack("IIIIIIII", kind, offset, address, address, size, size, flags, align)

    def _sections(self, sections: Mapping[str, bytes]) -> tuple[int, int]:
        code = "IIQQQQIIQQ" if self.wide else "IIIIIIIIII"
        names = b"\0"
        rows = [self.pack(code, *[0] * 10)]
        for name, data in sections.items():
            rows.append(self.pack(code, len(names), 1, 0, 0, self.place(data, 16), len(data), 0, 0, 1, 0))
            names += name.encode() + b"\0"
        own = len(names)
        names += b".shstrtab\0"
        rows.append(self.pack(code, own, 3, 0, 0, self.place(names), len(names), 0, 0, 1, 0))
        return self.place(b"".join(rows)), len(rows)


def _undefined(symbol: Symbol) -> Symbol:
    return symbol._replace(section=0, value=0)


def _raw(symbol: Symbol) -> bytes:
    return symbol.name.encode("utf-8", "surrogateescape")
