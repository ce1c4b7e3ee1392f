"""RW816: files differ from others in a few blocks alone, and take room for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.edit import ShareFile
from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.storage import Partial
from runworthy.rules import Case, Match
from runworthy.rules.words import bytes_of, count, finding, rows

CODE = "RW816"
NAME = "partial-duplicate"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("partial",)
ORDER = 55

_SHOWN = 8


def check(case: Case) -> Iterator[Match]:
    """Yield what all such files of an environment come to."""
    found = [one for one in case.stored("partial") if isinstance(one, Partial)]
    if found:
        yield Match(finding=_finding(case, sorted(found, key=lambda one: (-one.equal, one.file.names))))


def _finding(case: Case, found: Sequence[Partial]) -> Finding:
    size, equal = sum(one.file.size for one in found), sum(one.equal for one in found)
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"`{case.show(case.path)}` stores {count(len(found), 'file')} ({bytes_of(size)}) again that others have too "
        f"but for {bytes_of(size - equal)}",
        cause="files differ from others in a few blocks alone",
        steps=(),
        stage="environment",
        identity=case.path,
        lines=_table(case, found),
        notes=(
            "the file system shares blocks, so that only those that differ take room",
            "each stays a file of its own: a change of one is none of the other",
        ),
        remedies=(_sharing(found, equal),),
    )


def _table(case: Case, found: Sequence[Partial]) -> tuple[str, ...]:
    table = rows(
        (
            case.show(one.file.names[0]),
            bytes_of(one.file.size),
            f"all but {bytes_of(one.file.size - one.equal)}",
            "as in",
            case.show(one.kept.names[0]),
        )
        for one in found[:_SHOWN]
    )
    more = len(found) - len(table)
    return (*table, f"and {count(more, 'more file')}") if more > 0 else table


def _sharing(found: Sequence[Partial], equal: int) -> Remedy:
    """Return that their equal blocks are shared. It is proved: these were compared, and the kernel shares no others."""
    return Remedy(
        title=f"share parts of {count(len(found), 'file')}, which frees {bytes_of(equal)}: "
        "`runworthy dedupe PATH --apply`",
        applicability="safe",
        proved=True,
        proof="their blocks were compared, and the kernel compares them once more before it shares one",
        edits=tuple(
            ShareFile(
                paths=one.file.names,
                kept=one.kept.names[0],
                how="ranges",
                size=one.file.size,
                frees=one.equal,
                ranges=one.ranges,
            )
            for one in found
        ),
        stays=True,
    )
