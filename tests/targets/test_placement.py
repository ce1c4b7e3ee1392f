"""Where subjects lie in a target, what travels with them, and what must not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runworthy.model.arch import architecture
from runworthy.model.machine import baseline
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT, Source, is_own_root, locate, member, place
from runworthy.targets.target import Target
from tests.targets.trees import Tree, build


@pytest.fixture
def machine() -> DirectoryView:
    return DirectoryView("/")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    build(
        tmp_path / "target", {"usr/lib/libc.so.6": "target", "lib": "->usr/lib", "etc/os-release": "", "bin/ls": "ls"}
    )
    arch = architecture("x86_64")
    assert arch is not None
    return Target(name="target", view=DirectoryView(str(tmp_path / "target")), machine=baseline(arch))


def system(tmp_path: Path, tree: Tree) -> str:
    """Make a root of its own, whose paths are then those of a machine."""
    root = tmp_path.resolve() / "system"
    build(root, {"etc/os-release": "", **tree})
    return str(root)


def inside(source: Source) -> tuple[str, str | None]:
    """Return path and travelling tree as the source's own system names them."""
    top = None if source.top is None else source.top[len(source.root) :] or "/"
    return source.real[len(source.root) :], top


@pytest.mark.parametrize(
    ("path", "top"),
    [
        ("/opt/app/bin/x", "/opt"),
        ("/opt/x", "/opt"),
        ("/home/me/project/dist/x", "/home"),
        ("/usr/lib/python3/dist-packages/x.so", "/usr/lib/python3"),
        ("/usr/lib/x86_64-linux-gnu/perl/x.so", "/usr/lib/x86_64-linux-gnu/perl"),
        ("/usr/local/lib/app/x", "/usr/local/lib/app"),
        *((f"{prefix}/{name}/x", None) for prefix in ("", "/usr", "/usr/local") for name in ("lib", "lib64", "bin")),
        ("/usr/lib/aarch64-linux-gnu/x", None),
        ("/lib/x86_64-linux-musl/x", None),
        ("/usr/x", None),
        ("/x", None),
        ("/usr/sbin/x", None),
        ("/usr/libexec/x", None),
    ],
)
def test_which_tree_travels(tmp_path: Path, machine: DirectoryView, path: str, top: str | None) -> None:
    root = system(tmp_path, {path[1:]: "text"})
    assert inside(locate(root + path, machine)) == (path, top)


def test_usr_is_no_root_of_its_own(tmp_path: Path, machine: DirectoryView) -> None:
    tree = {"usr/bin/sh": "x", "usr/lib/os-release": "", "usr/etc/x": "", "bin": "->usr/bin", "usr/bin/x": "->/bin/sh"}
    root = system(tmp_path, tree)
    for path in ("/usr/bin/x", "/bin/x", "/usr/bin/sh"):
        source = locate(root + path, machine)
        assert (source.root, inside(source)) == (root, ("/usr/bin/sh", None))


def test_nothing_of_a_systems_own_directories_is_visible_elsewhere(
    tmp_path: Path, machine: DirectoryView, target: Target
) -> None:
    tree = {
        "usr/lib/libc.so.6": "foreign",
        "usr/lib/x86_64-linux-gnu/libm.so.6": "foreign",
        "usr/lib/x86_64-linux-gnu/app/plugin.so": "subject",
        "usr/lib/x86_64-linux-gnu/app/up": "->../libm.so.6",
        "usr/lib/x86_64-linux-gnu/app/absolute": "->/usr/lib/libc.so.6",
        "usr/bin/prog": "subject",
        "lib": "->usr/lib",
        "opt/app/bin/prog": "subject",
        "opt/app/lib/libm.so.6": "own",
        "opt/app/lib/host": "->../../../usr/lib/libc.so.6",
    }
    root = system(tmp_path, tree)
    overlay = Overlay(target.view)
    for path in ("usr/lib/x86_64-linux-gnu/app/plugin.so", "usr/bin/prog", "opt/app/bin/prog", "lib/libc.so.6"):
        shown = place(locate(f"{root}/{path}", machine), target, overlay)
        assert shown == f"/subject{root}/{path.replace('lib/libc', 'usr/lib/libc')}"
    base = f"/subject{root}"
    assert overlay.readdir(f"{base}/usr/lib") == ["libc.so.6", "x86_64-linux-gnu"]  # the subject, and the way to one
    assert overlay.readdir(f"{base}/usr/lib/x86_64-linux-gnu") == ["app"]
    assert overlay.readdir(f"{base}/usr/bin") == ["prog"]
    assert not overlay.exists(f"{base}/usr/lib/x86_64-linux-gnu/app/up")
    assert overlay.read(f"{base}/usr/lib/x86_64-linux-gnu/app/absolute") == b"target"
    assert overlay.read(f"{base}/opt/app/bin/../lib/libm.so.6") == b"own"
    assert overlay.read("/usr/lib/libc.so.6") == b"target"


def test_a_subject_of_the_root_keeps_its_path_however_it_is_given(
    tmp_path: Path, machine: DirectoryView, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "target"
    build(root, {"bin/sh": "->/bin/ls", "lib64": "->/usr/lib", "usr/bin/deep": "->../../bin/ls"})
    (tmp_path / "root-link").symlink_to("target")
    (tmp_path / "file-link").symlink_to("target/bin/ls")
    monkeypatch.chdir(root)
    given = {
        f"{root}/bin/ls": "/bin/ls",
        f"{tmp_path}/root-link/bin/ls": "/bin/ls",
        f"{tmp_path}/file-link": "/bin/ls",
        f"{root}/bin/sh": "/bin/ls",  # an absolute link leads into the root
        f"{root}/lib64/libc.so.6": "/usr/lib/libc.so.6",
        f"{root}/usr/bin/deep": "/bin/ls",
        f"{root}/lib/../../bin/ls": "/bin/ls",  # the kernel's way, not the text's
        "bin/ls": "/bin/ls",
        "../target/./bin/../bin/ls": "/bin/ls",
    }
    for path, expected in given.items():
        overlay = Overlay(target.view)
        assert place(locate(path, machine), target, overlay) == expected, path
        assert not overlay.exists("/subject")
    linked = Target(name="t", view=DirectoryView(str(tmp_path / "root-link")), machine=target.machine)
    assert place(locate(f"{root}/bin/ls", machine), linked, Overlay(linked.view)) == "/bin/ls"
    over = Target(name="t", view=Overlay(Overlay(target.view)), machine=target.machine)
    assert place(locate(f"{root}/bin/ls", machine), over, Overlay(over.view)) == "/bin/ls"
    host = Target(name="host", view=machine, machine=target.machine)
    assert place(locate("bin/ls", machine), host, Overlay(machine)) == f"{root.resolve()}/bin/ls"


def test_a_root_beside_is_not_inside(tmp_path: Path, machine: DirectoryView, target: Target) -> None:
    build(tmp_path / "target-2", {"etc/os-release": "", "bin/ls": "other"})
    shown = place(locate(str(tmp_path / "target-2/bin/ls"), machine), target, Overlay(target.view))
    assert shown.startswith("/subject/")


def test_equal_paths_of_two_systems_do_not_meet(tmp_path: Path, machine: DirectoryView, target: Target) -> None:
    overlay = Overlay(target.view)
    shown = []
    for name in ("one", "two"):
        build(tmp_path / name, {"etc/os-release": "", "usr/bin/x": name})
        shown.append(place(locate(str(tmp_path / name / "usr/bin/x"), machine), target, overlay))
    assert [overlay.read(path) for path in shown] == [b"one", b"two"]


def test_at_chooses_the_path_and_siblings_come_along(tmp_path: Path, machine: DirectoryView, target: Target) -> None:
    build(tmp_path / "dist", {"bin/app": "app", "bin/tool": "tool", "lib/liba.so": "a"})
    source = locate(str(tmp_path / "dist/bin/app"), machine)

    overlay = Overlay(target.view)
    assert place(source, target, overlay, "/opt/app/bin/app") == "/opt/app/bin/app"
    assert overlay.read("/opt/app/bin/../lib/liba.so") == b"a"

    overlay = Overlay(target.view)
    assert place(source, target, overlay, "/opt/other/renamed") == "/opt/other/renamed"
    assert overlay.read("/opt/other/renamed") == b"app"
    assert overlay.exists("/opt/other/tool")

    overlay = Overlay(target.view)
    assert place(source, target, overlay, "/usr/bin/app") == "/usr/bin/app"
    assert not overlay.exists("/usr/lib/liba.so")  # the system's own directories are not covered
    assert overlay.read("/lib/libc.so.6") == b"target"

    overlay = Overlay(target.view)
    assert place(source, target, overlay, "/lib/app") == "/usr/lib/app"  # through the root's link


def test_at_moves_a_subject_of_the_root_itself(tmp_path: Path, machine: DirectoryView, target: Target) -> None:
    source = locate(str(tmp_path / "target/bin/ls"), machine)
    overlay = Overlay(target.view)
    assert place(source, target, overlay, "/opt/ls") == "/opt/ls"
    assert overlay.readdir("/opt") == ["ls"]


def test_what_is_not_there(tmp_path: Path, machine: DirectoryView) -> None:
    build(tmp_path, {"f": "x", "loop": "->loop", "dangling": "->none"})
    for name, error in (("none", FileNotFoundError), ("f/x", NotADirectoryError), ("dangling", FileNotFoundError)):
        with pytest.raises(error):
            locate(str(tmp_path / name), machine)
    with pytest.raises(OSError, match=os.strerror(40)):
        locate(str(tmp_path / "loop"), machine)


def test_odd_names(tmp_path: Path, machine: DirectoryView, target: Target) -> None:
    names = ("new\nline", os.fsdecode(b"\xff"), "space d", "-x", "$ORIGIN")
    for name in names:
        (tmp_path / name).write_bytes(os.fsencode(name))
    for name in names:
        overlay = Overlay(target.view)
        shown = place(locate(str(tmp_path / name), machine), target, overlay)
        assert os.path.basename(shown) == name
        assert overlay.read(shown) == os.fsencode(name)


DIRECTORY: Tree = {"opt/app/bin/x": "x", "opt/app/lib/y": "y", "opt/shared/z": "z", "usr/lib/w": "w"}


@pytest.mark.parametrize(
    "case",
    [
        ("/opt/app", "bin/x", None, "/opt/app/bin/x", "/opt/shared/z"),
        ("/usr/lib", "w", None, "/usr/lib/w", None),
        ("/opt/app", "bin/x", "/srv/it", "/srv/it/bin/x", "/srv/it/lib/y"),
        ("/opt/app", "bin/x", "/opt/app", "/opt/app/bin/x", "/opt/app/lib/y"),
        ("/opt/app", "bin/x", "/", "/bin/x", "/lib/y"),
        ("/opt/app/bin", "x", "/srv/bin", "/srv/bin/x", "/srv/lib/y"),
    ],
)
def test_a_directory_travels_as_a_whole(
    tmp_path: Path,
    machine: DirectoryView,
    target: Target,
    case: tuple[str, str, str | None, str, str | None],
) -> None:
    directory, path, at, placed, also = case
    root = system(tmp_path, DIRECTORY)
    source = member(locate(root + directory, machine), path)
    overlay = Overlay(target.view)
    prefix = "" if at else SUBJECT_ROOT + root
    assert place(source, target, overlay, at) == (prefix + placed if at != "/" else overlay.resolve(placed).path)
    assert also is None or overlay.exists(prefix + also)
    assert overlay.read("/usr/lib/libc.so.6") == b"target", "the target keeps what it has"


def test_a_directory_inside_the_target_keeps_its_paths(tmp_path: Path, machine: DirectoryView, target: Target) -> None:
    build(tmp_path / "target", {"opt/app/x": "x"})
    source = member(locate(f"{tmp_path}/target/opt/app", machine), "x")
    assert place(source, target, Overlay(target.view)) == "/opt/app/x"


def test_what_is_a_root_of_its_own(tmp_path: Path) -> None:
    root = system(tmp_path, {"usr/bin/x": "x"})
    assert is_own_root(root)
    assert not is_own_root(f"{root}/usr")
    assert not is_own_root("/")
    assert not is_own_root(f"{root}/nowhere")
