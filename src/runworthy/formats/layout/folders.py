"""Builds that lie under names which say what they are for, where no rule is known that chooses among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runworthy.formats.layout.claims import claim_of, without_claims
from runworthy.model.layout import Build, Claim, Group

__all__ = ["folder_groups", "is_native"]

_NATIVE = re.compile(r"\.(?:so(?:\.\d+)*|node|dylib|jnilib|dll|exe)$", re.IGNORECASE)
_EXTENSION = re.compile(r"(?:\.(?:so(?:\.\d+)*|node|dylib|jnilib|dll|exe))?$", re.IGNORECASE)
_PLAIN = re.compile(r"[\w+-]+")
_LIB = len("lib")
_BUILDS_MAX = 4096
"""More than any package has; what comes after them belongs to no group."""


def is_native(path: str) -> bool:
    """Whether a file is named as programs and libraries of machines are. Assemblies of .NET are named so too."""
    return _NATIVE.search(path) is not None


def folder_groups(paths: Iterable[str], below: int = 0) -> Iterator[Group]:
    """Yield the builds that differ by nothing but what they are for; the first ``below`` directories say nothing.

    A file without an extension counts where a directory says what it is for (``bin/linux/x64/tool``).
    """
    groups: dict[str, list[Build]] = {}
    left = _BUILDS_MAX
    for path in paths:
        told = "/".join(path.split("/")[below:])
        directory, _, name = told.rpartition("/")
        native = is_native(name)
        if not left or not (native or _PLAIN.fullmatch(name)):
            continue
        claim = _claim(directory, name if native else "")
        if claim.system and claim.arch:
            left -= 1
            tag = "/".join(part for part in told.split("/") if claim_of(part) != Claim())
            groups.setdefault(_thing(directory, name), []).append(Build(path=path, tag=tag, claim=claim))
    for name, builds in groups.items():
        yield Group(ruling="folder", name=name, builds=tuple(builds))


def _claim(directory: str, name: str) -> Claim:
    """Return what a path says: the name where it says it, else the nearest directory that does."""
    far, near = claim_of(directory), claim_of(name)
    return Claim(system=near.system or far.system, arch=near.arch or far.arch, libc=near.libc or far.libc)


def _thing(directory: str, name: str) -> str:
    """Return a name that all builds of one thing share: ``lib/*/foo`` of ``lib/linux-x64/libfoo.so``."""
    stem = _EXTENSION.sub("", name)
    stem = stem[_LIB:] if stem.startswith("lib") and len(stem) > _LIB else stem
    parts = [without_claims(part) for part in directory.split("/") if part]
    return re.sub(r"\*(?:/\*)+", "*", "/".join([*parts, without_claims(stem)]))
