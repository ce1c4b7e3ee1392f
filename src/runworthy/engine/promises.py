"""What is judged of an archive as a whole: what it says of itself, and what its ecosystem takes of it on a target."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Literal, Protocol

from runworthy.engine.containers import Holder
from runworthy.engine.results import Cell
from runworthy.model.arch import Architecture
from runworthy.model.archive import ContainerKind
from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.errors import ArchitectureError, FormatError
from runworthy.model.layout import Choice, Contents, Layout, Platform
from runworthy.model.program import FileFacts
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Need, Stage, Step, Stretch, Trace
from runworthy.model.wheel import WheelName
from runworthy.simulate.container import container_trace
from runworthy.targets.libc import libc_of_root
from runworthy.targets.names import TargetName

__all__ = ["archs_of", "choice_on", "chosen_on", "layout_in", "platform_of", "promise_of", "wheel_name"]

_FAMILIES: Mapping[str, Literal["glibc", "musl"]] = {"glibc": "glibc", "musl": "musl"}


class _Promise(Protocol):
    """What an archive of some kind says of itself."""

    def stretches(self) -> tuple[Stretch, ...]:
        """Return what is true of it wherever it is taken."""

    def choice(self, platform: Platform) -> Choice:
        """Return what is taken of it on a platform."""


def promise_of(holder: Holder, until: Stage) -> Trace | None:
    """Return what is true of an archive wherever it is taken, None where there is nothing to say."""
    promise = _promise(holder) if holder.container.members or not holder.container.problem else None
    stretches = (*container_trace(holder.container).stretches, *(promise.stretches() if promise else ()))
    return Trace(stretches=stretches, until=until) if stretches else None


def choice_on(holder: Holder, platform: Platform) -> Choice | None:
    """Return what is taken of an archive on a platform, None where its kind has no rule."""
    promise = _promise(holder)
    return replace(promise.choice(platform), target=platform.target) if promise else None


def wheel_name(holder: Holder) -> WheelName | None:
    """Return the parts of a wheel's name, None of what is none, or is not named as one."""
    promise = _promise(holder)
    return promise.name if isinstance(promise, _Wheel) else None


def archs_of(holder: Holder) -> tuple[Architecture, ...]:
    """Return the architectures that the name of a wheel is for; none of what says none, or is no wheel."""
    from runworthy.simulate.wheel.tags import platform_tags

    name = wheel_name(holder)
    return tuple(dict.fromkeys(tag.arch for tag in platform_tags(name) if tag.arch)) if name else ()


def layout_in(holder: Holder) -> Layout | None:
    """Return the layout of an archive, None where it has none."""
    promise = _promise(holder)
    return promise.layout if isinstance(promise, _Layout) else None


def platform_of(name: TargetName, arch: Architecture | None) -> Platform | None:
    """Return what an installer looks at on a target, None where there is none such for this architecture."""
    try:
        target = name.open(arch)
    except ArchitectureError:
        return None
    libc = libc_of_root(target)
    return Platform(
        target=target.name,
        arch=target.arch,
        libc=_FAMILIES.get(libc.family, "") if libc else "",
        release=(libc.version or ()) if libc else (),
    )


def chosen_on(subject: str, choice: Choice, until: Stage, wanted: str) -> Cell:
    """Return the cell that tells what was taken on the target that was asked for as ``wanted``."""
    stretch = Stretch(object=subject, machine="", loader="", root=choice.target, steps=choice.steps)
    trace = Trace(stretches=(stretch,), until=until)
    return Cell(subject=subject, target=choice.target, path=subject, trace=trace, wanted=wanted)


def _promise(holder: Holder) -> _Promise | None:
    """Return what an archive says of itself, read once."""
    if not holder.asked:
        holder.asked = True
        read = _KINDS.get(holder.container.kind)
        holder.promise = read(holder) if read else None
    return holder.promise  # type: ignore[return-value]  # a holder does not know what is made of it


# -- wheels ----------------------------------------------------------------------------------


class _Wheel:
    """A wheel: its records, its tags, and what an installer makes of these (PEP 427, PEP 600, PEP 656)."""

    def __init__(self, holder: Holder) -> None:
        from runworthy.formats.wheel import read_wheel

        sizes = [(path, one.content.size) for path, one in holder.members.items() if one.content is not None]
        file = posixpath.basename(holder.name.rpartition("!")[2])
        self._holder = holder
        self._facts = read_wheel(file, sizes, holder.read)

    @property
    def name(self) -> WheelName | None:
        return self._facts.name

    def stretches(self) -> tuple[Stretch, ...]:
        from runworthy.simulate.wheel import promise
        from runworthy.targets.promises import Promises

        @cache
        def promises(name: str) -> Promises:
            from runworthy.model.arch import architecture

            found = architecture(name)
            if found is None:
                raise FormatError(f"{name} is no architecture")
            return Promises(found)

        files = dict(_elf_files(self._holder))
        trace = promise(
            self._facts,
            files,
            promises,
            others=dict(_other_files(self._holder)),
            digests=self._holder.digests,
        )
        return trace.stretches

    def choice(self, platform: Platform) -> Choice:
        from runworthy.simulate.wheel import accepts

        return Choice(steps=(accepts(self._facts, platform),))


# -- packages of several builds -------------------------------------------------------------


class _Layout:
    """A package that holds builds for several platforms, or says for which it is."""

    def __init__(self, holder: Holder) -> None:
        from runworthy.formats.layout import layout_of

        self._holder = holder
        self._problem = ""
        try:
            files = [path for path, one in holder.members.items() if one.kind in ("file", "hard-link")]
            self.layout = layout_of(holder.container.kind, files, holder.read)
        except FormatError as error:
            self.layout, self._problem = None, str(error)
        self._contents: dict[str, Contents] | None = None

    def stretches(self) -> tuple[Stretch, ...]:
        if not self._problem:
            return ()
        name = self._holder.name
        need = Need(kind="metadata", name="manifest", by=name)
        step = Step(
            stage="environment", need=need, answer=Answer.UNKNOWN, why="unreadable", detail=f"layout: {self._problem}"
        )
        return (Stretch(object=name, machine="", loader="", root="", steps=(step,)),)

    def choice(self, platform: Platform) -> Choice:
        from runworthy.simulate.layout import choose

        if self.layout is None:
            return Choice()
        if self._contents is None:
            wanted = {build.path for group in self.layout.groups for build in group.builds}
            self._contents = dict(_contents(self._holder, wanted))
        return choose(self.layout, platform, self._contents)


def _contents(holder: Holder, wanted: set[str]) -> Iterator[tuple[str, Contents]]:
    """Yield what the bytes of members are."""
    from runworthy.simulate.layout.contents import contents_of

    files: list[tuple[str, ElfFacts | None, FileFacts | None]] = [
        *((path, elf.facts, None) for path, elf in _elf_files(holder)),
        *((path, None, facts) for path, facts in _other_files(holder)),
    ]
    for path, elf, other in files:
        contents = contents_of(elf, other) if path in wanted else None
        if contents is not None:
            yield path, contents


# -- members --------------------------------------------------------------------------------


def _elf_files(holder: Holder) -> Iterator[tuple[str, ElfFile]]:
    """Yield the ELF files of an archive by member, those left out that cannot be read: they are told by themselves."""
    for path in holder.programs:
        try:
            yield path, holder.view.elf(holder.view.places[path])
        except (OSError, FormatError):
            continue


def _other_files(holder: Holder) -> Iterator[tuple[str, FileFacts]]:
    """Yield the programs and libraries of other systems by member."""
    from runworthy.formats.identify import identify

    for path in holder.others:
        content = holder.members[path].content
        try:
            if content is not None:
                yield path, identify(content)
        except (OSError, FormatError):
            continue


_KINDS: Mapping[ContainerKind, Callable[[Holder], _Promise]] = {
    "wheel": _Wheel,
    **dict.fromkeys(
        ("npm", "nupkg", "jar", "zip", "tar", "deb", "apk", "rpm", "appimage", "squashfs", "cpio"), _Layout
    ),
}
"""What an archive says of itself, by its kind."""
