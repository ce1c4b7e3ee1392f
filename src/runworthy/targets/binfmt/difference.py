"""What a boot changes about the handlers of a kernel."""

from __future__ import annotations

from bisect import bisect_left

from runworthy.model.binfmt import BootDifference, Handler, Handlers

__all__ = ["difference"]


def difference(now: Handlers, boot: Handlers) -> BootDifference:
    """Return what is lost, added, changed and moved between the handlers of now and those after the next boot.

    That all of them are switched off now is a change of each one.
    """
    before = {one.name: one for one in now.entries}
    after = {one.name: one for one in boot.entries}
    common = [name for name in after if name in before]
    kept = _in_order(common, {name: place for place, name in enumerate(before)})
    return BootDifference(
        lost=tuple(one for name, one in before.items() if name not in after),
        added=tuple(one for name, one in after.items() if name not in before),
        changed=tuple(
            (before[name], after[name])
            for name in common
            if _what(before[name], enabled=now.enabled) != _what(after[name], enabled=boot.enabled)
        ),
        moved=tuple(after[name] for name in common if name not in kept),
    )


def _what(handler: Handler, *, enabled: bool) -> tuple[object, ...]:
    """Return what decides about a file, and is told by the kernel as by a registration."""
    mask = handler.mask if handler.mask.strip(b"\xff") else b""
    spec = (handler.magic, mask, handler.offset, handler.extension)
    return *spec, handler.interpreter, handler.flags, enabled and handler.enabled


def _in_order(names: list[str], places: dict[str, int]) -> frozenset[str]:
    """Return the most names that stand in the order of their places (patience sorting)."""
    tops: list[int] = []
    piles: list[str] = []
    before: dict[str, str | None] = {}
    for name in names:
        at = bisect_left(tops, places[name])
        before[name] = piles[at - 1] if at else None
        tops[at : at + 1] = [places[name]]
        piles[at : at + 1] = [name]
    found: list[str] = []
    last = piles[-1] if piles else None
    while last is not None:
        found.append(last)
        last = before[last]
    return frozenset(found)
