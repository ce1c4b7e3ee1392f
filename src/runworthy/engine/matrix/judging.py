"""One cell: an asset on a target. What a person starts decides, and what is for another platform is not judged."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from runworthy.engine.matrix.elsewhere import told_elsewhere
from runworthy.model.finding import Result, Verdict
from runworthy.model.matrix import Asset, Cell, Column, Fit, Member
from runworthy.model.trace import Answer, Step
from runworthy.targets.catalogue.naming import python_tag

__all__ = ["archs_on", "cell_of", "excluded", "is_manager_of", "systems_of", "worth_judging"]

_ALSO: Mapping[str, frozenset[str]] = {
    "x86_64": frozenset(("i386", "x32")),
    "aarch64": frozenset(("armv7", "armv6", "armel")),
    "armv7": frozenset(("armv6", "armel")),
    "armv6": frozenset(("armv7",)),  # their files are alike (Arm ELF ABI): the processor tells
    "ppc64": frozenset(("ppc64le",)),
}
"""Architectures whose programs the kernel of another may start: the check says whether it does."""

_SYSTEMS_OF = {"ape": ("linux", "windows", "macos"), "script": ("linux", "macos")}

_MANAGERS = {"deb": "dpkg", "udeb": "dpkg", "rpm": "rpm", "apk": "apk", "pkg.tar.zst": "pacman", "pkg.tar.xz": "pacman",
    "ipk": "opkg"}  # fmt: skip
"""What installs a package, by how it is packed."""

_RANK: Mapping[Verdict, int] = {"runs": 0, "risky": 1, "unknown": 2, "fails": 3}
_PORTABLE = {"whl": "Python", "jar": "Java", "phar": "PHP", "pex": "Python", "nupkg": ".NET"}


def is_manager_of(asset: Asset) -> str:
    """Return what installs an asset that is a system's package, empty for any other."""
    return _MANAGERS.get(asset.claims.packing, "")


def worth_judging(asset: Asset, column: Column) -> bool:
    """Whether the check is asked: the target has a root, and something in the asset may be started on it."""
    return column.modelled and not asset.problem and bool(asset.members) and not excluded(asset, column)


def excluded(asset: Asset, column: Column) -> str:
    """Return, in a sentence, why an asset is not for a target at all; empty where it may be."""
    manager = is_manager_of(asset)
    if manager and column.modelled and manager != column.manager:
        with_ = f"{column.name} installs with {column.manager}" if column.manager else f"{column.name} has no {manager}"
        return f"it is a package for {manager}, {with_}"
    if manager and not column.modelled:
        return f"it is a package for {manager}"
    tag = _refused_by_tag(asset, column)
    if tag:
        return tag
    systems = _systems_of(asset)
    if systems and column.system not in systems:
        return f"it is for {_words(systems)}"
    archs = archs_on(asset, column.system)
    fits = column.arch in archs if asset.claims.packing == "whl" else _may_run(archs, column)  # pip emulates nothing
    if archs and "any" not in archs and not fits:
        return f"it is for {_words(archs)}"
    return ""


def _systems_of(asset: Asset) -> Sequence[str]:
    """Return the systems that an asset is for: its name says which of those that its bytes are for.

    Where the bytes cannot be read, the name alone does.
    """
    held = dict.fromkeys(system for one in asset.members for system in systems_of(one))
    claimed = asset.claims.system
    return [claimed] if claimed and (claimed in held or not held) else list(held)


def archs_on(asset: Asset, system: str) -> Sequence[str]:
    """Return the architectures that an asset is for on a system: those of its programs there, if it has any."""
    held = [one for one in asset.members if system in systems_of(one)]
    if not held:
        return () if asset.members else asset.claims.archs
    decide = [one for one in held if one.role == "program"] or held
    return list(dict.fromkeys(arch for one in decide for arch in one.archs))


def systems_of(member: Member) -> tuple[str, ...]:
    """Return the systems that a file is for: an APE for all that are told about, a script for those with ``#!``."""
    return _SYSTEMS_OF.get(member.format, (member.system,))


def _may_run(archs: Iterable[str], column: Column) -> bool:
    held = set(archs)
    if column.system == "linux":
        return column.arch in held or bool(held & _ALSO.get(column.arch, frozenset()))
    if column.system == "windows":  # WOW64, and the emulation of Windows on ARM
        return bool(held & ({"x86_64", "i386"} | ({"aarch64"} if column.arch == "aarch64" else set())))
    return column.arch in held or (column.arch == "aarch64" and "x86_64" in held)  # Rosetta 2


def _refused_by_tag(asset: Asset, column: Column) -> str:
    """Return why an installer of wheels would not take one there (PEP 600: the C library is older; PEP 656)."""
    tags = [found for text in asset.claims.tags if (found := python_tag(text))]
    if not tags or column.system != "linux":
        return ""
    family, _, release = column.libc.partition(" ")
    version = tuple(int(part) for part in release.split(".") if part.isdigit())
    wanted = {"glibc": "manylinux", "musl": "musllinux"}.get(family, "")
    if not wanted or any(tag.family == wanted and tag.version <= version for tag in tags):
        return ""
    names = " or ".join(dict.fromkeys(tag.name for tag in tags))
    return f"its tag is {names}, {column.name} has {column.libc}"


# -- what the check says ---------------------------------------------------------------------------


def cell_of(asset: Asset, column: Column, results: Sequence[Result]) -> Cell:
    """Return the cell of an asset on a target; ``results`` are those of its members there."""
    reason = excluded(asset, column)
    if reason:
        return _cell(asset, column, "not-for", reason)
    if asset.problem:
        return _cell(asset, column, "unknown", f"cannot be judged: {asset.problem}")
    if not asset.members:
        with_ = _PORTABLE.get(asset.claims.packing)
        held = (
            f"it holds nothing that is built for a platform: it needs {with_}" if with_ else "nothing in it is judged"
        )
        return _cell(asset, column, "unknown", held)
    if not column.modelled:
        member, sentence = told_elsewhere(asset, column)
        return _cell(asset, column, "unknown", sentence, member)
    return _judged(asset, column, _relevant(asset, column, results))


def _cell(asset: Asset, column: Column, fit: Fit, reason: str, member: str = "") -> Cell:
    return Cell(asset=asset.path, target=column.name, fit=fit, reason=reason, member=member)


def _relevant(asset: Asset, column: Column, results: Sequence[Result]) -> list[Result]:
    """Return the results of what may be started there: of a release for many platforms in one, the target's own."""
    members = {one.name: one for one in asset.members}
    native = [one for one in asset.members if one.format != "script"]
    every = {arch for one in native for arch in one.archs}
    if len(every) < 2 and len({one.system for one in native}) < 2:
        return list(results)
    own = {column.arch} if column.arch in every else {column.arch, *_ALSO.get(column.arch, ())}
    return [
        result
        for result in results
        if result.subject not in members
        or members[result.subject].format in _SYSTEMS_OF
        or (members[result.subject].system == "linux" and own.intersection(members[result.subject].archs))
    ]


def _judged(asset: Asset, column: Column, results: list[Result]) -> Cell:
    if not results:
        return _cell(asset, column, "unknown", "nothing in it was judged")
    members = {one.name: one for one in asset.members}
    whole = [one for one in results if one.subject == asset.path and asset.path not in members]
    files = [one for one in results if one not in whole]
    programs = [one for one in files if not one.is_library]
    libraries = [one for one in files if one.is_library]
    # What an archive's own rule takes there counts as well: it may take nothing, or the wrong thing.
    decide = [one for one in whole if one.verdict in ("fails", "unknown")] or programs
    decide = decide or _best_of_variants(libraries, members) or whole
    worst = max(decide, key=lambda one: _RANK[one.verdict])
    fit, reason = worst.verdict, _reason(asset, worst, members.get(worst.subject), len(decide))
    if fit == "fails" and is_manager_of(asset) and _wants_libraries(worst):
        fit, reason = "unknown", f"{reason}: what the package depends on is to bring it"
    failing = next((one for one in libraries if programs and one.verdict == "fails"), None)
    if fit == "runs" and failing is not None:
        worst, fit = failing, "risky"
        reason = f"its programs run, its library {inside(failing.subject)} does not: {_message(failing)}"
    return Cell(
        asset=asset.path,
        target=column.name,
        fit=fit,
        reason=reason,
        member=worst.subject if len(results) > 1 or worst.subject != asset.path else "",
        results=tuple(results),
    )


def _best_of_variants(libraries: Sequence[Result], members: Mapping[str, Member]) -> list[Result]:
    """Return libraries, of those that are one for each C library only the best: whoever loads them chooses."""
    groups: dict[str, list[Result]] = {}
    for one in libraries:
        groups.setdefault(posixpath.basename(one.subject), []).append(one)
    found: list[Result] = []
    for group in groups.values():
        linkages = {members[one.subject].linkage for one in group if one.subject in members}
        found += [min(group, key=lambda one: _RANK[one.verdict])] if len(linkages) > 1 else group
    return found


def _reason(asset: Asset, result: Result, member: Member | None, number: int) -> str:
    where = "" if result.subject == asset.path else f"{inside(result.subject)}: "
    if result.verdict != "runs":
        told = _message(result)
        return told if told.startswith(inside(result.subject)) else f"{where}{told}"
    if member is not None and member.linkage == "static":
        return "it is static, and asks for no C library" if number == 1 else "its programs are static"
    loads = "loads" if result.is_library else "runs"
    return f"it {loads}" if number == 1 else f"all {number} {'libraries load' if result.is_library else 'programs run'}"


def inside(subject: str) -> str:
    """Return a member's path in its asset, or the file's own name."""
    _, bang, path = subject.partition("!")
    return f"`{path}`" if bang else f"`{posixpath.basename(subject)}`"


def _message(result: Result) -> str:
    """Return the gravest finding's message, with the file by its own name; else what no rule has put into words."""
    order = {"error": 0, "warning": 1, "note": 2}
    for finding in sorted(result.findings, key=lambda one: order[one.severity]):
        return finding.message.replace(f"`{result.subject}`", inside(result.subject))
    step = next((step for step in result.trace.needs if step.answer in (Answer.UNMET, Answer.UNKNOWN)), None)
    if step is not None:
        return f"{step.need.kind} {step.need.name}: {step.detail or step.answer.value}"
    return f"relies on {result.assumptions[0]}" if result.assumptions else result.verdict


def _wants_libraries(result: Result) -> bool:
    """Whether nothing but libraries is missing, and what follows from that."""
    unmet: list[Step] = [step for step in result.trace.needs if step.answer is Answer.UNMET and not step.need.weak]
    return bool(unmet) and all(step.need.kind == "library" or step.because for step in unmet)


def _words(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)
