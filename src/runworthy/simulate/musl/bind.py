"""Relocation and symbol binding as musl does it: nothing is lazy at program start, versions are not looked at.

Source: musl ``ldso/dynlink.c`` (find_sym, get_lfs64, do_relocs) and ``arch/*/reloc.h``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.arch import Architecture
from runworthy.model.elf import Binding
from runworthy.model.errors import FormatError
from runworthy.model.trace import Answer, Evidence, Need, Step
from runworthy.simulate.binding import BindContext, Left, copied_steps, met_step, unreadable_step, unresolved_steps
from runworthy.simulate.linkmap import Loaded

__all__ = ["bind"]

# Relocation types that do_relocs knows, by architecture; everything else is "unsupported relocation type".
_SUPPORTED: dict[str, frozenset[int]] = {
    "x86_64": frozenset((0, 1, 2, 5, 6, 7, 8, 16, 17, 18, 36)),
    "i386": frozenset((0, 1, 2, 5, 6, 7, 8, 14, 35, 36, 37, 41)),
    "aarch64": frozenset((0, 257, 1024, 1025, 1026, 1027, 1028, 1029, 1030, 1031)),
    "armv7": frozenset((0, 2, 13, 17, 18, 19, 20, 21, 22, 23)),
    "ppc64le": frozenset((0, 19, 20, 21, 22, 38, 43, 68, 73, 78)),
    "ppc64": frozenset((0, 19, 20, 21, 22, 38, 43, 68, 73, 78)),
    "s390x": frozenset((0, 9, 10, 11, 12, 22, 54, 55, 56)),
    "riscv64": frozenset((0, 2, 3, 4, 5, 7, 9, 11, 12)),
    "loongarch64": frozenset((0, 2, 3, 4, 5, 7, 9, 11)),
}
_SUPPORTED["armv6"] = _SUPPORTED["armel"] = _SUPPORTED["armv7"]

# Names that the loader still answers for with a 64 appended, since 1.2.4 (get_lfs64). Its buffer has 16 bytes,
# so that posix_fallocate64, which is on its list, is never found.
_LFS64_LIMIT = 16
_LFS64 = frozenset(
    f"{name}64".encode()
    for name in (
        "aio_cancel aio_error aio_fsync aio_read aio_return aio_suspend aio_write alphasort creat fallocate "
        "fgetpos fopen freopen fseeko fsetpos fstat fstatat fstatfs fstatvfs ftello ftruncate ftw getdents "
        "getrlimit glob globfree lio_listio lockf lseek lstat mkostemp mkostemps mkstemp mkstemps mmap nftw "
        "open openat posix_fadvise posix_fallocate pread preadv prlimit pwrite pwritev readdir scandir "
        "sendfile setrlimit stat statfs statvfs tmpfile truncate versionsort __fxstat __fxstatat __lxstat __xstat"
    ).split()
    if len(name) + 2 <= _LFS64_LIMIT
)
_READDIR64_R = b"readdir64_r"


def bind(context: BindContext, arch: Architecture, musl: tuple[int, ...], *, trace: bool) -> Iterator[Step]:
    """Yield a step for each symbol and relocation that is not met (the main object's symbols too, when ``trace``)."""
    objects = context.link_map.objects
    common = [loaded for loaded in objects if not loaded.local]
    ids = frozenset(id(loaded.elf) for loaded in objects)
    for loaded in objects:
        if loaded.is_ldso:
            continue
        scope = objects if loaded.local else common
        try:
            yield from _relocations(loaded, arch, musl)
            if not context.memo.holds(loaded.elf, ids):
                yield from _symbols(context, loaded, scope, musl)
        except FormatError as error:
            yield unreadable_step(loaded, error)
    if trace:
        yield from _met(context.link_map.main, objects)


def _symbols(context: BindContext, loaded: Loaded, scope: Sequence[Loaded], musl: tuple[int, ...]) -> Iterator[Step]:
    missing: list[Left] = []
    used: set[int] = set()
    others = [*(other for other in scope if other is not loaded), loaded]
    for group in loaded.elf.imports():
        # No version is looked at, so none is required: who should have brought a name is still worth telling.
        left = _left(group.strong, others, used)
        left = frozenset(name for name in left if not _answered_by_loader(name, scope, musl))
        if left:
            missing.append((group, left))
    own = _hidden_from_itself(loaded, scope)
    uncopied = _uncopied(loaded, scope, used) if loaded.is_main else []
    yield from unresolved_steps(context, loaded, missing)
    yield from copied_steps(context, loaded, uncopied)
    yield from _own_steps(loaded, own)
    if not (missing or own or uncopied):
        context.memo.prove(loaded.elf, frozenset(used))


def _left(names: frozenset[bytes], scope: Sequence[Loaded], used: set[int]) -> frozenset[bytes]:
    """Return the names that no object of the scope defines; ``used`` collects who helped."""
    for other in scope:
        if not names:
            break
        rest = names - other.elf.exports().default
        if len(rest) != len(names):
            used.add(id(other.elf))
            names = rest
    return names


def _uncopied(main: Loaded, scope: Sequence[Loaded], used: set[int]) -> list[Left]:
    """Return variables of COPY relocations that nothing but the program defines (looked up from head->syms_next on).

    A weak one is no exception: only an undefined weak symbol may stay unresolved, and the program defines these.
    """
    others = [loaded for loaded in scope if loaded is not main]
    left = [(group, _left(group.strong | group.weak, others, used)) for group in main.elf.copies()]
    return [(group, names) for group, names in left if names]


def _answered_by_loader(name: bytes, scope: Sequence[Loaded], musl: tuple[int, ...]) -> bool:
    """Whether get_lfs64 turns the name into one that the loader exports (the loader need not be in scope)."""
    if musl < (1, 2, 4):
        return False
    if name == _READDIR64_R:
        plain = b"readdir_r"
    elif name in _LFS64:
        plain = name[:-2]
    else:
        return False
    libc = next((loaded for loaded in scope if loaded.is_ldso), None)
    return libc is None or plain in libc.elf.exports().default


def _hidden_from_itself(loaded: Loaded, scope: Sequence[Loaded]) -> frozenset[bytes]:
    """Return names that the object defines, but only so that musl does not see it: hidden versions, IFUNC.

    find_sym is asked for every global symbol that a relocation uses, the object's own included.
    """
    exports = loaded.elf.exports()
    left = exports.names - exports.default
    for other in scope:
        if not left:
            break
        left -= other.elf.exports().default
    return left


def _own_steps(loaded: Loaded, names: frozenset[bytes]) -> Iterator[Step]:
    bindings = loaded.elf.bindings(names)
    for name in sorted(names):
        if bindings.get(name, Binding.UNUSED) is not Binding.UNUSED:
            need = Need(
                kind="symbol",
                name=name.decode("utf-8", "backslashreplace"),
                by=loaded.path,
                evidence=Evidence(file=loaded.path, section=".dynsym"),
            )
            indirect = name in loaded.elf.exports().indirect
            detail = "defined as an indirect function, which musl passes over" if indirect else "only a hidden version"
            yield Step(stage="bind", need=need, answer=Answer.UNMET, detail=detail)


def _relocations(loaded: Loaded, arch: Architecture, musl: tuple[int, ...]) -> Iterator[Step]:
    facts = loaded.facts
    supported = _SUPPORTED.get(arch.name)
    unknown = sorted(loaded.elf.relocations().kinds - supported) if supported else []
    packed = [name for name, used in (("DT_ANDROID_REL", facts.android_relocations),) if used]
    if facts.relr and musl < (1, 2, 4):
        packed.append("DT_RELR")
    for name in (*(str(kind) for kind in unknown), *packed):
        need = Need(
            kind="relocation", name=name, by=loaded.path, evidence=Evidence(file=loaded.path, section=".rela.dyn")
        )
        detail = "left unapplied: the program crashes" if name in packed else f"unsupported relocation type {name}"
        yield Step(stage="bind", need=need, answer=Answer.UNMET, detail=detail)


def _met(main: Loaded, scope: Sequence[Loaded]) -> Iterator[Step]:
    """Yield who meets each symbol of the main object, in scope order."""
    for group in main.elf.imports():
        for name in sorted(group.strong | group.weak):
            provider = next((loaded for loaded in scope if name in loaded.elf.exports().default), None)
            if provider is not None:
                yield met_step(main, group, name, provider)
