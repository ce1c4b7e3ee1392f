"""Two builds and two targets compared, against real loaders, readelf and ldconfig."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from runworthy.engine.diff import compare_builds
from runworthy.engine.target_diff import compare_targets
from runworthy.model.difference import SymbolChange
from runworthy.model.target_difference import LibraryDifference
from runworthy.model.trace import Need
from runworthy.targets.names import TargetName
from tests.judges import roots
from tests.judges.answer import Answer
from tests.judges.panel import Judge

ROOTS = ("bullseye-amd64", "bookworm-amd64", "trixie-amd64")
RELEASES = (
    ("bullseye-amd64", "bookworm-amd64"),
    ("bookworm-amd64", "trixie-amd64"),
    ("trixie-amd64", "bullseye-amd64"),
)
_TOLD = ("library", "symbol-version")
_CUT = 8  # how many causes of a verdict are kept


def _complaints(answer: Answer) -> set[tuple[str, str]]:
    missing = {("library", name) for name in answer.missing_names}
    return missing | {("symbol-version", row.version) for row in answer.missing_versions}


def _causes(needs: tuple[Need, ...]) -> set[tuple[str, str]]:
    return {(need.kind, need.version or need.name) for need in needs if need.kind in _TOLD}


@pytest.mark.judge
@pytest.mark.parametrize(("old", "new"), RELEASES)
def test_programs_of_two_releases(old: str, new: str) -> None:
    """What keeps each build from running, and what only the new one lacks, as the loader of each release says it."""
    targets = [TargetName(str(roots.requires(name).path)) for name in ROOTS]
    where = {f"/mnt/{name}": roots.requires(name).path / "usr/bin" for name in (old, new)}
    before, after = map(str, where.values())
    found = compare_builds(before, after, targets)
    pairs = [pair for pair in found.pairs if pair.old and pair.new and pair.paired_by == "path"]
    assert len(pairs) > 100
    wrong = {}
    worse = 0
    for at, root in enumerate(ROOTS):
        with Judge(roots.requires(root), binds=where) as judge:
            for pair in pairs:
                cell = pair.cells[at]
                assert cell.old
                if _CUT in (len(cell.old.decided_by), len(cell.new.decided_by)):
                    continue
                answers = [judge.ask(f"{side}/{pair.name}") for side in where]
                heard = [_complaints(answer) for answer in answers]
                said = [_causes(outcome.decided_by) for outcome in (cell.old, cell.new)]
                ends = [bool(complaints or answer.undefined) for complaints, answer in zip(heard, answers, strict=True)]
                because = heard[1] if ends == [False, True] else set()
                worse += cell.shift == "worse"
                told = (said, _causes(cell.because), not ends[0] and cell.shift == "worse")
                if told != (heard, because, ends == [False, True]):
                    wrong[root, pair.name] = (cell.shift, told, heard, ends)
    assert not wrong, f"{len(wrong)}: {dict(list(wrong.items())[:3])}"
    assert worse > 10


_START = "void _exit(int); %s void _start(void) { %s _exit(0); }"
_BUILDS = {
    "plain": ("", ""),
    # since glibc 2.36
    "newer": ("unsigned arc4random(void);", "arc4random();"),
    # of a library that no target has
    "lacking": ("void gone(void);", "gone();"),
}


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    """Programs with a start routine of their own, so that they need of libc only what they call."""
    gone = tmp_path / "libgone.so"
    _gcc(gone, "void gone(void) {}", "-shared", "-fPIC", "-nostdlib")
    for name, (declared, called) in _BUILDS.items():
        more = [str(gone)] if name == "lacking" else []
        _gcc(tmp_path / name, _START % (declared, called), "-nostartfiles", "-no-pie", *more)
    gone.unlink()
    return tmp_path


def _gcc(made: Path, source: str, *options: str) -> None:
    command = ["gcc", "-w", "-x", "c", "-", "-x", "none", *options, "-o", str(made)]
    subprocess.run(command, input=source.encode(), check=True)


@pytest.mark.judge
@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("new", _BUILDS)
@pytest.mark.parametrize("old", _BUILDS)
def test_verdicts_of_two_builds_that_are_started(builds: Path, root: str, old: str, new: str) -> None:
    with Judge(roots.requires(root), binds={"/subject": builds}) as judge:
        ran = [judge.run([f"/subject/{name}"]).rc == 0 for name in (old, new)]
    found = compare_builds(str(builds / old), str(builds / new), [TargetName(str(roots.requires(root).path))])
    (cell,) = found.pairs[0].cells
    assert cell.old
    assert [cell.old.verdict == "runs", cell.new.verdict == "runs"] == ran
    assert cell.shift == {(True, False): "worse", (False, True): "better"}.get((ran[0], ran[1]), "same")
    assert found.exit_code() == (ran == [True, False])


# -- targets ---------------------------------------------------------------------------------

_SYMBOL = re.compile(
    r"\s*\d+: [0-9a-f]+ +\S+ \S+ +(GLOBAL|WEAK|UNIQUE) +(DEFAULT|PROTECTED) +(?!UND|ABS)\S+ (\S+)(?: |$)"
)

Defined = set[tuple[str, str]]


def _readelf(root: str, path: str) -> Defined:
    """Return the defined symbols with their versions, as readelf lists them; of none the version is empty.

    Absolute symbols are the version nodes themselves.
    """
    real = _inside(roots.requires(root).path, path)
    out = subprocess.run(["readelf", "-W", "--dyn-syms", str(real)], capture_output=True, text=True, check=True).stdout
    names = (found[3] for line in out.splitlines() if (found := _SYMBOL.match(line)))
    split = (name.replace("@@", "@").partition("@") for name in names)
    return {(name, version) for name, _, version in split}


def _inside(root: Path, path: str) -> Path:
    """Return where a path of a root lies, its symbolic links followed inside the root."""
    at = root
    for part in Path(path).parts[1:]:
        at /= part
        if at.is_symlink():
            link = at.readlink()
            at = (
                _inside(root, str(link))
                if link.is_absolute()
                else _inside(root, f"/{at.parent.relative_to(root) / link}")
            )
    return at


def _pairs(symbols: tuple[SymbolChange, ...]) -> Defined:
    return {(symbol.name, symbol.version or "") for symbol in symbols}


def _cached(root: str) -> set[str]:
    """Return the names of libraries that ldconfig lists."""
    with Judge(roots.requires(root)) as judge:
        lines = judge.run(["/sbin/ldconfig", "-p"]).stdout.splitlines()[1:]
    return {line.split()[0] for line in lines if line.startswith("\t")}


def _public(symbols: Defined) -> Defined:
    return {(name, version) for name, version in symbols if not version.endswith("_PRIVATE")}


def _differences(old: str, new: str, row: LibraryDifference) -> tuple[Defined, Defined]:
    """Return what readelf finds in one file and not in the other, less what a definition without a version covers."""
    assert row.old
    assert row.new
    before, after = _public(_readelf(old, row.old.path)), _public(_readelf(new, row.new.path))
    plain = [{name for name, version in side if not version} for side in (after, before)]
    named = [{name for name, _ in side} for side in (after, before)]
    return (
        {(name, version) for name, version in before - after if name not in (plain[0] if version else named[0])},
        {(name, version) for name, version in after - before if name not in (plain[1] if version else named[1])},
    )


@pytest.mark.judge
@pytest.mark.parametrize(("old", "new"), RELEASES)
def test_two_releases(old: str, new: str) -> None:
    """Every symbol that is told to be removed or added, and no other, is so in readelf; every library in ldconfig."""
    found = compare_targets(*(TargetName(str(roots.requires(name).path)) for name in (old, new)))
    both = [row for row in found.libraries if row.old and row.new]
    told = {row.name: (_pairs(row.removed + row.moved), _pairs(row.added)) for row in both}
    heard = {row.name: _differences(old, new, row) for row in both}
    wrong = {name: [a ^ b for a, b in zip(told[name], heard[name], strict=True)] for name in told}
    wrong = {name: rows for name, rows in wrong.items() if any(rows)}
    assert not wrong, str(wrong)[:2000]
    assert sum(len(removed) for removed, _ in told.values()) > 50
    cached = [_cached(name) for name in (old, new)]
    for row in found.libraries:
        if row.new is None:
            assert row.name not in cached[1]
        if row.old is None:
            assert row.name not in cached[0]
    gone = {row.name for row in found.libraries if row.new is None}
    assert {name for name in cached[0] - cached[1] if not name.endswith(".so")} <= gone


@pytest.mark.judge
@pytest.mark.parametrize(("old", "new"), RELEASES)
def test_symbols_that_moved_are_in_libc(old: str, new: str) -> None:
    found = compare_targets(*(TargetName(str(roots.requires(name).path)) for name in (old, new)))
    moved = set().union(*(_pairs(row.moved) for row in found.libraries))
    libc = _readelf(new, "/lib/x86_64-linux-gnu/libc.so.6")
    assert moved <= libc
    assert bool(moved) == (old == "bullseye-amd64")
