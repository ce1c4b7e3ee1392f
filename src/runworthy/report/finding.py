"""One finding as text: message, places, table, notes, proposals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.finding import Finding, Remedy
from runworthy.model.trace import Evidence
from runworthy.model.waiver import NEVER, Waiver
from runworthy.report.words import PLAIN, Style, clean

__all__ = ["finding_lines", "place", "remedy_line", "waiver_words"]

_PLACES_SHOWN = 4
_REMEDIES_SHOWN = 3


def finding_lines(
    finding: Finding, style: Style = PLAIN, *, also: Sequence[str] = (), everything: bool = False
) -> list[str]:
    """Return the lines of one finding. ``also`` tells where else it is the same."""
    head = style.severity(finding.severity, f"{finding.severity}[{finding.code}]")
    head += ", waived" if finding.waived else ""
    lines = [f"{head}: {style.paint(clean(finding.message), 'bold')}"]
    lines += _places(finding.evidence, style, everything=everything)
    bar = style.paint("   |", "blue")
    lines += [f"{bar} {clean(line)}".rstrip() for line in finding.lines]
    notes = [*(f"note: {clean(note)}" for note in finding.notes), *map(clean, also)]
    notes += [f"waived: {clean(waiver_words(finding.waived))}"] if finding.waived else []
    lines += [f"{style.paint('   =', 'blue')} {note}" for note in notes]
    shown = finding.remedies if everything else finding.remedies[:_REMEDIES_SHOWN]
    for remedy in shown:
        lines.append(remedy_line(remedy, style))
        lines += [f"{bar} {clean(edit.words)}" for edit in remedy.edits] if everything else []
    if len(shown) < len(finding.remedies):
        lines[-1] += f"; -v tells {len(finding.remedies) - len(shown)} more"
    return lines


def waiver_words(waiver: Waiver) -> str:
    """Return why something does not count, until when, and where that is written."""
    until = "" if waiver.expires == NEVER else f"; until {waiver.expires}"
    where = f"; {waiver.file}{f' line {waiver.line}' if waiver.line else ''}" if waiver.file else ""
    return f"{waiver.reason}{until}{where}"


def place(evidence: Evidence) -> str:
    """Return where something is written: file, section, offset."""
    section = f" {evidence.section}" if evidence.section else ""
    offset = f" at offset {evidence.offset:#x}" if evidence.offset is not None else ""
    return clean(f"{evidence.file}{section}{offset}")


def _places(evidence: Sequence[Evidence], style: Style, *, everything: bool) -> Iterator[str]:
    places = list(dict.fromkeys(map(place, evidence)))
    shown = places if everything or len(places) <= _PLACES_SHOWN else places[: _PLACES_SHOWN - 1]
    arrow = style.paint("  -->", "blue")
    for text in shown:
        yield f"{arrow} {text}"
    if len(shown) < len(places):
        yield f"{arrow} and {len(places) - len(shown)} more places"


def remedy_line(remedy: Remedy, style: Style) -> str:
    """Return a proposal, and whether it is proved."""
    proof = ", proved" if remedy.proved else ""
    return f"{style.paint('help', 'bold', 'cyan')}: {clean(remedy.title)}  ({remedy.applicability}{proof})"
