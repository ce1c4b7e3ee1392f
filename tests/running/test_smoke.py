"""`--then`: a person's own test in a repaired root, run for real, and ended for real."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from runworthy.running import cell
from runworthy.running.smoke import smoke_test
from tests.judges import roots

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="roots are Linux's")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a static shell that is all of it."""
    busybox = roots.requires_tool("busybox", package="busybox-static")
    made = tmp_path / "root"
    for name in ("bin", "proc", "dev", "tmp"):
        (made / name).mkdir(parents=True)
    shutil.copy(busybox, made / "bin/sh")
    return made


def test_on_this_machine_the_word_of_the_test_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    done = smoke_test("echo out; echo err >&2; cat; exit 3", "/")
    assert (done.status, done.passed, done.words) == (3, False, "it failed: exit status 3")
    assert capfd.readouterr() == ("", "out\nerr\n")
    assert smoke_test("test $((1 + 1)) = 2 && echo 'a  b' | grep -q 'a  b'", "/").words == "it passed"
    assert smoke_test("kill -SEGV $$", "/").words == "it failed: SIGSEGV"


def _processes(mark: str) -> list[str]:
    found = subprocess.run(["pgrep", "-f", mark], capture_output=True, text=True, check=False).stdout.split()
    return [pid for pid in found if Path(f"/proc/{pid}/cmdline").exists()]


@pytest.mark.parametrize("command", ["sleep 7001.5", "(trap '' TERM; sleep 7001.5) & setsid sleep 7001.5 & wait"])
def test_when_the_time_is_over_all_of_it_is_ended(command: str) -> None:
    started = time.monotonic()
    done = smoke_test(command, "/", timeout=0.5)
    assert (done.status, done.passed, done.words) == (None, False, "it was ended after 0.5 s")
    assert time.monotonic() - started < 20
    assert _processes("sleep 7001[.]5") == []


@pytest.mark.judge
@needs_root
def test_in_a_root_its_own_shell_runs_it(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / "tmp/mark").write_text("mark")
    done = smoke_test("cat /tmp/mark; pwd; test -c /dev/null && test -d /proc/1; test ! -e /usr && exit 4", str(root))
    assert (done.status, done.words) == (4, "it failed: exit status 4")
    assert capfd.readouterr() == ("", "mark/\n")
    assert smoke_test("echo made > /tmp/made", str(root)).passed
    assert (root / "tmp/made").read_text() == "made\n"
    assert smoke_test("kill -ABRT $$", str(root)).words == "it failed: SIGABRT"


@pytest.mark.judge
@needs_root
def test_nothing_of_it_is_left_mounted_or_running(root: Path) -> None:
    before = Path("/proc/self/mounts").read_text()
    done = smoke_test("trap '' TERM; setsid sleep 7002.5 & sleep 7002.5", str(root), timeout=1)
    assert done.words == "it was ended after 1 s"
    assert _processes("sleep 7002[.]5") == []
    assert smoke_test("setsid sleep 7002.5 & exit 0", str(root)).passed
    assert _processes("sleep 7002[.]5") == []
    assert Path("/proc/self/mounts").read_text() == before
    assert list((root / "dev").iterdir()) == []


@pytest.mark.judge
@needs_root
def test_a_root_that_cannot_run_it_says_so(root: Path) -> None:
    (root / "bin/sh").write_bytes(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xf3\x7a" + bytes(44))
    assert smoke_test("true", str(root)).words.startswith("it could not be run: /bin/sh of the root is for another")
    (root / "bin/sh").write_text("#!/no/such/program\n")
    assert "its interpreter is not there" in smoke_test("true", str(root)).words
    (root / "bin/sh").unlink()
    assert smoke_test("true", str(root)).words == "it could not be run: the root has no /bin/sh"
    (root / "bin/sh").symlink_to("/bin/dash")  # which this machine has
    done = smoke_test("true", str(root))
    assert (done.passed, done.words) == (False, "it could not be run: the root has no /bin/sh")


@pytest.mark.judge
@needs_root
def test_links_of_the_root_are_not_mounted_over(root: Path, tmp_path: Path) -> None:
    for name in ("proc", "dev"):
        (root / name).rmdir()
        (tmp_path / name).mkdir()
        (root / name).symlink_to(tmp_path / name)
    assert smoke_test("test ! -e /proc/1 && test ! -e /dev/null", str(root)).passed


@pytest.mark.judge
@needs_root
def test_a_user_without_rights_enters_a_root_or_is_refused(root: Path) -> None:
    python = Path("/usr/bin/python3")
    if not python.exists():
        roots.lacking("no /usr/bin/python3: `apt-get install python3` brings it")
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        there = Path(place)
        there.chmod(0o777)
        shutil.copy(cell.__file__, there / "cell.py")
        shutil.copytree(root, there / "root")
        words = ["-I", "-S", "-c", "import sys; sys.path.append(sys.argv[1]); import cell; cell.main(*sys.argv[2:])"]
        line = [place, f"{place}/root", f"{place}/told", "test -d /proc/1 && exit 6; exit 5"]
        done = subprocess.run([python, *words, *line], check=False, user=65534, group=65534, cwd="/")
        assert done.returncode in (0, 1)
        assert (there / "told").read_text() in ("status 6\n", "status 5\n", "errno 1 chroot\n")
