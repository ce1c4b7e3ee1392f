"""Overlays: what a root would be after edits, as if the files had been copied."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.model.errors import FormatError
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from tests.elfwriter import elf
from tests.targets.trees import Tree, build, kernel_can, kernel_resolve, names, paths, targets, trees

plain = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
Edit = tuple[str, str, str | Tree]
edits = st.one_of(
    st.tuples(st.just("file"), plain, st.sampled_from(("one", "two"))),
    st.tuples(st.just("link"), plain, targets),
    st.tuples(st.just("directory"), plain, st.just("")),
    st.tuples(st.just("remove"), plain, st.just("")),
    st.tuples(st.just("hard"), plain, plain),
    st.tuples(st.just("mount"), plain, trees),
)


def everything(root: Path) -> dict[str, tuple[str, str]]:
    """Return path -> (kind, text) of every entry."""
    found: dict[str, tuple[str, str]] = {}
    for directory, below, files in os.walk(root):
        for name in (*below, *files):
            path = os.path.join(directory, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                value = ("link", os.readlink(path))
            elif stat.S_ISDIR(mode):
                value = ("dir", "")
            else:
                value = ("file", Path(path).read_text())
            found["/" + os.path.relpath(path, root)] = value
    return found


def shown(overlay: Overlay) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    pending = ["/"]
    while pending:
        directory = pending.pop()
        for name in overlay.readdir(directory):
            entry = overlay.entry(directory, name)
            path = f"{directory.rstrip('/')}/{name}"
            assert entry is not None, path
            text = entry.target
            if entry.kind == "dir":
                pending.append(path)
            elif entry.kind == "file":
                content = overlay.content(path)
                text = content.pread(0, content.size).decode()
                assert entry.size == content.size
            found[path] = (entry.kind, text)
    return found


class Copy:
    """The same edits made with real files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def real(self, path: str) -> Path:
        """Where the parents of ``path``, made and followed inside the root, lead."""
        parent = DirectoryView(str(self.root)).real_directory(os.path.dirname(path))
        if parent is None:
            return self.root / "?"
        return Path(f"{self.root}{parent.rstrip('/')}/{os.path.basename(path)}")

    def put(self, path: str, write: Callable[[Path], object]) -> None:
        at = self.real(path)
        if at.is_symlink() or at.is_file():
            at.unlink()
        write(at)

    def remove(self, path: str) -> None:
        at = self.real(path)
        if at.is_symlink() or at.is_file():
            at.unlink()
        else:
            shutil.rmtree(at)

    def merge(self, source: Path, at: Path) -> None:
        """Copy a tree over another: directories merge, all else replaces what is there."""
        for entry in os.scandir(source):
            to = at / entry.name
            is_directory = entry.is_dir(follow_symlinks=False)
            if os.path.lexists(to) and not (is_directory and to.is_dir() and not to.is_symlink()):
                to.unlink() if to.is_symlink() or to.is_file() else shutil.rmtree(to)
            if is_directory:
                to.mkdir(exist_ok=True)
                self.merge(Path(entry.path), to)
            elif entry.is_symlink():
                to.symlink_to(os.readlink(entry.path))
            else:
                to.write_bytes(Path(entry.path).read_bytes())

    def hard(self, path: str, other: str) -> None:
        """Give a file a second name."""
        file = self.real(other)
        if file != self.real(path):
            self.put(path, lambda at: os.link(file, at, follow_symlinks=False))

    def make_directories_of(self, overlay: Overlay) -> None:
        """Make the directories that the overlay has, where the copy has nothing in their place."""
        for name, (kind, _) in sorted(shown(overlay).items()):
            at = self.root / name[1:]
            free = not os.path.lexists(at) and os.path.realpath(at.parent) == str(at.parent) and at.parent.is_dir()
            if kind == "dir" and free:
                at.mkdir()


def apply(edit: Edit, overlay: Overlay, copy: Copy, scratch: Path) -> None:
    """Make one edit in both. Where the overlay refuses, nothing but parents is made in the copy."""
    kind, path, what = edit
    tree = Path(tempfile.mkdtemp(dir=scratch))
    build(tree, what if isinstance(what, Mapping) else {})
    text = what if isinstance(what, str) else ""
    place = ""

    def mount() -> None:
        nonlocal place
        overlay.add_directory(path)  # what is mounted may put something else in the place of a link on the way
        place = overlay.real_directory(path) or ""
        copy.make_directories_of(overlay)
        overlay.mount(path, DirectoryView(str(tree)))

    here: dict[str, Callable[[], object]] = {
        "file": lambda: overlay.add_file(path, text.encode()),
        "link": lambda: overlay.add_link(path, text),
        "directory": lambda: overlay.add_directory(path),
        "remove": lambda: overlay.remove(path),
        "hard": lambda: overlay.add_hard_link(path, text),
        "mount": mount,
    }
    there: dict[str, Callable[[], object]] = {
        "file": lambda: copy.put(path, lambda at: at.write_text(text)),
        "link": lambda: copy.put(path, lambda at: at.symlink_to(text)),
        "directory": lambda: None,
        "remove": lambda: copy.remove(path),
        "hard": lambda: copy.hard(path, text),
        "mount": lambda: copy.merge(tree, Path(f"{copy.root}{place}")),
    }
    try:
        here[kind]()
    except OSError:
        copy.make_directories_of(overlay)
        return
    if kind not in ("mount", "remove"):
        copy.make_directories_of(overlay)
    there[kind]()


@pytest.mark.judge
@pytest.mark.skipif(not kernel_can(), reason="needs openat2 (Linux 5.6)")
@given(tree=trees, steps=st.lists(edits, max_size=8), asked=st.lists(paths, max_size=6))
def test_edits_show_what_copying_makes(tree: Tree, steps: list[Edit], asked: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        base, copied, scratch = (Path(directory, name) for name in ("base", "copy", "scratch"))
        for place in (base, copied, scratch):
            place.mkdir()
        build(base, tree)
        build(copied, tree)
        before = everything(base)
        overlay, copy = Overlay(DirectoryView(str(base))), Copy(copied)
        for step in steps:
            for path in asked:  # what is remembered must not outlive an edit
                overlay.exists(path)
            apply(step, overlay, copy, scratch)
            assert shown(overlay) == everything(copied), step
            for path in asked:
                found, real = overlay.find(path), kernel_resolve(copied, path)
                assert (found if isinstance(found, int) else 0) == (real if isinstance(real, int) else 0), path
                if not isinstance(found, int):
                    status = os.lstat(f"{copied}{found.path}")
                    assert (status.st_dev, status.st_ino) == real
        assert everything(base) == before


@pytest.fixture
def root(tmp_path: Path) -> Overlay:
    build(tmp_path, {"usr/lib/libz.so.1": "z", "usr/lib/sub/f": "f", "lib": "->usr/lib", "dangling": "->usr/new/dir"})
    return Overlay(DirectoryView(str(tmp_path)))


def test_parents_are_made_through_links(root: Overlay) -> None:
    root.add_file("/lib/x/y", b"1")
    root.add_file("/dangling/f", b"2")
    assert root.read("/usr/lib/x/y") == b"1"
    assert root.read("/usr/new/dir/f") == b"2"
    assert root.lstat("/lib").entry.kind == root.lstat("/dangling").entry.kind == "link"
    root.add_file("//lib//../lib/./double", b"3")
    assert root.read("/usr/lib/double") == b"3"


def test_a_removed_directory_that_is_made_again_is_empty(root: Overlay) -> None:
    root.remove("/usr/lib")
    assert not root.exists("/lib")
    root.add_directory("/usr/lib")
    assert root.readdir("/lib") == []
    root.mount("/usr", Overlay(root.base), "/usr")
    assert root.readdir("/lib") == ["libz.so.1", "sub"]


def test_what_cannot_be_done_is_refused(root: Overlay) -> None:
    def refused(number: int, act: Callable[[], object]) -> None:
        with pytest.raises(OSError, match=re.escape(os.strerror(number))):
            act()

    refused(errno.ENOTDIR, lambda: root.add_file("/usr/lib/libz.so.1/x", b""))
    refused(errno.EISDIR, lambda: root.add_file("/usr/lib", b""))
    refused(errno.EISDIR, lambda: root.add_link("/usr/lib/", "x"))
    refused(errno.EISDIR, lambda: root.add_file("/", b""))
    refused(errno.ENOENT, lambda: root.add_file("relative", b""))
    refused(errno.ENOENT, lambda: root.add_directory("relative/x"))
    refused(errno.ENOENT, lambda: root.remove("/none"))
    refused(errno.EBUSY, lambda: root.remove("/"))
    refused(errno.EPERM, lambda: root.add_hard_link("/x", "/usr"))
    refused(errno.ENOENT, lambda: root.add_hard_link("/x", "/none"))
    root.add_link("/self", "self")
    refused(errno.ELOOP, lambda: root.add_file("/self/x", b""))
    root.add_special("/fifo")
    refused(errno.EACCES, lambda: root.content("/fifo"))
    refused(errno.EISDIR, lambda: root.content("/usr"))


def test_facts_are_read_by_the_view_that_holds_the_file(tmp_path: Path, root: Overlay) -> None:
    data = elf(soname="liba.so")
    (tmp_path / "away").mkdir()
    (tmp_path / "away/liba.so").write_bytes(data)
    away = DirectoryView(str(tmp_path / "away"))
    root.add_from("/opt/liba.so", away, "/liba.so")
    root.mount("/mounted", away)
    assert root.elf("/opt/liba.so") is root.elf("/mounted/liba.so") is away.elf("/liba.so")
    root.add_file("/opt/liba.so", elf(soname="other"))
    assert root.elf("/opt/liba.so").facts.soname == "other"
    root.add_elf("/opt/liba.so", read_elf(BytesContent(elf(soname="facts"))))
    assert root.elf("/opt/liba.so").facts.soname == "facts"
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENODATA))):
        root.content("/opt/liba.so")
    root.add_file("/opt/liba.so", b"text")
    with pytest.raises(FormatError):
        root.elf("/opt/liba.so")


def test_names_of_one_file_are_one_file(tmp_path: Path, root: Overlay) -> None:
    root.add_file("/a", b"x")
    root.add_hard_link("/b", "/a")
    root.add_hard_link("/z", "/usr/lib/libz.so.1")
    root.add_file("/c", b"x")
    one = {path: root.identity(root.resolve(path)) for path in ("/a", "/b", "/c", "/z", "/lib/libz.so.1")}
    assert one["/a"] == one["/b"] != one["/c"]
    assert one["/z"] == one["/lib/libz.so.1"]
    assert root.read("/b") == b"x"
    root.add_file("/a", b"y")
    assert root.identity(root.resolve("/a")) != one["/b"]


def test_mounting_again_what_is_uppermost_changes_nothing(tmp_path: Path, root: Overlay) -> None:
    build(tmp_path / "away", {"f": "old"})
    away = DirectoryView(str(tmp_path / "away"))
    for _ in range(3):
        root.mount("/at", away)
        with contextlib.suppress(FileNotFoundError):
            root.remove("/at/f")
    assert not root.exists("/at/f")


def test_many_edits_stay_quick(root: Overlay) -> None:
    for index in range(2000):
        root.add_file(f"/opt/d{index % 50}/f{index}", b"")
        assert root.exists("/lib/libz.so.1")
        assert not root.exists("/lib/none")
    assert len(root.readdir("/opt")) == 50
