"""What env makes of the words of a ``#!`` line, held against the one of this machine where it is GNU's."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from runworthy.simulate.env import EnvStart, busybox_env, gnu_env

_PIECES = (
    *("a", "b", " ", " ", "-S", "-i", "-u", "-v", "-0", "-", "--", "--unset=", "--split-string", "--debug", "--null"),
    *("PATH=", "X=1", "=", "#", '"', "'", "\\", "\\_", "\\c", "\\t", "\\\\", "$", "${", "}", "\t", "c", "-x", "_"),
)
_ENV = {"PATH": "/nowhere", "LC_ALL": "C"}


@pytest.mark.parametrize(
    ("line", "words", "refused"),
    [
        ("python3", ("python3",), ""),
        ("python3 -u", ("python3 -u",), ""),
        ("-S python3 -u", ("python3", "-u"), ""),
        ("-S -u HOME python3", ("python3",), ""),
        ("-vS -i A=1 B=2 python3", ("python3",), ""),
        ("--split-string=python3", ("python3",), ""),
        ("-S 'two words' \"a\\tb\" # rest", ("two words", "a\tb"), ""),
        ("-S python3\r", ("python3",), ""),
        ("-i", (), ""),
        ("-i python3", (), "invalid option -- ' ', and it ends with 125"),
        ("-S 'open", (), "no terminating quote in -S string, and it ends with 125"),
        ("-S -0 ls", (), "cannot specify --null (-0) with command, and it ends with 125"),
    ],
)
def test_gnu(line: str, words: tuple[str, ...], refused: str) -> None:
    started = gnu_env((line, "/run"))
    assert started.refused == refused
    assert started.words == (() if refused else (*words, "/run"))


def test_path_and_directory() -> None:
    assert gnu_env(("-S -i ls",)) == EnvStart(words=("ls",), path="", splits=True)
    assert gnu_env(("-S PATH=/opt ls",)) == EnvStart(words=("ls",), path="/opt", splits=True)
    assert gnu_env(("-S -C /srv ls",)) == EnvStart(words=("ls",), directory="/srv", splits=True)
    assert gnu_env(("-S ${HOME}/ls",)).unknown


def test_busybox_knows_no_s() -> None:
    assert busybox_env(("-S ls", "/run")).refused == "invalid option -- 'S', and it ends with 1"
    assert busybox_env(("-i", "ls")) == EnvStart(words=("ls",), path="")


def _asked(env: str, line: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [env, line, "/nowhere/run"], cwd=cwd, env=_ENV, check=False, capture_output=True, text=True, timeout=10
    )
    return done.returncode, done.stderr


def test_what_env_itself_says(tmp_path: Path) -> None:
    """PATH leads nowhere: env names the command that it does not find, or ends with 125."""
    env = shutil.which("env")
    told = subprocess.run([env or "true", "--version"], check=False, capture_output=True, text=True).stdout
    if env is None or "GNU coreutils" not in told:
        pytest.skip("no env of GNU coreutils")
    rng, seen = random.Random(4), [0, 0]  # noqa: S311 - the same words in every run
    for _ in range(200):
        line = rng.choice(("-S", "")) + "".join(rng.choices(_PIECES, k=rng.randint(1, 6)))
        predicted = gnu_env((line, "/nowhere/run"))
        status, said = _asked(env, line, tmp_path)
        if predicted.unknown:
            continue
        if predicted.refused:
            seen[0] += 1
            assert status == (125 if "125" in predicted.refused else 0), (line, predicted, said)
        else:
            seen[1] += 1
            assert status in (126, 127), (line, predicted, said)
            plain = predicted.words[0].replace("/nowhere/", "").isalpha()
            assert f"'{predicted.words[0]}'" in said or not plain, (line, predicted, said)
    assert min(seen) > 20
