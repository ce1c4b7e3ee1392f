"""Measure the budgets and print them as a table: ``python -m bench`` (or ``make bench``).

Each row runs two commands in turn, several times, and gives the ratio of their median wall times (or the
peak memory of one). Ratios bear being compared between machines; seconds do not, and are shown for scale. It installs
runworthy and its peers into an environment of its own; ``python -m bench --write`` puts the table into the READMEs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from bench.peers import CHECKOUT, prepare
from bench.rows import Row, rows

HEAD = ("| work | budget | goal | measured | |", "|---|---|---|---|---|")
_TABLE = re.compile(r"(?<=<!-- bench:begin -->\n).*?(?=<!-- bench:end -->)", re.DOTALL)


def line(row: Row) -> str:
    """Return a row as Markdown."""
    sign = "≥" if row.more else "≤"
    budget = "" if row.budget is None else f"{sign} {row.budget:g} {row.unit}"
    goal = "" if row.goal is None else f"{row.goal:g} {row.unit}"
    if row.measured is None:
        return f"| {row.work} | {budget} | {goal} | not measured | {row.note} |"
    return f"| {row.work} | {budget} | {goal} | {row.measured:.2f} {row.unit} | {_standing(row)}{row.note} |"


def _standing(row: Row) -> str:
    """Return how a figure stands against its budget and goal: falling short is told, not hidden."""
    if row.budget is None or row.goal is None or row.measured is None:
        return ""
    better = row.measured.__ge__ if row.more else row.measured.__le__
    return "within the goal; " if better(row.goal) else "within; " if better(row.budget) else "**over**; "


def main() -> int:
    """Print the table. The exit status is 0: a bench tells, it does not judge."""
    told = list(HEAD)
    with tempfile.TemporaryDirectory() as scratch:
        bench = prepare(Path(scratch))
        os.chdir(scratch)
        print(*HEAD, sep="\n")
        for measured in rows(bench):
            told.append(line(measured()))
            print(told[-1], flush=True)
        os.chdir("/")
    if "--write" in sys.argv[1:]:
        table = "".join(f"{row}\n" for row in told)
        for readme in ("README.md", "README.zh-CN.md"):
            path = CHECKOUT / readme
            path.write_text(_TABLE.sub(lambda _: table, path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
