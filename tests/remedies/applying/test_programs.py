"""Debian's own apt and dpkg, in a copy of a real root: packages come, and go again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.model.edit import Edit, InstallPackages, RemovePackages, RunCommand, WriteFile
from runworthy.model.errors import RemedyError
from runworthy.remedies.applying import Ground, apply, recover, undo
from runworthy.remedies.journal import Entry, Journal, ProgramChange
from tests.judges.roots import requires

pytestmark = pytest.mark.judge

PACKAGES = {
    "libgreet1": ("", ""),
    "greet": ("libgreet1 (>= 1.0)", ""),
    "stays-running": ("", "#!/bin/sh\nsleep 600 &\necho $$ >/run/started\n"),
    "breaks": ("libgreet1", "#!/bin/sh\nexit 9\n"),
    "guarded": ("libgreet1", ""),
}
"""Name -> what it depends on, and what it runs when it is installed."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of a root with a source of packages in it."""
    top = tmp_path_factory.mktemp("programs")
    root = top / "root"
    subprocess.run(["cp", "-a", requires("bookworm-amd64").path, root], check=True)
    (root / "repo").mkdir()
    (root / "var/log/apt").mkdir(parents=True, exist_ok=True)
    listing = [_package(top / name, root / "repo", name) for name in PACKAGES]
    (root / "repo/Packages").write_text("\n".join(listing))
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/repo ./\n")
    yield root
    shutil.rmtree(top)


def _package(made: Path, repo: Path, name: str) -> str:
    """Put a package into the source, and return what an index says of it."""
    depends, script = PACKAGES[name]
    (made / "DEBIAN").mkdir(parents=True)
    (made / f"usr/share/{name}").mkdir(parents=True)
    (made / f"usr/share/{name}/file").write_text(name)
    fields = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: a test <a@b.c>\n"
    fields += (f"Depends: {depends}\n" if depends else "") + "Description: a test\n"
    fields += "Protected: yes\n" if name == "guarded" else ""
    (made / "DEBIAN/control").write_text(fields)
    if script:
        (made / "DEBIAN/postinst").write_text(script)
        (made / "DEBIAN/postinst").chmod(0o755)
    made.chmod(0o755)
    archive = repo / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", made, archive], check=True, capture_output=True)
    data = archive.read_bytes()
    return f"{fields}Filename: ./{name}.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "journal"))


def ground(root: Path) -> Ground:
    return Ground(root=str(root), name="the root")


def installed(root: Path) -> set[str]:
    listed = subprocess.run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${db:Status-Status} ${Package}\\n"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {line.split()[1] for line in listed.stdout.splitlines() if line.startswith("installed ")}


def program(entry: Entry) -> ProgramChange:
    (change,) = (one for one in entry.changes if isinstance(one, ProgramChange))
    return change


def test_packages_come_and_go(copy: Path, journal: Journal) -> None:
    before = installed(copy)
    edits: list[Edit] = [
        InstallPackages(manager="apt", names=("greet",)),
        WriteFile(path="/etc/greet.conf", content=b"hello"),
    ]
    entry = apply(edits, ground(copy), journal, allow_unsafe=True)
    assert installed(copy) - before == {"greet", "libgreet1"}
    change = program(entry)
    assert dict(change.after).items() - dict(change.before).items() == {("greet", "1.0"), ("libgreet1", "1.0")}
    assert undo(journal).left == ()
    assert installed(copy) == before
    assert not (copy / "usr/share/greet").exists()
    assert not (copy / "etc/greet.conf").exists()
    assert str(copy) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert os.listdir(copy / "proc") == []


def test_what_a_system_is_said_to_need_goes_where_it_did_without(copy: Path, journal: Journal) -> None:
    """Protected packages come along with those of a second architecture: libgcc-s1."""
    before = installed(copy)
    apply([InstallPackages(manager="apt", names=("guarded",))], ground(copy), journal, allow_unsafe=True)
    assert installed(copy) - before == {"guarded", "libgreet1"}
    assert undo(journal).left == ()
    assert installed(copy) == before


def test_what_others_need_stays(copy: Path, journal: Journal, tmp_path: Path) -> None:
    """Somebody has installed a package since that needs what came: dpkg refuses, and that is told."""
    before = installed(copy)
    apply([InstallPackages(manager="apt", names=("libgreet1",))], ground(copy), journal, allow_unsafe=True)
    other = Journal(str(tmp_path / "other"))
    apply([InstallPackages(manager="apt", names=("greet",))], ground(copy), other, allow_unsafe=True)
    (left,) = undo(journal).left
    assert left.startswith("`dpkg --purge libgreet1` ended with 1")
    assert installed(copy) - before == {"greet", "libgreet1"}
    assert undo(other).left == ()
    subprocess.run(["dpkg", f"--root={copy}", "--purge", "libgreet1"], check=True, capture_output=True)
    assert installed(copy) == before


def test_what_is_removed_comes_again(copy: Path, journal: Journal, tmp_path: Path) -> None:
    before = installed(copy)
    apply([InstallPackages(manager="apt", names=("libgreet1",))], ground(copy), journal, allow_unsafe=True)
    other = Journal(str(tmp_path / "other"))
    apply([RemovePackages(manager="apt", names=("libgreet1",))], ground(copy), other, allow_unsafe=True)
    assert installed(copy) == before
    assert undo(other).left == ()
    assert installed(copy) - before == {"libgreet1"}
    assert undo(journal).left == ()
    assert installed(copy) == before


def test_a_package_that_fails_is_taken_back_with_all_that_came(copy: Path, journal: Journal) -> None:
    before = installed(copy)
    edits: list[Edit] = [
        WriteFile(path="/etc/greet.conf", content=b"hello"),
        InstallPackages(manager="apt", names=("breaks",)),
    ]
    with pytest.raises(
        RemedyError,
        match=r"apt-get .* install .* breaks` ended with 100.*; what was done was taken back, but",
    ):
        apply(edits, ground(copy), journal, allow_unsafe=True)
    assert installed(copy) == before
    assert not (copy / "etc/greet.conf").exists()
    assert [entry.state for entry in journal.entries()] == ["rolled-back"]


def test_what_a_package_starts_does_not_go_on(copy: Path, journal: Journal) -> None:
    apply([InstallPackages(manager="apt", names=("stays-running",))], ground(copy), journal, allow_unsafe=True)
    assert (copy / "run/started").exists()
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _root_of(pid) == str(copy)]
    assert undo(journal).left == ()


def _root_of(pid: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/root")
    return ""


def test_a_package_that_is_not_there(copy: Path, journal: Journal) -> None:
    with pytest.raises(
        RemedyError,
        match="Unable to locate package no-such-package; what was done was taken back, but",
    ):
        apply([InstallPackages(manager="apt", names=("no-such-package",))], ground(copy), journal, allow_unsafe=True)
    with pytest.raises(
        RemedyError, match=r"the packages of .* cannot be listed: `rpm` ended with 127: rpm: No such file"
    ):
        apply([InstallPackages(manager="dnf", names=("gcc",))], ground(copy), journal, allow_unsafe=True)


def test_a_command_and_the_one_that_takes_it_back(copy: Path, journal: Journal) -> None:
    edit = RunCommand(argv=("touch", "/made by; it"), changes="make a file", undo=("rm", "/made by; it"))
    apply([edit], ground(copy), journal, allow_unsafe=True)
    assert (copy / "made by; it").exists()
    undo(journal)
    assert not (copy / "made by; it").exists()
    entry = apply([RunCommand(argv=("true",), changes="nothing")], ground(copy), journal, allow_unsafe=True)
    assert entry.notes == ("no command is known that takes this back: true: nothing",)
    assert undo(journal).left == ("no command is known that takes this back: true: nothing",)


def test_the_names_of_other_machines_are_known_in_a_root(copy: Path, journal: Journal) -> None:
    names = copy / "etc/resolv.conf"
    names.write_text("# the root's own\n")
    try:
        edit = RunCommand(argv=("cp", "/etc/resolv.conf", "/seen"), changes="x", undo=("rm", "/seen"))
        apply([edit], ground(copy), journal, allow_unsafe=True)
        assert (copy / "seen").read_bytes() == Path("/etc/resolv.conf").read_bytes()
        assert names.read_text() == "# the root's own\n"
        undo(journal)
    finally:
        names.unlink()


def test_a_link_in_the_root_mounts_nothing_outside(copy: Path, journal: Journal, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (copy / "dev").rename(copy / "dev-moved")
    (copy / "dev").symlink_to(outside)
    try:
        with pytest.raises(RemedyError):
            apply([RunCommand(argv=("touch", "/dev/x"), changes="x")], ground(copy), journal, allow_unsafe=True)
        assert list(outside.iterdir()) == []
    finally:
        (copy / "dev").unlink()
        (copy / "dev-moved").rename(copy / "dev")


def test_killed_in_the_middle_of_an_installation(copy: Path, journal: Journal) -> None:
    """The applier dies while apt works: apt dies with it, and recovering takes away what had come."""
    before = installed(copy)
    hold = copy / "usr/bin/hold"
    hold.write_text("#!/bin/sh\necho >/run/held\nsleep 100\n")
    hold.chmod(0o755)
    (copy / "etc/apt/apt.conf.d/hold").write_text('DPkg::Post-Invoke {"/usr/bin/hold";};\n')
    pid = os.fork()
    if pid == 0:
        try:
            apply([InstallPackages(manager="apt", names=("greet",))], ground(copy), journal, allow_unsafe=True)
        finally:
            os._exit(1)
    try:
        for _ in range(600):
            if (copy / "run/held").exists():
                break
            subprocess.run(["sleep", "0.05"], check=True)
        assert installed(copy) - before == {"greet", "libgreet1"}
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        hold.unlink()
        (copy / "etc/apt/apt.conf.d/hold").unlink()
    (done,) = recover(journal)
    assert (done.entry.state, done.left) == ("rolled-back", ())
    assert installed(copy) == before
