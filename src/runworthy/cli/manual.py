"""`runworthy man`: the manual page, out of what the commands declare.

The layout is that of man(7). ``man/runworthy.1`` is its output, which the wheel carries to ``share/man/man1``.
"""

from __future__ import annotations

import re
import textwrap
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterable, Iterator

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "page", "run"]

USAGE = ""
DESCRIPTION = "Write the manual page, for man: commands, options, targets, exit codes, variables."
EPILOG = "example: runworthy man | man -l -\n"

_PURPOSE = "tell whether software will run on other systems, and if not, why"
_ABOUT = """\
runworthy says whether programs and libraries will run on other systems, and if not, why, without those systems and
without executing anything. It reads the files, goes through what the kernel (with its handlers of binfmt_misc) and the
loader of each target would do, in their order (glibc's ld.so or musl's, each by its own rules), and says where it ends.

The report goes to standard output, everything else to standard error."""
_TARGETS = (
    ("host", "this machine: its root, kernel and loader configuration. It is the target where none is named."),
    ("./DIR, /DIR, rootfs:DIR", "a root in a directory."),
    ("NAME", "a name out of `runworthy targets`, as `alpine:3.20` or `glibc:2.28`, for the subject's architecture."),
    ("NAME/ARCH", "the same for one architecture, as `debian:12/arm64`."),
    ("snapshot:FILE, FILE.runworthy", "a root that was captured into a file."),
)
_TARGETS_NOTE = """\
A closed target is known file by file: what is not there is missing. Of a core target the C library, the compiler
runtime and zlib are known; the rest is unknown until `--with` brings it or `--assume-present` states it. The machine of
a target is the least that its architecture has, until `--cpu`, `--page-size` and `--kernel` say otherwise."""
_VERDICTS = (
    ("runs", "everything that it needs is there."),
    ("risky", "it starts, but what it may use later is missing, or the answer rests on an assumption, which is named."),
    ("unknown", "something lies outside what is known of the target; it is named."),
    ("fails", "it does not start. The stage says where it ends: exec, load, version, bind, machine or environment."),
)
_FILES = (
    ("*.runworthy", "a captured root: one portable file."),
    (
        "~/.cache/runworthy",
        "what is kept between runs, where no variable names another place; `runworthy cache` tells.",
    ),
    ("share/man/man1/runworthy.1", "this page, below the prefix of the installation."),
)
_EXAMPLES = (
    ("runworthy check ./app", "on this machine."),
    ("runworthy check ./app --on alpine:3.20,debian:12/arm64", "on two systems, without having them."),
    ("runworthy check build/ --on ./prod-rootfs", "every program and library of a directory, on a root at hand."),
    ("RUNWORTHY_ON=rhel:8,ubuntu:20.04 runworthy check build/", "in a pipeline that states its targets once."),
    ("runworthy explain RW301", "what a finding means, and what helps."),
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_SEE_ALSO = (("ldd", 1), ("patchelf", 1), ("readelf", 1), ("execve", 2), ("elf", 5), ("ld.so", 8))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare nothing: the page is the same for everybody."""


def run(options: Namespace) -> int:  # noqa: ARG001 - there are none
    """Print the page."""
    from runworthy.cli.terminal import emit

    emit(page())
    return 0


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    from runworthy import __version__
    from runworthy.cli.commands import COMMANDS, EXIT_CODES, walk
    from runworthy.cli.environment import VARIABLES

    commands = list(walk(COMMANDS))
    yield '.\\" Written by `runworthy man`.'
    yield f'.TH RUNWORTHY 1 "{_date()}" "runworthy {__version__}" "User Commands"'
    yield from (".SH NAME", f"runworthy \\- {_text(_PURPOSE)}", ".SH SYNOPSIS", ".nf")
    for command in commands:
        yield f"\\fBrunworthy {_text(command.name)}\\fR {_text(command.load().USAGE)}".rstrip()
    yield from (".fi", ".SH DESCRIPTION", *_paragraphs(_ABOUT), ".SH COMMANDS")
    for command in commands:
        parser = command.parser()
        yield f".SS {_text(command.name)}"
        yield from _paragraphs(parser.description or "")
        for title, actions in parser.groups():
            if title not in ("positional arguments", "options"):
                yield from (".PP", f"{_text(title[0].upper() + title[1:])}:")
            yield from _tagged(
                (_tag(action), _help(action)) for action in actions if "--help" not in action.option_strings
            )
        if parser.epilog:
            yield from (".PP", *_paragraphs(parser.epilog))
    yield from (".SH TARGETS", *_named(_TARGETS), ".PP", *_paragraphs(_TARGETS_NOTE))
    yield from (".SH VERDICTS", *_named(_VERDICTS))
    yield from (".SH EXIT STATUS", *_named((str(code), f"{meaning}.") for code, meaning in EXIT_CODES))
    yield from (".SH ENVIRONMENT", *_paragraphs(_environment_about()))
    yield from _named(
        (row.name, f"`{row.option}`: {row.meaning}." if row.option else f"{row.meaning}.") for row in VARIABLES
    )
    yield from (".SH FILES", *_named(_FILES))
    yield from (".SH EXAMPLES", *_named(_EXAMPLES))
    yield from (".SH SEE ALSO", ",\n".join(f".BR {_text(name)} ({section})" for name, section in _SEE_ALSO))


def _date() -> str:
    """Return the day of the catalogue's newest facts: the page says what was known then."""
    from runworthy.library import list_targets

    return max(target.as_of for target in list_targets() if _DAY.fullmatch(target.as_of))


def _environment_about() -> str:
    from runworthy.cli.environment import __doc__ as said

    return (said or "").partition("\n\n")[2].strip().replace("``", "`")


def _tag(action: Action) -> str:
    """Return an argument as it is written: its flags, and what stands for its value."""
    from runworthy.cli.words import metavar_of

    value = metavar_of(action)
    if action.choices is not None and action.metavar is None:
        value = "|".join(map(str, action.choices))
    value = f"\\fI{_text(value)}\\fR" if value else ""
    flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in action.option_strings)
    return f"{flags} {value}".strip()


def _help(action: Action) -> str:
    from runworthy.cli.words import help_of

    return help_of(action)


def _named(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    return _tagged((f"\\fB{_text(name)}\\fR", told) for name, told in rows)


def _tagged(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for tag, told in rows:
        yield from (".TP", tag, *_filled(told))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs; one with an indented line keeps its lines."""
    for at, part in enumerate(text.strip().split("\n\n")):
        if at:
            yield ".PP"
        if "\n  " in part:
            yield from (".nf", *(_text(line) for line in part.split("\n")), ".fi")
        else:
            yield from _filled(part)


def _filled(text: str) -> Iterator[str]:
    """Yield text in lines of a source that people read too; the formatter fills them anew."""
    return map(_text, textwrap.wrap(text, 66, break_on_hyphens=False, break_long_words=False))


def _text(text: str) -> str:
    """Return text for a line of its own: what the formatter would obey is escaped, what is in backticks is bold."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    bold = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", escaped)
    return f"\\&{bold}" if bold[:1] in (".", "'") else bold
