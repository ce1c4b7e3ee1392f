"""The matrix of a release as Markdown: for release notes, README files and the summary of a CI job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.matrix import Matrix, Served
from runworthy.report.matrix import named, platform_of
from runworthy.report.words import clean, listed

__all__ = ["matrix_markdown"]

_SIGNS = {"runs": "✓ runs", "risky": "! risky", "unknown": "? cannot be told", "fails": "✗ fails"}


def matrix_markdown(matrix: Matrix, provider: str = "github") -> str:
    """Return the matrix as Markdown (GitHub's, with tables). ``provider`` is whose jobs are shown, empty for none."""
    blocks = [
        list(_table(["Target", "Take", "Verdict", "Also"], [_row(matrix, served) for served in matrix.served])),
        list(
            _table(
                ["Asset", "What it is"],
                [[_code(named(matrix, one.path)), _cell(platform_of(one))] for one in matrix.builds],
            )
        ),
        list(_section("Not served", _unserved(matrix))),
        list(_section("Named wrongly", _misnamed(matrix))),
        list(_section("Not needed", _redundant(matrix))),
        list(_section("Cannot be judged", _problems(matrix))),
        *(_job_lines(job.asset, job.text) for job in matrix.jobs if job.provider == provider),
    ]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def _row(matrix: Matrix, served: Served) -> list[str]:
    others = listed([_code(named(matrix, path)) for path in served.alternatives], 4)
    take = _code(named(matrix, served.asset)) if served.asset else "**nothing**"
    return [_code(clean(served.target)), take, _SIGNS[served.verdict] if served.asset else "✗ not served", others]


def _unserved(matrix: Matrix) -> Iterator[str]:
    for served in matrix.served:
        if not served.asset:
            near = f"nearest is {_code(named(matrix, served.nearest))}: " if served.nearest else ""
            yield f"{_code(clean(served.target))}: {near}{_text(clean(served.why))}"


def _misnamed(matrix: Matrix) -> Iterator[str]:
    for wrong in matrix.misnamed:
        where = f" ({_code(clean(wrong.member))})" if wrong.member else ""
        told = f"claims {_text(clean(wrong.claim))}, {_text(clean(wrong.fact))}"
        yield f"{_code(named(matrix, wrong.asset))} {told}{where}"


def _redundant(matrix: Matrix) -> Iterator[str]:
    for one in matrix.redundant:
        yield f"{_code(named(matrix, one.asset))}: {_text(clean(one.reason))}"


def _problems(matrix: Matrix) -> Iterator[str]:
    for asset in matrix.assets:
        if asset.problem:
            yield f"{_code(named(matrix, asset.path))}: {_text(clean(asset.problem))}"


def _job_lines(asset: str, text: str) -> list[str]:
    fence = "`" * 4
    return [f"A job that would build {_code(clean(asset))}:", "", f"{fence}yaml", *text.splitlines(), fence]


# -- Markdown --------------------------------------------------------------------------------------------


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    held = list(lines)
    if held:
        yield f"### {title}"
        yield ""
        yield from (f"- {line}" for line in held)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _code(text: str) -> str:
    """Return text as code; a bar would end the cell of a table, and a backquote the code."""
    text = text.replace("|", "\\|")
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(text: str) -> str:
    """Return a sentence; what is code in it stays so, and nothing else is taken for markup."""
    parts = text.split("`")
    return "`".join(part if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\*_[]<>#|" else letter for letter in text)
