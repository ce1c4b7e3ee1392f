"""The machine we are on as a target, and directories of it as roots."""

from __future__ import annotations

import os
import platform

from runworthy.model.arch import ARCHITECTURES, Architecture, architecture
from runworthy.model.binfmt import Handlers
from runworthy.model.errors import FormatError, TargetError
from runworthy.model.host import MachineFacts
from runworthy.model.machine import Machine, baseline
from runworthy.model.records import replace
from runworthy.targets.binfmt.live import handlers_of, read_binfmt_misc
from runworthy.targets.credentials import own_credentials
from runworthy.targets.directory import DirectoryView
from runworthy.targets.machine_facts import known_machine
from runworthy.targets.mounts import read_mounts
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = [
    "architecture_of_root",
    "directory_target",
    "host_target",
    "in_container",
    "is_booted",
    "root_target",
    "running_facts",
    "this_machine",
]

_SYSTEM_NAMES = ("/etc/os-release", "/usr/lib/os-release")
_BOOTED_BY = ("/sbin/init", "/etc/init", "/bin/init", "/etc/wsl.conf")
_CONTAINERS = ("/.dockerenv", "/run/.containerenv")
_PROGRAMS = ("/bin/sh", "/usr/bin/env", "/bin/busybox", "/usr/bin/bash", "/sbin/init", "/usr/bin/true")


def this_machine() -> Machine:
    """Return this machine's architecture, CPU level, page size and kernel. Raises TargetError on an unknown one."""
    machine = known_machine().machine()
    if machine is None:
        raise TargetError(f"this machine's architecture {platform.machine()} is not known")
    return machine


def host_target(stated: Architecture | None = None) -> Target:
    """Return this machine as a target. Raises TargetError where it is no Linux, or not of the ``stated`` kind."""
    if platform.system() != "Linux":
        raise TargetError("the target `host` needs Linux", hint="name a catalogue target, as in --on debian:12")
    machine = this_machine()
    if stated and stated.name != machine.arch.name:
        raise TargetError(
            f"the target `host` is {machine.arch.name}, not {stated.name}", hint="--platform is for other targets"
        )
    facts = running_facts()
    return Target(
        name="host",
        view=DirectoryView("/"),
        machine=machine,
        live=True,
        machine_facts=facts,
        handlers=handlers_of(facts.binfmt),
        credentials=own_credentials(),
        arch_stated=True,
    )


def running_facts() -> MachineFacts:
    """Return what a check needs to know of this machine: that does not stay as it is while the machine runs."""
    return replace(known_machine(), binfmt=read_binfmt_misc(), mounts=read_mounts("/proc/self/mountinfo"))


def directory_target(directory: str, name: str, stated: Architecture | None, wanted: Architecture | None) -> Target:
    """Return the root in ``directory``: of the ``stated`` architecture, else its own, else the ``wanted`` one.

    Raises TargetError when it is none.
    """
    if not os.path.isdir(directory):
        raise TargetError(f"{directory} is not a directory", hint="name the directory that holds a root's lib and usr")
    return root_target(DirectoryView(directory), directory, name, stated, wanted)


def root_target(
    view: FileView, where: str, name: str, stated: Architecture | None, wanted: Architecture | None
) -> Target:
    """Return a root of which only the files are known, as :func:`directory_target`. Raises TargetError.

    ``where`` is what errors call it.
    """
    own = architecture_of_root(view)
    if own is None and not any(_is_there(view, path) for path in _SYSTEM_NAMES):
        raise TargetError(
            f"{where} has neither a dynamic loader nor an os-release file, so it is no root",
            hint="name the directory that holds lib and usr; a file of a root is a subject, not a target",
        )
    arch = stated or own or wanted or architecture(platform.machine())
    if arch is None:
        raise TargetError(f"the architecture of {where} cannot be told", hint="state it with --platform")
    arch_stated = stated is not None or own is not None
    return Target(name=name, view=view, machine=baseline(arch), handlers=_at_boot(view, name), arch_stated=arch_stated)


def _at_boot(view: FileView, name: str) -> Handlers:
    """Return the handlers that a root registers when it boots: none where nothing would boot it."""
    if is_booted(view):
        from runworthy.targets.binfmt.boot import boot_handlers

        return boot_handlers(view, name=name).handlers
    return Handlers(basis=f"what {name} registers when it boots")


def is_booted(view: FileView) -> bool:
    """Whether a root has something to boot it, rather than being a container's."""
    return any(_is_there(view, path) for path in _BOOTED_BY)


def in_container(target: Target) -> bool:
    """Whether a machine, as seen here or as captured, is a container: another system boots, and has the handlers.

    The files of a root alone do not tell: one that was taken out of a container may be booted by itself.
    """
    captured = target.machine_facts is not None
    return (target.live or captured) and any(_is_there(target.view, path) for path in _CONTAINERS)


def architecture_of_root(view: FileView) -> Architecture | None:
    """Return the architecture of the root's own programs, else of the loaders it holds."""
    for path in _PROGRAMS:
        try:
            arch = view.elf(view.resolve(path).path).facts.architecture
        except (OSError, FormatError, UnseenError):
            continue
        if arch is not None:
            return arch
    for arch in ARCHITECTURES:
        if _is_there(view, arch.glibc_loader) or _is_there(view, arch.musl_loader):
            return arch
    return None


def _is_there(view: FileView, path: str) -> bool:
    try:
        return view.exists(path)
    except UnseenError:
        return False
