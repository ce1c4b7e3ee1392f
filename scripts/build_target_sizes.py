"""Write ``src/runworthy/remedies/target_sizes.py``: how many bytes the files of each closed root hold.

    python3 scripts/build_target_sizes.py [FOLDER] [--check]

FOLDER (default: shared/targets beside the repository) holds the facts of real systems that the catalogue is built from.
Package lists and downloaded packages are not counted: images of the same systems carry none. Files of one size in one
directory are counted once where they are large: hard links (busybox, perl) are listed under each of their names.
"""

from __future__ import annotations

import gzip
import json
import posixpath
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "src"))

from runworthy.model.arch import architecture  # noqa: E402 - the path is set just above
from runworthy.targets.catalogue import open_catalogue  # noqa: E402
from runworthy.targets.catalogue.naming import architecture_in, meaning_of  # noqa: E402

OUTPUT = REPOSITORY / "src" / "runworthy" / "remedies" / "target_sizes.py"
LEFT_OUT = ("/var/lib/apt/lists/", "/var/cache/", "/var/lib/dnf/")
LINKED = 100_000
HEAD = '''"""How many bytes the files of a target hold, unpacked. Made by scripts/build_target_sizes.py from facts."""

from __future__ import annotations

__all__ = ["SIZES"]

# Name -> architecture=bytes. Of targets of which only a part is known, nothing is.
SIZES: dict[str, str] = {
'''


def size_of(files: Mapping[str, str]) -> int:
    """Return the bytes of the regular files among ``path -> f MODE SIZE``."""
    total = 0
    seen: set[tuple[str, int]] = set()
    for path, told in files.items():
        kind, *numbers = told.split()
        if kind != "f" or path.startswith(LEFT_OUT):
            continue
        size = int(numbers[1])
        key = posixpath.dirname(path), size
        if size < LINKED or key not in seen:
            total += size
            seen.add(key)
    return total


def measured(folder: Path) -> dict[str, dict[str, int]]:
    """Return bytes by the catalogue's names and architectures."""
    names = open_catalogue().names()
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for path in sorted(folder.glob("*_*_*.json.gz")):
        with gzip.open(path) as file:
            facts = json.load(file)
        written, _, spelling = facts["name"].rpartition("/")
        meaning = meaning_of(written, names)
        arch = architecture_in(spelling, written) or architecture(spelling)
        if meaning is not None and arch is not None:
            found[meaning.name][arch.name] = size_of(facts["files"])
    return found


def row(name: str, sizes: Mapping[str, int]) -> str:
    """Return a target's row, in lines that are no longer than the others of the source."""
    told = " ".join(f"{arch}={size}" for arch, size in sorted(sizes.items()))
    if len(name) + len(told) < 109:
        return f'    "{name}": "{told}",\n'
    first, *rest = [told] if len(told) <= 108 else wrap(told, 96)
    lines = "".join(f'        " {line}"\n' for line in rest)
    return f'    "{name}": (\n        "{first}"\n{lines}    ),\n'


def main(arguments: list[str]) -> int:
    """Write the module; with ``--check`` only tell whether it is as it should be."""
    folder = next((Path(one) for one in arguments if not one.startswith("-")), REPOSITORY / "shared" / "targets")
    rows = [row(name, sizes) for name, sizes in sorted(measured(folder).items())]
    made = f"{HEAD}{''.join(rows)}}}\n"
    if "--check" in arguments:
        same = OUTPUT.read_text("utf-8") == made
        print(f"the sizes of targets are {'up to date' if same else 'out of date'}")
        return int(not same)
    OUTPUT.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
