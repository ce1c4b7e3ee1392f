"""Where npm installs a package: the lists ``os``, ``cpu`` and ``libc`` of its ``package.json``.

Sources: npm-install-checks ``lib/index.js`` (checkPlatform, checkList) and ``lib/current-env.js``: the C library is
looked for on Linux alone, by what ``/usr/bin/ldd`` says of itself, and where there is none by what Node.js was linked
with. @npmcli/arborist ``build-ideal-tree.js``: an optional dependency that does not fit is left out with what it
brings; any other ends the installation with EBADPLATFORM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.formats.layout.claims import claim_of
from runworthy.model.layout import Layout, NpmPackage, Platform
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Probe, Step
from runworthy.simulate.layout.words import layout_need, layout_step

__all__ = ["NODE_ARCHITECTURES", "NODE_SYSTEMS", "accepts", "installed", "made_when_installed", "node_names"]

_FETCHES = ("prebuild-install", "node-pre-gyp")
_BUILDS = ("node-gyp", "cmake-js", "prebuild", "napi")

NODE_SYSTEMS = {"linux": "linux", "windows": "win32", "macos": "darwin"}
"""``process.platform``."""

NODE_ARCHITECTURES = {
    "x86_64": "x64", "i386": "ia32", "aarch64": "arm64", "armv7": "arm", "armv6": "arm", "armel": "arm",
    "ppc64le": "ppc64", "ppc64": "ppc64", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loong64",
    "mips64le": "mips64el", "mipsle": "mipsel", "x32": "x32",
}  # fmt: skip
"""``process.arch`` (node ``configure.py``: valid_arch). Both byte orders of 64-bit PowerPC are ``ppc64``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeNames:
    """A platform as Node.js and npm call it; ``libc`` is empty where npm finds none."""

    os: str
    cpu: str
    libc: str


def node_names(platform: Platform) -> NodeNames:
    """Return the names of a platform; the architecture's own where Node.js has none for it."""
    return NodeNames(
        os=NODE_SYSTEMS[platform.system],
        cpu=NODE_ARCHITECTURES.get(platform.arch.name, platform.arch.name),
        libc=platform.libc if platform.system == "linux" else "",
    )


def accepts(package: NpmPackage, platform: Platform) -> bool:
    """Whether npm installs the package on the platform."""
    return all(fit for _, _, _, fit in _checks(package, node_names(platform)))


def installed(layout: Layout, platform: Platform) -> Step | None:
    """Return whether npm installs the package on the platform, None where the package names none."""
    package = layout.npm
    if package is None or (package.os is None and package.cpu is None and package.libc is None):
        return None
    checks = list(_checks(package, node_names(platform)))
    probes = [
        Probe(
            path=f"{field}: {', '.join(wanted)}",
            origin=f"{platform.target} is {value}" if value else f"npm finds no C library on {platform.target}",
            outcome="fits" if fit else "does not fit",
        )
        for field, wanted, value, fit in checks
    ]
    refused = [field for field, _, _, fit in checks if not fit]
    need = layout_need(layout, "platform", layout.name)
    answer = Answer.UNMET if refused else Answer.MET
    return layout_step(need, answer, searched=probes, detail="EBADPLATFORM" if refused else "")


def _checks(package: NpmPackage, names: NodeNames) -> Iterator[tuple[str, Sequence[str], str, bool]]:
    """Yield what is checked: the field, its list, the platform's value, and whether it fits."""
    if package.os is not None:
        yield "os", package.os, names.os, _listed(names.os, package.os)
    if package.cpu is not None:
        yield "cpu", package.cpu, names.cpu, _listed(names.cpu, package.cpu)
    if package.libc is not None:
        yield "libc", package.libc, names.libc, bool(names.libc) and _listed(names.libc, package.libc)


def _listed(value: str, wanted: Sequence[str]) -> bool:
    """Whether a list has a value: none of those with ``!`` is it, and one of the others is, where there are any."""
    if list(wanted) == ["any"]:
        return True
    refused = [word[1:] for word in wanted if word.startswith("!")]
    return value not in refused and (value in wanted or len(refused) == len(wanted))


def made_when_installed(layout: Layout, name: str = "") -> list[Step]:
    """Return that a native part comes into being when the package is installed, nothing where it has none such.

    npm runs ``node-gyp rebuild`` for a package with a ``binding.gyp`` and no ``install`` of its own (npm's
    documentation, "scripts"); node-gyp-build as ``install`` does so where it finds no prebuild.
    """
    package = layout.npm
    if package is None or any(claim_of(other).system for other in package.optional):
        return []  # it comes with one of the packages that it depends on
    root = layout.manifest.removesuffix("package.json")
    has_source = f"{root}binding.gyp" in layout.paths
    fetches = any(word in package.install for word in _FETCHES)
    builds = any(word in package.install for word in _BUILDS)
    if not (fetches or builds or (has_source and not package.install)):
        return []
    detail = "it is built from its source when it is installed, which takes a compiler, make and Python there"
    if fetches or not has_source:
        detail = f"it is fetched or built by `{package.install}` when it is installed"
    need = layout_need(layout, "build", name or "the native part")
    return [layout_step(need, Answer.UNKNOWN, why="not-modelled", detail=detail)]
