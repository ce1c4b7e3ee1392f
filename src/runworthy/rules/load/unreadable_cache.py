"""RW212: the root's ld.so.cache cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW212"
NAME = "unreadable-cache"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("cache-unreadable",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the cache that the loader passes over."""
    for event in case.events("cache-unreadable"):
        reason = event.text.partition(" is not used: ")[2].strip()
        message = f"`/etc/ld.so.cache` of {case.target} cannot be used: {reason}"
        notes = ("the loader goes on to its default directories; directories of /etc/ld.so.conf are not searched",)
        remedies = (help_("run `ldconfig` in the root"),)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause="`/etc/ld.so.cache` cannot be used",
                steps=(),
                stage="load",
                notes=notes,
                remedies=remedies,
            )
        )
