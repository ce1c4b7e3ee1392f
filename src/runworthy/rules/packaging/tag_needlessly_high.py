"""RW511: a wheel's tag shuts out systems on which its files would work."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW511"
NAME = "tag-needlessly-high"
SINCE = "0.1.0"
SEVERITY: Severity = "note"
READS = ("needless-tag",)
ORDER = 60


def check(case: Case) -> Iterator[Match]:
    """Yield each tag with the one that the files deserve."""
    for event in case.events("needless-tag"):
        tag, deserved, *newest = event.text.split()
        plain = tag.startswith("linux_")
        most = f"the most that its files ask for is {newest[0]}, in `{case.show(event.by)}`" if newest else ""
        message = f"the tag of `{case.subject}` is {tag}, its files work wherever {deserved} is promised"
        notes = (most, "PyPI takes no wheel with a plain linux tag" if plain else "")
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause="its files deserve a lower tag",
                items=(deserved,),
                steps=(),
                stage="environment",
                notes=notes,
                remedies=(help_(f"name it `{deserved}`: `wheel tags --platform-tag {deserved}`"),),
            )
        )
