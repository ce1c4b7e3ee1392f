"""Roots that come through a pipe against the roots themselves: real tars, real shells, in chroots and over ssh."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.elf import is_elf
from runworthy.model.arch import architecture
from runworthy.model.errors import FormatError
from runworthy.model.machine import baseline
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery, simulate
from runworthy.targets.directory import DirectoryView
from runworthy.targets.machine_facts import read_machine
from runworthy.targets.overlay import Overlay
from runworthy.targets.snapshot.make import write_file
from runworthy.targets.snapshot.view import SnapshotView
from runworthy.targets.stream.making import snapshot_stream
from runworthy.targets.stream.reading import Streamed, collector, read_stream
from runworthy.targets.target import Target
from runworthy.targets.view import Entry, FileView, UnseenError
from tests.cases.build import Builder
from tests.differential.test_cases import _PAIRS
from tests.differential.test_snapshot import builder, report, said
from tests.judges import roots
from tests.targets.snapshot.made import NAME, answers, snapshot, walk

__all__ = ["builder"]

pytestmark = pytest.mark.judge

DEBIAN, MUSL = "bookworm-amd64", "musl-1.2.5-x86_64"
_TARFILE = """
import os, sys, tarfile
os.chdir(sys.argv[2])
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as out:
    out.add(".")
"""
TARS: Mapping[str, Sequence[str]] = {
    "gnu": ("tar", "--format=gnu"),
    "posix": ("tar", "--format=posix"),
    "ustar": ("tar", "--format=ustar"),
    "sparse": ("tar", "--format=posix", "--sparse"),
    "absolute": ("tar", "--format=gnu", "--transform=s,^\\.,/,S"),
    "busybox": ("busybox", "tar"),
    "bsdtar": ("bsdtar",),
    "bsdtar-ustar": ("bsdtar", "--format=ustar"),
    "bsdtar-gnu": ("bsdtar", "--format=gnutar"),
    "toybox": ("toybox", "tar"),
    "python": (sys.executable, "-c", _TARFILE),
}
PACKAGES = {"busybox": "busybox-static", "bsdtar": "libarchive-tools", "toybox": "toybox", "tar": "tar"}
APPLETS = ("sh", "stat", "readlink", "head", "tr", "sort", "cat", "uname", "find", "ls")


def entries(told: Mapping[tuple[str, str], object]) -> dict[tuple[str, str], object]:
    """Leave out of answers what no tar tells: the sizes of directories, and of devices."""

    def plain(answer: object) -> object:
        if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Entry):
            path, entry = answer
            return path, replace(entry, size=-1) if entry.kind in ("dir", "other") else entry
        return answer

    return {question: plain(answer) for question, answer in told.items()}


def captured(streamed: Streamed) -> SnapshotView:
    data = snapshot(streamed.root, streamed.machine, source="stream", exclude=streamed.root.closed)
    return SnapshotView(BytesContent(data), NAME)


def piped(command: Sequence[str], *, script: str | None = None, env: Mapping[str, str] | None = None) -> Streamed:
    """Read what a command writes into a pipe while it runs."""
    held = None if env is None else dict(env)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=held) as process:
        assert process.stdin
        assert process.stdout
        if script is not None:
            process.stdin.write(script.encode())
        process.stdin.close()
        streamed = read_stream(process.stdout.read)
    assert process.returncode == 0
    return streamed


def same(copy: FileView, root: Path, *, unseen: bool = False) -> int:
    """Hold every answer of a copy against the root; return how many paths the copy says it does not know.

    ``unseen``: it may say so, of files that no loader would take.
    """
    view = DirectoryView(str(root))
    paths = list(walk(view))
    assert list(walk(copy)) == paths
    count = 0
    for path in paths:
        try:
            told = entries(answers(copy, [path]))
        except UnseenError:
            assert unseen
            with pytest.raises(FormatError, match="not an ELF file"):
                view.elf(view.resolve(path).path)
            count += 1
            continue
        assert told == entries(answers(view, [path])), path
    return count


@pytest.fixture(params=[pytest.param(DEBIAN, marks=pytest.mark.slow), MUSL])
def root(request: pytest.FixtureRequest) -> Path:
    return roots.requires(request.param).path


# -- tar ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TARS)
def test_every_tar(root: Path, kind: str) -> None:
    command = TARS[kind]
    if command[0] in PACKAGES:
        roots.requires_tool(command[0], package=PACKAGES[command[0]])
    operation = ("-C", str(root)) if kind == "python" else ("-C", str(root), "-c", "-f", "-", ".")
    assert same(captured(piped([*command, *operation])), root) == 0


@pytest.mark.parametrize("packer", ["gzip", "xz -0", "bzip2", "zstd -q"])
def test_every_packer(packer: str) -> None:
    root = roots.requires(MUSL).path
    streamed = piped(["sh", "-c", f'tar -c -C "$1" . | {packer}', "sh", str(root)])
    assert same(captured(streamed), root) == 0


def streams(root: Path) -> dict[str, bytes]:
    """Return what is sent of a root, in both ways."""
    return {
        "tar": subprocess.run(["tar", "-C", root, "-c", "."], check=True, capture_output=True).stdout,
        "collected": subprocess.run(
            ["sh", "-s", "--", root], input=collector().encode(), check=True, capture_output=True
        ).stdout,
    }


def test_reports_are_the_same(tmp_path: Path, root: Path) -> None:
    """Packages from outside, on the root, on its tar and on what was collected of it."""
    kinds = ("cryptography-manylinux", "cryptography-musllinux", "psycopg2-manylinux", "psycopg2-musllinux")
    subjects = ["/bin/sh", *(str(roots.requires_corpus(f"{kind}-x86_64")) for kind in kinds)]
    expected = report(subjects, str(root))
    for name, data in streams(root).items():
        path = tmp_path / f"{name}.runworthy"
        write_file(str(path), snapshot_stream(io.BytesIO(data).read, [], None, None))
        assert report(subjects, str(path)) == expected


def traces(view: FileView, paths: Collection[str]) -> dict[str, object]:
    """Return what happens to programs and libraries of a root in it, every step of it."""
    arch = architecture("x86_64")
    assert arch
    target = Target(name="TARGET", view=Overlay(view), machine=baseline(arch))
    machinery = Machinery(target, Launch(until="environment", trace=True), lambda _: False)
    return {path: simulate(machinery, path, target.view.elf(path)) for path in paths}


def test_traces_are_the_same(root: Path) -> None:
    """Every ELF file of the root in its own place."""
    view = DirectoryView(str(root))
    files = (path for path in walk(view) if view.lstat(path).entry.kind == "file")
    elf = [path for path in files if is_elf(view.content(path))]
    expected = traces(view, elf)
    assert expected
    for data in streams(root).values():
        assert traces(captured(read_stream(io.BytesIO(data).read)), elf) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("case", "name"), _PAIRS[::3], ids=[f"{case.name}-{name}" for case, name in _PAIRS[::3]])
def test_cases(builder: Builder, case: object, name: str) -> None:
    """The compiled cases: odd links, damaged files, foreign machines."""
    composed = builder.compose(case, roots.requires(name))  # type: ignore[arg-type]
    root = str(composed.root.path)
    truths = [truth for truth in case.truths if name in truth.on]  # type: ignore[attr-defined]
    copy = captured(piped(["tar", "-c", "-C", root, "."]))
    heard = captured(piped(["sh", "-s", "--", root], script=collector()))
    for truth in truths:
        expected = said(DirectoryView(root), composed, truth)
        assert said(copy, composed, truth) == expected
        try:
            assert said(heard, composed, truth) == expected
        except UnseenError:
            continue  # not told, and said so


# -- the collector -----------------------------------------------------------------------------


def tools(directory: Path, program: str, names: Collection[str]) -> str:
    """Return a directory in which the applets of one program lie under their names."""
    whole = roots.requires_tool(program, package=PACKAGES[program])
    directory.mkdir()
    for name in names:
        (directory / name).symlink_to(whole)
    return str(directory)


SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"], "mksh": ["mksh"]}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell(root: Path, shell: str) -> None:
    roots.requires_tool(SHELLS[shell][0], package={"busybox": "busybox-static"}.get(shell, shell))
    streamed = piped([*SHELLS[shell], "-s", "--", str(root)], script=collector())
    assert streamed.machine is None  # of a root in a directory nobody says on which machine it will run
    assert same(captured(streamed), root, unseen=True) < 2000


@pytest.mark.parametrize("program", ["busybox", "toybox"])
@pytest.mark.parametrize("find", [True, False])
def test_every_tool(tmp_path: Path, root: Path, program: str, *, find: bool) -> None:
    """The applets of busybox and toybox, and systems without find: the collector walks by itself there."""
    unwanted = {"sh", "tr" if program == "toybox" else "", "" if find else "find"}
    applets = [name for name in APPLETS if name not in unwanted]
    script = "\n".join(line for line in collector().splitlines() if not line.startswith("PATH="))
    path = tools(tmp_path / "tools", program, applets)
    if program == "toybox":  # it has no tr
        path += f":{tools(tmp_path / 'more', 'busybox', ['tr'])}"
    streamed = piped([str(shutil.which("dash")), "-s", "--", str(root)], script=f"{script}\n", env={"PATH": path})
    assert same(captured(streamed), root, unseen=True) < 2000


_INSIDE = """
mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" || exit 9
exec chroot "--userspec=$2" "$1" sh -s
"""
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _INSIDE, "sh")


@pytest.fixture
def jails(tmp_path: Path) -> dict[str, Path]:
    """A Debian root, and one that has musl and a busybox."""
    busybox = roots.requires_tool("busybox", package=PACKAGES["busybox"])
    small = tmp_path / "small"
    shutil.copytree(roots.requires(MUSL).path, small, symlinks=True)
    shutil.copy(busybox, small / "bin/busybox")
    for name in (*APPLETS, "id"):
        (small / "bin" / name).symlink_to("busybox")
    (small / "etc/os-release").write_text("ID=small\n")
    return {"debian": roots.requires(DEBIAN).path, "musl": small}


@pytest.mark.parametrize("user", ["0:0", "65534:65534"])
@pytest.mark.parametrize("jail", [pytest.param("debian", marks=pytest.mark.slow), "musl"])
def test_in_a_chroot(jails: Mapping[str, Path], jail: str, user: str) -> None:
    """For real: a system that has no Python, its own shell and tools, as root and as nobody."""
    if os.geteuid() != 0:
        roots.lacking("a chroot needs root")
    root = jails[jail]
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    streamed = piped([*UNSHARE, str(root), user], script=collector())
    here = read_machine()
    assert streamed.machine
    for field in ("arch", "kernel", "level", "cpu_flags", "page_size", "gpus"):
        assert getattr(streamed.machine, field) == getattr(here, field), field
    assert {"/dev", "/proc"} <= {mount.point for mount in streamed.machine.mounts or ()}
    assert streamed.root.closed >= {"/proc", "/dev"}
    copy = captured(streamed)
    view = DirectoryView(str(root))
    compared = 0
    for path in walk(view):
        if path.startswith(("/proc", "/dev", "/run", "/sys")):
            continue
        try:
            told = entries(answers(copy, [path]))
        except UnseenError:
            continue
        assert told == entries(answers(view, [path])), path
        compared += 1
    assert compared > (1000 if jail == "debian" else 12)
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before  # nothing was written


@contextmanager
def sshd(directory: Path) -> Iterator[list[str]]:
    """Run a server on the loopback interface; give the command that talks to it."""
    server = roots.requires_tool("sshd", package="openssh-server")
    roots.requires_tool("ssh", package="openssh-client")
    Path("/run/sshd").mkdir(exist_ok=True)  # compiled in: the empty directory of its unprivileged half
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    shutil.copy(directory / "client.pub", directory / "keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stated = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "keys",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PermitRootLogin": "yes",
        "LogLevel": "INFO",
    }
    process = subprocess.Popen(
        [server, "-D", "-e", "-f", "/dev/null", *(f"-o{name}={value}" for name, value in stated.items())],
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr
        with process.stderr:
            assert b"listening" in process.stderr.readline()
        known = ("-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={directory}/known", "-oLogLevel=ERROR")
        yield ["ssh", "-F", "none", "-i", str(directory / "client"), "-p", str(port), *known, "127.0.0.1"]
    finally:
        process.terminate()
        process.wait()


def test_over_ssh(tmp_path: Path, root: Path) -> None:
    with sshd(tmp_path) as ssh:
        heard = piped([*ssh, "sh", "-s", "--", str(root)], script=collector())
        copied = piped([*ssh, "tar", "-c", "-C", str(root), "."])
    assert same(captured(heard), root, unseen=True) < 2000
    assert same(captured(copied), root) == 0


def test_the_script_is_clean() -> None:
    tool = roots.requires_tool("shellcheck", package="shellcheck")
    done = subprocess.run([tool, "-s", "sh", "-"], input=collector(), text=True, capture_output=True, check=False)
    assert done.stdout == ""


def test_the_collector_ends_with_a_word_where_a_tool_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    script = "\n".join(line for line in collector().splitlines() if not line.startswith("PATH="))
    started = time.monotonic()
    done = subprocess.run(
        [str(shutil.which("dash")), "-s"], input=f"{script}\n", text=True, capture_output=True, check=False,
        env={"PATH": str(tmp_path / "empty")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no stat here: send a tar archive instead" in done.stderr
    assert time.monotonic() - started < 10
