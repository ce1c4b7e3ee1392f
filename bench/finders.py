"""Programs that find files with the same bytes: their command lines, and what they say that they found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FINDERS", "Finder", "Found", "ours", "sets_of_jdupes", "sets_of_ours"]

Sets = frozenset[tuple[int, frozenset[str]]]
"""Sets of files with the same bytes: their size, and their paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found. A duplicate is a file whose bytes another has as well, the first of each set left out."""

    duplicates: int
    size: int

    @classmethod
    def of(cls, sets: Sets) -> Found:
        """Count sets."""
        return cls(
            duplicates=sum(len(paths) - 1 for _, paths in sets),
            size=sum(size * (len(paths) - 1) for size, paths in sets),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """A program. ``decides`` says in words by what it takes files for the same, ``by_bytes`` whether by all of them.

    ``line`` gives its command line for a tree and a least size; None where it cannot be told one. ``number`` finds the
    number of duplicates in what it prints; empty where it prints none.
    """

    name: str
    decides: str
    by_bytes: bool
    line: Callable[[str, int], Sequence[str] | None]
    number: str = ""
    note: str = ""

    def words(self, tree: Path, size: int) -> list[str] | None:
        """The command line, with the path of the program; None where there is none."""
        line = self.line(str(tree), size)
        program = shutil.which(line[0]) if line else None
        return [program, *line[1:]] if line and program else None

    def duplicates(self, words: Sequence[str]) -> int | None:
        """Run it once and read how many it found."""
        done = subprocess.run(words, capture_output=True, check=False)
        told = re.search(self.number.encode(), done.stdout + done.stderr) if self.number else None
        return int(told[1]) if told else None


def _whole(line: Callable[[str], Sequence[str]]) -> Callable[[str, int], Sequence[str] | None]:
    """A program that cannot be told a least size."""
    return lambda tree, size: line(tree) if size == 1 else None


_RMLINT = ("--types=duplicates", "--hidden", "--no-followlinks", "--no-hardlinked", "-o", "summary:stdout")
# Names beginning with a dot are looked at by all, several names of one file by none.
FINDERS = (
    Finder(
        name="jdupes",
        decides="hash, then bytes",
        by_bytes=True,
        line=lambda tree, size: ["jdupes", "-r", "-q", "-M", "-X", f"size+=:{size}", tree],
        number=r"(\d+) duplicate files \(in",
    ),
    Finder(
        name="hardlink",
        decides="bytes",
        by_bytes=True,
        line=lambda tree, size: ["hardlink", "-n", "-c", "-y", "memcmp", "-s", str(size), tree],
        number=r"Linked: +(\d+) files",
    ),
    Finder(
        name="fdupes",
        decides="md5, then bytes",
        by_bytes=True,
        line=lambda tree, size: ["fdupes", "-r", "-q", "-n", "-m", "-G", str(size), tree],
        number=r"(\d+) duplicate files \(in",
    ),
    Finder(
        name="jdupes -Q",
        decides="hash",
        by_bytes=False,
        line=lambda tree, size: ["jdupes", "-r", "-q", "-Q", "-M", "-X", f"size+=:{size}", tree],
        number=r"(\d+) duplicate files \(in",
    ),
    Finder(
        name="rdfind",
        decides="sha1",
        by_bytes=False,
        line=lambda tree, size: ["rdfind", "-n", "true", "-makeresultsfile", "false", "-minsize", str(size), tree],
    ),
    Finder(
        name="rmlint",
        decides="blake2b (-pp: bytes, seven times slower)",
        by_bytes=False,
        line=lambda tree, size: ["rmlint", *_RMLINT, "-s", str(size), tree],
        number=r"whereof (\d+) are duplicates",
    ),
    Finder(
        name="duperemove",
        decides="hashes of extents",
        by_bytes=False,
        line=_whole(lambda tree: ["duperemove", "-r", tree]),
        note="finds extents, not files",
    ),
    Finder(
        name="fclones",
        decides="hash",
        by_bytes=False,
        line=lambda tree, size: ["fclones", "group", "--hidden", "-s", str(size), tree],
        note="in no archive of packages that could be asked: build it and put it on the PATH",
    ),
)


def ours(python: str, tree: Path, size: int, report: Path, cache: Path) -> list[str]:
    """Our command line, as users write it, with an index in ``cache``."""
    asked = ["dedupe", str(tree), "--min-size", str(size), "--no-caches", "-o", str(report)]
    return [shutil.which("env") or "/usr/bin/env", f"RUNWORTHY_CACHE_DIR={cache}", python, "-m", "runworthy", *asked]


_ASK = """
import json, sys, runworthy
found = runworthy.dedupe(sys.argv[1], min_size=int(sys.argv[2]), caches=False, index=False).copies
json.dump([[one.size, [file.names[0] for file in one.files]] for one in found], sys.stdout)
"""


def sets_of_ours(python: str, environment: dict[str, str], tree: Path, size: int) -> Sets:
    """Every set of files with the same bytes as we find them."""
    told = subprocess.run([python, "-c", _ASK, tree, str(size)], env=environment, capture_output=True, check=True)
    return frozenset((size, frozenset(paths)) for size, paths in json.loads(told.stdout))


def sets_of_jdupes(tree: Path, size: int) -> Sets:
    """Every set as jdupes finds them. It takes no set for the same that it has not compared byte by byte."""
    told = subprocess.run(
        ["jdupes", "-r", "-q", "-j", "-X", f"size+=:{size}", tree], capture_output=True, check=True
    ).stdout
    found = json.loads(told)["matchSets"] if told else ()  # where there are none it prints nothing
    return frozenset((one["fileSize"], frozenset(file["filePath"] for file in one["fileList"])) for one in found)
