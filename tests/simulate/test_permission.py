"""Who may execute a program of a root; the kernel is asked in ``tests/differential/test_permission.py``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runworthy.engine import verdict_of
from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.formats.identify import identify
from runworthy.model.arch import architecture
from runworthy.model.credentials import Credentials, Owner
from runworthy.model.machine import baseline
from runworthy.simulate.execve import execve
from runworthy.simulate.launch import Launch
from runworthy.simulate.permission import denied
from runworthy.simulate.process import Machinery, simulate
from runworthy.simulate.start import start
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.apewriter import JARTSR, ape, like_ape_loader
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


def scratch(path: Path, who: Credentials | None, env: dict[str, str], **stated: str) -> str:
    """Return the verdict on an APE that a shell reads, in a root in which only /free is for everybody to write in."""
    (path / "free").mkdir()
    (path / "free").chmod(0o777)
    view = Overlay(DirectoryView(str(path)))
    for name in ("sh", "mkdir", "dd", "gzip", "chmod", "mv", "uname"):
        view.add_file(f"/usr/bin/{name}", STATIC)
    view.add_link("/bin", "usr/bin")
    data = ape(magic=JARTSR, loaders={"x86_64": like_ape_loader()}, path_lookup=False)
    view.add_file("/opt/app", data)
    arch = architecture("x86_64")
    assert arch
    on = Target(name="root", view=view, machine=baseline(arch), credentials=who, live=who is not None)
    launch = Launch(env=env, callers=("sh",), cwd=stated.get("cwd", "/"), cwd_stated=bool(stated))
    machinery = Machinery(on, launch, lambda _: False)
    return verdict_of(start(machinery, "/opt/app", identify(BytesContent(data)), None))[0]


@pytest.mark.parametrize(
    ("who", "env", "stated", "verdict"),
    [
        (USER, {"HOME": "/nonexistent"}, {}, "fails"),  # mkdir -p makes it for whoever may
        (ROOT, {"HOME": "/nonexistent"}, {}, "risky"),
        (None, {"HOME": "/nonexistent"}, {}, "risky"),
        (USER, {"HOME": "/nonexistent", "TMPDIR": "/free/new"}, {}, "risky"),
        (USER, {"HOME": "/opt/app/x"}, {}, "fails"),
        (USER, {}, {"cwd": "/opt"}, "fails"),  # and the working directory where nothing is set
        (USER, {"HOME": ""}, {"cwd": "/free"}, "risky"),
        (USER, {"HOME": ""}, {}, "risky"),  # nobody says what that is
    ],
)
def test_an_ape_unpacks_its_loader_where_its_user_may_write(
    tmp_path: Path, who: Credentials | None, env: dict[str, str], stated: dict[str, str], verdict: str
) -> None:
    assert scratch(tmp_path, who, env, **stated) == verdict


def test_an_ape_that_rewrites_itself_has_to_be_its_users(tmp_path: Path) -> None:
    view = Overlay(DirectoryView(str(tmp_path)))
    for name in ("sh", "uname"):
        view.add_file(f"/bin/{name}", STATIC)
    data = ape(magic=JARTSR)
    view.add_file("/opt/app", data, mode=0o555)
    arch = architecture("x86_64")
    assert arch
    for who, verdict in ((USER, "fails"), (ROOT, "risky"), (None, "risky")):
        on = Target(name="root", view=view, machine=baseline(arch), credentials=who)
        machinery = Machinery(on, Launch(callers=("sh",)), lambda _: False)
        assert verdict_of(start(machinery, "/opt/app", identify(BytesContent(data)), None))[0] == verdict
