"""Waivers applied to a report: what they waive, and what is wrong with them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence

from runworthy.configuration.patterns import covers
from runworthy.engine.results import Cell, result_of
from runworthy.model.arch import architecture
from runworthy.model.errors import UsageError
from runworthy.model.finding import Finding, Report, Result
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Evidence, Need, Probe, Step, Stretch, Trace
from runworthy.model.waiver import Waiver
from runworthy.targets.names import expand

__all__ = ["today", "waived"]


def today() -> str:
    """Return the day that it is in UTC, so that it is the same day for everybody who judges now."""
    return dt.datetime.now(dt.UTC).date().isoformat()


def waived(
    report: Report,
    waivers: Sequence[Waiver],
    *,
    day: str,
    directory: str = "",
    sets: Mapping[str, Sequence[str]] | None = None,
    complete: bool = True,
) -> Report:
    """Return the report with the findings waived that waivers are of, and a result on the waivers that are amiss.

    ``directory`` is where patterns of subjects begin (the working directory). ``complete``: everything was judged that
    the waivers are about; else one that matches nothing is only told where it could have matched. Verdicts stay as
    they are. Raises UsageError for a set that is not there.
    """
    held = [_Held(waiver, day, sets or {}) for waiver in waivers]
    if not held:
        return report
    names = {result.subject: _from(directory or os.curdir, result.subject) for result in report.results}
    results = tuple(_with_waivers(result, names[result.subject], held) for result in report.results)
    steps = [step for one in held for step in one.steps(report, complete=complete)]
    return replace(report, results=(*results, *_told(steps)))


def _with_waivers(result: Result, subject: str, held: Sequence[_Held]) -> Result:
    target = result.target
    if target and result.machine and not target.endswith(f"/{result.machine}"):
        target = f"{target}/{result.machine}"  # that of the subject, which a pattern may be of as well
    matching = [one for one in held if one.looks_at(subject, target)]
    if not matching or not result.findings:
        return result
    findings = tuple(_judged(finding, matching) for finding in result.findings)
    return replace(result, findings=findings) if findings != result.findings else result


def _judged(finding: Finding, matching: Sequence[_Held]) -> Finding:
    """Return a finding with the first waiver that is of it and still counts."""
    by = [one.waiver for one in matching if one.takes(finding) and not one.expired]
    return replace(finding, waived=by[0]) if by else finding


class _Held:
    """A waiver while a report is gone through: where it may apply, and what it was found to match."""

    def __init__(self, waiver: Waiver, day: str, sets: Mapping[str, Sequence[str]]) -> None:
        self.waiver = waiver
        self.expired = waiver.expired(day)
        self.codes = {_spelled(code): code for code in waiver.codes}
        self.targets = [_with_own_word(pattern) for pattern in _targets(waiver, sets)]
        self.matched: dict[str, int] = {}
        self.looked = False
        self._subjects: dict[str, bool] = {}
        self._targets: dict[str, bool] = {}

    def looks_at(self, subject: str, target: str) -> bool:
        """Whether it is about a subject on a target."""
        if subject not in self._subjects:
            patterns = self.waiver.subjects
            self._subjects[subject] = not patterns or any(covers(pattern, subject) for pattern in patterns)
        if target not in self._targets:
            self._targets[target] = not self.waiver.targets or any(covers(pattern, target) for pattern in self.targets)
        found = self._subjects[subject] and self._targets[target]
        self.looked = self.looked or found
        return found

    def takes(self, finding: Finding) -> bool:
        """Whether it is of a finding where it looks at."""
        code = next((code for code in (finding.code, finding.name) if code in self.codes), "")
        if not code or self.waiver.fingerprint not in ("", finding.fingerprint):
            return False
        self.matched[code] = self.matched.get(code, 0) + 1
        return True

    def steps(self, report: Report, *, complete: bool) -> Iterator[Step]:
        """Yield what is amiss with it."""
        number = sum(self.matched.values())
        if self.expired:
            again = "1 finding counts again" if number == 1 else f"{number} findings count again"
            yield self._step("expiry", self.waiver.expires, again if number else "it matches no finding")
            return
        unknown = {self.codes[code]: near for code, near in _unknown(set(self.codes) - set(self.matched))}
        for code, near in unknown.items():
            yield self._step("code", code, near)
        if not number and len(unknown) < len(self.codes) and (complete or (self.looked and self._any_time())):
            yield self._step("match", "", self._nearest(report))

    def _any_time(self) -> bool:
        return not self.waiver.fingerprint

    def _nearest(self, report: Report) -> str:
        """Return where the same is found that the waiver does not look at."""
        for result in report.results:
            for finding in result.findings:
                if finding.code in self.codes or finding.name in self.codes:
                    where = f"`{result.subject}` on {result.target}" if result.target else f"`{result.subject}`"
                    if self.waiver.fingerprint:
                        return f"{finding.code} is found for {where}, with fingerprint {finding.fingerprint}"
                    return f"{finding.code} is found for {where}"
        return ""

    def _step(self, what: str, word: str, detail: str) -> Step:
        waiver = self.waiver
        scope = "".join(
            f" {preposition} {', '.join(f'`{pattern}`' for pattern in patterns)}"
            for preposition, patterns in (("for", waiver.subjects), ("on", waiver.targets))
            if patterns
        )
        line = f"line {waiver.line}" if waiver.line else ""
        need = Need(
            kind="waiver",
            name=f"{what} of {', '.join(waiver.codes)}{scope}",
            version=word or None,
            by=waiver.file,
            evidence=Evidence(file=waiver.file, section=line),
        )
        reason = (Probe(path=waiver.reason, origin="reason"),)
        return Step(stage="environment", need=need, answer=Answer.UNMET, fatal=False, detail=detail, searched=reason)


def _told(steps: Sequence[Step]) -> Iterator[Result]:
    """Yield a result for each file with waivers that are amiss."""
    files: dict[str, list[Step]] = {}
    for step in steps:
        files.setdefault(step.need.by, []).append(step)
    for file, found in files.items():
        stretch = Stretch(object=file, machine="", loader="", root="", steps=tuple(found))
        yield result_of(Cell(subject=file, target="", path=file, trace=Trace(stretches=(stretch,))))


def _unknown(codes: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the words that are no code and no name of a rule, each with the nearest that is one."""
    if not codes:
        return
    from runworthy.report.page import explanations

    known = [word for rule in explanations() for word in (rule.code, rule.name)]
    for code in sorted(codes.difference(known)):
        from difflib import get_close_matches

        yield code, next(iter(get_close_matches(code, known, n=1, cutoff=0.75)), "")


def _spelled(code: str) -> str:
    """Return a code or name as rules spell theirs."""
    upper = code.upper()
    return upper if upper.startswith("RW") and upper[2:].isdecimal() else code.lower().replace("_", "-")


def _targets(waiver: Waiver, sets: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the patterns of targets, what a set holds in its place. Raises UsageError for one that is not there."""
    for pattern in expand(waiver.targets, sets):
        if not pattern.startswith("@"):
            yield pattern
            continue
        from runworthy.targets.catalogue.sets import names_in

        try:
            yield from names_in(pattern)
        except UsageError as error:
            error.add_note(f"it is in the waiver in {waiver.file} line {waiver.line}")
            raise


def _with_own_word(pattern: str) -> str:
    """Return a pattern of targets with the architecture in our own word: arm64 is aarch64."""
    name, slash, word = pattern.rpartition("/")
    arch = architecture(word)
    return f"{name}{slash}{arch.name}" if arch else pattern


def _from(directory: str, subject: str) -> str:
    """Return a subject's name as a path from a directory, what lies in an archive after it."""
    file, mark, member = subject.partition("!")
    try:
        path = os.path.relpath(os.path.abspath(file), os.path.abspath(directory))
    except (OSError, ValueError):  # the working directory is gone; another drive
        path = file
    return f"{path.replace(os.sep, '/')}{mark}{member}"
