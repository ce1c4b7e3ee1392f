"""RW208: the loader is one whose behaviour is not modelled."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.known import known_loader
from runworthy.rules.words import finding, help_

CODE = "RW208"
NAME = "loader-not-modelled"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("loader:unknown",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the loader after which nothing can be said."""
    for step in case.steps("loader", answers=(Answer.UNKNOWN,)):
        path = step.need.name
        known = known_loader(path)
        stub = step.detail.endswith("no C library") and known.family == "glibc"
        what = "which is not glibc's loader there" if stub else f"which is {known.words}"
        notes = (
            "only the loaders of glibc and musl are modelled: what this one finds and binds is not known",
            "gcompat puts a stub at that path, which starts musl's loader with `libgcompat.so.0` preloaded"
            if stub
            else "",
        )
        remedies = (help_("build it for the C library of the root itself"),) if stub else ()
        message = f"`{case.needer(step.need)}` starts under `{path}` of {case.target}, {what}"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"the loader `{path}` is not modelled",
                steps=(step,),
                notes=notes,
                remedies=remedies,
            ),
            covers=(step,),
        )
