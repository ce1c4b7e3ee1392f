"""What comes along with a package, and which version is the later one: compared with apt, dpkg and rpm themselves."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from runworthy.formats.index.stanzas import StanzaIndex
from runworthy.formats.index.versions import compare
from runworthy.model.arch import architecture
from runworthy.model.package import Manager
from runworthy.targets.names import TargetName
from runworthy.targets.packages import Packages
from runworthy.targets.packages.sources import given_sources
from tests.judges.roots import lacking, requires, requires_tool

pytestmark = [pytest.mark.judge, pytest.mark.slow]

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBRARIES = int(os.environ.get("RUNWORTHY_CLOSURES", "20"))  # apt takes seconds for each
PAIRS = 2000


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


# -- versions --------------------------------------------------------------------------------------


def made(random_: random.Random, letters: str) -> str:
    return "1" + "".join(random_.choice(letters) for _ in range(random_.randint(0, 7)))


def test_versions_are_compared_as_dpkg_does() -> None:
    requires_tool("dpkg", package="dpkg")
    random_ = random.Random(20)  # noqa: S311 - not for secrets
    for _ in range(PAIRS // 10):
        left, right = (made(random_, "0123aZ~.+") for _ in range(2))
        left += "-" + made(random_, "01a~.+") if random_.random() < 0.3 else ""
        right += "-" + made(random_, "01a~.+") if random_.random() < 0.3 else ""
        less, greater = (
            subprocess.run(["dpkg", "--compare-versions", left, word, right], check=False).returncode == 0
            for word in ("lt", "gt")
        )
        assert sign(compare("apt", left, right)) == greater - less, (left, right)


def test_versions_are_compared_as_rpm_does(tmp_path: Path) -> None:
    requires_tool("rpm", package="rpm")
    random_ = random.Random(21)  # noqa: S311 - not for secrets
    pairs = [(made(random_, "0123abZ~^.+_"), made(random_, "0123abZ~^.+_")) for _ in range(PAIRS)]
    script = tmp_path / "pairs.lua"
    script.write_text("".join(f'print(rpm.vercmp("{left}","{right}") .. " ")\n' for left, right in pairs))
    said = subprocess.run(["rpm", "--eval", f"%{{lua:dofile('{script}')}}"], capture_output=True, text=True, check=True)
    for (left, right), answer in zip(pairs, said.stdout.split(), strict=True):
        assert sign(compare("dnf", left, right)) == int(answer), (left, right)


# -- what comes along ------------------------------------------------------------------------------


class Apt:
    """A real apt with lists and a state of its own, for a root of the judges."""

    def __init__(self, root: Path, suite: str, state: Path) -> None:
        self.lists = state / "lists"
        for directory in (self.lists / "partial", state / "cache/archives/partial", state / "etc"):
            directory.mkdir(parents=True)
        (state / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
        self._argv = ["apt-get", "-q", "-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64"]
        for name, value in {
            "Dir::State::status": root / "var/lib/dpkg/status",
            "Dir::State::lists": self.lists,
            "Dir::State::extended_states": state / "extended",
            "Dir::Cache": state / "cache",
            "Dir::Etc::sourcelist": state / "etc/sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferencesparts": "-",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }.items():
            self._argv += ["-o", f"{name}={value}"]
        subprocess.run([*self._argv, "update"], check=True, capture_output=True)

    def comes_along(self, package: str) -> frozenset[str] | None:
        """Return what apt would install for a package, None where it would not, or would remove something."""
        argv = [*self._argv, "install", "-s", "--no-install-recommends", package]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
        if ended.returncode or "\nRemv " in ended.stdout:
            return None
        return frozenset(line.split()[1] for line in ended.stdout.splitlines() if line.startswith("Inst "))


def mirror() -> str:
    """Return the archive from which apt of this machine has Debian's suites."""
    chosen = os.environ.get("RUNWORTHY_DEBIAN_MIRROR")
    if chosen:
        return chosen
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(CODENAME)|$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in told.stdout.splitlines():
        origin, codename, uri = line.split("|")
        if origin == "Debian" and "-" not in codename:
            return uri
    return lacking("apt here has no Debian archive: set RUNWORTHY_DEBIAN_MIRROR")


def some(names: Sequence[str], count: int) -> Iterator[str]:
    """Yield that many of the names, from the first to the last."""
    step = max(1, len(names) // count)
    return iter(names[::step][:count])


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_same_comes_along_as_with_apt(suite: str, tmp_path: Path) -> None:
    root = requires(f"{suite}-amd64").path
    apt = Apt(root, suite, tmp_path / "apt")
    target = TargetName(f"rootfs:{root}").open(architecture("x86_64"))
    packages = Packages(target, [str(apt.lists)])
    manager: Manager = "apt"
    (index,) = given_sources([str(apt.lists)], manager).indexes
    assert isinstance(index, StanzaIndex)
    names = (name for name in index.names() if re.fullmatch(r"lib[a-z0-9.+-]*[0-9](t64)?", name))
    libraries = sorted(name for name in names if any(one.name == name for one in index.find(name)))
    assert len(libraries) > 1000
    compared = 0
    wrong: list[str] = []
    for name in some(libraries, LIBRARIES):
        expected = apt.comes_along(name)
        found = packages.named(name)
        if not expected:  # a virtual package, or one that is there
            continue
        compared += 1
        ours = frozenset((*found[0].names, *found[0].with_them)) if found else frozenset[str]()
        if ours != expected:
            wrong.append(f"{name}: ours {sorted(ours - expected)}, apt's {sorted(expected - ours)}")
    assert not wrong, "\n".join(wrong)
    assert compared > LIBRARIES // 2
