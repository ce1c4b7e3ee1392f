"""Environments made by real installers, small and without a network: in a given directory, with a given cache.

    from tests.storage import installers

    wheels = installers.wheels(tmp_path)  # one library vendored by two, another under three names in one of them
    installers.venv(disk.path / "a", wheels, cache=disk.path / "uv", mode="copy")  # uv; by="pip", by="virtualenv"
    installers.science(disk.path / "b", cache=disk.path / "uv")  # numpy, scipy, pyarrow; imported by installers.imports

    channel = installers.channel(tmp_path, installers.SEED)  # two packages that ship one library at two paths
    installers.conda(disk.path / "project", channel, cache=disk.path / "rattler", layout="magic")  # by py-rattler

    packed = installers.npm_packages(tmp_path)  # two packages with one native addon in both, and a real one
    installers.npm(disk.path / "one", packed, cache=disk.path / "npm")
    installers.pnpm(disk.path / "two", packed, store=disk.path / "store", method="copy")

Each takes 0.1 to 2 seconds and returns the directory of what it made. `test_installers.py` says what is really there:
which files have several names, which share blocks, what the records say. What is not given is the installer's own
default; no configuration of the person who runs the tests is read. ``tests/judges/setup.sh`` brings the installers:
without them a test skips and says so.
"""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import random
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal
from zipfile import ZIP_STORED, ZipFile

from runworthy.model.records import dataclass, field
from tests.elfwriter import elf
from tests.judges.roots import requires_environment, requires_packed, requires_tool
from tests.wheels import pack_wheel

__all__ = [
    "ADDON",
    "LAYOUTS",
    "PLACEHOLDER",
    "SCIENCE",
    "SEED",
    "SHARED",
    "CondaPackage",
    "channel",
    "conda",
    "imports",
    "library",
    "loads_addon",
    "npm",
    "npm_packages",
    "pnpm",
    "science",
    "site_packages",
    "venv",
    "wheels",
]

Layout = Literal["magic", "pixi", "conda"]

LAYOUTS: Mapping[Layout, str] = {"magic": ".magic/envs/default", "pixi": ".pixi/envs/default", "conda": "env"}
"""Where an environment lies in the directory of a project."""

SCIENCE = ("numpy", "scipy", "pyarrow")

PLACEHOLDER = "/placeholder_of_the_prefix" + "_placehold" * 22
"""What stands in a package for the environment's path: long, since a longer path cannot be written over it."""


def library(name: str, size: int = 300_000) -> bytes:
    """Return the bytes of a shared library, the same ones for the same name."""
    return elf(soname=name, exports=[name.partition(".")[0]]) + random.Random(name).randbytes(size)  # noqa: S311


SHARED = library("libgfortran.so.5")
"""What both of two wheels, or of two packages, vendor."""

ADDON = library("addon.node")


# -- Python ----------------------------------------------------------------------------------


def wheels(below: Path) -> tuple[Path, ...]:
    """Make two wheels: both vendor one library, and the second ships another under three names, as pyarrow does."""
    arrow = library("libarrow.so.2000")
    members: Mapping[str, Mapping[str, bytes]] = {
        "first-1.0-py3-none-any.whl": {
            "first/__init__.py": b"NAME = 'first'\n" * 40,
            "first/_core.so": library("_core.so"),
            "first.libs/libgfortran-8a9d7c.so.5": SHARED,
        },
        "second-2.0-py3-none-any.whl": {
            "second/__init__.py": b"NAME = 'second'\n" * 40,
            "second.libs/libgfortran-8a9d7c.so.5": SHARED,
            **{f"second/libarrow.so{end}": arrow for end in ("", ".2000", ".2000.0.0")},
        },
    }
    for name, files in members.items():
        (below / name).write_bytes(pack_wheel(name, files))
    return tuple(below / name for name in members)


def venv(
    path: Path,
    packages: Iterable[Path],
    *,
    cache: Path,
    by: Literal["uv", "pip", "virtualenv"] = "uv",
    mode: Literal["clone", "hardlink", "copy", "symlink", ""] = "",
) -> Path:
    """Make a virtual environment of wheel files. ``mode`` is uv's ``--link-mode``; the others always copy.

    ``pip``: into one of the module venv; ``virtualenv``: one of virtualenv, by the pip that it puts there.
    """
    python = _python()
    cache.mkdir(parents=True, exist_ok=True)
    words = [str(package) for package in packages]
    offline = ["--no-deps", "--no-index"]
    if by == "uv":
        own = {"UV_CACHE_DIR": str(cache), "UV_NO_CONFIG": "1", "UV_OFFLINE": "1"}
        uv = [python, "-m", "uv"]
        _run([*uv, "venv", "--quiet", "--python", python, str(path)], cache, own)
        linked = ["--link-mode", mode] if mode else []
        _run([*uv, "pip", "install", "--quiet", "--python", str(path), *offline, *linked, *words], cache, own)
        return path
    if by == "pip":
        _run([python, "-m", "venv", "--without-pip", str(path)], cache)
        pip = [python, "-m", "pip", "--python", str(path / "bin" / "python")]
    else:
        _run([python, "-m", "virtualenv", "--quiet", "--no-download", "--app-data", str(cache), str(path)], cache)
        pip = [str(path / "bin" / "python"), "-m", "pip"]
    options = ["--quiet", "--disable-pip-version-check", "--isolated", "--cache-dir", str(cache)]
    _run([*pip, "install", *options, *offline, *words], cache)
    return path


def site_packages(path: Path) -> Path:
    """The directory of a virtual environment that packages are installed into."""
    (found,) = path.glob("lib/python3*/site-packages")
    return found


def science(path: Path, *, cache: Path, by: Literal["uv", "pip"] = "uv", mode: Literal["copy", ""] = "") -> Path:
    """Make a virtual environment with the real numpy, scipy and pyarrow: some 370 MB, with uv in a second."""
    return venv(path, sorted(requires_packed("science").glob("*.whl")), cache=cache, by=by, mode=mode)


def imports(path: Path, names: Sequence[str] = SCIENCE) -> str:
    """Import modules by the Python of an environment, and have them do something; what they say of themselves.

    Raises AssertionError with the traceback.
    """
    lines = [f"import {name}; print({name!r}, getattr({name}, '__version__', ''))" for name in names]
    if set(SCIENCE) <= set(names):
        lines.append("import scipy.linalg, pyarrow.compute")
        lines.append("print(scipy.linalg.det(numpy.eye(3)), pyarrow.compute.sum(pyarrow.array([1, 2])))")
    return _run([str(path / "bin" / "python"), "-I", "-B", "-c", "\n".join(lines)], path)


def _python() -> str:
    """The interpreter that has the installers."""
    return str(requires_environment("installers") / "bin" / "python")


# -- conda, pixi, magic ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPackage:
    """A package: its files, and of these which have the environment's path in them, which are one file in the archive.

    ``patched`` says of a file how the path is written into it ("binary": the rest is filled with zeros), ``links`` of a
    symbolic link where it leads, ``same`` of a name which other member of the archive it is a hard link to.
    """

    name: str
    files: Mapping[str, bytes]
    patched: Mapping[str, Literal["binary", "text"]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    version: str = "1.0"
    depends: tuple[str, ...] = ()

    def filename(self, kind: str) -> str:
        """The name of its archive."""
        return f"{self.name}-{self.version}-h0_0{kind}"


_MONNX = library("libmonnx.so", 600_000)
_PATCHED = library("libpython3.12.so.1.0") + f"{PLACEHOLDER}/lib\0".encode() + bytes(200) + library("behind")

SEED = (
    CondaPackage(
        name="max-core",
        files={
            "lib/libmonnx.so": _MONNX,
            "bin/mojo": b"#!" + PLACEHOLDER.encode() + b"/bin/python\n",
            "lib/libpython3.12.so.1.0": _PATCHED,
            "lib/libstdc++.so.6.0.34": library("libstdc++.so.6"),
        },
        patched={"bin/mojo": "text", "lib/libpython3.12.so.1.0": "binary"},
        links={"lib/libstdc++.so.6": "libstdc++.so.6.0.34"},
    ),
    CondaPackage(
        name="max-python",
        files={
            "lib/python3.12/site-packages/max/lib/libmonnx.so": _MONNX,
            "lib/python3.12/site-packages/max/__init__.py": b"NAME = 'max'\n" * 40,
            "lib/libpython3.so": _PATCHED,
            "lib/libmax.so": library("libmax.so"),
        },
        patched={"lib/libpython3.so": "binary"},
        same={"lib/libmax.so.1": "lib/libmax.so"},
        depends=("max-core",),
    ),
)
"""The seed's case: ``libmonnx.so`` at two paths out of two packages; binaries with the prefix, the same in both; hard
links in the archive (``libmax.so``); a link beside what it leads to."""


def channel(
    below: Path,
    packages: Sequence[CondaPackage],
    *,
    kind: Literal[".conda", ".tar.bz2"] = ".conda",
    name: str = "channel",
) -> Path:
    """Make a channel of packages: a directory with what an index of it says."""
    made = below / name
    for subdir in ("linux-64", "noarch"):
        (made / subdir).mkdir(parents=True)
    records: dict[str, object] = {}
    for package in packages:
        filename = package.filename(kind)
        data = _archive(package, kind)
        (made / "linux-64" / filename).write_bytes(data)
        digests = {"md5": hashlib.md5(data, usedforsecurity=False).hexdigest(), "sha256": _sha256(data)}
        records[filename] = {**_index(package), **digests, "size": len(data)}
    for subdir, group in (("linux-64", records), ("noarch", {})):
        keys = {"packages": {}, "packages.conda": {}, ("packages" if kind == ".tar.bz2" else "packages.conda"): group}
        (made / subdir / "repodata.json").write_text(json.dumps({"info": {"subdir": subdir}, **keys}), encoding="utf-8")
    return made


def conda(
    project: Path,
    channel: Path,
    *,
    cache: Path,
    layout: Layout = "conda",
    packages: Sequence[str] = (),
    config: Mapping[str, bool] | None = None,
) -> Path:
    """Install packages of a channel, or all of them, as py-rattler does it: into the place of a layout in a project.

    ``config`` is what pixi's configuration says of links: ``allow-hard-links``, ``allow-ref-links``,
    ``allow-symbolic-links``. What the programs magic and pixi write beside that is added as they write it.
    """
    prefix = project / LAYOUTS[layout]
    cache.mkdir(parents=True, exist_ok=True)
    project.mkdir(parents=True, exist_ok=True)
    names = packages or [path.name.rsplit("-", 2)[0] for path in sorted((channel / "linux-64").glob("*-h0_0.*"))]
    asked = {
        "channel": channel.as_uri(),
        "names": list(names),
        "prefix": str(prefix),
        "cache": str(cache),
        "config": "".join(f"{key} = {str(value).lower()}\n" for key, value in (config or {}).items()),
    }
    _run([_python(), "-I", "-c", _RATTLER, json.dumps(asked)], cache)
    if layout == "conda":  # conda's own mark; rattler leaves it to the programs that use it
        (prefix / "conda-meta" / "history").touch()
        return prefix
    manifest = project / ("mojoproject.toml" if layout == "magic" else "pixi.toml")
    manifest.write_text(
        f'[project]\nname = "{project.name}"\nchannels = []\nplatforms = ["linux-64"]\n', encoding="utf-8"
    )
    # prefix-dev/pixi, docs/workspace/environment.md; magic is a build of pixi 0.33 with other names.
    state = {
        "manifest_path": str(manifest),
        "environment_name": "default",
        "pixi_version": "0.33.0" if layout == "magic" else "0.40.0",
        "environment_lock_file_hash": "4f36ee620f10329d",
    }
    (prefix / "conda-meta" / "pixi").write_text(json.dumps(state, indent=2), encoding="utf-8")
    return prefix


# Its threads may still run when the interpreter goes, and then it sometimes dies of a signal: all is done by then.
_RATTLER = """
import asyncio, json, os, sys
from rattler import Config, install, solve
asked = json.loads(sys.argv[1])
async def main():
    records = await solve([asked["channel"]], asked["names"], platforms=["linux-64", "noarch"])
    await install(records, asked["prefix"], cache_dir=asked["cache"], show_progress=False,
                  config=Config.from_toml(asked["config"]) if asked["config"] else None)
asyncio.run(main())
os._exit(0)
"""


def _index(package: CondaPackage) -> dict[str, object]:
    return {
        "name": package.name,
        "version": package.version,
        "build": "h0_0",
        "build_number": 0,
        "depends": list(package.depends),
        "subdir": "linux-64",
        "platform": "linux",
        "arch": "x86_64",
        "timestamp": 1_700_000_000_000,
    }


def _archive(package: CondaPackage, kind: str) -> bytes:
    """The archive: one bzip2 tar, or a zip file of two tars, one of the files and one of what is said of them."""
    payload: dict[str, bytes | tuple[bytes, str]] = dict(package.files)
    payload.update({name: (tarfile.LNKTYPE, source) for name, source in package.same.items()})
    payload.update({name: (tarfile.SYMTYPE, leads) for name, leads in package.links.items()})
    info: dict[str, bytes | tuple[bytes, str]] = {
        "info/index.json": json.dumps(_index(package)).encode(),
        "info/paths.json": json.dumps({"paths": [*_paths(package)], "paths_version": 1}).encode(),
        "info/files": "".join(f"{name}\n" for name in payload).encode(),
    }
    if kind == ".tar.bz2":
        return bz2.compress(_tar({**info, **payload}))
    made, stem = BytesIO(), package.filename("")
    with ZipFile(made, "w", ZIP_STORED) as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        archive.writestr(f"pkg-{stem}.tar.zst", _zstd(_tar(payload)))
        archive.writestr(f"info-{stem}.tar.zst", _zstd(_tar(info)))
    return made.getvalue()


def _paths(package: CondaPackage) -> Iterable[dict[str, object]]:
    contents = {**package.files, **{name: package.files[source] for name, source in package.same.items()}}
    for name, data in contents.items():
        row: dict[str, object] = {"_path": name, "path_type": "hardlink"}
        if how := package.patched.get(name):
            row |= {"prefix_placeholder": PLACEHOLDER, "file_mode": how}
        yield {**row, "sha256": _sha256(data), "size_in_bytes": len(data)}
    for name, leads in package.links.items():
        beside = contents[os.path.normpath(os.path.join(os.path.dirname(name), leads))]
        yield {"_path": name, "path_type": "softlink", "sha256": _sha256(beside), "size_in_bytes": len(beside)}


# -- Node.js ---------------------------------------------------------------------------------

_ROLLUP = "@rollup/rollup-linux-x64-gnu"


def npm_packages(below: Path, *, real: bool = True) -> tuple[Path, ...]:
    """Make two packages with one native addon in both; with ``real``, a published one with a prebuilt addon beside."""
    made = []
    for name in ("left", "right"):
        files = {
            "package/package.json": json.dumps({"name": name, "version": "1.0.0", "main": "index.js"}).encode(),
            "package/index.js": f"module.exports = {name!r};\n".encode() * 40,
            "package/build/Release/addon.node": ADDON,
        }
        path = below / f"{name}-1.0.0.tgz"
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            _add(archive, files)
        made.append(path)
    if real:
        made += sorted(requires_packed("npm").glob("rollup-rollup-linux-x64-gnu-*.tgz"))
    return tuple(made)


def npm(project: Path, packages: Iterable[Path], *, cache: Path) -> Path:
    """Install packed packages into the node_modules of a project, which is returned."""
    requires_tool("npm", package="npm")
    _manifest(project)
    cache.mkdir(parents=True, exist_ok=True)
    options = ["--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", f"--cache={cache}"]
    _run(["npm", "install", *options, *map(str, packages)], cache, at=project)
    return project / "node_modules"


def pnpm(
    project: Path,
    packages: Iterable[Path],
    *,
    store: Path,
    method: Literal["auto", "clone", "hardlink", "copy", "clone-or-copy", ""] = "",
    hoisted: bool = False,
    version: Literal[10, 12] = 12,
) -> Path:
    """Install packed packages into the node_modules of a project, which is returned, through a store.

    ``method`` is its ``package-import-method``; ``hoisted`` lays packages out as npm does it.
    """
    requires_tool("node", package="nodejs")
    program = requires_environment(f"pnpm-{version}") / "node_modules" / ".bin" / "pnpm"
    _manifest(project)
    store.mkdir(parents=True, exist_ok=True)
    # In a file of the project: every version reads it there.
    settings = {"storeDir": str(store), "packageImportMethod": method, "nodeLinker": "hoisted" if hoisted else ""}
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items() if value)
    (project / "pnpm-workspace.yaml").write_text(lines, encoding="utf-8")
    own = {"XDG_CACHE_HOME": str(store / ".home"), "CI": "true", "pnpm_config_offline": "true"}
    _run([str(program), "add", "--offline", "--ignore-scripts", *map(str, packages)], store, own, at=project)
    return project / "node_modules"


def loads_addon(node_modules: Path) -> str:
    """Have Node.js load the real addon out of a node_modules and use it; what it says. Raises AssertionError."""
    script = f"const {{ parse }} = require('{_ROLLUP}'); console.log(typeof parse, parse('x', false, false).length > 0)"
    return _run(["node", "-e", script], node_modules.parent, at=node_modules.parent)


def _manifest(project: Path) -> None:
    project.mkdir(parents=True, exist_ok=True)
    own = {"name": project.name, "version": "1.0.0", "private": True}
    (project / "package.json").write_text(json.dumps(own), encoding="utf-8")


# -- what they have in common ----------------------------------------------------------------


def _run(words: Sequence[str], home: Path, own: Mapping[str, str] | None = None, *, at: Path | None = None) -> str:
    """Start an installer, with a home of its own: nobody's configuration is read. Raises AssertionError."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **(own or {})}
    done = subprocess.run(words, env=environment, cwd=at or "/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)[:400]}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def _tar(files: Mapping[str, bytes | tuple[bytes, str]]) -> bytes:
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        _add(archive, files)
    return made.getvalue()


def _add(archive: tarfile.TarFile, files: Mapping[str, bytes | tuple[bytes, str]]) -> None:
    """Add members, of 1970: bytes, or a kind of link and where it leads."""
    for name, content in files.items():
        member = tarfile.TarInfo(name)
        if isinstance(content, bytes):
            member.size = len(content)
            program = "bin/" in name or ".so" in name or name.endswith(".node")
            member.mode = 0o755 if program else 0o644
            archive.addfile(member, BytesIO(content))
        else:
            member.type, member.linkname = content
            archive.addfile(member)


def _zstd(data: bytes) -> bytes:
    tool = requires_tool("zstd", package="zstd")
    return subprocess.run([tool, "-q", "-1", "-c"], input=data, capture_output=True, check=True).stdout


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
