"""Another target: the nearest ones of the catalogue on which a subject runs as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

from runworthy.model.arch import Architecture, architecture
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import FormatError, RunworthyError
from runworthy.model.finding import Cost, Result
from runworthy.model.records import dataclass, replace
from runworthy.model.trace import Answer, Step
from runworthy.remedies.images import image_on, meant_by
from runworthy.remedies.situation import Proposal, Situation, system_of
from runworthy.remedies.target_sizes import SIZES
from runworthy.rules.known import known_loader, libc_of_library
from runworthy.targets.catalogue import Summary, open_catalogue
from runworthy.targets.catalogue.naming import is_built_on, split_architecture
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT, locate, place
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["elf_facts", "nearest", "unpacked_size", "whole"]

Lacks = frozenset[tuple[str, str]]

_JUDGEMENTS = 12
_REMEDIES = 3
_OF_ONE_FAMILY = 2
_NODES = 400
"""Of how many version needs of one file it is asked who has them first."""

_NO_SYSTEMS = frozenset(("glibc", "manylinux", "musllinux"))
"""Families of the catalogue that nobody runs: they are what a distribution has, or what builds are held against."""
_RPM = ("almalinux", "rockylinux", "oraclelinux", "rhel", "centos", "fedora")
_USUAL: Mapping[str, tuple[str, ...]] = {
    "alpine": ("debian", "ubuntu", "busybox", "almalinux", "fedora"),
    "debian": ("ubuntu", "almalinux", "fedora", "alpine"),
    "ubuntu": ("debian", "almalinux", "fedora", "alpine"),
    **dict.fromkeys(_RPM, (*_RPM, "debian", "ubuntu", "alpine")),
    "": ("debian", "ubuntu", "almalinux", "fedora", "alpine", "opensuse/leap"),
}
"""Where people go from a family when its own releases will not do, the likeliest first."""


def whole(situation: Situation) -> Iterator[Proposal]:
    """Yield the nearest targets on which the subject runs, each judged there; then those of which too little is known.

    Nothing else is changed: neither the subject, nor what it is started with. A file that may not be executed as it is
    may not elsewhere either, whatever a target says of a file that somebody has to put there first.
    """
    from itertools import islice

    if any(_is_of_the_file(step) for step in situation.result.trace.needs):
        return
    found: dict[str, int] = {}
    unsure: list[Proposal] = []
    missing, unclear = _lacked(situation.result, Answer.UNMET), _lacked(situation.result, Answer.UNKNOWN)
    for row in islice(nearest(situation), _JUDGEMENTS):
        if found.get(row.family) or len(found) >= _REMEDIES:
            continue
        try:
            target, path = _placed(situation, row)
            result = situation.judge(target, path)
        except (RunworthyError, OSError):
            continue
        if result.verdict == "fails":
            continue
        proposal = _proposal(situation, row, target, path)
        if result.verdict == "runs":
            found[row.family] = 1
            yield proposal
        elif _gains(missing, unclear, _lacked(result, Answer.UNKNOWN)) and _helps(situation.result, result):
            unsure.append(replace(proposal, title=f"run it on `{target.name}`", unprovable=_doubt(target, result)))
    yield from unsure[: max(_OF_ONE_FAMILY - len(found), 0)]


def _helps(here: Result, there: Result) -> bool:
    """Whether something that fails here is known to be met there, where anything is known to fail here."""

    def needs(result: Result, answer: Answer) -> set[tuple[str, str, str | None]]:
        steps = (one for one in result.trace.needs if one.answer is answer and one.because is None)
        return {(one.need.kind, one.need.name, one.need.version) for one in steps if one.need.kind != "caller"}

    lacks = needs(here, Answer.UNMET)
    bound = {one for one in lacks if one[0] in ("symbol", "symbol-version")}  # those that are met are not all told
    return not lacks or not lacks.isdisjoint(needs(there, Answer.MET)) or not bound <= needs(there, Answer.UNKNOWN)


def _is_of_the_file(step: Step) -> bool:
    """Whether a need is not met because of the subject's own permissions."""
    return step.need.kind == "permission" and step.answer is Answer.UNMET and step.because is None


def _proposal(situation: Situation, row: Summary, target: Target, path: str) -> Proposal:
    here = situation.target.arch
    before = unpacked_size(situation.target.name, here)
    after = unpacked_size(row.name, row.arch)
    return Proposal(
        title=f"run it on `{target.name}`: there it runs as it is",
        path="" if path == situation.path else path,
        approach="target",
        cost=Cost(size=None if before is None or after is None or row.arch is not here else after - before),
        target=target,
    )


def _doubt(target: Target, result: Result) -> str:
    """Return in words why it is not certain that a subject runs on a target."""
    unknown = _unknown(result)
    if result.verdict == "unknown" and unknown:
        names = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        return f"what is known of {target.name} fits; it is not known whether it has {names}"
    first = next((one.message for one in result.findings), "")
    return f"judged there, it is {result.verdict}{f': {first}' if first else ''}"


def _gains(missing: Lacks, unclear: Lacks, doubts: Lacks) -> bool:
    """Whether something is known to be there that is missing here, or is not in doubt there as it is here."""
    return not missing & doubts and bool(missing or unclear - doubts)


def _lacked(result: Result, answer: Answer) -> Lacks:
    """Return the kinds and names of what has an answer, and not for want of something else."""
    steps = [step for step in result.trace.needs if step.answer is answer and step.because is None]
    return frozenset((step.need.kind, step.need.name) for step in steps)


def _unknown(result: Result) -> list[str]:
    """Return the libraries of which it is not known whether a target has them."""
    return list(
        dict.fromkeys(
            step.need.name
            for step in result.trace.needs
            if step.answer is Answer.UNKNOWN and step.because is None and step.need.kind == "library"
        )
    )


def unpacked_size(name: str, arch: Architecture) -> int | None:
    """Return how many bytes the files of a target of the catalogue hold, None where that is not known."""
    base = meant_by([text for text, _ in split_architecture(name)][-1]).base
    for row in SIZES.get(base, "").split():
        known, _, size = row.partition("=")
        if known == arch.name:
            return int(size)
    return None


# -- which are near ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a subject asks of a target, as far as it stands in the subject itself.

    ``libc`` is the C library that it is built for, empty where it is none or not known. ``floors`` are the oldest
    releases, by family, that have the versions it needs; a family that has none of them is not in it.
    """

    arch: Architecture
    libc: str
    floors: Mapping[str, tuple[int, ...]] | None

    def reached(self, row: Summary) -> bool:
        """Whether a target has the versions that are needed, by their names."""
        return self.floors is None or row.order >= self.floors.get(row.family, (1 << 30,))


def nearest(situation: Situation, today: date | None = None) -> Iterator[Summary]:
    """Yield the targets that may do, the nearest first: the family's newer releases, older ones, then other families.

    Releases that are still supported come before those that are not.
    """
    day = (today or datetime.now(UTC).date()).isoformat()
    wanted = _wanted(situation)
    current = _current(situation)
    index = open_catalogue().index()
    rows = [
        row
        for row in index.targets()
        if row.arch is wanted.arch
        and row.family not in _NO_SYSTEMS
        and (not wanted.libc or row.libc.family == wanted.libc)
        and (current is None or row.name != current.name or row.arch is not current.arch)
    ]
    family = current.family if current else ""
    if current is not None and current.arch is not wanted.arch:
        yield from (row for row in rows if row.name == current.name)
    order = current.order if current else (0,)
    own = [row for row in rows if row.family == family and (current is None or row.name != current.name)]
    newer = sorted((row for row in own if row.order > order), key=lambda row: (not _alive(row, day), row.order))
    older = sorted((row for row in own if row.order < order and _alive(row, day)), key=lambda row: row.order)
    yield from (row for row in newer if wanted.reached(row) and row.eol != "rolling")
    yield from (row for row in reversed(older[-_OF_ONE_FAMILY:]) if wanted.reached(row))
    for other in _USUAL.get(family, _USUAL[""]):
        if other != family:
            yield from _best([row for row in rows if row.family == other and wanted.reached(row)], day)


def _best(rows: Sequence[Summary], day: str) -> Sequence[Summary]:
    """Return the newest releases of a family that are supported, those whose files are all known first."""
    held = [row for row in rows if row.eol != "rolling" and _alive(row, day)]
    held.sort(key=lambda row: (row.completeness == "closed", bool(row.eol_support), row.order), reverse=True)
    return held[:_OF_ONE_FAMILY]


def _alive(row: Summary, day: str) -> bool:
    """Whether a release is supported, for everybody: by its own date, or in its long-term support."""
    return row.eol in (None, "rolling") or max(row.eol, row.eol_support.get("lts", "")) >= day


def _current(situation: Situation) -> Summary | None:
    """Return the target of the catalogue that the situation's is, or is most like; None where none is."""
    arch = situation.target.arch
    name = [text for text, _ in split_architecture(situation.target.name)][-1]
    base = meant_by(name).base
    if not base:
        system = system_of(situation.target)
        base = meant_by(f"{system.family[0]}:{system.version}").base if system.family and system.version else ""
    rows = [row for row in open_catalogue().index().targets() if row.name == base]
    return next((row for row in rows if row.arch is arch), None)


def _wanted(situation: Situation) -> _Wanted:
    facts = elf_facts(situation)
    if facts is None:
        return _Wanted(arch=situation.target.arch, libc="", floors=None)
    arch = facts.architecture or situation.target.arch
    asked = [*([facts.interpreter] if facts.interpreter else []), *facts.needed]
    libc = known_loader(facts.interpreter).family if facts.interpreter else ""
    libc = libc or next(filter(None, (libc_of_library(name.rpartition("/")[2]) for name in asked)), "")
    floors = _floors(facts, arch) if libc == "glibc" else None
    return _Wanted(arch=arch, libc=libc if libc in ("glibc", "musl") else "", floors=floors)


def _floors(facts: ElfFacts, arch: Architecture) -> Mapping[str, tuple[int, ...]] | None:
    """Return the oldest release of each family that has every version which some release of the catalogue has."""
    index = open_catalogue().index()
    orders = {row.name: (row.family, row.order) for row in index.targets() if row.arch is arch}
    floors: dict[str, tuple[int, ...]] | None = None
    for need in facts.version_needs[:_NODES]:
        first = dict(orders[name] for name in index.first_with(need.version, arch) if name in orders)
        if need.weak or not first:
            continue
        if floors is None:
            floors = first
        else:
            floors = {family: max(floors[family], order) for family, order in first.items() if family in floors}
    return floors


def elf_facts(situation: Situation) -> ElfFacts | None:
    """Return what the subject says as an ELF file, None where it is none or cannot be read."""
    if situation.file is not None:
        return None
    view = situation.target.view
    try:
        return view.elf(view.resolve(situation.path).path).facts
    except (FormatError, OSError, UnseenError):
        return None


# -- the subject on another target ---------------------------------------------------------------


def _placed(situation: Situation, row: Summary) -> tuple[Target, str]:
    """Return a target with the subject, and what came with it, in its root; and the path there. Raises OSError."""
    held = situation.target
    same = row.arch is held.arch
    target = TargetName(_name(situation, row)).open(row.arch)
    overlay = Overlay(target.view)
    # Whoever takes another root takes it to the machine that was meant: its kernel, its pages, its processor.
    machine = held.machine if same else target.machine
    if not machine.level_stated:  # what is merely assumed is assumed anew
        machine = replace(machine, level=target.machine.level)
    target = replace(target, view=overlay, machine=machine)
    if not situation.inside:
        overlay.mount(SUBJECT_ROOT, held.view, SUBJECT_ROOT)
        return target, situation.path
    directory = _directory(held.view)
    if directory is not None:
        return target, place(locate(situation.path, directory), target, overlay)
    path = SUBJECT_ROOT + situation.path
    overlay.add_from(path, held.view, held.view.resolve(situation.path).path)
    return target, path


def _name(situation: Situation, row: Summary) -> str:
    """Return what a target is called here: an image of the same software, where the situation's is one."""
    written, arch = [*split_architecture(situation.target.name)][-1]
    name = row.name
    if is_built_on(written.partition(":")[0]):
        image = image_on(written, row.name).target
        if image and meant_by(image).base == row.name:
            name = image
    stated = arch or row.arch is not situation.target.arch
    return f"{name}/{row.arch.name}" if stated and architecture(row.arch.name) is row.arch else name


def _directory(view: FileView) -> DirectoryView | None:
    """Return the directory that lies below the overlays of a root, None where it is something else."""
    while isinstance(view, Overlay):
        view = view.base
    return view if isinstance(view, DirectoryView) else None
