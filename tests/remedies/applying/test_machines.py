"""What needs a machine's own things: its kernel's handlers, and file systems that are full or read-only."""

from __future__ import annotations

import codecs
import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.model.edit import EditText, LinkFile, WriteFile
from runworthy.model.errors import RemedyError
from runworthy.remedies.applying import Ground, apply, recover, undo
from runworthy.remedies.journal import Journal
from tests.judges.kernel import requires_kernel
from tests.remedies.applying.made import SCENARIOS, dump, furnish

pytestmark = pytest.mark.judge

SCRIPT = Path(__file__).with_name("kernel_script.py")
MIB = 1 << 20


def test_handlers_come_and_go(tmp_path: Path) -> None:
    """In namespaces with a binfmt_misc of their own, whose order and texts are compared."""
    with requires_kernel():
        pass
    start = 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", start, "sh", sys.executable, SCRIPT, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    before = told.pop("before")
    assert [name for name, _ in before] == ["other", "last", "wine", "status"]
    names = {key: [name for name, _ in told[key][0]] for key in ("registered", "moved up", "gone", "by a program")}
    assert names == {
        "registered": ["APE", "other", "last", "wine", "status"],
        "moved up": ["wine", "other", "last", "status"],
        "gone": ["other", "last", "status"],
        "by a program": ["other", "last", "wine", "status"],
    }
    assert dict(told["off"][0])["other"].startswith("disabled\n")
    assert [key for key in (*names, "off") if told[key][1] != before] == []
    assert told["failed"][0].endswith("; everything was taken back")
    assert told["failed"][1] == before
    said, now = told["changed since"]
    assert said == "the handlers of /proc/sys/fs/binfmt_misc are no longer as they were left; nothing was undone"
    assert [name for name, _ in now] == ["mine", "other", "last", "status"]
    assert told["recovered"] == [0, now]
    assert (told["asked for"], told["on again"]) == ("disabled\n", now)
    assert told["all off"] == ["binfmt_misc is not switched off as a whole"]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small ext4 file system of its own."""
    image, point = tmp_path / "image", tmp_path / "mounted"
    with open(image, "wb") as stream:
        stream.truncate(8 * MIB)
    point.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def fill(directory: Path) -> Path:
    """Use up all that is left of a file system."""
    path = directory / "fill"
    with open(path, "wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return path


def test_a_full_file_system(mounted: Path, tmp_path: Path) -> None:
    root = mounted / "root"
    root.mkdir()
    furnish(root)
    journal = Journal(str(tmp_path / "journal"))
    before = dump(root)
    filled = fill(mounted)
    edit = WriteFile(path="/etc/text", content=bytes(100_000))
    with pytest.raises(RemedyError) as caught:
        apply([LinkFile(path="/lib/old", text="x"), edit], Ground(root=str(root)), journal)
    said = "cannot be changed: its file system is full (No space left on device); everything was taken back"
    assert str(caught.value) == f"{root}/etc/text {said}"
    assert dump(root) == before
    assert recover(journal) == []

    filled.unlink()
    apply([edit], Ground(root=str(root)), journal)
    after = dump(root)
    filled = fill(mounted)
    (root / "etc/text").open("r+b").close()
    with pytest.raises(RemedyError, match="its file system is full"):  # what was kept lies on another file system
        _undo_where_full(journal, mounted)
    assert dump(root) == after
    filled.unlink()
    undo(journal)
    assert dump(root) == before


def _undo_where_full(journal: Journal, mounted: Path) -> None:
    entry = journal.entries()[-1]
    assert [change.backup for change in entry.changes] == ["copy"]  # type: ignore[union-attr]
    undo(journal)


def test_a_full_journal(mounted: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    furnish(root)
    journal = Journal(str(mounted / "journal"))
    before = dump(root)
    with journal.locked():
        filled = fill(mounted)
    edit = EditText(path="/etc/text", before=b"one\ntwo\n", after=b"2\n", what="shorter")
    with pytest.raises(RemedyError, match=r"the journal .* cannot be written: its file system is full"):
        apply([edit], Ground(root=str(root)), journal)
    assert dump(root) == before
    filled.unlink()
    recover(journal)
    apply([edit], Ground(root=str(root)), journal)
    undo(journal)
    assert dump(root) == before


def test_a_journal_that_fills_up_in_the_middle(mounted: Path, tmp_path: Path) -> None:
    """What was there is too large to be kept: nothing is changed."""
    root = tmp_path / "root"
    root.mkdir()
    furnish(root)
    (root / "large").write_bytes(os.urandom(12 * MIB))
    journal = Journal(str(mounted / "journal"))
    before = dump(root)
    with pytest.raises(RemedyError, match=r"what is there cannot be kept in .*: its file system is full"):
        apply(
            [WriteFile(path="/etc/text", content=b""), WriteFile(path="/large", content=b"")],
            Ground(root=str(root)),
            journal,
        )
    assert dump(root) == before
    assert [entry.state for entry in journal.entries()] == ["rolled-back"]
    apply(SCENARIOS["several"](), Ground(root=str(root)), journal)
    undo(journal)
    assert dump(root) == before


def test_a_read_only_file_system(mounted: Path, tmp_path: Path) -> None:
    root = mounted / "root"
    root.mkdir()
    furnish(root)
    before = dump(root)
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    journal = Journal(str(tmp_path / "journal"))
    for name in ("edit", "chmod", "new", "link", "removed"):
        with pytest.raises(
            RemedyError, match=r"cannot be changed: its file system is read-only \(.*\); everything was taken back"
        ):
            apply(SCENARIOS[name](), Ground(root=str(root)), journal)
        assert dump(root) == before


def test_without_permission(tmp_path: Path) -> None:
    """As another user than root, in a child that becomes it."""
    root = tmp_path / "root"
    root.mkdir()
    furnish(root)
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
            path.chmod(0o755)  # pytest's own directories are closed to others, how many of them there are differs
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, 65534)
    before = dump(root, times=False)  # who does not own a file cannot read it without that being noted
    codecs.lookup("ascii")  # the other user need not be able to read this Python's library
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            journal = Journal(str(tmp_path / "state/journal"))
            for name in ("edit", "chmod", "new", "link", "removed"):
                with pytest.raises(RemedyError, match=r"permission is denied|that is not allowed"):
                    apply(SCENARIOS[name](), Ground(root=str(root)), journal)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert dump(root, times=False) == before


def test_links_that_lead_outside_stay_inside(tmp_path: Path) -> None:
    """Planted links are resolved in the root, as they are where it is judged."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "text").write_bytes(b"theirs")
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "etc").symlink_to("../../../../../../../../real")
    (root / "opt").symlink_to(outside)
    (root / "real/text").symlink_to(outside / "text")
    journal, seen = Journal(str(tmp_path / "journal")), dump(outside)
    edits = [WriteFile(path="/etc/text", content=b"new"), WriteFile(path="/opt/made/file", content=b"new")]
    apply(edits, Ground(root=str(root)), journal)
    assert (root / "real/text").read_bytes() == b"new"
    assert not (root / "real/text").is_symlink()
    assert (root / f"{outside}/made/file".lstrip("/")).read_bytes() == b"new"
    assert dump(outside) == seen
    undo(journal)
    assert (root / "real/text").is_symlink()
    assert dump(outside) == seen
    with pytest.raises(RemedyError, match="it is not there"):
        apply([EditText(path="/etc/text", before=b"theirs", after=b"", what="x")], Ground(root=str(root)), journal)
    for link in ("dist", "dist-relative"):
        (tmp_path / link).symlink_to(outside if link == "dist" else "outside")
        with pytest.raises(RemedyError, match="a symbolic link is on the way to it"):
            apply([WriteFile(path=f"/subject{tmp_path}/{link}/file", content=b"")], Ground(root=None), journal)
    assert dump(outside) == seen
