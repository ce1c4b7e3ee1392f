"""Print on how many (file, root) pairs the model was compared with real loaders: ``python -m tests.differential``."""

from __future__ import annotations

from collections import defaultdict

from tests.cases import every
from tests.differential.directories import ENVIRONMENTS, ROOTS, compare_directory
from tests.differential.trees import PAIRS, Comparison, compare

_WORDS = {
    "venv": "a venv with numpy, scipy and pyarrow",
    "node_modules": "a node_modules with esbuild, swc, sharp and rollup",
    "python": "a Python with its standard library",
    "/usr": "the whole /usr",
}


def main() -> int:
    """Compare everything and print tables; the exit status is 1 when anything differs."""
    wrong = _trees()
    cases = every()
    judged = sum(len(truth.on) for case in cases for truth in case.truths)
    print(f"\nBesides these, {len(cases)} compiled cases with {judged} recorded answers of real loaders.\n")
    wrong += _environments()
    return 1 if wrong else 0


def _trees() -> int:
    """Print a line for each judge, with all trees of files that it was asked about; return the differences."""
    rows: dict[str, list[Comparison]] = defaultdict(list)
    for name, tree in PAIRS:
        rows[name].append(compare(name, tree))
    print("| judge | files compared | differences | traces that died |")
    print("|---|---|---|---|")
    total = wrong = 0
    for name, found in rows.items():
        files = sum(one.subjects - one.dead for one in found)
        differences = sum(len(one.wrong) for one in found)
        total, wrong = total + files, wrong + differences
        print(f"| {name} | {files} | {differences} | {sum(one.dead for one in found)} |")
    print(f"| all | {total} | {wrong} | |")
    return wrong


def _environments() -> int:
    """Print a line for each installed environment, judged as a directory on every root; return the differences."""
    print(f"| directory | files compared, on {len(ROOTS)} roots | differences | traces that died |")
    print("|---|---|---|---|")
    wrong = 0
    for environment in ENVIRONMENTS:
        found = [compare_directory(name, environment) for name in ROOTS]
        files = sum(one.subjects - one.dead for one in found)
        differences = sum(len(one.wrong) for one in found)
        wrong += differences
        print(
            f"| {_WORDS.get(environment, environment)} | {files} | {differences} | {sum(one.dead for one in found)} |"
        )
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
