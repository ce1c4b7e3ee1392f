"""What all reports on storage tell: a sentence on the whole, and what is stored again by pairs, packages and files.

Sizes are in bytes, as the file system counts blocks.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from runworthy.model.records import dataclass, replace
from runworthy.model.storage import BARS, CAUSES, Bar, Cause, Environment, How, Spare, StorageReport
from runworthy.report.words import bytes_of, count, size

if TYPE_CHECKING:
    from collections.abc import Hashable

    from runworthy.model.finding import Finding

__all__ = [
    "HOWS",
    "Group",
    "Left",
    "Package",
    "Pair",
    "Told",
    "by_file",
    "by_package",
    "by_pair",
    "day",
    "done",
    "findings",
    "left",
    "looked_at",
    "meanings",
    "notes",
    "of_causes",
    "passed_over",
    "sentence",
    "short",
    "spares_of",
    "taken",
    "top_of",
    "within",
    "without_files",
    "words_of",
]

HOWS: Mapping[How, str] = {
    "extents": "shared storage",
    "clone": "reflink",
    "hardlink": "hard link",
    "symlink": "symbolic link",
    "ranges": "shared parts",
}
"""What a file becomes that is shared."""
_RANK = {"error": 0, "warning": 1, "note": 2}
Key = TypeVar("Key", bound="Hashable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What one environment stores again that another one has; ``other`` is the same where it has it itself."""

    environment: str
    other: str
    files: int
    size: int
    frees: int
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What is stored again of a package; ``name`` is empty of what is in nobody's records."""

    name: str
    versions: tuple[str, ...]
    environments: int
    files: int
    size: int
    frees: int
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A file that is kept, and those that hold the same bytes again, the largest first."""

    path: str
    size: int
    frees: int
    spares: tuple[Spare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is left as it is for one reason."""

    bar: Bar
    files: int
    size: int

    @property
    def words(self) -> str:
        """The reason."""
        return BARS[self.bar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Findings of one cause, the one that costs most first."""

    findings: tuple[Finding, ...]


# -- the whole ---------------------------------------------------------------------------------------


def sentence(report: StorageReport) -> str:
    """Return what is stored again, and by how much it can shrink."""
    where = _where(report)
    again = "stored again" if report.new is None else "newly stored again"
    if not report.again:
        return f"nothing is {again}{where}"
    what = f"{bytes_of(report.again)} of {bytes_of(report.allocated)} is {again}{where}"
    if not report.reasons:
        return f"{what}; what of it can be freed was not asked"
    if not report.frees:
        return f"{what}; none of it can be freed"
    share = f" ({100 * report.frees / report.allocated:.0f} %)" if report.allocated >= report.frees else ""
    return f"{what}; {bytes_of(report.frees)} can be freed{share}"


def _where(report: StorageReport) -> str:
    caches = sum(one.is_cache for one in report.environments)
    held = [count(len(report.environments) - caches, "environment")] if len(report.environments) > caches else []
    held += [count(caches, "cache")] if caches else []
    return f" in {' and '.join(held)}" if held else ""


def looked_at(report: StorageReport) -> Iterator[str]:
    """Yield what was looked at, and what of it is shared or new."""
    yield f"looked at {count(report.files, 'file')}, {bytes_of(report.allocated)}"
    names = f"named {' or '.join(f'`{pattern}`' for pattern in report.only)}" if report.only else ""
    least = f"of {size(report.min_size)} and more" if report.min_size > 1 else ""
    if names or least:
        yield f"compared those {' and '.join(filter(None, [names, least]))}"
    if report.shared:
        yield f"{bytes_of(report.shared)} is shared already"
    if report.new is not None:
        yield "what an earlier run told is left out"


def done(report: StorageReport) -> str:
    """Return what was freed; nothing where nothing was done."""
    held = report.reclaimed
    if held is None:
        return ""
    if not held.shared:
        return "nothing was shared"
    frees = sum(size for _, _, size in held.shared)
    planned = f" of {bytes_of(held.estimated)} that was planned" if frees != held.estimated else ""
    more = f"{bytes_of(held.measured)} more" if held.measured >= 0 else "less"
    return (
        f"{count(len(held.shared), 'file')} shared, which frees {bytes_of(frees)}{planned}; "
        f"statvfs(3) says that {more} is free than before"
    )


def notes(report: StorageReport) -> Iterator[str]:
    """Yield what is to be known of how it is known, and of what sharing means."""
    for proof, words in (
        ("recorded", "by the hashes that installers recorded: recorded, not read"),
        ("remembered", "as an earlier run compared them, and they have not changed since: remembered"),
    ):
        held = [spare for spare in report.spares if spare.proof == proof]
        if held:
            total = bytes_of(sum(spare.file.allocated for spare in held))
            yield f"{count(len(held), 'file')} ({total}) {'is' if len(held) == 1 else 'are'} equal {words}"
    if report.partial:
        files = count(len(report.partial), "file differs", "files differ")
        yield f"{files} from another one in a few blocks alone, and may share the others: {bytes_of(_equal(report))}"
    hows: set[str] = {share.how for share in report.shares}
    yield from _trade(links="hardlink" in hows, extents=bool(hows & {"extents", "clone", "ranges"}))
    plain = sum(len(waste.shares) for waste in report.wastes if waste.is_one_file)
    if plain:
        files = count(plain, "file becomes one with another", "files become one with others")
        yield f"{files}, and one or both are of no package: who changes such in place changes it under each name"
    one = sum(1 for spare in report.spares if spare.how and spare.why)
    if one:
        files = count(one, "file becomes", "files become")
        yield f"{files} one library with another of the same environment: a process that loads both has one set of data"
    if "symlink" in hows:
        yield "a symbolic link leads nowhere once the environment of the file that is kept is removed"


def _equal(report: StorageReport) -> int:
    return sum(one.equal for one in report.partial)


def _trade(*, links: bool, extents: bool) -> Iterator[str]:
    """Yield what one file with several names and files of one storage differ in.

    Memory holds pages by inode (fincore(1) shows that a reflink has none of those that the other file has).
    """
    linked = "a hard link is one file: memory holds it once, and a program that writes into it changes it everywhere"
    shared = "files with shared storage stay apart: each may change alone, and memory holds each that is in use"
    if links:
        yield f"{linked}; {shared}" if extents else linked
    elif extents:
        yield shared


def findings(report: StorageReport) -> list[Told]:
    """Return the findings, those of one rule and one cause together; the worst first, then what costs most.

    A rule on what is stored again is called as its cause is.
    """
    costs: Counter[tuple[str, str]] = Counter()
    for waste in report.wastes:
        costs[waste.environment, waste.cause] += waste.size
    found: dict[tuple[str, ...], list[tuple[int, Finding]]] = {}
    for result in report.results:
        for finding in result.findings:
            if not finding.waived:
                key = (finding.code, finding.severity, finding.cause or finding.message)
                found.setdefault(key, []).append((costs[result.path, finding.name], finding))
    ranked = sorted(found.values(), key=lambda held: (_RANK[held[0][1].severity], -sum(cost for cost, _ in held)))
    return [Told(findings=tuple(one for _, one in sorted(held, key=lambda row: -row[0]))) for held in ranked]


# -- what is stored again ----------------------------------------------------------------------------


def by_pair(report: StorageReport) -> list[Pair]:
    """Return what is stored again by environments, the largest first."""
    rows = []
    for (name, other), spares in _grouped(spares_of(report), _environments):
        total, frees = _totals(spares)
        pair = Pair(environment=name, other=other, files=len(spares), size=total, frees=frees, causes=_causes(spares))
        rows.append(pair)
    return sorted(rows, key=lambda row: (-row.size, row.environment, row.other))


def _environments(spare: Spare) -> tuple[str, str]:
    return spare.owner.environment, spare.kept_owner.environment


def by_package(report: StorageReport) -> list[Package]:
    """Return what is stored again by packages, the largest first."""
    rows = []
    for name, spares in _grouped(spares_of(report), lambda spare: spare.owner.package):
        total, frees = _totals(spares)
        package = Package(
            name=name,
            versions=tuple(sorted({spare.owner.version for spare in spares if spare.owner.version})),
            environments=len({spare.owner.environment for spare in spares}),
            files=len(spares),
            size=total,
            frees=frees,
            causes=_causes(spares),
        )
        rows.append(package)
    return sorted(rows, key=lambda row: (-row.size, row.name))


def by_file(report: StorageReport, limit: int) -> tuple[list[Group], int]:
    """Return the files that are kept, each with those that hold the same, and how many there are.

    What they take together the largest first, and no more than ``limit`` of them: there may be tens of thousands.
    """
    held = [
        (-sum(spare.file.allocated for spare in spares), _name(spares[0].kept.names), at, spares)
        for at, (_, spares) in enumerate(_grouped(spares_of(report), _kept))
    ]
    rows = []
    for _, path, _, spares in sorted(held)[:limit]:
        total, frees = _totals(spares)
        ordered = sorted(spares, key=lambda spare: (-spare.file.allocated, spare.file.names))
        rows.append(Group(path=path, size=total, frees=frees, spares=tuple(ordered)))
    return rows, len(held)


def _kept(spare: Spare) -> tuple[int, int]:
    return spare.kept.device, spare.kept.inode


def _name(names: Sequence[str]) -> str:
    return names[0] if names else ""


def left(report: StorageReport) -> list[Left]:
    """Return what is left as it is, by reasons, the largest first."""
    held: dict[Bar, list[int]] = {}
    for spare in spares_of(report):
        if spare.bar:
            held.setdefault(spare.bar, []).append(spare.file.allocated)
    rows = [Left(bar=bar, files=len(sizes), size=sum(sizes)) for bar, sizes in held.items()]
    return sorted(rows, key=lambda row: (-row.size, row.bar))


def spares_of(report: StorageReport) -> list[Spare]:
    """Return the files that take room again: those that share their storage already do not."""
    return [spare for spare in report.spares if spare.bar != "already-shared"]


def without_files(finding: Finding) -> Finding:
    """Return a finding whose proposals do not tell each file that they would share: there may be very many."""
    from runworthy.model.edit import ShareFile

    remedies = (
        replace(one, edits=tuple(edit for edit in one.edits if not isinstance(edit, ShareFile)))
        for one in finding.remedies
    )
    return replace(finding, remedies=tuple(remedies))


def _grouped(spares: Iterable[Spare], key: Callable[[Spare], Key]) -> list[tuple[Key, list[Spare]]]:
    found: dict[Key, list[Spare]] = {}
    for spare in spares:
        found.setdefault(key(spare), []).append(spare)
    return list(found.items())


def _totals(spares: Iterable[Spare]) -> tuple[int, int]:
    size = frees = 0
    for spare in spares:
        size += spare.file.allocated
        frees += 0 if spare.bar else spare.frees
    return size, frees


def _causes(spares: Iterable[Spare]) -> tuple[Cause, ...]:
    """Return why they are stored again, what costs most first."""
    sizes: Counter[Cause] = Counter()
    for spare in spares:
        sizes[spare.cause] += spare.file.allocated
    return tuple(cause for cause, _ in sorted(sizes.items(), key=lambda row: (-row[1], row[0])))


# -- words -------------------------------------------------------------------------------------------


def of_causes(causes: Sequence[Cause]) -> str:
    """Return the causes in the words of a narrow column, the heaviest first."""
    more = f" +{len(causes) - 1}" if len(causes) > 1 else ""
    return f"{causes[0].replace('-', ' ')}{more}" if causes else ""


def passed_over(report: StorageReport) -> Iterator[str]:
    """Yield what was not compared, with numbers."""
    for why, number in report.passed_over.items():
        one, many = _PASSED_OVER.get(why, (why, why))
        if number:
            yield f"{number} {one if number == 1 else many}"


_PASSED_OVER: Mapping[str, tuple[str, str]] = {
    "small": ("smaller file", "smaller files"),
    "link": ("symbolic link", "symbolic links"),
    "special": ("file that holds no bytes", "files that hold no bytes"),
    "pseudo": ("directory of the kernel", "directories of the kernel"),
}


def words_of(bar: Bar) -> str:
    """Return why a file is left, in words."""
    return BARS[bar]


def meanings(rows: Iterable[Pair | Package]) -> list[tuple[str, str]]:
    """Return what the words of that column mean, for those that are used first in a row."""
    used = {row.causes[0] for row in rows if row.causes}
    return [(cause.replace("-", " "), words) for cause, words in CAUSES.items() if cause in used]


def taken(environment: Environment) -> str:
    """Return what an environment takes in words."""
    return bytes_of(environment.allocated) if environment.is_counted else "not counted"


def top_of(paths: Iterable[str]) -> str:
    """Return the directory below which all of these lie; empty where that is the root, or nothing is won by it."""
    held = list(dict.fromkeys(path for path in paths if path))
    if len(held) < 2 or not all(path.startswith("/") for path in held):
        return ""
    top = posixpath.commonpath(held)
    return "" if top == "/" else top


def within(path: str, top: str) -> str:
    """Return a path as seen from a directory that it may lie below."""
    if not top or path == top:
        return "." if top else path
    return path[len(top) + 1 :] if path.startswith(f"{top}/") else path


def short(text: str, width: int, dots: str = "…") -> str:
    """Return a text of at most so many columns: what is too long loses its middle, for both ends of a path tell."""
    if len(text) <= width:
        return text
    room = max(width - len(dots), 2)
    return f"{text[: room // 3]}{dots}{text[len(text) - (room - room // 3) :]}"


def day(moment: int) -> str:
    """Return the day of a time in nanoseconds, as of UTC; ``never`` of 0, nothing of what is no time."""
    from time import gmtime, strftime

    try:
        return strftime("%Y-%m-%d", gmtime(moment // 10**9)) if moment else "never"
    except (OverflowError, OSError, ValueError):  # a file system holds any number, and no calendar does
        return ""
