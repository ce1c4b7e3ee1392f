"""Write the ``text`` blocks of the pages anew: ``python -m tests.rules.update [CODE...]``. Read the diff afterwards."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.rules.page import BLOCKS, in_directory, pages

__all__ = ["main"]


def main(names: list[str]) -> int:
    """Update the pages whose names or codes are given, all of them without any."""
    for page in pages():
        text = page.read_text("utf-8")
        if not names or any(name in (page.stem, text.split()[1].rstrip(":")) for name in names):
            page.write_text(BLOCKS.sub(_anew, text), "utf-8")
    return 0


def _anew(found: re.Match[str]) -> str:
    with TemporaryDirectory() as directory:
        said = in_directory(found[1], Path(directory).resolve())
    return f"```facts\n{found[1]}```\n\n```text\n{said}```"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
