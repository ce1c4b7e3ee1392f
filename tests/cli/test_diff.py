"""`runworthy diff` and `runworthy targets diff`: whole reports, formats, exit codes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import runworthy as package
from runworthy.cli import main
from tests.cli.conftest import Ended, Run
from tests.elfwriter import Symbol, elf
from tests.report.test_document import validate
from tests.world import LOADER


@pytest.fixture
def runworthy(world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process: a catalogue that is open already answers many of these tests at once."""
    monkeypatch.chdir(world)

    def run(*arguments: str) -> Ended:
        code = main(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


DIFF, TARGET_DIFF = "runworthy.diff-1.json", "runworthy.target-diff-1.json"


@pytest.fixture(autouse=True)
def _builds(world: Path) -> None:
    """Two releases of a tree with a program, its library and another program."""
    greeting = [Symbol("greeting", use="data"), Symbol("__libc_start_main", "GLIBC_2.34", "libc.so.6", use="data")]
    program = elf(interpreter=LOADER, needed=["libgreeting.so.1", "libc.so.6"], runpath="$ORIGIN/../lib",
        tags=[(21, 0)], imports=greeting)  # fmt: skip
    for name, exports in (("one", ["greeting", "old_greeting"]), ("two", ["greeting"])):
        for path, data in {
            "bin/server": program,
            "bin/app": (world / ("app-1.0" if name == "one" else "app")).read_bytes(),
            "lib/libgreeting.so.1": elf(soname="libgreeting.so.1", exports=exports),
        }.items():
            at = world / name / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(data)
            at.chmod(0o755)
    shutil.copytree(world / "two", world / "three")
    (world / "three/lib/libgreeting.so.1").unlink()
    (world / "three/bin/tool").write_bytes((world / "app").read_bytes())


def test_a_new_build(runworthy: Run) -> None:
    ended = runworthy("diff", "app-1.0", "app", "--on", "ubuntu:20.04,debian:12,busybox:glibc")
    assert (ended.code, ended.err) == (1, "")
    assert (
        ended.out
        == """\
✗ app no longer runs on ubuntu:20.04: GLIBC_2.34
✓ app gets better on busybox:glibc

glibc floor 2.2.5 -> 2.34 because of __libc_start_main and dlopen
kernel floor none -> 3.2.0 because of glibc 2.34, the oldest that fits, refuses older kernels

needs, and did not need before
  GLIBC_2.34 of libc.so.6  __libc_start_main (was GLIBC_2.2.5) and dlopen (was GLIBC_2.2.5)

no longer needs
  library libdl.so.2
  GLIBC_2.2.5 of libdl.so.2  dlopen (now GLIBC_2.34)

worse on (old -> new)
  ubuntu:20.04  ✓ runs -> ✗ fails at version  GLIBC_2.34

better on (old -> new)
  busybox:glibc  ✗ fails at load -> ✓ runs

the same on 1 target (1 run)
"""
    )


def test_two_trees(runworthy: Run) -> None:
    ended = runworthy("diff", "one", "two", "--on", "debian:11", "--on", "debian:12")
    assert ended.code == 1
    assert (
        ended.out
        == """\
✗ bin/app no longer runs on debian:11: GLIBC_2.34
! lib/libgreeting.so.1 no longer offers 1 symbol that others may be linked with

needs, and did not need before
  GLIBC_2.34 of libc.so.6  app (__libc_start_main and dlopen)

no longer offers: what was linked with it breaks
  symbols  libgreeting.so.1 (old_greeting)

no longer needs
  library libdl.so.2         app
  GLIBC_2.2.5 of libdl.so.2  app (dlopen)

worse on (old -> new)
  debian:11  1 file  ✓ runs -> ✗ fails at version  GLIBC_2.34

the same on 1 target (1 run)
"""
    )


def test_files_that_come_and_go(runworthy: Run) -> None:
    ended = runworthy("diff", "two", "three", "--on", "debian:12")
    assert ended.code == 1
    assert (
        ended.out
        == """\
✗ bin/server no longer runs on debian:12: libgreeting.so.1

added    bin/tool
removed  lib/libgreeting.so.1

worse on (old -> new)
  debian:12  1 file  ✓ runs -> ✗ fails at load  libgreeting.so.1
"""
    )


def test_nothing_changed(runworthy: Run, world: Path) -> None:
    assert runworthy("diff", "app", "app") == (0, "app and app hold the same bytes\n", "")
    assert runworthy("diff", "two", "two") == (0, "two and two hold the same bytes\n", "")
    (world / "rebuilt").write_bytes((world / "libgreeting.so.1").read_bytes() + b"\0")
    ended = runworthy("diff", "libgreeting.so.1", "rebuilt", "--on", "debian:12", "--fail-on", "any-change")
    told = "nothing differs that a loader or a target looks at, nor does any verdict on 1 target"
    assert ended == (0, f"libgreeting.so.1 and rebuilt: {told}\n", "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("app-1.0", "app", "--on", "debian:12"), 0),
        (("app-1.0", "app", "--on", "debian:12", "--fail-on", "any-change"), 1),
        (("app", "app-1.0"), 1),  # busybox has no libdl
        (("app", "app-1.0", "--on", "ubuntu:20.04"), 0),
        (("app", "server", "--on", "ubuntu:22.04"), 4),
        (("app", "server", "--on", "ubuntu:22.04", "--strict"), 1),
        (("app", "server", "--on", "ubuntu:22.04", "--assume-present", "all"), 0),
        (("app", "server", "--on", "ubuntu:22.04", "--with", "libgreeting.so.1"), 0),
        (("app", "notes.txt", "--on", "debian:12"), 4),
    ],
)
def test_exit_codes(runworthy: Run, arguments: tuple[str, ...], code: int) -> None:
    ended = runworthy("diff", *arguments, "--format", "json")
    assert (ended.code, ended.err) == (code, "")
    validate(ended.out, DIFF)


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("app", "nowhere"), 3, "error: nowhere: no such file"),
        (("app", "one"), 2, "error: app is a file and one a directory"),
        (("app", "app-1.0", "--on", "alpin:3.20"), 2, "error: there is no target 'alpin:3.20' in the catalogue"),
        (("app", "app-1.0", "--on", "alpine:3.20/vax"), 2, "error: 'vax' is no architecture"),
        (("client", "client", "--on", "glibc:2.28/arm64", "--cpu", "i9"), 2, "error: --cpu i9 is no CPU level"),
    ],
)
def test_what_cannot_be_compared(runworthy: Run, arguments: tuple[str, ...], code: int, error: str) -> None:
    ended = runworthy("diff", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(error)


def test_directories_without_programs(runworthy: Run, world: Path) -> None:
    for name in ("empty-one", "empty-two"):
        (world / name).mkdir()
        (world / name / "notes").write_text("no program\n")
    ended = runworthy("diff", "empty-one", "empty-two")
    assert ended == (3, "", "error: no ELF program or library in either of them\n")


def test_json(runworthy: Run) -> None:
    ended = runworthy("diff", "one", "three", "--on", "debian:11", "--format", "json")
    document = validate(ended.out, DIFF)
    pairs = {pair["name"]: pair for pair in document["pairs"]}
    assert (pairs["lib/libgreeting.so.1"]["new"], pairs["bin/tool"]["old"]) == (None, None)
    (cell,) = pairs["bin/app"]["targets"]
    assert (cell["shift"], cell["old"]["verdict"], cell["new"]["verdict"]) == ("worse", "runs", "fails")
    assert {need["version"] for need in cell["because"]} == {"GLIBC_2.34"}
    assert pairs["bin/server"]["identical"]
    assert pairs["bin/server"]["judged"]
    assert document["summary"]["worse"] == 1
    assert document["floors"] == []  # the server held it up before
    ended = runworthy("diff", "app-1.0", "app", "--on", "debian:12", "--format", "json")
    floors = {floor["kind"]: floor for floor in validate(ended.out, DIFF)["floors"]}
    assert (floors["glibc"]["old"], floors["glibc"]["new"]) == ("2.2.5", "2.34")
    assert floors["glibc"]["symbols"] == ["__libc_start_main", "dlopen"]


def test_the_machine_is_stated_for_targets_of_the_catalogue_too(runworthy: Run) -> None:
    document = validate(runworthy("diff", "app-1.0", "app", "--platform", "linux/amd64", "--format", "json").out, DIFF)
    assert document["chosen"] == "every target of the catalogue"
    assert {"debian:12", "alpine:3.20", "glibc:2.28"} <= set(document["targets"])


def test_a_hostile_name_is_printed_as_text(runworthy: Run, world: Path) -> None:
    bad = elf(interpreter=LOADER, needed=["evil\x1b[2J\n.so"], tags=[(21, 0)], imports=[Symbol("a\x1bb\udcff")])
    (world / "bad\x1b").write_bytes(bad)
    ended = runworthy("diff", "app", "bad\x1b", "--on", "debian:12", "-v")
    assert ended.code == 1
    assert "\x1b" not in ended.out
    assert "library evil\\x1b[2J\\n.so" in ended.out
    validate(runworthy("diff", "app", "bad\x1b", "--on", "debian:12", "--format", "json").out, DIFF)


def test_as_a_function(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)
    difference = package.diff("app-1.0", "app", on=["ubuntu:20.04", "debian:12"])
    assert [(cell.target, cell.shift) for cell in difference.pairs[0].cells] == [
        ("ubuntu:20.04", "worse"),
        ("debian:12", "same"),
    ]
    with pytest.raises(package.SubjectError):
        package.diff("app", "nowhere")


# -- targets diff ----------------------------------------------------------------------------


def test_two_targets(runworthy: Run) -> None:
    ended = runworthy("targets", "diff", "alpine:3.19/amd64", "alpine:3.20/amd64")
    assert (ended.code, ended.err) == (1, "")
    assert (
        ended.out
        == """\
alpine:3.19/x86_64 -> alpine:3.20/x86_64
  libc   musl 1.2.4 -> musl 1.2.5
  as of  3.19.4 -> 3.20.3
  the same: loader, architecture, CPU, page size, kernel, default directories, configured directories, ld.so.cache, \
ld.so.preload and known

3 of 5 libraries that both have differ

libraries of both
  libc.musl-x86_64.so.1  symbols: 3 added (1644 -> 1647)
  libcrypto.so.3         symbols: 2 removed, 108 added (5320 -> 5426)  gains OPENSSL_3.2.0 and OPENSSL_3.3.0
  libssl.so.3            symbols: 63 added (517 -> 580)                gains OPENSSL_3.2.0 and OPENSSL_3.3.0

symbols removed
  libcrypto.so.3  EVP_CIPHER_CTX_dup@OPENSSL_3.1.0 and EVP_MD_CTX_dup@OPENSSL_3.1.0
"""
    )


def test_what_is_not_known_is_not_called_missing(runworthy: Run) -> None:
    """libbz2 is in Debian's image; of Ubuntu's only the core is known, so neither of both is said to lack it."""
    for arguments in (("debian:12", "ubuntu:22.04"), ("ubuntu:22.04", "debian:12")):
        out = runworthy("targets", "diff", *arguments, "--platform", "amd64").out
        told = [line for line in out.splitlines() if "libbz2.so.1.0" in line]
        assert len(told) == 1
        assert "not known of ubuntu:22.04" in told[0]
        assert "only in" not in out


def test_libraries_that_moved_into_libc(runworthy: Run) -> None:
    ended = runworthy("targets", "diff", "glibc:2.33/amd64", "glibc:2.34/amd64", "--format", "json")
    libraries = {row["name"]: row for row in validate(ended.out, TARGET_DIFF)["libraries"]}
    moved = libraries["libpthread.so.0"]["symbols"]
    assert {"name": "pthread_join", "version": "GLIBC_2.2.5"} in moved["moved"]
    assert moved["removed"] == []
    assert libraries["libc.so.6"]["versions"]["removed"] == []
    assert "GLIBC_2.34" in libraries["libc.so.6"]["versions"]["added"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("debian:12", "debian:12"), 0),
        (("rhel:9", "rhel:9"), 0),
        (("rhel:9", "almalinux:9"), 4),
        (("debian:12", "debian:13"), 1),
        (("debian:12/amd64", "debian:12/arm64"), 1),
        (("python:3.12-bookworm", "debian:12"), 4),
    ],
)
def test_equal_different_or_not_known(runworthy: Run, arguments: tuple[str, ...], code: int) -> None:
    ended = runworthy("targets", "diff", *arguments)
    assert (ended.code, ended.err) == (code, "")
    assert validate(runworthy("targets", "diff", *arguments, "--format", "json").out, TARGET_DIFF)


@pytest.fixture
def root(world: Path) -> Path:
    """A small root with glibc's names, one library in a directory that is configured, and links for compilers."""
    from tests.elfwriter import Note

    root = world / "root"
    files = {
        "lib64/ld-linux-x86-64.so.2": elf(soname="ld-linux-x86-64.so.2", exports=[("_r_debug", "GLIBC_2.2.5")],
            sections={".rodata": b"GNU C Library stable release version 2.36.\0/lib64/\0/usr/lib64/\0"}),
        "lib64/libc.so.6": elf(soname="libc.so.6", exports=[("puts", "GLIBC_2.2.5")]),
        "usr/lib64/libz.so.1.2": elf(soname="libz.so.1", exports=["inflate", "deflate"]),
        "usr/lib64/broken.so": b"\x7fELF and no more",
        "opt/lib/libz.so.1": elf(soname="libz.so.1", exports=["inflate"], notes=[Note(b"X\0\0\0", 1, b"")]),
        "etc/os-release": b"",
    }  # fmt: skip
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    for name in ("libz.so.1", "libz.so"):
        (root / "usr/lib64" / name).symlink_to("libz.so.1.2")
    return root


def test_directories_as_targets(runworthy: Run, world: Path, root: Path) -> None:
    """A library is compared under the name that loaders ask for, where this root's loader finds it."""
    other = world / "other"
    shutil.copytree(root, other, symlinks=True)
    (other / "usr/lib64/libz.so.1").unlink()
    (other / "usr/lib64/libz.so.1.2").unlink()
    shutil.copy(other / "opt/lib/libz.so.1", other / "lib64/libz.so.1")
    assert runworthy("targets", "diff", "./root", "./root").code == 0
    ended = runworthy("targets", "diff", "./root", "./other", "--format", "json")
    assert ended.code == 1
    document = validate(ended.out, TARGET_DIFF)
    (row,) = document["libraries"]
    assert row["name"] == "libz.so.1"
    assert (row["old"]["path"], row["new"]["path"]) == ("/usr/lib64/libz.so.1", "/lib64/libz.so.1")
    assert row["symbols"] == {"removed": [{"name": "deflate", "version": None}], "moved": [], "added": []}


def test_a_library_that_is_gone(runworthy: Run, world: Path, root: Path) -> None:
    other = world / "other"
    shutil.copytree(root, other, symlinks=True)
    for name in ("libz.so.1", "libz.so.1.2", "libz.so"):
        (other / "usr/lib64" / name).unlink()
    assert root.is_dir()
    out = runworthy("targets", "diff", "./root", "./other").out
    assert "0 of 2 libraries that both have differ; 1 only in ./root\n\nonly in ./root  libz.so.1\n" in out
