"""Edits are carried out one after the other. What fails, or is not confirmed in the end, is taken back as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from runworthy.model.edit import Edit, InstallPackages, RemovePackages, RunCommand, SwitchHandlers
from runworthy.model.errors import RemedyError
from runworthy.model.records import replace
from runworthy.remedies.applying import kernel, programs
from runworthy.remedies.applying.backwards import LEFT, roll_back
from runworthy.remedies.applying.drafts import FILE_EDITS, Draft, drafts, fingerprint, paths_of
from runworthy.remedies.applying.ground import Ground
from runworthy.remedies.applying.kernel import KERNEL_EDITS
from runworthy.remedies.applying.record import Record, nothing_unfinished
from runworthy.remedies.applying.troubles import reason
from runworthy.remedies.journal import Entry, FileChange, Journal, KernelChange, ProgramChange

__all__ = ["apply", "fingerprints"]

SWITCH_OFF = "switch-binfmt-off"
"""By this name somebody has to ask for it: it takes every foreign program of the machine away at once."""

_PROGRAMS = (RunCommand, InstallPackages, RemovePackages)


def apply(
    edits: Sequence[Edit],
    ground: Ground,
    journal: Journal,
    *,
    allow_unsafe: bool = False,
    allowed: Collection[str] = (),
    subject: str = "",
    target: str = "",
    title: str = "",
    judge: Callable[[], str] | None = None,
    seen: Mapping[str, str] | None = None,
) -> Entry:
    """Carry edits out and return the entry of the journal that tells of them.

    ``allow_unsafe``: programs may be run, and the kernel be changed. ``allowed`` are the names of what is done only
    where somebody asks for it by name. ``seen`` is what :func:`fingerprints` said when the remedy was judged: where
    something has changed since, nothing is done. ``judge`` is asked when all edits are in place; it returns an empty
    text where they do what they are to do, and else why not: then everything is taken back, and the entry is
    ``rolled-back``. Raises RemedyError where an edit is refused or fails; whatever had been done by then is taken back,
    and the entry, if there is one, says so.
    """
    for edit in edits:
        _allowed(edit, ground, allow_unsafe=allow_unsafe, names=allowed)
    with journal.locked():
        nothing_unfinished(journal)
        _as_seen(edits, ground, seen or {})
        _checked(edits, ground)
        record = Record.begin(journal, subject=subject, target=target or ground.name, title=title)
        return _carry_out(record, edits, ground, judge)


def fingerprints(edits: Sequence[Edit], ground: Ground) -> dict[str, str]:
    """Return in words what lies now where edits would change files, for :func:`apply` to compare with.

    What cannot be looked at is left out. Raises RemedyError where an edit is about no file of this machine.
    """
    found = {}
    for edit in edits:
        if isinstance(edit, FILE_EDITS) and edit.path not in found:
            try:
                found[edit.path] = fingerprint(ground, edit)
            except OSError:
                continue
    return found


# -- what is refused before anything is done -------------------------------------------------


def _allowed(edit: Edit, ground: Ground, *, allow_unsafe: bool, names: Collection[str]) -> None:
    """Raise RemedyError for an edit that may not be made, or can be made by nobody here."""
    if isinstance(edit, FILE_EDITS):
        ground.place(edit.path)
        return
    if not isinstance(edit, (*_PROGRAMS, *KERNEL_EDITS)):
        raise RemedyError(f"nothing here can {edit.words}", hint="a package manager can")
    if not allow_unsafe:
        raise RemedyError(f"it is unsafe to {edit.words}", hint="`--unsafe` allows it")
    if isinstance(edit, SwitchHandlers) and not edit.on and SWITCH_OFF not in names:
        raise RemedyError(
            "binfmt_misc is not switched off as a whole", hint=f"`--allow {SWITCH_OFF}` asks for it by name"
        )
    if ground.copies:
        raise RemedyError(f"no copy can be written of what comes of this: {edit.words}")
    if isinstance(edit, _PROGRAMS):
        programs.check(edit, ground)
    else:
        kernel.check(edit, ground)


def _as_seen(edits: Sequence[Edit], ground: Ground, seen: Mapping[str, str]) -> None:
    now = fingerprints([edit for edit in edits if isinstance(edit, FILE_EDITS) and edit.path in seen], ground)
    for path, words in seen.items():
        if now.get(path, "") != words:
            raise RemedyError(f"{ground.original(path).here} has changed since it was judged; nothing was changed")


def _checked(edits: Sequence[Edit], ground: Ground) -> None:
    """Look at each file that is changed first whether it is as the edit says. Raises RemedyError."""
    touched: set[str] = set()
    for edit in edits:
        if not isinstance(edit, FILE_EDITS):
            return  # what programs make of the files after it is not known
        if not touched.intersection(paths_of(edit)):
            try:
                with drafts(edit, ground):
                    pass
            except OSError as error:
                raise _failure(edit, ground, error, "nothing was changed") from error
        touched.update(paths_of(edit))


def _failure(edit: Edit, ground: Ground, error: OSError, rest: str, entry: str = "") -> RemedyError:
    where = ground.place(edit.path).here if isinstance(edit, FILE_EDITS) else ""
    what = f"{where} cannot be changed" if where else f"it was not possible to {edit.words}"
    return RemedyError(f"{what}: {reason(error)}; {rest}", entry=entry)


# -- what is done ----------------------------------------------------------------------------


def _carry_out(record: Record, edits: Sequence[Edit], ground: Ground, judge: Callable[[], str] | None) -> Entry:
    edit: Edit | None = None
    try:
        for edit in edits:
            _make(record, edit, ground)
        edit = None
        refusal = judge() if judge is not None else ""
        if not refusal:
            record.update(state="applied", directories=record.settle())
            return record.entry
    except BaseException as error:
        rest = _taken_back(record, error)
        if isinstance(error, OSError) and edit is not None:
            raise _failure(edit, ground, error, rest, record.entry.id) from error
        if isinstance(error, RemedyError):
            raise RemedyError(f"{error}; {rest}", hint=error.hint, entry=record.entry.id) from error
        raise
    roll_back(record, refusal)
    return record.entry


def _taken_back(record: Record, error: BaseException) -> str:
    """Take all back that was done, and return in words what became of it."""
    why = reason(error) if isinstance(error, OSError) else str(error) or type(error).__name__
    try:
        roll_back(record, why)
    except (OSError, RemedyError) as second:
        return f"taking back what was done failed too ({second}): `runworthy recover` does it"
    if record.entry.notes and any(one.startswith(LEFT) for one in record.entry.notes):
        return "what could be taken back was"
    if any(isinstance(one, ProgramChange) for one in record.entry.changes):
        return "what was done was taken back, but for what programs keep for themselves, as lists and caches"
    return "everything was taken back" if record.entry.changes else "nothing was changed"


def _make(record: Record, edit: Edit, ground: Ground) -> None:
    """Make one edit. Raises OSError, RemedyError."""
    if isinstance(edit, _PROGRAMS):
        for change in programs.changes(edit, ground):
            _run(record, change)
    elif isinstance(edit, FILE_EDITS):
        made = frozenset((one.base, one.path) for one in record.entry.changes if isinstance(one, FileChange))
        with drafts(edit, ground, made) as found:
            for draft in found:
                _change_file(record, draft)
    elif isinstance(edit, KERNEL_EDITS):
        _run(record, kernel.change(edit))


def _change_file(record: Record, draft: Draft) -> None:
    number = record.add(draft.change)
    change, lost = record.work(number).prepare(draft.content)
    record.note(*(f"{change.path}: {note}" for note in draft.notes))
    if lost:
        record.note(f"{change.path} has lost what only root can give it: {', '.join(lost)}; undo brings it back")
    record.put(number, change)
    record.work(number).do()
    record.put(number, replace(change, state="done"))


def _run(record: Record, change: KernelChange | ProgramChange) -> None:
    number = record.add(change)
    if isinstance(change, KernelChange):
        kernel.carry_out(change)
        record.put(number, replace(change, state="done", after=kernel.handlers_at(change.point)))
        return
    done = programs.carry_out(change, record.packages)
    record.note(*programs.notes(done))
    record.put(number, replace(done, state="done"))
