"""Fuzz the ELF reader: ``python scripts/fuzz_elf.py [-max_total_time=300] [CORPUS...]``.

With atheris (``pip install atheris``) the search is led by coverage and takes libFuzzer's options; without it bytes
of the corpus are changed at random for the given time. What goes wrong is written to ``crash-*`` and belongs into
``tests/formats/corpus`` once it is repaired.
"""

from __future__ import annotations

import glob
import hashlib
import importlib
import os
import random
import sys
import time
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SEEDS = (os.path.join(ROOT, "tests", "formats", "corpus"), os.path.join(ROOT, "tests", "formats", "fixtures"))
SECONDS = 60.0
SLOW = 5.0

sys.path[:0] = [ROOT, os.path.join(ROOT, "src")]


def try_one(data: bytes) -> None:
    """Ask the reader everything about ``data``. Raises whatever should not be raised."""
    from runworthy.formats.content import BytesContent
    from tests.formats.test_bad_input import ask_everything

    ask_everything(BytesContent(data))


def seeds(folders: list[str]) -> list[bytes]:
    found = []
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "*"))):
            if not path.endswith((".py", ".json")) and os.path.isfile(path):
                with open(path, "rb") as file:
                    found.append(file.read())
    return found


def changed(data: bytes, dice: random.Random) -> bytes:
    """Return ``data`` with a few numbers changed, preferring values at which arithmetic turns over."""
    found = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        if not found:
            break
        size = dice.choice((1, 2, 4, 8))
        at = dice.randrange(len(found))
        value = dice.choice((0, 1, dice.getrandbits(8 * size), (1 << 8 * size) - 1, 1 << (8 * size - 1), len(found)))
        found[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, dice.choice(("little", "big")))
    return bytes(found[: dice.randrange(len(found) + 1)] if dice.random() < 0.05 else found)


def roll_dice(folders: list[str], seconds: float) -> int:
    """Change seeds at random for ``seconds``; return how many inputs went wrong."""
    corpus = seeds(folders)
    dice = random.Random(0)  # noqa: S311  # the same inputs every time
    end = time.monotonic() + seconds
    tries = bad = 0
    while time.monotonic() < end:
        data = changed(dice.choice(corpus), dice)
        start = time.monotonic()
        try:
            try_one(data)
            slow = time.monotonic() - start > SLOW
        except Exception as error:  # noqa: BLE001  # anything that escapes is what is sought
            print(f"{type(error).__name__}: {error}")
            slow = True
        if slow:
            bad += 1
            with open(f"crash-{hashlib.sha256(data).hexdigest()[:16]}", "wb") as file:
                file.write(data)
        tries += 1
    print(f"{tries} inputs, {bad} bad")
    return bad


def main() -> int:
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    folders = [word for word in sys.argv[1:] if not word.startswith("-")]
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        times = [float(word.partition("=")[2]) for word in options if word.startswith("-max_total_time=")]
        return 1 if roll_dice(folders or list(SEEDS), times[0] if times else SECONDS) else 0
    with atheris.instrument_imports(include=["runworthy"]):
        try_one(b"")
    # New inputs go to the first folder, so the committed ones come last.
    atheris.Setup([sys.argv[0], *options, *folders, *SEEDS], try_one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
