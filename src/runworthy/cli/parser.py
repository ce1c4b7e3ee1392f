"""The parser of one command."""

from __future__ import annotations

import argparse
from typing import NoReturn

from runworthy.cli.terminal import width
from runworthy.model.errors import UsageError

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """Reports what it cannot understand as every other error is reported."""

    def __init__(self, name: str, usage: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=f"runworthy {name}",
            usage=f"runworthy {name} {usage}",
            description=description,
            epilog=epilog,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, hint=f"`{self.prog} --help` lists what it takes")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Knows the width by itself: argparse makes a formatter for each option and imports shutil, lzma and bz2 for it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=(width() or _USUAL_WIDTH) - 2)


_USUAL_WIDTH = 80
