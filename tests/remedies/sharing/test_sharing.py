"""Files of a temporary directory share their bytes, or are left; and get their own again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runworthy.model.edit import ShareFile
from runworthy.model.errors import RemedyError
from runworthy.model.storage import How
from runworthy.remedies.applying import forget, recover, undo, would_undo
from runworthy.remedies.journal import Journal
from runworthy.remedies.sharing import share
from tests.elfwriter import elf
from tests.remedies.applying.made import dump
from tests.remedies.sharing.made import TIME, Pair, left

pytestmark = pytest.mark.skipif(not hasattr(os, "O_NOATIME"), reason="sharing is for Linux")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where waiting for the disk takes no time, if its file system has what is looked at."""
    try:
        made = Path(tempfile.mkdtemp(prefix="runworthy-", dir="/dev/shm"))
    except OSError:
        yield tmp_path
        return
    with contextlib.suppress(OSError):
        os.setxattr(made, "user.one", b"1")
    yield made if os.listxattr(made) else tmp_path
    shutil.rmtree(made)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


# -- done and taken back ---------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hardlink", "symlink"])
def test_a_file_of_two_names_is_shared_and_comes_back(pair: Pair, how: How) -> None:
    other = pair.root / "cache" / "entry"
    other.parent.mkdir()
    os.link(pair.path, other)
    before = dump(pair.root)
    done = pair.share(how, paths=(pair.path, other), boundaries=[str(pair.root)])
    assert [(path, used) for path, used, _ in done.shared] == [(str(pair.path), how)]
    assert not done.left
    assert pair.is_shared
    assert other.samefile(pair.kept)
    assert pair.kept.stat().st_nlink == (3 if how == "hardlink" else 1)
    assert pair.path.is_symlink() == (how == "symlink")
    if how == "symlink":
        assert os.readlink(pair.path) == "../one/lib.so"
    assert done.entry == pair.journal.entries()[0].id
    assert [change.words.split()[-1] for change in pair.journal.entries()[0].changes] == [str(pair.kept)] * 2
    undone = pair.undo()
    assert (undone.entry.state, undone.left) == ("undone", ())
    assert dump(pair.root) == before


def test_what_is_done_is_told(pair: Pair) -> None:
    seen: list[tuple[str, int, int]] = []
    edit = ShareFile(paths=(str(pair.path),), kept=str(pair.kept), how="hardlink", size=10, frees=4096)
    done = share([edit], pair.journal, title="t", subject="s", watch=lambda *one: seen.append(one))
    assert seen == [("share", 0, 10)]
    assert done.estimated == 4096
    assert done.shared == ((str(pair.path), "hardlink", 16384),), "what its blocks take, whatever the plan says"


def test_many_files_and_one_that_is_left(tmp_path: Path) -> None:
    """More than go together at once; one of them is left, and the others are done."""
    pairs = [Pair(tmp_path / str(number), bytes([number]) * 100) for number in range(40)]
    pairs[20].path.write_bytes(b"x" * 100)
    before = [dump(one.root) for one in pairs]
    shares = [ShareFile(paths=(str(one.path),), kept=str(one.kept), how="hardlink", size=100) for one in pairs]
    journal = Journal(str(tmp_path / "journal"))
    done = share(shares, journal, title="t", subject="s")
    assert len(done.shared) == 39
    assert done.left == ((str(pairs[20].path), "they differ"),)
    assert [one.is_shared for one in pairs] == [number != 20 for number in range(40)]
    undo(journal)
    assert [dump(one.root) for one in pairs] == before


def test_files_that_hang_together_are_done_one_after_the_other(tmp_path: Path) -> None:
    """The second file is to join one that the first has just made a name of another."""
    one = Pair(tmp_path)
    third = one.root / "three"
    third.write_bytes(one.kept.read_bytes())
    shares = [
        ShareFile(paths=(str(one.path),), kept=str(one.kept), how="hardlink"),
        ShareFile(paths=(str(third),), kept=str(one.path), how="hardlink"),
    ]
    before = dump(one.root)
    assert not share(shares, one.journal, title="t", subject="s").left
    assert one.kept.stat().st_nlink == 3
    one.undo()
    assert dump(one.root) == before


# -- left as they are ------------------------------------------------------------------------


def _other_bytes(pair: Pair) -> None:
    data = bytearray(pair.path.read_bytes())
    data[-1] ^= 1
    pair.path.write_bytes(data)


def _hidden_name(pair: Pair) -> None:
    os.link(pair.path, pair.root / "one more")


def _linked(pair: Pair) -> None:
    pair.path.unlink()
    pair.path.symlink_to(pair.kept)


def _fifo(pair: Pair) -> None:
    pair.path.unlink()
    os.mkfifo(pair.path)


def _by_a_link(pair: Pair) -> None:
    (pair.root / "two").rename(pair.root / "real")
    (pair.root / "two").symlink_to("real")


def _empty(pair: Pair) -> None:
    pair.path.write_bytes(b"")
    pair.kept.write_bytes(b"")


def _set_id(pair: Pair) -> None:
    for path in (pair.path, pair.kept):
        path.chmod(0o4755)


def _scripts(pair: Pair) -> None:
    for path in (pair.path, pair.kept):
        path.write_bytes(b"#!/x/python\n")
        path.chmod(0o755)


LEFT: dict[str, tuple[Callable[[Pair], object], str]] = {
    "other bytes": (_other_bytes, "they differ"),
    "shorter": (lambda pair: os.truncate(pair.path, 5), "they differ"),
    "empty": (_empty, "it is empty"),
    "other mode": (lambda pair: pair.path.chmod(0o755), "a hard link has one set of permissions, and theirs differ"),
    "set-id": (_set_id, "set-user-ID"),
    "attribute": (lambda pair: os.setxattr(pair.path, "user.one", b"1"), "extended attributes, and theirs differ"),
    "names outside": (_hidden_name, "it has names outside of what was looked at"),
    "gone": (lambda pair: pair.path.unlink(), "it is not there"),
    "replaced by a link": (_linked, "it is no regular file"),
    "replaced by a FIFO": (_fifo, "it is no regular file"),
    "by a link": (_by_a_link, "a symbolic link is on the way to it, and might lead elsewhere"),
    "script": (_scripts, "installers and databases change such files in place"),
}


@pytest.mark.parametrize("name", LEFT)
def test_it_is_left(pair: Pair, name: str) -> None:
    spoil, why = LEFT[name]
    spoil(pair)
    assert why in pair.refusal()


def test_the_one_that_stays_may_be_no_link(pair: Pair) -> None:
    pair.kept.rename(pair.root / "real")
    pair.kept.symlink_to(pair.root / "real")
    assert pair.refusal() == "it is no regular file"


def test_one_file_is_not_shared_with_itself(pair: Pair) -> None:
    pair.path.unlink()
    os.link(pair.kept, pair.path)
    assert pair.refusal() == "they are one file already"


def test_nothing_outside_of_the_boundaries_is_touched(pair: Pair) -> None:
    for boundary in (pair.root / "one", pair.root / "two", pair.root / "tw"):
        assert pair.refusal(boundaries=[str(boundary)]) == "it lies outside of what may be changed"
    assert pair.refusal(boundaries=[str(pair.kept), f"{pair.path}.1"]) == "it lies outside of what may be changed"
    assert not pair.share(boundaries=[str(pair.root / "one"), f"{pair.root}/two/"]).left
    pair.undo()
    assert not pair.share(boundaries=[str(pair.kept), str(pair.path)]).left


@pytest.mark.parametrize("name", ["mod.py", "mod.cpython-312.pyc"])
def test_sources_have_to_have_one_time(tmp_path: Path, name: str) -> None:
    pair = Pair(tmp_path, name=name)
    assert "its bytecode is told from it by the time" in pair.refusal()
    status = pair.kept.stat()
    os.utime(pair.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not pair.share().left


@pytest.mark.parametrize("name", ["RECORD", "pyvenv.cfg", "x.pth", "state.sqlite3", "a.lock", "urls"])
def test_what_is_changed_in_place_is_kept_apart(tmp_path: Path, name: str) -> None:
    assert "change such files in place" in Pair(tmp_path, name=name).refusal()


@pytest.mark.parametrize("name", ["new\nline", "\udcff\udcfe", "-rf", " ", "ü", "a" * 220])
def test_names_may_be_anything(tmp_path: Path, name: str) -> None:
    pair = Pair(tmp_path, name=name)
    before = dump(pair.root)
    assert not pair.share().left
    assert pair.is_shared
    pair.undo()
    assert dump(pair.root) == before


@pytest.mark.parametrize("name", ["", "relative", "/a/../b", "//a", "/a\0b", "/\ud800"])
def test_names_that_are_none(pair: Pair, name: str) -> None:
    edit = ShareFile(paths=(name,), kept=str(pair.kept), how="hardlink")
    done = share([edit], pair.journal, title="t", subject="s")
    assert left(done) in ("it is no plain absolute path", "no file can have such a name")
    assert not done.shared


def test_one_name_that_cannot_be_moved_keeps_the_others(pair: Pair) -> None:
    """A name that is another file by now: nothing would be freed by moving the rest."""
    other = pair.root / "two" / "other"
    other.write_bytes(pair.path.read_bytes())
    assert pair.refusal(paths=(pair.path, other)) == f"{other} is no longer a name of it"


def test_programs_are_never_symbolic_links(pair: Pair) -> None:
    for path in (pair.path, pair.kept):
        path.chmod(0o755)
    assert pair.refusal("symlink") == "programs are never replaced by symbolic links"


_PROGRAMS = {
    "runpath": elf(runpath="$ORIGIN/../lib"),
    "rpath": elf(rpath="${ORIGIN}/x"),
    "interpreter": elf(interpreter="/lib64/ld-linux-x86-64.so.2"),
    "damaged": elf(runpath="$ORIGIN")[:70],
}


@pytest.mark.parametrize("what", _PROGRAMS)
def test_libraries_that_look_beside_themselves_are_never_symbolic_links(tmp_path: Path, what: str) -> None:
    """$ORIGIN is where a symbolic link leads, whatever the mode of the file says."""
    pair = Pair(tmp_path, _PROGRAMS[what])
    assert pair.refusal("symlink") == "programs are never replaced by symbolic links"
    assert not pair.share("hardlink").left


def test_plain_libraries_can_be_symbolic_links(tmp_path: Path) -> None:
    assert not Pair(tmp_path, elf(soname="libx.so", runpath="/opt/lib")).share("symlink").left


def test_one_of_both_is_set_id(pair: Pair) -> None:
    for path in (pair.path, pair.kept):
        path.chmod(0o2755)
        assert "set-user-ID" in pair.refusal()
        path.chmod(0o644)


def test_any_name_is_one_that_is_kept_apart(pair: Pair) -> None:
    other = pair.root / "two" / "RECORD"
    os.link(pair.path, other)
    assert "change such files in place" in pair.refusal(paths=(pair.path, other))
    other.unlink()
    (pair.root / ".git").mkdir()
    pair.kept.rename(pair.root / ".git" / "config")
    pair.kept = pair.root / ".git" / "config"
    assert "change such files in place" in pair.refusal()


# -- plans that nobody should make -----------------------------------------------------------


def _all_shares(journal: Journal, *edges: tuple[Path | tuple[Path, ...], Path]) -> list[str]:
    edits = [
        ShareFile(
            paths=tuple(map(str, paths if isinstance(paths, tuple) else (paths,))), kept=str(kept), how="hardlink"
        )
        for paths, kept in edges
    ]
    return [why for _, why in share(edits, journal, title="t", subject="s").left]


def test_each_of_two_is_to_take_the_place_of_the_other(pair: Pair) -> None:
    before = dump(pair.root)
    assert _all_shares(pair.journal, (pair.path, pair.kept), (pair.kept, pair.path)) == ["they are one file already"]
    assert pair.is_shared
    pair.undo()
    assert dump(pair.root) == before


def test_a_ring(pair: Pair) -> None:
    third = pair.root / "three"
    third.write_bytes(pair.kept.read_bytes())
    before = dump(pair.root)
    left = _all_shares(pair.journal, (pair.path, pair.kept), (third, pair.path), (pair.kept, third))
    assert left == ["it has names outside of what was looked at, so that nothing would be freed"]
    assert pair.kept.stat().st_nlink == 3
    pair.undo()
    assert dump(pair.root) == before


def test_one_file_is_named_twice(pair: Pair) -> None:
    """By another of its names, and for another one to stay: the first that is done counts."""
    other, third = pair.root / "two" / "other", pair.root / "three"
    os.link(pair.path, other)
    third.write_bytes(pair.kept.read_bytes())
    before = dump(pair.root)
    left = _all_shares(pair.journal, ((pair.path, other), pair.kept), ((other, pair.path), third), (pair.path, third))
    assert left == ["it has names outside of what was looked at, so that nothing would be freed"] * 2
    assert pair.kept.stat().st_nlink == 3
    pair.undo()
    assert dump(pair.root) == before


def test_one_name_twice_and_the_same_file_at_once(pair: Pair) -> None:
    done = pair.share(paths=(pair.path, pair.path, pair.path))
    assert not done.left
    assert len(pair.journal.entries()[0].changes) == 1
    assert _all_shares(pair.journal, (pair.kept, pair.kept)) == ["they are one file already"]


def test_the_one_that_stays_is_gone(pair: Pair) -> None:
    pair.kept.unlink()
    assert _all_shares(pair.journal, (pair.path, pair.kept)) == ["it is not there (No such file or directory)"]
    assert pair.path.exists()
    assert not pair.journal.entries()


def test_thousands_of_names(pair: Pair) -> None:
    names = [pair.path, *(pair.root / "two" / str(number) for number in range(600))]
    for name in names[1:]:
        os.link(pair.path, name)
    before = dump(pair.root)
    assert not pair.share(paths=names).left
    assert pair.kept.stat().st_nlink == 602
    pair.undo()
    assert dump(pair.root) == before


def test_holes_stay_holes(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    for path in (pair.kept, pair.path):
        with path.open("r+b") as stream:
            stream.truncate(16 << 20)
            stream.seek(9 << 20)
            stream.write(b"x")
    used = pair.path.stat().st_blocks
    before = dump(pair.root)
    assert not pair.share().left
    pair.undo()
    assert dump(pair.root) == before
    assert pair.path.stat().st_blocks <= used + 8


def test_another_journal_at_the_same_time(pair: Pair, tmp_path: Path) -> None:
    """Who holds the journal keeps others from it."""
    other = Journal(pair.journal.path, wait=0.05)
    with pair.journal.locked(), pytest.raises(RemedyError, match="another run"):
        share([], other, title="t", subject="s")


def test_a_writer_keeps_it(pair: Pair) -> None:
    for path in (pair.path, pair.kept):
        with path.open("r+b"):
            assert pair.refusal() == "somebody has it open for writing"
    assert not pair.share().left


# -- taken back, or not ----------------------------------------------------------------------


def test_what_was_written_since_is_not_undone(pair: Pair) -> None:
    pair.share()
    with pair.path.open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(RemedyError, match="no longer as it was left"):
        pair.undo()
    assert would_undo(pair.journal)[1]
    assert pair.is_shared
    assert pair.undo(force=True).entry.state == "undone"
    assert not pair.is_shared
    assert pair.path.read_bytes() == pair.kept.read_bytes()
    assert pair.path.read_bytes().endswith(b"more"), "the bytes of now, as a file of its own"


def test_what_was_written_since_is_seen_by_its_bytes(pair: Pair) -> None:
    pair.share()
    status = pair.path.stat()
    with pair.path.open("r+b") as stream:
        stream.write(b"THE")
    os.utime(pair.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(RemedyError, match="no longer as it was left; nothing was changed"):
        pair.undo()
    assert pair.is_shared
    assert pair.journal.entries()[0].state == "applied"


def test_what_was_replaced_since_stays(pair: Pair) -> None:
    pair.share()
    pair.path.unlink()
    pair.path.write_bytes(b"another version")
    done = pair.undo(force=True)
    assert done.left == (f"{pair.path} was changed by somebody else, and stays",)
    assert pair.path.read_bytes() == b"another version"


def test_the_one_that_stayed_may_go(pair: Pair) -> None:
    """The other environment is removed: a hard link is a file of its own."""
    before = pair.path.read_bytes()
    pair.share()
    pair.kept.unlink()
    pair.undo()
    assert pair.path.read_bytes() == before


def test_times_of_directories_come_back(pair: Pair) -> None:
    os.utime(pair.root / "two", ns=(5, 5))
    pair.share()
    assert (pair.root / "two").stat().st_mtime_ns != 5
    pair.undo()
    assert (pair.root / "two").stat().st_mtime_ns == 5


def test_times_and_attributes_of_all_else_stay(pair: Pair) -> None:
    """Files are read so that nobody sees it; links and directories in which nothing was exchanged are as they were.

    Where something was, the directory has the time of that until it is undone: programs that remember what it holds
    look again. To list it is seen in its time of access, as anybody's looking is.
    """
    (pair.root / "two/link").symlink_to("lib.so")
    (pair.root / "two/other.so").write_bytes(b"another one")
    for number, path in enumerate(paths := [pair.root, *sorted(pair.root.rglob("*"))]):
        if not path.is_symlink():
            os.setxattr(path, "user.note", b"kept")
        os.utime(path, ns=(TIME + number, TIME + number * 1_000_000_007), follow_symlinks=False)

    def seen() -> dict[str, tuple[int, int, list[str]]]:
        found = {}
        for path in paths:
            status, names = path.lstat(), os.listxattr(path, follow_symlinks=False)
            atime = 0 if stat.S_ISDIR(status.st_mode) else status.st_atime_ns
            found[str(path.relative_to(pair.root))] = atime, status.st_mtime_ns, names
        return found

    before = seen()
    assert not pair.share().left
    now = seen()
    assert {name for name, held in now.items() if held != before[name]} == {"two", "two/lib.so"}
    assert now["two/lib.so"] == before["one/lib.so"], "it is that file now"
    assert now["two"][2] == ["user.note"]
    assert not pair.undo().left
    assert seen() == before


# -- the journal -----------------------------------------------------------------------------


def test_a_torn_last_line_is_no_damage(pair: Pair) -> None:
    before = dump(pair.root)
    name = pair.share().entry
    log = Path(pair.journal.directory(name), "shares.jsonl")
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"words":"hard-li')
    assert not pair.journal.entries()[0].unreadable
    pair.undo()
    assert dump(pair.root) == before
    added = log.read_bytes().removeprefix(whole)
    assert [line[-1:] for line in added.splitlines()] == [b"}"]


@pytest.mark.parametrize(
    "line",
    [b"[]", b"{", b"{}", b'{"kind":"file"}', b'{"kind":"share","number":1}'],
)
def test_a_damaged_line_is_told_and_left(pair: Pair, line: bytes) -> None:
    name = pair.share().entry
    log = Path(pair.journal.directory(name), "shares.jsonl")
    log.write_bytes(line + b"\n" + log.read_bytes())
    assert "shares.jsonl" in pair.journal.entries()[0].unreadable
    with pytest.raises(RemedyError, match="cannot be read"):
        pair.undo()
    assert recover(pair.journal) == []


def test_a_log_that_names_other_files_to_remove_is_damaged(pair: Pair) -> None:
    name = pair.share().entry
    log = Path(pair.journal.directory(name), "shares.jsonl")
    log.write_bytes(log.read_bytes().replace(b'"temporary":".runworthy-', b'"temporary":"../important-'))
    assert pair.journal.entries()[0].unreadable


NONSENSE: tuple[object, ...] = (
    -1,
    10**30,
    2**63,
    0o4755,
    True,
    None,
    "",
    "x",
    "../x",
    "/etc/x",
    "/a/../b",
    "a\0b",
    "\ud800",
    [],
    [1],
    {},
)


@pytest.mark.slow
def test_a_log_that_somebody_else_made(tmp_path: Path) -> None:
    """Whatever a line says, it is told in one sentence, and nothing but its own files is touched."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"outside")
    hows: tuple[How, ...] = ("hardlink", "symlink")
    for how in hows:
        top = tmp_path / how
        pair = _shared(top, how)
        lines, fields = _lines(pair), _fields(json.loads(_lines(pair)[-1]))
        for where, value in [(where, value) for where in fields for value in NONSENSE]:
            log = Path(pair.journal.directory(pair.journal.entries()[0].id), "shares.jsonl")
            log.write_text("\n".join((*lines[:-1], json.dumps(_with(json.loads(lines[-1]), where, value)), "")))
            if pair.journal.entries()[0].unreadable:
                continue
            _taken_back_as_told(pair)
            assert outside.read_bytes() == b"outside", (where, value)
            assert pair.kept.read_bytes() == pair.path.read_bytes() == b"the same bytes\n" * 900, (where, value)
            assert not pair.path.stat().st_mode & 0o6000, (where, value)
            shutil.rmtree(top)
            pair = _shared(top, how)
            lines = _lines(pair)


def _taken_back_as_told(pair: Pair) -> None:
    for force in (False, True):
        with contextlib.suppress(RemedyError):
            pair.undo(force=force)
        with contextlib.suppress(RemedyError):
            recover(pair.journal)


def _shared(top: Path, how: How) -> Pair:
    pair = Pair(top)
    pair.share(how)
    return pair


def _lines(pair: Pair) -> list[str]:
    name = pair.journal.entries()[0].id
    return Path(pair.journal.directory(name), "shares.jsonl").read_text().splitlines()


def _fields(held: dict[str, object]) -> list[tuple[str, ...]]:
    nested = [("before", one) for one in ("mode", "uid", "gid", "atime", "mtime", "size", "inode", "kind", "xattrs")]
    nested += [("after", one) for one in ("mode", "mtime", "size", "inode", "kind", "text", "xattrs", "sha256")]
    return [*((one,) for one in held), *nested, ("temporary",), ("new",)]


def _with(held: dict[str, object], where: tuple[str, ...], value: object) -> dict[str, object]:
    inner = held
    for key in where[:-1]:
        found = inner[key]
        assert isinstance(found, dict)
        inner = found
    inner[where[-1]] = value
    return held


def test_no_line_has_a_program_made_that_runs_as_somebody_else(pair: Pair) -> None:
    name = pair.share().entry
    log = Path(pair.journal.directory(name), "shares.jsonl")
    log.write_text(log.read_text().replace('"mode":420', f'"mode":{0o4755}'))
    assert "its log is damaged" in pair.journal.entries()[0].unreadable


def test_a_journal_that_others_can_write_is_not_used(pair: Pair) -> None:
    pair.share()
    directory = Path(pair.journal.path)
    for mode in (0o770, 0o707):
        directory.chmod(mode)
        with pytest.raises(RemedyError, match="not this user's alone"):
            pair.undo()
        with pytest.raises(RemedyError, match="not this user's alone"):
            pair.share()
    directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(pair.journal.path, 1234, 0)
        with pytest.raises(RemedyError, match="not this user's alone"):
            pair.undo()
        os.chown(pair.journal.path, 0, 0)
    pair.undo()


def test_a_log_that_is_a_link_is_not_written_through(pair: Pair, tmp_path: Path) -> None:
    name = pair.share().entry
    log, outside = Path(pair.journal.directory(name), "shares.jsonl"), tmp_path / "outside"
    log.rename(outside)
    log.symlink_to(outside)
    before = outside.read_bytes()
    with contextlib.suppress(RemedyError):
        pair.undo()
    assert outside.read_bytes() == before


def test_an_entry_is_not_written_anew_for_each_file(tmp_path: Path) -> None:
    """The log grows by what is new: so the work is not the square of the number of files."""
    pairs = [Pair(tmp_path / str(number), b"x" * (number + 1)) for number in range(20)]
    journal = Journal(str(tmp_path / "journal"))
    shares = [ShareFile(paths=(str(one.path),), kept=str(one.kept), how="hardlink", size=100) for one in pairs]
    name = share(shares, journal, title="t", subject="s").entry
    held = Path(journal.directory(name))
    assert b'"share"' not in (held / "entry.json").read_bytes()
    assert len((held / "shares.jsonl").read_bytes().splitlines()) == 20 + 20 + 20  # directories, begun, done
    undo(journal)
    forget(journal, [name])
    assert journal.entries() == []


def test_nothing_is_done_without_a_journal(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    before = dump(pair.root)
    pair.journal = Journal(str(tmp_path / "file" / "journal"))
    with pytest.raises(RemedyError, match="cannot be used"):
        pair.share()
    assert dump(pair.root) == before


def test_a_run_that_was_cut_off_comes_first(pair: Pair) -> None:
    with pair.journal.locked():
        from runworthy.remedies.applying.record import Record

        Record.begin(pair.journal, subject="s", target="t", title="u")
    with pytest.raises(RemedyError, match="was cut off"):
        pair.share()
    recover(pair.journal)
    assert not pair.share().left
