"""Which package brings what, by heart: a dated table of the libraries and programs that are missed most.

``known.txt``, which scripts/build_known_packages.py makes, has a section for each family of distributions: a head
``@ FAMILY AS-OF SOURCE``, then lines of a name and packages, ``FROM-TO:PACKAGE`` where they differ between releases.
It needs no index and no network. What a package is known to bring is told as edits, so that it can be judged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from runworthy.model.arch import Architecture
from runworthy.model.edit import BringLibrary
from runworthy.model.package import Manager
from runworthy.model.records import dataclass
from runworthy.targets.catalogue.layout import musl_soname
from runworthy.targets.os_release import family_of, os_release
from runworthy.targets.packages.choice import Choice, Wanted
from runworthy.targets.packages.recorded import known_library
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["by_capability", "known_choices"]

_TABLE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known.txt")
_NEWEST: Final = (9999,)
_UNSEEN: Final = "what the package brings is not known here"
_FOREIGN: Final = "what a package for another architecture brings is not known here"

Release = tuple[int, ...]

# Family of the table -> manager, the programs of which a root has to have one, the catalogue's name of its systems.
_FAMILIES: Final[Mapping[str, tuple[Manager, tuple[str, ...], str]]] = {
    "alpine": ("apk", ("/sbin/apk", "/usr/sbin/apk", "/usr/bin/apk"), "alpine"),
    "debian": ("apt", ("/usr/bin/apt-get",), "debian"),
    "ubuntu": ("apt", ("/usr/bin/apt-get",), "ubuntu"),
    "rhel": ("dnf", ("/usr/bin/dnf", "/usr/bin/microdnf"), "rhel"),
    "fedora": ("dnf", ("/usr/bin/dnf", "/usr/bin/microdnf"), "fedora"),
    "suse": ("zypper", ("/usr/bin/zypper",), "opensuse/leap"),
    "arch": ("pacman", ("/usr/bin/pacman",), "archlinux"),
}
# What os-release(5) says in ID and ID_LIKE, and the catalogue before its colon -> family of the table.
_WORDS: Final = {
    **{family: family for family in _FAMILIES},
    "almalinux": "rhel",
    "rocky": "rhel",
    "rockylinux": "rhel",
    "centos": "rhel",
    "ol": "rhel",
    "oraclelinux": "rhel",
    "opensuse": "suse",
    "opensuse/leap": "suse",
    "opensuse/tumbleweed": "suse",
    "archlinux": "arch",
}
# They are like Fedora, and their packages are others.
_OTHERS: Final = frozenset(("amzn", "mageia", "openmandriva", "photon", "azurelinux", "mariner", "wolfi", "chainguard"))
_UBUNTU: Final = {"bionic": (18, 4), "focal": (20, 4), "jammy": (22, 4), "noble": (24, 4)}
# Alpine's newest release whose GCC is known; what is later has at least what is promised to stay.
_ALPINE_NEWEST: Final = (3, 22)
_DEBIAN_ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7": "armhf",
    "ppc64le": "ppc64el",
    "loongarch64": "loong64",
}
_C_LIBRARIES: Final[Mapping[Manager, str]] = {"apt": "libc6", "dnf": "glibc", "zypper": "glibc", "pacman": "glibc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """Whose packages a root has. ``exact``: it is that distribution itself, and not one that descends from it."""

    family: str
    release: Release
    exact: bool

    @property
    def manager(self) -> Manager:
        return _FAMILIES[self.family][0]

    @property
    def name(self) -> str:
        """Its name in the catalogue, and in what is recorded of libraries."""
        if self.family == "alpine" and self.release > _ALPINE_NEWEST:
            return "alpine:later"
        written = "sid" if self.release == _NEWEST else ".".join(map(str, self.release))
        if self.family == "ubuntu":
            written = f"{self.release[0]}.{self.release[-1]:02}"
        return f"{_FAMILIES[self.family][2]}:{written}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A package, and the releases in which it brings the name."""

    first: Release
    last: Release
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    as_of: str
    source: str
    rows: Mapping[str, tuple[_Row, ...]]


def known_choices(target: Target, wanted: Wanted) -> tuple[Choice, ...]:
    """Return the packages that are known to bring what is wanted, with what is known of what they bring.

    There is none where the target's distribution, or the name, is not in the table.
    """
    system = _system_of(target)
    if system is None or not _has_manager(target, system):
        return ()
    package = _package(target, system, wanted)
    if not package:
        return ()
    section = _sections()[system.family]
    note = f"by the built-in table ({system.family}, as of {section.as_of})"
    if wanted.arch is not target.arch:
        name = _foreign(system, package, wanted.arch, target.arch)
        return (Choice(manager=system.manager, names=(name,), why=_FOREIGN, notes=(note,)),) if name else ()
    brought = _Brought(target, system)
    if wanted.kind != "library" or not brought.add(wanted.name):
        return (Choice(manager=system.manager, names=(package,), why=_UNSEEN, notes=(note,)),)
    others = tuple(name for name in dict.fromkeys(brought.packages) if name != package)
    return (
        Choice(
            manager=system.manager,
            names=(package,),
            with_them=others,
            effects=tuple(brought.edits),
            known=True,
            notes=(note,),
        ),
    )


def by_capability(target: Target, wanted: Wanted) -> tuple[Choice, ...]:
    """Return what managers are asked for that resolve the names of libraries by themselves, packages being unknown.

    They are apk (``so:``, ``cmd:``: apk-world(5), abuild) and dnf and zypper (rpm's automatic provides).
    """
    system = _system_of(target)
    if system is None or not _has_manager(target, system):
        return ()
    name = wanted.name
    if system.manager == "apk" and wanted.arch is target.arch:
        asked = {"library": f"so:{name}", "command": f"cmd:{name}"}.get(wanted.kind, "")
    elif system.manager in ("dnf", "zypper"):
        wide = "()(64bit)" if wanted.arch.elf_class == 64 else ""
        asked = {"library": f"{name}{wide}", "path": name}.get(wanted.kind, f"/usr/bin/{name}")
    else:
        asked = ""
    why = "whether any package brings it is not known here"
    return (Choice(manager=system.manager, names=(asked,), why=why),) if asked else ()


class _Brought:
    """What a library's package brings, with those of the libraries that it needs."""

    def __init__(self, target: Target, system: _System) -> None:
        self._target, self._system = target, system
        self._libc = (musl_soname(target.arch), target.arch.musl_loader.rpartition("/")[2])
        self.edits: list[BringLibrary] = []
        self.packages: list[str] = []

    def add(self, library: str) -> bool:
        """Add a library and what it needs; whether all of it is known."""
        arch = self._target.arch
        known = known_library(library, arch, self._system.name) if self._system.exact else None
        package = _of(self._system, library)
        if known is None or not package:
            return False
        path = known.path or f"{self._directory()}/{library}"
        self.packages.append(package)
        self.edits.append(BringLibrary(path=path, library=library, arch=arch.name, system=self._system.name))
        held = {edit.library for edit in self.edits}
        return all(name in held or self._there(name) or self.add(name) for name in known.needed)

    def _there(self, name: str) -> bool:
        if name in self._libc:
            return True
        directories = (*self._target.system_directories, "/lib", "/usr/lib", self._directory())
        loader = self._target.arch.glibc_loader
        return any(_exists(self._target.view, f"{one}/{name}") for one in directories) or loader.endswith(f"/{name}")

    def _directory(self) -> str:
        """Return where the family's packages put libraries."""
        arch = self._target.arch
        if self._system.manager == "apt":
            return f"/usr/lib/{arch.multiarch}"
        return "/usr/lib" if self._system.manager in ("apk", "pacman") else f"/usr/{arch.lib}"


# -- the table -------------------------------------------------------------------------------------


def _package(target: Target, system: _System, wanted: Wanted) -> str:
    """Return the package that brings what is wanted, nothing where the table does not say."""
    if wanted.kind == "library":
        return _of(system, wanted.name)
    if wanted.kind == "command":
        return next(filter(None, (_of(system, f"{directory}/{wanted.name}") for directory in ("/usr/bin", "/bin"))), "")
    if wanted.arch is not target.arch and wanted.name == wanted.arch.glibc_loader:
        return _C_LIBRARIES.get(system.manager, "")
    return next(filter(None, (_of(system, path) for path in _spellings(target.view, wanted.name))), "")


def _of(system: _System, name: str) -> str:
    rows = _sections()[system.family].rows.get(name, ())
    return next((row.package for row in rows if row.first <= system.release <= row.last), "")


def _spellings(view: FileView, path: str) -> Iterator[str]:
    """Yield a program's path, and the other one that it has where /bin and /usr/bin are one directory."""
    yield path
    directory, _, name = path.rpartition("/")
    try:
        merged = view.real_directory("/bin") == "/usr/bin"
    except (OSError, UnseenError):
        merged = False
    if directory in ("/bin", "/usr/bin") and merged:
        yield f"/usr/bin/{name}" if directory == "/bin" else f"/bin/{name}"


@cache
def _sections() -> Mapping[str, _Section]:
    sections: dict[str, _Section] = {}
    with open(_TABLE, encoding="utf-8") as lines:
        rows: dict[str, tuple[_Row, ...]] = {}
        for line in lines:
            if line.startswith("@ "):
                _, family, as_of, source = line.rstrip("\n").split(" ", 3)
                rows = {}
                sections[family] = _Section(as_of=as_of, source=source, rows=rows)
            elif line[0] != "#":
                name, *specs = line.rstrip("\n").split("\t")
                rows[name] = tuple(map(_row, specs))
    return sections


def _row(spec: str) -> _Row:
    span, colon, package = spec.rpartition(":")
    first, _, last = span.partition("-")
    return _Row(
        first=_release(first) if colon else (),
        last=_release(last) if last else (*_NEWEST, 0),
        package=package,
    )


def _release(text: str) -> Release:
    """Return a release as numbers; the one that is never released comes last."""
    numbers = tuple(int(part) for part in re.findall(r"[0-9]+", text)[:2])
    return numbers or _NEWEST


# -- whose packages a root has ---------------------------------------------------------------------


def _system_of(target: Target) -> _System | None:
    """Return the family and release of a root, by its os-release, else by the catalogue's name of it."""
    fields = os_release(target.view)
    if not fields:
        return _of_catalogue(target)
    own = fields.get("ID", "")
    family = next((_WORDS[word] for word in family_of(fields) if word in _WORDS), None)
    if family is None or own in _OTHERS:
        return None
    release = _release(fields.get("VERSION_ID", ""))
    if family == "ubuntu":
        release = _UBUNTU.get(fields.get("UBUNTU_CODENAME", ""), release)
    return _system(family, release, exact=_WORDS.get(own) == family)


def _of_catalogue(target: Target) -> _System | None:
    repository, _, tag = target.name.partition(":")
    family = _WORDS.get(repository) if target.completeness == "core" else None
    return _system(family, _release(tag.partition("/")[0]), exact=True) if family else None


def _system(family: str, release: Release, *, exact: bool) -> _System:
    """Return a system: of some families the first number alone names a release, and a rolling one has a date."""
    if family in ("debian", "rhel", "fedora"):
        release = release[:1]
    return _System(family=family, release=_NEWEST if release[0] > 1000 else release, exact=exact)


def _has_manager(target: Target, system: _System) -> bool:
    """Whether the root can install packages: of a core root only libraries are known."""
    return target.view.authority is not None or any(_exists(target.view, path) for path in _FAMILIES[system.family][1])


def _exists(view: FileView, path: str) -> bool:
    try:
        return view.exists(path)
    except (OSError, UnseenError):
        return False


def _foreign(system: _System, package: str, arch: Architecture, own: Architecture) -> str:
    """Return a package for another architecture in the manager's words, nothing where it has none."""
    if system.manager == "apt":
        return f"{package}:{_DEBIAN_ARCHITECTURES.get(arch.name, arch.name)}"
    if (arch.name, own.name) != ("i386", "x86_64"):
        return ""
    forms: Mapping[Manager, str] = {"dnf": "{}.i686", "zypper": "{}-32bit", "pacman": "lib32-{}"}
    return forms.get(system.manager, "").format(package)
