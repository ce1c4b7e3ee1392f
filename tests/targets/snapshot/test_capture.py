"""What a capture meets: what cannot be read, what changes under it, what is left out; and the machine."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from runworthy.engine import Engine
from runworthy.formats.content import BytesContent, Content
from runworthy.model.arch import architecture
from runworthy.model.errors import FormatError, TargetError, UsageError
from runworthy.model.finding import Result
from runworthy.model.host import BinfmtEntry, BinfmtMisc, Gpu, MachineFacts, Mount
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import MachineWish, TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.snapshot.make import snapshot_directory, write_file
from runworthy.targets.view import Entry, FileView, UnseenError, failure
from tests.elfwriter import Symbol, elf
from tests.targets.snapshot.made import answers, captured, snapshot, walk
from tests.targets.snapshot.test_same import LIBRARY
from tests.world import LOADER, MUSL_LOADER

MACHINE = MachineFacts(
    arch="x86_64",
    kernel="6.1.0-18-amd64",
    level=3,
    cpu_flags=("fpu", "avx2"),
    page_size=4096,
    binfmt=BinfmtMisc(
        status="enabled", entries=(BinfmtEntry(name="qemu", text="enabled\n"), BinfmtEntry(name="b", text=None))
    ),
    mounts=(Mount(point="/data \udce9", fstype="ext4", options=("rw", "noexec"), super_options=("rw",)),),
    gpus=(Gpu(address="0000:01:00.0", vendor="0x10de", device="0x2330", driver="nvidia", name="NVIDIA H100"),),
    nvidia_driver="550.54.15",
    os_release="ID=debian\n",
)


class Flawed(DirectoryView):
    """A directory in which some questions fail, as disks and other users' files make them."""

    def __init__(self, root: Path, **errors: dict[str, int]) -> None:
        super().__init__(str(root))
        self._errors = errors

    def _fail(self, question: str, path: str) -> None:
        number = self._errors.get(question, {}).get(path)
        if number is not None:
            raise failure(number, path)

    def entry(self, directory: str, name: str) -> Entry | None:
        self._fail("search", directory)
        self._fail("look", f"{directory.rstrip('/')}/{name}")
        return super().entry(directory, name)

    def names(self, directory: str) -> Iterable[str]:
        self._fail("list", directory)
        return super().names(directory)

    def content(self, real: str) -> Content:
        self._fail("open", real)
        return super().content(real)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    top = tmp_path / "root"
    for path in ("lib/libone.so.1", "opt/libtwo.so.1", "opt/deep/libthree.so.1", "srv/data"):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(LIBRARY)
    return top


@pytest.mark.parametrize(
    "errors",
    [
        {"open": {"/lib/libone.so.1": errno.EACCES}},
        {"open": {"/lib/libone.so.1": errno.EIO}},
        {"look": {"/lib/libone.so.1": errno.EACCES}},
        {"list": {"/opt": errno.EACCES}, "search": {"/opt": errno.EACCES}},
        {"list": {"/opt/deep": errno.EIO}, "search": {"/opt/deep": errno.EIO}},
        {"search": {"/opt": errno.EACCES}},
    ],
)
def test_what_cannot_be_read(root: Path, errors: dict[str, dict[str, int]]) -> None:
    """The same errno comes out of the snapshot."""
    asked = [*walk(DirectoryView(str(root))), "/opt/none", "/opt/deep/none", "/none"]
    assert answers(captured(Flawed(root, **errors)), asked) == answers(Flawed(root, **errors), asked)


def test_a_directory_that_is_searched_but_not_listed(root: Path) -> None:
    """What is in it would be found by name: nobody can say that it is not there."""
    view = captured(Flawed(root, list={"/opt": errno.EACCES}))
    assert view.meta.left_out == ("/opt",)
    with pytest.raises(UnseenError):
        view.find("/opt/libtwo.so.1")
    with pytest.raises(PermissionError):
        view.readdir("/opt")
    assert view.exists("/lib/libone.so.1")


def test_as_another_user(root: Path) -> None:
    """Modes as the kernel applies them: what an unprivileged user captures answers as the root does that user."""
    (root / "lib/libone.so.1").chmod(0o000)
    (root / "opt").chmod(0o444)
    (root / "srv").chmod(0o000)
    asked = [*walk(DirectoryView(str(root))), "/opt/none", "/srv/none"] if os.geteuid() == 0 else ["/opt/none", "/srv"]
    for directory in (root.parent, *root.parent.parents):
        if directory.stat().st_uid == os.geteuid() and str(directory).startswith("/tmp/"):  # noqa: S108 - where pytest puts it
            directory.chmod(0o755)
    assert _as_nobody(lambda: answers(captured(root), asked) == answers(DirectoryView(str(root)), asked))
    for name in ("opt", "srv"):
        (root / name).chmod(0o755)


def _as_nobody(work: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:  # pragma: no cover - counted in the parent
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            status = 0 if work() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


class Fleeting(DirectoryView):
    """A directory in which things happen between the listing of a directory and the look at a file."""

    def __init__(self, root: Path, happens: Callable[[str], None]) -> None:
        super().__init__(str(root))
        self._happens = happens

    def names(self, directory: str) -> Iterable[str]:
        names = os.listdir(self.host_path(directory))
        self._happens(directory)
        return names

    def entry(self, directory: str, name: str) -> Entry | None:
        return self._look(directory, name)


def test_what_vanishes_is_not_there(root: Path) -> None:
    (root / "lib/libtwo.so.1").hardlink_to(root / "opt/libtwo.so.1")

    def happens(directory: str) -> None:
        if directory == "/lib":
            (root / "lib/libone.so.1").unlink()

    view = captured(Fleeting(root, happens))
    assert not view.exists("/lib/libone.so.1")
    assert view.readdir("/lib") == ["libtwo.so.1"]
    assert view.elf("/lib/libtwo.so.1").facts.soname == "libone.so.1"
    assert view.identity(view.resolve("/lib/libtwo.so.1")) == view.identity(view.resolve("/opt/libtwo.so.1"))


def test_what_is_cut_off_while_it_is_read_is_unreadable(root: Path) -> None:
    class Shrinking(DirectoryView):
        def content(self, real: str) -> Content:
            content = super().content(real)
            return _Shrunk(content) if real == "/lib/libone.so.1" else content

    view = captured(Shrinking(str(root)))
    with pytest.raises(OSError, match="Input/output error"):
        view.elf("/lib/libone.so.1")
    assert view.elf("/opt/libtwo.so.1").facts.soname == "libone.so.1"


class _Shrunk:
    """A file that had another size when it was looked up."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.size = content.size + 5000

    def pread(self, offset: int, count: int) -> bytes:
        return self._content.pread(offset, count)


# -- what is left out --------------------------------------------------------------------------


def checked(view: FileView, subject: bytes, tmp_path: Path, exclude: tuple[str, ...] = ()) -> Result:
    """Return what comes of a program on the snapshot of a root."""
    at = tmp_path / "subject"
    at.write_bytes(subject)
    at.chmod(0o755)
    file = tmp_path / "made.runworthy"
    file.write_bytes(snapshot(view, exclude=exclude))
    return Engine().check([str(at)], [TargetName(str(file))]).results[0]


@pytest.mark.parametrize(
    ("loader", "libc", "exports"),
    [(LOADER, "libc.so.6", ["puts"]), (MUSL_LOADER, "libc.musl-x86_64.so.1", ["__libc_start_main", "stdin", "dlopen"])],
)
def test_what_is_left_out_is_unknown(loader: str, libc: str, exports: list[str], tmp_path: Path) -> None:
    """Not absent, and not passed over for what is found behind it."""
    (tmp_path / "root").mkdir()
    base = Overlay(DirectoryView(str(tmp_path / "root")))
    base.add_file(loader, elf(soname=loader.rpartition("/")[2] if loader == LOADER else libc, exports=exports))
    base.add_file("/etc/os-release", b"ID=made\n")
    base.add_file("/lib/libc.so.6", elf(soname="libc.so.6", exports=exports))
    base.add_file("/opt/lib/libgreeting.so.1", elf(soname="libgreeting.so.1", exports=["greeting"]))
    base.add_file("/usr/lib/libgreeting.so.1", elf(soname="libgreeting.so.1", exports=["other"]))
    subject = elf(
        interpreter=loader, needed=["libgreeting.so.1", libc], runpath="/opt/lib", tags=[(21, 0)],
        imports=[Symbol("greeting", use="data")],
    )  # fmt: skip
    whole = checked(base, subject, tmp_path)
    assert (whole.verdict, whole.trace.stretches[0].loaded[1][1]) == ("runs", "/opt/lib/libgreeting.so.1")
    for exclude in ("/opt", "/opt/lib"):
        lacking = checked(base, subject, tmp_path, (exclude,))
        steps = [step for step in lacking.trace.needs if step.need.name == "libgreeting.so.1"]
        assert (lacking.verdict, lacking.stage) == ("unknown", "load")
        assert [(step.answer.value, step.why) for step in steps] == [("unknown", "unreadable")]
        assert "does not tell what is there" in lacking.findings[0].message
    lacking = checked(base, subject, tmp_path, (loader.rpartition("/")[0],))
    assert (lacking.verdict, lacking.stage) == ("unknown", "exec")


# -- the target --------------------------------------------------------------------------------


@pytest.fixture
def file(root: Path, tmp_path: Path) -> Path:
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=made\n")
    path = tmp_path / "host.runworthy"
    path.write_bytes(snapshot(DirectoryView(str(root)), MACHINE, source="host"))
    return path


def test_the_machine_comes_back(file: Path) -> None:
    target = TargetName(str(file)).open(None)
    assert target.machine_facts == MACHINE
    machine = target.machine
    assert (machine.cpu, machine.level_stated, machine.kernel) == ("x86-64-v3", True, (6, 1, 0))
    assert (machine.page_size, machine.page_size_stated, target.arch_stated) == (4096, True, True)
    assert not target.live


def test_what_is_stated_decides(file: Path) -> None:
    wish = MachineWish(cpu="v2", page_size="64k", kernel="5.10")
    machine = TargetName(f"snapshot:{file}", wish).open(None).machine
    assert (machine.level, machine.page_size, machine.kernel) == (2, 65536, (5, 10, 0))
    with pytest.raises(TargetError, match="captured on x86_64, not aarch64"):
        TargetName(str(file), MachineWish(platform="arm64")).open(None)


def test_a_machine_of_which_little_was_told() -> None:
    told = replace(MACHINE, level=0, page_size=0, kernel="").machine()
    assert told is not None
    assert (told.level, told.level_stated, told.page_size, told.kernel) == (1, False, 4096, None)
    assert replace(MACHINE, arch="pdp11").machine() is None


def test_a_directory_has_its_baseline(root: Path, tmp_path: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=made\n")
    path = tmp_path / "made.runworthy"
    write_file(str(path), snapshot_directory(str(root), [], None))
    arm = architecture("aarch64")
    target = TargetName(str(path)).open(arm)
    assert (target.arch, target.arch_stated, target.machine_facts) == (arm, False, None)
    assert target.view.read("/etc/os-release") == b"ID=made\n"


def test_a_directory_that_is_no_root(root: Path) -> None:
    with pytest.raises(TargetError, match="so it is no root"):
        snapshot_directory(str(root), [], None)
    with pytest.raises(TargetError, match="not a directory"):
        snapshot_directory(str(root / "none"), [], None)


@pytest.mark.parametrize("path", ["/none", "srv", "/", "/lib/libone.so.1"])
def test_what_cannot_be_excluded(root: Path, path: str) -> None:
    (root / "etc").mkdir()
    (root / "etc/os-release").touch()
    with pytest.raises(UsageError, match="--exclude"):
        snapshot_directory(str(root), [path], None)


def test_a_file_that_cannot_be_written_leaves_what_was_there(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "made.runworthy"
    path.write_bytes(b"before")

    def fails(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UsageError, match="No space left"):
        write_file(str(path), fails)  # type: ignore[arg-type]
    assert path.read_bytes() == b"before"
    assert sorted(tmp_path.iterdir()) == [path, root]


def test_equal_files_are_held_once(root: Path) -> None:
    small = snapshot(DirectoryView(str(root)))
    for number in range(50):
        (root / f"lib/copy{number}").write_bytes(LIBRARY)
    assert len(snapshot(DirectoryView(str(root)))) < len(small) * 2


def test_texts_that_loaders_read(root: Path) -> None:
    """What ld.so.conf includes, wherever it lies and whatever links lead to it; nothing that it does not."""
    for path, text in {
        "etc/ld.so.conf": "include ld.so.conf.d/*.conf\n include /opt/conf/a.conf other\n/srv\n",
        "etc/ld.so.conf.d/one.conf": "/one\ninclude /etc/ld.so.conf\n",
        "etc/ld.so.conf.d/two.txt": "secret",
        "opt/conf/a.conf": "/a\n",
        "opt/conf/b.conf": "secret",
        "opt/musl/etc/ld-musl-x86_64.path": "/opt/musl/lib\n",
        "etc/ld.so.preload": "libone.so.1\n",
        "etc/passwd": "secret",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "etc/os-release").symlink_to("../srv/release")
    (root / "srv/release").write_text("ID=made\n")
    view = captured(root)
    assert sorted(view.meta.held) == [
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d/one.conf",
        "/etc/ld.so.preload",
        "/opt/conf/a.conf",
        "/opt/musl/etc/ld-musl-x86_64.path",
        "/srv/release",
    ]
    for path in view.meta.held:
        assert view.read(path) == (root / path[1:]).read_bytes()
    assert b"secret" not in b"".join(view.content(path).pread(0, 64) for path in ("/etc/passwd", "/opt/conf/b.conf"))


def test_snapshot_of_a_snapshot(root: Path) -> None:
    """A view that holds records gives the same snapshot again."""
    first = captured(root)
    again = captured(first)
    asked = [*walk(first), "/none"]
    assert answers(again, asked) == answers(first, asked)


def test_bytes_that_are_not_held_are_not_made_up(root: Path) -> None:
    view = captured(root)
    assert isinstance(view.content("/lib/libone.so.1").pread(0, 1 << 20), bytes)
    with pytest.raises(FormatError, match="could not be read in full"):
        view.read("/lib/libone.so.1")
    assert BytesContent(LIBRARY).pread(0, 64) == view.content("/lib/libone.so.1").pread(0, 64)
