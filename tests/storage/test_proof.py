"""Real environments, by real installers, on real file systems: searched, shared and taken back by the command line."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import runworthy
from runworthy.model.records import replace
from tests.elfwriter import elf
from tests.judges.roots import home, requires_environment, requires_packed, requires_tool
from tests.report.test_document import validate
from tests.storage import ground, installers, proving
from tests.storage.proving import Seen
from tests.wheels import pack_wheel

pytestmark = [pytest.mark.judge, pytest.mark.slow]

_BLOCK = {"ext4": 4096, "xfs": 4096, "btrfs": 16384}
"""What each takes at the least for anything: btrfs counts its trees as used, in nodes of 16 KiB."""
_REFLINKS = ("btrfs", "xfs")


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have a journal, an index and a home of one's own, off the disks that are measured."""
    monkeypatch.setenv("RUNWORTHY_JUDGES", str(home()))
    for name, directory in (("HOME", "home"), ("XDG_STATE_HOME", "state"), ("RUNWORTHY_CACHE_DIR", "index")):
        (tmp_path / directory).mkdir()
        monkeypatch.setenv(name, str(tmp_path / directory))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "UV_CACHE_DIR", "UV_LINK_MODE"):
        monkeypatch.delenv(name, raising=False)


# -- before, after, and back -----------------------------------------------------------------


def _proved(
    disk: ground.Ground, tops: Iterable[Path], works: Callable[[], object], smallest: str = "64k"
) -> dict[str, Any]:
    """Prove a search, sharing and its undoing; return what was found."""
    tops, block = list(tops), _BLOCK[disk.kind]
    works()
    proving.settle(disk.path)
    before = proving.seen(disk.path)
    _equals_jdupes(tops)
    used = disk.used()
    words: list[str | Path] = [*tops, "--min-size", smallest]
    planned = proving.dedupe(*words, "--dry-run")
    assert disk.used() == used
    told = proving.dedupe(*words, "--apply")
    freed = used - disk.used()
    assert planned["actions"] == told["actions"]
    assert told["reclaimed"]["left"] == []
    shared = told["reclaimed"]["shared"]
    assert len(shared) == len(told["actions"]) > 0
    claimed = told["totals"]["frees"]
    assert claimed == told["reclaimed"]["estimated"] > 0
    assert abs(sum(one["frees"] for one in shared) - claimed) <= block * len(shared)
    assert abs(freed - claimed) <= block * len(shared), (freed, claimed, len(shared))
    assert abs(told["reclaimed"]["measured"] - freed) <= block * len(shared)
    after = proving.seen(disk.path)
    _is_as_it_was(before, after, disk.kind)
    works()
    second = proving.dedupe(*words)
    assert second["totals"]["frees"] == 0
    assert second["actions"] == []
    again = proving.dedupe(*words, "--no-index")
    assert again["actions"] == []
    assert {key: again["totals"][key] for key in ("sets", "spares", "again")} == {
        key: second["totals"][key] for key in ("sets", "spares", "again")
    }
    proving.command("undo")
    back = proving.seen(disk.path)
    assert abs(disk.used() - used) <= block * len(shared)
    _is_back(before, back, disk.kind)
    works()
    return told


def _equals_jdupes(tops: Iterable[Path]) -> None:
    """Sets of names: of all files that are not empty, without caches."""
    found = runworthy.dedupe(list(tops), min_size=1, caches=False, index=False, reasons=False)
    ours = {frozenset(name for file in one.files for name in file.names) for one in found.copies}
    theirs = proving.jdupes(tops)
    assert ours == theirs
    assert theirs


def _is_as_it_was(before: Mapping[str, Seen], after: Mapping[str, Seen], kind: str) -> None:
    """Where extents are shared nothing has changed at all, the times of changes of status among it.

    Where hard links are made a name that leads to another inode has the times of that one, and nothing else of it has
    changed; directories that held such a name were changed then. The one that stays has got names, and so has a new
    time of its status.
    """
    if kind in _REFLINKS:
        assert before == after
        return
    assert proving.without(before, "inode", "links", "blocks", "atime", "mtime", "ctime") == proving.without(
        after, "inode", "links", "blocks", "atime", "mtime", "ctime"
    )
    of_inode = {one.inode: one for one in before.values()}
    moved = {path for path, one in after.items() if one.inode != before[path].inode}
    masters = {after[path].inode for path in moved}
    touched = {os.path.dirname(path) for path in moved}
    assert moved
    for path, now in after.items():
        was = before[path]
        if path in moved:
            kept = of_inode[now.inode]
            assert stat.S_ISREG(now.mode)
            assert (now.atime, now.mtime) == (kept.atime, kept.mtime)
        elif now.inode in masters:
            assert (now.atime, now.mtime) == (was.atime, was.mtime)
            assert now.links > was.links
        elif path not in touched:
            assert now == was, path
    assert not {before[path].inode for path in moved} & {
        one.inode for one in after.values()
    }  # they went with all names


def _is_back(before: Mapping[str, Seen], back: Mapping[str, Seen], kind: str) -> None:
    """Everything is as it was, but the number of an inode that was made anew and the time of its last change of status.

    How a copy lies on the disk is for the file system: its map may take a block more or less.
    """
    if kind in _REFLINKS:
        assert before == back
        return
    assert proving.without(before, "inode", "ctime", "blocks") == proving.without(back, "inode", "ctime", "blocks")
    assert proving.linked(before) == proving.linked(back)
    assert all(abs(one.blocks - back[path].blocks) * 512 <= 2 * _BLOCK[kind] for path, one in before.items())


@pytest.mark.parametrize("kind", ground.KINDS)
def test_numpy_scipy_and_pyarrow(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By uv in each of its modes, and by pip."""
    with ground.made(kind, tmp_path, megabytes=4000) as disk:
        monkeypatch.setenv("UV_CACHE_DIR", str(disk.path / "uv"))
        work = disk.path / "work"
        made = [
            _science(work / (mode or by) / ".venv", disk.path / by, by=by, mode=mode)
            for by, mode in (("uv", "copy"), ("uv", "hardlink"), ("uv", "clone"), ("pip", ""))
        ]
        told = _proved(disk, [work], lambda: [installers.imports(one) for one in made])
        assert {one["how"] for one in told["reclaimed"]["shared"]} == {"hardlink" if kind == "ext4" else "extents"}
        assert told["totals"]["frees"] > (500 << 20 if kind == "ext4" else 280 << 20)


def _science(path: Path, cache: Path, **how: Any) -> Path:  # noqa: ANN401 - those of `venv`
    return installers.venv(path, sorted(requires_packed("science").glob("*.whl")), cache=cache, **how)


@pytest.mark.parametrize("kind", ground.KINDS)
def test_packages_of_conda_and_of_node(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two projects each by py-rattler, npm and pnpm (two ways), with every file that is not empty."""
    with ground.made(kind, tmp_path, megabytes=1000) as disk:
        work = disk.path / "work"
        monkeypatch.setenv("RATTLER_CACHE_DIR", str(disk.path / "rattler"))
        channel, packed = installers.channel(tmp_path, installers.SEED), installers.npm_packages(tmp_path)
        for name in "ab":
            installers.conda(work / f"magic-{name}", channel, cache=disk.path / "rattler", layout="magic")
        trees = [installers.npm(work / f"npm-{name}", packed, cache=disk.path / "npm") for name in "ab"]
        for method in ("copy", ""):
            trees += [
                installers.pnpm(work / f"pnpm-{method}-{name}", packed, store=disk.path / "store", method=method)
                for name in "ab"
            ]
        _proved(disk, [work], lambda: [installers.loads_addon(one) for one in trees], "1")


# -- the case that all this began with -------------------------------------------------------

_MONNX = ("lib/libmonnx.so", "lib/python3.12/site-packages/max/lib/libmonnx.so")


@pytest.mark.parametrize("kind", ground.KINDS)
def test_two_packages_with_one_library(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All names of the one that goes are moved, that of the cache among them, and it is freed; else nothing is told so.

    What was written a moment ago is counted too: nothing has been written out by then.
    """
    channel = installers.channel(tmp_path, [_with_who_needs_it(one) for one in installers.SEED])
    with ground.made(kind, tmp_path) as disk:
        cache = disk.path / "rattler"
        made = installers.conda(disk.path / "project", channel, cache=cache, layout="magic")
        options = (made.parents[2], "--only", "libmonnx.so", "--dry-run")
        (blind,) = _spares(proving.dedupe(*options, "--no-caches"))
        assert (blind["bar"], blind["frees"]) == ("links-outside" if kind == "ext4" else "storage-outside", 0)
        assert proving.dedupe(*options, "--no-caches")["actions"] == []
        monkeypatch.setenv("RATTLER_CACHE_DIR", str(cache))
        used = disk.used()
        told = proving.dedupe(*options)
        assert set(_codes(told)) == {"RW806"}
        moved = {path for action in told["actions"] for path in action["paths"]}
        in_cache = {str(path) for path in cache.rglob("libmonnx.so")}
        assert len(in_cache) == 2
        assert (len(moved & in_cache), len(moved - in_cache)) == (1, 1)
        took = (made / _MONNX[0]).stat().st_blocks * 512
        assert told["totals"]["frees"] == took
        proving.command("dedupe", *options[:-1], "--apply")
        assert abs(used - disk.used() - took) <= 2 * _BLOCK[kind]
        one, other = (made / name for name in _MONNX)
        assert one.read_bytes() == other.read_bytes()
        if kind == "ext4":
            assert one.stat().st_ino == other.stat().st_ino
            assert one.stat().st_nlink == 4
        else:
            assert ground.extents(one) == ground.extents(other)
        proving.command("undo")
        assert abs(used - disk.used()) <= 2 * _BLOCK[kind]


def _with_who_needs_it(package: installers.CondaPackage) -> installers.CondaPackage:
    """Have a package ship what needs its library, by the name and from beside it."""
    (library,) = (name for name in package.files if name.endswith("/libmonnx.so"))
    needing = elf(soname="libneeding.so", needed=["libmonnx.so"], runpath="$ORIGIN")
    return replace(package, files={**package.files, library.replace("libmonnx", "libneeding"): needing})


def test_what_may_be_loaded_twice_is_asked_for(
    ext4: ground.Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a library that nobody needs by a name it is not known who opens it: it is linked when that is asked for."""
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(ext4.path / "rattler"))
    channel = installers.channel(tmp_path, installers.SEED)
    made = installers.conda(ext4.path / "project", channel, cache=ext4.path / "rattler", layout="magic")
    options = (ext4.path / "project", "--only", "libmonnx.so", "--apply")
    (spare,) = _spares(proving.dedupe(*options))
    assert (spare["bar"], spare["frees"]) == ("one-library", 0)
    used = ext4.used()
    told = proving.dedupe(*options, "--within-env")
    assert len({(made / name).stat().st_ino for name in _MONNX}) == 1
    assert (made / _MONNX[0]).stat().st_nlink == 4
    assert abs(used - ext4.used() - told["totals"]["frees"]) <= _BLOCK["ext4"]


@pytest.mark.parametrize("kind", _REFLINKS)
def test_what_a_cache_that_is_not_looked_at_shares_is_not_freed(kind: str, tmp_path: Path) -> None:
    """By uv, that makes reflinks: the copies of pip go instead, and what is told is what becomes free."""
    packages = installers.wheels(tmp_path)
    with ground.made(kind, tmp_path) as disk:
        work = disk.path / "work"
        installers.venv(work / "a", packages, cache=disk.path / "pip", by="pip")
        for name in "bc":
            installers.venv(work / name, packages, cache=disk.path / "uv", mode="clone")
        used = disk.used()
        told = proving.dedupe(work, "--no-caches", "--only", "_core.so", "--only", "libarrow.so.2000.0.0", "--apply")
        assert len(told["reclaimed"]["shared"]) == 2
        assert {Path(one["path"]).relative_to(work).parts[0] for one in told["reclaimed"]["shared"]} == {"a"}
        assert abs(used - disk.used() - told["totals"]["frees"]) <= 3 * _BLOCK[kind]


def _spares(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(told["spares"])


def _codes(told: Mapping[str, Any]) -> list[str]:
    return [finding["code"] for result in told["results"] for finding in result["findings"]]


# -- inside one environment ------------------------------------------------------------------

_DATA = "int again(void) { static int count; return ++count; }"
_COUNTING = r"""
#include <Python.h>
int again(void);
static int count;
static PyObject *same(PyObject *self, PyObject *nothing) { return PyLong_FromLong(again()); }
static PyObject *next(PyObject *self, PyObject *nothing) { return PyLong_FromLong(++count); }
static PyMethodDef methods[] = {{"next", next, METH_NOARGS, 0}, {"same", same, METH_NOARGS, 0}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_counter", 0, -1, methods};
PyMODINIT_FUNC PyInit__counter(void) { return PyModule_Create(&module); }
"""
_COUNTS = (
    "import one._counter as one, two._counter as two; print(one.next(), two.next(), one.next(), one.same(), two.same())"
)


def test_two_libraries_of_a_process_stay_two(
    ext4: ground.Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two modules has a counter of its own, until somebody wants it otherwise.

    The library that both find by its name is one already, whichever file it is loaded from: its two files become one.
    """
    monkeypatch.setenv("UV_CACHE_DIR", str(ext4.path / "uv"))
    made = installers.venv(ext4.path / ".venv", _two_packages(tmp_path), cache=ext4.path / "uv", mode="hardlink")
    data = [f"{name}/libdata.so.1" for name in ("one", "two")]
    words: list[str | Path] = [made, "--min-size", "1k"]
    assert _counted(made) == [1, 1, 2, 1, 2]
    told = proving.dedupe(*words, "--apply")
    assert {one["bar"] for one in _spares(told) if "_counter" in one["path"]} == {"one-library"}
    site = installers.site_packages(made)
    assert len({(site / name).stat().st_ino for name in data}) == 1
    assert {(site / name).stat().st_nlink for name in data} == {4}
    assert _counted(made) == [1, 1, 2, 1, 2]
    said = proving.command("dedupe", *words, "--dry-run", "--within-env")
    assert "1 file becomes one library with another of the same environment" in said
    proving.command("dedupe", *words, "--apply", "--within-env")
    assert _counted(made) == [1, 2, 3, 1, 2]
    for _ in range(2):
        proving.command("undo")
        assert _counted(made) == [1, 1, 2, 1, 2]
    assert {(site / name).stat().st_nlink for name in data} == {2}


def _two_packages(below: Path) -> tuple[Path, ...]:
    python = requires_environment("installers") / "bin" / "python"
    suffix, include = subprocess.run(
        [python, "-c", "import sysconfig as s; print(s.get_config_var('EXT_SUFFIX'), s.get_path('include'))"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    compiler = requires_tool("gcc", package="gcc")
    data, module = below / "libdata.so.1", below / "counter.so"
    rest = ("-xnone", f"-L{below}", "-l:libdata.so.1", "-Wl,-rpath,$ORIGIN")
    for source, path, before, after in (
        (_DATA, data, "-Wl,-soname,libdata.so.1", ()),
        (_COUNTING, module, f"-I{include}", rest),
    ):
        flags = ("-shared", "-fPIC", "-O1", before, "-o", str(path), "-xc", "-", *after)
        subprocess.run([compiler, *flags], input=source.encode(), check=True)
    for name in ("one", "two"):
        files = {
            f"{name}/__init__.py": b"",
            f"{name}/_counter{suffix}": module.read_bytes(),
            f"{name}/libdata.so.1": data.read_bytes(),
        }
        (below / f"{name}-1.0-py3-none-any.whl").write_bytes(pack_wheel(f"{name}-1.0-py3-none-any.whl", files))
    return tuple(below / f"{name}-1.0-py3-none-any.whl" for name in ("one", "two"))


def _counted(path: Path) -> list[int]:
    words = [str(path / "bin" / "python"), "-I", "-B", "-c", _COUNTS]
    return [int(one) for one in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()]


# -- where the cache lies ----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["another file system", "a bind mount", "copy mode"])
def test_advice_is_what_helps(where: str, ext4: ground.Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is told, was tried, and keeps copies away when it is followed."""
    packages, work = installers.wheels(tmp_path), ext4.path / "work"
    with ground.made("xfs", tmp_path) as far, ground.bound(ext4.path / "store", ext4.path / "seen") as seen:
        cache = {"another file system": far.path / "uv", "a bind mount": seen, "copy mode": ext4.path / "uv"}[where]
        monkeypatch.setenv("UV_CACHE_DIR", str(cache))
        mode: Any = "copy" if where == "copy mode" else ""
        for name in "ab":
            installers.venv(work / name / ".venv", packages, cache=cache, mode=mode)
        told = proving.dedupe(work, "--only", "_core.so", "--advise")
        code = {"another file system": "RW801", "a bind mount": "RW802", "copy mode": "RW805"}[where]
        assert set(_codes(told)) == {code}
        (advice,) = told["advice"]
        assert advice["works"] is True
        setting, _, value = advice["setting"].partition(" = ")
        value = value.strip('"')
        if where == "copy mode":
            assert (setting, value) == ("link-mode", "hardlink")
            made = installers.venv(work / "c" / ".venv", packages, cache=cache, mode="hardlink")
        else:
            assert setting == "cache-dir"
            assert value.startswith(f"{ext4.path}/")
            made = installers.venv(work / "c" / ".venv", packages, cache=Path(value))
        (core,) = made.rglob("_core.so")
        assert core.stat().st_nlink > 1


def test_another_subvolume(btrfs: ground.Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a cache without copying on write no reflinks can be made either: the trial says so of what would help else."""
    packages, cache, work = installers.wheels(tmp_path), btrfs.subvolume("cache"), btrfs.path / "work"
    subprocess.run([requires_tool("chattr", package="e2fsprogs"), "+C", cache], check=True)
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    made = [installers.venv(work / name / ".venv", packages, cache=cache) for name in "ab"]
    files = [next(one.rglob("_core.so")) for one in made]
    assert not {*ground.extents(files[0])} & {*ground.extents(files[1])}
    told = proving.dedupe(work, "--only", "_core.so", "--advise")
    assert set(_codes(told)) == {"RW803"}
    (advice,) = told["advice"]
    assert advice["setting"] == 'link-mode = "clone"'
    assert advice["works"] is False
    again = installers.venv(work / "c" / ".venv", packages, cache=cache, mode="clone")
    assert not {*ground.extents(next(again.rglob("_core.so")))} & {*ground.extents(next(cache.rglob("_core.so")))}


# -- in jobs and hooks -------------------------------------------------------------------------


@pytest.fixture
def shop(ext4: ground.Ground, tmp_path: Path) -> Path:
    """Two environments by pip: each has three names of one library, and all of both is stored twice."""
    for name in "ab":
        installers.venv(ext4.path / "work" / name, installers.wheels(tmp_path), cache=tmp_path / "pip", by="pip")
    return ext4.path / "work"


def test_a_limit_ends_it_with_one(shop: Path) -> None:
    frees = proving.dedupe(shop)["totals"]["frees"]
    assert frees > 1 << 20
    proving.command("dedupe", shop, "--fail-over", "1k", code=1)
    proving.command("dedupe", shop, "--fail-over", f"{frees}", code=0)
    proving.command("dedupe", shop, "--fail-over", f"{frees - 1}", "-q", code=1)
    proving.command("dedupe", shop, "--fail-over", "1k", "--dry-run", code=1)
    proving.command("dedupe", shop, "--fail-over", "much", code=2)
    proving.command("dedupe", shop / "nothing", "--fail-over", "1k", code=3)
    proving.command("dedupe", shop, "--fail-over", "0", "--apply", code=0)
    proving.command("dedupe", shop, "--fail-over", "0", code=0)


def test_the_guard_tells_what_is_new(shop: Path, tmp_path: Path) -> None:
    before = proving.dedupe(shop)
    first = proving.dedupe(shop, "--new")
    assert [one["path"] for one in _spares(first)] == [one["path"] for one in _spares(before)] != []
    second = proving.dedupe(shop, "--new")
    assert (_spares(second), _codes(second), second["totals"]["frees"]) == ([], [], 0)
    proving.command("dedupe", shop, "--new", "--fail-over", "1k", "-q", code=0)
    made = installers.venv(shop / "c", tuple(sorted(tmp_path.glob("*.whl"))), cache=tmp_path / "pip", by="pip")
    third = proving.dedupe(shop, "--new")
    assert _spares(third)
    assert all(one["path"].startswith(f"{made}/") for one in _spares(third))
    proving.dedupe(shop, "--new")
    assert proving.dedupe(shop)["totals"]["spares"] == first["totals"]["spares"] + third["totals"]["spares"]


def test_what_nothing_has_used_is_told(shop: Path) -> None:
    old = 1_600_000_000
    for directory, inner, files in os.walk(shop / "a"):
        for name in (*inner, *files, "."):
            os.utime(os.path.join(directory, name), (old, old), follow_symlinks=False)
    told = proving.dedupe(shop, "--unused", "30d")
    assert [one["environment"] for one in told["idle"]] == [str(shop / "a")]
    assert "RW830" in _codes(told)
    assert proving.dedupe(shop)["idle"] == []
    assert (shop / "a").is_dir()


def test_what_is_looked_at_and_how_it_is_told(shop: Path) -> None:
    def names(*words: str) -> set[str]:
        return {os.path.basename(one["path"]) for one in _spares(proving.dedupe(shop, *words))}

    vendored, chain = "libgfortran-8a9d7c.so.5", {"libarrow.so", "libarrow.so.2000", "libarrow.so.2000.0.0"}
    assert names("--only", "*.so*") == {"_core.so", vendored, *chain}
    assert names("--only", "_c*", "--only", "*.5") == {"_core.so", vendored}
    assert names() == {"_core.so", vendored, *chain}
    assert {"__init__.py", "_core.so"} < names("--min-size", "1")
    assert names("--min-size", "10m") == set()
    validate(proving.command("dedupe", shop, "--format", "json"), "runworthy.dedupe-1.json")
    validate(proving.command("dedupe", shop, "--format", "json", "-v", "--apply"), "runworthy.dedupe-1.json")
    proving.command("undo")
    for words, part in (
        (("--format", "text", "--view", "files"), "_core.so"),
        (("--format", "text", "--view", "packages"), "second 2.0"),
        (("--format", "markdown"), "|"),
        (("--format", "html"), "<!doctype html>"),
        (("-q",), "is stored again in 2 environments"),
    ):
        said = proving.command("dedupe", shop, *words)
        assert part.lower() in said.lower(), words


# -- whose they are, and what they are called ---------------------------------------------------


def test_files_of_somebody_else_are_left(everywhere: ground.Ground, tmp_path: Path) -> None:
    """An ordinary user is told why, and nothing has changed; what is his own he shares."""
    data = os.urandom(200_000)
    theirs, own = everywhere.path / "theirs", everywhere.path / "own"
    for directory in (theirs, own):
        directory.mkdir()
        for name in ("a.so", "b.so"):
            (directory / name).write_bytes(data + os.fsencode(directory.name))
    for path in (own, *own.iterdir()):
        os.chown(path, _NOBODY, _NOBODY)
    proving.settle(everywhere.path)
    before = proving.seen(everywhere.path)
    with _as_nobody(everywhere.path) as run:
        told = json.loads(run("dedupe", "at/theirs", "--apply", "--format", "json", "-v"))
        assert told["reclaimed"]["shared"] == []
        assert [(one["bar"], one["frees"]) for one in told["spares"]] == [("not-permitted", 0)]
        assert proving.seen(everywhere.path) == before
        told = json.loads(run("dedupe", "at/own", "--apply", "--format", "json", "-v"))
        assert len(told["reclaimed"]["shared"]) == 1
        run("undo")
    after = proving.seen(everywhere.path)
    assert proving.without(after, "inode", "ctime", "blocks") == proving.without(before, "inode", "ctime", "blocks")


_NOBODY = 65534


@contextmanager
def _as_nobody(shown: Path) -> Iterator[Callable[..., str]]:
    """Show what is needed where everybody may look, and give what runs the product there as an ordinary user.

    Its Python is the bare one: the product needs no other package.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    with tempfile.TemporaryDirectory(prefix="runworthy-") as name, ExitStack() as stack:
        top = Path(name)
        top.chmod(0o755)
        (top / "home").mkdir()
        os.chown(top / "home", _NOBODY, _NOBODY)
        for source, target in (
            (shown, "at"),
            (Path(sys.base_prefix), "python"),
            (Path(runworthy.__file__).parents[1], "src"),
        ):
            stack.enter_context(ground.bound(source, top / target))
        (top / "home").chmod(0o700)
        own = {
            "HOME": f"{top}/home",
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{top}/src",
            "PYTHONHOME": f"{top}/python",
        }

        def run(*words: str) -> str:
            command = [f"{top}/python/bin/{version}", "-B", "-m", "runworthy", *words]
            ordinary: Any = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            done: Any = subprocess.run(
                command, cwd=top, env=own, capture_output=True, text=True, check=False, **ordinary
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return str(done.stdout)

        yield run


def test_names_may_be_anything(everywhere: ground.Ground) -> None:
    """Line ends and bytes that are no text, of files and of environments, through every format and back."""
    data = os.urandom(150_000)
    hostile = [os.fsdecode(name) for name in (b"new\nline", b"\xff\xfe", b"esc\x1b[31m", b" ", b"-rf", b"'\"`$(x)")]
    for name in hostile:
        directory = everywhere.path / "work" / name / "lib"
        directory.mkdir(parents=True)
        (directory / f"{name}.so").write_bytes(data)
    proving.settle(everywhere.path)
    before = proving.seen(everywhere.path)
    _equals_jdupes([everywhere.path / "work"])
    for form in ("text", "markdown", "html"):
        said = proving.command(
            "dedupe", everywhere.path / "work", "--format", form, "--view", "files", "--dry-run", "-v"
        )
        assert "\x1b" not in said
        assert "new\nline" not in said
    told = proving.dedupe(everywhere.path / "work", "--apply")
    assert told["reclaimed"]["left"] == []
    assert len(told["reclaimed"]["shared"]) == len(hostile) - 1
    _is_as_it_was(before, proving.seen(everywhere.path), everywhere.kind)
    assert proving.dedupe(everywhere.path / "work")["actions"] == []
    proving.command("undo")
    _is_back(before, proving.seen(everywhere.path), everywhere.kind)
