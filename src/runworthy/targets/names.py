"""Targets by the names people write after ``--on`` (DESIGN section 4)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from runworthy.model.arch import Architecture, architecture
from runworthy.model.binfmt import Handlers
from runworthy.model.errors import TargetError, UsageError
from runworthy.model.machine import Machine, baseline, level_of_cpu, parse_kernel
from runworthy.model.records import dataclass, field, replace
from runworthy.targets.target import Target

__all__ = ["MachineWish", "TargetName", "expand", "parse_page_size"]

_IMAGES = ("docker://", "docker-daemon:", "oci:", "oci-archive:", "docker-archive:", "containers-storage:")
_DIRECTORIES = ("rootfs:", ".", "/", "~")
_HOST_BOOTS = "this is a container: they are those that its host registers when it boots"
_SNAPSHOT, _SNAPSHOT_SUFFIX = "snapshot:", ".runworthy"
_PAGE_SIZE = re.compile(r"([0-9]{1,6}) ?(k|kb|kib)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineWish:
    """What the user states about the machine; empty fields are left to the target."""

    platform: str = ""
    cpu: str = ""
    page_size: str = ""
    kernel: str = ""

    def architecture(self) -> Architecture | None:
        """Return the architecture that ``--platform`` names. Raises UsageError."""
        if not self.platform:
            return None
        # Docker writes the only variant of arm64 there is as linux/arm64/v8.
        arch = architecture(self.platform) or architecture(self.platform.removesuffix("/v8"))
        if arch is None:
            raise UsageError(
                f"--platform {self.platform} is not known",
                hint="write it as in linux/arm64 or aarch64",
                option="--platform",
            )
        return arch

    def apply(self, machine: Machine) -> Machine:
        """Return ``machine`` with what is stated here. Raises UsageError."""
        if self.cpu:
            level = level_of_cpu(self.cpu)
            if level is None or not machine.level:
                raise UsageError(
                    f"--cpu {self.cpu} is no CPU level of {machine.arch.name}",
                    hint="x86-64-v1, x86-64-v2, x86-64-v3 and x86-64-v4 are known",
                    option="--cpu",
                )
            machine = replace(machine, level=level, level_stated=True)
        if self.page_size:
            machine = replace(machine, page_size=parse_page_size(self.page_size), page_size_stated=True)
        if self.kernel:
            kernel = parse_kernel(self.kernel)
            if kernel is None:
                raise UsageError(
                    f"--kernel {self.kernel} is no kernel release", hint="write it as in 5.10", option="--kernel"
                )
            machine = replace(machine, kernel=kernel)
        return machine


def parse_page_size(text: str) -> int:
    """Return bytes from ``4096``, ``16k`` or ``64KiB``. Raises UsageError."""
    found = _PAGE_SIZE.fullmatch(text.strip().lower())
    size = int(found[1]) * (1024 if found[2] else 1) if found else 0
    if size not in (4096, 8192, 16384, 65536, 262144):
        raise UsageError(f"--page-size {text} is no page size", hint="4k, 16k and 64k are usual", option="--page-size")
    return size


def expand(names: Iterable[str], sets: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names of targets, each once, with what is in a set in the place of ``@NAME``.

    A set that is none of ``sets`` stays as it is. ``@NAME/arm64`` is what a set has for one architecture: its names
    that carry none get it, those that carry another are left out, and roots that are at hand have one of their own.
    Raises UsageError for a set that contains itself, and one that is written with no architecture after its ``/``.
    """
    return list(dict.fromkeys(name for text in names for name in _expanded(text, sets, ())))


def _expanded(text: str, sets: Mapping[str, Sequence[str]], within: tuple[str, ...]) -> Sequence[str]:
    name, slash, spelling = text[1:].partition("/")
    if not text.startswith("@") or name not in sets:
        return (text,)
    arch = architecture(spelling)
    if slash and arch is None:
        raise UsageError(f"{text}: {spelling} is no architecture", hint=f"@{name}/arm64 is a part of it", option="--on")
    if name in within:
        circle = ", which contains ".join(f"@{one}" for one in (*within[within.index(name) :], name))
        raise UsageError(f"a set of targets contains itself: {circle}", option="--on")
    # Each name once: sets of sets of sets would else grow without bound.
    held = list(dict.fromkeys(one for held in sets[name] for one in _expanded(held, sets, (*within, name))))
    return held if arch is None else [bound for one in held if (bound := _bound(one, arch))]


def _bound(text: str, arch: Architecture) -> str:
    """Return a target's name with an architecture, empty where it has another."""
    from runworthy.targets.catalogue.naming import carries_architecture

    if not TargetName(text).in_catalogue:
        return text
    if not carries_architecture(text):
        return f"{text}/{arch.name}"
    return text if architecture(text.rpartition("/")[2]) is arch else ""


@dataclass(slots=True)
class TargetName:
    """A target as written. Without an architecture of its own it takes the subject's, so it is opened for each.

    ``at_boot``: it is wanted as it will be after its next boot.
    """

    text: str
    wish: MachineWish = field(default_factory=MachineWish)
    present: Sequence[str] = ()
    at_boot: bool = False
    _opened: dict[str, Target] = field(default_factory=dict)

    @property
    def is_captured(self) -> bool:
        """Whether it is a root in a file or image, rather than one that is at hand or in the catalogue."""
        return self.text.startswith((*_IMAGES, _SNAPSHOT)) or self.text.endswith(_SNAPSHOT_SUFFIX)

    @property
    def in_catalogue(self) -> bool:
        """Whether the catalogue is asked for it, rather than a root that is at hand."""
        return not (self.is_captured or self.text == "host" or self.directory is not None)

    @property
    def directory(self) -> str | None:
        """The directory of this machine that is the root, None where it is none."""
        text = self.text
        if not self.is_captured and (text.startswith(_DIRECTORIES) or (os.sep in text and os.path.isdir(text))):
            return os.path.expanduser(text.removeprefix("rootfs:"))
        return None

    def open(self, arch: Architecture | None) -> Target:
        """Return the target for a subject of this architecture. Raises TargetError, UsageError."""
        key = arch.name if arch else ""
        held = self._opened.get(key)
        if held is None:
            target = self._open(arch)
            if self.at_boot:
                target = self._after_boot(target)
            held = self._opened[key] = replace(
                target,
                machine=self.wish.apply(target.machine),
                present=frozenset(name for name in self.present if name != "all"),
                assume_all="all" in self.present,
            )
        return held

    def _open(self, arch: Architecture | None) -> Target:
        text = self.text
        stated = self.wish.architecture()
        if text == "host":
            from runworthy.targets.host import host_target

            return host_target(stated)
        if text.startswith(_IMAGES):
            raise TargetError(f"{text}: images are not read yet", hint="unpack it to a directory and name that")
        if self.is_captured:
            from runworthy.targets.snapshot.target import snapshot_target

            path = os.path.expanduser(text.removeprefix(_SNAPSHOT))
            return snapshot_target(path, text, stated, arch)
        directory = self.directory
        if directory is not None:
            from runworthy.targets.host import directory_target

            return directory_target(directory, text, stated, arch)
        return self._from_catalogue(arch)

    def _after_boot(self, target: Target) -> Target:
        """Return the target with the handlers that its next boot registers. Raises UsageError."""
        if self.in_catalogue:
            raise UsageError(
                f"--at-boot: {self.text} is a name of the catalogue, and no machine that boots",
                hint="name host, a snapshot or the directory of a root",
                option="--at-boot",
            )
        from runworthy.targets.binfmt.boot import boot_of
        from runworthy.targets.host import in_container

        if in_container(target):
            return replace(target, handlers=Handlers(unknown=_HOST_BOOTS))
        plan = boot_of(target)
        notes = tuple(f"{note.path}: {note.text}" for note in plan.notes)
        return replace(
            target,
            handlers=replace(plan.handlers, stated=True),
            handlers_before=target.handlers if target.handlers.stated and not plan.handlers.unknown else None,
            notes=(*target.notes, *notes),
        )

    def _from_catalogue(self, arch: Architecture | None) -> Target:
        from runworthy.targets.catalogue import open_catalogue
        from runworthy.targets.catalogue.naming import carries_architecture
        from runworthy.targets.catalogue.processors import level_of

        stated = self.wish.architecture()
        carried = carries_architecture(self.text)
        try:
            catalogue = open_catalogue()
            wanted = stated or arch
            if wanted is None and not carried:
                # What has no architecture of its own, as a script, is taken to be for machines as this one is.
                import platform

                offered = catalogue.architectures(self.text)
                own = architecture(platform.machine())
                wanted = own if own in offered else offered[0]
            found = catalogue.find(self.text, wanted)
            if stated is not None and found.arch is not stated:
                raise UsageError(
                    f"{self.text} names {found.arch.name}, --platform names {stated.name}",
                    hint="state one of them",
                    option="--platform",
                )
        except TargetError:
            if os.path.isdir(self.text):
                hint = f"a directory is written as ./{self.text} or rootfs:{self.text}"
                raise TargetError(f"{self.text} is no target of the catalogue", hint=hint) from None
            raise
        arch_stated = stated is not None or found.arch is not arch or carried
        machine, level = baseline(found.arch), level_of(found.family, found.order, found.arch)
        return Target(
            name=f"{found.name}/{found.arch.name}" if arch_stated else found.name,
            view=found.view,
            machine=replace(machine, level=max(machine.level, level)),  # on a lesser one nothing of it would start
            level=level,
            completeness=found.completeness,
            libcs={found.libc.loader: found.libc} if found.libc.loader else {},
            system_directories=found.loader_directories,
            cache_from_configuration=found.cache_from_configuration,
            as_of=found.as_of,
            arch_stated=arch_stated,
            notes=found.notes,
        )
