"""The ways of starting a file, by what it is and by the handlers that there are."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from runworthy.measuring.ways import Ways, find_program, ways
from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.errors import SubjectError, UsageError
from tests.apewriter import ape
from tests.elfwriter import elf

NONE = Handlers()
WINE = Handler(name="DOSWin", interpreter="/usr/bin/wine", magic=b"MZ")
HASH = Handler(name="hash", interpreter="/x/hash", magic=b"#!")
ELF = Handler(name="all-elf", interpreter="/x/elf", magic=b"\x7fELF")
BY_NAME = Handler(name="app", interpreter="/x/app", extension="app")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(content: bytes, *handlers: Handler, name: str = "file", **options: object) -> Ways:
    Path(name).write_bytes(content)
    return ways(f"./{name}", ["a"], handlers=Handlers(entries=handlers), **options)  # type: ignore[arg-type]  # as named


def argv(held: Ways) -> list[tuple[str, list[str]]]:
    return [(way.label, list(way.argv)) for way in held.ways]


WITH_LOADER = ape(loaders={machine: elf(machine=machine) for machine in ("x86_64", "aarch64")})


@pytest.mark.parametrize(
    ("content", "handlers", "expected"),
    [
        # nobody takes it
        (b"#!/bin/sh -e\n", [], [("now", ["./file", "a"])]),
        (b"echo text\n", [], [("now", ["/bin/sh", "./file", "a"])]),
        (b"MZ" + bytes(300), [], [("now", ["./file", "a"])]),
        (b"\0\0\0", [], [("now", ["./file", "a"])]),
        # a handler does
        (b"#!/bin/sh -e\n", [HASH], [("now", ["./file", "a"]), ("native", ["/bin/sh", "-e", "./file", "a"])]),
        (b"echo text\n", [WINE], [("now", ["/bin/sh", "./file", "a"])]),
        (b"MZ" + bytes(300), [WINE], [("now", ["./file", "a"])]),
        # an APE whose script leaves the file alone, and no place to write its loader to
        (WITH_LOADER, [], [("now", ["/bin/sh", "./file", "a"])]),
        (WITH_LOADER, [WINE], [("now", ["./file", "a"]), ("native", ["/bin/sh", "./file", "a"])]),
        # one that rewrites itself is not given to a shell
        (ape(), [WINE], [("now", ["./file", "a"])]),
    ],
)
def test_by_what_it_is(content: bytes, handlers: list[Handler], expected: list[tuple[str, list[str]]]) -> None:
    held = found(content, *handlers)
    assert argv(held) == expected
    assert len(held.ways) > 1 or held.notes


def test_the_handler_is_named() -> None:
    now = found(ape(), HASH, WINE).ways[0]
    assert now.handler == "DOSWin"
    assert now.why == "the handler `DOSWin` of binfmt_misc gives it to /usr/bin/wine"
    assert found(ape(), name="x.app", loader="/bin/true").notes[0].startswith("it is not started as it is now")
    assert found(b"text\n", BY_NAME, name="x.app").ways[0].handler == "app"


def test_handlers_that_cannot_be_told_are_a_note() -> None:
    Path("file").write_bytes(b"#!/bin/sh\n")
    held = ways("./file", handlers=Handlers(unknown="they are hidden"))
    assert held.notes[-1] == "which handlers this machine has is not certain: they are hidden"


def test_an_ape_loader_of_this_machine_is_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` proposes to register it; it is no news where it takes the file already, or where another is named."""
    loader = tmp_path / "ape"
    monkeypatch.setattr("runworthy.measuring.ways.APE_LOADER", str(loader))
    assert argv(found(ape(), WINE)) == [("now", ["./file", "a"])]
    loader.touch()
    assert argv(found(ape(), WINE)) == [("now", ["./file", "a"]), ("proposed", [str(loader), "./file", "a"])]
    registered = Handler(name="APE", interpreter=str(loader), magic=b"MZqFpD")
    assert argv(found(ape(), registered, WINE)) == [("now", ["./file", "a"])]
    assert argv(found(ape(), WINE, through=["/bin/true"]))[1:] == [("proposed", ["/bin/true", "./file", "a"])]
    assert argv(found(b"text\n")) == [("now", ["/bin/sh", "./file", "a"])]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="an APE has code for two processors")
@pytest.mark.skipif(sys.platform != "linux", reason="loaders are for Linux")
def test_the_loader_that_an_ape_carries_is_the_native_way(tmp_path: Path) -> None:
    machine = platform.machine()
    loader = Path("/bin/true").read_bytes()  # a program that can be told from others
    (tmp_path / "scratch").mkdir()
    scratch = str(tmp_path / "scratch")
    held = found(ape(loaders={machine: loader}), WINE, scratch=scratch)
    assert argv(held)[1] == ("native", [f"{scratch}/ape", "./file", "a"])
    assert (tmp_path / "scratch" / "ape").read_bytes() == loader
    assert held.ways[1].why.endswith("the handler that `runworthy check` proposes starts it so, too")
    assert subprocess.run([f"{scratch}/ape"], check=False).returncode == 0
    named = found(ape(loaders={machine: loader}), WINE, scratch=scratch, loader="/bin/false")
    assert argv(named)[1] == ("native", ["/bin/false", "./file", "a"])


def test_an_ape_that_would_be_rewritten_is_not_started() -> None:
    with pytest.raises(UsageError, match="would rewrite the file itself") as caught:
        found(ape())
    assert "--loader" in caught.value.hint
    assert argv(found(ape(), loader="/bin/true")) == [("native", ["/bin/true", "./file", "a"])]


ARCH = {"x86_64": "x86_64", "aarch64": "aarch64"}.get(platform.machine(), "")
OTHER = "aarch64" if ARCH == "x86_64" else "x86_64"


@pytest.mark.skipif(not ARCH, reason="writes ELF files for two processors")
def test_an_elf_file_through_its_loader() -> None:
    Path("ld.so").write_bytes(b"MZ a loader")
    own = elf(machine=ARCH, interpreter="./ld.so", needed=["libc.so.6"])
    assert argv(found(own)) == [("now", ["./file", "a"])]
    assert found(own).notes == ("no handler takes it: `now` is native",)
    assert argv(found(own, ELF))[1:] == [("native", ["./ld.so", "./file", "a"])]
    assert "takes its loader" in found(own, ELF, WINE).notes[0]
    assert "not there" in found(elf(machine=ARCH, interpreter="/no/where", needed=["libc.so.6"]), ELF).notes[0]
    other = elf(machine=OTHER, interpreter="./ld.so", needed=["libc.so.6"])
    assert "not for the processor" in found(other, ELF).notes[0]


def test_proposed_ways() -> None:
    one = found(b"#!/bin/sh\n", through=["/bin/sh"])
    assert argv(one)[1:] == [("proposed", ["/bin/sh", "./file", "a"])]
    two = found(b"#!/bin/sh\n", through=["/bin/sh", "sh"])
    assert [label for label, _ in argv(two)] == ["now", "proposed 1", "proposed 2"]
    for option in ({"through": ["./no-such"]}, {"loader": "./no-such"}):
        with pytest.raises(UsageError, match=r"\./no-such: no such program") as caught:
            found(b"#!/bin/sh\n", **option)
        assert caught.value.option == f"--{next(iter(option))}"


def test_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for path in (tmp_path / "bin" / "tool", tmp_path / "bin" / "app", tmp_path / "app"):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    (tmp_path / "bin" / "text").write_text("")
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}/bin")
    assert find_program("tool") == f"{tmp_path}/bin/tool"
    assert find_program("app") == "./app"  # as other commands read the name
    assert find_program("bin/tool") == "bin/tool"
    for name in ("text", "nowhere", "bin/nowhere", ""):
        with pytest.raises(SubjectError):
            find_program(name)


def test_what_cannot_be_read() -> None:
    Path("directory").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        ways("./directory", handlers=NONE)
