"""Options that several commands take, declared and understood once."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runworthy.model.errors import UsageError

if TYPE_CHECKING:
    from runworthy.targets.names import TargetName

__all__ = ["add_where", "additions_of", "split_targets", "targets_of"]


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


def targets_of(options: Namespace, names: Sequence[str]) -> list[TargetName]:
    """Return the targets of ``--on`` (``names`` without it), on the machine that is stated. Raises UsageError."""
    from runworthy.targets.names import MachineWish, TargetName

    if "" in options.assume_present:
        raise UsageError("--assume-present names no library", hint="as in --assume-present libssl.so.3")
    wish = MachineWish(platform=options.platform, cpu=options.cpu, page_size=options.page_size, kernel=options.kernel)
    return [
        TargetName(text, wish, tuple(options.assume_present))
        for text in dict.fromkeys(part for text in options.on or names for part in split_targets(text))
    ]


def additions_of(options: Namespace) -> Sequence[Callable[..., None]]:
    """Return what ``--with`` adds to each target. Raises UsageError."""
    if not options.additions:
        return ()
    from runworthy.targets.additions import addition

    return [addition(spec) for spec in options.additions]


def split_targets(text: str) -> list[str]:
    """Return the targets of a list with commas. A path that exists is one target, whatever letters it has."""
    parts = text.split(",")
    if len(parts) == 1 or os.path.exists(text) or not all(parts):
        return [text]
    return [part.strip() for part in parts]
