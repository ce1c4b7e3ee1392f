"""`import runworthy`: the commands as functions, the same answers, and errors for people."""

from __future__ import annotations

import doctest
import inspect
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

import runworthy
from runworthy import library
from runworthy.cli import main
from runworthy.cli.commands import find
from runworthy.cli.parser import VARIABLE_PREFIX
from runworthy.targets.catalogue import pack
from tests.test_project import modules_loaded_by
from tests.world import make

# What the command line adds to the call: how the report looks, where it goes, what it ends with.
OF_THE_COMMAND_LINE = {
    "--export",
    *("--config", "--no-config", "--max-fails", "--max-unknown", "--max-risky", "--show-waived"),
    *("--help", "--format", "--output-file", "--fail-on", "--strict", "--color", "--quiet", "--verbose"),
}
# What a caller of the function can say and a person cannot: what to keep in memory, whom to tell.
OF_THE_FUNCTION = {"steps", "watch", "waivers", "today"}
FUNCTIONS = {name: held for name in library.__all__ if inspect.isfunction(held := getattr(library, name))}


@pytest.fixture(autouse=True)
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make(tmp_path))


def verdicts(report: runworthy.Report) -> list[str]:
    return [result.verdict for result in report.results]


# -- the package -----------------------------------------------------------------------------


def test_import_loads_nothing_else() -> None:
    assert modules_loaded_by("import runworthy") == {"runworthy"}
    assert modules_loaded_by("import runworthy; runworthy.__version__, hasattr(runworthy, '__wrapped__')") == {
        "runworthy"
    }


def test_a_check_loads_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion, manual, variables, pages and comparisons cost a plain check nothing, nor does the library."""
    for name in [name for name in os.environ if name.startswith(VARIABLE_PREFIX)]:
        monkeypatch.delenv(name)  # no variable, no table of variables
    check = ["check", "app", "--on", "debian:12", "-q", "--no-cache"]
    loaded = modules_loaded_by(f"from runworthy.cli import main; main({check})")
    assert "runworthy.library" in loaded
    assert not loaded & {f"runworthy.cli.{name}" for name in ("completion", "environment", "manual", "words")}
    assert not loaded & {f"runworthy.model.{name}" for name in ("difference", "floor", "target_difference")}
    assert not loaded & {"runworthy.report.page", "runworthy.report.target", "textwrap", "difflib"}


@pytest.mark.parametrize("target", ["debian:12", "host"])
def test_what_a_program_that_the_kernel_takes_has_no_use_for_is_not_loaded(target: str) -> None:
    """Handlers, scripts, APE, remedies: a plain ELF program that no handler takes does not wait for them."""
    check = ["check", sys.executable, "--on", target, "-q", "--no-cache"]
    loaded = modules_loaded_by(f"from runworthy.cli import main; main({check})")
    assert "runworthy.simulate.kernel" in loaded
    late = ("formats.identify", "formats.script", "simulate.start", "simulate.execve", "remedies", "targets.edits")
    assert not loaded & {f"runworthy.{name}" for name in (*late, "targets.binfmt.boot", "model.edit", "measuring")}
    assert not loaded & {"json", "subprocess", "dataclasses", "socket"}


def test_every_public_name_is_there() -> None:
    held: dict[str, object] = {}
    exec("from runworthy import *", held)  # noqa: S102 - the statement is what is tested
    assert set(runworthy.__all__) == set(held) - {"__builtins__"}
    assert set(runworthy.__all__) <= set(dir(runworthy))
    assert all(getattr(runworthy, name) is getattr(library, name) for name in runworthy.__all__)
    assert list(runworthy.__all__) == sorted(
        runworthy.__all__, key=lambda name: (not name.isupper(), name.islower(), name)
    )


def test_what_is_not_public() -> None:
    for name in ("target_names", "_split", "nonsense"):
        with pytest.raises(AttributeError, match=f"module 'runworthy' has no attribute '{name}'"):
            getattr(runworthy, name)


@pytest.mark.parametrize("module", sorted({"runworthy", *(function.__module__ for function in FUNCTIONS.values())}))
def test_examples_of_the_docstrings(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # no other test has changed anything in it
    tests = doctest.DocTestFinder().find(sys.modules[module], globs={})
    assert sum(len(test.examples) for test in tests) > 2
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0


def test_functions_have_an_example_each() -> None:
    assert "check" in FUNCTIONS
    lacking = [name for name, function in FUNCTIONS.items() if f"runworthy.{name}(" not in (function.__doc__ or "")]
    assert not lacking


# -- the same as the command line ------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "function", "given"),
    [
        ("check", runworthy.check, {"subjects"}),
        ("floor", runworthy.floor, {"subjects"}),
        ("diff", runworthy.diff, {"old", "new"}),
        ("measure", runworthy.measure, {"command"}),
    ],
)
def test_a_function_takes_what_its_command_takes(
    command: str, function: Callable[..., object], given: set[str]
) -> None:
    actions = find(command).parser().declared()
    flags = {flag for action in actions for flag in action.option_strings if flag.startswith("--")}
    named = {flag[2:].replace("-", "_") for flag in flags - OF_THE_COMMAND_LINE}
    wanted = {"with_" if name == "with" else "cache" if name == "no_cache" else name for name in named}
    assert wanted | given == set(inspect.signature(function).parameters) - OF_THE_FUNCTION


@pytest.mark.parametrize(
    ("arguments", "report"),
    [
        (["app", "--on", "ubuntu:20.04,alpine:3.20"], lambda: runworthy.check("app", ["ubuntu:20.04", "alpine:3.20"])),
        (
            ["server", "--on", "debian:12/amd64", "--env", "LD_LIBRARY_PATH=/x", "--cwd", "/tmp", "--trace"],  # noqa: S108 - a path of the target
            lambda: runworthy.check(
                "server", "debian:12/amd64", env={"LD_LIBRARY_PATH": "/x"}, cwd="/tmp", trace=True  # noqa: S108 - likewise
            ),
        ),
        (
            ["server", "--on", "ubuntu:22.04", "--with", "libgreeting.so.1", "--cpu", "v3", "--page-size", "4k"],
            lambda: runworthy.check("server", "ubuntu:22.04", with_=Path("libgreeting.so.1"), cpu="v3", page_size=4096),
        ),
        (
            ["server", "--on", "ubuntu:22.04", "--assume-present", "all", "--kernel", "5.10", "--platform", "amd64"],
            lambda: runworthy.check(
                "server", "ubuntu:22.04", assume_present="all", kernel="5.10", platform="linux/amd64"
            ),
        ),
        (
            ["libgreeting.so.1", "--on", "debian:12", "--loaded-by", "/bin/ls", "--secure", "--until", "load"],
            lambda: runworthy.check("libgreeting.so.1", "debian:12", loaded_by="/bin/ls", secure=True, until="load"),
        ),
        (["app", "--on", "debian:12", "--at", "/opt/app"], lambda: runworthy.check("app", "debian:12", at="/opt/app")),
        (["."], lambda: runworthy.check(".")),
    ],
)  # fmt: skip
def test_the_answers_are_the_same(
    arguments: list[str], report: Callable[[], runworthy.Report], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", *arguments, "--format", "json", "--no-cache"])
    told = runworthy.render(report(), "json", trace="--trace" in arguments)
    assert json.loads(capsys.readouterr().out) == json.loads(told)


def test_no_variable_stands_for_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = runworthy.check("app", on="debian:12")
    for name, value in (("RUNWORTHY_ON", "alpine:3.20"), ("RUNWORTHY_CPU", "i9"), ("RUNWORTHY_PLATFORM", "arm64")):
        monkeypatch.setenv(name, value)
    assert runworthy.check("app", on="debian:12") == usual


def test_text_is_rendered_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "app", "--on", "alpine:3.20", "--color", "never"])
    assert runworthy.render(runworthy.check("app", on="alpine:3.20")) == capsys.readouterr().out


# -- what is given ---------------------------------------------------------------------------


def test_paths_of_every_kind(tmp_path: Path) -> None:
    def generated() -> Iterator[str]:
        yield "app"
        yield "app"

    for subjects in ("app", Path("app"), ["app"], (Path("app"), "app"), generated()):
        assert verdicts(runworthy.check(subjects, on="debian:12")) == ["runs"]
    for root in (tmp_path / "rootfs", "./rootfs", "rootfs:rootfs"):
        assert verdicts(runworthy.check("app", on=root)) == ["fails"]


def test_results_are_frozen() -> None:
    result = runworthy.check("app", on="debian:12").results[0]
    with pytest.raises(FrozenInstanceError):
        result.verdict = "fails"  # type: ignore[misc]  # the types say so too


def test_inspect_reads_symbols_at_once() -> None:
    data = Path("app").read_bytes()
    Path("cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(runworthy.FormatError) as caught:
        runworthy.inspect("cut")
    assert caught.value.path == "cut"
    with pytest.raises(FileNotFoundError):
        runworthy.inspect("nowhere")


# -- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "option"),
    [
        ({"on": "ubunto:22.04"}, runworthy.TargetError, ""),
        ({"cpu": "i9"}, runworthy.UsageError, "--cpu"),
        ({"kernel": "new"}, runworthy.UsageError, "--kernel"),
        ({"page_size": 5000}, runworthy.UsageError, "--page-size"),
        ({"platform": "vax"}, runworthy.UsageError, "--platform"),
        ({"env": {"USER": "me"}}, runworthy.UsageError, "--env"),
        ({"at": "app"}, runworthy.UsageError, "--at"),
        ({"cwd": "a/.."}, runworthy.UsageError, "--cwd"),
        ({"until": "never"}, runworthy.UsageError, "--until"),
        ({"assume_present": ""}, runworthy.UsageError, "--assume-present"),
        ({"with_": "notes.txt"}, runworthy.UsageError, ""),
    ],
)
def test_usage_errors(arguments: dict[str, str], error: type[runworthy.UsageError], option: str) -> None:
    with pytest.raises(error) as caught:
        runworthy.check("app", **{"on": "debian:12", **arguments})  # type: ignore[arg-type]  # wrong values are the point
    assert caught.value.hint
    assert caught.value.option == option
    assert isinstance(caught.value, runworthy.RunworthyError)


def test_nothing_there() -> None:
    with pytest.raises(runworthy.SubjectError, match="nowhere: no such file; nor/here: no such file") as caught:
        runworthy.check(["nowhere", Path("nor/here")], on="debian:12")
    assert caught.value.names == ("nowhere", "nor/here")
    assert verdicts(runworthy.check(["nowhere", "app"], on="debian:12")) == ["unknown", "runs"]


def test_unknown_words() -> None:
    with pytest.raises(runworthy.UsageError, match="RW999"):
        runworthy.explain("RW999")
    with pytest.raises(runworthy.UsageError, match="xml"):
        runworthy.render(runworthy.check("app", on="debian:12"), "xml")  # type: ignore[arg-type]  # likewise
    assert runworthy.list_targets("debian", "musl") == ()


# -- threads ---------------------------------------------------------------------------------


def test_threads_get_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue is what threads share: its blocks come and go while others read them."""
    monkeypatch.setattr(pack, "_BLOCKS_HELD", 2)
    names = sorted({target.name for target in runworthy.list_targets("x86_64")})[::6]
    alone = [runworthy.check("app", on=name) for name in names]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(lambda name: runworthy.check("app", on=name), names * 3))
    finally:
        sys.setswitchinterval(interval)
    assert together == alone * 3


def test_a_root_out_of_a_stream_is_the_root_in_its_directory(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(tmp_path / "rootfs", ".")
    packed.seek(0)
    directory, stream = tmp_path / "directory.runworthy", tmp_path / "stream.runworthy"
    made = runworthy.snapshot(tmp_path / "rootfs", directory)
    received = runworthy.snapshot(packed, stream)
    assert (received.entries, received.elf_files) == (made.entries, made.elf_files)
    reports = [runworthy.check("app", on=str(path), trace=True).results[0] for path in (directory, stream)]
    assert reports[0].trace.stretches[0].steps == reports[1].trace.stretches[0].steps
