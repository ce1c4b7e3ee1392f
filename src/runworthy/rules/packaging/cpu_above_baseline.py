"""RW517: files of a wheel are marked for a CPU above its tag's baseline."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.wheels import by_tag, members, tag_steps, who
from runworthy.rules.words import finding, help_

CODE = "RW517"
NAME = "cpu-above-baseline"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("tag:unmet",)
ORDER = 40


def check(case: Case) -> Iterator[Match]:
    """Yield each tag with the files that are marked, the highest level first."""
    for tag, steps in by_tag(tag_steps(case, "isa")).items():
        level = max(step.need.file or "" for step in steps)
        highest = [step for step in steps if step.need.file == level]
        names, several = who(case, highest)
        message = f"{names} {'are' if several else 'is'} marked as needing {level}, {tag} promises x86-64-v1"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"a CPU of level {level} is needed",
                items=(step.need.file or "" for step in steps),
                steps=steps,
                notes=(
                    "glibc since 2.33 ends with `CPU ISA level is lower than required` on a CPU below it",
                    members(case, steps),
                ),
                remedies=(help_("build it with `-march=x86-64`, and choose faster code at run time"),),
            ),
            covers=tuple(steps),
        )
