"""From a report to plans: the subjects that do not run on a target, placed in it together, and what helps them all."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Sequence

from runworthy.engine import Wishes
from runworthy.engine.again import Latest, judge_again
from runworthy.engine.containers import Holder, found_at, split_member
from runworthy.engine.context import launch_on
from runworthy.engine.opening import archive_at
from runworthy.engine.subjects import MARK, Subject, read_subject
from runworthy.engine.trees import Found
from runworthy.model.arch import Architecture
from runworthy.model.edit import InstallPackages
from runworthy.model.errors import RunworthyError
from runworthy.model.finding import Remedy, Report, Result, Tree
from runworthy.model.plan import FixReport, Plan
from runworthy.model.records import dataclass, replace
from runworthy.remedies.libraries import shown
from runworthy.remedies.search import causes, solve, step_key
from runworthy.remedies.situation import Means, Situation
from runworthy.targets.additions import lay
from runworthy.targets.directory import DirectoryView
from runworthy.targets.edits import after_boot
from runworthy.targets.host import in_container
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT, Source, locate, member, place

__all__ = ["Asked", "Planned", "each_name", "fixed", "for_dockerfile", "plans"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, and the situations for which it was made: they share their target, in which their subjects lie."""

    plan: Plan
    situations: tuple[Situation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be carried out, and how. ``choose`` is a proposal's number, 0 for the first that is proved.

    ``output`` is a directory for changed copies, empty where the files themselves are changed; ``then`` is a command
    that has to end well.
    """

    apply: bool = False
    unsafe: bool = False
    choose: int = 0
    output: str = ""
    then: str = ""


def fixed(
    report: Report,
    targets: Sequence[TargetName],
    wishes: Wishes,
    means: Means,
    asked: Asked,
    *,
    again: Callable[[Sequence[str]], Report],
    loader: str = "",
) -> FixReport:
    """Return the plans for a report, and what became of what was carried out.

    ``again`` judges files once more on the same targets, the subjects where none are named.

    Raises UsageError for what cannot be carried out.
    """
    found = plans(report, targets, wishes, means, loader=loader)
    repairs = []
    if asked.apply:
        from runworthy.remedies.repairing import repaired

        repairs = [repaired(one, means, asked, again) for one in found]
    return FixReport(report=report, plans=tuple(one.plan for one in found), repairs=tuple(repairs))


def plans(
    report: Report, targets: Sequence[TargetName], wishes: Wishes, means: Means, *, loader: str = ""
) -> list[Planned]:
    """Return a plan for each target on which something of the report does not run.

    ``targets`` and ``wishes`` are those that the report was made with. A subject that cannot be read, or whose target
    cannot be opened, has no plan.
    """
    machine = DirectoryView("/")
    archives = _Archives(report.trees, machine)
    found: list[Planned] = []
    for name in targets:
        failing = [one for one in report.results if one.wanted == name.text and one.verdict != "runs"]
        wanted = [one for result in failing for one in each_name(result, report.trees)]
        by_arch: dict[Architecture | None, list[tuple[Result, Subject]]] = {}
        for result in wanted:
            subject = archives.member(result.subject) or _subject(result.subject, report.trees, machine)
            if subject is not None and result.path:
                by_arch.setdefault(subject.arch, []).append((result, subject))
        for arch, pairs in by_arch.items():
            room = _Room(name=name, arch=arch, wishes=wishes, means=means, loader=loader)
            situations = room.situations(pairs, machine)
            names = tuple(result.subject for result, _ in pairs)
            remedies = solve(situations)
            if means.dockerfile:
                remedies = tuple(for_dockerfile(remedy, means.dockerfile, situations) for remedy in remedies)
                remedies = tuple(sorted(remedies, key=lambda remedy: not remedy.proved))
            if any(situation.packed for situation in situations):
                remedies = tuple(_in_archive(remedy, situations) for remedy in remedies)
            plan = Plan(target=pairs[0][0].target, subjects=names, remedies=remedies)
            found.append(Planned(plan=plan, situations=tuple(situations)))
    return found


def each_name(result: Result, trees: Sequence[Tree]) -> Iterator[Result]:
    """Yield a result for each file of a tree that it was found for: copies and hard links are changed one by one."""
    yield result
    for tree in trees:
        for alias in tree.aliases.get(result.subject, ()):
            if not os.path.islink(alias):
                yield replace(result, subject=alias)


def for_dockerfile(remedy: Remedy, dockerfile: str, planned: Sequence[Situation]) -> Remedy:
    """Return a remedy with what it does to the root, or to which root, as an edit of a Dockerfile."""
    from runworthy.remedies.dockerfile import dockerfile_path, in_dockerfile, read_dockerfile

    own = tuple(edit for edit in remedy.edits if getattr(edit, "path", "").startswith(f"{SUBJECT_ROOT}/"))
    beside = {edit.path for edit in own if hasattr(edit, "path")} - {one.path for one in planned}
    if beside:  # who is to say what its COPY lines bring, and to where
        words = f"that the Dockerfile copies {', '.join(sorted(map(shown, beside)))}"
        remedy = replace(remedy, proved=False, proof="its COPY lines are not judged", leaves=(*remedy.leaves, words))
    of_root = replace(remedy, edits=tuple(edit for edit in remedy.edits if edit not in own))
    if not of_root.edits and not remedy.elsewhere:
        return remedy
    try:
        text = read_dockerfile(dockerfile)
        edit = in_dockerfile(dockerfile_path(dockerfile), text, of_root, subject=planned[0].name)
    except (RunworthyError, OSError) as error:
        return _by_hand(remedy, str(error))
    if isinstance(edit, str):
        return _by_hand(remedy, edit)
    known = set(text.split())
    names = [name.encode() for one in of_root.edits if isinstance(one, InstallPackages) for name in one.names]
    if names and known.issuperset(names):
        return _by_hand(remedy, "it names these packages already; what its lines install is not judged")
    safe = remedy.applicability == "safe" or (not remedy.unsafe and not own)
    return replace(remedy, edits=(edit, *own), applicability="safe" if safe else "unsafe")


def _by_hand(remedy: Remedy, why: str) -> Remedy:
    """Return a remedy of which no line of a Dockerfile can be made."""
    return replace(
        remedy, applicability="manual", proved=False, proof="", leaves=(*remedy.leaves, f"the Dockerfile: {why}")
    )


def _in_archive(remedy: Remedy, planned: Sequence[Situation]) -> Remedy:
    """Return a remedy that changes what lies in an archive as one for whoever makes the archive."""
    own = {one.real for one in planned}
    names = {one.path: one.name for one in planned}
    changes = [
        edit.words.replace(path := getattr(edit, "path", ""), names.get(path, path)).replace(f"{SUBJECT_ROOT}/", "/")
        for edit in remedy.edits
        if getattr(edit, "path", "").startswith(f"{SUBJECT_ROOT}/") or getattr(edit, "path", "") in own
    ]
    if not changes:
        return remedy
    lines = ("in the archive, when it is made:", *changes)
    return replace(remedy, applicability="manual", edits=(), recipe=(*remedy.recipe, *lines))


class _Archives:
    """The archives of a report, opened again when a member is asked for."""

    def __init__(self, trees: Sequence[Tree], machine: DirectoryView) -> None:
        self._outermost = [tree.name for tree in trees if tree.kind and MARK not in tree.name.removeprefix(tree.within)]
        self._machine = machine
        self._members: dict[str, Subject] = {}
        self._holders: list[Holder] = []
        self._opened: set[str] = set()

    def member(self, name: str) -> Subject | None:
        """Return a subject that lies in an archive, None for any other."""
        if MARK not in name:
            return None
        for archive in self._outermost:
            if name.startswith(f"{archive}{MARK}"):
                self._open(archive)
        split = split_member(name)
        if name not in self._members and split is not None:
            self._open(split[0])
        return self._members.get(name) or self._copy(name)

    def _copy(self, name: str) -> Subject | None:
        """Return what is judged with another member, as copies and links are, or only where it is asked for."""
        for holder in self._holders:
            found = found_at(holder, name)
            if found is not None:
                return self._keep(found, holder)
        return None

    def _open(self, archive: str) -> None:
        if archive in self._opened:
            return
        self._opened.add(archive)
        try:
            opened = archive_at(archive, self._machine)
        except OSError:
            return
        self._holders += opened.holders
        for found, holder in opened.found:
            self._keep(found, holder)

    def _keep(self, found: Found, holder: Holder) -> Subject:
        subject = self._members[found.name] = read_subject(found.name, self._machine, found.source)
        subject.holder = holder
        return subject


def _subject(name: str, trees: Sequence[Tree], machine: DirectoryView) -> Subject | None:
    """Return a subject of a report with where it comes from, None where it is not to be had any more."""
    try:
        for tree in trees:
            if name == tree.name or name.startswith(f"{tree.name.rstrip('/')}/"):
                below = posixpath.relpath(name, tree.name)
                subject = read_subject(name, machine, member(locate(tree.name, machine), below))
                break
        else:
            subject = read_subject(name, machine)
    except OSError:
        return None
    return None if subject.source is None else subject


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """A target for subjects of one architecture, as it is asked for."""

    name: TargetName
    arch: Architecture | None
    wishes: Wishes
    means: Means
    loader: str

    def _shown(self, source: Source) -> Source:
        """Return a subject as it gets to the target: a Dockerfile copies a file alone, unless a directory is given."""
        return replace(source, top=None) if self.means.dockerfile and source.base is None else source

    def situations(self, pairs: Sequence[tuple[Result, Subject]], machine: DirectoryView) -> list[Situation]:
        """Return the situations of subjects in one root, in which all of them lie before the first is judged."""
        try:
            target = self.name.open(self.arch)
            overlay = Overlay(machine if target.live else target.view)
            for addition in self.wishes.additions:
                addition(target, overlay)
            for holder in dict.fromkeys(one.holder for _, one in pairs if one.source and one.source.is_installed):
                if holder is not None:
                    lay(holder.name, holder.view, target, overlay)
            target = replace(target, view=overlay)
            sources = [self._shown(one.source) for _, one in pairs if one.source is not None]
            paths = [place(source, target, overlay, self.wishes.at) for source in sources]
            if self.means.dockerfile:
                from runworthy.remedies.dockerfile import dockerfile_path, placed, read_dockerfile

                text = read_dockerfile(self.means.dockerfile)
                target = placed(target, dockerfile_path(self.means.dockerfile), text)
        except (RunworthyError, OSError):
            return []
        boots = not self.name.in_catalogue and not in_container(target)
        at_boot = boots and (self.name.at_boot or not (target.live or target.machine_facts))
        latest = Latest()
        found: list[Situation] = []
        for (result, subject), path in zip(pairs, paths, strict=True):
            judge = judge_again(result.subject, launch_on(target, self.wishes.launch), latest)
            try:
                alone = judge(target, path)
            except (RunworthyError, OSError):
                continue
            situation = Situation(
                target=target,
                path=path,
                file=subject.file,
                result=alone,
                judge=judge,
                boot=after_boot if boots else None,
                loader=self.loader,
                at_boot=at_boot,
                means=self.means,
                settled=self._settled(result, alone),
                tree=_tree(subject, path),
                packed=subject.holder is not None,
            )
            found.append(situation)
        return found

    def _settled(self, together: Result, alone: Result) -> frozenset[str]:
        """Return the causes that a subject has alone, and not in the process of a file beside it that loads it."""
        known = {step_key(step) for _, step in causes(together)}
        if not known or self.means.dockerfile or together.path != alone.path:  # it is alone, or another name of it
            return frozenset()
        return frozenset(step_key(step) for _, step in causes(alone)) - known


def _tree(subject: Subject, path: str) -> str:
    """Return where the directory that was given lies in the target, empty where the subject was given alone."""
    source = subject.source
    if source is None or source.base is None:
        return ""
    return path.removesuffix(f"/{posixpath.relpath(source.real, source.base)}")
