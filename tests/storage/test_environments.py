"""Environments, caches and owners in small trees that are made here, some of them by somebody who means ill."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from runworthy.model.storage import Environment, Owner
from runworthy.targets.storage.caches import caches_for
from runworthy.targets.storage.environments import environments_of
from runworthy.targets.storage.owners import Owners
from runworthy.targets.storage.peeking import peek
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.walk import Selection, walk

HASH = "ab" * 32
SITE = "lib/python3.12/site-packages"


def made(top: Path, files: Mapping[str, str | bytes]) -> Path:
    """Make files below a directory."""
    for name, data in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return top


def found(*paths: Path) -> dict[str, Environment]:
    """What lies below some paths, by its path."""
    return {one.path: one for one in environments_of(walk(map(str, paths), Selection(min_size=1)), Places())}


def kinds(top: Path, *paths: Path) -> dict[str, str]:
    """The kinds of what lies below, by path relative to a directory."""
    return {os.path.relpath(path, top): one.kind for path, one in found(*(paths or (top,))).items()}


def distribution(name: str, version: str, rows: str, installer: str = "uv") -> dict[str, str | bytes]:
    """The files of a .dist-info directory."""
    info = f"{SITE}/{name}-{version}.dist-info"
    return {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/INSTALLER": installer,
        f"{info}/RECORD": rows,
    }


VENV: Mapping[str, str | bytes] = {
    "pyvenv.cfg": "home = /usr/bin\nuv = 0.8.3\nversion_info = 3.12.4\n",
    f"{SITE}/demo/core.so": "core",
    f"{SITE}/demo/made.bin": "made",
    "bin/demo": "program",
    **distribution(
        "demo", "1.0", "demo/core.so,sha256=q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s,4\n../../../bin/demo,,7\n"
    ),
}


def meta(name: str, version: str, *paths: str, **more: object) -> str:
    """A record of conda-meta."""
    rows = [{"_path": path, "sha256": HASH} for path in paths]
    held = {"name": name, "version": version, "build": "h0", "link": {"type": 1}, "paths_data": {"paths": rows}, **more}
    return json.dumps(held)


# -- which there are -------------------------------------------------------------------------


def test_every_kind_is_recognised(tmp_path: Path) -> None:
    made(tmp_path / "work/venv", VENV)
    made(tmp_path / "work/app", {"package.json": "{}", "node_modules/a/package.json": "{}", "src/data": "x"})
    for name in ("conda", "work/.pixi/envs/default", "work/.magic/envs/default"):
        made(tmp_path / name, {"conda-meta/python-3.12.1-h0_cpython.json": meta("python", "3.12.1", "bin/python")})
    made(tmp_path / "detached", {"conda-meta/history": "", "conda-meta/pixi": '{"pixi_version": "0.40.0"}'})
    made(tmp_path / "root", {"etc/os-release": "ID=alpine\n", "lib/apk/db/installed": "", "bin/sh": "x"})
    made(tmp_path / "caches/uv", {"CACHEDIR.TAG": "", "archive-v0/AbC/x": "x"})
    made(tmp_path / "caches/pip", {"http-v2/a/b": "x", "selfcheck/c": "x"})
    made(tmp_path / "conda/pkgs", {"urls.txt": "", "urls": "", "a-1.0-h0/info/index.json": "{}"})
    made(tmp_path / "caches/rattler/pkgs", {".cache.lock": "", "b-1.0-h0/info/index.json": "{}"})
    made(
        tmp_path / "caches/before/pkgs",
        {"b-1.0-h0.lock": "", "b-1.0-h0/info/index.json": "{}", "b-1.0-h0/info/paths.json": "{}"},
    )
    made(tmp_path / "caches/store/v10", {"files/ab/cd": "x"})
    made(tmp_path / "home/.npm", {"_cacache/content-v2/sha512/aa/bb": "x"})
    assert kinds(tmp_path) == {
        ".": "tree",
        "work/venv": "venv",
        "work/app/node_modules": "node_modules",
        "conda": "conda",
        "conda/pkgs": "conda-cache",
        "work/.pixi/envs/default": "pixi",
        "work/.magic/envs/default": "magic",
        "detached": "pixi",
        "root": "root",
        "caches/uv": "uv-cache",
        "caches/pip": "pip-cache",
        "caches/rattler/pkgs": "rattler-cache",
        "caches/before/pkgs": "rattler-cache",
        "caches/store/v10": "pnpm-store",
        "home/.npm/_cacache": "npm-cache",
    }


def test_what_only_looks_like_one(tmp_path: Path) -> None:
    made(tmp_path, {"a/pyvenv.cfg": "no key\n", "b/conda-meta/readme": "x", "c/urls.txt": "", "d/files/ab/c": "x"})
    made(
        tmp_path, {"e/v1/files/notes/c": "x", "f/CACHEDIR.TAG": "", "g/etc/os-release": "ID=x\n", "h/archive-v0/x": "x"}
    )
    (tmp_path / "i").mkdir()
    (tmp_path / "i/node_modules").symlink_to(tmp_path / "a")
    (tmp_path / "j/pyvenv.cfg").mkdir(parents=True)
    made(tmp_path / "j", {"pyvenv.cfg/x": "x"})
    (tmp_path / "k").mkdir()
    os.mkfifo(tmp_path / "k/pyvenv.cfg")
    assert kinds(tmp_path) == {".": "tree"}


def test_the_outermost_node_modules_is_the_environment(tmp_path: Path) -> None:
    made(
        tmp_path,
        {"package.json": "{}", "node_modules/a/node_modules/b/x": "x", "node_modules/.package-lock.json": "{}"},
    )
    assert kinds(tmp_path) == {".": "tree", "node_modules": "node_modules"}


def test_what_packages_bring_along_is_theirs(tmp_path: Path) -> None:
    """A wheel, a package of conda and one of a distribution may have a node_modules; a cache may hold anything."""
    made(tmp_path / "venv", {**VENV, f"{SITE}/driver/node_modules/a/package.json": "{}"})
    made(tmp_path / "venv", {"app/node_modules/.package-lock.json": "{}"})
    made(tmp_path / "conda", {"conda-meta/history": "", "lib/node_modules/npm/package.json": "{}"})
    cache = {"CACHEDIR.TAG": "", "archive-v0/a/node_modules/b/c": "x", "archive-v0/a/conda-meta/history": "x"}
    made(tmp_path / "uv", {**cache, "environments-v2/tool/pyvenv.cfg": "home = /usr/bin\n"})
    assert kinds(tmp_path) == {
        "venv": "venv",
        "venv/app/node_modules": "node_modules",
        "conda": "conda",
        "uv": "uv-cache",
        "uv/environments-v2/tool": "venv",
    }


def test_a_directory_inside_is_of_the_environment(tmp_path: Path) -> None:
    made(tmp_path / "venv", VENV)
    made(tmp_path / "app", {"node_modules/a/node_modules/b/x": "x"})
    asked = tmp_path / "venv" / SITE / "demo", tmp_path / "app/node_modules/a/node_modules", tmp_path / "venv/bin/demo"
    assert kinds(tmp_path, *asked) == {"venv": "venv", "app/node_modules": "node_modules"}


def test_a_system_holds_its_own_directories_only(tmp_path: Path) -> None:
    made(tmp_path, {"etc/os-release": "", "usr/lib/x/liba.so": "x", "bin/sh": "x", "home/me/data": "x", "lib/x": "x"})
    assert kinds(tmp_path, tmp_path / "usr/lib/x") == {".": "root"}
    assert kinds(tmp_path, tmp_path / "home/me") == {"home/me": "tree"}
    assert kinds(tmp_path) == {".": "root"}


def test_a_tree_without_files_of_its_own_is_not_told(tmp_path: Path) -> None:
    made(tmp_path / "a/venv", VENV)
    assert kinds(tmp_path) == {"a/venv": "venv"}
    made(tmp_path, {"a/notes": "x"})
    assert kinds(tmp_path) == {".": "tree", "a/venv": "venv"}


def test_sums_are_without_what_lies_inside(tmp_path: Path) -> None:
    made(tmp_path, {"one": b"x" * 5000, "venv/more": b"y" * 9000})
    made(tmp_path / "venv", VENV)
    by_path = found(tmp_path)
    tree, venv = by_path[str(tmp_path)], by_path[str(tmp_path / "venv")]
    assert (tree.files, tree.allocated) == (1, (tmp_path / "one").stat().st_blocks * 512)
    names = [path for path in (tmp_path / "venv").rglob("*") if path.is_file()]
    assert (venv.files, venv.allocated) == (len(names), sum(path.stat().st_blocks * 512 for path in names))


# -- who made them, and when they were used --------------------------------------------------


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"pyvenv.cfg": "home = /b\nuv = 0.8.3\nversion_info = 3.12.4\n"}, ("uv", "0.8.3", "3.12")),
        ({"pyvenv.cfg": "home = /b\nvirtualenv = 20.1\n", f"{SITE}/x": "x"}, ("virtualenv", "20.1", "3.12")),
        ({"pyvenv.cfg": "home = /b\nversion = 3.11.2\n"}, ("venv", "", "3.11")),
        (
            {
                "pyvenv.cfg": "home = /b\nversion = 3.12.2\n",
                **distribution("pip", "24.0", "", "pip"),
                **distribution("a", "1", "", "Poetry 1.8.2"),
            },
            ("poetry", "1.8.2", "3.12"),
        ),
        (
            {"pyvenv.cfg": "home = /b\nversion = 3.12.2\n", **distribution("pip", "24.0", "", "pip")},
            ("pip", "24.0", "3.12"),
        ),
        ({"conda-meta/history": "# cmd: /c/bin/conda create\n# conda version: 24.1.2\n"}, ("conda", "24.1.2", "")),
        ({"conda-meta/python-3.12.1-h0_cpython.json": "{}", "conda-meta/history": ""}, ("rattler", "", "3.12")),
        ({"conda-meta/history": "", "conda-meta/pixi": '{"pixi_version": "0.40.0"}'}, ("pixi", "0.40.0", "")),
    ],
)  # fmt: skip
def test_who_made_it(tmp_path: Path, files: Mapping[str, str], told: tuple[str, str, str]) -> None:
    one = found(made(tmp_path, files))[str(tmp_path)]
    assert (one.installer, one.version, one.python) == told


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (".modules.yaml", '{"packageManager": "pnpm@10.1.0"}', ("pnpm", "10.1.0")),
        (".package-lock.json", "{}", ("npm", "")),
        (".yarn-integrity", "{}", ("yarn", "")),
        ("x", "", ("", "")),
    ],
)
def test_who_made_a_node_modules(tmp_path: Path, name: str, text: str, told: tuple[str, str]) -> None:
    made(tmp_path, {f"node_modules/{name}": text or "x", "node_modules/a/x": "x"})
    one = found(tmp_path)[str(tmp_path / "node_modules")]
    assert (one.installer, one.version) == told


def aged(top: Path) -> None:
    """Have everything below a directory be of the year 2001."""
    for path in (*top.rglob("*"), top):
        os.utime(path, (10**9, 10**9))


def test_a_start_of_python_is_a_use(tmp_path: Path) -> None:
    aged(made(tmp_path, VENV))
    os.utime(tmp_path / "pyvenv.cfg", (10**9 + 500, 10**9))
    one = found(tmp_path)[str(tmp_path)]
    assert one.used == (10**9 + 500) * 10**9
    assert one.used_by.startswith("pyvenv.cfg was read")


def test_bytecode_and_installing_are_uses(tmp_path: Path) -> None:
    aged(made(tmp_path, {**VENV, f"{SITE}/demo/__pycache__/a.pyc": "x"}))
    os.utime(tmp_path / SITE / "demo/__pycache__", (10**9, 10**9 + 900))
    one = found(tmp_path)[str(tmp_path)]
    assert (one.used, one.used_by) == ((10**9 + 900) * 10**9, f"{SITE}/demo/__pycache__ was changed")


def test_reading_a_file_with_names_elsewhere_tells_nothing(tmp_path: Path) -> None:
    made(tmp_path, {"conda/conda-meta/history": "", "conda/bin/own": "x", "conda/bin/linked": "x", "pkgs/x": "x"})
    os.link(tmp_path / "conda/bin/linked", tmp_path / "pkgs/linked")
    aged(tmp_path)
    os.utime(tmp_path / "conda/bin/linked", (10**9 + 900, 10**9))
    os.utime(tmp_path / "conda/bin/own", (10**9 + 100, 10**9))
    one = found(tmp_path)[str(tmp_path / "conda")]
    assert one.used == (10**9 + 100) * 10**9


def test_looking_is_no_use(tmp_path: Path) -> None:
    """What is looked at keeps its time of access: the next look would take this one for a use."""
    aged(made(tmp_path, VENV))
    before = (tmp_path / "pyvenv.cfg").stat().st_atime_ns
    environments = found(tmp_path)
    Owners(environments.values()).owner(str(tmp_path / SITE / "demo/core.so"))
    assert (tmp_path / "pyvenv.cfg").stat().st_atime_ns == before


def test_names_with_stars_are_names(tmp_path: Path) -> None:
    made(tmp_path, {"CACHEDIR.TAG": "", "archive-v0/*/*/x": "x", "*/*/x": "x"})
    assert found(tmp_path)[str(tmp_path)].kind == "uv-cache"


# -- whose a file is -------------------------------------------------------------------------


def test_files_of_a_virtual_environment(tmp_path: Path) -> None:
    top = str(made(tmp_path, VENV))
    owner = Owners(found(tmp_path).values()).owner
    manifest = f"{top}/{SITE}/demo-1.0.dist-info/RECORD"
    told = Owner(environment=top, package="demo", version="1.0", installer="uv", manifest=manifest)
    assert owner(f"{top}/bin/demo") == told
    core = owner(f"{top}/{SITE}/demo/core.so")
    assert (core.package, core.recorded) == ("demo", f"sha256:{HASH}")
    assert owner(f"{top}/{SITE}/demo/made.bin") == Owner(environment=top)
    assert owner("/elsewhere/x") == Owner(environment="")


def test_a_record_does_not_reach_out_of_its_environment(tmp_path: Path) -> None:
    rows = "../../../../other/bin/x,,1\n/etc/passwd,,\n../../../bin/./a,,1\ndemo/../other.so,,1\n//x,,\n.,,\n"
    made(tmp_path / "venv", {"pyvenv.cfg": "home = /b\n", **distribution("demo", "1.0", rows), "bin/a": "x"})
    made(tmp_path / "venv", {f"{SITE}/other.so": "x"})
    made(tmp_path / "other", {"bin/x": "x"})
    owner = Owners(found(tmp_path).values()).owner
    assert owner(f"{tmp_path}/other/bin/x").package == ""
    assert owner(f"{tmp_path}/venv/bin/a").package == "demo"
    assert owner(f"{tmp_path}/venv/{SITE}/other.so").package == "demo"


def test_the_later_of_two_that_name_one_file(tmp_path: Path) -> None:
    files = {**distribution("first", "1", "cv2/a.so,,1\n"), **distribution("second", "1", "cv2/a.so,,1\n")}
    made(tmp_path, {"pyvenv.cfg": "home = /b\n", f"{SITE}/cv2/a.so": "x", **files})
    for late, early in (("first", "second"), ("second", "first")):
        os.utime(tmp_path / SITE / f"{early}-1.dist-info/RECORD", (10**9, 10**9))
        os.utime(tmp_path / SITE / f"{late}-1.dist-info/RECORD", (10**9 + 9, 10**9 + 9))
        assert Owners(found(tmp_path).values()).owner(f"{tmp_path}/{SITE}/cv2/a.so").package == late


def test_what_pip_wrote_over_conda_is_of_pip(tmp_path: Path) -> None:
    of_conda = f"{SITE}/kept-1.dist-info/RECORD"
    made(tmp_path, distribution("kept", "1", "kept/a.so,,1\n", "conda"))
    made(tmp_path, distribution("demo", "2", "demo/a.so,,1\n", "pip"))
    made(tmp_path, {f"{SITE}/kept/a.so": "x", f"{SITE}/demo/a.so": "x"})
    made(tmp_path, {"conda-meta/kept-1-h0.json": meta("kept", "1", f"{SITE}/kept/a.so", of_conda)})
    made(
        tmp_path,
        {"conda-meta/demo-1-h0.json": meta("demo", "1", f"{SITE}/demo/a.so", f"{SITE}/demo-1.dist-info/RECORD")},
    )
    owner = Owners(found(tmp_path).values()).owner
    kept, demo = owner(f"{tmp_path}/{SITE}/kept/a.so"), owner(f"{tmp_path}/{SITE}/demo/a.so")
    assert (kept.package, kept.build, kept.installer, kept.recorded) == ("kept", "h0", "rattler", f"sha256:{HASH}")
    assert (demo.package, demo.version, demo.installer) == ("demo", "2", "pip")


def test_sources_that_are_used_in_place(tmp_path: Path) -> None:
    made(tmp_path / "venv", {"pyvenv.cfg": "home = /b\n", **distribution("demo", "1.0", "demo.pth,,1\n")})
    url = {"url": f"file://{tmp_path}/src", "dir_info": {"editable": True}}
    made(tmp_path / "venv", {f"{SITE}/demo-1.0.dist-info/direct_url.json": json.dumps(url)})
    made(tmp_path, {"src/pyproject.toml": "", "src/demo/core.so": "x", "notes": "x"})
    owner = Owners(found(tmp_path).values()).owner
    core = owner(f"{tmp_path}/src/demo/core.so")
    assert (core.environment, core.package, core.editable) == (str(tmp_path), "demo", True)
    assert not owner(f"{tmp_path}/notes").editable
    (tmp_path / "src/pyproject.toml").unlink()
    assert not Owners(found(tmp_path).values()).owner(f"{tmp_path}/src/demo/core.so").editable


def test_packages_in_plain_trees(tmp_path: Path) -> None:
    info = "t/demo-1.0.dist-info"
    made(
        tmp_path,
        {f"{info}/RECORD": "demo/core.so,,1\n", "t/demo/core.so": "x", "t/node_modules/@a/b/x": "x", "t/x/y": "x"},
    )
    made(
        tmp_path,
        {f"py/{path}": data for path, data in distribution("tool", "3", "tool/a,,\n../../../bin/tool,,\n").items()},
    )
    made(tmp_path, {f"py/{SITE}/tool/a": "x", "py/bin/tool": "x"})
    owner = Owners([Environment(path=str(tmp_path), kind="tree", place=Places().place(str(tmp_path)))]).owner
    assert (owner(f"{tmp_path}/t/demo/core.so").package, owner(f"{tmp_path}/t/x/y").package) == ("demo", "")
    assert (owner(f"{tmp_path}/py/{SITE}/tool/a").package, owner(f"{tmp_path}/py/bin/tool").package) == ("tool", "tool")


def test_packages_of_node(tmp_path: Path) -> None:
    made(
        tmp_path,
        {
            "node_modules/a/package.json": '{"name": "a", "version": "1.0.0"}',
            "node_modules/a/dist/package.json": '{"type": "module"}',
            "node_modules/a/dist/x.node": "x",
            "node_modules/a/dist/node_modules/.bin/y": "x",
            "node_modules/@s/b/package.json": '{"name": "@s/b", "version": "2.0.0"}',
            "node_modules/@s/b/node_modules/c/package.json": '{"name": "c", "version": "3.0.0"}',
            "node_modules/@s/b/node_modules/c/x": "x",
            "node_modules/.pnpm/d@1/node_modules/d/package.json": '{"name": "d", "version": "1.0.0"}',
            "node_modules/.pnpm/d@1/node_modules/d/x": "x",
            "node_modules/bad/package.json": "[" * 100_000,
            "node_modules/bad/x": "x",
            "node_modules/.package-lock.json": "{}",
        },
    )
    owner = Owners(found(tmp_path).values()).owner
    names = [
        "a/dist/x.node",
        "a/dist/node_modules/.bin/y",
        "@s/b/x",
        "@s/b/node_modules/c/x",
        ".pnpm/d@1/node_modules/d/x",
    ]
    assert [owner(f"{tmp_path}/node_modules/{name}").package for name in names] == ["a", "a", "@s/b", "c", "d"]
    assert owner(f"{tmp_path}/node_modules/a/x").installer == "npm"
    for name in ("bad/x", ".package-lock.json", ".bin/x", "a"):
        assert owner(f"{tmp_path}/node_modules/{name}").package == ""


def test_packages_of_a_system(tmp_path: Path) -> None:
    dpkg = "var/lib/dpkg"
    made(
        tmp_path,
        {
            "etc/os-release": "",
            "bin/x": "x",
            f"{dpkg}/status": "Package: libc6\nArchitecture: amd64\nVersion: 2.36-9\n\nPackage: dash\nVersion: 0.5\n",
            f"{dpkg}/info/libc6:amd64.list": "/.\n/lib/x86_64-linux-gnu/libc.so.6\n",
            f"{dpkg}/info/dash.list": "/bin/sh\n",
            f"{dpkg}/diversions": "/bin/sh\n/bin/sh.distrib\ndash\n",
            "usr/lib/x86_64-linux-gnu/libc.so.6": "x",
            "app/node_modules/a/package.json": '{"name": "a"}',
        },
    )
    owner = Owners(environments_of(walk([str(tmp_path)], Selection(min_size=1)), Places())).owner
    libc = owner(f"{tmp_path}/usr/lib/x86_64-linux-gnu/libc.so.6")
    assert (libc.package, libc.version, libc.installer) == ("libc6", "2.36-9", "dpkg")
    assert owner(f"{tmp_path}/usr/bin/sh.distrib").package == ""
    assert owner(f"{tmp_path}/bin/sh.distrib").package == "dash"
    assert owner(f"{tmp_path}/app/node_modules/a/x").package == "a"
    assert owner(f"{tmp_path}/etc/os-release").package == ""


def test_packages_in_caches(tmp_path: Path) -> None:
    archive = {
        "demo-1.0.dist-info/RECORD": "demo/a.so,,1\n",
        "demo-1.0.dist-info/METADATA": "Name: Demo\nVersion: 1.0\n",
    }
    made(tmp_path / "uv", {"CACHEDIR.TAG": "", "archive-v0/Ab/demo/a.so": "x"})
    made(tmp_path / "uv/archive-v0/Ab", archive)
    made(
        tmp_path / "pkgs",
        {"urls.txt": "", "a-1.0-h0.conda": "x", "a-1.0-h0/lib/a.so": "x", "bad/info/index.json": "x", "bad/y": "x"},
    )
    paths = {"paths": [{"_path": "lib/a.so", "sha256": HASH}]}
    made(tmp_path / "pkgs/a-1.0-h0/info", {"index.json": '{"name": "a", "version": "1.0", "build": "h0"}'})
    made(tmp_path / "pkgs/a-1.0-h0/info", {"paths.json": json.dumps(paths)})
    digest = "cd" * 64
    entry = {"name": "n", "version": "1", "files": {"x": {"integrity": "sha512-" + "zc3N" * 21 + "zQ=="}}}
    made(tmp_path / "store/v10", {f"files/cd/{digest[2:]}-exec": "x", "index/ab/x.json": json.dumps(entry)})
    owners = Owners(found(tmp_path).values())
    assert owners.owner(f"{tmp_path}/uv/archive-v0/Ab/demo/a.so").package == "Demo"
    assert owners.owner(f"{tmp_path}/uv/sdists/x-1.0-py3-none-any.whl").package == "x"
    assert owners.owner(f"{tmp_path}/pkgs/a-1.0-h0.conda").package == "a"
    held = owners.owner(f"{tmp_path}/pkgs/a-1.0-h0/lib/a.so")
    assert (held.package, held.build, held.installer, held.recorded) == ("a", "h0", "conda", f"sha256:{HASH}")
    assert owners.owner(f"{tmp_path}/pkgs/bad/y").package == ""
    stored = owners.owner(f"{tmp_path}/store/v10/files/cd/{digest[2:]}-exec")
    assert stored.recorded == f"sha512:{digest}"
    assert [path for path, _ in owners.problems] == [f"{tmp_path}/pkgs/bad/info/index.json"]


# -- what means ill --------------------------------------------------------------------------


def test_records_that_are_no_files(tmp_path: Path) -> None:
    made(tmp_path, {"pyvenv.cfg": "home = /b\n", f"{SITE}/demo/a.so": "x", "secret": "demo/a.so,,\n"})
    for name in ("fifo", "link", "directory", "large", "torn"):
        (tmp_path / SITE / f"{name}-1.dist-info").mkdir()
    os.mkfifo(tmp_path / SITE / "fifo-1.dist-info/RECORD")
    (tmp_path / SITE / "link-1.dist-info/RECORD").symlink_to(tmp_path / "secret")
    (tmp_path / SITE / "directory-1.dist-info/RECORD").mkdir()
    with open(tmp_path / SITE / "large-1.dist-info/RECORD", "wb") as sparse:
        sparse.truncate(1 << 30)
    (tmp_path / SITE / "torn-1.dist-info/RECORD").write_bytes(b'"' + b"demo/a.so,,\n" * 20_000)
    (tmp_path / SITE / "outside-1.dist-info").symlink_to(tmp_path)
    (tmp_path / SITE / "loop").symlink_to(".")
    owners = Owners(found(tmp_path).values())
    assert owners.owner(f"{tmp_path}/{SITE}/demo/a.so").package == ""
    told = {Path(path).parent.name.partition("-")[0] for path, _ in owners.problems}
    assert told == {"fifo", "link", "directory", "large", "torn"}


def test_json_of_any_shape(tmp_path: Path) -> None:
    texts = (
        "[" * 100_000,
        "{}",
        "null",
        '{"paths_data": {"paths": [[], {"_path": "../x"}, {"_path": "/etc/y"}]}}',
        "\0",
    )
    made(tmp_path, {f"conda-meta/a{number}.json": text for number, text in enumerate(texts)})
    made(tmp_path, {"bin/x": "x"})
    owners = Owners(found(tmp_path).values())
    assert owners.owner(f"{tmp_path}/bin/x").package == ""
    assert len(owners.problems) == 3


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = b"b\xff\n.so"
    made(tmp_path, {"pyvenv.cfg": "home = /b\n", **distribution("demo", "1.0", "")})
    (tmp_path / SITE / "demo-1.0.dist-info/RECORD").write_bytes(b'"demo/' + name + b'",,1\n')
    (tmp_path / SITE / "demo").mkdir()
    path = os.fsencode(tmp_path / SITE / "demo") + b"/" + name
    with open(path, "wb") as file:
        file.write(b"x")
    owner = Owners(found(tmp_path).values()).owner(os.fsdecode(path))
    assert owner.package == "demo"


def test_what_is_kept_is_bounded_and_shared(tmp_path: Path) -> None:
    rows = "".join(f"demo/{number}.so,sha256=AA,1\n" for number in range(60))
    for name in ("a", "b", "c"):
        made(
            tmp_path / name,
            {"pyvenv.cfg": "home = /b\n", f"{SITE}/demo/0.so": "x", **distribution("demo", "1.0", rows)},
        )
    environments = tuple(found(tmp_path).values())
    paths = [f"{tmp_path}/{name}/{SITE}/demo/{number}.so" for number in range(60) for name in ("a", "b", "c")]
    for most in (10**6, 30):
        owners = Owners(environments, most=most)
        assert {owners.owner(path).package for path in paths} == {"demo"}
        assert owners.kept < 120  # three times 60 rows, kept once


def test_peek_refuses_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for name, number in (("fifo", errno.EINVAL), ("link", errno.ELOOP), (".", errno.EINVAL), ("none", errno.ENOENT)):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number tells
            peek(f"{tmp_path}/{name}", 10)
        assert caught.value.errno == number


# -- caches ----------------------------------------------------------------------------------


def caches(top: Path, variables: Mapping[str, str], *paths: Path) -> dict[str, str]:
    """The caches of what lies below some paths, relative to a directory."""
    told = caches_for(found(*paths).values(), variables)
    return {os.path.relpath(one.path, top): one.kind for one in told}


UV = {"CACHEDIR.TAG": "", "archive-v0/x/y": "z"}


def test_caches_of_uv(tmp_path: Path) -> None:
    made(tmp_path / "venv", VENV)
    for name in ("named", "home/.cache/uv", "xdg/uv", "told"):
        made(tmp_path / name, UV)
    made(tmp_path / "home", {".config/uv/uv.toml": f'cache-dir = "{tmp_path}/told"\n'})
    home = {"HOME": f"{tmp_path}/home"}
    assert caches(tmp_path, home, tmp_path / "venv") == {"home/.cache/uv": "uv-cache", "told": "uv-cache"}
    both = {"XDG_CACHE_HOME": f"{tmp_path}/xdg", "UV_CACHE_DIR": f"{tmp_path}/named"}
    assert caches(tmp_path, both, tmp_path / "venv") == {"xdg/uv": "uv-cache", "named": "uv-cache"}
    assert caches(tmp_path, {}, tmp_path / "venv") == {}
    assert caches(tmp_path, {"UV_CACHE_DIR": "named"}, tmp_path / "venv") == {}
    assert caches(tmp_path, both, tmp_path / "venv", tmp_path / "named") == {"xdg/uv": "uv-cache"}


def test_no_caches_for_those_who_always_copy(tmp_path: Path) -> None:
    made(tmp_path / "venv", {"pyvenv.cfg": "home = /b\n", **distribution("a", "1", "", "pip")})
    made(tmp_path / "home/.cache/uv", UV)
    made(tmp_path / "home/.cache/pip", {"http-v2/a/b": "x", "selfcheck/c": "x"})
    assert caches(tmp_path, {"HOME": f"{tmp_path}/home"}, tmp_path / "venv") == {}


def test_caches_of_conda(tmp_path: Path) -> None:
    for name in ("base/pkgs", "named", "told", "listed", "other", "home/.conda/pkgs"):
        made(tmp_path / name, {"urls.txt": "", "urls": "", "x": "x"})
    record = meta("a", "1", "lib/a", extracted_package_dir=f"{tmp_path}/told/a-1-h0")
    made(
        tmp_path / "base/envs/one", {"conda-meta/a-1-h0.json": record, "conda-meta/history": "# conda version: 24.1\n"}
    )
    made(
        tmp_path / "home",
        {".condarc": "channels:\n  - x\npkgs_dirs:\n  - ~/../listed # mine\n  - $X/other\nenvs_dirs: []\n"},
    )
    variables = {"HOME": f"{tmp_path}/home", "X": str(tmp_path), "CONDA_PKGS_DIRS": f"{tmp_path}/named, /none"}
    names = "base/pkgs named told listed other home/.conda/pkgs".split()
    assert caches(tmp_path, variables, tmp_path / "base/envs") == dict.fromkeys(sorted(names), "conda-cache")


def test_caches_of_rattler_and_pixi(tmp_path: Path) -> None:
    made(tmp_path / "p/.pixi/envs/default", {"conda-meta/history": "", "conda-meta/pixi": "{}"})
    for name in ("home/.cache/rattler/cache", "named", "told"):
        made(
            tmp_path / name,
            {"pkgs/.cache.lock": "", "pkgs/x": "x", **{f"uv-cache/{path}": text for path, text in UV.items()}},
        )
    made(tmp_path / "home", {".pixi/config.toml": f'[cache]\nroot = "{tmp_path}/told"\n'})
    variables = {"HOME": f"{tmp_path}/home", "PIXI_CACHE_DIR": f"{tmp_path}/named"}
    found_there = caches(tmp_path, variables, tmp_path / "p")
    assert found_there == {
        f"{name}/{inside}": kind
        for name in ("home/.cache/rattler/cache", "named", "told")
        for inside, kind in (("pkgs", "rattler-cache"), ("uv-cache", "uv-cache"))
    }


def test_stores_of_pnpm(tmp_path: Path) -> None:
    for name in ("told/v3", "home/.local/share/pnpm/store/v10", "named/store/v11"):
        made(tmp_path / name, {"files/ab/cd": "x"})
    made(
        tmp_path / "p/node_modules",
        {".modules.yaml": f"packageManager: pnpm@5.1.0\nstoreDir: {tmp_path}/told/v3\n", "a/x": "x"},
    )
    variables = {"HOME": f"{tmp_path}/home", "PNPM_HOME": f"{tmp_path}/named"}
    names = ("told/v3", "home/.local/share/pnpm/store/v10", "named/store/v11")
    assert caches(tmp_path, variables, tmp_path / "p") == dict.fromkeys(sorted(names), "pnpm-store")


def test_an_environment_cannot_have_anything_looked_at(tmp_path: Path) -> None:
    """What it says is a cache must be one."""
    record = meta("a", "1", "lib/a", extracted_package_dir="/etc/x")
    made(tmp_path / "env", {"conda-meta/a-1-h0.json": record})
    made(tmp_path / "p/node_modules", {".modules.yaml": "storeDir: /etc\npackageManager: pnpm@5.1.0\n", "a/x": "x"})
    assert caches(tmp_path, {}, tmp_path) == {}
