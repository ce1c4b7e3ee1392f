"""What comes along with a package, and which version is the later one: compared with apt, dpkg and rpm themselves."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
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
from tests.judges.roots import requires, requires_tool
from tests.repairs.repository import mirror

pytestmark = [pytest.mark.judge, pytest.mark.slow]

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBRARIES = int(os.environ.get("RUNWORTHY_CLOSURES", "12"))  # apt takes a second for each
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
    """A real apt with lists and a state of its own, for a root, and lines of a sources.list."""

    def __init__(self, root: Path, lines: str, state: Path) -> None:
        self.lists = state / "lists"
        for directory in (self.lists / "partial", state / "cache/archives/partial", state / "etc"):
            directory.mkdir(parents=True)
        (state / "etc/sources.list").write_text(lines)
        options = {
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Dir::State::status": root / "var/lib/dpkg/status",
            "Dir::State::lists": self.lists,
            "Dir::State::extended_states": state / "extended",
            "Dir::Cache": state / "cache",
            "Dir::Etc": state / "etc",
        }
        # A file of its own, so that what this machine says of apt (no caches, in a container) does not count.
        (state / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in options.items()))
        self._environment = {**os.environ, "LC_ALL": "C", "APT_CONFIG": str(state / "apt.conf")}
        subprocess.run(["apt-get", "-q", "update"], check=True, capture_output=True, env=self._environment)

    def comes_along(self, package: str) -> frozenset[str] | None:
        """Return what apt would install for a package, None where it would not, or would remove something."""
        argv = ["apt-get", "-q", "install", "-s", "--no-install-recommends", package]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, env=self._environment)
        if ended.returncode or "\nRemv " in ended.stdout:
            return None
        return frozenset(line.split()[1] for line in ended.stdout.splitlines() if line.startswith("Inst "))


def some(names: Sequence[str], count: int) -> Iterator[str]:
    """Yield that many of the names, from the first to the last."""
    step = max(1, len(names) // count)
    return iter(names[::step][:count])


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_same_comes_along_as_with_apt(suite: str, tmp_path: Path) -> None:
    root = requires(f"{suite}-amd64").path
    apt = Apt(root, f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n", tmp_path / "apt")
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


RELEASES = {
    "stable": "",
    "backports": "NotAutomatic: yes\nButAutomaticUpgrades: yes\n",
    "experimental": "NotAutomatic: yes\n",
}
PACKAGES = {
    "stable": (
        ("both", "1", ""),
        ("needs-1", "1", "Depends: both"),
        ("needs-2", "1", "Depends: both (>= 2)"),
        ("needs-only", "1", "Depends: only-there (>= 1) | both"),
        ("needs-tried", "1", "Depends: tried"),
        ("needs-either", "1", "Depends: both (>= 2) | tried | both"),
        ("needs-newer", "1", "Depends: there (>= 2)"),
        ("needs-newest", "1", "Depends: there (>= 3)"),
        ("needs-name", "1", "Depends: name"),
        ("needs-any", "1", "Depends: there:any, python3:any"),
        ("python3", "3", "Multi-Arch: allowed"),
    ),
    "backports": (
        ("both", "2", "Provides: name"),
        ("only-there", "1", ""),
        ("there", "2", ""),
        ("needs-2", "2", "Depends: both (>= 2)"),
    ),
    "experimental": (("tried", "1", ""), ("there", "3", ""), ("both", "3", "Provides: name")),
}


def released(top: Path, suite: str) -> str:
    """Make an archive with one release, and return its line of a sources.list."""
    rows = (
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: {name}.deb\nSize: 1\n"
        f"SHA256: {'0' * 64}\n{fields}\n"
        for name, version, fields in PACKAGES[suite]
    )
    packages = "\n".join(row.replace("\n\n", "\n") for row in rows).encode()
    lists = top / "dists" / suite / "main/binary-amd64/Packages"
    lists.parent.mkdir(parents=True)
    lists.write_bytes(packages)
    digest = f" {hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-amd64/Packages\n"
    release = f"Origin: Test\nSuite: {suite}\nCodename: {suite}\n{RELEASES[suite]}SHA256:\n{digest}"
    (top / "dists" / suite / "Release").write_text(release)
    return f"deb [trusted=yes] file:{top} {suite} main\n"


def test_releases_that_are_not_for_everyday_use_count_as_with_apt(tmp_path: Path) -> None:
    requires_tool("apt-get", package="apt")
    lines = "".join(released(tmp_path / "archive", suite) for suite in RELEASES)
    root = tmp_path / "root"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=debian\n")
    text = "Package: there\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nMulti-Arch: allowed\n"
    (root / "var/lib/dpkg/status").write_text(text)
    apt = Apt(root, lines, tmp_path / "apt")
    shutil.copytree(apt.lists, root / "var/lib/apt/lists", ignore=shutil.ignore_patterns("lock", "partial"))
    target = TargetName(f"rootfs:{root}").open(architecture("x86_64"))
    ours, theirs = {}, {}
    for name in sorted({name for rows in PACKAGES.values() for name, _, _ in rows}):
        found = Packages(target).named(name)
        ours[name] = frozenset((*found[0].names, *found[0].with_them)) if found and found[0].packages else frozenset()
        theirs[name] = apt.comes_along(name) or frozenset()
    assert ours == theirs
    assert [name for name in theirs if not theirs[name]] == ["needs-2", "needs-name", "needs-newest"]
    (only,) = Packages(target).named("only-there")
    assert any("backports" in note for note in only.notes)
