"""`runworthy measure` and `runworthy.measure`: the order of runs, the figures, the report, the exit codes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import runworthy
from runworthy.cli import main
from runworthy.model.measurement import Measured, Measurement, Run, Way, spread
from runworthy.report.measure import measure_json, measure_text
from tests.report.test_document import validate

Tell = Callable[..., tuple[int, str, str]]

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="CPU time of all processes is Linux's to tell")


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Tell:
    """The command in a directory of its own: its exit code and streams."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["measure", *arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def script(path: str, text: str, mode: int = 0o755) -> str:
    Path(path).write_text(f"#!/bin/sh\n{text}\n")
    Path(path).chmod(mode)
    return path


# -- runs ------------------------------------------------------------------------------------


def test_ways_take_turns_after_a_run_that_warms_up(tell: Tell) -> None:
    script("app", "echo now >> log")
    for name in ("first", "second"):
        script(name, f"echo {name} >> log")
    code, _, err = tell("--runs", "2", "--through", "./first", "--through", "./second", "--", "./app")
    assert (code, err) == (0, "")
    assert Path("log").read_text().split() == ["now", "first", "second"] * 3


def test_words_after_the_file_are_its_own(tell: Tell) -> None:
    script("app", 'printf "%s|" "$0" "$@" > log')
    assert tell("--runs", "1", "--", "app", "--runs", "--", "-h", "")[0] == 0
    assert Path("log").read_text() == "./app|--runs|--|-h||"


def test_data(tell: Tell) -> None:
    script("app", "echo out; exit 3")
    script("slow", "sleep 0.05; exit 3")
    code, out, err = tell("--runs", "3", "--through", "./slow", "--until-output", "--format", "json", "--", "app", "x")
    document = validate(out, "runworthy.measure-1.json")
    assert (code, err) == (0, "")
    assert (document["command"], document["program"], document["kind"]) == (["app", "x"], "./app", "script")
    now, proposed = document["ways"]
    assert now["argv"] == ["./app", "x"]
    assert proposed["argv"] == ["./slow", "./app", "x"]
    assert now["endings"] == proposed["endings"] == ["ends with 3"]
    for way in document["ways"]:
        times = [run["time"] for run in way["runs"]]
        assert way["time"] == {
            "median": statistics.median(times),
            "least": min(times),
            "most": max(times),
            "n": 3,
        }
        assert way["cpu"]["median"] == pytest.approx(statistics.median(r["user"] + r["system"] for r in way["runs"]))
    assert now["first_output"]["n"] == 3
    assert proposed["first_output"] is None
    (compared,) = document["compared"]
    assert (compared["way"], compared["by"]) == ("now", "proposed")
    assert compared["time"]["ratio"] == pytest.approx(now["time"]["median"] / proposed["time"]["median"])


@ON_LINUX
def test_figures_are_those_of_the_ways(tell: Tell) -> None:
    script("app", "exit 0")
    busy = "import time, sys\nwhile time.process_time() < 0.1: pass\nx = b'a' * (48 << 20)"
    Path("busy").write_text(f"#!{sys.executable} -ISsE\n{busy}\n")
    Path("busy").chmod(0o755)
    code, out, _ = tell("--runs", "2", "--through", "./busy", "--format", "json", "--", "./app")
    now, proposed = json.loads(out)["ways"]
    assert code == 0
    assert proposed["cpu"]["least"] > 0.09 > now["cpu"]["median"]
    assert proposed["memory"]["least"] > 48 << 20 > now["memory"]["most"]
    assert (now["memory_is_bound"], proposed["memory_is_bound"]) == (True, False)
    (compared,) = json.loads(out)["compared"]
    assert compared["cpu"]["clear"]
    assert compared["cpu"]["ratio"] < 0.9


def test_output_is_shown_only_when_it_is_asked_for(tell: Tell) -> None:
    script("app", "echo said; echo cried >&2")
    for options in ((), ("--until-output",)):
        _, out, err = tell("--runs", "1", *options, "--", "./app")
        assert "said" not in out
        assert err == ""
        _, out, err = tell("--runs", "1", "--show-output", *options, "--", "./app")
        assert "said" not in out
        assert err == "said\ncried\n" * 2


def test_a_server_is_measured_to_its_first_output(tell: Tell) -> None:
    script("app", "echo ready; exec sleep 983")
    code, out, _ = tell("--runs", "1", "--until-output", "--timeout", "0.3", "--format", "json", "--", "./app")
    (way,) = json.loads(out)["ways"]
    assert code == 0
    assert way["time"] is None
    assert 0 < way["first_output"]["median"] < 0.3


# -- exit codes ------------------------------------------------------------------------------


def test_other_endings(tell: Tell) -> None:
    script("app", "exit 3")
    code, out, err = tell("--runs", "1", "--through", "/bin/true", "--", "./app")
    assert (code, err) == (1, "")
    assert out.endswith("\nerror: not all runs end the same: `now` ends with 3 and `proposed` ends with 0\n")
    script("app", "kill -SEGV $$")
    assert "`now` is killed by SIGSEGV" in tell("--runs", "1", "--through", "/bin/true", "--", "./app")[1]
    script("app", "test -e here && exit 1; touch here")
    code, out, _ = tell("--runs", "1", "--", "./app")
    assert code == 0  # the run that warms up does not count
    script("app", "test -e there && exit 1; test -e warm && touch there; touch warm")
    code, out, _ = tell("--runs", "2", "--", "./app")
    assert code == 1
    assert "not all runs end the same: `now` ends with 0 or ends with 1" in out


def test_no_start(tell: Tell) -> None:
    script("app", "exit 0", mode=0o644)
    code, out, err = tell("--runs", "2", "--through", "/bin/sh", "--", "./app")
    assert (code, err) == (1, "")
    assert out.endswith("\nerror: `now` does not start: EACCES: Permission denied\n")
    assert "  proposed  " in out


def test_too_long(tell: Tell) -> None:
    script("app", "echo run >> log; exec sleep 982")
    code, out, _ = tell("--runs", "5", "--timeout", "0.2", "--", "./app")
    assert code == 1
    assert out.endswith("\nerror: `now` was ended after 0.2 s\n")
    assert Path("log").read_text() == "run\n"  # what cannot be measured is not tried six times


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("--", "./nowhere"), 3, "error: ./nowhere: no such file"),
        (("--", "no-such-program-anywhere"), 3, "error: no-such-program-anywhere: no such file"),
        (("./app",), 2, "error: the command stands after --"),
        ((), 2, "error: the command stands after --"),
        (("--",), 2, "error: no command stands after --"),
        (("--runs", "0", "--", "./app"), 2, "error: --runs 0 is too few"),
        (("--runs", "x", "--", "./app"), 2, "error: argument --runs: invalid int value"),
        (("--timeout", "0", "--", "./app"), 2, "error: --timeout 0 is no time"),
        (("--timeout", "inf", "--", "./app"), 2, "error: --timeout inf is no time"),
        (("--through", "./nowhere", "--", "./app"), 2, "error: --through ./nowhere: no such program"),
        (("--", "."), 2, "error: ./. cannot be read"),
    ],
)
def test_nothing_to_run(arguments: tuple[str, ...], code: int, error: str, tell: Tell) -> None:
    script("app", "touch log")
    ended = tell(*arguments)
    assert ended[:2] == (code, "")
    assert ended[2].startswith(error)
    assert not Path("log").exists()


def test_a_file_for_the_report(tell: Tell) -> None:
    script("app", "exit 0")
    assert tell("--runs", "1", "-o", "report", "--", "./app") == (0, "", "")
    assert Path("report").read_text().startswith("./app: script, 1 run of each way, after one to warm up\n")


def test_an_interrupt_ends_the_program(tmp_path: Path) -> None:
    import signal
    import time

    started = tmp_path / "started"
    script = f"echo $$ > {started}; exec sleep 981"
    line = f"from runworthy.cli import main\nraise SystemExit(main(['measure', '--', '/bin/sh', '-c', {script!r}]))"
    asking = subprocess.Popen([sys.executable, "-c", line], stderr=subprocess.PIPE)
    until = time.monotonic() + 10
    while not (started.exists() and started.read_text().strip()) and time.monotonic() < until:
        time.sleep(0.01)
    asking.send_signal(signal.SIGINT)
    _, told = asking.communicate(timeout=10)
    assert (asking.returncode, told) == (130, b"interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


# -- the library -----------------------------------------------------------------------------


def test_as_a_function(tell: Tell) -> None:
    script("app", "exit 4")
    told: list[tuple[str, int, int]] = []
    measured = runworthy.measure([Path("app")], runs=2, through=[Path("/bin/sh")], watch=lambda *row: told.append(row))
    assert [one.way.label for one in measured.ways] == ["now", "proposed"]
    assert (measured.exit_code(), measured.ways[0].endings) == (0, (4,))
    assert told == [("measure", at, 6) for at in range(1, 7)]
    assert runworthy.measure("app", runs=1).command == ("app",)


# -- figures and words -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], (3.0, 3.0, 3.0, 1)), ([4.0, 1.0], (2.5, 1.0, 4.0, 2)), ([9.0, 1.0, 2.0], (2.0, 1.0, 9.0, 3))],
)
def test_spread(values: list[float], expected: tuple[float, float, float, int]) -> None:
    held = spread(values)
    assert held
    assert (held.median, held.least, held.most, held.n) == expected
    assert spread([]) is None


def made(label: str, *times: float, memory: int = 100 << 20, bound: bool = False, why: str = "why") -> Measured:
    runs = tuple(Run(time=time, user=time / 2, system=0.0, memory=memory, memory_is_bound=bound) for time in times)
    return Measured(way=Way(label=label, argv=(f"./{label}\x1b", "a b"), why=why), runs=runs)


def measurement(*ways: Measured) -> Measurement:
    return Measurement(
        command=("./app",), program="./app", kind="script", rounds=3, timeout=60.0, until_output=False, ways=ways
    )


def test_text() -> None:
    text = measure_text(
        measurement(
            made("now", 4.0, 4.5, 5.0, memory=3 << 30),
            made("native", 0.04, 0.05, 0.06, memory=5 << 20, bound=True),
            made("proposed", 4.1, 4.4, 4.6),
        )
    )
    assert (
        text
        == """\
./app: script, 3 runs of each way in turn, after one to warm up

            time                      CPU time                  peak memory
  now       4.50 s (4.00 to 5.00)     2.25 s (2.00 to 2.50)     3.00 GiB (3.00 to 3.00)
  native    0.050 s (0.040 to 0.060)  0.025 s (0.020 to 0.030)  at most 5.0 MiB (5.0 to 5.0)
  proposed  4.40 s (4.10 to 4.60)     2.20 s (2.05 to 2.30)     100.0 MiB (100.0 to 100.0)

  now       ./now\\x1b a b
    = why
  native    ./native\\x1b a b
    = why
  proposed  ./proposed\\x1b a b
    = why
  = note: at most: the process that starts it takes as much, and the kernel counts that into the peak of the program

`now` takes 90 x the time, 90 x the CPU time and at least 614 x the memory of `native`
`now` takes 30.7 x the memory of `proposed`
time and CPU time differ no more between `now` and `proposed` than among the runs of one of them
"""
    )


def test_the_slower_way_is_the_one_that_takes_more() -> None:
    text = measure_text(measurement(made("now", 1.0, bound=True, memory=8 << 20), made("proposed", 4.0)))
    told = "`proposed` takes 4 x the time, 4 x the CPU time and at least 12.5 x the memory of `now`\n"
    assert text.endswith(f"\n\n{told}")


def test_large_numbers_are_written_out() -> None:
    assert "`now` takes 1234 x the time and 1234 x the CPU time" in measure_text(
        measurement(made("now", 1234.0), made("native", 1.0))
    )


def test_two_bounds_are_not_compared() -> None:
    ways = (made("now", 1.0, bound=True), made("native", 2.0, bound=True, memory=1 << 20))
    assert "memory of" not in measure_text(measurement(*ways))


def test_every_shape_of_data() -> None:
    late = Run(time=60.0, user=0.0, system=0.0, memory=0, status=None, left=2)
    odd = (
        Measured(way=Way(label="now", argv=("\udcff",), why="w", handler="DOSWin"), runs=(late,)),
        Measured(way=Way(label="native", argv=("x",), why="w"), problem="ENOENT: No such file or directory"),
    )
    document = validate(measure_json(measurement(*odd)), "runworthy.measure-1.json")
    assert document["ways"][0]["argv"] == ["\\xff"]
    assert (document["ends_alike"], document["compared"]) == (False, [])
    alike = measurement(made("now", 1.0), made("native", 1.0))
    assert validate(measure_json(alike), "runworthy.measure-1.json")["ends_alike"]
