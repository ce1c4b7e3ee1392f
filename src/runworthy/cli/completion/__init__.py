"""`runworthy completion`: scripts that complete the command line in bash, zsh and fish.

Names of targets and codes are written into the script: a shell answers out of it at once, where asking this program at
each press of a key would cost its start. A script is as old as the program that wrote it, options included; what the
manuals recommend therefore has it written when a shell needs it first.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

SHELLS = ("bash", "zsh", "fish")

USAGE = "SHELL"
DESCRIPTION = "Write a script that lets a shell complete commands, options, targets and codes."
EPILOG = """\
in a file that the shell reads when it first completes runworthy, so that it is never out of date:
  bash  echo 'eval "$(runworthy completion bash)"' > ~/.local/share/bash-completion/completions/runworthy
  fish  echo 'runworthy completion fish | source' > ~/.config/fish/completions/runworthy.fish
in the file that the shell reads when it starts, after compinit:
  zsh   eval "$(runworthy completion zsh)"
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def run(options: Namespace) -> int:
    """Print the script."""
    from importlib import import_module

    from runworthy.cli.completion.grammar import grammar
    from runworthy.cli.terminal import emit

    emit(import_module(f"runworthy.cli.completion.{options.shell}").script(grammar()))
    return 0
