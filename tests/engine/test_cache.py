"""What is kept between runs changes nothing but the time that an answer takes."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runworthy.engine import Engine, Wishes
from runworthy.model.errors import UsageError
from runworthy.model.finding import Report
from runworthy.model.host import BinfmtEntry
from runworthy.model.records import replace
from runworthy.simulate.launch import Launch
from runworthy.targets import cache as cache_module
from runworthy.targets import host, kept
from runworthy.targets.cache import Cache, signature_of
from runworthy.targets.names import TargetName
from tests.elfwriter import Symbol, elf

PROGRAMS = 40
LIBRARIES = 5
SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
GRAIN = 30_000_000
"""Taken for the grain of the file system's clock here (ns), so that a test need not wait for seconds."""


@pytest.fixture(autouse=True)
def _fine_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_SETTLED", GRAIN)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Programs that find their libraries beside them."""
    made = tmp_path / "tree"
    (made / "lib").mkdir(parents=True)
    for number in range(LIBRARIES):
        (made / "lib" / f"lib{number}.so").write_bytes(library(number))
    for number in range(PROGRAMS):
        program = made / f"app{number}"
        program.write_bytes(
            elf(
                interpreter="/lib64/ld-linux-x86-64.so.2",
                needed=[f"lib{number % LIBRARIES}.so", "libc.so.6"],
                runpath="$ORIGIN/lib",
                imports=[Symbol(f"made{number % LIBRARIES}", use="data"), Symbol("puts", "GLIBC_2.2.5", "libc.so.6")],
                tags=[(21, 0)],
                build_id=bytes([number]),
            )
        )
        program.chmod(0o755)
    return made


def library(number: int, *names: str) -> bytes:
    return elf(soname=f"lib{number}.so", exports=names or [f"made{number}"])


def judge(tree: Path, cache: Cache | None, *, on: str = "debian:12", jobs: int = 1, recall: bool = True) -> Report:
    engine = Engine(Wishes(jobs=jobs, cache=os.path.dirname(cache.path) if cache else ""))
    # A check that names the files is not worth remembering: facts alone are kept.
    return engine.check([str(tree)], [TargetName(on)], only=None if recall else Everything())


class Everything:
    """A container that holds whatever it is asked for."""

    def __contains__(self, item: object) -> bool:
        return True


def settle() -> None:
    time.sleep(1.5 * GRAIN / 1e9)


def test_the_same_report_from_facts_and_from_reports_that_were_kept(tree: Path, tmp_path: Path) -> None:
    settle()
    plain = judge(tree, None)
    assert {result.verdict for result in plain.results} == {"runs"}
    kept = tmp_path / "cache"
    for recall in (False, False, True, True):
        assert judge(tree, Cache(str(kept)), recall=recall) == plain
    info = Cache(str(kept)).info()
    assert info.reports == 1
    assert info.facts > PROGRAMS
    assert info.symbols > LIBRARIES
    assert info.size > 0


def test_a_recalled_report_reads_no_file(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle()
    kept = Cache(str(tmp_path / "cache"))
    plain = judge(tree, kept)
    monkeypatch.setattr(Engine, "_judge", None)
    assert judge(tree, Cache(str(tmp_path / "cache"))) == plain


def replaced(tree: Path, pick: random.Random) -> None:
    """Give a library other symbols: the same length, and the time of change set back."""
    path = tree / "lib" / f"lib{pick.randrange(LIBRARIES)}.so"
    if not path.is_file():
        return
    before = path.stat()
    number = int(path.stem[3:])
    other = f"made{number}" if b"wade" in path.read_bytes() else f"wade{number}"
    path.write_bytes(library(number, other))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def removed(tree: Path, pick: random.Random) -> None:
    if pick.random() < 0.2:
        emptied(tree / "lib")
    else:
        (tree / "lib" / f"lib{pick.randrange(LIBRARIES)}.so").unlink(missing_ok=True)


def emptied(path: Path) -> None:
    """Take away a directory, or the link in its place."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def added(tree: Path, pick: random.Random) -> None:
    (tree / "lib").mkdir(exist_ok=True)
    number = pick.randrange(LIBRARIES)
    (tree / "lib" / f"lib{number}.so").write_bytes(library(number))


def forbidden(tree: Path, pick: random.Random) -> None:
    """Take the permission to execute away, or give it back."""
    path = tree / f"app{pick.randrange(PROGRAMS)}"
    path.chmod(0o644 if path.stat().st_mode & 0o111 else 0o755)


def linked(tree: Path, pick: random.Random) -> None:
    """Put a link in the place of the directory of libraries, or lead it elsewhere."""
    away = tree.parent / f"away{pick.randrange(2)}"
    away.mkdir(exist_ok=True)
    (away / "lib0.so").write_bytes(library(0))
    emptied(tree / "lib")
    (tree / "lib").symlink_to(away)


def grown(tree: Path, pick: random.Random) -> None:
    """Turn a text into a program in its place."""
    path = tree / "notes"
    path.write_bytes(b"text" if pick.random() < 0.5 else (tree / "app0").read_bytes())
    path.chmod(0o755)


EDITS: tuple[Callable[[Path, random.Random], None], ...] = (replaced, removed, added, forbidden, linked, grown)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_whatever_changes_the_answer_is_that_of_a_fresh_look(tree: Path, tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)  # noqa: S311 - a choice of edits
    verdicts = set()
    for _ in range(10):
        for _ in range(pick.randrange(4)):
            pick.choice(EDITS)(tree, pick)
        if pick.random() < 0.7:
            settle()
        fresh = judge(tree, None)
        assert judge(tree, Cache(str(tmp_path / "cache"))) == fresh
        verdicts |= {result.verdict for result in fresh.results}
    assert len(verdicts) > 1


def test_what_was_changed_just_now_is_not_kept(tree: Path, tmp_path: Path) -> None:
    kept = Cache(str(tmp_path / "cache"))
    (tree / "lib" / "lib0.so").write_bytes(library(0, "wade0"))
    judge(tree, kept)
    assert kept.info().reports == 0
    settle()
    judge(tree, kept)
    assert kept.info().reports == 1


def test_a_report_on_this_machine_counts_under_its_handlers_alone(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    facts = host.running_facts()
    taken = BinfmtEntry(name="new", text="enabled\ninterpreter /bin/new\nflags: \noffset 0\nmagic 4d5a\n")
    changed = replace(facts, binfmt=replace(facts.binfmt, entries=(taken,)))
    for now, reports in ((facts, 1), (facts, 1), (changed, 2), (facts, 2)):
        monkeypatch.setattr(host, "running_facts", lambda now=now: now)
        judge(tree, Cache(str(tmp_path / "cache")), on="host")
        assert Cache(str(tmp_path / "cache")).info().reports == reports


@pytest.mark.parametrize("damage", [b"", b"no database at all", b"SQLite format 3\0" + bytes(4080)])
def test_a_damaged_cache_is_made_anew(tree: Path, tmp_path: Path, damage: bytes) -> None:
    settle()
    plain = judge(tree, Cache(str(tmp_path / "cache")))
    kept = Cache(str(tmp_path / "cache"))
    kept.clear()
    Path(kept.path).write_bytes(damage)
    for _ in range(3):
        assert judge(tree, Cache(str(tmp_path / "cache"))) == plain
    assert Cache(str(tmp_path / "cache")).info().reports == 1


def test_damaged_records_and_reports_are_passed_over(tree: Path, tmp_path: Path) -> None:
    settle()
    plain = judge(tree, Cache(str(tmp_path / "cache")))
    with sqlite3.connect(Cache(str(tmp_path / "cache")).path) as connection:
        connection.execute("UPDATE records SET record = zeroblob(100)")
        connection.execute("UPDATE reports SET report = zeroblob(100)")
    connection.close()
    assert judge(tree, Cache(str(tmp_path / "cache"))) == plain


def test_records_of_other_sources_are_dropped(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle()
    judge(tree, Cache(str(tmp_path / "cache")))
    monkeypatch.setattr(cache_module, "__version__", "99.0")
    info = Cache(str(tmp_path / "cache")).info()
    assert (info.facts, info.symbols, info.reports) == (0, 0, 0)


@pytest.mark.skipif(os.name != "posix", reason="POSIX owners and modes")
@pytest.mark.parametrize("mode", [0o775, 0o777])
def test_a_cache_that_others_can_write_is_left_alone(tree: Path, tmp_path: Path, mode: int) -> None:
    settle()
    directory = tmp_path / "cache"
    plain = judge(tree, Cache(str(directory)))
    directory.chmod(mode)
    kept = Cache(str(directory))
    assert judge(tree, kept) == plain
    assert kept.info().facts == 0  # it is there, and nobody asks it


def test_a_locked_cache_is_no_hindrance(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle()
    plain = judge(tree, Cache(str(tmp_path / "cache")))
    monkeypatch.setattr(cache_module, "_WAIT", 0.05)
    connection = sqlite3.connect(Cache(str(tmp_path / "cache")).path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        (tree / "lib" / "lib1.so").unlink()
        judged = judge(tree, Cache(str(tmp_path / "cache")))
    finally:
        connection.close()
    assert judged == judge(tree, None)
    assert judged != plain


def own_root(path: Path, *libraries: str) -> Path:
    """Make a root that has a loader, a C library and these libraries."""
    for directory in ("etc", "lib64", "usr/lib"):
        (path / directory).mkdir(parents=True)
    (path / "etc/os-release").write_text("ID=made\n")
    loader = path / "lib64/ld-linux-x86-64.so.2"
    loader.write_bytes(elf(soname=loader.name))
    loader.chmod(0o755)
    for name in ("libc.so.6", *libraries):
        (path / "usr/lib" / name).write_bytes(elf(soname=name))
    return path


def program(path: Path, needed: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(elf(interpreter="/lib64/ld-linux-x86-64.so.2", needed=[needed], tags=[(21, 0)]))
    path.chmod(0o755)


def lead(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def test_a_root_behind_a_link_that_leads_elsewhere_now_is_another_root(tmp_path: Path) -> None:
    own_root(tmp_path / "one", "libextra.so")
    own_root(tmp_path / "two")
    program(tmp_path / "tree" / "app", "libextra.so")
    root = tmp_path / "current"
    verdicts = []
    for target in ("one", "one", "two", "two", "one"):
        lead(root, target)
        settle()
        report = judge(tmp_path / "tree", Cache(str(tmp_path / "cache")), on=str(root))
        assert report == judge(tmp_path / "tree", None, on=str(root))
        verdicts.append(report.results[0].verdict)
    assert verdicts == ["runs", "runs", "fails", "fails", "runs"]


def test_a_subject_behind_a_link_in_a_root_of_its_own_is_followed(tmp_path: Path) -> None:
    root = own_root(tmp_path / "root", "libextra.so")
    program(root / "opt" / "one" / "app", "libextra.so")
    program(root / "opt" / "two" / "app", "libabsent.so")
    verdicts = []
    for target in ("one", "two"):
        lead(root / "opt" / "current", target)
        settle()
        report = judge(root / "opt" / "current", Cache(str(tmp_path / "cache")), on=str(root))
        verdicts.append(report.results[0].verdict)
    assert verdicts == ["runs", "fails"]


def test_a_tree_that_was_moved_away_during_the_check_is_not_remembered(tree: Path, tmp_path: Path) -> None:
    place = tmp_path / "releases" / "app"
    shutil.copytree(tree, place)
    shutil.copytree(tree, tmp_path / "new" / "app")
    (tmp_path / "new" / "app" / "lib" / "lib0.so").unlink()
    settle()

    def swap(what: str, *_: int) -> None:
        if what == "judge" and (tmp_path / "new").exists():
            (tmp_path / "releases").rename(tmp_path / "old")
            (tmp_path / "new").rename(tmp_path / "releases")

    cache = Cache(str(tmp_path / "cache"))
    Engine(Wishes(cache=str(tmp_path / "cache"))).check([str(place)], [TargetName("debian:12")], swap)
    assert cache.info().reports == 0
    assert judge(place, cache) == judge(place, None)


@pytest.mark.skipif(os.name != "posix", reason="POSIX owners and modes")
def test_a_directory_that_can_be_looked_into_again_is(tree: Path, tmp_path: Path) -> None:
    judge(tree, Cache(str(tmp_path / "cache")))  # everything is imported: others may not be able to read it
    with tempfile.TemporaryDirectory() as place, as_somebody(place, tree):
        closed = Path(place, "tree", "lib", "more")
        closed.mkdir()
        shutil.copy(closed.parents[1] / "app0", closed / "app")
        closed.chmod(0)
        settle()
        cache = Cache(os.path.join(place, "cache"))
        assert any(result.verdict == "unknown" for result in judge(closed.parents[1], cache).results)
        assert cache.info().reports == 1
        closed.chmod(0o755)
        settle()
        assert not any(result.verdict == "unknown" for result in judge(closed.parents[1], cache).results)


@contextmanager
def as_somebody(place: str, tree: Path) -> Iterator[None]:
    """Be a user whom modes concern, with a tree of one's own in ``place``: the superuser looks into everything."""
    shutil.copytree(tree, os.path.join(place, "tree"))
    if os.geteuid() != 0:
        yield
        return
    for directory, _, names in os.walk(place):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            os.chown(path, 12345, -1)
    os.seteuid(12345)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_engine_that_was_asked_before_remembers_no_report(tree: Path, tmp_path: Path) -> None:
    settle()
    engine = Engine(Wishes(cache=str(tmp_path / "cache")))
    engine.check([str(tree)], [TargetName("debian:11")])
    engine.check([str(tree)], [TargetName("debian:12")])
    assert Cache(str(tmp_path / "cache")).info().reports == 1


@contextmanager
def mounted(tree: Path, image: Path, at: Path) -> Iterator[None]:
    """An image of the tree, made so that the next edition has the same inodes and times, mounted read-only."""
    paths = sorted(["", *(str(path.relative_to(tree)) for path in tree.rglob("*"))])
    subprocess.run([shutil.which("mkfs.ext4", path=SBIN) or "", "-q", "-d", tree, image, "8M"], check=True)
    commands = "".join(
        f'set_inode_field "/{path}" {field} 20240101\n' for path in paths for field in ("ctime", "mtime", "ctime_extra")
    ).replace("ctime_extra 20240101", "ctime_extra 0")
    subprocess.run(
        [shutil.which("debugfs", path=SBIN) or "", "-w", "-f", "-", image],
        input=commands,
        check=True,
        capture_output=True,
        text=True,
    )
    subprocess.run(["mount", "-o", "loop,ro", image, at], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
@pytest.mark.skipif(not shutil.which("mkfs.ext4", path=SBIN), reason="needs mkfs.ext4 (package e2fsprogs)")
@pytest.mark.parametrize("kept", ["report", "facts"])
def test_another_edition_of_an_image_is_told_by_what_is_in_it(tree: Path, tmp_path: Path, kept: str) -> None:
    at, cache = tmp_path / "at", str(tmp_path / "cache")
    at.mkdir()
    answers, times, sizes = [], [], []
    for edition in range(2):
        if edition:
            (tree / "lib" / "lib0.so").write_bytes(library(0, "wade0"))
        with mounted(tree, tmp_path / f"image{edition}", at):
            status = (at / "lib" / "lib0.so").stat()
            times.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            plain = judge(at, None)
            assert judge(at, Cache(cache), recall=kept == "report") == plain
            sizes.append(Cache(cache).info().facts)
            answers.append(plain)
            assert judge(at, Cache(cache), recall=kept == "report") == plain
    assert times[0] == times[1]
    assert times[0][3] % 10**9 == 0
    assert sizes[0] > PROGRAMS
    assert answers[0] != answers[1]


def test_what_such_an_image_holds_is_recalled_all_the_same(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    monkeypatch.setattr(cache_module, "_SECOND", 1)  # each time is in whole ones
    plain = judge(tree, Cache(str(tmp_path / "cache")))
    with monkeypatch.context() as recalled:
        recalled.setattr(Engine, "_judge", None)
        assert judge(tree, Cache(str(tmp_path / "cache"))) == plain
    assert judge(tree, Cache(str(tmp_path / "cache")), recall=False) == plain


def test_a_handful_of_files_does_not_open_the_cache(tree: Path, tmp_path: Path) -> None:
    settle()
    engine = Engine(Wishes(cache=str(tmp_path / "cache")))
    engine.check([str(tree / f"app{number}") for number in range(5)], [TargetName("debian:12")])
    assert not (tmp_path / "cache").exists()


def test_processes_give_the_report_of_one(tree: Path, tmp_path: Path) -> None:
    settle()
    (tree / "lib" / "lib3.so").unlink()
    (tree / "broken").write_bytes((tree / "app0").read_bytes()[:100])
    plain = judge(tree, None)
    for cache in (None, Cache(str(tmp_path / "cache")), Cache(str(tmp_path / "cache"))):
        assert judge(tree, cache, jobs=3, recall=False) == plain
    assert Cache(str(tmp_path / "cache")).info().facts > PROGRAMS


def test_a_report_that_processes_made_is_recalled(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle()
    plain = judge(tree, Cache(str(tmp_path / "cache")), jobs=2)
    (tree / "lib" / "lib4.so").unlink()  # only the processes have looked at it
    settle()
    changed = judge(tree, Cache(str(tmp_path / "cache")), jobs=2)
    assert changed != plain
    monkeypatch.setattr(Engine, "_judge", None)
    assert judge(tree, Cache(str(tmp_path / "cache")), jobs=2) == changed


def test_what_a_process_raises_is_raised_here(tree: Path) -> None:
    engine = Engine(Wishes(launch=Launch(loaded_by="/usr/bin/nothing"), jobs=2))
    with pytest.raises(UsageError, match="/usr/bin/nothing"):
        engine.check([str(tree)], [TargetName("debian:12")])


def test_results_without_steps_tell_the_same(tree: Path) -> None:
    (tree / "lib" / "lib3.so").unlink()
    full = judge(tree, None).results
    bare = Engine(Wishes(steps=False)).check([str(tree)], [TargetName("debian:12")]).results
    assert [(one.verdict, one.stage, one.findings) for one in bare] == [
        (one.verdict, one.stage, one.findings) for one in full
    ]
    assert not any(step for one in bare for step in one.trace.needs)


def test_a_signature_tells_a_file_that_was_changed_and_set_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before = path.stat()
    settle()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert signature_of(str(path), path.stat()) != signature_of(str(path), before)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
