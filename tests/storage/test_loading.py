"""What a process would load together: by the simulation of its loader, and by what names a library."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runworthy.engine.dedupe import Search, dedupe_of
from runworthy.engine.dedupe.ground import Loadings
from runworthy.model.storage import Environment, EnvironmentKind, Place
from runworthy.targets.storage.environments import root_around
from runworthy.targets.storage.owners import Owners
from tests.elfwriter import elf
from tests.storage.made import Root, Tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the loaders are Linux's")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path.resolve())


def vendored(tree: Tree, name: str = "libz-0123abcd.so.1", soname: str = "") -> tuple[str, str]:
    """Put one library beside each of two packages that need it by its name."""
    data = elf(soname=soname or name)
    for package in ("one", "two"):
        tree.module(f"{package}/_core", name, runpath=f"$ORIGIN/../{package}.libs")
    return tree.put(f"one.libs/{name}", data), tree.put(f"two.libs/{name}", data)


def test_one_name_is_one_library(tree: Tree) -> None:
    found = tree.ask(*vendored(tree))
    assert found.answer == "no"
    assert "found by the name `libz-0123abcd.so.1` alone" in found.why[0]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("one/load.py", "ctypes.CDLL(here / 'libz-0123abcd.so.1')"),
        ("three/load.py", "glob('../one.libs/libz-*.so*')"),
        ("three/load.py", "for f in os.listdir(d + '.libs'): ctypes.CDLL(f)"),
        ("one/plugins.json", '{"library": "libz-0123abcd.so.1"}'),
        ("one/load.so", elf(imports=["dlopen"], sections={".rodata": b"lib%s.so.1\0libz\0"})),
        ("one/load", "#!/bin/sh\nLD_PRELOAD=$d/libz-0123abcd.so.1 exec x"),
        (
            "one/load.cpython-312-x86_64-linux-gnu.so",
            elf(imports=["dlopen"], sections={".rodata": b"libz-0123abcd.so.1\0"}),
        ),
    ],
)
def test_what_is_named_may_be_opened_by_its_path(tree: Tree, file: str, text: str | bytes) -> None:
    pair = vendored(tree)
    tree.put(file, text)
    found = tree.ask(*pair)
    assert found.answer == "unknown"
    assert any("may be opened by its path" in why for why in found.why)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("one-1.dist-info/RECORD", "one.libs/libz-0123abcd.so.1,sha256=x,1"),
        ("one/include/z.h", "/* libz-0123abcd.so.1 */"),
        ("one/load.py", "ctypes.CDLL('libc.so.6')"),
        ("one/z.py", "import z"),
        ("one/load.py", "ctypes.CDLL('mylibz-0123abcd.so.1' + 'mylibz*')"),
        ("one/needs.cpython-312-x86_64-linux-gnu.so", elf(imports=["dlopen"], needed=["libz-0123abcd.so.1"])),
    ],
)
def test_what_opens_nothing_does_not_count(tree: Tree, file: str, text: str | bytes) -> None:
    pair = vendored(tree)
    tree.put(file, text)
    assert tree.ask(*pair).answer == "no"


def test_modules_are_opened_by_their_paths(tree: Tree) -> None:
    found = tree.ask(tree.module("one/_speed"), tree.module("two/_speed"))
    assert found.answer == "yes"
    assert "imports `one._speed` and imports `two._speed`" in found.why[0]


def test_two_names_of_one_library_are_two(tree: Tree) -> None:
    data = elf(soname="libq.so.1")
    tree.module("one/_core", "libq.so.1", runpath="$ORIGIN/../libs")
    tree.module("two/_core", "libq.so.1.0", runpath="$ORIGIN/../libs")
    found = tree.ask(tree.put("libs/libq.so.1", data), tree.put("libs/libq.so.1.0", data))
    assert found.answer == "yes"
    assert "imports `one._core` and then imports `two._core`" in found.why[0]


def test_a_name_that_nothing_needs_is_never_loaded(tree: Tree) -> None:
    data = elf(soname="libq.so.1")
    tree.module("one/_core", "libq.so.1", runpath="$ORIGIN/../libs")
    pair = tree.put("libs/libq.so.1", data), tree.put("libs/libq.so.1.0", data)
    found = tree.ask(*pair)
    assert found.answer == "no"
    assert found.why == (f"nothing in the environment needs or opens `{pair[1]}`",)
    os.symlink(pair[1], tree.site / "libs/libq.so")
    assert tree.ask(*pair).answer == "no"
    broken = tree.put("one/broken.so", elf(needed=["libq.so.1.0"])[:70])
    assert tree.ask(*pair).why[-1].endswith(f"`{broken}` may need it, and cannot be read")
    tree.module("two/_core", "libq.so", runpath="$ORIGIN/../libs")
    assert tree.ask(*pair).answer == "yes"


def test_plug_ins_are_opened_by_somebody(tree: Tree) -> None:
    for soname in (None, "plugin.so"):
        data = elf(exports=["plug"], soname=soname)
        assert tree.ask(tree.put("a/plugin.so", data), tree.put("b/plugin.so", data)).answer == "unknown"


def test_a_path_that_is_needed_is_no_name(tree: Tree) -> None:
    pair = vendored(tree)
    tree.module("three/_core", pair[0])
    assert tree.ask(*pair).answer == "yes"


@pytest.mark.parametrize(
    "data", [b"text\n", elf(kind=2, interpreter="/lib64/ld-linux-x86-64.so.2"), elf(machine="aarch64", kind=1)]
)
def test_programs_and_data_are_no_libraries(tree: Tree, data: bytes) -> None:
    assert tree.ask(tree.put("a/file", data), tree.put("b/file", data)).answer == "no"


def test_what_cannot_be_read_is_not_promised(tree: Tree) -> None:
    cut = elf(soname="libq.so")[:100]
    assert tree.ask(tree.put("a/libq.so", cut), tree.put("b/libq.so", cut)).answer == "unknown"
    assert tree.ask(str(tree.site / "gone.so"), str(tree.site / "away.so")).answer == "no"


def test_a_hostile_tree_is_walked_and_nothing_is_promised_of_it(tree: Tree) -> None:
    pair = vendored(tree)
    os.mkfifo(tree.site / "libz-0123abcd.so")
    (tree.site / "loop").symlink_to(tree.site)
    (tree.site / "libself.so").symlink_to("libself.so")
    tree.put(os.fsdecode(b"one/\xff\n.so"), elf(exports=["x"]))
    tree.put("one/empty.so", b"")
    tree.put("one/cut.so", elf(needed=["libz-0123abcd.so.1"])[:70])
    assert tree.ask(*pair).answer == "no"
    (tree.site / "one/closed").mkdir(mode=0)
    expected = "no" if os.geteuid() == 0 else "unknown"
    try:
        assert tree.ask(*pair).answer == expected
    finally:
        (tree.site / "one/closed").chmod(0o755)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path.resolve() / "root")


@pytest.mark.parametrize(
    ("path", "kind", "prefix", "runpath"),
    [
        ("/", "root", "/usr", None),  # whose lib musl searches by itself
        ("/srv/app/venv", "venv", "/srv/app/venv", "/srv/app/venv/lib"),
    ],
)
def test_the_loader_is_that_of_the_root(
    root: Root, path: str, kind: EnvironmentKind, prefix: str, runpath: str | None
) -> None:
    data, libraries = elf(soname="libq.so.1"), f"{prefix}/lib"
    pair = [root.put(f"{libraries}/{name}", data) for name in ("libq.so.1", "libq.so.1.0")]
    for package, needed in (("one", "libq.so.1"), ("two", "libq.so.1.0")):
        root.module(prefix, package, needed, runpath=runpath)
    found = root.ask(path, kind, *pair)
    assert found.answer == "yes"
    assert f"a process of `{root.top}/usr/bin/python3` that imports `one._core` and then imports" in found.why[0]


def test_a_link_in_a_root_is_a_path_of_that_root(root: Root) -> None:
    data = elf(soname="libq.so.1")
    root.module(root.venv, "one", "libq.so.1", runpath=f"{root.venv}/lib")
    root.module(root.venv, "two", "libq.so", runpath=f"{root.venv}/lib")
    pair = [root.put(f"{root.venv}/lib/{name}", data) for name in ("libq.so.1", "libq.so.1.0")]
    assert root.ask(root.venv, "venv", *pair).answer == "no"  # nothing needs the second
    (root.top / "srv/app/venv/lib/libq.so").symlink_to(f"{root.venv}/lib/libq.so.1.0")
    assert root.ask(root.venv, "venv", *pair).answer == "yes"


def test_builds_of_a_root_are_those_that_its_loader_finds(root: Root) -> None:
    own = root.put("/usr/lib/libstdc++.so.6", elf(soname="libstdc++.so.6"))
    site = f"{root.venv}/lib/python3.12/site-packages"
    other = root.put(f"{site}/two.libs/libstdc++-0123abcd.so.6", elf(soname="libstdc++-0123abcd.so.6"))
    root.module(root.venv, "one", "libstdc++.so.6")
    root.module(root.venv, "two", "libstdc++-0123abcd.so.6", runpath="$ORIGIN/../two.libs")
    search = Search(paths=(f"{root.top}{root.venv}",), libraries=True, caches=False, index=False)
    (clash,) = dedupe_of(search).clashes
    assert (clash.outcome, {build.path for build in clash.builds}) == ("both", {own, other})


def test_a_root_around_a_directory(root: Root) -> None:
    assert root_around(f"{root.top}{root.venv}") == root_around(str(root.top)) == str(root.top)
    assert root_around(str(root.top.parent)) == "/"
    inner = root.put("/var/lib/one/usr/lib/os-release", "ID=x\n").removesuffix("/usr/lib/os-release")
    assert root_around(f"{inner}/opt") == str(root.top)  # a system has programs and libraries
    os.mkdir(f"{inner}/bin")
    assert root_around(f"{inner}/opt") == inner


def test_a_link_of_a_root_into_its_cache(root: Root) -> None:
    cached = [root.put(f"/var/cache/uv/archive-v0/{name}/q.so", elf(soname="q.so")) for name in ("a", "b")]
    made: list[tuple[EnvironmentKind, str]] = [
        ("uv-cache", f"{root.top}/var/cache/uv"),
        ("venv", f"{root.top}{root.venv}"),
    ]
    environments = [
        Environment(path=at, kind=kind, place=Place(path=at, filesystem="x", device=0, type="ext4"))
        for kind, at in made
    ]
    loadings = Loadings((), environments, Owners(environments))
    assert loadings.together(environments[0].path, *cached).answer == "no"
    (root.top / "srv/app/venv/lib").mkdir()
    (root.top / "srv/app/venv/lib/q.so").symlink_to("/var/cache/uv/archive-v0/a/q.so")
    loadings = Loadings((), environments, Owners(environments))
    assert loadings.together(environments[0].path, *cached).answer == "unknown"
