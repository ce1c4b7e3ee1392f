"""Paths inside a root: what the kernel would find there, for every backing."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runworthy.model.errors import FormatError
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.view import FileView
from tests.targets.trees import Tree, build, kernel_can, kernel_resolve, paths, trees

asks_the_kernel = pytest.mark.skipif(not kernel_can(), reason="needs openat2 (Linux 5.6)")


def found_by(view: DirectoryView, path: str) -> int | tuple[int, int]:
    found = view.find(path)
    if isinstance(found, int):
        return found
    status = os.lstat(view.host_path(found.path))
    return status.st_dev, status.st_ino


@pytest.mark.judge
@asks_the_kernel
@given(tree=trees, asked=st.lists(paths, min_size=1, max_size=12))
@example(tree={"a/b": "->../../..", "usr/lib": None, "lib": "->usr/lib"}, asked=["/a/b/usr/lib/..", "/lib/../a/b/lib/"])
@example(tree={"a": "->b", "b": "->a", "c": "->c"}, asked=["/a", "/b/..", "/c/x", "/a/"])
@example(tree={"a": "text", "b": "->a"}, asked=["/a/", "/a/..", "/b/", "/b/x", "/b/.", "/a/b/c"])
def test_every_path_leads_where_the_kernel_goes(tree: Tree, asked: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        build(root, tree)
        view = DirectoryView(directory)
        for path in asked:
            assert found_by(view, path) == kernel_resolve(root, path), path
        for path in asked:  # and no answer depends on what was asked before
            assert found_by(DirectoryView(directory), path) == found_by(view, path), path


@pytest.mark.judge
@asks_the_kernel
@pytest.mark.parametrize("prefix", [0, 1, 20, 39, 40])
@pytest.mark.parametrize("rest", [0, 1, 19, 20, 21, 40, 41])
def test_forty_links_are_followed_however_they_are_shared_out(tmp_path: Path, prefix: int, rest: int) -> None:
    (tmp_path / "d0").mkdir()
    (tmp_path / "d0" / "f0").write_text("")
    for index in range(41):
        (tmp_path / f"d{index + 1}").symlink_to(f"d{index}")
        (tmp_path / "d0" / f"f{index + 1}").symlink_to(f"f{index}")
    view = DirectoryView(str(tmp_path))
    path = f"/d{prefix}/f{rest}"
    expected = kernel_resolve(tmp_path, path)
    assert (expected == errno.ELOOP) == (prefix + rest > 40)
    assert found_by(view, path) == expected
    view.exists(f"/d{prefix}/f0")  # what is remembered counts as if it had been walked
    assert found_by(view, path) == expected


@pytest.mark.judge
@asks_the_kernel
@pytest.mark.parametrize(
    "path",
    [
        "/" + "a/" * 2047,
        "/" + "./" * 2046 + "f",
        "/" + "./" * 2047 + "f",
        "/" + "d/../" * 818 + "f",
        "/" + "n" * 255,
        "/" + "n" * 256,
        "/" + "ü" * 127 + "n",
        "/" + "ü" * 128,
        "/d/" + "n" * 256 + "/x",
        "/new\nline",
        "/" + os.fsdecode(b"\xff\xfe"),
        "//d//..//f",
        "/f/",
        "/f/.",
        "/d/",
        "/d/.",
        "/..",
        "/../../f",
        "/dangling",
        "/dangling/",
        "/self",
        "/self/x",
        "/fifo",
        "/fifo/",
    ],
)
def test_odd_paths_end_as_with_the_kernel(tmp_path: Path, path: str) -> None:
    (tmp_path / "d").mkdir()
    for name in ("f", "n" * 255, "new\nline", os.fsdecode(b"\xff\xfe"), "ü" * 127 + "n"):
        (tmp_path / name).write_text("")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "fifo")
    expected = kernel_resolve(tmp_path, path)
    for times in (1, 8):  # looked up one by one, and by the listing
        view = DirectoryView(str(tmp_path))
        for _ in range(times):
            view.exists("/f")
        assert found_by(view, path) == expected


@pytest.mark.slow
def test_a_deep_tree_needs_no_deep_stack() -> None:
    overlay = Overlay(DirectoryView("/nonexistent"))
    path = "/d" * 1500
    overlay.add_file(path + "/f", b"x")
    assert overlay.resolve(path + "/f").path == path + "/f"
    assert overlay.resolve(path + "/.." * 1000).path == "/d" * 500 if len(path + "/.." * 1000) < 4096 else True


@pytest.fixture(params=["directory", "overlay"])
def view_of(request: pytest.FixtureRequest) -> Callable[[Path], FileView]:
    if request.param == "directory":
        return lambda root: DirectoryView(str(root))
    return lambda root: Overlay(DirectoryView(str(root)))


def test_names_that_no_file_can_have_are_absent(tmp_path: Path, view_of: Callable[[Path], FileView]) -> None:
    (tmp_path / "f").write_text("")
    view = view_of(tmp_path)
    for _ in range(8):
        for path in ("/f\0", "/\0", "/\ud800", "", "f", "./f"):
            assert view.find(path) == errno.ENOENT, path


def test_lstat_stops_at_the_link_unless_a_slash_follows(tmp_path: Path, view_of: Callable[[Path], FileView]) -> None:
    build(tmp_path, {"usr/lib": None, "lib": "->usr/lib", "file": "text", "away": "->usr/lib/..//lib"})
    view = view_of(tmp_path)
    assert view.lstat("/lib").entry.target == "usr/lib"
    assert view.lstat("/lib/").path == "/usr/lib"
    assert view.lstat("/lib/.").path == "/usr/lib"
    assert view.lstat("/lib/../..").path == "/"
    assert view.lstat("/lib/..").path == "/usr"  # not the text's parent
    assert view.lstat("/").entry.kind == "dir"
    with pytest.raises(NotADirectoryError):
        view.lstat("/file/")
    with pytest.raises(FileNotFoundError):
        view.lstat("/none")


def test_entries_carry_what_the_file_has_however_they_are_found(
    tmp_path: Path, view_of: Callable[[Path], FileView]
) -> None:
    build(tmp_path, {"d/f": "four", "d/l": "->f"})
    (tmp_path / "d/f").chmod(0o4711)
    (tmp_path / "d").chmod(0o750)
    view = view_of(tmp_path)
    for _ in range(8):
        entry = view.resolve("/d/f").entry
        assert (entry.kind, entry.mode, entry.size) == ("file", 0o4711, 4)
        assert view.resolve("/d/l").entry == entry
        assert view.resolve("/d/").entry.mode == view.resolve("/d").entry.mode == 0o750
        assert view.lstat("/d/l").entry.target == "f"


def test_reading(tmp_path: Path, view_of: Callable[[Path], FileView]) -> None:
    build(tmp_path, {"d/f": "four", "l": "->/d/f", "b/x": None})
    view = view_of(tmp_path)
    assert view.read("/l") == b"four"
    assert view.readdir("/") == ["b", "d", "l"]
    assert view.readdir("/b/x/") == []
    with pytest.raises(FormatError, match="over the limit of 3"):
        view.read("/l", limit=3)
    with pytest.raises(IsADirectoryError):
        view.read("/d")
    with pytest.raises(IsADirectoryError):
        view.content("/d")
    for ask in (view.readdir, view.resolve, view.read):
        with pytest.raises(NotADirectoryError):
            ask("/l/x")
    assert view.real_directory("/b/./x/..") == "/b"
    assert view.real_directory("/l") is None
    assert view.real_directory("") is None


@pytest.fixture
def nobody() -> Generator[None]:
    """Take root's power to read everything away for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("mode", "hit", "miss"),
    [(0o000, errno.EACCES, errno.EACCES), (0o444, errno.EACCES, errno.EACCES), (0o111, 0, errno.ENOENT)],
)
def test_a_directory_that_cannot_be_searched_says_so(nobody: None, mode: int, hit: int, miss: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        build(root, {"d/f": "text", "d/e/g": "text"})
        (root / "d").chmod(mode)
        view = DirectoryView(directory)
        try:
            for _ in range(8):
                found = view.find("/d/f")
                assert (found if isinstance(found, int) else 0) == hit
                assert view.find("/d/none") == miss
                assert view.exists("/d/e/g") == (hit == 0)
            if mode != 0o444:
                with pytest.raises(PermissionError):
                    view.readdir("/d")
        finally:
            (root / "d").chmod(0o755)


def test_an_unreadable_file_is_there_but_gives_no_bytes(nobody: None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        build(Path(directory), {"f": "text"})
        (Path(directory) / "f").chmod(0)
        view = DirectoryView(directory)
        assert view.exists("/f")
        with pytest.raises(PermissionError):
            view.read("/f")


def test_a_root_is_known_by_its_real_place(tmp_path: Path) -> None:
    build(tmp_path, {"real/f": "text", "link": "->real"})
    assert DirectoryView(str(tmp_path / "link")).host_path("/f") == str(tmp_path.resolve() / "real" / "f")
    assert DirectoryView("/").host_path("/") == "/"
    assert DirectoryView("/").host_path("/etc") == "/etc"


def test_hard_links_are_one_file(tmp_path: Path) -> None:
    build(tmp_path, {"f": "text", "g": "text"})
    (tmp_path / "h").hardlink_to(tmp_path / "f")
    view = DirectoryView(str(tmp_path))
    one, two, other = (view.identity(view.resolve(path)) for path in ("/f", "/h", "/g"))
    assert one == two != other
