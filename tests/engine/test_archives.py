"""Archives as subjects: what is judged of them, how it is named, and that it does not matter how a tree is packed."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runworthy
from runworthy.model.finding import Report
from tests.elfwriter import Symbol, elf
from tests.world import DT_DEBUG, LOADER, START, make

TARGETS = ("debian:12", "debian:11", "alpine:3.20/amd64")
TOP = "opt/viewer"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a directory with an application in ``opt/viewer``: a program, its library under two names, plug-ins."""
    made = make(tmp_path / "world")
    shutil.copytree(made / "viewer", tmp_path / "tree" / TOP)
    (tmp_path / "tree" / TOP / "lib/libview.so.3").symlink_to("libview.so.2")
    return tmp_path / "tree"


# -- the same tree, packed in every way -------------------------------------------------------


def files_of(tree: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(tree.rglob("*")):
        yield str(path.relative_to(tree)), path


def as_zip(tree: Path, made: Path) -> None:
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files_of(tree):
            if path.is_symlink():
                row = zipfile.ZipInfo(name)
                row.create_system, row.external_attr = 3, 0o120777 << 16
                archive.writestr(row, os.readlink(path))
            else:
                archive.write(path, name)


def as_tar(form: str) -> Callable[[Path, Path], None]:
    def pack(tree: Path, made: Path) -> None:
        with tarfile.open(made, form) as archive:  # type: ignore[call-overload]  # the forms come out of a table
            for name, path in files_of(tree):
                archive.add(path, name, recursive=False)

    return pack


def as_deb(tree: Path, made: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, path in files_of(tree):
            archive.add(path, f"./{name}", recursive=False)
    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w:gz") as archive:
        text = b"Package: viewer\nVersion: 1.0\nArchitecture: amd64\nMaintainer: nobody\nDescription: shows\n"
        row = tarfile.TarInfo("./control")
        row.size = len(text)
        archive.addfile(row, io.BytesIO(text))
    members = (("debian-binary", b"2.0\n"), ("control.tar.gz", control.getvalue()), ("data.tar.xz", packed.getvalue()))
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts += [f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode(), data, b"\n" * (len(data) % 2)]
    made.write_bytes(b"".join(parts))


PACKED: dict[str, Callable[[Path, Path], None]] = {
    "viewer.zip": as_zip,
    "viewer.tar": as_tar("w"),
    "viewer.tar.gz": as_tar("w:gz"),
    "viewer.tar.xz": as_tar("w:xz"),
    "viewer.tar.bz2": as_tar("w:bz2"),
    "viewer_1.0_amd64.deb": as_deb,
}


def told(report: Report, name: str) -> list[dict[str, Any]]:
    """Return the results as JSON has them, with names from the top of the tree and without the places of the root."""
    text = runworthy.render(report, "json")
    document = json.loads(text)
    results = [result for result in document["results"] if result["target"]]
    for result in results:
        result.pop("path")
        for finding in result["findings"]:
            finding.pop("fingerprint")
    words = json.dumps(results)
    for mark in ("!/", "/"):
        words = words.replace(f"/subject{Path(name).absolute()}{mark}", "/")
    for mark in ("!", "/"):
        words = words.replace(f"{name}{mark}", "")
    words = words.replace(f"/{TOP}/plugins/../", f"{TOP}/")  # of a package, a place of the root
    words = re.sub(" {2,}", "  ", words)  # columns are as wide as the names in them
    found: list[dict[str, Any]] = json.loads(words)
    return found


@pytest.mark.parametrize("packed", PACKED)
def test_the_same_tree_gives_the_same_findings(tree: Path, packed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    PACKED[packed](tree, tree.parent / packed)
    loose = told(runworthy.check("tree", on=TARGETS, trace=True), "tree")
    assert {result["verdict"] for result in loose} >= {"fails"}
    assert len(loose) == 5 * len(TARGETS)
    assert told(runworthy.check(packed, on=TARGETS, trace=True), packed) == loose


def test_the_same_tree_as_a_wheel(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel has rules of its own, and each file of it is told as it is in a directory."""
    monkeypatch.chdir(tree.parent)
    (tree / TOP / "lib/libview.so.3").unlink()  # wheels have no links
    name = "viewer-1.0-py3-none-linux_x86_64.whl"
    as_zip(tree, tree.parent / name)
    loose = told(runworthy.check("tree", on="debian:12"), "tree")
    found = [one for one in told(runworthy.check(name, on="debian:12"), name) if one["subject"] != name]
    for one in found:
        text = json.dumps(one).replace("lib/python3/site-packages/", "")
        assert json.loads(text) in loose
    assert len(found) == len(loose)


# -- names ------------------------------------------------------------------------------------


def test_members_are_named_by_their_archive(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    as_zip(tree, tree.parent / "viewer.zip")
    report = runworthy.check("viewer.zip", on="debian:12")
    assert [result.subject for result in report.results] == [
        f"viewer.zip!{TOP}/{name}"
        for name in ("bin/viewer", "lib/libview.so", "plugins/gif.so", "plugins/jpeg.so", "plugins/png.so")
    ]
    tree_of = report.trees[0]
    assert (tree_of.name, tree_of.kind, tree_of.subjects, tree_of.within) == ("viewer.zip", "zip", 5, "")
    assert tree_of.aliases == {
        f"viewer.zip!{TOP}/lib/libview.so": (
            f"viewer.zip!{TOP}/lib/libview.so.2",
            f"viewer.zip!{TOP}/lib/libview.so.3",
        )
    }
    finding = report.results[0].findings[0]
    assert finding.evidence[0].file == f"viewer.zip!{TOP}/lib/libview.so.2"
    assert not any("/subject" in line for line in finding.lines)


def test_a_member_can_be_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    as_zip(tree, tree.parent / "viewer.zip")
    name = f"viewer.zip!{TOP}/plugins/gif.so"
    whole = runworthy.check("viewer.zip", on="debian:12")
    alone = runworthy.check(name, on="debian:12")
    assert alone.results == tuple(result for result in whole.results if result.subject == name)
    missing = runworthy.check("viewer.zip!nowhere", on="debian:12")
    assert [(result.verdict, result.stage) for result in missing.results] == [("unknown", "exec")]
    with pytest.raises(runworthy.SubjectError):
        runworthy.check("nowhere.zip!nowhere", on="debian:12")


def test_a_copy_a_link_a_script_and_what_lies_in_another_archive_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a whole archive, copies and links are told with the first of them, and scripts not at all."""
    monkeypatch.chdir(tmp_path)
    library = elf(soname="libone.so", exports=["one"])
    with zipfile.ZipFile("inner.zip", "w") as archive:
        for name in ("lib/one.so", "lib/same.so", "run"):
            archive.writestr(name, library if name != "run" else b"#!/nowhere\n")
        link = zipfile.ZipInfo("lib/link.so")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "one.so")
    with zipfile.ZipFile("outer.zip", "w") as archive:
        archive.write("inner.zip")
    whole = runworthy.check("inner.zip", on="debian:12")
    assert [one.subject for one in whole.results] == ["inner.zip!lib/one.so"]
    for packed in ("inner.zip", "outer.zip!inner.zip"):
        for name in ("lib/one.so", "lib/same.so", "lib/link.so"):
            (alone,) = runworthy.check(f"{packed}!{name}", on="debian:12").results
            assert (alone.subject, alone.verdict) == (f"{packed}!{name}", "runs")
            assert not runworthy.floor(f"{packed}!{name}").problems
        (script,) = runworthy.check(f"{packed}!run", on="debian:12/amd64").results
        assert (script.verdict, script.stage) == ("fails", "exec")
        within = runworthy.check(f"{packed}!lib", on="debian:12").results
        assert [one.subject for one in within] == [f"{packed}!lib/one.so"]
    inner = runworthy.check("outer.zip!inner.zip", on="debian:12")
    assert [one.subject for one in inner.results] == ["outer.zip!inner.zip!lib/one.so"]
    assert [one.name for one in inner.trees] == ["outer.zip!inner.zip"]
    fixed = runworthy.fix("inner.zip!run", on="debian:12/amd64")
    assert [plan.subjects for plan in fixed.plans] == [("inner.zip!run",)]


def test_a_directory_shows_what_its_archives_hold(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    (tree.parent / "dist").mkdir()
    as_zip(tree, tree.parent / "dist/viewer.zip")
    as_tar("w:gz")(tree, tree.parent / "dist/viewer.tar.gz")
    shutil.copy(tree / TOP / "bin/viewer", tree.parent / "dist/viewer")
    report = runworthy.check("dist", on="debian:12")
    assert [(one.name, one.within, one.subjects) for one in report.trees] == [
        ("dist", "", 1),
        ("dist/viewer.tar.gz", "dist", 5),
        ("dist/viewer.zip", "dist", 5),
    ]
    assert {result.subject.partition("!")[0] for result in report.results} == {
        "dist/viewer", "dist/viewer.tar.gz", "dist/viewer.zip",
    }  # fmt: skip
    assert all(one.verdict == "fails" for one in report.results)


def test_what_is_called_like_an_archive_and_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of text under the name of a wheel would be passed over in a directory of things that run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/app").write_bytes(elf(interpreter=LOADER, needed=["libc.so.6"], imports=[START]))
    (tmp_path / "dist/app").chmod(0o755)
    (tmp_path / "dist/notes.snap").write_text("// a snapshot of a test\n")
    assert runworthy.check("dist", on="debian:12").exit_code() == 0
    odd = {"a.deb": b"", "b.tar.gz": b"<html>", "c.zip": b"version https://git-lfs.github.com/spec/v1\n",
           "deep-1.0-py3-none-any.whl": b"not here"}  # fmt: skip
    for name, data in odd.items():
        (tmp_path / "dist" / name).write_bytes(data)
    report = runworthy.check("dist", on="debian:12")
    told = {one.subject: found.message.partition(": ")[2] for one in report.results for found in one.findings}
    assert told == {
        "dist/a.deb": "the file is empty",
        "dist/b.tar.gz": "it does not begin as a tar archive does",
        "dist/c.zip": "it is a pointer of Git LFS, which stands for the file",
        "dist/deep-1.0-py3-none-any.whl": "it does not begin as a zip archive does",
    }
    assert report.exit_code() == 4
    assert runworthy.check("dist/a.deb", on="debian:12").exit_code() == 4


@pytest.mark.parametrize("names", [("manifest.json", "abc/layer.tar"), ("oci-layout", "index.json", "blobs/sha256/a")])
def test_an_image_is_not_said_to_run_layer_by_layer(
    tree: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree.parent)
    as_tar("w")(tree, tree.parent / "layer")
    with tarfile.open("saved.tar", "w") as archive:
        for name in names:
            (tree.parent / "other").write_text("{}")
            archive.add("layer" if name == names[-1] else "other", name)
    report = runworthy.check("saved.tar", on="host")
    whole = next(one for one in report.results if one.subject == "saved.tar")
    assert (whole.verdict, [one.code for one in whole.findings]) == ("unknown", ["RW503"])
    assert "whose layers lie over one another" in whole.findings[0].message
    assert any(f"!{names[-1]}!{TOP}/bin/viewer" in one.subject for one in report.results)


def test_archives_in_archives(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    as_zip(tree, tree.parent / "0.zip")
    for depth in range(1, 6):
        with zipfile.ZipFile(tree.parent / f"{depth}.zip", "w") as archive:
            archive.write(tree.parent / f"{depth - 1}.zip", f"in/{depth - 1}.zip")
    third = runworthy.check("3.zip", on="debian:12")
    assert third.results[0].subject == f"3.zip!in/2.zip!in/1.zip!in/0.zip!{TOP}/bin/viewer"
    assert [one.within for one in third.trees] == [
        "3.zip!in/2.zip!in/1.zip", "3.zip!in/2.zip", "3.zip", "",
    ]  # fmt: skip
    inner = runworthy.check("0.zip", on="debian:12")
    assert [result.verdict for result in third.results] == [result.verdict for result in inner.results]
    deep = runworthy.check("5.zip", on="debian:12")
    assert not any(result.subject.endswith("viewer") for result in deep.results)
    assert [(result.verdict, [one.code for one in result.findings]) for result in deep.results] == [
        ("unknown", ["RW503"])
    ]


def test_what_holds_nothing_to_judge_is_judged_where_somebody_may_execute_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("classes.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: Main\n")
        archive.writestr("Main.class", b"\xca\xfe\xba\xbe\0\0\0\x41")
    report = runworthy.check("classes.jar", on="debian:12")
    assert not report.results
    assert [(one.name, one.kind, one.subjects) for one in report.trees] == [("classes.jar", "jar", 0)]
    Path("classes.jar").chmod(0o755)
    started = runworthy.check("classes.jar", on="debian:12")
    assert [(one.verdict, one.stage) for one in started.results] == [("fails", "exec")]


# -- how packages are laid out ------------------------------------------------------------------


def test_a_wheel_is_laid_out_as_pip_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``data`` goes to the prefix: an extension finds there what lies beside it in the wheel."""
    monkeypatch.chdir(tmp_path)
    name = "deep-1.0-py3-none-manylinux_2_28_x86_64.whl"
    module = elf(needed=["libdeep.so.1"], runpath="$ORIGIN/../../..", imports=["deep"])
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr("deep/_deep.so", module)
        archive.writestr("deep-1.0.data/data/lib/libdeep.so.1", elf(soname="libdeep.so.1", exports=["deep"]))
    report = runworthy.check(name, on="debian:12", trace=True)
    found = next(result for result in report.results if result.subject == f"{name}!deep/_deep.so")
    assert found.verdict == "runs"
    library = f"{name}!deep-1.0.data/data/lib/libdeep.so.1"
    assert library in {result.subject for result in report.results}
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr("deep/_deep.so", module)
        archive.writestr("deep-1.0.data/data/lib/libdeep.so.1", b"libreal.so.1")
    broken = runworthy.check(f"{name}!deep/_deep.so", on="debian:12").results[0]
    assert [f"ends at `{library}`" in found.message for found in broken.findings] == [True]


def test_a_package_of_a_system_lays_its_files_into_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the links of the root, and each package in a root of its own."""
    monkeypatch.chdir(tmp_path)
    for version, gives in (("1", "one"), ("2", "two")):
        top = tmp_path / f"tree{version}"
        (top / "lib").mkdir(parents=True)
        (top / "usr/bin").mkdir(parents=True)
        (top / "lib/libsame.so.1").write_bytes(elf(soname="libsame.so.1", exports=[gives]))
        program = elf(
            interpreter=LOADER,
            needed=["libsame.so.1", "libc.so.6"],
            tags=[DT_DEBUG],
            imports=[Symbol("one", use="data"), START],
        )
        (top / "usr/bin/same").write_bytes(program)
        (top / "usr/bin/same").chmod(0o755)
        as_deb(top, tmp_path / f"same_{version}.deb")
    report = runworthy.check(["same_1.deb", "same_2.deb"], on="debian:12/amd64")
    verdicts = {result.subject: result.verdict for result in report.results}
    assert verdicts["same_1.deb!usr/bin/same"] == "runs"
    assert verdicts["same_2.deb!usr/bin/same"] == "fails"
    broken = next(result for result in report.results if result.subject == "same_2.deb!usr/bin/same")
    assert broken.path == "/usr/bin/same"
    missing = broken.findings[0]
    assert "`same_2.deb!usr/bin/same`" in missing.message


def npm(path: Path, name: str, files: dict[str, bytes], **fields: object) -> None:
    with tarfile.open(path, "w:gz") as archive:
        manifest = json.dumps({"name": name, "version": "1.0.0", **fields}).encode()
        for member, data in {"package/package.json": manifest, **files}.items():
            row = tarfile.TarInfo(member)
            row.size, row.mode = len(data), 0o755
            archive.addfile(row, io.BytesIO(data))


def test_a_manifest_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text, why in ((b"[" * 200_000, "is nested too deeply"), (b"{,}", "is no JSON"), (b"[]", "is no JSON object")):
        with tarfile.open("odd.tgz", "w:gz") as archive:
            row = tarfile.TarInfo("package/package.json")
            row.size = len(text)
            archive.addfile(row, io.BytesIO(text))
        (result,) = runworthy.check("odd.tgz", on="debian:12/amd64").results
        assert (result.verdict, [one.code for one in result.findings]) == ("unknown", ["RW503"])
        assert why in result.findings[0].message


def test_what_requires_each_other_is_installed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sharp does it: an addon looks for its library in the package beside its own."""
    monkeypatch.chdir(tmp_path)
    addon = elf(needed=["libdraw.so.8"], runpath="$ORIGIN/../../draw-lib/lib", imports=["draw"])
    wants = {"optionalDependencies": {"@img/draw-lib": "1.0.0"}}
    npm(tmp_path / "draw.tgz", "@img/draw", {"package/lib/draw.node": addon}, os=["linux"], **wants)
    library = elf(soname="libdraw.so.8", exports=["draw"])
    npm(tmp_path / "lib.tgz", "@img/draw-lib", {"package/lib/libdraw.so.8": library}, cpu=["x64"])
    npm(tmp_path / "other.tgz", "@img/other", {"package/lib/libdraw.so.8": library})

    def verdict(*names: str, on: str = "debian:12") -> str:
        report = runworthy.check(names, on=on)
        return next(one.verdict for one in report.results if one.subject == "draw.tgz!package/lib/draw.node")

    assert verdict("draw.tgz") == "fails"
    assert verdict("draw.tgz", "other.tgz") == "fails"
    assert verdict("draw.tgz", "lib.tgz") == "runs"
    # a package that npm leaves out is not there
    npm(tmp_path / "lib.tgz", "@img/draw-lib", {"package/lib/libdraw.so.8": library}, cpu=["arm64"])
    assert verdict("draw.tgz", "lib.tgz") == "fails"


def wheel(directory: Path, tag: str, machine: str, *needed: str) -> str:
    name = f"deep-1.0-cp312-cp312-{tag}.whl"
    with zipfile.ZipFile(directory / name, "w") as archive:
        archive.writestr("deep/_deep.so", elf(machine=machine, needed=list(needed), exports=["deep"]))
    return name


def test_of_the_wheels_of_a_release_pip_takes_one_on_each_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    many = wheel(tmp_path, "manylinux_2_28_x86_64", "x86_64", "libc.so.6")
    musl = wheel(tmp_path, "musllinux_1_2_x86_64", "x86_64", "libc.musl-x86_64.so.1")
    arm = wheel(tmp_path, "manylinux_2_28_aarch64", "aarch64", "libc.so.6")
    report = runworthy.check([many, musl, arm], on=["debian:12", "alpine:3.20", "alpine:3.20/arm64"])
    judged = {(one.subject.partition("!")[0], one.target) for one in report.results if "!" in one.subject}
    assert judged == {(many, "debian:12"), (arm, "debian:12"), (musl, "alpine:3.20"), (arm, "alpine:3.20/aarch64"),
                      (arm, "alpine:3.20")}  # fmt: skip
    refused = {(one.subject, one.target) for one in report.results for found in one.findings if found.code == "RW519"}
    assert refused == {
        (arm, "alpine:3.20"),  # a target without an architecture is judged on each that there is something for
        *((name, "alpine:3.20/aarch64") for name in (many, musl, arm)),
    }
    # a wheel alone is judged wherever it is asked for: what is in it may run where pip does not take it
    alone = runworthy.check(many, on="alpine:3.20")
    assert [(one.subject, one.verdict) for one in alone.results if one.target] == [
        (many, "fails"), (f"{many}!deep/_deep.so", "runs"),
    ]  # fmt: skip


def test_a_wheel_is_offered_where_its_name_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else it carries: debuggers bring libraries for the processes of other architectures."""
    monkeypatch.chdir(tmp_path)
    both = "deep-1.0-py3-none-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(both, "w") as archive:
        for machine in ("x86_64", "aarch64"):
            archive.writestr(f"deep/{machine}.so", elf(machine=machine, needed=["libc.so.6"], exports=["deep"]))
    none = "none-1.0-py3-none-manylinux_2_28_aarch64.whl"
    with zipfile.ZipFile(none, "w") as archive:
        archive.writestr("none/__init__.py", b"")
    for name, target in ((both, "debian:12"), (none, "debian:12")):
        results = runworthy.check(name, on=target).results
        assert [(one.verdict, one.target) for one in results if one.subject == name and one.target] == [
            ("runs", "debian:12")
        ]
    refused = runworthy.check(none, on="debian:12/amd64").results[-1].findings
    assert [one.code for one in refused] == ["RW519"]
    assert f"`{none}`" in refused[0].message


def test_a_wheel_that_was_renamed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.move(wheel(tmp_path, "manylinux_2_28_x86_64", "x86_64"), "deep.whl")
    results = runworthy.check("deep.whl", on="debian:12").results
    found = [one.message for result in results for one in result.findings if one.code == "RW519"]
    assert found == ["pip does not take `deep.whl` on debian:12: no wheel has such a name, and it says no tag"]


def test_what_npm_leaves_out_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As esbuild and rollup do it: one package for each platform among the optional dependencies of another."""
    monkeypatch.chdir(tmp_path)
    platforms = {"linux-x64-gnu": "glibc", "linux-x64-musl": "musl"}
    names = [f"@roll/roll-{one}" for one in platforms]
    npm(tmp_path / "roll.tgz", "roll", {}, optionalDependencies=dict.fromkeys(names, "1.0.0"))
    for (tag, libc), name in zip(platforms.items(), names, strict=True):
        addon = elf(exports=["napi_register_module_v1"])
        fields = {"os": ["linux"], "cpu": ["x64"], "libc": [libc]}
        npm(tmp_path / f"{tag}.tgz", name, {f"package/roll.{tag}.node": addon}, **fields)
    given = ["roll.tgz", *(f"{tag}.tgz" for tag in platforms)]
    report = runworthy.check(given, on=["debian:12/amd64", "alpine:3.20/amd64", "alpine:3.20/arm64"])
    judged = {(one.subject.partition("!")[0], one.target) for one in report.results if "!" in one.subject}
    assert judged == {
        ("linux-x64-gnu.tgz", "debian:12/x86_64"),
        ("linux-x64-musl.tgz", "alpine:3.20/x86_64"),
    }
    fails = {(one.subject, one.target): one.verdict for one in report.results if one.verdict != "runs"}
    assert fails == {("roll.tgz", "alpine:3.20/aarch64"): "fails"}


# -- beside everything else -------------------------------------------------------------------


def test_nothing_is_written(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    scratch = tree.parent / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    as_tar("w:xz")(tree, tree.parent / "viewer.tar.xz")
    before = {path: path.stat().st_mtime_ns for path in tree.parent.rglob("*")}
    assert runworthy.check("viewer.tar.xz", on="debian:12").results
    assert {path: path.stat().st_mtime_ns for path in tree.parent.rglob("*")} == before


def test_a_change_in_an_archive_is_seen_though_reports_are_kept(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    (tree.parent / "dist").mkdir()
    cache = tree.parent / "cache"
    as_zip(tree, tree.parent / "dist/viewer.zip")
    for path in (tree.parent / "dist", tree.parent / "dist/viewer.zip"):
        os.utime(path, (1, 1))
    first = runworthy.check("dist", on="debian:12", cache=cache)
    assert runworthy.check("dist", on="debian:12", cache=cache) == first
    (tree / TOP / "plugins/gif.so").unlink()
    as_zip(tree, tree.parent / "dist/viewer.zip")
    again = runworthy.check("dist", on="debian:12", cache=cache)
    assert len(again.results) == len(first.results) - 1


def test_a_large_archive_is_read_once(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    as_zip(tree, tree.parent / "viewer.zip")
    cache = tmp_path / "cache"
    runworthy.check("viewer.zip", on="debian:12", cache=cache)
    assert not cache.exists()  # of a small one the cache is not even opened
    monkeypatch.setattr("runworthy.engine.check._LARGE", 100)
    first = runworthy.check("viewer.zip", on="debian:12", cache=cache)
    assert cache.exists()
    assert runworthy.check("viewer.zip", on="debian:12", cache=cache) == first
    (tree / TOP / "plugins/gif.so").unlink()
    as_zip(tree, tree.parent / "viewer.zip")
    again = runworthy.check("viewer.zip", on="debian:12", cache=cache)
    assert len(again.results) == len(first.results) - 1


def test_processes_do_not_change_the_report(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    as_tar("w:xz")(tree, tree.parent / "viewer.tar.xz")
    assert runworthy.check("viewer.tar.xz", on=TARGETS, jobs=2) == runworthy.check("viewer.tar.xz", on=TARGETS, jobs=1)


def test_at_says_where_an_archive_is_unpacked(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    as_zip(tree, tree.parent / "viewer.zip")
    report = runworthy.check("viewer.zip", on="debian:12", at="/srv/app")
    assert report.results[0].path == f"/srv/app/{TOP}/bin/viewer"
    loose = runworthy.check("tree", on="debian:12", at="/srv/app")
    assert [one.path for one in report.results] == [one.path for one in loose.results]


@pytest.mark.judge
def test_a_package_is_judged_where_dpkg_puts_it(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive that this module writes by hand is one for dpkg as well."""
    monkeypatch.chdir(tree.parent)
    as_deb(tree, tree.parent / "viewer.deb")
    listed = subprocess.run(["dpkg-deb", "-c", "viewer.deb"], capture_output=True, text=True, check=True).stdout
    report = runworthy.check("viewer.deb", on="debian:12/amd64")
    for result in report.results:
        assert f" .{result.path}\n" in listed
