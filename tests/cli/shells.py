"""Real shells, asked what they complete: bash and zsh on a pseudo-terminal where TAB is pressed, fish by its own word.

On the terminal TAB is bound to insert every candidate, and the function that the line then calls prints its words.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

__all__ = ["ask"]

_PATIENCE = 30.0
_PRINTS = "runworthy() { printf BEG; printf 'IN\\n'; printf '%s\\n' \"$@\"; printf E; echo ND; }; printf REA; echo DY"
_SETUP: Mapping[str, str] = {
    "bash": """\
bind 'set bell-style none' 'set completion-query-items 0' '"\\t": insert-completions'
{before}
source {script}
""",
    "zsh": """\
unsetopt beep prompt_cr; autoload -Uz compinit; compinit -u -D
{before}
source {script}
zle -C all complete-word _generic; bindkey '^I' all
zstyle ':completion:all:*' insert yes; zstyle ':completion:all::::' completer _all_matches _complete
""",
}
_START: Mapping[str, list[str]] = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}


def ask(shell: str, script: Path, lines: Sequence[str], *, before: str = "") -> list[set[str]]:
    """Return what the shell completes the last word of each line to, in the directory of the script.

    ``before`` are commands of the shell that come before the script. Skips where the shell is not installed.
    """
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}: `apt-get install {shell}` or `make judges` brings it")
    if shell == "fish":
        return [_fish(script, line) for line in lines]
    return _terminal(shell, script, lines, before)


def _fish(script: Path, line: str) -> set[str]:
    asked = f"source {shlex.quote(str(script))}; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked], cwd=script.parent, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return {found.partition("\t")[0].rstrip("/") for found in done.stdout.splitlines()}


def _terminal(shell: str, script: Path, lines: Sequence[str], before: str) -> list[set[str]]:
    if sys.platform == "win32":
        pytest.skip("pseudo-terminals are of Unix")
    import pty

    process, terminal = pty.fork()
    if process == 0:
        os.chdir(script.parent)
        os.execvpe(_START[shell][0], _START[shell], {**os.environ, "PS1": "", "TERM": "dumb", "INPUTRC": os.devnull})
    try:
        _type(terminal, _SETUP[shell].format(before=before, script=shlex.quote(str(script))) + _PRINTS + "\n")
        _read(terminal, "READY")
        return [_press(terminal, line) for line in lines]
    finally:
        os.close(terminal)  # hangs up, which ends the shell
        os.waitpid(process, 0)


def _press(terminal: int, line: str) -> set[str]:
    """Return what stands in the place of the line's last word after TAB; nothing where it is as it was."""
    _type(terminal, f"{line}\t\n")
    *typed, last = line.split(" ")[1:]
    printed = _read(terminal, "END")
    shown = re.search(r"BEGIN\r?\n(.*)", printed, re.DOTALL)
    assert shown, printed
    words = shown[1].splitlines()
    assert words[: len(typed)] == typed
    found = {_whole(word, last) for word in words[len(typed) :]} - {last}
    return {word.rstrip("/") for word in found}


def _whole(word: str, typed: str) -> str:
    """Return a candidate with what was typed before it.

    bash takes what stands before `:` and `=` for words of their own: it is there once, before the first candidate.
    """
    heads = ["", *(typed[: found.end()] for found in re.finditer("[:=]", typed))]
    return next((head + word for head in heads if (head + word).startswith(typed)), word)


def _type(terminal: int, text: str) -> None:
    os.write(terminal, text.encode())


def _read(terminal: int, mark: str) -> str:
    """Return what the shell prints up to a line that ends with the mark."""
    printed, end = "", time.monotonic() + _PATIENCE
    while not re.search(rf"{mark}\r?\n", printed):
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"no answer within {_PATIENCE} s, only {printed!r}"
        printed += os.read(terminal, 1 << 16).decode()
    return printed[: printed.rindex(mark)]
