"""RW211: a library that should be preloaded is not found, and the program starts without it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding

CODE = "RW211"
NAME = "ignored-preload"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("preload-ignored",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield each name of LD_PRELOAD or /etc/ld.so.preload that leads nowhere."""
    for event in case.events("preload-ignored"):
        name, _, rest = event.text.partition(" from ")
        source = rest.partition(" cannot be")[0]
        message = f"{source} names `{name}`, which cannot be loaded on {case.target}"
        musl = case.libc is not None and case.libc.family == "musl"
        says = "says nothing" if musl else "prints `cannot be preloaded (...): ignored`"
        notes = (f"the loader {says} and starts the program without it",)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"`{name}` cannot be preloaded",
                steps=(),
                stage="load",
                notes=notes,
            )
        )
