"""Packages that a person gives are installed as they are: by Debian's own apt, in a copy of a real root."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import runworthy
from runworthy.model.edit import InstallPackages
from runworthy.model.errors import RemedyError
from runworthy.remedies.applying import Ground, apply, recover
from runworthy.remedies.journal import Journal
from tests.judges.roots import requires, requires_tool
from tests.remedies.test_packages import compiled, packed
from tests.targets.test_packages import Archive, configure, served

pytestmark = pytest.mark.judge


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of a root that can ask no archive."""
    root = tmp_path_factory.mktemp("files") / "root"
    subprocess.run(["cp", "-a", requires("trixie-amd64").path, root], check=True)
    (root / "var/log/apt").mkdir(parents=True, exist_ok=True)
    (root / "etc/apt/sources.list").write_text("deb http://127.0.0.1:1/debian trixie main\n")
    yield root
    shutil.rmtree(root.parent)


@pytest.fixture
def root(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root with a program that needs libfoo.so.1; ``tmp_path`` holds its packages, and the journal."""
    requires_tool("gcc", package="gcc")
    requires_tool("dpkg-deb", package="dpkg")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (copy / "opt").mkdir(exist_ok=True)
    foo = ["-shared", "-fPIC", "-Wl,-soname,libfoo.so.1", "-o", str(tmp_path / "libfoo.so")]
    compiled(tmp_path, "int foo(void) { return 3; }", *foo)
    body = "int foo(void); int main(void) { return foo() - 3; }"
    compiled(tmp_path, body, "-Wl,-z,now", "-o", str(copy / "opt/app"), str(tmp_path / "libfoo.so"))
    packed(tmp_path, "libfoo1", "1", "int bar(void); int foo(void) { return 3; }", "libc6, libbar1 (>= 1)")
    packed(tmp_path, "libbar1", "1", "int bar(void) { return 3; }")
    return copy


def ends(root: Path) -> int:
    """How the program ends in the root, by its real loader."""
    return subprocess.run(["chroot", root, "/opt/app"], check=False, capture_output=True).returncode


def installed(root: Path) -> dict[str, str]:
    argv = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    rows = (line.split() for line in said.splitlines())
    return {name: version for status, name, *rest in rows if status == "installed" for version in rest}


def tree(root: Path) -> set[str]:
    return {os.path.join(top, name) for top, folders, files in os.walk(root) for name in (*folders, *files)}


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "runworthy", *words], check=False, capture_output=True, text=True)


def edit(root: Path, packages: Path) -> InstallPackages:
    report = runworthy.fix([str(root / "opt/app")], on=[f"rootfs:{root}"], packages=[str(packages)])
    (remedy,) = [one for plan in report.plans for one in plan.remedies if one.proved and len(one.edits) == 1]
    (found,) = remedy.edits
    assert isinstance(found, InstallPackages)
    return found


def test_given_packages_make_it_run_and_go_again(root: Path, tmp_path: Path) -> None:
    before, files = installed(root), tree(root)
    assert ends(root) == 127
    where = ("--on", f"rootfs:{root}", "--packages", str(tmp_path / "packages"))
    done = command("fix", str(root / "opt/app"), *where, "--apply", "--unsafe")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"from {tmp_path}/packages/libbar1_1_amd64.deb, {tmp_path}/packages/libfoo1_1_amd64.deb" in done.stdout
    assert ends(root) == 0
    assert installed(root).items() - before.items() == {("libfoo1", "1"), ("libbar1", "1")}
    assert not [path for path in tree(root) - files if path.endswith(".deb")]
    assert not list(tmp_path.glob("state/**/*.deb"))
    gone = command("undo")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert ends(root) == 127
    assert installed(root) == before


def test_what_the_root_could_have_from_elsewhere_does_not_come(root: Path, tmp_path: Path) -> None:
    """An archive of the root has a later version: what was judged is what comes."""
    other = tmp_path / "other"
    packed(other, "libfoo1", "2", "int foo(void) { return 4; }")
    archive = root / "archive"
    shutil.copytree(other / "packages", archive)
    (name,) = os.listdir(archive)
    data = (archive / name).read_bytes()
    control = subprocess.run(["dpkg-deb", "-f", archive / name], check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(data).hexdigest()
    (archive / "Packages").write_text(f"{control}Filename: ./{name}\nSize: {len(data)}\nSHA256: {digest}\n")
    sources = root / "etc/apt/sources.list"
    held = sources.read_text()
    sources.write_text("deb [trusted=yes] file:/archive ./\n")
    before = installed(root)
    try:
        subprocess.run(["chroot", root, "apt-get", "update"], check=True, capture_output=True)
        apply([edit(root, tmp_path / "packages")], Ground(root=str(root)), Journal(), allow_unsafe=True)
        assert installed(root).items() - before.items() == {("libfoo1", "1"), ("libbar1", "1")}
        assert command("undo").returncode == 0
    finally:
        sources.write_text(held)
        shutil.rmtree(archive)
        for path in (root / "var/lib/apt/lists").glob("_archive*"):
            path.unlink()
    assert installed(root) == before


def test_a_file_that_is_another_by_now_is_refused(root: Path, tmp_path: Path) -> None:
    found = edit(root, tmp_path / "packages")
    before = installed(root)
    packed(tmp_path / "late", "libfoo1", "1", "int foo(void) { return 5; }", "libc6, libbar1 (>= 1)")
    path = tmp_path / "packages/libfoo1_1_amd64.deb"
    shutil.copy(tmp_path / "late/packages" / path.name, path)
    with pytest.raises(RemedyError, match=f"{re.escape(str(path))} has changed since it was judged"):
        apply([found], Ground(root=str(root)), Journal(), allow_unsafe=True)
    assert installed(root) == before
    assert not list(tmp_path.glob("state/**/*.deb"))


def test_killed_while_they_are_installed(root: Path, tmp_path: Path) -> None:
    """The applier dies while apt works: nothing of it is left, neither the packages nor the copies."""
    found = edit(root, tmp_path / "packages")
    before = installed(root)
    hold = root / "usr/bin/hold"
    hold.write_text("#!/bin/sh\necho >/run/held\nsleep 100\n")
    hold.chmod(0o755)
    (root / "etc/apt/apt.conf.d/hold").write_text('DPkg::Post-Invoke {"/usr/bin/hold";};\n')
    pid = os.fork()
    if pid == 0:
        try:
            apply([found], Ground(root=str(root)), Journal(), allow_unsafe=True)
        finally:
            os._exit(1)
    try:
        for _ in range(600):
            if (root / "run/held").exists():
                break
            subprocess.run(["sleep", "0.05"], check=True)
        assert installed(root).items() - before.items() == {("libfoo1", "1"), ("libbar1", "1")}
        assert len(list(tmp_path.glob("state/**/*.deb"))) == 2
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        hold.unlink()
        (root / "etc/apt/apt.conf.d/hold").unlink()
    (done,) = recover(Journal())
    assert (done.entry.state, done.left) == ("rolled-back", ())
    assert installed(root) == before
    assert not list(tmp_path.glob("state/**/*.deb"))


def test_what_was_fetched_is_what_is_installed(root: Path, tmp_path: Path) -> None:
    """Over the network comes what is judged, and what was judged is installed: apt fetches nothing again."""
    packed(tmp_path / "far", "libfoo1", "1.0-1", "int foo(void) { return 3; }")
    made = Archive(tmp_path)
    made.bring((tmp_path / "far/packages/libfoo1_1.0-1_amd64.deb").read_bytes())
    sources = root / "etc/apt/sources.list"
    held, before, lists = sources.read_text(), installed(root), tree(root / "var/lib/apt")
    try:
        with served(made.top) as url:
            configure(root, url, made.key)
            where = ("--on", f"rootfs:{root}", "--network")
            done = command("fix", str(root / "opt/app"), *where, "--apply", "--unsafe")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ends(root) == 0
        assert installed(root).items() - before.items() == {("libfoo1", "1.0-1")}
        assert not [path for path in tree(root / "var/lib/apt") - lists if "lists" in path and "Packages" in path]
        assert command("undo").returncode == 0
    finally:
        made.close()
        sources.write_text(held)
        shutil.rmtree(root / "etc/apt/keys")
    assert installed(root) == before
