"""Variables that stand for options: after the command line, before the defaults, and never in silence."""

from __future__ import annotations

import json
import re

import pytest

from runworthy.cli import main
from runworthy.cli.commands import COMMANDS, Command, walk
from runworthy.cli.environment import VARIABLES
from tests.cli.conftest import Run

ON = {"RUNWORTHY_ON": "ubuntu:22.04,ubuntu:20.04"}
# What each variable can hold that is not the default, and what the command then holds; a new one needs a row here.
HELD = {
    "RUNWORTHY_ON": ("debian:12", ["debian:12"]),
    "RUNWORTHY_PLATFORM": ("linux/arm64", "linux/arm64"),
    "RUNWORTHY_CPU": ("x86-64-v3", "x86-64-v3"),
    "RUNWORTHY_PAGE_SIZE": ("64k", "64k"),
    "RUNWORTHY_KERNEL": ("5.10", "5.10"),
    "RUNWORTHY_CONFIG": ("x.toml", "x.toml"),
    "RUNWORTHY_NO_CONFIG": ("1", True),  # so that the other is not read
    "RUNWORTHY_FORMAT": ("json", "json"),
    "RUNWORTHY_FAIL_ON": ("risky", "risky"),
    "RUNWORTHY_STRICT": ("1", True),
    "RUNWORTHY_MAX_FAILS": ("2", 2),
    "RUNWORTHY_MAX_UNKNOWN": ("2", 2),
    "RUNWORTHY_MAX_RISKY": ("2", 2),
    "RUNWORTHY_COLOR": ("never", "never"),
    "RUNWORTHY_JOBS": ("3", 3),
    "RUNWORTHY_NO_CACHE": ("1", True),
}
STANDING = [variable for variable in VARIABLES if variable.option]


def flags_of(command: Command) -> set[str]:
    return {flag for action in command.parser().declared() for flag in action.option_strings}


def test_on(runworthy: Run) -> None:
    ended = runworthy("check", "app", "-q", **ON)
    assert ended.out == "app on ubuntu:22.04: ✓ runs\napp on ubuntu:20.04: ✗ fails at version\n"
    assert (ended.code, ended.err) == (1, "")


def test_the_command_line_decides(runworthy: Run) -> None:
    assert runworthy("check", "app", "-q", "--on", "debian:12", **ON).out == "app on debian:12: ✓ runs\n"
    assert runworthy("check", "app", "--on", "debian:12", "--format", "text", RUNWORTHY_FORMAT="json").out[:1] == "✓"


def test_an_empty_one_says_nothing(runworthy: Run) -> None:
    usual = runworthy("check", "app", "--on", "debian:12")
    assert runworthy("check", "app", "--on", "debian:12", **dict.fromkeys(HELD, "")) == usual


def test_format_applies_to_every_command_that_has_it(runworthy: Run) -> None:
    assert json.loads(runworthy("check", "app", RUNWORTHY_FORMAT="json", **ON).out)["schema"] == "runworthy.report/1"
    assert json.loads(runworthy("inspect", "app", RUNWORTHY_FORMAT="json").out)["schema"] == "runworthy.facts/1"


@pytest.mark.parametrize(("value", "code"), [("1", 1), ("yes", 1), ("TRUE", 1), ("0", 4), ("no", 4)])
def test_switch(runworthy: Run, value: str, code: int) -> None:
    assert runworthy("check", "server", "--on", "ubuntu:22.04", RUNWORTHY_STRICT=value).code == code


def test_verbose_says_what_came_from_where(runworthy: Run) -> None:
    ended = runworthy("check", "app", "-v", "--kernel", "5.10", RUNWORTHY_KERNEL="4.1", RUNWORTHY_CPU="v3", **ON)
    assert ended.err == (
        "--on ubuntu:22.04,ubuntu:20.04 is taken from RUNWORTHY_ON\n"
        "--cpu v3 is taken from RUNWORTHY_CPU\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("RUNWORTHY_ON", "ubunto:22.04", "error: there is no target 'ubunto:22.04' in the catalogue"),
        ("RUNWORTHY_PLATFORM", "vax", "error: --platform vax is not known"),
        ("RUNWORTHY_CPU", "i9", "error: --cpu i9 is no CPU level of x86_64"),
        ("RUNWORTHY_PAGE_SIZE", "5k", "error: --page-size 5k is no page size"),
        ("RUNWORTHY_KERNEL", "new", "error: --kernel new is no kernel release"),
        ("RUNWORTHY_FORMAT", "xml", "error: RUNWORTHY_FORMAT=xml: invalid choice"),
        ("RUNWORTHY_FAIL_ON", "all", "error: RUNWORTHY_FAIL_ON=all: invalid choice"),
        ("RUNWORTHY_STRICT", "maybe", "error: RUNWORTHY_STRICT=maybe is neither yes nor no"),
        ("RUNWORTHY_COLOR", "blue", "error: RUNWORTHY_COLOR=blue: invalid choice"),
    ],
)
def test_a_bad_value_is_blamed_on_the_variable(runworthy: Run, name: str, value: str, error: str) -> None:
    ended = runworthy("check", "app", **{"RUNWORTHY_ON": "ubuntu:22.04", name: value})
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(error)
    assert name in ended.err
    stated = {"RUNWORTHY_ON": ("--on", "ubuntu:22.04"), "RUNWORTHY_STRICT": ("--strict",)}
    if name in stated:  # what is not used cannot be wrong
        assert runworthy("check", "app", *stated[name], **{"RUNWORTHY_ON": "debian:12", name: value}).code == 0


def test_an_error_on_the_command_line_is_not_blamed_on_a_variable(runworthy: Run) -> None:
    ended = runworthy("check", "app", "--cpu", "i9", RUNWORTHY_CPU="v3", **ON)
    assert ended.err.startswith("error: --cpu i9 is no CPU level of x86_64\nhint: ")


@pytest.mark.parametrize("command", [*walk(COMMANDS)], ids=lambda command: command.name)
def test_every_variable_stands_for_its_option_of_every_command(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in STANDING:
        monkeypatch.setenv(variable.name, HELD[variable.name][0])
    parser = command.parser()
    needed = ["x" for action in parser.declared() if not action.option_strings and action.nargs in (None, "+")]
    if any(action.choices for action in parser.declared() if not action.option_strings):
        needed = ["bash"]
    options, decided = parser.parse(needed)
    assert set(decided) == {variable.option for variable in STANDING} & flags_of(command)
    for option, name in decided.items():
        assert vars(options)[option[2:].replace("-", "_")] == HELD[name][1]


@pytest.mark.parametrize("command", [*walk(COMMANDS)], ids=lambda command: command.name)
def test_help_names_them(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.name.split(), "--help"]) == 0
    named = re.findall(r"RUNWORTHY_[A-Z_]+", capsys.readouterr().out.partition("\nenvironment: ")[2])
    assert set(named) == {variable.name for variable in STANDING if variable.option in flags_of(command)}


def test_the_table_is_in_order() -> None:
    assert all(row.option == "--" + row.name.removeprefix("RUNWORTHY_").lower().replace("_", "-") for row in STANDING)
    assert {row.option for row in STANDING} <= {flag for command in walk(COMMANDS) for flag in flags_of(command)}
