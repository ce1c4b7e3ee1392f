"""The harness itself, on facts that are known beforehand.

A judge that reads a loader's words wrongly would hide differences, so each
kind of answer is asked for once here, and the parsers once without a loader.
"""

from pathlib import Path

import pytest

from . import glibc, musl, roots
from .answer import Answer, BadRelocation, Missing, MissingVersion, Undefined
from .panel import Judge, ask, ask_many
from .process import Jail, JailError, Outcome

_GLIBC = ("bullseye-amd64", "bookworm-amd64", "trixie-amd64")
_MUSL = ("musl-1.2.2-x86_64", "musl-1.2.3-x86_64", "musl-1.2.5-x86_64")


def _said(stdout: str = "", stderr: str = "", rc: int = 0) -> Outcome:
    return Outcome(rc=rc, errno=None, stdout=stdout, stderr=stderr)


# --- parsers, without a loader -----------------------------------------------


def test_glibc_lines() -> None:
    """Every kind of line that ld.so prints in a trace."""
    answer = glibc.parse(
        _said(
            "\tlinux-vdso.so.1 (0x00007f0000000000)\n"
            "\tlibz.so.1 => /lib/libz.so.1 (0x00007f0000001000)\n"
            "\t/x y/libw.so (0x00007f0000002000)\n"
            "\tlibgone.so => not found\n"
            "\t/lib64/ld-linux-x86-64.so.2 (0x00007f0000003000)\n",
            "/a/b: /lib/libz.so.1: version `Z_9' not found (required by /a/b)\n"
            "/a/b: /lib/libz.so.1: no version information available (required by /a/b)\n"
            "/a/b: /lib/libz.so.1: weak version `Z_8' not found (required by /a/b)\n"
            "undefined symbol: _ZN1aC1Ev\t(/a/b)\n"
            "undefined symbol: deflate9, version Z_9\t(./b)\n",
        ),
        loader="/lib64/ld-linux-x86-64.so.2",
    )
    assert answer.missing_libraries == {Missing("libgone.so")}
    assert answer.chosen == {"libz.so.1": "/lib/libz.so.1", "/x y/libw.so": "/x y/libw.so"}
    assert answer.missing_versions == {MissingVersion("/lib/libz.so.1", "Z_9", "/a/b")}
    assert answer.undefined == {Undefined("/a/b", "_ZN1aC1Ev"), Undefined("./b", "deflate9", "Z_9")}
    assert len(answer.warnings) == 2
    assert answer.fatal is None
    assert answer.unparsed == ()


def test_glibc_fatal() -> None:
    """A fatal message ends the trace."""
    said = "/a/b: error while loading shared libraries: /l/libx.so: invalid ELF header\n"
    answer = glibc.parse(_said(stderr=said, rc=127), loader="/ld.so")
    assert answer.fatal == "/l/libx.so: invalid ELF header"
    assert not answer.clean


def test_glibc_unknown_line_is_kept() -> None:
    """A line that no rule knows is never dropped."""
    assert glibc.parse(_said("what is this\n"), loader="/ld.so").unparsed == ("what is this",)


def test_musl_lines() -> None:
    """Every kind of line that `--list` prints."""
    loader = "/lib/ld-musl-x86_64.so.1"
    answer = musl.parse(
        _said(
            f"\t{loader} (0x7f00)\n\tlibz.so.1 => /lib/libz.so.1 (0x7f10)\n\tlibm.so.6 => {loader} (0x7f00)\n",
            "Error loading shared library libgone.so: No such file or directory (needed by /a/b)\n"
            "Error relocating /a/b: deflate9: symbol not found\n"
            "Error relocating /a/b: unsupported relocation type 37\n"
            "Error relocating /a/b: x: initial-exec TLS resolves to dynamic definition in /lib/libz.so.1\n",
            rc=127,
        )
    )
    assert answer.missing_libraries == {Missing("libgone.so", "/a/b")}
    assert answer.chosen == {"libz.so.1": "/lib/libz.so.1"}
    assert answer.undefined == {Undefined("/a/b", "deflate9")}
    assert answer.bad_relocations == {
        BadRelocation("/a/b", "unsupported relocation type 37"),
        BadRelocation("/a/b", "x: initial-exec TLS resolves to dynamic definition in /lib/libz.so.1"),
    }
    assert answer.unparsed == ()


def test_signal_is_told() -> None:
    """A loader that a signal ended has not answered."""
    answer = glibc.parse(_said(rc=-11), loader="/ld.so")
    assert answer.died
    assert answer.fatal == "killed by SIGSEGV"


# --- jails -------------------------------------------------------------------


@pytest.mark.judge
def test_jail_ends_what_runs_too_long() -> None:
    """The time limit holds, and the jail goes on."""
    root = roots.requires("bookworm-amd64")
    with Jail(root.path) as jail:
        assert jail.run(["/bin/sleep", "60"], timeout=0.2).timed_out
        assert jail.run(["/bin/true"]).rc == 0


@pytest.mark.judge
def test_jail_leaves_nothing_running() -> None:
    """What a program leaves in the background ends with it."""
    root = roots.requires("bookworm-amd64")
    with Jail(root.path) as jail:
        jail.run(["/bin/sh", "-c", "sleep 60 & sleep 61 &"], env={"PATH": "/bin"})
        listed = jail.run(["/bin/sh", "-c", "cat /proc/[0-9]*/comm"], env={"PATH": "/bin"})
    assert "sleep" not in listed.stdout.split()


@pytest.mark.judge
def test_jail_does_not_write_to_the_root() -> None:
    """Files made inside vanish."""
    root = roots.requires("bookworm-amd64")
    with Jail(root.path) as jail:
        assert jail.run(["/bin/touch", "/made"]).rc == 0
        assert jail.run(["/bin/ls", "/made"]).rc == 0
    assert not (root.path / "made").exists()


@pytest.mark.judge
def test_jail_reports_execve() -> None:
    """What execve says comes back as its errno."""
    root = roots.requires("bookworm-amd64")
    with Jail(root.path) as jail:
        assert jail.run(["/nothing"]).errno == 2
        assert jail.run(["/etc/passwd"]).errno == 13


@pytest.mark.judge
def test_jail_proc_is_a_choice(tmp_path: Path) -> None:
    """/proc is mounted, or not; paths can be bound; the environment is exactly what is given."""
    root = roots.requires("bookworm-amd64")
    (tmp_path / "mark").write_text("here")
    with Jail(root.path, proc=False, binds={"/some/where": tmp_path}) as jail:
        assert jail.run(["/bin/ls", "/proc/self"]).rc == 2
        assert jail.run(["/bin/cat", "/some/where/mark"]).stdout == "here"
        assert jail.run(["/usr/bin/env"], env={"A": "1"}).stdout == "A=1\n"


@pytest.mark.judge
def test_jail_that_cannot_be_built(tmp_path: Path) -> None:
    """A layer that does not exist is an error, not an empty root."""
    roots.requires("bookworm-amd64")
    with pytest.raises(JailError):
        Jail(tmp_path / "absent")


# --- real loaders on real files ----------------------------------------------


@pytest.mark.judge
@pytest.mark.parametrize("name", _GLIBC)
def test_own_programs_are_clean(name: str) -> None:
    """A distribution's own programs have all they need."""
    root = roots.requires(name)
    with Judge(root) as judge:
        for program in ("/bin/ls", "/usr/bin/apt", "/usr/bin/perl"):
            answer = judge.ask(program)
            assert answer.clean, answer.raw
            assert "libc.so.6" in answer.chosen
            assert answer.unparsed == ()


@pytest.mark.judge
def test_newer_program_on_older_root() -> None:
    """Programs of trixie lack versions on bullseye."""
    newer, older = roots.requires("trixie-amd64"), roots.requires("bullseye-amd64")
    answer = ask(older, "/subject/apt", binds={"/subject": newer.path / "usr/bin"})
    assert any(missing.version == "GLIBC_2.34" for missing in answer.missing_versions)
    assert answer.missing_names == {"libapt-private.so.0.0", "libapt-pkg.so.7.0"} - set(answer.chosen)
    assert answer.unparsed == ()


@pytest.mark.judge
@pytest.mark.parametrize("name", _MUSL)
def test_extension_module_on_musl(name: str) -> None:
    """An extension module's CPython symbols are undefined where no CPython loads it."""
    root = roots.requires(name)
    wheel = roots.requires_corpus("cryptography-musllinux-x86_64")
    (module,) = wheel.rglob("_rust.abi3.so")
    answer = ask(root, f"/subject/{module.relative_to(wheel)}", binds={"/subject": wheel})
    assert any(undefined.symbol.startswith("Py") for undefined in answer.undefined)
    assert answer.unparsed == ()


@pytest.mark.judge
def test_foreign_machine() -> None:
    """An aarch64 loader answers through qemu."""
    root = roots.requires("trixie-arm64")
    wheel = roots.requires_corpus("numpy-manylinux-aarch64")
    (module,) = wheel.rglob("_multiarray_umath*.so")
    answer = ask(root, f"/subject/{module.relative_to(wheel)}", binds={"/subject": wheel})
    assert answer.chosen["libc.so.6"] == "/lib/aarch64-linux-gnu/libc.so.6"
    assert answer.undefined
    assert answer.unparsed == ()


@pytest.mark.judge
def test_many_at_once_keep_their_order() -> None:
    """`ask_many` gives every file its own answer."""
    root = roots.requires("bookworm-amd64")
    programs = [f"/bin/{name}" for name in ("ls", "cat", "nothere", "bash", "sed")]
    answers = dict(ask_many(root, programs))
    assert list(answers) == programs
    assert [name for name, answer in answers.items() if not answer.clean] == ["/bin/nothere"]
    assert "libtinfo.so.6" in answers["/bin/bash"].chosen


@pytest.mark.judge
def test_search_is_told() -> None:
    """LD_DEBUG shows every path that was tried."""
    root = roots.requires("trixie-amd64")
    with Judge(root) as judge:
        tried = judge.searches("/bin/ls", env={"LD_LIBRARY_PATH": "/x"})
    assert tried["libc.so.6"][-1] == "/lib/x86_64-linux-gnu/libc.so.6"
    assert any(path.startswith("/x/") for paths in tried.values() for path in paths)


def test_default_answer_is_clean() -> None:
    """An answer without complaints is clean."""
    assert Answer().clean
