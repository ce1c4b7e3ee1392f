"""What is shipped, judged as it is packed, against what becomes of it when the real tools have installed it.

Archives are unpacked by dpkg-deb and tar, npm, pip, and put where these put them in a real root. Its loader is asked
about every file of them, and programs are really started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runworthy.engine import Engine, Wishes
from runworthy.model.finding import Result
from runworthy.simulate.launch import Launch
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import MachineWish, TargetName
from tests.differential.directories import compare_results
from tests.differential.model import Model
from tests.differential.trees import Comparison
from tests.judges import roots
from tests.judges.panel import Judge
from tests.judges.process import Outcome
from tests.judges.qemu import Emulator
from tests.judges.roots import Root

__all__ = [
    "Installed",
    "Package",
    "compare_installed",
    "debian",
    "here",
    "judged",
    "npm",
    "of",
    "start",
    "unpacked_tar",
    "wheel",
]

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An archive where the real tools have put it, with what it needs.

    ``layer`` is laid over the root; ``binds`` are directories that are shown in it.
    """

    archive: Path
    layer: Path | None = None
    binds: Mapping[str, Path] = field(default_factory=dict)

    def file(self, path: str) -> int | None:
        """Return which file lies at a path of the layer: one that has several names is judged under the first."""
        place = f"{self.layer}{path}"
        return os.stat(place).st_ino if os.path.exists(place) else None

    def program(self, name: str) -> str:
        """Return where a program lies: not every release of Debian has all of them in /usr."""
        return next(path for path in (f"/usr/bin/{name}", f"/bin/{name}") if self.file(path))


def judged(archives: Sequence[Path], root: Root) -> tuple[Result, ...]:
    """Return what is said of archives that are given together on a root."""
    target = TargetName(text=f"rootfs:{root.path}", wish=MachineWish(platform=root.arch))
    return Engine(Wishes(launch=Launch(until="bind"))).check([str(one) for one in archives], [target]).results


def of(archive: Path, results: Sequence[Result]) -> list[Result]:
    """Return the results of the files in an archive."""
    return [one for one in results if one.subject.startswith(f"{archive}!")]


def compare_installed(installed: Installed, root: Root, results: Sequence[Result]) -> Comparison:
    """Compare what is said of the archive's files with what the root's loader says where they are installed."""
    model = Model(root, binds=installed.binds)
    if installed.layer is not None:
        view = DirectoryView(str(installed.layer))
        for directory, _, names in os.walk(installed.layer):
            for name in names:
                inside = f"{directory}/{name}"[len(str(installed.layer)) :]
                model.view.add_from(inside, view, inside)
    layers = (installed.layer,) if installed.layer else ()
    return compare_results(model, of(installed.archive, results), binds=installed.binds, layers=layers)


def start(installed: Installed, root: Root, argv: Sequence[str], *, machine: str | None = None) -> Outcome:
    """Really start a program of what is installed in a root, under the emulator where it is for another machine."""
    layers = (installed.layer,) if installed.layer else ()
    with Judge(root, binds=installed.binds, layers=layers, machine=machine) as judge:
        emulator = Emulator() if machine else None
        return judge.run(argv, env={"PATH": "/usr/bin:/bin", "HOME": "/"}, emulator=emulator, timeout=60)


# -- Debian ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package of Debian as dpkg-deb tells of it. ``needs`` are groups of alternatives."""

    name: str
    file: Path
    provides: frozenset[str]
    needs: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, file: Path) -> Package:
        """Return what dpkg-deb says of a file."""
        show = "${Package}\n${Provides}\n${Pre-Depends}, ${Depends}\n"
        said = subprocess.run(
            ["dpkg-deb", "--show", f"--showformat={show}", file], capture_output=True, text=True, check=True
        ).stdout.split("\n")
        groups = (tuple(map(_word, group.split("|"))) for group in said[2].split(",") if group.strip())
        provides = frozenset(_word(one) for one in said[1].split(",") if one.strip())
        return cls(name=said[0], file=file, provides=provides, needs=tuple(groups))


def _word(relation: str) -> str:
    return relation.partition("(")[0].partition(":")[0].strip()


def with_needs(package: Package, given: Sequence[Package]) -> list[Package]:
    """Return a package and those given that it needs, and that these need."""
    found = [package]
    for one in found:
        for group in one.needs:
            offers = ([each for each in given if name in (each.name, *each.provides)] for name in group)
            first = next(filter(None, offers), [])
            found += [each for each in first if each not in found]
    return found


def debian(package: Package, given: Sequence[Package], root: Root, scratch: Path) -> Installed:
    """Unpack a package with what it needs as dpkg does: the root's links of directories stay."""
    layer = scratch / "layer"
    layer.mkdir()
    for name in _MERGED:
        if (root.path / name).is_symlink():
            (layer / name).symlink_to(os.readlink(root.path / name))
            (layer / os.readlink(root.path / name)).mkdir(parents=True, exist_ok=True)
    for one in reversed(with_needs(package, given)):
        packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", one.file], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", layer], input=packed, check=True)
    return Installed(archive=package.file, layer=layer)


# -- archives that are unpacked anywhere ----------------------------------------------------------


def unpacked_tar(archive: Path, scratch: Path) -> Installed:
    """Unpack a tar archive."""
    subprocess.run(["tar", "-x", "-f", archive, "-C", scratch], check=True)
    return Installed(archive=archive, binds={f"/subject{archive}!": scratch})


def npm(archives: Sequence[Path], scratch: Path) -> Installed:
    """Install packages of npm together, for whatever platform they are."""
    roots.requires_tool("npm", package="npm")
    (scratch / "package.json").write_text("{}")
    options = ("--offline", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--force", "--loglevel=error")
    subprocess.run(
        ["npm", "install", *options, f"--cache={scratch / '.npm'}", *archives],
        cwd=scratch,
        check=True,
        capture_output=True,
    )
    shutil.rmtree(scratch / ".npm", ignore_errors=True)
    return Installed(archive=archives[0], binds={f"/subject{archives[0]}!": scratch})


def wheel(archive: Path, scratch: Path) -> Installed:
    """Install a wheel, for whatever platform it is."""
    _, _, python, abi, platforms = archive.stem.split("-")[-5:]
    options = [f"--platform={one}" for one in platforms.split(".")]
    version = python.split(".")[-1].removeprefix("cp").removeprefix("py")
    into = scratch / "lib/python3/site-packages"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"),
            *("--no-index", "--no-compile", "--only-binary=:all:", f"--target={into}", *options),
            *("--implementation=cp", f"--python-version={'3.12' if len(version) < 3 else version}", f"--abi={abi}"),
            archive,
        ],
        check=True,
        capture_output=True,
    )
    if (into / "bin").is_dir():  # where --target puts what an environment has beside its lib
        (into / "bin").rename(scratch / "bin")
    return Installed(archive=archive, binds={f"/subject{archive}!": scratch})


def here(directory: Path, pattern: str = "*") -> Iterator[Path]:
    """Yield the files of a directory by name."""
    return iter(sorted(directory.glob(pattern)))
