"""What was changed and taken back, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runworthy.report.words import Style, bytes_of, clean, count

if TYPE_CHECKING:
    from runworthy.remedies.applying import Undone
    from runworthy.remedies.journal import Entry, ShareChange

__all__ = ["history_json", "history_text", "plan_lines", "undone_lines"]

SCHEMA = "runworthy.history/1"
_COLOURS = {"applied": "green", "applying": "red", "undoing": "red"}


def history_text(entries: Sequence[Entry], style: Style, *, verbose: bool = False) -> str:
    """Return one block for each entry, the oldest first. Files that share are counted, and named where ``verbose``."""
    blocks = (_block(entry, style, verbose=verbose) for entry in entries)
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def history_json(entries: Sequence[Entry]) -> str:
    """Return all that is known of the entries."""
    import json

    from runworthy.remedies.journal import as_json

    return f"{json.dumps({'schema': SCHEMA, 'entries': [as_json(one) for one in entries]}, indent=2)}\n"


def _block(entry: Entry, style: Style, *, verbose: bool) -> Iterator[str]:
    if entry.unreadable:
        yield f"{style.paint(entry.id, 'bold')}  {style.paint('unreadable', 'red')}  {clean(entry.unreadable)}"
        return
    state = style.paint(entry.state, _COLOURS.get(entry.state, "dim"))
    when = entry.when.replace("T", " ").replace("Z", " UTC")
    yield f"{style.paint(entry.id, 'bold')}  {state}  {when}  {_heading(entry)}"
    named = [change for change in entry.changes if verbose or change.kind != "share"]
    yield from (f"  {clean(change.words)}" for change in named)
    if not verbose:
        yield from (f"  {line}" for line in _shared(entry))
    if entry.reason:
        yield f"  because: {clean(entry.reason)}"
    yield from (f"  note: {clean(note)}" for note in entry.notes)


_BY: Mapping[str, str] = {
    "hardlink": "hard links",
    "symlink": "symbolic links",
    "clone": "copies that share storage",
    "extents": "shared storage",
    "ranges": "shared storage of parts",
}


def _shared(entry: Entry) -> Iterator[str]:
    """Yield how many files share their bytes, how large they are, and by what: they may be thousands."""
    files: dict[str, dict[int, ShareChange]] = {}
    names: dict[str, int] = {}
    for change in entry.changes:
        if change.kind == "share":
            files.setdefault(change.how, {})[change.unit] = change
            names[change.how] = names.get(change.how, 0) + 1
    for how, units in files.items():
        held = bytes_of(sum(one.before.size for one in units.values()))
        more = "" if names[how] == len(units) else f" ({count(names[how], 'name')})"
        back = sum(one.state == "undone" for one in units.values())
        rest = f"; {back} of them not, or no longer" if back else ""
        yield f"share the bytes of {count(len(units), 'file')}{more}, {held}, by {_BY[how]}{rest}"
    if files:
        yield "-v names them"


def _heading(entry: Entry) -> str:
    where = " on ".join(clean(one) for one in (entry.subject, entry.target) if one)
    return ": ".join(one for one in (where, clean(entry.title)) if one) or count(len(entry.changes), "change")


def plan_lines(entry: Entry, changed: Sequence[str]) -> Iterator[str]:
    """Yield what undoing an entry would do, and what keeps it from that."""
    yield f"{entry.id}: {_heading(entry)}"
    yield from (f"  take back: {clean(change.words)}" for change in reversed(entry.changes) if change.state != "undone")
    yield from (f"  {clean(one)}" for one in changed)


def undone_lines(done: Undone) -> Iterator[str]:
    """Yield what became of an entry that was taken back."""
    what = {"undone": "undone", "applied": "ended"}.get(done.entry.state, "rolled back")
    yield f"{done.entry.id} {what}: {_heading(done.entry)}"
    yield from (f"  left: {clean(one)}" for one in done.left)
