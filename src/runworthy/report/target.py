"""Targets as text: the list of the catalogue, and what is known of one root."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from runworthy.engine.target_diff import architecture_for
from runworthy.model.arch import architecture
from runworthy.model.binfmt import Handler
from runworthy.model.errors import FormatError, TargetError
from runworthy.model.libc import Libc
from runworthy.report.facts import highest_versions
from runworthy.report.words import Style, clean, count, table
from runworthy.targets.catalogue import Summary, open_catalogue
from runworthy.targets.libc import libc_of_root, search_directories
from runworthy.targets.names import MachineWish, TargetName
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError, reason

__all__ = ["list_blocks", "matching", "show_lines"]


def list_blocks(words: Sequence[str], style: Style) -> list[list[str]]:
    """Return the targets that have all of the words, a block for each family."""
    families: dict[str, dict[str, list[Summary]]] = {}
    for summary in matching(words):
        families.setdefault(summary.family, {}).setdefault(summary.name, []).append(summary)
    blocks = []
    for family in sorted(families):
        held = sorted(families[family].values(), key=lambda rows: rows[0].order)
        rows = [_row(summaries) for summaries in held]
        blocks.append([style.paint(family, "bold"), *(f"  {line}" for line in table(rows))])
    return blocks


def matching(words: Sequence[str]) -> Iterator[Summary]:
    """Yield the targets of the catalogue that have all of the words."""
    return (summary for summary in open_catalogue().targets() if all(_has(summary, word) for word in words))


def _has(summary: Summary, word: str) -> bool:
    arch = architecture(word)
    if arch is not None:
        return summary.arch.name == arch.name
    text = f"{summary.name} {summary.libc} {summary.completeness} {summary.package_manager}".lower()
    return word.lower() in text


def _row(summaries: Sequence[Summary]) -> tuple[str, ...]:
    first = summaries[0]
    completeness = " or ".join(sorted({summary.completeness for summary in summaries}))
    as_of = max(summary.as_of for summary in summaries)
    return (
        clean(first.name),
        str(first.libc),
        completeness,
        f"as of {as_of}" if as_of else "",
        f"{_end_of_life(first.eol, first.eol_support)}",
        " ".join(summary.arch.name for summary in summaries),
    )


def _end_of_life(eol: str | None, support: Mapping[str, str]) -> str:
    if eol is None:
        return ""
    if eol == "rolling":
        return "rolling"
    last = max(support.values(), default="")
    return f"end of life {eol}" + (f", extended to {last}" if last > eol else "")


def show_lines(name: str, platform: str, style: Style) -> Iterator[str]:
    """Yield what is known of one target. Raises TargetError, UsageError."""
    wish = MachineWish(platform=platform)
    named = TargetName(name, wish)
    target = named.open(architecture_for(named))
    libc = libc_of_root(target)
    bare = target.name.removesuffix(f"/{target.arch.name}")
    yield style.paint(f"{clean(bare)} on {target.arch.name}", "bold")
    rows = [
        ("libc", str(libc) if libc else "none found"),
        ("loader", libc.loader if libc and libc.loader else ""),
        ("known", _known(target)),
        ("as of", target.as_of),
        *_catalogue_rows(name, target),
        *_captured_rows(target),
        *_machine_rows(target),
        ("searched", ":".join(search_directories(target, libc))),
    ]
    yield from (f"  {line}" for line in table((label, clean(text)) for label, text in rows if text))
    yield from _handler_lines(target)
    libraries = list(_libraries(target, libc))
    yield f"  {count(len(libraries), 'library', 'libraries')}"
    yield from (f"    {line}" for line in table(libraries))
    yield from (f"  {style.paint('=', 'blue')} note: {clean(note)}" for note in target.notes)


def _known(target: Target) -> str:
    if target.view.authority is None:
        return "closed: every file"
    return "core: libc, the compiler runtime and zlib"


def _captured_rows(target: Target) -> Iterator[tuple[str, str]]:
    """Yield what a snapshot tells of itself."""
    from runworthy.targets.snapshot.view import SnapshotView

    if not isinstance(target.view, SnapshotView):
        return
    meta = target.view.meta
    yield "captured", f"{meta.created}, {count(meta.entries, 'entry', 'entries')}"
    yield "left out", " ".join(meta.left_out)


def _machine_rows(target: Target) -> Iterator[tuple[str, str]]:
    """Yield what is known of the machine that the root is on: this one, or one that was captured."""
    facts = target.machine_facts
    if facts is None:
        return
    yield "kernel", facts.kernel
    yield "machine", f"{target.machine.cpu}, pages of {target.machine.page_size >> 10} KiB"
    yield "mounts", count(len(facts.mounts), "mount") if facts.mounts is not None else "could not be read"
    yield "GPUs", ", ".join(gpu.name or f"{gpu.vendor}:{gpu.device}" for gpu in facts.gpus)
    yield "NVIDIA", f"driver {facts.nvidia_driver}" if facts.nvidia_driver else ""


def _handler_lines(target: Target) -> Iterator[str]:
    """Yield the handlers of binfmt_misc in the order in which the kernel asks them, each with its state and flags."""
    handlers = target.handlers
    if not handlers.stated and not handlers.entries:
        return
    if handlers.unknown and not handlers.entries:
        yield clean(f"  handlers unknown: {handlers.unknown}")
        return
    off = "" if handlers.enabled else ", all switched off"
    doubt = f"; they may not apply: {handlers.unknown}" if handlers.unknown else ""
    yield clean(f"  {count(len(handlers.entries), 'handler')} in the order of {handlers.basis}{off}{doubt}")
    rows = []
    for one in handlers.entries:
        state = "enabled" if one.enabled else "disabled"
        opened = _not_opened(target, one)
        rows.append((clean(one.name), state, one.flags or "-", clean(one.interpreter), opened, clean(_taken(one))))
    width = any(row[4] for row in rows)
    yield from (f"    {line}" for line in table(row if width else (*row[:4], row[5]) for row in rows))


def _not_opened(target: Target, handler: Handler) -> str:
    """Return why the interpreter of a handler cannot be opened in this root, empty where it can, or is open already."""
    if "F" in handler.flags:
        return ""
    try:
        found = target.view.find(posixpath.join("/", handler.interpreter))
    except UnseenError:
        return "not known whether it is there"
    if isinstance(found, int):
        return reason(found).lower()
    return "" if found.entry.kind == "file" and target.view.mode(found.path) & 0o111 else "not executable"


def _taken(handler: Handler) -> str:
    """Return what the files are like that a handler takes."""
    if handler.extension:
        return f"*.{handler.extension}"
    magic = "".join(chr(one) if 0x20 < one < 0x7F else f"\\x{one:02x}" for one in handler.magic)
    return f"{magic} at {handler.offset}" if handler.offset else magic


def _catalogue_rows(name: str, target: Target) -> Iterator[tuple[str, str]]:
    try:
        found = open_catalogue().find(name, target.arch)
        there = open_catalogue().architectures(found.name)
    except TargetError:
        return
    yield "end of life", _end_of_life(found.eol, found.eol_support).removeprefix("end of life ")
    yield "packages", f"{found.package_manager}, {len(found.packages)} installed" if found.packages else ""
    yield "also for", " ".join(arch.name for arch in there if arch is not target.arch)


def _libraries(target: Target, libc: Libc | None) -> Iterator[tuple[str, str, str]]:
    """Yield the libraries of the searched directories: soname, path, the highest versions they define."""
    seen: set[str] = set()
    for directory in search_directories(target, libc):
        try:
            real = target.view.real_directory(directory)
            names = sorted(target.view.readdir(real)) if real else []
        except (OSError, UnseenError):
            continue
        for name in names:
            if ".so" not in name:
                continue
            try:
                path = target.view.resolve(f"{real}/{name}").path
                facts = target.view.elf(path).facts
            except (OSError, FormatError, UnseenError):
                continue
            if facts.soname and path not in seen and facts.architecture is not None:
                seen.add(path)
                defined = [node.name for node in facts.version_defs if not node.base]
                yield clean(facts.soname), clean(path), clean(" ".join(highest_versions(defined)))
