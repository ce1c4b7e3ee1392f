"""Which runtime identifier (RID) of a package .NET takes on a platform.

Sources: dotnet/runtime ``src/native/corehost/hostpolicy/deps_format.cpp`` (s_host_rids: what a run time looks for, in
order, since .NET 8, compiled in for the platform it is built for), and the imports of
``Microsoft.NETCore.Platforms/src/PortableRuntimeIdentifierGraph.json``, which give NuGet the same order. Distributions'
own RIDs (``alpine.3.18-x64``) are in neither: .NET 8 takes them no more (docs.microsoft.com, breaking change
"Host determines RID-specific assets"). One RID is taken for each library, with all of its files.
"""

from __future__ import annotations

from runworthy.model.layout import Group, Platform
from runworthy.model.trace import Probe
from runworthy.simulate.layout.words import Pick

__all__ = ["by_rid", "rids"]

_ARCHITECTURES = {
    "x86_64": "x64", "i386": "x86", "aarch64": "arm64", "armv7": "arm", "armv6": "armv6", "armel": "armel",
    "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loongarch64", "mips64le": "mips64",
}  # fmt: skip
_SYSTEMS = {"windows": ("win",), "macos": ("osx", "unix")}


def rids(platform: Platform) -> tuple[str, ...]:
    """Return the RIDs that are taken on a platform, the first that has files counts."""
    arch = _ARCHITECTURES.get(platform.arch.name, platform.arch.name)
    musl = ("linux-musl",) if platform.libc == "musl" else ()
    systems = _SYSTEMS.get(platform.system, (*musl, "linux", "unix"))
    return (*(rid for system in systems for rid in (f"{system}-{arch}", system)), "any")


def by_rid(group: Group, platform: Platform) -> Pick:
    """Return the files of the first RID that has any."""
    wanted = rids(platform)
    have = {build.tag for build in group.builds}
    taken = next((rid for rid in wanted if rid in have), "")
    end = wanted.index(taken) + 1 if taken else len(wanted)
    looked = tuple(Probe(path=rid, origin="RID", outcome="taken" if rid == taken else "not found") for rid in wanted)
    return Pick(taken=tuple(build for build in group.builds if build.tag == taken), probes=looked[:end])
