"""The project's file on the command line: what it decides, what decides over it, and how that is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.report.test_document import validate

FILE = """\
subjects = ["app", "ser*r"]
on = "@production"

[targets]
production = ["ubuntu:20.04", "debian:12"]
"""
WAIVER = """
[[waiver]]
code = "RW301"
subject = "app"
target = "@production"
reason = "the last machine with it goes in March"
expires = "never"
"""


def write(world: Path, text: str = FILE, name: str = "runworthy.toml") -> None:
    (world / name).parent.mkdir(parents=True, exist_ok=True)
    (world / name).write_text(text)


def test_without_arguments_it_does_what_the_file_says(runworthy: Run, world: Path) -> None:
    write(world)
    ended = runworthy("check", "-q")
    assert ended.out == (
        "app on ubuntu:20.04: ✗ fails at version\n"
        "app on debian:12: ✓ runs\n"
        "server on ubuntu:20.04: ✗ fails at version\n"
        "server on debian:12: ✗ fails at load\n"
    )
    assert (ended.code, ended.err) == (1, "")


def test_in_pyproject_it_says_the_same(runworthy: Run, world: Path) -> None:
    write(world)
    ended = runworthy("check")
    (world / "runworthy.toml").unlink()
    write(world, f"[tool.runworthy]\n{FILE.replace('[targets]', '[tool.runworthy.targets]')}", "pyproject.toml")
    assert runworthy("check") == ended


def test_from_below_paths_are_those_of_the_file(runworthy: Run, world: Path) -> None:
    write(world, 'subjects = "app"\non = ["./rootfs", "rootfs:rootfs"]\nwith = "libgreeting.so.1"\n')
    (world / "deep" / "er").mkdir(parents=True)
    ended = runworthy("check", "-q")
    assert ended.out == "app on ./rootfs: ✗ fails at exec\napp on rootfs:rootfs: ✗ fails at exec\n"
    below = runworthy("check", "-q", cwd=world / "deep" / "er")
    assert below.out == (
        "../../app on ../../rootfs: ✗ fails at exec\n../../app on rootfs:../../rootfs: ✗ fails at exec\n"
    )
    assert (ended.code, ended.err) == (below.code, below.err) == (1, "")
    beside = runworthy("check", "-q", "--config", f"{world.name}/runworthy.toml", cwd=world.parent)
    assert beside.out.splitlines()[0] == f"{world.name}/app on ./{world.name}/rootfs: ✗ fails at exec"


@pytest.mark.parametrize(
    ("given", "environment", "targets"),
    [
        ([], {}, ["ubuntu:20.04", "debian:12"]),
        ([], {"RUNWORTHY_ON": "alpine:3.20"}, ["alpine:3.20"]),
        ([], {"RUNWORTHY_ON": "@old,alpine:3.20"}, ["debian:11", "alpine:3.20"]),
        (["--on", "fedora:40"], {"RUNWORTHY_ON": "alpine:3.20"}, ["fedora:40"]),
        (["--on", "@old", "--on", "@production"], {}, ["debian:11", "ubuntu:20.04", "debian:12"]),
        (["--no-config", "--on", "fedora:40"], {}, ["fedora:40"]),
        (["--on", "fedora:40"], {"RUNWORTHY_NO_CONFIG": "1"}, ["fedora:40"]),
        (["--config", "other.toml"], {}, ["debian:13"]),
        ([], {"RUNWORTHY_CONFIG": "other.toml"}, ["debian:13"]),
        (["--config", "runworthy.toml"], {"RUNWORTHY_CONFIG": "other.toml"}, ["ubuntu:20.04", "debian:12"]),
        (["--config", "other.toml"], {"RUNWORTHY_NO_CONFIG": "1"}, ["debian:13"]),
        (["--no-config", "--on", "fedora:40"], {"RUNWORTHY_CONFIG": "other.toml"}, ["fedora:40"]),
    ],
)
def test_who_decides(
    runworthy: Run, world: Path, given: list[str], environment: dict[str, str], targets: list[str]
) -> None:
    write(world, f"{FILE}old = 'debian:11'\n")
    write(world, "on = 'debian:13'\n", "other.toml")
    ended = runworthy("check", "app", "-q", *given, **environment)
    assert [line.removeprefix("app on ").rpartition(": ")[0] for line in ended.out.splitlines()] == targets


@pytest.mark.parametrize(
    ("file", "given", "environment", "code"),
    [
        ("strict = true", [], {}, 1),
        ("strict = true", [], {"RUNWORTHY_STRICT": "0"}, 4),
        ("strict = false", [], {}, 4),
        ("strict = false", ["--strict"], {}, 1),
        ("strict = false", [], {"RUNWORTHY_STRICT": "1"}, 1),
        ("max-unknown = 1", [], {}, 0),
        ("max-unknown = 1", ["--max-unknown", "0"], {}, 4),
        ("max-unknown = 0", [], {"RUNWORTHY_MAX_UNKNOWN": "1"}, 0),
        ("assume-present = 'libgreeting.so.1'", [], {}, 0),
        ("assume-present = 'libx.so'", ["--assume-present", "libgreeting.so.1"], {}, 0),
        ("env = { LD_LIBRARY_PATH = '/x' }\nsecure = true\ncaller = ['python', 'shell']\ncwd = '/'", [], {}, 4),
        ("until = 'exec'", [], {}, 0),
        ("until = 'exec'", ["--until", "load"], {}, 4),
    ],
)
def test_every_source_for_the_exit_code(
    runworthy: Run, world: Path, file: str, given: list[str], environment: dict[str, str], *, code: int
) -> None:
    write(world, f"{file}\nsubjects = 'server'\non = 'ubuntu:22.04'\n")
    assert runworthy("check", *given, **environment).code == code


def test_subjects_with_options_of_their_own(runworthy: Run, world: Path) -> None:
    write(
        world,
        "subjects = 'app'\non = 'debian:12'\nkernel = '5.10'\n"
        "[[check]]\nsubjects = ['clien?']\non = 'alpine:3.20'\n"
        "[[check]]\nsubjects = 'server'\nwith = 'libgreeting.so.1'\n",
    )
    told = [
        "app on debian:12: ✓ runs",
        "client on alpine:3.20: ✓ runs",
        "server on debian:12: ✓ runs",
    ]
    ended = runworthy("check", "-q")
    assert ended.out.splitlines() == told
    assert runworthy("check", "-q", "client", "server", "app").out.splitlines() == [told[1], told[2], told[0]]
    assert runworthy("check", "-q", "--on", "fedora:40", "client").out == "client on fedora:40: ✗ fails at exec\n"


def test_a_table_for_a_report_with_different_targets(runworthy: Run, world: Path) -> None:
    write(
        world, "subjects = 'app'\non = ['debian:12', 'fedora:40']\n[[check]]\nsubjects = 'client'\non = 'alpine:3.20'\n"
    )
    assert runworthy("check").out == (
        "app\n"
        "  debian:12  ✓ runs  glibc 2.36\n"
        "  fedora:40  ✓ runs  glibc 2.39\n"
        "client\n"
        "  alpine:3.20  ✓ runs  musl 1.2.5\n"
        "\n"
        "checked 2 subjects on 3 targets: 3 run\n"
        "debian:12, fedora:40 and alpine:3.20 taken as x86_64, like the subjects; "
        "NAME/ARCH or --platform says otherwise\n"
    )


def test_what_is_waived_is_told_and_does_not_count(runworthy: Run, world: Path) -> None:
    write(world, FILE.replace(', "ser*r"', "") + WAIVER)
    ended = runworthy("check")
    assert ended.out == (
        "app\n"
        "  ubuntu:20.04  ✗ fails at version, waived  glibc 2.31\n"
        "  debian:12     ✓ runs                      glibc 2.36\n"
        "\n"
        "checked 1 subject on 2 targets: 1 fail (1 waived), 1 run\n"
        "ubuntu:20.04 and debian:12 taken as x86_64, like the subject; NAME/ARCH or --platform says otherwise\n"
        "1 finding waived; --show-waived tells them\n"
    )
    assert (ended.code, ended.err) == (0, "")
    shown = runworthy("check", "--show-waived").out
    assert shown == ended.out.replace("; --show-waived tells them", "").replace(
        "\nchecked",
        "\n"
        "error[RW301], waived: `app` needs GLIBC_2.34, ubuntu:20.04 has glibc 2.31\n"
        "  --> app .gnu.version_r\n"
        "   | GLIBC_2.34  __libc_start_main and dlopen  in ubuntu:22.04, debian:12, rhel:9, fedora:39 and later\n"
        "   = waived: the last machine with it goes in March; runworthy.toml line 7\n"
        "help: run it on ubuntu:22.04 or later  (manual)\n"
        "help: build it against glibc 2.31 or older, as `manylinux_2_28` has  (manual)\n"
        "\nchecked",
    )
    assert "waived: the last machine" in runworthy("check", "-v").out


def test_json_tells_what_is_waived(runworthy: Run, world: Path) -> None:
    write(world, FILE.replace(', "ser*r"', "") + WAIVER + WAIVER.replace("RW301", "RW202"))
    document = validate(runworthy("check", "--format", "json").out)
    first, second, about = document["results"]
    assert (first["verdict"], first["counted"]) == ("fails", "runs")
    assert "counted" not in second
    (found,) = first["findings"]
    assert (found["waived"], found["waived_until"]) == ("the last machine with it goes in March", "never")
    assert (about["subject"], about["target"], about["verdict"]) == ("runworthy.toml", None, "risky")
    assert [one["code"] for one in about["findings"]] == ["RW602"]
    summary = document["summary"]
    assert (summary["waived"], summary["findings"]) == (1, {"error": 0, "warning": 1, "note": 0})
    assert [cause["code"] for cause in summary["causes"]] == ["RW602"]
    assert summary["targets"] == 2


def test_waivers_of_a_directory(runworthy: Run, world: Path) -> None:
    write(world, 'subjects = "viewer"\non = "alpine:3.20"\n' + WAIVER.replace("RW301", "RW201")
          .replace('"app"', '"viewer/**"').replace("@production", "alpine:*"))  # fmt: skip
    ended = runworthy("check")
    lines = ended.out.splitlines()
    assert "waived; --show-waived tells them" in ended.out
    assert any(
        line.startswith("error[RW201], waived: ") for line in runworthy("check", "--show-waived").out.splitlines()
    )
    assert not any("RW201" in line for line in lines)


def test_verbose_says_what_came_from_where(runworthy: Run, world: Path) -> None:
    write(world, f"cpu = 'x86-64-v3'\nstrict = true\n{FILE}")
    write(world, "[tool.runworthy]\n", "pyproject.toml")
    ended = runworthy("check", "app", "-v", "--kernel", "5.10", RUNWORTHY_CPU="x86-64-v2")
    assert ended.err == (
        "note: pyproject.toml is not read: runworthy.toml beside it is\n"
        "--cpu x86-64-v2 is taken from RUNWORTHY_CPU\n"
        "--on @production is taken from runworthy.toml line 4\n"
        "--strict is taken from runworthy.toml line 2\n"
    )


@pytest.mark.parametrize(
    ("file", "given", "told"),
    [
        ("cpu = 'i9'", [], ["error: --cpu i9 is no CPU level", "note: --cpu is taken from runworthy.toml line 1"]),
        ("\non = 'debain:12'", [],
         ["error: there is no target 'debain:12'", "note: --on is taken from runworthy.toml line 2"]),
        (
            "on = '@prod'\n[targets]\nproduction = 'x'",
            [],
            [
                "error: @prod is no set of targets",
                "note: --on is taken from runworthy.toml line 1",
                "note: runworthy.toml has the sets @production",
            ],
        ),
        ("[targets]\na = '@b'\nb = ['x', '@a']", ["--on", "@a"],
         ["error: a set of targets contains itself: @a, which contains @b, which contains @a"]),
        ("[[check]]\nsubjects = 'app'\nkernel = 'new'", ["--on", "debian:12"],
         ["error: --kernel new is no kernel release", "note: --kernel is taken from runworthy.toml line 3"]),
        ("caller = 'nobody'", ["--on", "debian:12"], ["error: --caller nobody is not known"]),
        ("env = { USER = 'me' }", ["--on", "debian:12"], ["error: --env USER is not modelled"]),
        ("onn = 'x'", [], ["error: runworthy.toml line 1: there is no key `onn`", "hint: did you mean `on`?"]),
        ("on = \n", [], ["error: runworthy.toml: Invalid value (at line 1, column 6)"]),
        ("", ["--config", "runworthy.toml", "--no-config"], ["error: --config and --no-config are given both"]),
        ("", ["--config", "nowhere.toml"], ["error: nowhere.toml: No such file or directory"]),
        ("", ["--max-risky", "-1"], ["error: --max-risky -1 is no number"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(
    runworthy: Run, world: Path, file: str, given: list[str], told: list[str]
) -> None:
    write(world, file)
    ended = runworthy("check", "app", *given)
    assert (ended.code, ended.out) == (2, "")
    lines = ended.err.splitlines()
    for line in told:
        assert any(one.startswith(line) for one in lines), ended.err


@pytest.mark.parametrize(
    ("file", "code", "told"),
    [
        (None, 2, "error: no FILE is named, and no project's file is here or above\n"),
        ("on = 'debian:12'", 2, "error: runworthy.toml names no subjects\n"),
        ("subjects = 'nowhere'\non = 'debian:12'", 3, "error: nowhere: no such file\n"),
        ("subjects = 'dist/*.whl'", 3, "error: dist/*.whl: no such file\n"),
        ("subjects = ['app', 'nowhere']\non = 'debian:12'", 4, ""),
        ("subjects = ['app', 'dist/*.whl']\non = 'debian:12'", 4, ""),
        ("subjects = 'app'\non = 'debian:12'\n[[check]]\nsubjects = 'nowhere'", 4, ""),
    ],
)
def test_what_is_not_there(runworthy: Run, world: Path, file: str | None, code: int, told: str) -> None:
    (world / ".git").mkdir()
    if file is not None:
        write(world, file)
    ended = runworthy("check")
    assert (ended.code, ended.err.partition("hint")[0]) == (code, told)


def test_floor_takes_its_gates_and_subjects(runworthy: Run, world: Path) -> None:
    write(world, "subjects = ['app', 'app-1.0']\n[floor]\nmax-glibc = '2.28'\n")
    ended = runworthy("floor", "-q")
    assert ended.code == 1
    assert "the gate is at glibc 2.28" in ended.out
    assert runworthy("floor", "-q", "--max-glibc", "2.35").code == 0
    assert runworthy("floor", "-q", "app-1.0").code == 0
    write(world, "[floor]\nmax-glibc = 'new'\n")
    ended = runworthy("floor", "app")
    assert ended.code == 2
    assert "note: --max-glibc is taken from runworthy.toml line 2" in ended.err


@pytest.mark.parametrize("command", [["diff", "app-1.0", "app"], ["fix", "app"]])
def test_every_command_knows_the_sets(runworthy: Run, world: Path, command: list[str]) -> None:
    write(world)
    ended = runworthy(*command, "--on", "@production", "--format", "json")
    assert ended.code == 1
    text = json.dumps(json.loads(ended.out))
    assert all(f'"{name}"' in text for name in ("ubuntu:20.04", "debian:12"))
    assert "@nothing is no set of targets" in runworthy(*command, "--on", "@nothing").err


def test_other_commands_do_not_read_the_file(runworthy: Run, world: Path) -> None:
    write(world, "broken")
    assert runworthy("check", "app").code == 2
    assert runworthy("check", "app", "--no-config", "--on", "debian:12").code == 0
    assert runworthy("diff", "app-1.0", "app-1.0", "--on", "debian:12").code == 0
    assert runworthy("inspect", "app").code == 0


def test_config_tells_what_the_file_says(runworthy: Run, world: Path) -> None:
    write(world, f"kernel = '5.10'\nmax-risky = 3\n{FILE}[[check]]\nsubjects = 'client'\non = 'alpine:3.20'\n"
                 f"until = 'load'\n{WAIVER}[floor]\nmax-glibc = '2.28'\n")  # fmt: skip
    assert (
        runworthy("config").out
        == """\
runworthy.toml

options
  kernel  5.10         line 1
  on      @production  line 4

exit code
  max-risky  3  line 2

floor
  max-glibc  2.28  line 20

sets
  @production  ubuntu:20.04, debian:12  line 7

check
  subjects  app and server              line 3
  on        ubuntu:20.04 and debian:12

check
  subjects  client       line 9
  on        alpine:3.20
  until     load         line 11

waivers
  RW301  the last machine with it goes in March; expires never  line 13
"""
    )
    assert json.loads(runworthy("config", "--schema").out)["title"] == "runworthy.toml"
    (world / ".git").mkdir()
    (world / "runworthy.toml").unlink()
    assert runworthy("config").code == 2


@pytest.mark.parametrize("file", [None, "[project]\nname = 'x'\n"])
def test_a_start_without_a_file_parses_none(runworthy: Run, world: Path, file: str | None) -> None:
    (world / ".git").mkdir()
    if file:
        write(world, file, "pyproject.toml")
    ended = runworthy("check", "app", "-q", "--on", "debian:12", PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 0
    loaded = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
    assert "runworthy.configuration.finding" in loaded
    assert not {"tomllib", "datetime", "runworthy.configuration.reading"} & loaded
