"""`runworthy completion`: scripts out of the declarations of all commands, proved in the shells that they are for."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runworthy.cli import main
from runworthy.cli.commands import COMMANDS, walk
from runworthy.cli.completion import SHELLS
from runworthy.library import list_rules, list_targets
from tests.cli.shells import ask

FAMILIES = {target.family for target in list_targets()}
RULES = {rule.code for rule in list_rules()}


def names(*words: str, family: str = "") -> set[str]:
    return {target.name for target in list_targets(*words) if target.family == (family or target.family)}


def with_architectures(name: str, start: str) -> set[str]:
    docker = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386"}
    held = {target.arch.name for target in list_targets() if target.name == name}
    spellings = held | {docker[arch] for arch in held & set(docker)}
    return {f"{name}/{spelling}" for spelling in spellings if spelling.startswith(start)}


# What is on the line, and what the last word is completed to.
LINES: list[tuple[str, set[str]]] = [
    ("runworthy ", {command.name for command in COMMANDS} | {"help"}),
    ("runworthy insp", {"inspect"}),
    ("runworthy check --page", {"--page-size"}),
    ("runworthy check --page-size ", {"4k", "16k", "64k"}),
    ("runworthy check app --until e", {"exec", "environment"}),
    ("runworthy check --format=", {"--format=text", "--format=json"}),
    ("runworthy check --cpu x86-64-v", {"x86-64-v1", "x86-64-v2", "x86-64-v3", "x86-64-v4"}),
    ("runworthy check --platform linux/arm6", {"linux/arm64"}),
    ("runworthy check --env LD_L", {"LD_LIBRARY_PATH="}),
    ("runworthy check --kernel ", set()),
    # targets: whole names, architectures after a slash, lists with commas, roots in directories
    ("runworthy check --on debi", names(family="debian")),
    ("runworthy check app --on alpine:3.1", {name for name in names(family="alpine") if ":3.1" in name}),
    ("runworthy check app --on hos", {"host"}),
    ("runworthy check --on=ubuntu:24.", {"--on=ubuntu:24.04", "--on=ubuntu:24.10"}),
    ("runworthy check --on debian:12/a", with_architectures("debian:12", "a")),
    ("runworthy check --on opensuse/leap:15.6/", with_architectures("opensuse/leap:15.6", "")),
    (
        "runworthy check --on alpine:3.20,ubuntu:24.",
        {"alpine:3.20,ubuntu:24.04", "alpine:3.20,ubuntu:24.10"},
    ),
    ("runworthy check --on alpine:3.20,debian:12/am", {"alpine:3.20,debian:12/amd64"}),
    ("runworthy check --on ./ro", {"./root"}),
    ("runworthy check --on rootfs:./ro", {"rootfs:./root"}),
    ("runworthy check --on alpine:3.20,./ro", {"alpine:3.20,./root"}),
    # files and directories
    ("runworthy check no", {"notes.txt"}),
    ("runworthy check --on debian:12 no", {"notes.txt"}),
    ("runworthy check -q no", {"notes.txt"}),
    ("runworthy check wi", {"with space"}),
    ("runworthy check -o no", {"notes.txt"}),
    ("runworthy check --output-file=no", {"--output-file=notes.txt"}),
    ("runworthy check --cwd ", {"root"}),
    # a file that is named like a command is a file
    ("runworthy inspect targets --form", {"--format"}),
    # sub-commands
    ("runworthy targets sh", {"show"}),
    ("runworthy targets musl", {"musllinux"}),
    ("runworthy targets show --plat", {"--platform"}),
    ("runworthy targets show glibc:2.2", {name for name in names(family="glibc") if ":2.2" in name}),
    ("runworthy targets show debian:12 glibc:2.28/aarc", {"glibc:2.28/aarch64"}),
    # codes
    ("runworthy explain RW4", {code for code in RULES if code.startswith("RW4")}),
    ("runworthy explain RW301 RW20", {code for code in RULES if code.startswith("RW20")}),
    ("runworthy completion ", set(SHELLS)),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "with space").touch()
    return tmp_path


def script(shell: str, place: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    path = place / f".script.{shell}"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


@pytest.mark.judge
@pytest.mark.parametrize(
    ("shell", "before"),
    [
        ("bash", ""),
        ("bash", "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}"),
        ("bash", "set -u"),
        ("zsh", ""),
        ("fish", ""),
    ],
)
def test_in_the_shell(shell: str, before: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(shell, script(shell, place, capsys), [line for line, _ in LINES], before=before)
    wrong = {line: got ^ wanted for (line, wanted), got in zip(LINES, found, strict=True) if got != wanted}
    assert not wrong


@pytest.mark.judge
@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_in_the_shell(shell: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {
        f"runworthy {command.name} --": {
            flag for action in command.parser().declared() for flag in action.option_strings if flag[:2] == "--"
        }
        for command in walk(COMMANDS)
    }
    found = ask(shell, script(shell, place, capsys), list(wanted))
    assert found == list(wanted.values())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_name(shell: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, place, capsys).read_text(encoding="utf-8")
    missing = {
        name for name in (*names(), *RULES, *FAMILIES, *(row.name for row in walk(COMMANDS))) if name not in text
    }
    assert not missing
    assert not re.findall("@[A-Z]+@", text)
    assert os.fspath(place) not in text


def test_another_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
