"""Environments among what is checked: what their processes load in several builds is told of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runworthy.cli import main
from runworthy.engine import Engine, Wishes
from runworthy.engine.environments import environments_in
from runworthy.engine.opening import open_given
from runworthy.model.finding import Report, Result
from runworthy.simulate.launch import Launch
from runworthy.targets import kept
from runworthy.targets.directory import DirectoryView, Trail
from runworthy.targets.names import TargetName
from tests.elfwriter import Symbol, elf
from tests.report.test_document import validate
from tests.storage.made import Root, Tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the loaders are Linux's")

CODES = frozenset(("RW820", "RW821", "RW822"))


@pytest.fixture
def venv(tmp_path: Path) -> Tree:
    """Two packages with a build of one library each, of which the second has a version more, which is needed."""
    tree = Tree(tmp_path.resolve() / "project/.venv")
    (tree.top / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    for name in ("usr/lib", "bin", "away"):
        (tmp_path / "project" / name).mkdir(parents=True)
    (tree.top / "bin/python").rename(tmp_path / "project/away/python")
    (tree.top / "bin/python").symlink_to(tmp_path / "project/away/python")
    for package, version in (("one", "V_1"), ("two", "V_2")):
        build(tree, package, "V_1", version)
        needed = Symbol("next", version, "libq.so.1")
        tree.module(f"{package}/_core", "libq.so.1", runpath=f"$ORIGIN/../{package}.libs", imports=[needed])
    return tree


def build(tree: Tree, package: str, *versions: str) -> str:
    data = elf(soname="libq.so.1", exports=[("next", version) for version in dict.fromkeys(versions)])
    return tree.put(f"{package}.libs/libq.so.1", data)


def judged(*subjects: str, on: str = "host", until: bool = False, cache: str = "") -> Report:
    launch = Launch(until="load") if until else Launch()
    return Engine(Wishes(launch=launch, jobs=1, cache=cache)).check(list(subjects), [TargetName(on)])


def told(report: Report) -> list[Result]:
    """Return the results that tell of builds, and nothing else."""
    found = [one for one in report.results if any(finding.code in CODES for finding in one.findings)]
    for one in found:
        assert {finding.code for finding in one.findings} <= CODES
    return found


@pytest.mark.parametrize("below", ["", "..", "bin/.."])
def test_an_environment_is_told_by_the_name_that_it_was_given(venv: Tree, below: str) -> None:
    """Itself, and one that lies directly in a directory."""
    given = os.path.join(venv.top, below) if below else str(venv.top)
    (one,) = told(judged(given))
    assert one.subject == (os.path.join(given, ".venv") if below == ".." else given)
    (finding,) = one.findings
    assert (finding.code, one.verdict, one.stage, one.target) == ("RW821", "risky", "environment", "host")
    assert "one.libs/libq.so.1` or `" in finding.message
    assert finding.message.endswith("; the first lacks V_2")
    assert finding.weight == "risky"


def test_every_other_result_is_as_without_it(venv: Tree) -> None:
    held = judged(str(venv.top))
    assert len(told(held)) == 1
    (venv.top / "pyvenv.cfg").unlink()
    assert judged(str(venv.top)).results == tuple(one for one in held.results if one not in told(held))


def test_builds_that_get_on_leave_the_verdict(venv: Tree) -> None:
    build(venv, "one", "V_1", "V_2", "V_3")
    (one,) = told(judged(str(venv.top)))
    assert (one.findings[0].severity, one.verdict) == ("note", "runs")


def test_one_file_for_two_modules(venv: Tree) -> None:
    build(venv, "one", "V_1", "V_2")
    first = venv.module("a/_speed")
    (venv.site / "b").mkdir()
    os.link(first, venv.site / "b" / os.path.basename(first))
    (one,) = told(judged(str(venv.top)))
    assert [(finding.code, finding.severity) for finding in one.findings] == [("RW822", "warning")]


@pytest.mark.parametrize(
    ("at", "mark", "given", "name"),
    [
        (".magic/envs/default", "conda-meta/history", ".", "./.magic/envs/default"),
        (".pixi/envs/test", "conda-meta/history", ".pixi/envs", ".pixi/envs/test"),
        ("envs/a", "conda-meta/a-1-0.json", "envs/a", "envs/a"),
        ("node_modules", "a/package.json", ".", "./node_modules"),
        ("node_modules", "a/package.json", "node_modules/", "node_modules/"),
        ("deep/down/venv", "pyvenv.cfg", ".", None),
        ("venv", "pyvenv.cfg.bak", ".", None),
    ],
)
def test_which_directories_are_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at: str, mark: str, given: str, name: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, text in ((mark, "home = /usr/bin\n"), ("a/x.node", ""), ("b/x.node", "")):
        (tmp_path / at / path).parent.mkdir(parents=True, exist_ok=True)
        data = text.encode() or elf(exports=["napi_register_module_v1"])
        (tmp_path / at / path).write_bytes(data)
    found = list(environments_in(open_given(given, DirectoryView("/")), Trail()))
    assert [one.name for one in found] == ([] if name is None else [name])
    for one in found:
        assert one.environment is not None
        assert one.environment.path == str(tmp_path.resolve() / at)
    (tmp_path / at / "b/x.node").unlink()  # what is alone clashes with nothing
    assert not list(environments_in(open_given(given, DirectoryView("/")), Trail()))


@pytest.mark.parametrize("on", ["debian:12", "glibc:2.28"])
def test_other_targets_do_not_hold_it(venv: Tree, on: str) -> None:
    assert not told(judged(str(venv.top), on=on))


def test_it_is_not_asked_where_only_loading_is(venv: Tree) -> None:
    assert not told(judged(str(venv.top), until=True))


def test_a_directory_is_no_environment_by_its_contents(venv: Tree) -> None:
    os.unlink(venv.top / "pyvenv.cfg")
    assert not told(judged(str(venv.top), str(venv.top.parent)))


def test_the_root_that_holds_it_runs_it(tmp_path: Path) -> None:
    """With the loader of the root; this machine's does not serve it."""
    root = Root(tmp_path.resolve() / "root")
    own = root.put("/usr/lib/libstdc++.so.6", elf(soname="libstdc++.so.6"))
    site = f"{root.venv}/lib/python3.12/site-packages"
    other = root.put(f"{site}/two.libs/libstdc++-0123abcd.so.6", elf(soname="libstdc++-0123abcd.so.6"))
    root.module(root.venv, "one", "libstdc++.so.6")
    root.module(root.venv, "two", "libstdc++-0123abcd.so.6", runpath="$ORIGIN/../two.libs")
    given = f"{root.top}{root.venv}"
    (one,) = told(judged(given, on=str(root.top)))
    assert (one.findings[0].code, one.target, one.verdict) == ("RW820", str(root.top), "runs")
    lines = "\n".join(one.findings[0].lines)
    assert own in lines
    assert other.removeprefix(f"{given}/") in lines
    assert not told(judged(given))


# -- what is remembered ------------------------------------------------------------------------


def _same_builds(tree: Tree) -> None:
    build(tree, "one", "V_1", "V_2")


def _no_module(tree: Tree) -> None:
    next((tree.site / "two").iterdir()).unlink()


def _no_venv(tree: Tree) -> None:
    (tree.top / "pyvenv.cfg").unlink()


def _in_a_root(tree: Tree) -> None:
    """Make the directory above a system, which has another loader."""
    (tree.top.parent / "usr/lib/os-release").write_text("ID=x\n", encoding="utf-8")


def _other_python(tree: Tree) -> None:
    """Put another program to where the link of the environment leads."""
    (tree.top.parent / "away/python").unlink()
    (tree.top.parent / "away/python").write_bytes(elf(interpreter="/lib/ld-none.so.1"))


def _required(tree: Tree) -> None:
    """Say that one package requires the other: then it is certain that both are loaded."""
    for name, more in (("one", ""), ("two", "Requires-Dist: one\n")):
        module = next((tree.site / name).iterdir()).relative_to(tree.site)
        tree.put(f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{more}")
        tree.put(f"{name}-1.dist-info/RECORD", f"{module},,\n")


@pytest.mark.parametrize("edit", [_same_builds, _no_module, _no_venv, _in_a_root, _other_python, _required])
def test_a_remembered_report_holds_while_nothing_changes(
    venv: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Callable[[Tree], None]
) -> None:
    monkeypatch.setattr(kept, "_SETTLED", 0)
    cache, given = str(tmp_path / "cache"), str(venv.top)
    fresh = judged(given)
    assert judged(given, cache=cache) == fresh
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "_judge", None)  # it is told again without a look
        assert judged(given, cache=cache) == fresh
    edit(venv)
    after = judged(given)
    assert told(after) != told(fresh)
    assert judged(given, cache=cache) == after


# -- as people meet it -------------------------------------------------------------------------

WAIVER = """
[[waiver]]
code = "RW821"
reason = "the second is imported first"
expires = "never"
"""


def test_the_command(venv: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(venv.top.parent)
    asked = ["check", ".venv", "--no-cache"]
    before = main([*asked, "--format", "json"])
    document = validate(capsys.readouterr().out)
    (cell,) = [one for one in document["results"] if one["subject"] == ".venv"]
    assert (cell["verdict"], cell["stage"], cell["findings"][0]["code"]) == ("risky", "environment", "RW821")
    assert [one["subjects"] for one in document["summary"]["causes"] if one["code"] == "RW821"] == [[".venv"]]
    assert main(asked) == before == 0
    out = capsys.readouterr().out
    assert "  host  ! 1 risky  ✓ 4 run  " in out
    assert "\nwarning[RW821]: a process of `" in out
    assert main([*asked, "--fail-on", "risky"]) == 1
    Path("runworthy.toml").write_text(WAIVER, encoding="utf-8")
    capsys.readouterr()
    assert main([*asked, "--format", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    (cell,) = [one for one in again["results"] if one["subject"] == ".venv"]
    assert cell["findings"][0]["waived"]
