"""The matrix of a release as text: assets by numbers, a row for each target, then what is missing or wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runworthy.model.matrix import Asset, Cell, Column, Job, Matrix, Served
from runworthy.report.words import PLAIN, Style, clean, count, listed, table, visible

__all__ = ["marked", "matrix_text", "named", "platform_of"]

_NONE, _PLAIN_NONE = "·", "."
_KINDS = {"source": "source archive", "checksum": "checksum file", "signature": "signature", "sbom": "SBOM",
    "installer": "installer script", "other": "other file"}  # fmt: skip
_SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
_LEGEND = (
    ("runs", "runs"),
    ("risky", "risky"),
    ("unknown", "cannot be told"),
    ("fails", "fails"),
    ("not-for", "is not for it"),
)


def matrix_text(matrix: Matrix, style: Style = PLAIN, *, level: int = 0, provider: str = "github") -> str:
    """Return the matrix as text. ``level``: -1 what is missing and wrong alone, 1 the reasons of every cell.

    ``provider`` is whose jobs are shown, empty for none.
    """
    blocks = [[_head(matrix, style)], list(_problems(matrix, style))]
    if level >= 0:
        blocks += [list(_assets(matrix, style)), list(_grid(matrix, style))]
    if level > 0:
        blocks.append(list(_reasons(matrix, style)))
    blocks += [list(_unserved(matrix, style)), list(_misnamed(matrix, style))]
    if level >= 0:
        blocks += [list(_redundant(matrix, style)), *map(list, _jobs(matrix, style, provider))]
    blocks.append([_foot(matrix, style)])
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def named(matrix: Matrix, path: str) -> str:
    """Return the name of the asset at a path: its own, or its path where two have one name."""
    names = Counter(asset.name for asset in matrix.assets)
    name = next((asset.name for asset in matrix.assets if asset.path == path), path)
    return clean(name if names[name] < 2 else path)


def marked(fit: str, style: Style) -> str:
    """Return the sign of what an asset is on a target."""
    if fit == "not-for":
        return _NONE if style.unicode else _PLAIN_NONE
    return style.mark(fit)


def platform_of(asset: Asset) -> str:
    """Return what an asset's bytes are, in a few words: ``linux aarch64 static``."""
    systems = asset.systems or ((asset.claims.system,) if asset.claims.system else ())
    archs = asset.archs or asset.claims.archs
    words = [*systems, *(arch for arch in archs if arch != "any"), *asset.linkages]
    tools = next((member.built_by for member in asset.members if member.built_by in ("go", "rust", ".net")), "")
    least = f"{asset.minimum} or newer" if asset.minimum and "macos" in systems else ""
    return " ".join(filter(None, (*words, least, f"({tools})" if tools else "")))


def _head(matrix: Matrix, style: Style) -> str:
    others = Counter(asset.kind for asset in matrix.assets if asset.kind != "build")
    held = [count(len(matrix.builds), "build")]
    held += [count(number, _KINDS[kind]) for kind, number in others.items()]
    targets = count(len(matrix.columns), "target")
    return style.paint(f"{count(len(matrix.assets), 'asset')}: {listed(held)}; {targets}", "bold")


def _problems(matrix: Matrix, style: Style) -> Iterator[str]:
    for asset in matrix.assets:
        if asset.problem:
            head = style.severity("warning", "warning")
            yield f"{head}: {style.paint(f'{named(matrix, asset.path)}: {clean(asset.problem)}', 'bold')}"


# -- the table -----------------------------------------------------------------------------------------


def _assets(matrix: Matrix, style: Style) -> Iterator[str]:
    rows = []
    for number, asset in enumerate(matrix.builds, start=1):
        rows.append([f"  {style.paint(str(number), 'bold')}", named(matrix, asset.path), clean(platform_of(asset))])
    yield from table(rows)


def _grid(matrix: Matrix, style: Style) -> Iterator[str]:
    """Yield a row for each target: a sign for each asset under its number, and what a person takes there."""
    builds = matrix.builds
    cells = {(cell.asset, cell.target): cell for cell in matrix.cells}
    numbers = {asset.path: str(at) for at, asset in enumerate(builds, start=1)}
    width = max((len(number) for number in numbers.values()), default=1)
    rows = [["  target", " ".join(number.rjust(width) for number in numbers.values()), "served by"]]
    for column, served in zip(matrix.columns, matrix.served, strict=True):
        signs = [_sign(cells[asset.path, column.name], style, width) for asset in builds]
        rows.append([f"  {clean(column.name)}", " ".join(signs), _server(served, numbers, style)])
    yield from (line.rstrip() for line in table(rows))
    used = {cell.fit for cell in matrix.cells}
    told = [f"{_painted(fit, style)} {words}" for fit, words in _LEGEND if fit in used]
    if told:
        yield f"  {', '.join(told)}"


def _sign(cell: Cell, style: Style, width: int) -> str:
    sign = _painted(cell.fit, style)
    return " " * (width - visible(sign)) + sign


def _painted(fit: str, style: Style) -> str:
    sign = marked(fit, style)
    return sign if fit == "not-for" else style.verdict(fit, sign)


def _server(served: Served, numbers: dict[str, str], style: Style) -> str:
    if not served.asset:
        return style.verdict("fails", "nothing")
    others = [numbers[path] for path in served.alternatives]
    also = f", also {listed(others, 4)}" if others else ""
    words = {"runs": "", "risky": " (risky)", "unknown": " (as far as can be told)"}[served.verdict]
    return f"{numbers[served.asset]}{words}{also}"


def _reasons(matrix: Matrix, style: Style) -> Iterator[str]:
    """Yield why each cell is what it is; cells of one asset with one reason are told together."""
    for asset in matrix.builds:
        yield style.paint(named(matrix, asset.path), "bold")
        groups: dict[tuple[str, str], list[str]] = {}
        for cell in matrix.cells:
            if cell.asset == asset.path:
                groups.setdefault((cell.fit, clean(cell.reason)), []).append(clean(cell.target))
        for (fit, reason), targets in groups.items():
            yield f"  {_painted(fit, style)} {reason}: {listed(targets, 6)}"


# -- what to do about it -------------------------------------------------------------------------------


def _unserved(matrix: Matrix, style: Style) -> Iterator[str]:
    """Yield the targets that nothing serves, those with one reason together."""
    groups: dict[tuple[str, str, str], list[Served]] = {}
    columns = {column.name: column for column in matrix.columns}
    for served in matrix.served:
        if not served.asset:
            column = columns[served.target]
            why = clean(served.why).replace(clean(served.target), "the target")
            groups.setdefault((served.nearest, why, column.arch if served.nearest else _kind(column)), []).append(
                served
            )
    for (nearest, why, _), held in groups.items():
        targets = listed([clean(served.target) for served in held], 6)
        head = style.severity("error", "error")
        yield f"{head}: {style.paint(f'nothing serves {targets}', 'bold')}"
        yield f"   {style.paint('=', 'blue')} " + (f"nearest is {named(matrix, nearest)}: {why}" if nearest else why)


def _kind(column: Column) -> str:
    return f"{column.system}/{column.arch}"


def _misnamed(matrix: Matrix, style: Style) -> Iterator[str]:
    for wrong in matrix.misnamed:
        name = f"{named(matrix, wrong.asset)} claims {clean(wrong.claim)}, {clean(wrong.fact)}"
        yield f"{style.severity('error', 'error')}: {style.paint(name, 'bold')}"
        if wrong.member:
            yield f"  {style.paint('-->', 'blue')} {clean(wrong.member)}"


def _redundant(matrix: Matrix, style: Style) -> Iterator[str]:
    for one in matrix.redundant:
        head = style.severity("note", "note")
        yield f"{head}: {style.paint(f'{named(matrix, one.asset)} is not needed', 'bold')}: {clean(one.reason)}"


def _jobs(matrix: Matrix, style: Style, provider: str) -> Iterator[list[str]]:
    for job in matrix.jobs:
        if job.provider == provider:
            yield _job(job, style)


_HOW = {"native": "on a machine of its own kind", "cross": "by a cross compiler", "emulated": "in an emulator"}


def _job(job: Job, style: Style) -> list[str]:
    helped = style.paint("help", "bold", "cyan")
    where = {"github": "GitHub Actions", "gitlab": "GitLab CI"}[job.provider]
    head = (
        f"{helped}: a job of {where} would build {clean(job.asset)} {_HOW[job.how]}, for {listed(list(job.targets), 4)}"
    )
    return [head, *(f"    {line}" for line in job.text.splitlines())]


def _foot(matrix: Matrix, style: Style) -> str:
    served = [one for one in matrix.served if one.asset]
    unknown = sum(one.verdict == "unknown" for one in served)
    told = [f"{len(served)} of {count(len(matrix.columns), 'target')} served"]
    told += [f"{unknown} of them as far as can be told"] if unknown else []
    told += [f"{count(len(matrix.misnamed), 'asset')} named wrongly"] if matrix.misnamed else []
    told += [f"{len(matrix.redundant)} not needed"] if matrix.redundant else []
    return style.paint(", ".join(told), "bold")
