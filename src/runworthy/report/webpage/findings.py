"""A finding as a part of a page."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy
from runworthy.report.finding import place
from runworthy.report.webpage.markup import Html, block, element, prose
from runworthy.report.words import count

__all__ = ["finding_head", "finding_parts", "finding_places", "finding_rest"]

_SHOWN = 4


def finding_head(finding: Finding) -> Html:
    """Return severity and code."""
    return element("span", f"{finding.severity}[{finding.code}]", class_=f"code {finding.severity}")


def finding_parts(finding: Finding) -> Iterator[Html]:
    """Yield the message, the places, the small table, the notes and the proposals of a finding."""
    yield element("p", prose(finding.message), class_="message")
    yield from finding_places(finding)
    yield from finding_rest(finding)


def finding_places(finding: Finding) -> Iterator[Html]:
    """Yield the places of a finding as a list."""
    places = list(dict.fromkeys(map(place, finding.evidence)))
    if places:
        more = [f"and {count(len(places) - _SHOWN, 'more place')}"] if len(places) > _SHOWN else []
        yield element("ul", *(element("li", text) for text in [*places[:_SHOWN], *more]), class_="places")


def finding_rest(finding: Finding) -> Iterator[Html]:
    """Yield what findings have in common on many targets: the small table, the notes and the proposals."""
    if finding.lines:
        yield block(finding.lines)
    for note in finding.notes:
        yield element("p", element("b", "note: "), prose(note), class_="note")
    for remedy in finding.remedies:
        yield _remedy(remedy)


def _remedy(remedy: Remedy) -> Html:
    how = f" ({remedy.applicability}{', proved' if remedy.proved else ''})"
    parts = [element("p", element("b", "help: "), prose(remedy.title), element("small", how))]
    parts += [element("p", element("small", remedy.proof))] if remedy.proof else []
    lines = [*(edit.words for edit in remedy.edits), *remedy.recipe]
    parts += [block(lines)] if lines else []
    return element("div", *parts, class_="remedy")
