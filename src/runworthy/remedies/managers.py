"""How package managers are called: what a person would type, and what makes them ask nothing.

Source: apt-get(8), apt.conf(5); apk(8), apk-add(8); dnf(8), dnf.conf(5); pacman(8); zypper(8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from runworthy.model.records import dataclass

__all__ = ["CALLS", "Call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A package manager as it is called.

    ``before`` is what stands before the program, ``install`` and ``remove`` are what follows it: the packages that are
    asked for come with what they depend on, and with nothing that they only recommend, as it was judged. ``alone`` are
    options with which it asks nobody, ``files`` those with which it takes nothing but the files that are named, and
    ``unsigned`` is what it wants to be told of files without a signature. ``suffix`` is that of its packages' files.
    """

    program: str
    install: tuple[str, ...]
    remove: tuple[str, ...]
    before: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    install_alone: tuple[str, ...] = ()
    remove_alone: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    unsigned: tuple[str, ...] = ()
    suffix: str = ""

    def by_hand(self, names: Sequence[str], *, install: bool) -> tuple[str, ...]:
        """Return what a person types."""
        return (*self.before, self.program, *(self.install if install else self.remove), *names)

    def unattended(self, names: Sequence[str], *, install: bool) -> tuple[str, ...]:
        """Return what is run where nobody can answer."""
        more = self.install_alone if install else self.remove_alone
        return (self.program, *self.alone, *more, *(self.install if install else self.remove), *names)

    def from_files(self, files: Sequence[str], *, unsigned: bool) -> tuple[str, ...]:
        """Return what installs these files, and nothing else. ``unsigned``: some of them bear no signature."""
        options = (*self.alone, *self.install_alone, *self.files, *(self.unsigned if unsigned else ()))
        return (self.program, *options, *self.install, *files)


CALLS: Final[Mapping[str, Call]] = {
    "apt": Call(
        program="apt-get",
        install=("install", "-y", "--no-install-recommends"),
        remove=("remove", "-y"),
        before=("env", "DEBIAN_FRONTEND=noninteractive"),
        alone=("-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=60"),
        # Nothing that was judged removes anything: what would is another change than the one that was shown.
        install_alone=("--no-remove", "--no-install-suggests"),
        # Without sources there is nothing but what is installed and what is named. Caches of it are of no use later.
        files=(
            *("-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=/dev/null"),
            *("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="),
        ),
        suffix=".deb",
    ),
    "apk": Call(
        program="apk",
        install=("add",),
        remove=("del",),
        alone=("--no-progress",),
        files=("--no-network", "--repositories-file", "/dev/null"),
        unsigned=("--allow-untrusted",),
        suffix=".apk",
    ),
    "dnf": Call(
        program="dnf",
        install=("install", "-y", "--setopt=install_weak_deps=False"),
        remove=("remove", "-y"),
        remove_alone=("--setopt=clean_requirements_on_remove=False",),
        files=("--disablerepo=*",),
        suffix=".rpm",
    ),
    "pacman": Call(
        program="pacman", install=("-S", "--noconfirm", "--needed"), remove=("-R", "--noconfirm"), suffix=".pkg.tar.zst"
    ),
    "zypper": Call(
        program="zypper",
        install=("--non-interactive", "install", "--no-recommends"),
        remove=("--non-interactive", "remove"),
        suffix=".rpm",
    ),
}
