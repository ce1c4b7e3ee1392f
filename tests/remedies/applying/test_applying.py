"""Edits on real trees: what is there afterwards, and that taking them back leaves nothing of them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runworthy.model.edit import (
    BringFile,
    Edit,
    EditText,
    InstallPackages,
    LinkFile,
    PatchBytes,
    PatchElf,
    RemoveDirectory,
    RemoveFile,
    SetMode,
    SwitchHandlers,
    UnpackPackage,
    WriteFile,
)
from runworthy.model.errors import RemedyError
from runworthy.remedies.applying import Ground, apply, fingerprints, forget, recover, undo, would_undo
from runworthy.remedies.journal import Journal
from tests.remedies.applying.made import SCENARIOS, dump, read, world

SHORTER = EditText(path="/etc/text", before=b"one\ntwo\n", after=b"2\n", what="shorter")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return world(tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "journal"), wait=0.2)


def ground(root: Path) -> Ground:
    return Ground(root=str(root), name="the root")


def refused(edits: Sequence[Edit], ground: Ground, journal: Journal, **options: bool) -> str:
    """What is said where edits are refused."""
    with pytest.raises(RemedyError) as caught:
        apply(edits, ground, journal, **options)  # type: ignore[arg-type]  # allow_unsafe alone
    return str(caught.value)


# -- there and back --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_undo_is_identity(root: Path, journal: Journal, name: str) -> None:
    before = dump(root)
    entry = apply(SCENARIOS[name](), ground(root), journal, title="a test")
    assert entry.state == "applied"
    assert dump(root) != before
    done = undo(journal)
    assert done.left == ()
    assert done.entry.state == "undone"
    assert dump(root) == before
    assert os.listdir(os.path.join(journal.path, entry.id, "before")) == []


def test_what_is_there_afterwards(root: Path, journal: Journal) -> None:
    entry = apply(SCENARIOS["several"](), ground(root), journal)
    assert (root / "etc/text").read_bytes() == b"one\n2\nthree\n"
    app = (root / "bin/app").read_bytes()
    assert app[:8] == b"\x7fELF\7\7\7\3"
    assert (root / "bin/link").is_symlink()
    assert stat.S_IMODE((root / "bin/app").stat().st_mode) == 0o4711
    assert os.getxattr(root / "bin/app", "user.note") == b"\0kept\xff"
    assert (root / "lib/deep/other-name").read_bytes() == b"a name of two\n"
    assert (root / "bin/named").read_bytes() == b"another file\n"
    assert (root / "usr/local/copy").read_bytes() == b"HEAD" + app[4:]
    assert stat.S_IMODE((root / "usr/local").stat().st_mode) == 0o755
    assert not (root / "empty").exists()
    assert os.readlink(root / "lib/old") == "../bin/app"
    assert not list(root.rglob(".runworthy*"))
    assert journal.entry(entry.id) == entry


@pytest.mark.parametrize("path", ["/etc/text", "/bin/app"])
def test_what_belongs_to_a_file_stays_its_own(root: Path, journal: Journal, path: str) -> None:
    before = dump(root)[path[1:]]
    apply(
        [PatchBytes(path=path, offset=0, before=(root / path[1:]).read_bytes()[:1], after=b"#", what="one")],
        ground(root),
        journal,
    )
    after = dump(root)[path[1:]]
    assert after[:4] == before[:4], "kind, mode and owner"
    assert after[5] == before[5], "attributes, ACLs among them"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives capabilities")
def test_capabilities_stay_with_the_same_program_alone(root: Path, journal: Journal) -> None:
    held = os.getxattr(root / "bin/named", "security.capability")
    apply([PatchBytes(path="/bin/named", offset=0, before=b"a", after=b"b", what="one")], ground(root), journal)
    assert os.getxattr(root / "bin/named", "security.capability") == held
    entry = apply([WriteFile(path="/bin/named", content=b"new", mode=0o755)], ground(root), journal)
    assert "security.capability" not in os.listxattr(root / "bin/named")
    assert entry.notes == ("/bin/named: the capabilities of the old file are not given to the new one",)


def test_a_sparse_file_stays_sparse(root: Path, journal: Journal, tmp_path: Path) -> None:
    edit = PatchBytes(path="/lib/sparse", offset=1 << 20, before=b"end", after=b"END", what="letters")
    apply([edit], ground(root), journal)
    status = (root / "lib/sparse").stat()
    assert (status.st_size, status.st_blocks * 512 < status.st_size) == ((1 << 20) + 3, True)


def test_what_is_so_already_is_not_changed(root: Path, journal: Journal) -> None:
    before = dump(root)
    apply([SetMode(path="/bin/app", mode=0o4711), LinkFile(path="/lib/old", text="nowhere"),
           RemoveDirectory(path="/lib")], ground(root), journal)  # fmt: skip
    assert dump(root) == before


def test_patchelf_puts_in_place_what_was_judged(root: Path, journal: Journal, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"\x7fELF made by patchelf")
    app = (root / "bin/app").read_bytes()
    before, after = (hashlib.sha256(data).hexdigest() for data in (app, made.read_bytes()))
    edit = PatchElf(path="/bin/app", arguments=("--set-rpath", "/x"), before=before, made=str(made), after=after)
    made.write_bytes(b"\x7fELF something else")
    seen = dump(root)
    assert refused([edit], ground(root), journal) == (
        f"{root}/bin/app cannot be changed: it has been changed meanwhile; everything was taken back"
    )
    assert dump(root) == seen
    made.write_bytes(b"\x7fELF made by patchelf")
    apply([edit], ground(root), journal)
    assert (root / "bin/app").read_bytes() == made.read_bytes()


def test_a_subject_outside_the_root(tmp_path: Path, journal: Journal) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    for target in (Ground(root=None, name="alpine:3.20"), Ground(root=str(tmp_path / "other"))):
        apply([SetMode(path=f"/subject{mine}", mode=0o711)], target, journal)
        assert stat.S_IMODE(mine.stat().st_mode) == 0o711
        undo(journal)
        assert stat.S_IMODE(mine.stat().st_mode) == 0o644
    said = refused([SetMode(path="/bin/app", mode=0o711)], Ground(root=None, name="alpine:3.20"), journal)
    assert said == "/bin/app belongs to alpine:3.20, which is no root of this machine"


def test_copies_are_written_elsewhere(root: Path, journal: Journal, tmp_path: Path) -> None:
    before = dump(root)
    output = tmp_path / "fixed" / "here"
    place = Ground(root=str(root), copies=(("/bin", str(output)),))
    edits: list[Edit] = [
        PatchBytes(path="/bin/app", offset=4, before=b"\0", after=b"\7", what="one"),
        PatchBytes(path="/bin/app", offset=5, before=b"\1", after=b"\7", what="another"),
        WriteFile(path="/bin/lib/beside", content=b"beside"),
        SetMode(path="/bin/named", mode=0o750),
    ]
    apply(edits, place, journal)
    assert dump(root) == before
    assert (output / "app").read_bytes()[:8] == b"\x7fELF\7\7\2\3"
    assert stat.S_IMODE((output / "app").stat().st_mode) == 0o711, "a copy has no privileges"
    assert (output / "lib/beside").read_bytes() == b"beside"
    assert (output / "named").read_bytes() == b"a name of two\n"
    said = refused([SHORTER], place, journal)
    assert said == f"{root}/etc/text is not changed where copies are written"
    assert refused([WriteFile(path="/bin/../etc/text", content=b"")], place, journal) == said
    undo(journal)
    assert not (tmp_path / "fixed").exists()


# -- refused, and taken back -----------------------------------------------------------------


def test_changed_underfoot(root: Path, journal: Journal) -> None:
    (root / "etc/text").write_bytes(b"one\nTWO\n")
    before = dump(root)
    said = refused([LinkFile(path="/lib/old", text="x"), SHORTER], ground(root), journal)
    assert said == f"{root}/etc/text cannot be changed: it has been changed meanwhile; nothing was changed"
    assert dump(root) == before
    assert journal.entries() == []


def test_changed_since_it_was_judged(root: Path, journal: Journal) -> None:
    edits: list[Edit] = [WriteFile(path="/etc/text", content=b"new"), SetMode(path="/bin/app", mode=0o755)]
    seen = fingerprints(edits, ground(root))
    assert set(seen) == {"/etc/text", "/bin/app"}
    (root / "bin/app").chmod(0o700)
    with pytest.raises(RemedyError, match="/bin/app has changed since it was judged; nothing was changed"):
        apply(edits, ground(root), journal, seen=seen)
    assert apply(edits, ground(root), journal, seen=fingerprints(edits, ground(root))).state == "applied"


def test_what_does_not_help_is_taken_back(root: Path, journal: Journal) -> None:
    before = dump(root)
    asked = []

    def judge() -> str:
        asked.append((root / "etc/text").read_bytes())
        return "it fails still"

    entry = apply([SHORTER], ground(root), journal, judge=judge)
    assert asked == [b"2\n"]
    assert (entry.state, entry.reason) == ("rolled-back", "it fails still")
    assert dump(root) == before
    with pytest.raises(RemedyError, match="there is nothing to undo"):
        undo(journal)


def test_a_judge_that_cannot_judge_takes_it_back_too(root: Path, journal: Journal) -> None:
    before = dump(root)

    def judge() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply([SHORTER], ground(root), journal, judge=judge)
    assert dump(root) == before
    assert [entry.state for entry in journal.entries()] == ["rolled-back"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (InstallPackages(manager="apt", names=("libgcc-s1",)), "it is unsafe to install libgcc-s1 with apt"),
        (SwitchHandlers(on=False), "it is unsafe to switch every handler of binfmt_misc off until the next boot"),
        (UnpackPackage(archive="/a.deb", package="a"), "nothing here can unpack a"),
    ],
)
def test_what_is_not_allowed(root: Path, journal: Journal, edit: Edit, said: str) -> None:
    before = dump(root)
    assert refused([SHORTER, edit], ground(root), journal) == said
    assert dump(root) == before


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (InstallPackages(manager="apt", names=("--download-only",)), "`--download-only` is no name of a package"),
        (InstallPackages(manager="apt", names=("libc6-",)), "`libc6-` is no name of a package"),
        (InstallPackages(manager="zypper", names=("gcc",)), "zypper cannot be used"),
        (SwitchHandlers(on=False), "binfmt_misc is not switched off as a whole"),
        (SwitchHandlers(on=True), "the root has no running kernel"),
    ],
)
def test_what_is_never_allowed(root: Path, journal: Journal, edit: Edit, said: str) -> None:
    assert said in refused([edit], ground(root), journal, allow_unsafe=True)


def test_a_failure_in_the_middle_takes_all_back(root: Path, journal: Journal) -> None:
    before = dump(root)
    edits: list[Edit] = [SHORTER, WriteFile(path="/new/dir/file", content=b""), RemoveFile(path="/new/dir/other")]
    said = refused(edits, ground(root), journal)
    assert said.endswith(
        "/new/dir/other cannot be changed: it is not there (No such file or directory); nothing was changed"
    )
    edits = [
        SHORTER,
        WriteFile(path="/new/dir/file", content=b""),
        EditText(path="/new/dir/file", before=b"x", after=b"", what="x"),
    ]
    said = refused(edits, ground(root), journal)
    assert said.endswith("/new/dir/file cannot be changed: it has been changed meanwhile; everything was taken back")
    assert dump(root) == before


# -- undo, and what keeps it -----------------------------------------------------------------


def test_what_was_changed_since_is_not_undone(root: Path, journal: Journal) -> None:
    apply([SHORTER, SetMode(path="/bin/app", mode=0o755)], ground(root), journal)
    (root / "etc/text").write_bytes(b"mine\n")
    now = dump(root)
    with pytest.raises(RemedyError, match="etc/text is no longer as it was left; nothing was undone") as caught:
        undo(journal)
    assert caught.value.hint == "`--force` takes it back all the same"
    assert dump(root) == now
    assert would_undo(journal)[1] == (f"{root}/etc/text is no longer as it was left",)
    assert undo(journal, force=True).left == ()
    assert (root / "etc/text").read_bytes() == b"one\ntwo\n"


def test_the_later_entry_goes_first(root: Path, journal: Journal) -> None:
    before = dump(root)
    first = apply([SHORTER], ground(root), journal)
    second = apply([EditText(path="/etc/text", before=b"2\n", after=b"3\n", what="3")], ground(root), journal)
    assert second.id == first.id.replace("-1", "-2")
    with pytest.raises(RemedyError) as caught:
        undo(journal, first.id)
    assert caught.value.hint == f"`runworthy undo {second.id}` first"
    undo(journal)
    assert undo(journal).entry.id == first.id
    assert dump(root) == before


def test_directories_that_others_use_stay(root: Path, journal: Journal) -> None:
    apply([WriteFile(path="/new/dir/file", content=b"new\n")], ground(root), journal)
    (root / "new/dir/mine").write_bytes(b"mine")
    done = undo(journal)
    assert done.left == (
        "/new/dir was made for it and is left, as it holds other files by now",
        "/new was made for it and is left, as it holds other files by now",
    )
    assert sorted(path.name for path in (root / "new").rglob("*")) == ["dir", "mine"]


def test_times_of_directories_that_others_changed_stay(root: Path, journal: Journal) -> None:
    apply([SHORTER, LinkFile(path="/lib/old", text="x")], ground(root), journal)
    (root / "etc/mine").write_bytes(b"")
    changed, own = (root / "etc").stat().st_mtime_ns, dump(root.parent)["root/lib"]
    undo(journal)
    assert (root / "etc").stat().st_mtime_ns >= changed
    assert (root / "lib").stat().st_mtime_ns < 1_700_000_000 * 10**9, own


def test_what_was_kept_is_gone_when_it_is_forgotten(root: Path, journal: Journal) -> None:
    entry = apply([SHORTER], ground(root), journal)
    forget(journal, [entry.id])
    assert journal.entries() == []
    assert os.listdir(journal.path) == [".lock"]
    assert (root / "etc/text").read_bytes() == b"2\n"


# -- the journal -----------------------------------------------------------------------------


def test_the_journal_is_for_people_and_their_owner_alone(root: Path, journal: Journal) -> None:
    entry = apply([SHORTER], ground(root), journal, subject="app", target="the root", title="make it shorter")
    held = json.loads(Path(journal.path, entry.id, "entry.json").read_text(encoding="ascii"))
    assert held["schema"] == "runworthy.journal/1"
    assert (held["title"], held["state"], held["subject"]) == ("make it shorter", "applied", "app")
    (change,) = held["changes"]
    assert change["words"] == f"edit {root}/etc/text: shorter"
    assert (change["path"], change["backup"]) == ("/etc/text", "link")
    assert change["after"]["sha256"] == hashlib.sha256(b"2\n").hexdigest()
    assert stat.S_IMODE(os.stat(journal.path).st_mode) == 0o700


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": "runworthy.journal/2"}', '{"schema": "runworthy.journal/1"}']
)
def test_an_entry_that_cannot_be_read_is_told_and_left(root: Path, journal: Journal, text: str) -> None:
    entry = apply([SHORTER], ground(root), journal)
    path = Path(journal.path, entry.id, "entry.json")
    path.write_text(text, encoding="ascii")
    (found,) = journal.entries()
    assert found.unreadable.startswith(str(path))
    for act in (lambda: undo(journal), lambda: undo(journal, entry.id), lambda: forget(journal, [entry.id])):
        with pytest.raises(RemedyError, match="cannot be read"):
            act()
    assert recover(journal) == []
    assert path.read_text(encoding="ascii") == text
    assert Path(journal.path, entry.id, "before", "0").read_bytes() == b"one\ntwo\n"
    assert apply([SetMode(path="/bin/app", mode=0o700)], ground(root), journal).state == "applied"


def test_every_field_of_an_entry_is_looked_at(root: Path, journal: Journal) -> None:
    """Damage of any one value is told, or leaves an entry that says the same kind of thing."""
    entry = apply(SCENARIOS["several"](), ground(root), journal)
    path = Path(journal.path, entry.id, "entry.json")
    held = path.read_text(encoding="ascii")
    chance = random.Random(4)  # noqa: S311 - the same damage every time
    for _ in range(300):
        at = chance.randrange(len(held))
        path.write_text(held[:at] + chance.choice('0x"{}[],:') + held[at + 1 :], encoding="ascii")
        (found,) = journal.entries()
        assert found.unreadable or found.id == entry.id


def test_two_runs_do_not_meet(root: Path, journal: Journal) -> None:
    code = (
        "import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX); "
        "print(flush=True); time.sleep(60)"
    )
    apply([SHORTER], ground(root), journal)
    lock = os.path.join(journal.path, ".lock")
    with subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout
            other.stdout.readline()
            with pytest.raises(RemedyError, match="another run of runworthy is changing something"):
                undo(journal)
        finally:
            other.kill()
    assert undo(journal).entry.state == "undone"


# -- random trees ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_random_edits_and_back(tmp_path: Path, journal: Journal, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same edits every time
    root = world(tmp_path)
    before = dump(root)
    applied = 0
    for _ in range(3):
        edits = [_random_edit(chance, root) for _ in range(chance.randrange(1, 7))]
        now = dump(root)
        try:
            apply(edits, ground(root), journal)
            applied += 1
        except RemedyError:
            assert dump(root, links=False) == {name: facts[:-1] for name, facts in now.items()}
    for _ in range(applied):
        assert undo(journal).left == ()
    assert dump(root) == before


def _random_edit(chance: random.Random, root: Path) -> Edit:
    paths = [f"/{path.relative_to(root)}" for path in sorted(root.rglob("*"))]
    path = chance.choice([*paths, f"{chance.choice(paths)}/new/file", "/other", "/lib/deep/../x"])
    kind = chance.randrange(7)
    if kind == 0:
        return RemoveFile(path=path)
    if kind == 1:
        return RemoveDirectory(path=path)
    if kind == 2:
        return LinkFile(path=path, text=chance.choice(["/bin", "app", "../etc/text", "x"]))
    if kind == 3:
        return SetMode(path=path, mode=chance.choice([0o600, 0o755, 0o4755]))
    if kind == 4:
        data = b"brought"
        (root.parent / "brought").write_bytes(data)
        source = str(root.parent / "brought")
        return BringFile(path=path, source=source, sha256=hashlib.sha256(data).hexdigest(), origin="a file")
    if kind == 5:
        here = root / path[1:]
        head = read(here)[:2] if here.is_file() and not here.is_symlink() else b""
        return PatchBytes(path=path, offset=0, before=head, after=head[::-1], what="turned")
    return WriteFile(path=path, content=bytes(chance.randrange(64)), mode=chance.choice([0o644, 0o755]))
