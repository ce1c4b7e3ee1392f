"""What was changed and taken back, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runworthy.report.words import Style, bytes_of, clean, count, table

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
    ways: dict[str, list[ShareChange]] = {}
    for change in _shares(entry):
        ways.setdefault(change.how, []).append(change)
    for how, changes in ways.items():
        back = len({one.unit for one in changes if one.state == "undone"})
        rest = f"; {back} of them not, or no longer" if back else ""
        yield f"share the bytes of {_files(changes)}, {_size(changes)}, by {_BY[how]}{rest}"
    if ways:
        yield "-v names them"


def _shares(entry: Entry) -> list[ShareChange]:
    return [change for change in entry.changes if change.kind == "share"]


def _files(changes: Sequence[ShareChange]) -> str:
    files = len({one.unit for one in changes})
    return count(files, "file") + ("" if files == len(changes) else f" ({count(len(changes), 'name')})")


def _size(changes: Sequence[ShareChange]) -> str:
    """Return how large files are in words, each stored file once."""
    return bytes_of(sum({one.unit: one.before.size for one in changes}.values()))


def _heading(entry: Entry) -> str:
    where = " on ".join(clean(one) for one in (entry.subject, entry.target) if one)
    return ": ".join(one for one in (where, clean(entry.title)) if one) or count(len(entry.changes), "change")


def plan_lines(entry: Entry, changed: Sequence[str], *, verbose: bool = False) -> Iterator[str]:
    """Yield what undoing an entry would do, and what keeps it from that.

    Files that share are counted by directories, and named where ``verbose``; so is what keeps it from that if it is
    much.
    """
    yield f"{entry.id}: {_heading(entry)}"
    todo = [change for change in reversed(entry.changes) if change.state != "undone"]
    yield from (f"  take back: {clean(one.words)}" for one in todo if verbose or one.kind != "share")
    shares = [one for one in todo if one.kind == "share"]
    if shares:
        yield f"  give {_files(shares)} bytes of their own again, {_size(shares)}, for which there has to be room"
    if shares and not verbose:
        held = sorted(_by_directories(shares).items())
        rows = [[_size(some), _files(some), clean(directory)] for directory, some in held]
        yield from (f"    {line}" for line in table(rows))
        yield "  -v names them"
    shown = changed if verbose else changed[:_MOST]
    yield from (f"  {clean(one)}" for one in shown)
    if len(shown) < len(changed):
        yield f"  and {len(changed) - len(shown)} more such (-v)"


_MOST = 16
"""How many directories, or files that somebody has changed, a person looks through."""


def _by_directories(shares: Sequence[ShareChange]) -> dict[str, list[ShareChange]]:
    """Return changes by the directories in which they are: as deep as these can be and be few."""
    ways = [one.path.strip("/").split("/")[:-1] for one in shares]
    found: dict[str, list[ShareChange]] = {}
    for depth in range(max(map(len, ways)) + 1):
        deeper: dict[str, list[ShareChange]] = {}
        for way, change in zip(ways, shares, strict=True):
            deeper.setdefault("/".join((change.base.rstrip("/"), *way[:depth])) or "/", []).append(change)
        if found and len(deeper) > _MOST:
            break
        found = deeper
    return found


def undone_lines(done: Undone) -> Iterator[str]:
    """Yield what became of an entry that was taken back."""
    what = {"undone": "undone", "applied": "ended"}.get(done.entry.state, "rolled back")
    yield f"{done.entry.id} {what}: {_heading(done.entry)}"
    yield from (f"  left: {clean(one)}" for one in done.left)
