"""Fits as signs and words."""

from __future__ import annotations

from runworthy.model.finding import Verdict
from runworthy.model.matrix import Fit
from runworthy.report.webpage.markup import Html, element

__all__ = ["WORDS", "badge", "icon"]

WORDS: dict[Fit, str] = {"runs": "runs", "risky": "risky", "unknown": "unknown", "fails": "fails", "not-for": "not for"}
"""Fits as a cell tells them, the best first."""


def icon(fit: Fit) -> Html:
    """Return the sign of a fit, which is drawn once in the page. The word beside it says the same."""
    return Html(f'<svg class="icon" aria-hidden="true"><use href="#icon-{fit}"/></svg>')


def badge(fit: Fit | Verdict, text: str = "") -> Html:
    """Return a fit as sign and word."""
    return element("span", icon(fit), text or WORDS[fit], class_=f"badge {fit}")
