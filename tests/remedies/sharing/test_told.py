"""What an inode is told to be (chattr) is no other's after sharing, and is there again when that is taken back."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

import runworthy
from runworthy.model.storage import How
from runworthy.remedies.journal import Journal
from tests.remedies.applying.made import dump
from tests.remedies.sharing.made import Pair, as_user, given
from tests.storage.ground import Ground

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(os.geteuid() != 0, reason="file systems are mounted: run the tests as root"),
]

FLAGS = {"ext4": "sucSdAtx", "xfs": "SdAx", "btrfs": "cSdAmC"}
_GET, _SET = 0x801C581F, 0x401C5820  # FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR
_FSX = struct.Struct("=IIIII8x")


def flags(path: Path) -> str:
    """What `lsattr` says of a file, and its project; that ext4 has it in extents is no matter of anybody's."""
    project, said = subprocess.check_output(["lsattr", "-p", path], text=True).split()[:2]
    return f"{project} {said.replace('e', '').replace('-', '')}"


def chattr(path: Path, letters: str) -> None:
    subprocess.check_call(["chattr", f"+{letters}", path])


def written(path: Path, letters: str, data: bytes) -> None:
    """Make a file anew that was told something when it was empty."""
    status = path.stat()
    path.unlink()
    path.touch()
    chattr(path, letters)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def pairs(disk: Ground) -> Iterable[tuple[str, Pair]]:
    for letter in FLAGS[disk.kind]:
        yield letter, Pair(disk.path / f"place-{letter}", os.urandom(70_000))


def test_flags_of_both_are_there_again(everywhere: Ground) -> None:
    for letter, pair in pairs(everywhere):
        data = pair.kept.read_bytes()
        written(pair.kept, letter, data)
        written(pair.path, letter, data)
        before, said = dump(pair.root), flags(pair.path)
        assert letter in said
        assert not pair.share().left, letter
        assert pair.is_shared
        assert not pair.undo().left, letter
        assert not pair.is_shared
        assert flags(pair.path) == said
        assert dump(pair.root) == before


def test_flags_of_one_keep_it_from_links(everywhere: Ground) -> None:
    """But for what btrfs says of a file by itself: that its bytes are not worth compressing."""
    for letter, pair in pairs(everywhere):
        data = pair.path.read_bytes()
        for path in (pair.path, pair.kept):
            written(path, letter, data)
            if letter == "m":
                assert not pair.share().left
                assert not pair.undo().left
            else:
                assert "extended attributes, and theirs differ" in pair.refusal(), letter
            plain = path.with_name("plain")
            plain.write_bytes(data)
            os.utime(plain, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
            plain.replace(path)


@pytest.mark.parametrize("how", ["clone", "extents"])
def test_flags_stay_where_storage_is_shared(reflinking: Ground, how: How) -> None:
    for letter, pair in pairs(reflinking):
        written(pair.path, letter, pair.kept.read_bytes())
        before, said = dump(pair.root), flags(pair.path)
        if letter == "C":
            assert pair.refusal(how).startswith("one of them is never copied on write (chattr +C)")
            continue
        assert not pair.share(how).left, letter
        assert flags(pair.path) == said
        assert not pair.undo().left
        assert flags(pair.path) == said
        assert dump(pair.root)["two/lib.so"] == before["two/lib.so"]


def test_what_a_directory_hands_on_is_taken_away(btrfs: Ground) -> None:
    """What is made there is not copied on write, or compressed; what was there before is not."""
    for letter, hows in (("C", ("hardlink", "clone")), ("c", ("hardlink", "clone")), ("d", ("hardlink", "clone"))):
        for how in hows:
            pair = Pair(btrfs.path / f"{letter}-{how}", os.urandom(70_000))
            chattr(pair.path.parent, letter)
            before = dump(pair.root)
            assert not pair.share(how).left  # type: ignore[arg-type]
            assert not pair.undo().left
            assert flags(pair.path) == "0 "
            assert dump(pair.root) == before


def _extended(path: Path, **wanted: int) -> tuple[int, ...]:
    """Set a project or a hint for extents, as chattr -p and xfs_io do, and return all that is said so."""
    with path.open("rb") as stream:
        raw = bytearray(_FSX.size)
        fcntl.ioctl(stream.fileno(), _GET, raw)
        flags, size, extents, project, copied = _FSX.unpack(raw)
        if wanted:
            flags |= 0x800 if "size" in wanted else 0
            new = _FSX.pack(flags, wanted.get("size", size), extents, wanted.get("project", project), copied)
            fcntl.ioctl(stream.fileno(), _SET, bytearray(new))
        return flags & 0x10801, size, project, copied


@pytest.mark.parametrize("wanted", [{"project": 7}, {"size": 65536}], ids=["project", "extents"])
def test_projects_and_hints(xfs: Ground, wanted: dict[str, int]) -> None:
    pair = Pair(xfs.path / "place", os.urandom(70_000))
    said = {}
    for path in (pair.kept, pair.path):
        data, status = path.read_bytes(), path.stat()
        path.unlink()
        path.touch()
        _extended(path, **wanted)
        said[path] = _extended(path)
        assert any(said[path])
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    for how in ("hardlink", "clone"):
        assert not pair.share(how).left
        assert not pair.undo().left
        assert _extended(pair.path) == said[pair.path]
    plain = pair.kept.with_name("plain")
    plain.write_bytes(pair.kept.read_bytes())
    plain.replace(pair.kept)
    pair.journal = Journal(str(xfs.path / "journal"))
    assert "extended attributes, and theirs differ" in pair.refusal()
    assert not pair.share("clone").left
    assert _extended(pair.path) == said[pair.path]


def test_flags_that_cannot_be_given_again_are_told(ext4: Ground) -> None:
    """The bytes are there, and the rest is said: here that the kernel vouched for them (fs-verity)."""
    pair = Pair(ext4.path / "place")
    assert not pair.share().left
    (log,) = Path(pair.journal.path).glob("*/shares.jsonl")
    text = log.read_text()
    assert '"sha256":' in text
    log.write_text(text.replace('"sha256":', f'"told":[{0x100000 | 0x40},0,0,0,0],"sha256":'))
    before = pair.path.read_bytes()
    assert pair.undo().left == (f"{pair.path} has its bytes again, and not all of its flags (lsattr)",)
    assert not pair.is_shared
    assert pair.path.read_bytes() == before
    assert flags(pair.path) == "0 d", "what can be said of it is"


def test_attributes_that_cannot_be_given_again_are_told(memory: Path) -> None:
    """Capabilities are root's to give."""
    pair = Pair(memory / "place")
    given(memory)
    for path in (pair.kept, pair.path):
        os.setxattr(path, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))

    def work() -> None:
        assert not pair.share().left
        left = (f"{pair.path} has its bytes again, and not all of its extended attributes",)
        assert pair.undo().left == left

    assert as_user(work) == 0
    assert not pair.is_shared


def test_the_plan_knows_who_is_never_copied_on_write(btrfs: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that stays is one of them: those that cannot share with it share with each other."""
    monkeypatch.setenv("XDG_STATE_HOME", str(btrfs.path / "state"))
    data = os.urandom(200_000)
    top = btrfs.path / "work"
    top.mkdir()
    (top / "a.so").touch()
    chattr(top / "a.so", "C")
    for name in "abcd":
        (top / f"{name}.so").write_bytes(data)
    os.link(top / "a.so", top / "a-too.so")
    os.sync()
    planned = runworthy.dedupe(top, caches=False, dry_run=True)
    assert [(os.path.basename(one.file.names[0]), one.bar or one.how) for one in planned.spares] == [
        ("b.so", "copying-differs"),
        ("c.so", "extents"),
        ("d.so", "extents"),
    ]
    done = runworthy.dedupe(top, caches=False, apply=True).reclaimed
    assert done is not None
    assert not done.left
    assert [path for path, _, _ in done.shared] == [path for one in planned.shares for path in one.paths]
    assert sum(freed for _, _, freed in done.shared) == done.estimated
    assert abs(done.measured - done.estimated) < 100_000
