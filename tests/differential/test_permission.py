"""Who may execute, search and write, against the kernel: random modes, owners and access control lists."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest

import runworthy

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="making files of other users needs root on Linux"
)

_USER, _GROUPS = 1000, (1000, 1002)
_OWNERS, _MEMBERS = (0, 1000, 1001), (0, 1000, 1002, 1003)
_ROUNDS = 600
_ASKED = """
import json, os, sys
from runworthy.simulate.permission import denied, forbidden
from runworthy.targets.host import host_target
host_target()  # whatever it imports is imported by one who may read it
os.setgroups(json.loads(sys.argv[2]))
uid = int(sys.argv[1])
if uid:
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
target, told = host_target(), []
for path in json.load(sys.stdin):
    is_directory = os.path.isdir(path)
    wanted = (os.W_OK | os.X_OK, 3) if is_directory else (os.X_OK, 1)
    why = forbidden(target, path, 3) if is_directory else denied(target, path)
    told.append([path, os.access(path, wanted[0]), not why, why])
json.dump(told, sys.stdout)
"""


def _acl(chance: random.Random) -> bytes:
    """Return an access control list as setxattr takes it (``include/uapi/linux/posix_acl_xattr.h``)."""
    rows = [(1, chance.randrange(8), 0xFFFFFFFF)]
    rows += [(2, chance.randrange(8), uid) for uid in sorted(chance.sample((1000, 1001), chance.randrange(3)))]
    rows += [(4, chance.randrange(8), 0xFFFFFFFF)]
    rows += [(8, chance.randrange(8), gid) for gid in sorted(chance.sample((1000, 1002, 1003), chance.randrange(3)))]
    rows += [(16, chance.randrange(8), 0xFFFFFFFF), (32, chance.randrange(8), 0xFFFFFFFF)]
    return pack("<I", 2) + b"".join(pack("<HHI", *row) for row in rows)


def _make(top: Path, chance: random.Random) -> list[str]:
    made = []
    for number in range(_ROUNDS):
        path = top / f"d{number}"
        path.mkdir()
        inside = path / "file"
        inside.write_bytes(b"")
        for one in (inside, path):
            os.chown(one, chance.choice(_OWNERS), chance.choice(_MEMBERS))
            one.chmod(
                chance.choice((0o755, 0o711, 0o750, 0o700)) if chance.random() < 0.3 else chance.randrange(0o1000)
            )
            if chance.random() < 0.4:
                with suppress(OSError):  # no lists on this file system: modes and owners are compared all the same
                    os.setxattr(one, "system.posix_acl_access", _acl(chance))
        made += [str(path), str(inside)]
    return made


@pytest.mark.parametrize("uid", [_USER, 1001, 0])
def test_the_kernel_lets_the_same_user_at_the_same_files(tmp_path: Path, uid: int) -> None:
    for directory in (tmp_path, *tmp_path.parents):
        if directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o111)
    paths = _make(tmp_path, random.Random(uid))  # noqa: S311 - cases to try, no secrets
    source = str(Path(runworthy.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", _ASKED, str(uid), json.dumps(_GROUPS if uid else [])],
        input=json.dumps(paths),
        env={"PYTHONPATH": source, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    told = json.loads(done.stdout)
    assert [row for row in told if row[1] != row[2]] == []
    assert {row[1] for row in told} == {True, False} if uid else {row[1] for row in told}
