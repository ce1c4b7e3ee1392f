"""The judge roots that setup.sh builds, by name."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

STRICT = "RUNWORTHY_REQUIRE_JUDGES"
_SETUP = "tests/judges/setup.sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root with a loader: `path` is where it lies, `loader` a path inside it."""

    name: str
    path: Path
    libc: str
    version: str
    arch: str
    loader: str


def _debian(name: str, version: str, arch: str, loader: str) -> tuple[str, str, str, str, str]:
    return name, "glibc", version, arch, loader


def _musl(version: str, arch: str) -> tuple[str, str, str, str, str]:
    return f"musl-{version}-{arch}", "musl", version, arch, f"/lib/ld-musl-{arch}.so.1"


_KNOWN = {
    row[0]: row
    for row in (
        _debian("bullseye-amd64", "2.31", "x86_64", "/lib64/ld-linux-x86-64.so.2"),
        _debian("bookworm-amd64", "2.36", "x86_64", "/lib64/ld-linux-x86-64.so.2"),
        _debian("trixie-amd64", "2.41", "x86_64", "/lib64/ld-linux-x86-64.so.2"),
        _debian("bullseye-arm64", "2.31", "aarch64", "/lib/ld-linux-aarch64.so.1"),
        _debian("trixie-arm64", "2.41", "aarch64", "/lib/ld-linux-aarch64.so.1"),
        _debian("trixie-i386", "2.41", "i386", "/lib/ld-linux.so.2"),
        _musl("1.2.2", "x86_64"),
        _musl("1.2.3", "x86_64"),
        _musl("1.2.5", "x86_64"),
        _musl("1.2.5", "aarch64"),
        _musl("1.2.5", "i386"),
    )
}

NAMES = tuple(_KNOWN)


def home() -> Path:
    """The directory below which everything lies that setup.sh makes."""
    chosen = os.environ.get("RUNWORTHY_JUDGES")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runworthy" / "judges"


def root(name: str, *, path: Path | None = None) -> Root:
    """The root `name`; with `path`, a copy of it that lies elsewhere."""
    _, libc, version, arch, loader = _KNOWN[name]
    return Root(name=name, path=path or home() / name, libc=libc, version=version, arch=arch, loader=loader)


def available() -> tuple[Root, ...]:
    """The roots that can be asked on this machine, none for a user who is not root."""
    if os.geteuid() != 0:
        return ()
    return tuple(made for made in map(root, NAMES) if made.path.is_dir())


def corpus(name: str) -> Path:
    """The unpacked wheel or npm package `name` of setup.sh's CORPUS table."""
    return home() / "corpus" / name


def requires(name: str) -> Root:
    """The root `name`, or a skip that says how to get it."""
    if os.geteuid() != 0:
        lacking("judges start programs in a chroot: run the tests as root")
    found = root(name)
    if not found.path.is_dir():
        lacking(f"no judge root {name}: `{_SETUP} tools {name}` makes it")
    if found.arch == "aarch64":
        requires_tool("qemu-aarch64-static", package="qemu-user-static")
    return found


def requires_boot(suite: str) -> tuple[Path, Path]:
    """The root of a Debian release, and the files of its boot that are laid over it, or a skip."""
    base = requires(f"{suite}-amd64").path
    found = home() / f"boot-{suite}-amd64"
    if not found.is_dir():
        lacking(f"no judge root {found.name}: `{_SETUP} {found.name}` makes it")
    return base, found


def requires_corpus(name: str) -> Path:
    """The corpus entry `name`, or a skip that says how to get it."""
    found = corpus(name)
    if not found.is_dir():
        lacking(f"no corpus entry {name}: `{_SETUP} corpus/{name}` fetches it")
    return found


def requires_environment(name: str) -> Path:
    """The installed environment `name` of setup.sh, or a skip that says how to get it."""
    found = home() / "environments" / name
    if not found.is_dir():
        lacking(f"no environment {name}: `{_SETUP} environments/{name}` installs it")
    return found


def requires_packed(name: str) -> Path:
    """The directory of packed files `name` of setup.sh's PACKED table, or a skip that says how to get it."""
    found = home() / "packed" / name
    if not found.is_dir():
        lacking(f"no packed files {name}: `{_SETUP} packed/{name}` fetches them")
    return found


def requires_tool(command: str, *, package: str) -> Path:
    """The path of `command`, or a skip that names the Debian package it is in."""
    found = shutil.which(command)
    if found is None:
        lacking(f"no {command}: `apt-get install {package}` brings it")
    return Path(found)


def lacking(what: str) -> NoReturn:
    """Skip the running test, or fail it where judges are required."""
    if os.environ.get(STRICT) == "1":
        pytest.fail(what)
    pytest.skip(what)
