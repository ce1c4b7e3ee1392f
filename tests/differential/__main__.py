"""Print on how many (file, root) pairs the model was compared with real loaders: ``python -m tests.differential``."""

from __future__ import annotations

from collections import defaultdict

from tests.cases import every
from tests.differential.trees import PAIRS, Comparison, compare


def main() -> int:
    """Compare every tree and print a line for each judge; the exit status is 1 when anything differs."""
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
    cases = every()
    judged = sum(len(truth.on) for case in cases for truth in case.truths)
    print(f"| all | {total} | {wrong} | |")
    print(f"\nBesides these, {len(cases)} compiled cases with {judged} recorded answers of real loaders.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
