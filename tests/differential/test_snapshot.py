"""Snapshots against the roots they were made of, bit for bit: the same trace of the same file, the same report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import runworthy
from runworthy.engine import Engine, Wishes
from runworthy.formats.content import BytesContent
from runworthy.model.arch import Architecture
from runworthy.model.errors import FormatError
from runworthy.report.json_report import report_json
from runworthy.simulate.execve import execve
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery, simulate, simulate_under
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.snapshot.make import snapshot_directory, snapshot_host, write_file
from runworthy.targets.snapshot.view import SnapshotView
from runworthy.targets.target import Target
from runworthy.targets.view import FileView
from tests.cases import every
from tests.cases.build import Builder, Composed
from tests.cases.recipe import Case, Truth
from tests.differential.test_cases import _PAIRS, _is_secure, _machine
from tests.judges import roots
from tests.targets.snapshot.made import NAME, answers, snapshot, walk

_CASES = len(every())


class Renamed(TargetName):
    """A target that reports know by one name, whatever it is."""

    def __init__(self, text: str, *, what: str) -> None:
        super().__init__(text)
        self.what = what

    def _open(self, arch: Architecture | None) -> Target:
        return replace(TargetName(self.what, self.wish)._open(arch), name=self.text, live=False)  # noqa: SLF001


def report(subjects: Sequence[str], target: str, launch: Launch | None = None) -> str:
    """Return the whole report on the subjects, every step of it."""
    wishes = Wishes(launch=launch or Launch(trace=True))
    return report_json(Engine(wishes).check(subjects, [Renamed("TARGET", what=target)]), trace=True)


# -- every case --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    with tempfile.TemporaryDirectory(prefix="runworthy-cases-") as directory:
        yield Builder(Path(directory))


def said(view: FileView, composed: Composed, truth: Truth) -> list[object]:
    """Return what happens to a case's subject when the kernel starts it, when its loader does, and as a library."""
    secure = _is_secure(composed, truth)
    launch = Launch(env=truth.env, cwd=truth.cwd, proc=truth.proc, secure=secure, until="environment", trace=True)
    target = Target(name="TARGET", view=Overlay(view), machine=_machine(composed, truth))
    told: list[object] = []
    for way in ("started", "under", "loaded"):
        machinery = Machinery(target, launch, lambda _: False)
        if way == "loaded":
            machinery.launch = replace(launch, loaded_by=composed.root.loader)
        try:
            if way == "under":
                told.append(simulate_under(machinery, truth.subject, composed.root.loader))
            else:
                real = target.view.resolve(truth.subject).path
                told.append(simulate(machinery, real, target.view.elf(real)))
        except FormatError as error:
            told.append((error.message, error.offset))
        except OSError as error:
            told.append(error.errno)
    return told


@pytest.mark.judge
@pytest.mark.parametrize(("case", "name"), _PAIRS, ids=[f"{case.name}-{name}" for case, name in _PAIRS])
def test_every_case(builder: Builder, case: Case, name: str) -> None:
    composed = builder.compose(case, roots.requires(name))
    root = str(composed.root.path)
    copy = SnapshotView(BytesContent(snapshot(DirectoryView(root))), NAME)
    for truth in case.truths:
        if name in truth.on:
            assert said(copy, composed, truth) == said(DirectoryView(root), composed, truth)


# -- every root --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=roots.NAMES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A judge root and the file that it was captured into."""
    root = roots.requires(request.param)
    path = tmp_path_factory.mktemp("snapshots") / f"{root.name}.runworthy"
    write_file(str(path), snapshot_directory(str(root.path), [], None))
    return str(root.path), str(path)


@pytest.mark.judge
def test_every_entry(pair: tuple[str, str]) -> None:
    root, path = pair
    view, copy = DirectoryView(root), SnapshotView(BytesContent(Path(path).read_bytes()), NAME)
    paths = list(walk(view))
    assert list(walk(copy)) == paths
    asked = [*paths, *(f"{path}/none" for path in paths[::7])]
    assert answers(copy, asked) == answers(view, asked)


@pytest.mark.judge
def test_a_whole_root_in_itself(pair: tuple[str, str]) -> None:
    root, path = pair
    assert report([root], root) == report([root], path)


@pytest.mark.judge
@pytest.mark.slow
def test_packages_from_outside(pair: tuple[str, str]) -> None:
    root, path = pair
    corpus = [str(roots.requires_corpus("numpy-manylinux-x86_64").parent), "/usr/bin/git", "/usr/bin/perl", "/bin/sh"]
    assert report(corpus, root) == report(corpus, path)
    odd = Launch(
        trace=True, env={"LD_LIBRARY_PATH": "/etc:/usr/share/doc:/usr/bin:/lib64:", "LD_PRELOAD": "sh"}, cwd="/etc"
    )
    assert report(corpus[1:], root, odd) == report(corpus[1:], path, odd)


# -- this machine ------------------------------------------------------------------------------


@pytest.mark.judge
@pytest.mark.slow
def test_this_machine(tmp_path: Path) -> None:
    """Its programs and libraries, and packages from outside, on itself and on its snapshot."""
    kept = {"bin", "etc", "lib", "lib32", "lib64", "sbin", "usr"}
    others = [f"/{name}" for name in os.listdir("/") if name not in kept and Path(f"/{name}").is_dir()]
    exclude = [path for path in others if not os.path.islink(path)]
    path = tmp_path / "host.runworthy"
    write_file(str(path), snapshot_host([*exclude, "/usr/share/doc"], None))
    for subjects in (["/usr/bin"], ["/usr/lib/x86_64-linux-gnu"]):
        assert report(subjects, "host") == report(subjects, str(path))


# -- execve ------------------------------------------------------------------------------------

_EXECUTED = ("/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/apt", "/var/lib/dpkg/info", "/etc")


@pytest.mark.judge
def test_execve_of_every_file_of_a_root(tmp_path: Path) -> None:
    """Programs, scripts, their interpreters, libraries, texts: in a snapshot they come to the same as in the root."""
    root = str(roots.requires("bookworm-amd64").path)
    runworthy.snapshot(root, tmp_path / NAME)
    here, held = TargetName(root).open(None), TargetName(str(tmp_path / NAME)).open(None)
    files = [f"{directory}/{name}" for directory in _EXECUTED for name in here.view.readdir(directory)]
    told = [execve(here, path, (path,)) for path in files]
    assert [execve(held, path, (path,)) for path in files] == told
    assert sum(one.errno == "" for one in told) > 400
    assert sum(bool(one.rewrites) for one in told) > 50
