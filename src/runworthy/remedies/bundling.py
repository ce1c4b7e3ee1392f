"""Remedies that bring the missing libraries along: beside the subject, found by ``$ORIGIN``.

They come out of what the person gave, or off this machine, where the subject runs. A C library is never brought, nor
what belongs to one, nor what has to match a kernel's driver.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

from runworthy.formats.content import Content, FileContent, hash_of
from runworthy.formats.elf import is_elf, read_elf
from runworthy.formats.package import Member, is_package, read_package
from runworthy.model.edit import BringFile, Edit
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import FormatError, RunworthyError
from runworthy.model.finding import Cost, Result
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Kind, Step
from runworthy.remedies.libraries import is_missing, is_own, is_writable_in_a_path, libc_under, stretch_of, suits
from runworthy.remedies.patchelf import patched
from runworthy.remedies.patching import led_to
from runworthy.remedies.situation import Means, Proposal, Situation
from runworthy.rules.known import libc_of_library
from runworthy.targets.directory import DirectoryView
from runworthy.targets.edits import edited
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.view import Resolved, UnseenError

__all__ = ["PLANNERS", "proposals"]

Planner = Callable[[Situation, Step], Iterator[Proposal]]

_ROUNDS, _LARGEST, _ALL_TOGETHER = 40, 512 << 20, 1 << 30
_ARCHIVES, _FILES, _CHUNK = 64, 50_000, 1 << 20
# What drivers bring in the release of their kernel module, and what chooses among them by files of the system.
_OF_DRIVERS = re.compile(
    r"lib(?:cuda|nvidia-[\w-]+|nvcuvid|nvoptix|nvml|GL|GLX(?:_\w+)?|GLdispatch|EGL(?:_\w+)?|GLESv[12]\w*|OpenGL"
    r"|glapi|gbm|drm(?:_\w+)?|vdpau|vulkan\w*|ze_loader|hsa-runtime\d*|amdhip\d*)\.so[.\d]*"
)
_OF_LIBC = re.compile(
    r"(?:lib(?:c|m|pthread|dl|rt|util|resolv|anl|mvec|BrokenLocale|thread_db|nss_\w+)\.so|ld[-.\d]).*"
)
_PRIVATE = "GLIBC_PRIVATE"


def proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what bringing libraries along comes to. Nothing is proposed where no files can be made."""
    for planner in PLANNERS.get(cause.need.kind, ()) if situation.means is not None else ():
        yield from planner(situation, cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """A library of this machine. ``origin`` says in words where it comes from."""

    path: str
    origin: str
    facts: ElfFacts
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bundle:
    """The directory beside the subject, and what can be brought into it."""

    situation: Situation
    means: Means
    directory: str
    libc: Libc
    like: ElfFacts
    stores: tuple[_Store, ...]

    def offer(self, name: str, version: str | None = None) -> _Offer | None:
        """Return a library for a name that may be brought, with a version where that is what lacks."""
        if "/" in name or _OF_LIBC.fullmatch(name) or libc_of_library(name) or _OF_DRIVERS.fullmatch(name):
            return None
        for store in self.stores:
            for path in store.named(name):
                found = _read(path, store.origin)
                if found is not None and self._takes(found.facts, name, version):
                    return found
        return None

    def _takes(self, facts: ElfFacts, name: str, version: str | None) -> bool:
        if not suits(facts, self.like, self.libc) or (facts.soname or name) != name:
            return False
        if any(one.version == _PRIVATE for one in facts.version_needs):  # a part of its own C library
            return False
        return version is None or any(one.name == version for one in facts.version_defs)


def _missing(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the missing library brought along, with all that it needs itself."""
    if is_missing(cause):
        yield from _brought(situation, cause, cause.need.name, None)


def _too_old(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield a newer release of a library than the root's, where that lacks a version: as of libstdc++."""
    name = cause.need.file
    if name and cause.answer is Answer.UNMET:
        yield from _brought(situation, cause, name, cause.need.version)


def _brought(situation: Situation, cause: Step, name: str, version: str | None) -> Iterator[Proposal]:
    bundle = _bundle(situation, cause)
    first = bundle.offer(name, version) if bundle is not None else None
    if bundle is None or first is None:
        return
    done = _with_needs(bundle, cause, name, first)
    if done is None:
        return
    offers, edits = done
    others = [one for one in offers if one != name]
    along = f" with what it needs ({', '.join(others)})" if others else ""
    title = f"bring {name}{along} along in {posixpath.basename(bundle.directory)}, {first.origin}"
    size = sum(one.size for one in offers.values())
    if isinstance(edits, str):
        yield Proposal(title=title, approach="supply", cost=Cost(size=size), unprovable=edits)
    else:
        yield Proposal(title=title, edits=edits, approach="supply", cost=Cost(size=size), stays=True)


def _with_needs(
    bundle: _Bundle, cause: Step, name: str, first: _Offer
) -> tuple[dict[str, _Offer], tuple[Edit, ...] | str] | None:
    """Return all that is brought for a library, and the edits; words in their place where they cannot be made.

    The judge says what the brought ones miss in their turn. None where that cannot be had.
    """
    situation = bundle.situation
    offers = {name: first}
    before = {step.need.name for step in situation.result.trace.needs if is_missing(step)}
    result = situation.result
    steps = [cause, *(step for step in result.trace.needs if step is not cause and _asks_for(step, name))]
    needers = {(step.need.by, _object(situation, step)) for step in steps}
    for _ in range(_ROUNDS):
        edits = _edits(bundle, offers, needers)
        if isinstance(edits, str):
            return offers, edits
        result = situation.judge(edited(situation.target, edits), situation.path)
        lacking = [step for step in result.trace.needs if is_missing(step) and _is_new(step, before, offers)]
        grown = False
        for step in lacking:
            wanted, by = step.need.name, (step.need.by, _object_in(result, step))
            if wanted in offers and by in needers:
                return None  # it is there, and the one who needs it was led there
            offer = offers.get(wanted) or bundle.offer(wanted)
            if offer is None:
                return None
            offers[wanted] = offer
            needers.add(by)
            grown = True
        if not grown:
            return (
                (offers, edits) if not any(is_missing(s) and s.need.name == name for s in result.trace.needs) else None
            )
    return None


def _is_new(step: Step, before: set[str], offers: Mapping[str, _Offer]) -> bool:
    return "/" not in step.need.name and (step.need.name in offers or step.need.name not in before)


def _asks_for(step: Step, name: str) -> bool:
    return (is_missing(step) and step.need.name == name) or (
        step.need.kind == "symbol-version" and step.need.file == name and step.answer is Answer.UNMET
    )


def _object(situation: Situation, step: Step) -> str:
    return _object_in(situation.result, step)


def _object_in(result: Result, step: Step) -> str:
    """Return the program in whose process a step is taken, empty where that is not told."""
    return next((one.object for one in result.trace.stretches if any(step is held for held in one.needs)), "")


def _edits(bundle: _Bundle, offers: Mapping[str, _Offer], needers: set[tuple[str, str]]) -> tuple[Edit, ...] | str:
    """Return what brings the libraries, and leads who needs them there. Raises FormatError, OSError."""
    situation = bundle.situation
    edits: list[Edit] = []
    for name, offer in offers.items():
        held = FileContent(offer.path, offer.size)
        at = f"{bundle.directory}/{name}"
        edits.append(BringFile(path=at, source=offer.path, sha256=hash_of(held), origin=f"{name}, {offer.origin},"))
        held.close()
    target = edited(situation.target, edits)
    done: set[str] = set()
    for by, program in sorted(needers):
        own = is_own(situation, by) or posixpath.dirname(by) == bundle.directory
        path = by if own else program
        if path in done or not (own or is_own(situation, program)):
            continue
        done.add(path)
        led = led_to(target.view, path, bundle.directory, situation, inherited=not own)
        if led is None:
            continue
        patch = patched(target.view, path, led[0], bundle.means.scratch)
        if isinstance(patch, str):
            return patch
        edits.append(patch)
    return tuple(edits)


def _bundle(situation: Situation, cause: Step) -> _Bundle | None:
    """Return where libraries may be brought to and from, None where that is nowhere."""
    means, stretch = situation.means, stretch_of(situation, cause)
    libc = libc_under(situation, stretch) if stretch is not None else None
    if means is None or stretch is None or libc is None:
        return None
    # A library that another program opens has them beside itself.
    anchor = next((one for one in (stretch.object, cause.need.by) if is_own(situation, one)), None)
    directory = _beside(anchor) if anchor is not None else ""
    if anchor is None or not is_writable_in_a_path(directory):
        return None
    try:
        like = situation.target.view.elf(anchor).facts
        stores = tuple(_stores(situation, means))
    except (RunworthyError, OSError):
        return None
    if not stores:
        return None
    return _Bundle(situation=situation, means=means, directory=directory, libc=libc, like=like, stores=stores)


def _beside(path: str) -> str:
    """Return the directory for the libraries of a file: in the ``lib`` beside a ``bin``, else beside the file."""
    directory, name = posixpath.split(path)
    if posixpath.basename(directory) in ("bin", "sbin"):
        return posixpath.join(posixpath.dirname(directory), "lib", f"{name}.libs")
    return posixpath.join(directory, f"{name}.libs")


# -- where libraries come from -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Store:
    """Libraries of this machine: file name -> paths."""

    origin: str
    files: Mapping[str, tuple[str, ...]]

    def named(self, name: str) -> Iterator[str]:
        """Yield the files that may have a name as their DT_SONAME: that of the very name first."""
        yield from self.files.get(name, ())
        stem = name.partition(".so")[0]
        alike = re.compile(rf"{re.escape(stem.rstrip('-.0123456789') or stem)}[-.\d]*\.so[.\d]*")
        for held in sorted(self.files):
            if held != name and alike.fullmatch(held):
                yield from self.files[held]


def _stores(situation: Situation, means: Means) -> Iterator[_Store]:
    """Yield what the person gave, then what the subject's own loader finds on this machine."""
    for spec in means.packages:
        try:
            yield from _given(spec, means.scratch)
        except (FormatError, OSError):
            continue
    here = _here(situation)
    if here:
        yield _Store("as it lies on this machine", here)


def _given(spec: str, scratch: str) -> Iterator[_Store]:
    """Yield the libraries of a package, a directory or a file. Raises FormatError, OSError."""
    place = os.path.realpath(spec)
    name = os.path.basename(spec.rstrip("/")) or spec
    if os.path.isdir(place):
        held, archives = _in_directory(place)
        if held:
            yield _Store(f"out of {name}", held)
        for archive in archives:
            yield _Store(f"out of {os.path.basename(archive)}", _in_archive(archive, scratch))
        return
    head = FileContent(place, os.stat(place).st_size).pread(0, 512)
    if head.startswith(b"\x7fELF"):
        yield _Store("as given", {os.path.basename(spec): (place,), os.path.basename(place): (place,)})
    elif is_package(head):
        yield _Store(f"out of {name}", _in_archive(place, scratch))


def _in_directory(place: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the libraries below a directory, links resolved inside it, and the packages that lie in it."""
    view = DirectoryView(place)
    found: dict[str, tuple[str, ...]] = {}
    archives: list[str] = []
    seen = 0
    for above, directories, names in os.walk(place):
        directories.sort()
        inside = "/" + os.path.relpath(above, place).removeprefix(".").lstrip("/")
        for name in sorted(names):
            seen += 1
            if seen > _FILES:
                return found, archives
            if ".so" in name:
                resolved = view.find(posixpath.join(inside, name))
                if isinstance(resolved, Resolved) and resolved.entry.kind == "file":
                    found[name] = (*found.get(name, ()), view.host_path(resolved.path))
            elif above == place and name.endswith((".deb", ".rpm", ".apk", ".tar", ".tgz", ".tar.gz", ".tar.xz")):
                archives.append(os.path.join(above, name))
    return found, archives if len(archives) <= _ARCHIVES else []


def _in_archive(place: str, scratch: str) -> dict[str, tuple[str, ...]]:
    """Return the libraries of a package, laid out once in the scratch directory. Raises FormatError, OSError."""
    status = os.stat(place)
    key = sha256(repr((place, status.st_size, status.st_mtime_ns)).encode()).hexdigest()[:24]
    folder = os.path.join(scratch, f"libraries-{key}")
    if not os.path.isdir(folder):
        making = f"{folder}.part"
        os.makedirs(making, exist_ok=True)
        _unpack(FileContent(place, status.st_size), making)
        os.rename(making, folder)
    found: dict[str, tuple[str, ...]] = {}
    for number in sorted(os.listdir(folder)):
        for name in sorted(os.listdir(os.path.join(folder, number))):
            found[name] = (*found.get(name, ()), os.path.join(folder, number, name))
    return found


def _unpack(content: Content, folder: str) -> None:
    """Write the libraries of a package into a folder, each in one of its own. Raises FormatError, OSError."""
    total = 0
    for number, member in enumerate(read_package(content)):
        name = member.path.rpartition("/")[2]
        if member.kind != "file" or member.content is None or ".so" not in name or not is_elf(member.content):
            continue
        total += member.content.size
        if total > _ALL_TOGETHER:
            raise FormatError(f"its libraries are more than {_ALL_TOGETHER} bytes")
        _lay(member, os.path.join(folder, f"{number:06d}"), name)


def _lay(member: Member, folder: str, name: str) -> None:
    os.makedirs(folder, exist_ok=True)
    content = member.content
    if content is not None:
        with open(os.path.join(folder, name), "wb") as file:
            file.writelines(content.pread(offset, _CHUNK) for offset in range(0, content.size, _CHUNK))


def _here(situation: Situation) -> dict[str, tuple[str, ...]]:
    """Return what the subject's own loader finds for it on this machine, where it comes from here: name -> paths."""
    if situation.inside or sys.platform != "linux":
        return {}
    from runworthy.targets.host import directory_target, host_target
    from runworthy.targets.placement import locate

    try:
        source = locate(situation.path.removeprefix(SUBJECT_ROOT), DirectoryView("/"))
        own = source.root == "/"
        target = host_target() if own else directory_target(source.root, source.root, None, None)
        if target.arch.name != situation.target.arch.name:
            return {}
        result = situation.judge(target, source.real if own else source.real[len(source.root) :])
        found: dict[str, tuple[str, ...]] = {}
        for stretch in result.trace.stretches:
            for name, path in stretch.loaded:
                found[posixpath.basename(name)] = (f"{source.root.rstrip('/')}{path}",)
    except (RunworthyError, OSError, UnseenError):
        return {}
    return found


def _read(path: str, origin: str) -> _Offer | None:
    """Return a library of this machine, None where it is none, or too large."""
    try:
        size = os.stat(path).st_size
        held = FileContent(path, size)
        facts = read_elf(held, path).facts
        held.close()
    except (FormatError, OSError):
        return None
    return _Offer(path=path, origin=origin, facts=facts, size=size) if size <= _LARGEST else None


PLANNERS: Mapping[Kind, tuple[Planner, ...]] = {
    "library": (_missing,),
    "symbol-version": (_too_old,),
}
