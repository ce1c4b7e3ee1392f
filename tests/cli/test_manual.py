"""`runworthy man`: the page has what the commands declare, and the formatters of man take it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from runworthy.cli.commands import COMMANDS, walk
from runworthy.cli.environment import VARIABLES
from runworthy.cli.manual import page
from tests.cli.conftest import SOURCE, Run

PAGE = SOURCE.parent / "man" / "runworthy.1"
SECTIONS = (
    *("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "TARGETS", "VERDICTS", "EXIT STATUS", "ENVIRONMENT", "FILES"),
    *("EXAMPLES", "SEE ALSO"),
)


def test_the_file_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`python -m runworthy man > man/runworthy.1` makes it anew"


def test_sections() -> None:
    assert tuple(re.findall(r"^\.SH (.*)$", page(), re.MULTILINE)) == SECTIONS
    assert re.findall(r"^\.SS (.*)$", page(), re.MULTILINE) == [command.name for command in walk(COMMANDS)]


def test_the_command_prints_it(runworthy: Run) -> None:
    assert runworthy("man") == (0, page(), "")


def formatted(*formatter: str) -> str:
    if shutil.which(formatter[0]) is None:
        pytest.skip(f"no {formatter[0]}: `apt-get install mandoc man-db` or `make judges` brings it")
    done = subprocess.run([*formatter, PAGE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)


@pytest.mark.judge
def test_no_complaint_by_mandoc() -> None:
    assert formatted("mandoc", "-T", "lint", "-W", "style") == ""


@pytest.mark.judge
@pytest.mark.parametrize("formatter", [("mandoc", "-T", "utf8"), ("man", "--warnings", "--local-file")])
def test_what_a_reader_sees(formatter: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANWIDTH", "400")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    shown = formatted(*formatter)
    for command in walk(COMMANDS):
        for action in command.parser().declared():
            for flag in action.option_strings:
                assert flag in ("-h", "--help") or re.search(rf"(^|[ ,]){flag}\b", shown, re.MULTILINE), flag
    for variable in VARIABLES:
        assert f"{variable.name}\n" in shown or f"{variable.name} " in shown
    assert "echo 'eval \"$(runworthy completion bash)\"' > ~/.local" in shown
