"""The handlers of a running machine: what its files say, and when that need not be what applies."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.host import BinfmtEntry, BinfmtMisc, MachineFacts
from runworthy.report.target import show_lines
from runworthy.report.words import Style
from runworthy.targets.binfmt.live import Surroundings, doubt, handlers_of, read_binfmt_misc
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import TargetName
from tests.targets.snapshot.made import snapshot
from tests.world import make

FIRST = "user:[4026531837]"
OTHER = "user:[4026532181]"
OWN = "         0       1000          1\n"
SAME = "         0          0 4294967295\n"
APE = "enabled\ninterpreter /usr/bin/ape\nflags: PF\noffset 0\nmagic 4d5a71467044\n"
WINE = "disabled\ninterpreter /usr/bin/wine\nflags: \nextension .exe\n"
FACTS = BinfmtMisc(
    status="enabled", entries=(BinfmtEntry(name="zz-ape", text=APE), BinfmtEntry(name="win\udcff", text=WINE))
)
HANDLERS = (
    Handler(name="zz-ape", interpreter="/usr/bin/ape", flags="PF", magic=b"MZqFpD"),
    Handler(name="win\udcff", interpreter="/usr/bin/wine", extension="exe", enabled=False),
)


@pytest.mark.parametrize(
    ("around", "owner", "words"),
    [
        # the first user namespace
        (Surroundings(kernel="6.18.0", user_namespace=FIRST, uid_map=SAME), 0, ""),
        (Surroundings(kernel="6.18.0", user_namespace=FIRST, uid_map=SAME), 100000, "another user namespace"),
        (Surroundings(kernel="6.18.0", user_namespace=FIRST, uid_map=SAME), None, "not mounted here"),
        (Surroundings(kernel="6.18.0", user_namespace=FIRST, uid_map=SAME, elsewhere=""), None, ""),
        (Surroundings(kernel="6.18.0"), 0, ""),  # a kernel without user namespaces
        # other user namespaces
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map=OWN), 0, ""),
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map=OWN), 65534, "may have its own"),
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map=SAME), 0, "cannot be told"),
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map="1000 1000 1\n"), 0, "cannot be told"),
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map=OWN), None, "cannot be seen"),
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map=OWN, elsewhere=""), None, "cannot be seen"),
        # no handlers anywhere
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map=OWN, offered=False), None, ""),
        (Surroundings(kernel="5.10.0", user_namespace=OTHER, uid_map=OWN, references=0), None, ""),
        (Surroundings(kernel="6.18.0", user_namespace=OTHER, uid_map=OWN, references=1), None, "cannot be seen"),
        # one list for all namespaces
        (Surroundings(kernel="6.6.99-generic", user_namespace=OTHER, uid_map=OWN), 65534, ""),
        (Surroundings(kernel="6.6.99-generic", user_namespace=FIRST, uid_map=SAME, elsewhere=""), None, "outlast"),
        (Surroundings(kernel="", user_namespace=OTHER, uid_map=OWN), 65534, "may have its own"),
    ],
)
def test_doubts(around: Surroundings, owner: int | None, words: str) -> None:
    said = doubt(around, owner)
    assert words in said
    assert bool(words) == bool(said)


def test_handlers_of_facts() -> None:
    assert handlers_of(FACTS) == Handlers(entries=HANDLERS, stated=True, basis="/proc/sys/fs/binfmt_misc")
    off = handlers_of(BinfmtMisc(status="disabled", point="/m"))
    assert off == Handlers(enabled=False, stated=True, basis="/m")
    doubted = handlers_of(BinfmtMisc(status="absent", unknown="because"))
    assert (doubted.entries, doubted.unknown) == ((), "because")
    assert handlers_of(BinfmtMisc(status="unreadable", point="/m")).unknown == "/m cannot be read"


@pytest.mark.parametrize("text", [None, "", "enabled\n", APE + "bpf x\n"])
def test_what_cannot_be_read_is_unknown(text: str | None) -> None:
    told = handlers_of(BinfmtMisc(status="enabled", entries=(*FACTS.entries, BinfmtEntry(name="odd", text=text))))
    assert told.entries == HANDLERS
    assert "odd" in told.unknown


# -- trees laid out like /proc ---------------------------------------------------------------


def laid_out(top: Path, *, mounted: bool = True, pid: str = "pid:[4026531836]") -> Path:
    """Return a directory laid out like /proc, of the first user namespace."""
    proc = top / "proc"
    for process in ("self", "1", "77"):
        (proc / process / "ns").mkdir(parents=True)
        for name, link in (("user", FIRST), ("mnt", "mnt:[1]"), ("pid", pid)):
            (proc / process / "ns" / name).symlink_to(link)
    (proc / "filesystems").write_text("nodev\tproc\nnodev\tbinfmt_misc\n\text4\n")
    (proc / "self/uid_map").write_text(SAME)
    (proc / "self/mountinfo").write_text("1 0 0:1 / / rw - ext4 none rw\n" + (row(top / "misc") if mounted else ""))
    return proc


def row(point: Path) -> str:
    return f"2 1 0:2 / {point} rw - binfmt_misc none rw\n"


def misc(top: Path, **texts: str) -> Path:
    point = top / "misc"
    point.mkdir()
    for name, text in {"status": "enabled\n", "register": "", **texts}.items():
        (point / name).write_bytes(text.encode())
    return point


def test_reading(tmp_path: Path) -> None:
    point = misc(tmp_path, ape=APE.replace("ape\n", "ape\r\n"))
    facts = read_binfmt_misc(str(laid_out(tmp_path)), str(tmp_path), "6.18.0")
    assert (facts.status, facts.point) == ("enabled", str(point))
    assert [handler.interpreter for handler in handlers_of(facts).entries] == ["/usr/bin/ape\r"]
    assert bool(facts.unknown) == (os.stat(point).st_uid != 0)


def test_an_entry_that_goes_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    point = misc(tmp_path)
    (point / "gone").symlink_to("nowhere")
    (point / "odd").mkdir()
    facts = read_binfmt_misc(str(laid_out(tmp_path)), str(tmp_path), "6.18.0")
    assert facts.entries == (BinfmtEntry(name="odd", text=None),)


def test_what_covers_the_mount_is_no_binfmt_misc(tmp_path: Path) -> None:
    (tmp_path / "misc").mkdir()
    facts = read_binfmt_misc(str(laid_out(tmp_path)), str(tmp_path), "5.10.0")
    assert facts.status == "absent"
    assert "outlast" in facts.unknown


@pytest.mark.parametrize(
    ("case", "known"),
    [
        ("nobody has it", True),
        ("the module is in no use", True),
        ("the kernel has none", True),
        ("in another mount namespace", False),
        ("in another user namespace", True),
        ("in a container", False),
        ("before 6.7", False),
    ],
)
def test_where_it_is_not_mounted(tmp_path: Path, case: str, known: bool) -> None:  # noqa: FBT001 - a table's column
    proc = laid_out(tmp_path, mounted=False, pid="pid:[4]" if case == "in a container" else "pid:[4026531836]")
    if case.startswith("in another"):
        (proc / "77/ns/mnt").unlink()
        (proc / "77/ns/mnt").symlink_to("mnt:[2]")
        (proc / "77/mountinfo").write_text(row(tmp_path / "misc"))
    if case == "in another user namespace":
        (proc / "77/ns/user").unlink()
        (proc / "77/ns/user").symlink_to(OTHER)
    if case == "the module is in no use":
        (tmp_path / "module/binfmt_misc").mkdir(parents=True)
        (tmp_path / "module/binfmt_misc/refcnt").write_text("0\n")
        (proc / "self/ns/pid").unlink()
    if case == "the kernel has none":
        (proc / "filesystems").write_text("nodev\tproc\n")
    (proc / "self/mountinfo").write_text(row(tmp_path / "none"))
    facts = read_binfmt_misc(str(proc), str(tmp_path), "6.6.0" if case == "before 6.7" else "6.18.0")
    assert facts.status == "absent"
    assert (not facts.unknown) == known


def test_processes_that_may_not_be_looked_at() -> None:
    """As a user who is not root, for whom an unmounted binfmt_misc is never certain."""
    before = os.geteuid()
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        top.chmod(0o755)
        proc = laid_out(top, mounted=False)
        assert read_binfmt_misc(str(proc), directory, "6.18.0").unknown == ""
        (proc / "77/ns").chmod(0)
        try:
            os.seteuid(before or 65534)
            facts = read_binfmt_misc(str(proc), directory, "6.18.0")
        finally:
            os.seteuid(before)
        (proc / "77/ns").chmod(0o755)
    assert "applies wherever it is mounted" in facts.unknown


# -- targets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts", [FACTS, BinfmtMisc(status="disabled", entries=FACTS.entries, point="/m", unknown="because"), BinfmtMisc()]
)
def test_a_snapshot_has_the_handlers_of_its_machine(tmp_path: Path, facts: BinfmtMisc) -> None:
    root = make(tmp_path / "root")
    path = tmp_path / "host.runworthy"
    machine = MachineFacts(arch="x86_64", kernel="6.1.0", binfmt=facts)
    path.write_bytes(snapshot(DirectoryView(str(root)), machine, source="host"))
    target = TargetName(str(path)).open(None)
    assert target.handlers == handlers_of(facts)
    assert target.machine_facts == machine
    shown = "\n".join(show_lines(str(path), "", Style()))
    rows = [shown.find(word) for word in ("zz-ape  ", "/usr/bin/ape", "MZqFpD", "disabled", "*.exe")]
    assert (rows == sorted(rows) and rows[0] > 0) == bool(facts.entries)
    assert facts.unknown in shown


def test_the_host_has_the_handlers_of_this_machine() -> None:
    target = TargetName("host").open(None)
    assert target.handlers.stated
    assert target.handlers.basis == read_binfmt_misc().point
