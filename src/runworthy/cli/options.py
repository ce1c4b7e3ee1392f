"""Options that several commands take, declared and understood once."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TypedDict

from runworthy.model.errors import UsageError

__all__ = ["Where", "add_project", "add_where", "environment", "where"]


def add_where(parser: ArgumentParser, default: str, project: tuple[str, ...] | None = None) -> None:
    """Declare the options that say where a subject must run; ``default`` says what is taken without ``--on``.

    ``project`` is the table of the project's file that stands for options of the command, None for none.
    """
    add = parser.add_argument_group("where it must run").add_argument
    add("--on", action="append", default=[], metavar="TARGET", help=f"a target; may be repeated (default: {default})")
    add("--platform", default="", metavar="ARCH", help="the target's architecture, as linux/arm64 or aarch64")
    add("--cpu", default="", metavar="LEVEL", help="its CPU level, as x86-64-v3")
    add("--page-size", default="", metavar="SIZE", help="its page size, as 64k")
    add("--kernel", default="", metavar="RELEASE", help="its kernel, as 5.10")
    add("--with", dest="additions", action="append", default=[], metavar="WHAT",
        help="add a package file, a directory or a library to the target; may be repeated")  # fmt: skip
    add("--assume-present", action="append", default=[], metavar="LIB",
        help="take a library as present where the target's facts end; `all` takes all of them")  # fmt: skip
    add_project(parser, project)


def add_project(parser: ArgumentParser, table: tuple[str, ...] | None = None) -> None:
    """Declare the options about the project's file; ``table`` is the one that stands for options of the command.

    Without one the command uses the file's sets of targets alone.
    """
    add = parser.add_argument_group("the project's file").add_argument
    add("--config", metavar="FILE", help="read this one (default: the nearest runworthy.toml or pyproject.toml)")
    add("--no-config", action="store_true", help="read none")
    if table is not None:
        parser.set_defaults(project_table=table, project=None, given=frozenset())


class Where(TypedDict):
    """What the options of :func:`add_where` say, under the names that the functions of the library have for it."""

    on: Sequence[str]
    platform: str
    cpu: str
    page_size: str
    kernel: str
    with_: Sequence[str]
    assume_present: Sequence[str]


def where(options: Namespace) -> Where:
    """Return what the options say about where a subject must run."""
    return {
        "on": _with_sets(options),
        "platform": options.platform,
        "cpu": options.cpu,
        "page_size": options.page_size,
        "kernel": options.kernel,
        "with_": options.additions,
        "assume_present": options.assume_present,
    }


def _with_sets(options: Namespace) -> Sequence[str]:
    """Return the targets, with those in the place of a set that the project's file has. Raises UsageError."""
    if not any("@" in text for text in options.on):
        on: Sequence[str] = options.on
        return on
    from runworthy.cli.sources import project_of
    from runworthy.configuration.checking import named_sets
    from runworthy.targets.names import expand

    project = project_of(options)
    return expand([part for text in options.on for part in text.split(",")], named_sets(project) if project else {})


def environment(given: Sequence[str]) -> dict[str, str]:
    """Return what `--env` states. Raises UsageError."""
    env = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--env {text} is no NAME=VALUE", hint="write it as in --env LD_LIBRARY_PATH=/opt/lib")
        env[name] = value
    return env
