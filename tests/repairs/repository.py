"""Real packages of Debian releases, fetched once by a private apt, and a repository of them within a root."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.judges import roots

__all__ = ["Repository", "mirror"]

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


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
    return roots.lacking("apt here has no Debian archive: set RUNWORTHY_DEBIAN_MIRROR")


class Repository:
    """Packages as files below a directory."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._ready: set[str] = set()

    def unpack(self, suite: str, name: str, into: Path) -> None:
        """Lay the files of one package into a directory."""
        held = self._state(suite) / "single"
        held.mkdir(exist_ok=True)
        if not list(held.glob(f"{name}_*.deb")):
            subprocess.run([*self._apt(suite), "download", name], cwd=held, check=True, capture_output=True)
        (archive,) = held.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, into], check=True)
        for directory in ("bin", "sbin", "lib"):  # as usrmerge has them: the tree is laid over a root
            if (into / directory).is_dir():
                shutil.copytree(into / directory, into / "usr" / directory, symlinks=True, dirs_exist_ok=True)
                shutil.rmtree(into / directory)

    def put(self, suite: str, names: Sequence[str], root: Path) -> None:
        """Make a repository of packages, with all that the root lacks for them, the only one that its apt knows."""
        argv = [*self._apt(suite, root / "var/lib/dpkg/status"), "-y", "--no-install-recommends", "--print-uris"]
        told = subprocess.run([*argv, "install", *names], check=True, capture_output=True, text=True).stdout
        wanted = [re.sub(r"_.*", "", line.split()[1]) for line in told.splitlines() if line.startswith("'")]
        debs = self._state(suite) / "single"
        debs.mkdir(exist_ok=True)
        absent = [name for name in wanted if not list(debs.glob(f"{name}_*.deb"))]
        if absent:
            subprocess.run([*self._apt(suite), "download", *absent], cwd=debs, check=True, capture_output=True)
        (root / "repo").mkdir()
        index = []
        for name in wanted:
            (archive,) = debs.glob(f"{name}_*.deb")
            data = archive.read_bytes()
            (root / "repo" / f"{name}.deb").write_bytes(data)
            fields = subprocess.run(["dpkg-deb", "-f", archive], check=True, capture_output=True, text=True).stdout
            hashed = hashlib.sha256(data).hexdigest()
            index.append(f"{fields.strip()}\nFilename: ./{name}.deb\nSize: {len(data)}\nSHA256: {hashed}\n")
        (root / "repo/Packages").write_text("\n".join(index))
        (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/repo ./\n")
        for directory in ("var/log/apt", "var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
            (root / directory).mkdir(parents=True, exist_ok=True)

    def _state(self, suite: str) -> Path:
        return self._top / suite

    def _apt(self, suite: str, status: Path | None = None) -> list[str]:
        """Return an apt-get with a state of its own."""
        state = self._state(suite)
        options = {
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "Dir::State::status": status or state / "status",
            "Dir::State::lists": state / "lists",
            "Dir::State::extended_states": state / "extended",
            "Dir::Cache": state / "cache",
            "Dir::Etc::sourcelist": state / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferencesparts": "-",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        argv = ["apt-get", "-q"]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        if suite not in self._ready:
            for directory in ("lists/partial", "cache/archives/partial"):
                (state / directory).mkdir(parents=True, exist_ok=True)
            (state / "status").touch()
            (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
            subprocess.run([*argv, "update"], check=True, capture_output=True)
            self._ready.add(suite)
        return argv
