"""`runworthy targets`: the targets that have a name, and what is known of one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from runworthy.model.errors import UsageError

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[WORD]... | show NAME[/ARCH]..."
DESCRIPTION = """\
List the targets of the catalogue that have all of the words (debian, musl, arm64, closed, 2.31, ...).
`show` tells what is known of one: also of host, and of a root in a directory."""
EPILOG = """\
closed: every file is known, what is not there is missing; core: libc, the compiler runtime and zlib are known, what
is outside is unknown until --with brings it or --assume-present states it
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("words", nargs="*", metavar="WORD", help="words that narrow the list, or `show` and names")
    add("--platform", default="", metavar="ARCH", help="the architecture to show")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Print the list, or what is known of the named ones. Raises UsageError."""
    from runworthy.cli.terminal import emit, style_for

    style = style_for(options.color)
    words: Sequence[str] = options.words
    if words[:1] == ["show"]:
        if len(words) == 1:
            raise UsageError("`targets show` needs a name", hint="write it as in `runworthy targets show debian:12`")
        from runworthy.report.target import show_lines

        blocks = [list(show_lines(name, options.platform, style)) for name in words[1:]]
    else:
        from runworthy.report.target import list_blocks

        blocks = list_blocks(words, style)
        if not blocks:
            raise UsageError(f"no target has {' and '.join(words)}", hint="`runworthy targets` lists all of them")
    emit("\n".join("".join(f"{line}\n" for line in block) for block in blocks))
    return 0
