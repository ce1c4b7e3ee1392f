"""Which native addon Node.js loads out of a package that has several.

Sources: node-gyp-build ``node-gyp-build.js`` (resolve, matchTuple, compareTuples, matchTags, compareTags; its C library
is musl where ``/etc/alpine-release`` exists); the ``index.js`` that napi-rs generates (requireNative).
"""

from __future__ import annotations

from functools import cmp_to_key

from runworthy.model.layout import Build, Group, Platform
from runworthy.model.records import dataclass
from runworthy.model.trace import Probe
from runworthy.simulate.layout.npm import node_names
from runworthy.simulate.layout.words import Pick

__all__ = ["napi_rs", "prebuilds"]

_ARM_VERSIONS = {"aarch64": "8", "armv7": "7", "armv6": "6", "armel": "5"}
"""What Node.js says it was built for (process.config.variables.arm_version); arm64 is 8 to node-gyp-build."""

_UV = "1"  # libuv of every Node.js since 0.12
_RUNTIMES = ("node", "electron", "node-webkit")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tags:
    """The words of a prebuild's file name, as node-gyp-build reads them."""

    build: Build
    runtime: str = ""
    napi: bool = False
    abi: str = ""
    uv: str = ""
    armv: str = ""
    libc: str = ""
    specificity: int = 0


def prebuilds(group: Group, platform: Platform) -> Pick:
    """Return what node-gyp-build loads: the most specific file of the first folder for the platform."""
    names = node_names(platform)
    folders = sorted({build.tag.partition("/")[0] for build in group.builds})
    fitting = [(folder, archs) for folder in folders if (archs := _architectures(folder, names.os, names.cpu))]
    if not fitting:
        seen = [Probe(path=f"{group.name}/{folder}", origin="another platform") for folder in folders]
        return Pick(probes=(Probe(path=f"{group.name}/{names.os}-{names.cpu}", origin="platform"), *seen))
    folder = min(fitting, key=lambda one: len(one[1]))[0]
    held = sorted((build for build in group.builds if build.tag.startswith(f"{folder}/")), key=lambda one: one.tag)
    tags = [(_tags(build), build) for build in held]
    reasons = {build.path: _refusal(tag, platform) for tag, build in tags}
    left = sorted((tag for tag, build in tags if not reasons[build.path]), key=cmp_to_key(_compared))
    abis = [tag for tag in left if tag.abi and not tag.napi]
    taken = left[:1] if not abis else [tag for tag in left if tag.runtime == left[0].runtime]
    first = left[0].build.path if left else ""
    probes = [
        Probe(
            path=build.path,
            origin=f"{names.os}-{names.cpu}",
            outcome="taken" if build.path == first else reasons[build.path] or "less specific",
        )
        for _, build in tags
    ]
    return Pick(
        taken=tuple(tag.build for tag in taken),
        probes=tuple(probes),
        unknown="which release of Node.js loads it decides (abi)" if abis else "",
    )


def _architectures(folder: str, system: str, cpu: str) -> list[str]:
    """Return the architectures that a folder is for, none where it is not for the platform: ``darwin-x64+arm64``."""
    parts = folder.split("-")
    if len(parts) != 2 or parts[0] != system:
        return []
    found = parts[1].split("+")
    return found if all(found) and cpu in found else []


def _tags(build: Build) -> _Tags:
    held: dict[str, str] = {}
    specificity = 0
    for word in build.path.rpartition("/")[2].split(".")[:-1]:
        found = _word(word)
        if found:
            held[found[0]] = found[1]
            specificity += 1
    return _Tags(
        build=build,
        runtime=held.get("runtime", ""),
        napi="napi" in held,
        abi=held.get("abi", ""),
        uv=held.get("uv", ""),
        armv=held.get("armv", ""),
        libc=held.get("libc", ""),
        specificity=specificity,
    )


def _word(word: str) -> tuple[str, str] | None:
    if word in _RUNTIMES:
        return "runtime", word
    if word in ("glibc", "musl"):
        return "libc", word
    if word == "napi":
        return "napi", word
    for prefix in ("abi", "uv", "armv"):
        if word.startswith(prefix):
            return prefix, word[len(prefix) :]
    return None


def _refusal(tags: _Tags, platform: Platform) -> str:
    """Return why a file is passed over, empty where it may be taken. The ABI of the target's Node.js is not known."""
    libc = "musl" if platform.system == "linux" and platform.libc == "musl" else "glibc"
    armv = _ARM_VERSIONS.get(platform.arch.name, "")
    if tags.runtime not in ("", "node"):
        return f"for {tags.runtime}"
    if tags.uv and tags.uv != _UV:
        return f"for libuv {tags.uv}"
    if tags.armv and tags.armv != armv:
        return f"for armv{tags.armv}"
    return f"for {tags.libc}" if tags.libc and tags.libc != libc else ""


def _compared(one: _Tags, other: _Tags) -> int:
    """Return which comes first: that for this run time, then one for an ABI, then the more specific."""
    if one.runtime != other.runtime:
        return -1 if one.runtime == "node" else 1
    if one.abi != other.abi:
        return -1 if one.abi else 1
    return other.specificity - one.specificity


_NAPI_ABIS = {
    ("linux", "glibc", False): ("gnu",),
    ("linux", "musl", False): ("musl",),
    ("linux", "glibc", True): ("gnueabihf", "gnueabi"),
    ("linux", "musl", True): ("musleabihf", "musleabi"),
    ("windows", "", False): ("msvc", "gnu"),
}
"""By system, C library, and whether it is 32-bit Arm: the ends of a build's name."""


def napi_rs(group: Group, platform: Platform) -> Pick:
    """Return what a loader of napi-rs requires. It never takes a build for another C library."""
    names = node_names(platform)
    libc = (platform.libc or "glibc") if platform.system == "linux" else ""
    ends = _NAPI_ABIS.get((platform.system, libc, names.cpu == "arm"), ())
    wanted = [f"{names.os}-{names.cpu}-{end}" for end in ends] or [f"{names.os}-{names.cpu}"]
    if platform.system == "macos":
        wanted.insert(0, "darwin-universal")
    held = {build.tag: build for build in group.builds}
    taken = next((tag for tag in wanted if tag in held), "")
    probes = [
        Probe(path=group.name.replace("*", tag), origin="platform", outcome="taken" if tag == taken else "not found")
        for tag in wanted
    ]
    return Pick(taken=(held[taken],) if taken else (), probes=tuple(probes))
