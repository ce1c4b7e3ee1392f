"""What makes files run: planned, carried out, and taken back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from runworthy.library.asking import Arguments, Path, texts
from runworthy.model.errors import FormatError, UsageError

if TYPE_CHECKING:
    from runworthy.model.plan import FixReport
    from runworthy.remedies.applying.backwards import Undone
    from runworthy.remedies.journal import Entry

__all__ = ["fix", "forget", "history", "recover", "undo"]


def fix(
    subjects: Path | Iterable[Path],
    on: Path | Iterable[Path] = (),
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    at: str | None = None,
    env: Mapping[str, str] | None = None,
    loaded_by: str | None = None,
    caller: str | Iterable[str] = (),
    at_boot: bool = False,
    packages: Path | Iterable[Path] = (),
    builds: Path | Iterable[Path] = (),
    network: bool = False,
    dockerfile: Path = "",
    loader: str = "",
    allow: str | Iterable[str] = (),
    apply: bool = False,
    unsafe: bool = False,
    choose: int = 0,
    output: Path = "",
    then: str = "",
) -> FixReport:
    """Plan what makes files run on targets, and carry it out where that is asked for, as ``runworthy fix`` does.

    >>> import runworthy
    >>> plan = runworthy.fix("app", on="alpine:3.20").plans[0]
    >>> plan.remedies[0].proved
    True

    ``packages``, ``builds``, ``network`` and ``dockerfile`` say what may help; ``allow`` names what is proposed only by
    name. Without ``apply`` nothing is changed. With it the first remedy of each plan that is proved and safe is carried
    out (with ``unsafe``, or not safe; with ``choose`` the one of this number, proved or not), and taken back at once
    where the subjects do not run after it, or where the command ``then`` does not end well.

    Raises SubjectError, TargetError and UsageError as :func:`check` does, and UsageError for what cannot be applied.
    """
    from tempfile import TemporaryDirectory

    from runworthy.model.records import replace
    from runworthy.remedies.fixing import Asked, fixed
    from runworthy.remedies.situation import Means

    names, helping, others = texts(subjects), texts(packages), texts(builds)
    for option, given in (("--packages", helping), ("--build", others)):
        for name in given:
            if not os.path.exists(name):
                raise UsageError(f"{option} {name}: No such file or directory", option=option)
    arguments = Arguments(
        subjects=names,
        on=texts(on or _built_on(os.fspath(dockerfile), names)),
        platform=platform,
        cpu=cpu,
        page_size=page_size,
        kernel=kernel,
        with_=texts(with_),
        assume_present=texts(assume_present),
        at=at,
        env=env,
        loaded_by=loaded_by,
        caller=texts(caller),
        at_boot=at_boot,
        loader=loader,
    )
    with TemporaryDirectory(prefix="runworthy-") as scratch:
        means = Means(
            scratch=scratch,
            packages=tuple(helping),
            builds=tuple(others),
            dockerfile=os.fspath(dockerfile),
            network=network,
            allowed=frozenset(texts(allow)),
        )
        request = arguments.request()
        return fixed(
            request.judged(),
            request.targets,
            request.wishes,
            means,
            Asked(apply=apply, unsafe=unsafe, choose=choose, output=os.fspath(output), then=then),
            again=lambda changed: replace(arguments, subjects=changed or names).request().judged(),
            loader=loader,
        )


def _built_on(dockerfile: str, subjects: Sequence[str]) -> str | tuple[()]:
    """Return the target that a Dockerfile's stage is built on, nothing without one. Raises UsageError."""
    if not dockerfile:
        return ()
    from runworthy.remedies.dockerfile import base_images, read_dockerfile

    hint = "--on names the target that its image stands for"
    try:
        images = base_images(read_dockerfile(dockerfile), subject=next(iter(subjects), ""))
    except FormatError as error:
        raise UsageError(f"--dockerfile {dockerfile}: {error.message}", option="--dockerfile") from error
    except OSError as error:
        raise UsageError(f"--dockerfile {dockerfile}: {error.strerror or error}", option="--dockerfile") from error
    chosen = next((one for one in images if one.chosen), None)
    if chosen is None or not chosen.target:
        what = f"{chosen.image}: {chosen.note}" if chosen else "it has no stage"
        raise UsageError(f"--dockerfile {dockerfile}: {what}", hint=hint, option="--dockerfile")
    return f"{chosen.target}/{chosen.platform.name}" if chosen.platform else chosen.target


def history() -> tuple[Entry, ...]:
    """Return what was changed, the oldest first, as ``runworthy history`` tells it.

    >>> import runworthy
    >>> runworthy.history()
    ()
    """
    from runworthy.remedies.journal import Journal

    return tuple(Journal().entries())


def undo(entry: str = "", *, force: bool = False, dry_run: bool = False) -> Undone:
    """Take back what an entry of the history did, the newest that is in place where none is named.

    >>> import runworthy
    >>> try:
    ...     runworthy.undo("20261121-1")
    ... except runworthy.RemedyError as error:
    ...     print(error.hint)
    `runworthy history` lists what there is

    With ``dry_run`` nothing is changed, and what is left are the files that are no longer as the entry left them.
    Raises RemedyError: for those unless ``force``, and where it cannot be done.
    """
    from runworthy.remedies.applying import backwards
    from runworthy.remedies.journal import Journal

    if dry_run:
        found, changed = backwards.would_undo(Journal(), entry)
        return backwards.Undone(entry=found, left=changed)
    return backwards.undo(Journal(), entry, force=force)


def recover() -> tuple[Undone, ...]:
    """Bring what was cut off in its middle to its end, as ``runworthy recover`` does.

    >>> import runworthy
    >>> runworthy.recover()
    ()

    Raises RemedyError where that cannot be done now.
    """
    from runworthy.remedies.applying import backwards
    from runworthy.remedies.journal import Journal

    return tuple(backwards.recover(Journal()))


def forget(entries: Iterable[str] = (), *, older_than: str = "") -> tuple[str, ...]:
    """Remove entries of the history, named or older than ``30d``, ``12h`` or ``8w``; return which these were.

    >>> import runworthy
    >>> runworthy.forget(older_than="30d")
    ()

    They cannot be undone any more. Raises RemedyError where one cannot be removed, and UsageError.
    """
    from runworthy.library.amounts import seconds_of
    from runworthy.remedies.applying import backwards
    from runworthy.remedies.journal import Journal

    age = seconds_of(older_than, "--older-than") if older_than else None
    journal = Journal()
    names = [*entries, *(backwards.older(journal, age) if age is not None else ())]
    backwards.forget(journal, names)
    return tuple(names)
