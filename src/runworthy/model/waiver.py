"""Waivers: findings that somebody has looked at and accepts, why, and until when."""

from __future__ import annotations

from typing import Final

from runworthy.model.records import dataclass

__all__ = ["NEVER", "Waiver"]

NEVER: Final = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One that is written down. ``reason`` says why, ``expires`` is a day (``2027-01-31``) or ``never``.

    From that day on it no longer counts. ``codes`` are codes or names of rules; ``subjects`` and ``targets`` are
    patterns, empty for all; ``fingerprint`` is that of one finding, empty for any. ``file`` and ``line`` are where it
    is written, as people know the place; 0 where that is not known.
    """

    codes: tuple[str, ...]
    reason: str
    expires: str
    subjects: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    fingerprint: str = ""
    file: str = ""
    line: int = 0

    def expired(self, today: str) -> bool:
        """Whether it no longer counts on a day (``2027-01-31``)."""
        return self.expires != NEVER and self.expires <= today
