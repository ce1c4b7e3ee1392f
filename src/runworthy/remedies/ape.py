"""Remedies for an APE that does not run as the program it is: taken by another handler, or by none."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.formats.ape import extract_loader
from runworthy.model.binfmt import Handler
from runworthy.model.edit import CopyFile, Edit, WriteLoader
from runworthy.model.errors import FormatError
from runworthy.model.program import APE_LOADER, ApeFacts
from runworthy.model.trace import Step
from runworthy.remedies.conflict import disable, last_resort, remove_package
from runworthy.remedies.registering import ways
from runworthy.remedies.situation import Proposal, Situation, exists, system_of
from runworthy.simulate.purpose import which_loader
from runworthy.targets.view import UnseenError

__all__ = ["proposals"]

_PURPOSE = "APE programs: registered last, so tried before every other handler"
_BESIDE = "/usr/local/bin/ape"
"""Where the loader goes where another program has its name."""
_MAGICS = (("APE", b"MZqFpD"), ("APE-jart", b"jartsr"))


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what helps an APE, best first."""
    if _facts(situation).elf_for(situation.target.arch.name) is None:
        yield Proposal(
            title=f"use a build that has code for {situation.target.arch.name} inside",
            unprovable="another file has to be made",
        )
        return
    yield from _registered(situation)
    if cause.taken == "foreign":
        yield from disable(situation, "a shell reads the APE as a script")
    yield from _assimilated(situation)
    yield Proposal(
        title=f"start it as `sh {situation.name}`: no handler is asked then",
        unprovable="another way to start it, not a change of the target",
    )
    if cause.taken == "foreign":
        yield from remove_package(situation)
        yield from last_resort(situation)


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
