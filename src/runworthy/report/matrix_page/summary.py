"""The head of the page: what is served and what is not, what would build that, and what a release could do without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.finding import Verdict
from runworthy.model.matrix import Asset, Fit, Job, Matrix, Misnaming, Redundancy, Served
from runworthy.report.matrix_page.markup import WORDS, badge
from runworthy.report.matrix_page.names import Layout
from runworthy.report.webpage.markup import Html, block, element, folded, joined, prose
from runworthy.report.words import bytes_of, count, listed

__all__ = ["headline", "jobs", "legend", "other_files", "remarks", "unserved"]

_SHOWN = 6
"""Things of a list that are shown at once; the rest can be unfolded, so that the table is not far."""
_PROVIDERS = {"github": "GitHub Actions", "gitlab": "GitLab CI"}
_LEGEND: dict[Fit, str] = {
    "runs": "everything that it needs is there",
    "risky": "it starts, and leans on something that is assumed or comes late",
    "unknown": "the files alone cannot tell",
    "fails": "it does not start, or ends at the stage that is named",
    "not-for": "it is for another system, architecture or package manager",
}
_KINDS = {
    "source": "source",
    "checksum": "checksums",
    "signature": "signatures",
    "sbom": "bills of materials",
    "installer": "installers",
    "other": "other files",
}


def headline(matrix: Matrix) -> Html:
    """Return one sentence on the whole, and the numbers below it as a bar of targets."""
    missing = [row for row in matrix.served if not row.asset]
    total = len(matrix.served)
    if not matrix.builds:
        sentence = "There is no build among these files"
    elif missing:
        sentence = f"Nothing serves {len(missing)} of {count(total, 'target')}"
    else:
        sentence = "The one target is served" if total == 1 else f"Each of the {total} targets is served"
    return element(
        "div", element("p", sentence, class_="sentence"), _bar(matrix.served), _numbers(matrix), class_="hero"
    )


def _numbers(matrix: Matrix) -> Html:
    rows = matrix.served
    order: tuple[Verdict, ...] = ("runs", "risky", "unknown")
    items = [(badge(fit), sum(row.asset != "" and row.verdict == fit for row in rows)) for fit in order]
    items.append((badge("fails", "nothing"), sum(not row.asset for row in rows)))
    shown = (element("li", element("b", str(number)), " ", mark) for mark, number in items if number)
    return element("ul", *shown, class_="numbers", aria_label="Targets by what serves them")


def _bar(rows: Sequence[Served]) -> Html:
    """Return a strip with a piece for each target, the best first. The numbers below it say the same."""
    order: tuple[Verdict, ...] = ("runs", "risky", "unknown", "fails")
    fits = sorted((row.verdict if row.asset else "fails" for row in rows), key=order.index)
    pieces = (Html(f'<rect class="{fit}" x="{at * 100}" width="97" height="10"/>') for at, fit in enumerate(fits))
    size = f"0 0 {max(1, len(fits)) * 100 - 3} 10"
    return element("svg", *pieces, viewBox=size, preserveAspectRatio="none", class_="bar", aria_hidden="true")


# -- what is missing ---------------------------------------------------------------------------------


def unserved(matrix: Matrix, held: Layout) -> Html:
    """Return the targets that nothing serves, why, what comes closest, and which job would build for each."""
    return _shortened(list(_unserved(matrix, held)), "target", class_="missing")


def _shortened(items: Sequence[Html], one: str, **attributes: str) -> Html:
    """Return a list of which the first items are shown, and the others unfold."""
    first, more = folded(items, _SHOWN, one)
    lists = [element("ul", *part, **attributes) if part else Html("") for part in (first, items[len(first) :])]
    return joined([lists[0], element("details", element("summary", more), lists[1])]) if more else lists[0]


def _unserved(matrix: Matrix, held: Layout) -> Iterator[Html]:
    jobs_of = {target: at for at, job in reversed(list(enumerate(matrix.jobs, start=1))) for target in job.targets}
    for row in matrix.served:
        if row.asset:
            continue
        parts = [element("h3", element("a", row.target, href=f"#{held.target(row.target)}"))]
        parts += [element("p", prose(row.why))] if row.why else []
        if row.nearest in held.assets:
            nearest = element("a", held.name(row.nearest), href=f"#{held.cell(row.nearest, row.target)}", class_="name")
            parts.append(element("p", "closest: ", nearest, class_="soft"))
        if row.target in jobs_of:
            job = element("a", "the job that would build it", href=f"#job-{jobs_of[row.target]}")
            parts.append(element("p", job, class_="soft"))
        yield element("li", *parts)


def jobs(matrix: Matrix) -> Iterator[Html]:
    """Yield each job as text to paste, the first of them at once."""
    every = [_job(job, f"job-{number}") for number, job in enumerate(matrix.jobs, start=1)]
    first, more = folded(every, _SHOWN, "job")
    yield from first
    if more:
        yield element("details", element("summary", more), *every[len(first) :], class_="job")


def _job(job: Job, anchor: str) -> Html:
    title = [element("b", _PROVIDERS[job.provider]), ": ", element("span", job.name, class_="name"), f" ({job.how})"]
    title.append(element("small", f" for {listed(list(job.targets), 3)}", class_="soft"))
    serves = f"makes {job.asset}, which would serve {listed(list(job.targets))}"
    copy = element(
        "button", "Copy", type="button", data_copy=f"{anchor}-text", hidden="", aria_label=f"Copy {job.name}"
    )
    text = block(job.text.rstrip("\n").split("\n"), id=f"{anchor}-text", tabindex="0", aria_label=f"{job.name} as YAML")
    return element(
        "details",
        element("summary", *title),
        element("p", serves),
        *([element("p", prose(job.why), class_="soft")] if job.why else []),
        element("div", copy, text, class_="paste"),
        id=anchor,
        class_="job",
    )


# -- remarks on assets -------------------------------------------------------------------------------


def remarks(matrix: Matrix, held: Layout) -> Iterator[Html]:
    """Yield lists of what is named wrongly, what is redundant and what cannot be judged."""
    wrong = [_misnamed(row, held) for row in matrix.misnamed]
    spare = [_redundant(row, held) for row in matrix.redundant]
    broken = [
        element("li", _asset_link(row.path, held), ": ", prose(row.problem)) for row in matrix.assets if row.problem
    ]
    rows = (("Named wrongly", wrong), ("Redundant", spare), ("Cannot be judged", broken))
    for title, items in rows:
        if items:
            yield element("section", element("h2", title), _shortened(items, "asset"), class_="card")


def _misnamed(row: Misnaming, held: Layout) -> Html:
    member = [element("small", " ", row.member, class_="name")] if row.member else []
    return element("li", _asset_link(row.asset, held), " claims ", row.claim, ": ", prose(row.fact), *member)


def _redundant(row: Redundancy, held: Layout) -> Html:
    where = element("small", " on ", listed(list(row.targets)))
    return element("li", _asset_link(row.asset, held), ": ", prose(row.reason), where)


def _asset_link(path: str, held: Layout) -> Html:
    name = held.name(path)
    link = element("a", name, href=f"#{held.asset(path)}", class_="name") if path in held.assets else None
    return link or element("span", name, class_="name")


# -- below the table ---------------------------------------------------------------------------------


def legend() -> Html:
    """Return what the signs mean."""
    rows = (element("div", element("dt", badge(fit)), element("dd", _LEGEND[fit])) for fit in WORDS)
    return element("dl", *rows, class_="legend")


def other_files(matrix: Matrix) -> Html:
    """Return the files that are no builds, by what they are; nothing where there are none."""
    kinds: dict[str, list[Asset]] = {}
    for asset in matrix.assets:
        if asset.kind != "build":
            kinds.setdefault(asset.kind, []).append(asset)
    rows = (
        joined([element("dt", _KINDS[kind]), element("dd", joined(map(_file, assets), ", "))])
        for kind, assets in kinds.items()
    )
    return element("dl", *rows) if kinds else Html("")


def _file(asset: Asset) -> Html:
    size = element("small", f" {bytes_of(asset.size)}") if asset.size else Html("")
    return joined([element("span", asset.name, class_="name"), size])
