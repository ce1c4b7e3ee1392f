"""The matrix of a release as Markdown: for release notes, README files and the summary of a CI job."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.matrix import Matrix, Served
from runworthy.report.markdown import block, cell, code, section, table, text
from runworthy.report.matrix import named, platform_of
from runworthy.report.words import clean, listed

__all__ = ["matrix_markdown"]

_SIGNS = {"runs": "✓ runs", "risky": "! risky", "unknown": "? cannot be told", "fails": "✗ fails"}


def matrix_markdown(matrix: Matrix, provider: str = "github") -> str:
    """Return the matrix as Markdown (GitHub's, with tables). ``provider`` is whose jobs are shown, empty for none."""
    blocks = [
        list(table(["Target", "Take", "Verdict", "Also"], [_row(matrix, served) for served in matrix.served])),
        list(
            table(
                ["Asset", "What it is"],
                [[code(named(matrix, one.path)), cell(platform_of(one))] for one in matrix.builds],
            )
        ),
        list(section("Not served", _unserved(matrix))),
        list(section("Named wrongly", _misnamed(matrix))),
        list(section("Not needed", _redundant(matrix))),
        list(section("Cannot be judged", _problems(matrix))),
        *(_job_lines(job.asset, job.text) for job in matrix.jobs if job.provider == provider),
    ]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def _row(matrix: Matrix, served: Served) -> list[str]:
    others = listed([code(named(matrix, path)) for path in served.alternatives], 4)
    take = code(named(matrix, served.asset)) if served.asset else "**nothing**"
    return [code(clean(served.target)), take, _SIGNS[served.verdict] if served.asset else "✗ not served", others]


def _unserved(matrix: Matrix) -> Iterator[str]:
    for served in matrix.served:
        if not served.asset:
            near = f"nearest is {code(named(matrix, served.nearest))}: " if served.nearest else ""
            yield f"{code(clean(served.target))}: {near}{text(clean(served.why))}"


def _misnamed(matrix: Matrix) -> Iterator[str]:
    for wrong in matrix.misnamed:
        where = f" ({code(clean(wrong.member))})" if wrong.member else ""
        told = f"claims {text(clean(wrong.claim))}, {text(clean(wrong.fact))}"
        yield f"{code(named(matrix, wrong.asset))} {told}{where}"


def _redundant(matrix: Matrix) -> Iterator[str]:
    for one in matrix.redundant:
        yield f"{code(named(matrix, one.asset))}: {text(clean(one.reason))}"


def _problems(matrix: Matrix) -> Iterator[str]:
    for asset in matrix.assets:
        if asset.problem:
            yield f"{code(named(matrix, asset.path))}: {text(clean(asset.problem))}"


def _job_lines(asset: str, job: str) -> list[str]:
    return [f"A job that would build {code(clean(asset))}:", "", *block(job.splitlines(), "yaml")]
