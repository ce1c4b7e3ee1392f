"""Remedies for an APE that does not run as the program it is: taken by another handler, or by none."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.formats.ape import extract_loader
from runworthy.model.binfmt import Handler
from runworthy.model.edit import CopyFile, Edit, SwitchHandlers, WriteLoader
from runworthy.model.errors import FormatError
from runworthy.model.program import APE_LOADER, ApeFacts
from runworthy.model.trace import Step
from runworthy.remedies.conflict import disable, last_resort, remove_package
from runworthy.remedies.interpreters import install
from runworthy.remedies.judging import is_failure
from runworthy.remedies.registering import ways
from runworthy.remedies.situation import Proposal, Situation, exists, system_of
from runworthy.simulate.purpose import which_loader
from runworthy.targets.edits import edited
from runworthy.targets.mounts import mount_of
from runworthy.targets.view import UnseenError

__all__ = ["proposals"]

_PURPOSE = "APE programs: registered last, so tried before every other handler"
_BESIDE = "/usr/local/bin/ape"
"""Where the loader goes where another program has its name."""
_ANOTHER_WAY = "another way to start it, not a change of the target"
_UNPACKING = ("tool", "scratch-directory")
_PROGRAMS = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin")
_SCRATCH = ("/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - named for a person to use
_MAGICS = (("APE", b"MZqFpD"), ("APE-jart", b"jartsr"))


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what helps an APE, best first."""
    if _facts(situation).elf_for(situation.target.arch.name) is None:
        yield from _without_code(situation, cause)
        return
    stuck = next((step for step in situation.result.trace.needs if _is_stuck(situation, step)), None)
    if stuck is not None:
        yield from _unpacked(situation, stuck)
    yield from _registered(situation)
    by_shell = _starts_by_shell(situation)
    if cause.taken == "foreign":
        yield from disable(situation, cause, partly=by_shell)
    yield from _assimilated(situation)
    if by_shell:
        yield Proposal(
            title=f"start it as `sh {situation.name}`: no handler is asked then",
            unprovable=_ANOTHER_WAY,
        )
    if cause.taken == "foreign":
        yield from remove_package(situation, cause)
        yield from last_resort(situation, cause)


def _without_code(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what helps an APE in which loaders find no code for the machine; a shell may find some all the same."""
    arch, facts = situation.target.arch.name, _facts(situation)
    held = [one for one in (*facts.elves, *facts.far_elves) if one.arch == arch]
    if cause.need.kind != "payload":  # the rule that tells of that says it
        words = "whose header loaders take" if held else "that has code"
        yield Proposal(title=f"use a build {words} for {arch} inside", unprovable="another file has to be made")
    if held and _starts_by_shell(situation):
        title = f"start a copy of it as `sh {situation.name}`: its script writes the header itself, into the file"
        yield Proposal(title=title, unprovable=_ANOTHER_WAY)


def _is_stuck(situation: Situation, step: Step) -> bool:
    """Whether the script cannot unpack its loader, or start the one that it has unpacked before."""
    kind, elsewhere = step.need.kind, step.need.by not in (situation.real, situation.path)
    return is_failure(step) and (kind in _UNPACKING or (kind == "permission" and elsewhere))


def _starts_by_shell(situation: Situation) -> bool:
    """Whether nothing is known to stop a shell that reads the file: no handler is asked then."""
    bare = edited(situation.target, (SwitchHandlers(on=False),))
    left = situation.judge(bare, situation.path).trace.needs
    return not any(is_failure(step) and step.need.kind not in ("exec-format", "caller") for step in left)


def _unpacked(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what lets the script at the beginning of the file start its loader: another directory, commands, an ape."""
    found = _loader(situation)
    if found is not None and found[2]:
        path, words, edits = found
        title = f"put the APE loader ({words}) at {path}: the script, where a shell reads it, starts the `ape` of PATH"
        yield Proposal(title=title, edits=edits, stays=True)
    if cause.need.kind == "tool":
        yield _command(situation, cause.need.name)
    else:
        where = _scratch(situation)
        example = f", as `TMPDIR={where} {situation.name}`" if where else ""
        yield Proposal(
            title=f"start it with TMPDIR set to a directory in which files can be made and executed{example}",
            unprovable=_ANOTHER_WAY,
        )


def _command(situation: Situation, name: str) -> Proposal:
    """Return what has the script find a command: a directory in PATH, or a package."""
    there = next((path for path in _PROGRAMS if exists(situation.target.view, f"{path}/{name}")), None)
    if there is None:
        return install(situation, name)
    return Proposal(
        title=f"start it with {there} in PATH: `{name}` is there",
        unprovable=_ANOTHER_WAY,
    )


def _scratch(situation: Situation) -> str:
    """Return a directory that is usually there for everybody, and is not mounted read-only or noexec here."""
    facts = situation.target.machine_facts
    mounts = (facts.mounts if facts else None) or ()
    for path in _SCRATCH:
        mount = mount_of(path, mounts)
        options = (*mount.options, *mount.super_options) if mount else ()
        if exists(situation.target.view, path) and not {"ro", "noexec"} & set(options):
            return path
    return ""


def _registered(situation: Situation) -> Iterator[Proposal]:
    """Yield the ways to register the APE loader above all others."""
    system = system_of(situation.target)
    if system.container:
        yield Proposal(
            title="on the host of this container, register the APE loader with the flag F: containers use the host's",
            unprovable="the host's files are not known here",
        )
        return
    if situation.loader and which_loader(situation.target.view, situation.loader) is False:
        yield Proposal(
            title=f"name another loader than {situation.loader}, which is no APE loader that is known",
            unprovable="what it does with an APE program is not known",
        )
        return
    found = _loader(situation)
    if found is None:
        arch = situation.target.arch.name
        yield Proposal(
            title=f"register an APE loader; none for {arch} is inside the file or at {APE_LOADER}",
            unprovable="no loader is at hand",
        )
        return
    path, words, edits = found
    handlers = [Handler(name=name, interpreter=path, magic=magic, flags="PF") for name, magic in _MAGICS]
    for way in ways(situation.target.view, system, handlers, _PURPOSE):
        yield Proposal(
            title=f"register the APE loader ({words}) above every other handler, {way.words}",
            edits=(*edits, *way.edits),
            stays=way.stays,
        )


def _loader(situation: Situation) -> tuple[str, str, tuple[Edit, ...]] | None:
    """Return the path of a loader, what it is, and what puts it there; None where none can be had."""
    if situation.loader:
        return situation.loader, situation.loader, ()
    view = situation.target.view
    is_there = exists(view, APE_LOADER)
    if is_there and which_loader(view, APE_LOADER) is not False:
        return APE_LOADER, APE_LOADER, ()
    path = _BESIDE if is_there else APE_LOADER
    written = None if is_there and exists(view, _BESIDE) else _embedded(situation, path)
    if written is None:
        return None
    return path, f"the one inside the file, sha256 {written.sha256[:16]}...", (written,)


def _embedded(situation: Situation, path: str) -> WriteLoader | None:
    """Return what writes the loader that the APE's own script would unpack on this machine to a path."""
    arch = situation.target.arch.name
    for loader in _facts(situation).loaders:
        if loader.arch == arch and loader.system == "linux" and loader.form != "source":
            try:
                view = situation.target.view
                content = extract_loader(view.content(view.resolve(situation.path).path), loader)
            except (FormatError, OSError, UnseenError):
                continue
            source = f"out of {situation.name}, {loader.size} bytes at offset {loader.offset:#x}"
            return WriteLoader(path=path, content=content, source=source)
    return None


def _facts(situation: Situation) -> ApeFacts:
    found = situation.file.ape if situation.file else None
    return found or ApeFacts(magic="")


def _assimilated(situation: Situation) -> Iterator[Proposal]:
    """Yield a copy that is an ELF file: its own ELF header stands where the magic was."""
    elf = _facts(situation).elf_for(situation.target.arch.name)
    if elf is None:
        return
    path = f"{situation.path}.elf"
    source = situation.target.view.resolve(situation.path).path if situation.changeable else ""
    yield Proposal(
        title=f"make `{situation.name}.elf`, a copy that is an ELF file for {elf.arch} alone, and use that",
        edits=(CopyFile(path=path, source=source, head=elf.header),) if situation.changeable else (),
        stays=situation.changeable,
        path=path,
        unprovable="" if situation.changeable else "the file does not lie in the target",
    )
