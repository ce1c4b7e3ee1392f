"""What a release is for: the assets of it on the targets that matter, and the oldest of everything that it runs on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runworthy.library.asking import Path, Watch, additions, found_subjects, texts, written
from runworthy.model.errors import UsageError

if TYPE_CHECKING:
    from runworthy.model.floor import FloorReport
    from runworthy.model.matrix import Matrix

__all__ = ["floor", "matrix"]


def matrix(
    assets: Path | Iterable[Path],
    on: Path | Iterable[Path] = (),
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    watch: Watch | None = None,
) -> Matrix:
    """Hold the assets of a release against targets, as ``runworthy matrix`` does.

    >>> import runworthy
    >>> matrix = runworthy.matrix("release", on=["debian:12/amd64", "alpine:3.20/amd64"])
    >>> [(served.target, served.verdict) for served in matrix.served]
    [('debian:12/x86_64', 'runs'), ('alpine:3.20/x86_64', 'runs')]

    ``assets`` are files, or directories of them. Where ``on`` is empty, the targets are those of the set ``@release``:
    the platforms that matter as of the catalogue. A target that says no architecture stands for each that the assets
    are for. Raises SubjectError where nothing lies at a name, TargetError and UsageError as :func:`check` does.
    """
    from runworthy.engine import Wishes
    from runworthy.engine.matrix import matrix_of
    from runworthy.remedies.missing_builds import with_jobs
    from runworthy.targets.names import MachineWish

    names = found_subjects(assets, all_of_them=True)
    wish = MachineWish(platform=platform, cpu=cpu, page_size=str(page_size), kernel=kernel)
    try:
        held = matrix_of(
            names,
            written(texts(on)),
            wish=wish,
            present=texts(assume_present),
            wishes=Wishes(additions=additions(with_)),
            watch=watch,
        )
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror or error}") from error
    return with_jobs(held)


def floor(
    subjects: Path | Iterable[Path],
    *,
    max_glibc: str = "",
    max_musl: str = "",
    max_libstdcxx: str = "",
    max_kernel: str = "",
    max_cpu: str = "",
    page_size: str | int = "",
) -> FloorReport:
    """Find the oldest of everything that files can run on, as ``runworthy floor`` does.

    >>> import runworthy
    >>> shipped = runworthy.floor("app", max_glibc="2.28").shipped[0]
    >>> shipped.floor("glibc").release
    '2.34'

    The arguments are gates; the report's ``breaches`` are those that are not kept. Raises SubjectError, TargetError and
    UsageError as :func:`check` does.
    """
    from runworthy.engine.floor import floors, parse_gates

    gates = parse_gates(
        glibc=max_glibc,
        musl=max_musl,
        libstdcxx=max_libstdcxx,
        kernel=max_kernel,
        cpu=max_cpu,
        page_size=str(page_size),
    )
    return floors(found_subjects(subjects), gates)
