"""The oldest target of each family of the catalogue on which a release runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runworthy.engine.floor.jury import CLEAN, Jury, Shipped, Standing
from runworthy.model.finding import Verdict
from runworthy.model.floor import Floor, Kind, Oldest
from runworthy.targets.catalogue import Summary, open_catalogue

__all__ = ["oldest_targets"]

_NO_FAMILIES = frozenset(("glibc", "busybox"))
"""glibc's releases are floors of their own; busybox images take no packages, so nothing may be presumed of them."""
_RUNS = ("runs", "risky")


def oldest_targets(jury: Jury, floors: Mapping[Kind, Floor], demanding: frozenset[str]) -> tuple[Oldest, ...]:
    """Return one answer for each family that has targets of the architecture, by name of the family.

    ``floors`` are those of the C libraries, ``demanding`` the files that ask for more than their oldest releases have:
    they are asked first, since one that fails is enough.
    """
    files = sorted(jury.files, key=lambda file: file.name not in demanding)
    families: dict[str, list[Summary]] = {}
    for row in open_catalogue().index().targets():
        if row.arch is jury.arch and row.family not in _NO_FAMILIES:
            families.setdefault(row.family, []).append(row)
    panel = _Panel(jury, files)
    return tuple(
        panel.oldest(family, sorted(rows, key=lambda row: (row.order, row.name)), floors)
        for family, rows in sorted(families.items())
    )


class _Panel:
    """Judges all files on one target after the other, and ends at the first that fails."""

    def __init__(self, jury: Jury, files: Sequence[Shipped]) -> None:
        self._jury = jury
        self._files = list(files)

    def oldest(self, family: str, rows: Sequence[Summary], floors: Mapping[Kind, Floor]) -> Oldest:
        """Return the oldest of a family's targets, given from old to new, on which everything runs.

        The search begins where the floor of its C library says and goes down as long as everything runs, since
        distributions take newer things into older releases.
        """
        at = next((at for at, row in enumerate(rows) if _reaches(row, floors)), len(rows) - 1)
        while at + 1 < len(rows) and self.verdict(rows[at]) not in _RUNS:
            at += 1
        while at > 0 and self.verdict(rows[at]) in _RUNS and self.verdict(rows[at - 1]) in _RUNS:
            at -= 1
        row = rows[at]
        verdict = self.verdict(row)
        return Oldest(family=family, target=row.name if verdict in _RUNS else "", libc=str(row.libc), verdict=verdict)

    def verdict(self, row: Summary) -> Verdict:
        """Return the verdict on all files together; the file that failed is asked first on the next target."""
        together: Standing = CLEAN
        for file in self._files:
            standing = self._jury.standing(file, row.name)
            if standing.fatal:
                self._files.remove(file)
                self._files.insert(0, file)
                return "fails"
            together = together.joined(standing)
        return together.verdict


def _reaches(row: Summary, floors: Mapping[Kind, Floor]) -> bool:
    """Whether a target has a C library that is no older than its floor."""
    family, version = row.libc.family, row.libc.version or ()
    if family not in ("glibc", "musl"):
        return False
    return floors[family].state != "nowhere" and version >= floors[family].order
