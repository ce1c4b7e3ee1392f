"""Options that several commands take, declared and understood once."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TypedDict

from runworthy.model.errors import UsageError

__all__ = ["Where", "add_where", "environment", "where"]


def add_where(parser: ArgumentParser, default: str) -> None:
    """Declare the options that say where a subject must run; ``default`` says what is taken without ``--on``."""
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
        "on": options.on,
        "platform": options.platform,
        "cpu": options.cpu,
        "page_size": options.page_size,
        "kernel": options.kernel,
        "with_": options.additions,
        "assume_present": options.assume_present,
    }


def environment(given: Sequence[str]) -> dict[str, str]:
    """Return what `--env` states. Raises UsageError."""
    env = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--env {text} is no NAME=VALUE", hint="write it as in --env LD_LIBRARY_PATH=/opt/lib")
        env[name] = value
    return env
