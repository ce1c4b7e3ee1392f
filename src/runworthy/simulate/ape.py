"""What becomes of an APE once its loader or a shell has it (cosmopolitan ``ape/loader.c``, ``ape/ape.S``)."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator

from runworthy.model.program import ApeElf, ApeFacts
from runworthy.model.trace import Answer, Event, Evidence, Need, Step
from runworthy.simulate.commands import PATH, command_step, find_command
from runworthy.simulate.kernel import in_directory
from runworthy.simulate.launch import Launch
from runworthy.simulate.permission import EXECUTE, WRITE, denied, forbidden
from runworthy.targets.mounts import mount_of
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError, reason

__all__ = ["ready_loader", "under_loader", "under_shell"]

_APPLICATIONS = "/Applications"
_UNUSABLE = {
    "ro": "EROFS: its file system is mounted read-only",
    "noexec": "EACCES: its file system is mounted with noexec",
}
_NEEDED_TO_UNPACK = ("mkdir", "dd", "gzip", "chmod", "mv")


def under_loader(path: str, ape: ApeFacts, target: Target) -> Iterator[Step | Event]:
    """Yield what the APE loader asks of the file and of the machine."""
    found = ape.elf_for(target.arch.name)
    yield _payload(path, ape, found, target)
    if found is not None:
        yield from _pages(path, found, target)


def under_shell(path: str, ape: ApeFacts, target: Target, launch: Launch) -> Iterator[Step | Event]:
    """Yield what the script at the beginning of an APE asks of the root, until the program itself is started."""
    search = launch.env.get("PATH", PATH)
    if target.view.exists(_APPLICATIONS) and target.view.authority is None:
        # The script tells macOS by this directory, and passes Linux's own way by.
        need = Need(kind="payload", name="Linux", by=path, evidence=Evidence(file=path, section="shell script"))
        yield Step(
            stage="exec",
            need=need,
            answer=Answer.UNMET,
            detail=f"{_APPLICATIONS} exists: the script takes the machine for macOS",
        )
        return
    found = ape.elf_for(target.arch.name) or _far_header(ape, target, search)
    yield _payload(path, ape, found, target)
    if found is None:
        return
    loader = ready_loader(ape, target, launch)
    if loader is not None:
        name = ape.loader_name if loader == _unpacked(ape, target, launch) else "ape"
        text = f"the script starts the `{name}` that it finds: {loader}"
        yield Event(stage="exec", kind="taken-by", text=text, by=path)
        yield from _pages(path, found, target)
        return
    if _unpacks(ape, target):
        for name in (one for one in _NEEDED_TO_UNPACK if one in ape.tools):
            yield command_step(target, name, path, f"{name}: not found, and the script ends with 127", search)
        yield from _scratch_directory(path, target, launch)
    elif ape.rewrites_itself:
        yield from _rewritten(path, target)
    elif ape.loaders:
        need = Need(kind="payload", name=f"loader for {target.arch.name}", by=path, evidence=Evidence(file=path))
        yield Step(stage="exec", need=need, answer=Answer.UNMET, detail="the script has no loader to unpack")
        return
    yield from _pages(path, found, target)


def _far_header(ape: ApeFacts, target: Target, search: str) -> ApeElf | None:
    """Return a header that loaders do not look for, since it lies too far behind: the script's own printf writes it."""
    if _unpacks(ape, target) or not ape.rewrites_itself or find_command(target, "ape", search)[0] is not None:
        return None
    return next((one for one in ape.far_elves if one.arch == target.arch.name and not one.problem), None)


def _unpacks(ape: ApeFacts, target: Target) -> bool:
    """Whether the script has a loader for the machine to unpack."""
    return any(one.system == "linux" and one.arch == target.arch.name for one in ape.loaders)


def ready_loader(ape: ApeFacts, target: Target, launch: Launch) -> str | None:
    """Return the loader that the script starts as it finds it: an ``ape`` in PATH, or one that was unpacked before."""
    view = target.view
    if ape.elf_for(target.arch.name) is None or (view.exists(_APPLICATIONS) and view.authority is None):
        return None
    found, _ = find_command(target, "ape", launch.env.get("PATH", PATH))
    path = _unpacked(ape, target, launch)
    if found is not None or not path:
        return found
    try:
        kept = view.find(path)
    except UnseenError:
        return None
    if isinstance(kept, int) or (kept.entry.kind == "file" and denied(target, kept.path)):
        return None
    return path


def _scratch(target: Target, launch: Launch) -> str:
    """Return ``${TMPDIR:-${HOME:-.}}``, empty where that is not stated: this machine's is as it is here."""
    named = launch.env.get("TMPDIR") or launch.env.get("HOME")
    return named or ("." if target.live or "HOME" in launch.env else "")


def _unpacked(ape: ApeFacts, target: Target, launch: Launch) -> str:
    """Return where the script unpacks its loader, empty where it does not or where that is not stated."""
    name = _scratch(target, launch)
    if not name or not ape.loaders or not ape.loader_name:
        return ""
    return posixpath.normpath(posixpath.join(launch.cwd, name, ape.loader_name))


def _scratch_directory(path: str, target: Target, launch: Launch) -> Iterator[Step]:
    """Yield whether the script can unpack a loader, where it is stated to what directory."""
    name = _scratch(target, launch)
    if not name:
        return
    directory = posixpath.normpath(posixpath.join(launch.cwd, name))
    need = Need(kind="scratch-directory", name=directory if name == "." else name, by=path)
    refused = _no_scratch(directory, target)
    rests = refused and not launch.cwd_stated and not name.startswith("/")
    assumed = in_directory(launch.cwd) if rests else None
    if refused:
        yield Step(stage="exec", need=need, answer=Answer.UNMET, detail=refused, assumption=assumed)
    else:
        yield Step(stage="exec", need=need, answer=Answer.MET, met_by=directory)


def _no_scratch(directory: str, target: Target) -> str:
    """Return why nothing can be written and executed in a directory, which is made where it is missing (mkdir -p)."""
    try:
        found = target.view.find(directory)
        while found == errno.ENOENT and directory != "/":
            directory = posixpath.dirname(directory)
            found = target.view.find(directory)
    except UnseenError:
        return ""
    if isinstance(found, int):
        known = found in (errno.ENOTDIR, errno.EACCES, errno.ELOOP)
        return f"{errno.errorcode[found]}: {reason(found)}" if known else ""
    if found.entry.kind != "dir":
        return "ENOTDIR: it is no directory"
    options = _mount_options(found.path, target)
    refused = next((detail for option, detail in _UNUSABLE.items() if option in options), "")
    if refused:
        return refused
    closed = forbidden(target, found.path, WRITE | EXECUTE)
    return f"EACCES: {closed}" if closed else ""


def _rewritten(path: str, target: Target) -> Iterator[Step]:
    """Yield that a program which writes its own header cannot: its file system is read-only, or its user may not."""
    placed = path.startswith(f"{SUBJECT_ROOT}/")
    refused = _UNUSABLE["ro"] if not placed and "ro" in _mount_options(path, target) else ""
    closed = "" if refused or target.credentials is None else denied(target, path, WRITE)
    if refused or closed:
        need = Need(kind="permission", name="write", by=path, evidence=Evidence(file=path, section="shell script"))
        yield Step(stage="exec", need=need, answer=Answer.UNMET, detail=refused or f"EACCES: {closed}")


def _mount_options(path: str, target: Target) -> tuple[str, ...]:
    """Return the options of the mount that holds a path, none where none is known."""
    mount = mount_of(path, (target.machine_facts.mounts if target.machine_facts else None) or ())
    return (*mount.options, *mount.super_options) if mount else ()


def _payload(path: str, ape: ApeFacts, found: ApeElf | None, target: Target) -> Step:
    at = found.at if found else None
    evidence = Evidence(file=path, section="shell script", offset=at)
    need = Need(kind="payload", name=target.arch.name, by=path, evidence=evidence)
    if found is not None:
        return Step(stage="exec", need=need, answer=Answer.MET, met_by="an ELF header in its script")
    refused = next((one for one in ape.elves if one.arch == target.arch.name), None)
    if refused is not None:
        return Step(
            stage="exec", need=need, answer=Answer.UNMET, detail=f"its ELF header is refused: {refused.problem}"
        )
    if any(one.arch == target.arch.name for one in ape.far_elves):
        detail = "its ELF header lies after the first 8192 bytes, where the loader does not look"
        return Step(stage="exec", need=need, answer=Answer.UNMET, detail=detail)
    inside = ", ".join(sorted({one.arch or f"machine {one.machine}" for one in ape.elves})) or "no processor at all"
    detail = f"it has code for {inside}"
    return Step(stage="exec", need=need, answer=Answer.UNMET, detail=detail)


def _pages(path: str, elf: ApeElf, target: Target) -> Iterator[Step]:
    """Compare page sizes: the loader maps segments by the kernel's (AT_PAGESZ)."""
    machine = target.machine
    if not elf.page_sizes or (machine.page_size in elf.page_sizes and machine.page_size_stated):
        return
    evidence = Evidence(file=path, section="program headers in its script", offset=elf.at)
    fits = f"its segments can be mapped with pages of up to {max(elf.page_sizes) >> 10} KiB"
    if machine.page_size not in elf.page_sizes:
        need = Need(kind="page-size", name=f"{machine.page_size >> 10} KiB", by=path, evidence=evidence)
        yield Step(stage="machine", need=need, answer=Answer.UNMET, detail=fits)
        return
    refused = [size for size in machine.arch.page_sizes if size not in elf.page_sizes]
    if refused:
        name = ", ".join(f"{size >> 10} KiB" for size in sorted(refused))
        assumption = f"{machine.page_size >> 10} KiB pages"
        need = Need(kind="page-size", name=name, by=path, evidence=evidence)
        yield Step(stage="machine", need=need, answer=Answer.UNMET, fatal=False, assumption=assumption, detail=fits)
