"""Files that are stored again: found, told why, and shared when that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from runworthy.library.amounts import seconds_of, size_of
from runworthy.library.asking import Path, Watch, texts
from runworthy.model.errors import SubjectError, UsageError
from runworthy.model.records import replace

if TYPE_CHECKING:
    from runworthy.model.storage import StorageReport

__all__ = ["carried_out", "dedupe"]

MIN_SIZE = "64k"


def dedupe(
    paths: Path | Iterable[Path],
    *,
    min_size: str | int = MIN_SIZE,
    only: str | Iterable[str] = (),
    how: Literal["auto", "reflink", "hardlink", "symlink"] = "auto",
    within_env: bool = False,
    caches: bool = True,
    index: bool = False,
    advise: bool = False,
    unused: str = "",
    libraries: bool = False,
    new: bool = False,
    reasons: bool = True,
    recorded: bool = False,
    dry_run: bool = False,
    apply: bool = False,
    watch: Watch | None = None,
) -> StorageReport:
    """Find files that are stored again across environments, as ``runworthy dedupe`` does.

    >>> import runworthy
    >>> report = runworthy.dedupe("work", how="hardlink", caches=False)
    >>> report.files, [(one.cause, one.how) for one in report.spares]
    (12, [('copying-installer', 'hardlink'), ('copying-installer', 'hardlink')])

    ``min_size`` is in bytes, or as in "64k"; ``only`` are shell patterns on names of files. With ``apply`` what is
    planned is carried out, and ``reclaimed`` says what became of it; :func:`undo` takes it back. ``libraries`` asks
    which builds of one library a process would load together. With ``new`` only what no earlier run with it has told
    is told, and remembered. ``index`` keeps between calls which files are equal, where the command line keeps it.
    ``recorded`` takes the hashes that installers recorded for it, and reads nothing. Without
    ``reasons`` equal files are found and no more. ``dry_run`` asks whatever ``apply`` would.

    Raises SubjectError where nothing lies at a path, UsageError, and with ``apply`` RemedyError where the journal
    cannot be written.
    """
    if new and not index:
        raise UsageError("--new remembers what was told in the index", hint="leave --no-index out", option="--new")
    if recorded and (apply or not reasons):
        raise UsageError("what is only recorded is not acted on, and needs reasons", option="--recorded")
    if apply and not reasons:
        raise UsageError("nothing can be shared without reasons", hint="leave --no-reasons out", option="--no-reasons")
    from runworthy.engine.dedupe import Search, dedupe_of
    from runworthy.storage.planning import Wish

    search = Search(
        paths=_directories(texts(paths)),
        min_size=size_of(min_size, "--min-size"),
        only=tuple(texts(only)),
        wish=Wish(how=how, within_env=within_env),
        caches=caches,
        index=index,
        advise=advise,
        unused=seconds_of(unused, "--unused") if unused else 0,
        libraries=libraries,
        thorough=dry_run or apply,
        reasons=reasons,
        recorded=recorded,
        new=new,
    )
    report = dedupe_of(search, watch)
    return carried_out(report, watch) if apply else report


def carried_out(report: StorageReport, watch: Watch | None) -> StorageReport:
    """Have the files of a report share their bytes, of those places alone that were searched. Raises RemedyError."""
    from runworthy.remedies.journal import Journal
    from runworthy.remedies.sharing import share

    title, subject = "share what is stored again", ", ".join(report.paths)
    searched = (*report.paths, *(one.path for one in report.environments if one.is_cache))
    done = share(report.shares, Journal(), title=title, subject=subject, watch=watch, boundaries=searched)
    return replace(report, reclaimed=done)


def _directories(names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(names)
    if not found:
        raise UsageError("no path is given", hint="as in `runworthy dedupe ~/projects`")
    missing = [name for name in found if not os.path.lexists(name)]
    if missing:
        raise SubjectError(missing)
    return found
