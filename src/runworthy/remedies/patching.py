"""Remedies that change a copy of the subject: another interpreter, another search path, other names, a plain stack.

Only the subject and what came with it are changed, never another file of the target. Source: ld.so(8) on DT_RPATH and
DT_RUNPATH; musl ``ldso/dynlink.c`` on how both are inherited; patchelf(1).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence

from runworthy.formats.elf.header import layout_of
from runworthy.formats.elf.layout import PF_X, PT_GNU_STACK
from runworthy.model.arch import Architecture
from runworthy.model.edit import Edit, LinkFile, PatchBytes
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import FormatError
from runworthy.model.libc import Family
from runworthy.model.trace import Answer, Kind, Step
from runworthy.remedies.libraries import (
    Candidate,
    candidates,
    is_missing,
    is_own,
    is_writable_in_a_path,
    searched,
    stretch_of,
)
from runworthy.remedies.patchelf import Changes, patched
from runworthy.remedies.situation import Proposal, Situation
from runworthy.rules.known import known_loader, libc_of_library
from runworthy.targets.edits import edited
from runworthy.targets.libc import identify_loader
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.view import FileView, Resolved, UnseenError

__all__ = ["PLANNERS", "entry_for", "led_to", "loaders_of", "proposals", "wanted_family"]

Planner = Callable[[Situation, Step], Iterator[Proposal]]

_PROGRAMS = ("/bin/sh", "/usr/bin/env", "/bin/ls", "/run/current-system/sw/bin/sh", "/usr/bin/true")
_STORES = ("/nix/store", "/gnu/store")
_STORE_LIMIT = 20_000
_DIES = "code that really runs on its stack dies: as nested functions of GNU C do"
_NOT_STARTED = "what the library does when it is loaded, and when it ends, is no longer done"
_OTHER_RELEASE = "every symbol is there, but whether its functions are what they were cannot be judged here"


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what a changed copy of the subject comes to. Nothing is proposed where no copies can be made."""
    for planner in PLANNERS.get(cause.need.kind, ()) if situation.means is not None else ():
        yield from planner(situation, cause)


# -- the interpreter -----------------------------------------------------------------------------


def _interpreter(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the root's own loader of the same C library in the place of one that is not there."""
    path = cause.need.by
    if cause.answer is Answer.MET or not is_own(situation, path):
        return
    for loader in loaders_of(situation, cause):
        yield _patch(
            situation,
            path,
            (Changes(interpreter=loader),),
            f"let a copy of `{_called(path)}` name the loader that is there, {loader}",
        )


def wanted_family(facts: ElfFacts) -> Family | None:
    """Return for the loader of which C library a program is made: by the libraries it needs, else by its loader."""
    families = {libc_of_library(name) for name in facts.needed} - {""}
    named = known_loader(facts.interpreter or "").family
    found = families.pop() if len(families) == 1 else named if not families else ""
    return "glibc" if found == "glibc" else "musl" if found == "musl" else None


def loaders_of(situation: Situation, cause: Step) -> tuple[str, ...]:
    """Return the paths of loaders of the root for a program whose own is missing: of its C library and its machine."""
    view = situation.target.view
    try:
        facts = view.elf(cause.need.by).facts
    except (FormatError, OSError, UnseenError):
        return ()
    arch, family = facts.architecture, wanted_family(facts)
    if arch is None or family is None:
        return ()
    found: dict[str, str] = {}
    for path in _loader_paths(view, arch, family):
        real = _loader_at(view, path, arch, family)
        if real is not None and path != cause.need.name and real not in found:
            found[real] = path
    return tuple(found.values())[:2]


def _loader_paths(view: FileView, arch: Architecture, family: Family) -> Iterator[str]:
    """Yield where a loader may lie: its usual place, what the root's own programs name, other layouts, stores."""
    usual = arch.glibc_loader if family == "glibc" else arch.musl_loader
    yield usual
    for program in _PROGRAMS:
        try:
            named = view.elf(view.resolve(program).path).facts.interpreter
        except (FormatError, OSError, UnseenError):
            continue
        if named and named.startswith("/"):
            yield named
    name = posixpath.basename(usual)
    musl = arch.multiarch.replace("-gnu", "-musl")
    libs = ("lib", "lib64", f"lib/{arch.multiarch}", f"lib/{musl}")
    for prefix in ("", "/usr", "/usr/local", "/usr/local/musl", "/usr/lib/musl"):
        yield from (f"{prefix}/{lib}/{name}" for lib in libs)
        if family == "musl":
            yield from (f"{prefix}/{lib}/libc.so" for lib in libs)
    for store in _STORES:
        try:
            held = sorted(view.readdir(store))[:_STORE_LIMIT]
        except (OSError, UnseenError):
            continue
        yield from (f"{store}/{one}/lib/{name}" for one in held if family in one)


def _loader_at(view: FileView, path: str, arch: Architecture, family: Family) -> str | None:
    try:
        found = view.find(path)
        if not isinstance(found, Resolved) or found.entry.kind != "file" or not found.entry.mode & 0o111:
            return None
        held = view.elf(found.path).facts.architecture
        if held is None or held.name != arch.name or identify_loader(view, found.path).family != family:
            return None
    except (FormatError, OSError, UnseenError):
        return None
    return found.path


# -- libraries -----------------------------------------------------------------------------------


def _search_path(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the subject with a search path that leads to the library."""
    if not is_missing(cause) or "/" in cause.need.name:
        return
    for one in candidates(situation, cause):
        if one.how == "other":
            continue
        edits = _link(situation, one, cause)
        if edits is None:
            continue
        lies = f"`{cause.need.name}` lies in {_seen_from(one.directory)}"
        if edits and one.directory in searched(cause):
            yield Proposal(title=f"{lies} by another name: link it there", edits=edits, approach="patch", stays=True)
            continue
        for path, inherited in _who(situation, cause):
            changes = led_to(situation.target.view, path, one.directory, situation, inherited=inherited)
            if changes is not None:
                title = f"let a copy of `{_called(path)}` look for its libraries in {changes[1]}, too: {lies}"
                yield _patch(situation, path, (changes[0],), title, edits)


def _link(situation: Situation, one: Candidate, cause: Step) -> tuple[Edit, ...] | None:
    """Return the link that gives a library its name, none where it has it, None where it is not to be made."""
    if one.how == "named":
        return ()
    name = cause.need.name
    taken = situation.target.view.find(f"{one.directory}/{name}")
    if not is_own(situation, one.path) or isinstance(taken, Resolved):
        return None
    return (LinkFile(path=f"{one.directory}/{name}", text=one.name),)


def _who(situation: Situation, cause: Step) -> Iterator[tuple[str, bool]]:
    """Yield the files whose search path may lead to a library, and whether it is one for the needs of needs."""
    by, stretch = cause.need.by, stretch_of(situation, cause)
    if is_own(situation, by):
        yield by, False
    if stretch is not None and stretch.object != by and is_own(situation, stretch.object):
        yield stretch.object, True


def led_to(
    view: FileView, path: str, directory: str, situation: Situation, *, inherited: bool
) -> tuple[Changes, str] | None:
    """Return what leads a file's search to a directory, and the words of it, None where nothing does.

    What is there already stays, and stays of its kind; ``inherited``: it is to count for the needs of needs too.
    """
    try:
        facts = view.elf(path).facts
    except (FormatError, OSError, UnseenError):
        return None
    own = is_own(situation, f"{directory}/") or directory == posixpath.dirname(path)
    entry = entry_for(path, directory, own=own)
    if entry is None:
        return None
    held = facts.runpath if facts.runpath is not None else facts.rpath
    if held and entry in held.split(":") and (not inherited or facts.runpath is None):
        return None
    kept = facts.runpath is None and facts.rpath is not None
    added = held if held and entry in held.split(":") else f"{held}:{entry}" if held else entry
    return Changes(rpath=added, inherited=inherited or kept), entry


def entry_for(path: str, directory: str, *, own: bool) -> str | None:
    """Return how the search path of a file names a directory: by where it lies itself, where both are the subject's."""
    if own or directory.startswith(f"{SUBJECT_ROOT}/"):
        below = posixpath.relpath(directory, posixpath.dirname(path))
        entry = "$ORIGIN" if below == "." else f"$ORIGIN/{below}"
        return entry if is_writable_in_a_path(below) else None
    return directory if is_writable_in_a_path(directory) else None


def _by_name(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the subject with another name for what it needs: the last of a path, or another release's name."""
    name, path = cause.need.name, cause.need.by
    if not is_missing(cause) or not is_own(situation, path) or libc_of_library(posixpath.basename(name)):
        return
    if "/" in name:
        yield from _without_its_path(situation, cause)
        return
    unresolved = _unresolved(situation, situation)
    tried: set[str] = set()
    for one in candidates(situation, cause):
        new = one.facts.soname or one.name
        if one.how != "other" or new in tried or libc_of_library(new) or "/" in new:
            continue
        tried.add(new)
        title = f"let a copy of `{_called(path)}` need {new}, which is there, in the place of {name}"
        proposal = _patch(situation, path, (Changes(replaced=((name, new),)),), title)
        if proposal.unprovable:
            yield _as(proposal, unsafe=_OTHER_RELEASE)
        elif not _unresolved(situation, situation, proposal.edits) - unresolved:
            yield _as(proposal, unsafe=_OTHER_RELEASE, unprovable=_OTHER_RELEASE)


def _without_its_path(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the subject with the last of a path in its place, and with a search path that leads there."""
    path, name = cause.need.by, cause.need.name
    base = posixpath.basename(name)
    title = f"let a copy of `{_called(path)}` need {base}, in the place of the path {name}"
    found = [one for one in candidates(situation, cause) if one.how == "named" and base]
    renamed = Changes(replaced=((name, base),))
    if found:
        yield _patch(situation, path, (renamed,), title)
    for one in found[:2]:
        led = led_to(situation.target.view, path, one.directory, situation, inherited=False)
        if led is not None:
            yield _patch(situation, path, (renamed, led[0]), f"{title}, and look for it in {led[1]}")


def _without_it(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the subject without the need for a library of which it uses nothing."""
    path, name = cause.need.by, cause.need.name
    if not is_missing(cause) or not is_own(situation, path) or libc_of_library(posixpath.basename(name)):
        return
    view = situation.target.view
    used = any(record.file == name for record in view.elf(path).facts.version_needs)
    if used or _consequences(situation):
        return
    title = f"let a copy of `{_called(path)}` do without {name}: it uses no symbol of it"
    proposal = _patch(situation, path, (Changes(removed=(name,)),), title)
    if proposal.unprovable or not _unresolved(situation, situation, proposal.edits) - _unresolved(situation, situation):
        yield _as(proposal, unsafe=_NOT_STARTED)


def _consequences(situation: Situation) -> bool:
    """Whether a symbol has nobody to bring it, and a missing library may have been the one."""
    return any(step.need.kind == "symbol" and step.because is not None for step in situation.result.trace.needs)


def _unresolved(
    situation: Situation, judged: Situation, edits: tuple[Edit, ...] | None = None
) -> frozenset[tuple[str, str | None, str]]:
    """Return the symbols and versions that nothing brings, lazy ones too: as it is, or with edits in place."""
    result = judged.result if edits is None else situation.judge(edited(situation.target, edits), situation.path)
    return frozenset(
        (step.need.name, step.need.version, step.need.by)
        for step in result.trace.needs
        if step.need.kind in ("symbol", "symbol-version")
        and step.because is None
        and step.answer in (Answer.UNMET, Answer.UNKNOWN)
    )


# -- the stack -----------------------------------------------------------------------------------


def _plain_stack(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the library without the mark by which it asks for an executable stack."""
    path = cause.need.by
    if cause.answer is not Answer.UNMET or not is_own(situation, path):
        return
    title = f"take the mark off a copy of `{_called(path)}` by which it asks for an executable stack"
    view = situation.target.view
    edits = tuple(_stack_flags(view, path))
    if edits:
        yield Proposal(title=title, edits=edits, approach="patch", unsafe=_DIES, stays=True)
    else:
        yield _as(_patch(situation, path, (Changes(plain_stack=True),), title), unsafe=_DIES)


def _stack_flags(view: FileView, path: str) -> Iterator[PatchBytes]:
    """Yield what takes PF_X out of each PT_GNU_STACK. Raises FormatError, OSError."""
    facts, content = view.elf(path).facts, view.content(path)
    header = facts.header
    layout = layout_of(header.ident)
    at = 4 if layout.bits == 64 else 24  # p_flags in Elf64_Phdr and Elf32_Phdr
    for index, segment in enumerate(facts.segments):
        if segment.type != PT_GNU_STACK or not segment.flags & PF_X:
            continue
        offset = header.phoff + index * layout.phdr.size + at
        before = content.pread(offset, layout.word.size)
        if before == layout.word.pack(segment.flags):
            yield PatchBytes(
                path=path,
                offset=offset,
                before=before,
                after=layout.word.pack(segment.flags & ~PF_X),
                what="its stack need not be executable",
            )


# -- all -----------------------------------------------------------------------------------------


def _patch(
    situation: Situation, path: str, changes: Sequence[Changes], title: str, before: tuple[Edit, ...] = ()
) -> Proposal:
    """Return the proposal to patch a file after other edits; one that cannot be judged where that does not work."""
    means = situation.means
    view, edits = situation.target.view, before
    for change in changes:
        made = patched(view, path, change, means.scratch) if means is not None else ""
        if isinstance(made, str):
            return Proposal(title=title, approach="patch", unprovable=made)
        edits = (*edits, made)
        view = edited(situation.target, edits).view
    return Proposal(title=title, edits=edits, approach="patch", stays=True)


def _as(proposal: Proposal, *, unsafe: str, unprovable: str = "") -> Proposal:
    return Proposal(
        title=proposal.title,
        edits=proposal.edits,
        stays=proposal.stays,
        unprovable=proposal.unprovable or unprovable,
        approach=proposal.approach,
        unsafe=unsafe,
    )


def _called(path: str) -> str:
    return posixpath.basename(path)


def _seen_from(directory: str) -> str:
    return directory.removeprefix(SUBJECT_ROOT) or "/"


PLANNERS: Mapping[Kind, tuple[Planner, ...]] = {
    "interpreter": (_interpreter,),
    "library": (_search_path, _by_name, _without_it),
    "exec-stack": (_plain_stack,),
}
