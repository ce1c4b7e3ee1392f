"""Who may execute a program of a root; the kernel is asked in ``tests/differential/test_permission.py``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runworthy.engine import verdict_of
from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.model.arch import architecture
from runworthy.model.credentials import Credentials, Owner
from runworthy.model.machine import baseline
from runworthy.simulate.execve import execve
from runworthy.simulate.launch import Launch
from runworthy.simulate.permission import denied
from runworthy.simulate.process import Machinery, simulate
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.elfwriter import elf

STATIC = elf(kind=2)
ROOT = Credentials(uid=0, gid=0, override=True, search=True)
USER = Credentials(uid=1000, gid=1000)


def target(path: Path, mode: int, who: Credentials | None) -> Target:
    """Return a root of root's with one program."""
    view = Overlay(DirectoryView(str(path)))
    view.add_file("/opt/app", STATIC, mode=mode)
    arch = architecture("x86_64")
    assert arch
    return Target(name="root", view=view, machine=baseline(arch), credentials=who)


@pytest.mark.parametrize(
    ("mode", "who", "verdict"),
    [
        (0o744, ROOT, "runs"),
        (0o744, USER, "fails"),
        (0o711, USER, "runs"),
        (0o645, replace(USER, uid=0), "fails"),  # a root without capabilities owns it
        (0o645, ROOT, "runs"),
        (0o654, replace(USER, groups=frozenset((0,))), "runs"),
        (0o644, ROOT, "fails"),
        (0o744, replace(ROOT, uid=5, nobody=0), "fails"),  # its user namespace does not know the owner
        (0o755, None, "runs"),
        (0o750, None, "risky"),
        (0o600, None, "fails"),
    ],
)
def test_who_may_execute(tmp_path: Path, mode: int, who: Credentials | None, verdict: str) -> None:
    on = target(tmp_path, mode, who)
    trace = simulate(Machinery(on, Launch(), lambda _: False), "/opt/app", read_elf(BytesContent(STATIC)))
    assert verdict_of(trace)[0] == verdict
    done = execve(on, "/opt/app", ("/opt/app",))
    assert done.errno == ("EACCES" if verdict == "fails" else "")


def test_the_files_of_this_machine_have_the_owners_that_they_have(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(STATIC)
    (tmp_path / "app").chmod(0o700)
    status = (tmp_path / "app").stat()
    view = Overlay(DirectoryView(str(tmp_path)))
    assert view.owner("/app") == Owner(uid=status.st_uid, gid=status.st_gid)
    own = replace(target(tmp_path, 0o755, Credentials(uid=status.st_uid, gid=status.st_gid)), view=view)
    assert denied(own, "/app") == ""
    other = replace(own, credentials=Credentials(uid=status.st_uid + 1, gid=status.st_gid + 1))
    assert denied(other, "/app").startswith(f"user {status.st_uid + 1} may not execute it (mode 0700")
