"""`runworthy cache`: what is kept between runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from runworthy.cli.commands import Command

__all__ = ["COMMANDS", "DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "info | clear"
DESCRIPTION = "Tell or remove what is kept between runs: facts of files, and reports of checks."
EPILOG = """\
kept are facts of files as long as they do not change, and reports as long as nothing changes that they depend on;
--no-cache leaves the cache alone
"""
COMMANDS = (
    Command("cache info", "cache_info", "where the cache lies, what it holds, how large it is"),
    Command("cache clear", "cache_clear", "remove it; the next check reads everything anew"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare nothing: the sub-commands take nothing either."""
    del parser


def run(options: Namespace) -> int:
    """Tell what the cache holds, as `cache info` does."""
    from runworthy.cli.cache_info import run as tell

    return tell(options)
