"""Archives and whole releases: floors asset by asset, and what a release newly demands of whom."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import runworthy
from runworthy.engine.pairing import unversioned
from runworthy.model.difference import Difference
from runworthy.model.floor import FloorReport, ShippedFloor
from runworthy.model.records import replace
from runworthy.report.diff_json import diff_json
from tests.elfwriter import Symbol, elf
from tests.engine.test_archives import PACKED
from tests.releases import program, release, tgz, wheel, zipped
from tests.world import DT_DEBUG, LOADER, START, make

TOP = "opt/viewer"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def viewer(here: Path, name: str, node: str = "GLIBC_2.34") -> Path:
    """Write a tree with an application that bundles a library; its program needs a version of glibc."""
    shutil.copytree(make(here / f"world-{name}") / "viewer", here / name / TOP)
    start = Symbol("__libc_start_main", node, "libc.so.6", use="data")
    app = elf(interpreter=LOADER, needed=["libview.so.2", "libc.so.6"], runpath="$ORIGIN/../lib", tags=[DT_DEBUG],
        imports=[start, Symbol("show", use="plt")])  # fmt: skip
    view = elf(soname="libview.so.2", needed=["libc.so.6"], exports=["show"])
    for path, data in {"bin/viewer": app, "lib/libview.so.2": view, "lib/libview.so": view}.items():
        (here / name / TOP / path).write_bytes(data)
    (here / name / TOP / "lib/libview.so.3").symlink_to("libview.so.2")
    return here / name


def named(shipped: ShippedFloor, name: str) -> str:
    """Return everything that is told of floors, with names as they are in the tree."""
    text = str(replace(shipped, asset=""))
    return text.replace(f"{name}!", "").replace(f"{name}/", "")


# -- floors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", PACKED)
def test_the_floors_of_a_tree_are_those_of_its_archive(here: Path, packed: str) -> None:
    tree = viewer(here, "tree")
    PACKED[packed](tree, here / packed)
    (loose,), (held,) = runworthy.floor("tree").shipped, runworthy.floor(packed).shipped
    assert (loose.asset, held.asset) == ("", packed)
    assert loose.floor("glibc").release == "2.34"
    assert named(held, packed) == named(loose, "tree")


def assets(report: FloorReport) -> dict[str, str]:
    return {one.asset: one.floor("glibc").release for one in report.shipped}


def test_each_asset_of_a_release_has_floors_of_its_own(here: Path) -> None:
    report = runworthy.floor(release(here / "new", "1.3.0", new=True))
    place = f"{here}/new/app-1.3.0"
    assert assets(report) == {
        f"{place}-linux-amd64.tar.gz": "2.34",
        f"{place}-linux-arm64.tar.gz": "2.17",
        f"{place}-linux-musl-amd64.zip": "",
        f"{place}-linux-riscv64.tar.gz": "2.34",
        f"{place}-py3-none-manylinux_2_17_x86_64.whl": "2.17",
    }
    assert not report.problems


def test_programs_and_directories_called_after_a_platform_are_assets(here: Path) -> None:
    for name, node in (
        ("app-linux-amd64", "GLIBC_2.34"),
        ("tool_linux_amd64_v1/tool", "GLIBC_2.34"),
        ("other", "GLIBC_2.2.5"),
    ):
        path = here / "dist" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(program(node))
    assert assets(runworthy.floor("dist")) == {
        "dist/app-linux-amd64": "2.34",
        "": "2.2.5",
        "dist/tool_linux_amd64_v1": "2.34",
    }


def test_libraries_of_one_archive_do_not_answer_for_another(here: Path) -> None:
    user = elf(interpreter=LOADER, needed=["liba.so", "libc.so.6"], runpath="$ORIGIN", tags=[DT_DEBUG], imports=[START])
    library = elf(soname="liba.so", exports=["a"])
    zipped(here / "both.zip", {"app": user, "liba.so": library})
    zipped(here / "app.zip", {"app": user})
    zipped(here / "lib.zip", {"liba.so": library})
    presumed = {one.asset: one.presumed for one in runworthy.floor(["both.zip", "app.zip", "lib.zip"]).shipped}
    assert presumed == {"both.zip": (), "app.zip": ("liba.so",), "lib.zip": ()}


@pytest.mark.parametrize(("directory", "presumed"), [("usr/lib64", ()), ("usr/lib/x86_64-linux-gnu", ("liba.so.1",))])
def test_a_package_of_a_system_has_its_libraries_in_the_root(
    here: Path, directory: str, presumed: tuple[str, ...]
) -> None:
    """They are found as when it is installed. Releases of plain glibc do not look where Debian's loaders do."""
    library = elf(soname="liba.so.1", needed=["libc.so.6"], exports=["a"],
        imports=[Symbol("memcpy", "GLIBC_2.14", "libc.so.6")])  # fmt: skip
    user = elf(
        interpreter=LOADER, needed=["liba.so.1", "libc.so.6"], tags=[DT_DEBUG], imports=[Symbol("a", use="data")]
    )
    for name, data in {f"{directory}/liba.so.1": library, "usr/bin/app": user}.items():
        path = here / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    PACKED["viewer_1.0_amd64.deb"](here / "tree", here / "a_1_amd64.deb")
    (shipped,) = runworthy.floor("a_1_amd64.deb").shipped
    assert shipped.presumed == presumed
    assert shipped.floor("glibc").release == "2.14"
    asked = {reason.file for rung in shipped.floor("glibc").rungs for reason in rung.reasons}
    assert asked == {f"a_1_amd64.deb!{directory}/liba.so.1"}
    oldest = {one.family: one.target for one in shipped.oldest}
    assert (oldest["debian"], oldest["rhel"]) == (("debian:8", "rhel:7") if presumed else ("", "rhel:7"))


def test_an_archive_in_an_archive_and_a_member_alone(here: Path) -> None:
    zipped(here / "inner.jar", {"natives/liba.so": elf(soname="liba.so", needed=["libc.so.6"])})
    tgz(here / "outer.tar.gz", {"bin/app": program("GLIBC_2.17"), "lib/inner.jar": (here / "inner.jar").read_bytes()})
    assert set(assets(runworthy.floor("outer.tar.gz"))) == {"outer.tar.gz", "outer.tar.gz!lib/inner.jar"}
    (alone,) = runworthy.floor("outer.tar.gz!bin/app").shipped
    assert alone.files == ("outer.tar.gz!bin/app",)


def test_an_archive_that_cannot_be_read_is_a_problem(here: Path) -> None:
    release(here / "new", "1.3.0", new=True)
    broken = here / "new/app-1.3.0-linux-arm64.tar.gz"
    broken.write_bytes(broken.read_bytes()[:-30])
    report = runworthy.floor("new")
    assert list(report.problems) == ["new/app-1.3.0-linux-arm64.tar.gz"]
    assert report.exit_code() == 4


def test_gates_of_one_c_library_are_not_for_assets_of_the_other(here: Path) -> None:
    """A release with builds for both is gated as the same files in one directory are."""
    for_musl = elf(interpreter="/lib/ld-musl-x86_64.so.1", needed=["libc.musl-x86_64.so.1"], tags=[DT_DEBUG])
    builds = {"gnu": program("GLIBC_2.34"), "musl": for_musl}
    (here / "dist").mkdir()
    (here / "loose").mkdir()
    for name, data in builds.items():
        tgz(here / "dist" / f"app-linux-amd64-{name}.tgz", {"app": data})
        (here / "loose" / name).write_bytes(data)
    for subject in ("dist", "loose"):
        assert runworthy.floor(subject, max_glibc="2.34", max_musl="1.2.5").breaches == ()
        (breach,) = runworthy.floor(subject, max_glibc="2.28").breaches
        assert breach.has == "need glibc 2.34"
    (alone,) = runworthy.floor("dist/app-linux-amd64-musl.tgz", max_glibc="2.34").breaches
    assert alone.has == "run on no glibc that is known"


# -- diff ------------------------------------------------------------------------------------


def told(difference: Difference) -> list[dict[str, object]]:
    """Return all that the JSON document tells of files, by their names in the build."""
    pairs: list[dict[str, object]] = json.loads(diff_json(difference))["pairs"]
    return [{key: value for key, value in pair.items() if key not in ("old", "new")} for pair in pairs]


@pytest.mark.parametrize("packed", PACKED)
def test_a_tree_compares_as_its_archive(here: Path, packed: str) -> None:
    """Old with new is the same however each of them is packed; a tree and its archive differ in nothing."""
    trees = viewer(here, "old", "GLIBC_2.2.5"), viewer(here, "new")
    for tree in trees:
        PACKED[packed](tree, here / f"{tree.name}-{packed}")
    on = ["debian:11", "debian:12", "alpine:3.20"]
    loose = runworthy.diff("old", "new", on=on)
    assert [(pair.name, [cell.shift for cell in pair.cells]) for pair in loose.pairs if pair.changes] == [
        (f"{TOP}/bin/viewer", ["worse", "same", "same"])
    ]
    packed_old, packed_new = f"old-{packed}", f"new-{packed}"
    for old, new in ((packed_old, packed_new), (packed_old, "new"), ("old", packed_new)):
        held = runworthy.diff(old, new, on=on)
        assert told(held) == told(loose)
        assert [(one.kind, one.old, one.new) for one in held.floors or ()] == [("glibc", "2.2.5", "2.34"),
            ("kernel", None, "3.2.0")]  # fmt: skip
    same = runworthy.diff(packed_new, "new", on=on)
    assert all(pair.identical and not pair.judged for pair in same.pairs)


def test_a_top_directory_with_the_version_is_the_same_directory(here: Path) -> None:
    library = elf(soname="liba.so.1", exports=["a"])
    tgz(here / "app-1.2.3.tar.gz", {"app-1.2.3/bin/app": program(), "app-1.2.3/lib/liba.so.1.2": library})
    tgz(here / "app-1.3.0.tar.gz", {"app-1.3.0/bin/app": program(), "app-1.3.0/lib/liba.so.1.3": library})
    tgz(here / "app.tar.gz", {"bin/app": program(), "lib/liba.so.1.3": library})
    for old, new in (("app-1.2.3", "app-1.3.0"), ("app-1.2.3", "app"), ("app", "app-1.3.0")):
        pairs = runworthy.diff(f"{old}.tar.gz", f"{new}.tar.gz", on="debian:12").pairs
        by = {(pair.name.partition("bin/" if "bin" in pair.name else "lib/")[2], pair.paired_by) for pair in pairs}
        assert by in ({("app", "path"), ("liba.so.1.3", "soname")}, {("app", "path"), ("liba.so.1.3", "path")})
        assert all(pair.identical for pair in pairs)


@pytest.mark.parametrize(
    ("path", "without"),
    [
        ("app-1.2.3/bin/app", "app-*/bin/app"),
        ("app-1.2.3-linux-arm64.tar.gz", "app-*-linux-arm64.tar.gz"),
        ("app_v1.3.0-rc.1_linux_amd64.zip", "app_*_linux_amd64.zip"),
        ("numpy-2.0.0rc1.dist-info/RECORD", "numpy-*.dist-info/RECORD"),
        ("lib/python3.11/x.so", "lib/python3.11/x.so"),
        ("a-manylinux_2_17_x86_64.whl", "a-manylinux_2_17_x86_64.whl"),
        ("sha256-1/x86_64-v2/a", "sha256-1/x86_64-v2/a"),
    ],
)
def test_what_of_a_name_is_a_version(path: str, without: str) -> None:
    assert unversioned(path) == without


def compared(here: Path, old: Sequence[str], new: Sequence[str]) -> list[tuple[str | None, str | None, str]]:
    """Return how the assets of these names are paired."""
    for directory, names in (("old", old), ("new", new)):
        (here / directory).mkdir()
        for name in names:
            zipped(here / directory / name, {"readme": b"as you like"})
    pairs = runworthy.diff("old", "new").assets
    return [(one.old and one.old[4:], one.new and one.new[4:], one.paired_by) for one in pairs]


def test_assets_are_paired_by_path_then_without_versions_then_by_platform(here: Path) -> None:
    old = ["app.zip", "app-1.2.3-linux-arm64.zip", "app-v1.2.3-x86_64-unknown-linux-musl.zip",
        "llama-b3051-linux-x64.zip", "a-1.0-cp311-cp311-manylinux2014_x86_64.whl",
        "a-1.0-cp311-cp311-musllinux_1_1_x86_64.whl",
        "a-1.0-cp310-cp310-manylinux2014_x86_64.whl"]  # fmt: skip
    new = ["app.zip", "app-1.3.0-linux-arm64.zip", "app_1.3.0_linux_amd64_musl.zip", "llama-b4000-linux-x64.zip",
        "a-1.1-cp311-cp311-manylinux_2_28_x86_64.whl", "a-1.1-cp311-cp311-musllinux_1_2_x86_64.whl",
        "a-1.1-cp312-cp312-manylinux_2_28_x86_64.whl"]  # fmt: skip
    assert compared(here, old, new) == [
        (old[6], None, "path"),
        (old[4], new[4], "platform"),
        (old[5], new[5], "platform"),
        (None, new[6], "path"),
        (old[1], new[1], "name"),
        ("app.zip", "app.zip", "path"),
        (old[2], new[2], "platform"),
        (old[3], new[3], "platform"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "by"),
    [
        ("bzip2_1.0.8-4_amd64.deb", "bzip2_1.0.8-5+b1_amd64.deb", "name"),
        ("file_1%3a5.39-3+deb11u1_amd64.deb", "file_1%3a5.44-3_amd64.deb", "name"),
        ("libtinfo6_6.2+20201114-2+deb11u2_amd64.deb", "libtinfo6_6.4-4_amd64.deb", "name"),
        ("tree_2.1-1_amd64.deb", "tree_2.2-2_arm64.deb", ""),
        ("app_gnu_amd64.deb", "app_musl_amd64.deb", ""),
        ("zlib-1.2.11-40.el9.x86_64.rpm", "zlib-1.3.1-2.fc41.x86_64.rpm", "name"),
        ("zlib-1.2.11-40.el9.x86_64.rpm", "zlib-devel-1.2.11-41.el9.x86_64.rpm", ""),
        ("gcc-libs-13-1-x86_64.pkg.tar.zst", "gcc-libs-14.1+r1-2-x86_64.pkg.tar.zst", "name"),
        ("musl-1.2.5-r0.apk", "musl-1.2.6_git20250101-r11.apk", "name"),
        ("MarkupSafe-2.1.5-cp311-cp311-win_amd64.whl", "markupsafe-3.0.3-cp311-cp311-win_amd64.whl", "name"),
        ("a-1.0-1-py3-none-win_amd64.whl", "a-1.0-2-py3-none-win_amd64.whl", "name"),
        ("a-1.0-cp37-abi3-win_amd64.whl", "a-1.0-cp39-abi3-win_amd64.whl", "platform"),
        ("a-1.0-cp37-cp37m-win_amd64.whl", "a-1.0-cp39-cp39-win_amd64.whl", ""),
    ],
)
def test_packages_are_paired_by_what_their_makers_call_the_name(here: Path, old: str, new: str, by: str) -> None:
    found = compared(here, [old], [new])
    assert [row for row in found if None not in row] == ([(old, new, by)] if by else [])


def test_wheels_of_one_platform_are_paired_by_the_tags_first(here: Path) -> None:
    """The oldest Python that they are for has changed: several for one processor are still told apart."""
    tags = ["manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_x86_64", "musllinux_1_1_x86_64"]
    old = [f"a-1.0-cp37-abi3-{tag}.whl" for tag in tags]
    new = [f"a-2.0-cp39-abi3-{tag}.whl" for tag in [*tags[:2], "musllinux_1_2_x86_64"]]
    assert compared(here, old, new) == [(one, other, "platform") for one, other in zip(old, new, strict=True)]


def test_two_releases(here: Path) -> None:
    old, new = release(here / "old", "1.2.3", new=False), release(here / "new", "1.3.0", new=True)
    difference = runworthy.diff(old, new, on=["debian:11", "debian:12", "alpine:3.20"])
    assert {asset.name: (asset.old is not None, asset.new is not None, asset.files) for asset in difference.assets} == {
        "app-1.2.3-linux-armv7": (True, False, 1),
        "app-1.3.0-darwin-arm64": (True, True, 0),
        "app-1.3.0-linux-amd64.tar.gz": (True, True, 1),
        "app-1.3.0-linux-arm64.tar.gz": (True, True, 1),
        "app-1.3.0-linux-musl-amd64.zip": (True, True, 1),
        "app-1.3.0-linux-riscv64.tar.gz": (False, True, 1),
        "app-1.3.0-py3-none-manylinux_2_17_x86_64.whl": (True, True, 1),
        "app-1.3.0-windows-amd64.zip": (True, True, 0),
    }
    judged = {pair.asset: [cell.shift for cell in pair.cells] for pair in difference.pairs if pair.judged}
    assert judged == {
        "app-1.3.0-linux-amd64.tar.gz": ["worse", "same", "same"],
        "app-1.3.0-py3-none-manylinux_2_17_x86_64.whl": ["same", "same", "same"],
    }
    assert {pair.name for pair in difference.pairs if pair.identical} == {
        "app-1.3.0-linux-arm64.tar.gz!app-1.3.0/bin/app",
        "app-1.3.0-linux-musl-amd64.zip!app",
    }
    floors = {(one.asset, one.kind): (one.old, one.new) for one in difference.floors or ()}
    assert floors["app-1.3.0-linux-amd64.tar.gz", "glibc"] == ("2.2.5", "2.34")
    assert floors["app-1.3.0-linux-riscv64.tar.gz", "glibc"] == (None, "2.34")
    assert floors["app-1.3.0-py3-none-manylinux_2_17_x86_64.whl", "glibc"] == ("2.14", "2.17")
    assert difference.exit_code() == 1


def test_a_removed_file_is_named_in_the_asset_that_it_was_in(here: Path) -> None:
    """The names of the old and the new asset are not of one length."""
    for name, files in (
        ("old/app-1.2-linux-amd64.tar.gz", {"app": program(), "bin/tool": program()}),
        ("new/app-1.2.33-linux-amd64.tar.gz", {"app": program()}),
    ):
        (here / name).parent.mkdir()
        tgz(here / name, files)
    pairs = runworthy.diff("old", "new", on="debian:12").pairs
    assert [(pair.name, pair.new is None) for pair in pairs] == [
        ("app-1.2.33-linux-amd64.tar.gz!app", False),
        ("app-1.2.33-linux-amd64.tar.gz!bin/tool", True),
    ]


def test_an_asset_that_came_or_went_makes_no_verdict_worse(here: Path) -> None:
    old, new = release(here / "old", "1.3.0", new=True), release(here / "new", "1.3.0", new=True)
    tgz(
        here / "new/app-1.3.0-linux-s390x.tar.gz",
        {"app": program("GLIBC_2.99", machine="s390x", loader="/lib/ld64.so.1")},
    )
    (here / "new/app-1.3.0-linux-riscv64.tar.gz").unlink()
    difference = runworthy.diff(old, new, on="debian:12")
    assert [difference.exit_code(fail_on=on) for on in ("fails", "risky", "any-change")] == [0, 0, 1]


def test_an_added_file_makes_an_asset_worse_only_where_it_was_of_use(here: Path) -> None:
    """A module that is called otherwise now, in a wheel for glibc, has never run on Alpine."""
    (here / "old").mkdir()
    (here / "new").mkdir()
    for name, node, path in (("old", "GLIBC_2.2.5", "a/_one.so"), ("new", "GLIBC_2.34", "a/_two.so")):
        user = elf(needed=["libc.so.6"], imports=[Symbol("__libc_start_main", node, "libc.so.6", use="data")],
            runpath=name)  # fmt: skip
        wheel(here / name / f"a-{1 if name == 'old' else 2}.0-py3-none-manylinux_2_17_x86_64.whl", {path: user})
    difference = runworthy.diff("old", "new", on=["debian:11", "debian:12", "musllinux_1_2"])
    assert {(pair.name.rpartition("!")[2], tuple(cell.shift for cell in pair.cells)) for pair in difference.pairs} == {
        ("a/_one.so", ()),
        ("a/_two.so", ("worse", "same", "same")),
    }


def test_packages_of_one_release_are_not_installed_with_those_of_the_other(here: Path) -> None:
    """The old wheel needs a library of another one, which the new release does not bring any more."""
    user = elf(needed=["liba.so", "libc.so.6"], runpath="$ORIGIN/../base", imports=[Symbol("a", use="data")])
    library = elf(soname="liba.so", exports=["a"])
    for name, with_it in (("old", True), ("new", False)):
        (here / name).mkdir()
        version = "1.0" if with_it else "2.0"
        wheel(here / name / f"top-{version}-py3-none-linux_x86_64.whl", {"top/_core.so": user}, requires="base")
        if with_it:
            wheel(here / name / f"base-{version}-py3-none-linux_x86_64.whl", {"base/liba.so": library})
    difference = runworthy.diff("old", "new", on="debian:12")
    (cell,) = next(pair.cells for pair in difference.pairs if pair.asset.startswith("top"))
    assert (cell.shift, cell.new.verdict) == ("worse", "fails")


def test_a_directory_with_an_archive_is_the_archive_with_an_archive(here: Path) -> None:
    """Where the other side is an archive, an archive in a directory is a part of the tree."""
    zipped(here / "inner.jar", {"natives/liba.so": elf(soname="liba.so", needed=["libc.so.6"])})
    inner = (here / "inner.jar").read_bytes()
    tgz(here / "app.tar.gz", {"bin/app": program(), "lib/inner.jar": inner})
    for name, data in {"app/bin/app": program(), "app/lib/inner.jar": inner}.items():
        (here / name).parent.mkdir(parents=True)
        (here / name).write_bytes(data)
        (here / name).chmod(0o755)
    difference = runworthy.diff("app.tar.gz", "app", on="debian:12")
    assert {(pair.name, pair.identical) for pair in difference.pairs} == {
        ("bin/app", True),
        ("lib/inner.jar!natives/liba.so", True),
    }
    assert difference.assets == ()


def test_a_damaged_asset_cannot_be_told(here: Path) -> None:
    old, new = release(here / "old", "1.3.0", new=True), release(here / "new", "1.3.0", new=True)
    broken = here / "new/app-1.3.0-linux-arm64.tar.gz"
    broken.write_bytes(broken.read_bytes()[:40])
    difference = runworthy.diff(old, new, on="debian:12")
    assert [pair.asset for pair in difference.pairs if pair.problem] == ["app-1.3.0-linux-arm64.tar.gz"]
    assert difference.exit_code() == 4


# -- what is given with --with ---------------------------------------------------------------


def test_a_wheel_is_installed_beside_the_one_that_is_judged(here: Path) -> None:
    """As pip lays them: ``nvidia/cublas/lib`` of one is found from ``torch/lib`` of the other."""
    user = elf(needed=["libcublas.so.12", "libc.so.6"], runpath="$ORIGIN/../../nvidia/cublas/lib",
        imports=[Symbol("cublasCreate", use="data")])  # fmt: skip
    wheel(here / "torch-2.0-py3-none-linux_x86_64.whl", {"torch/lib/libtorch.so": user})
    library = elf(soname="libcublas.so.12", exports=["cublasCreate"])
    wheel(here / "cublas-12.0-py3-none-linux_x86_64.whl", {"nvidia/cublas/lib/libcublas.so.12": library})
    subject, other = "torch-2.0-py3-none-linux_x86_64.whl", "cublas-12.0-py3-none-linux_x86_64.whl"

    def verdicts(*subjects: str, with_: str | tuple[str, ...] = ()) -> list[str]:
        results = runworthy.check(subjects, on="debian:12", with_=with_).results
        return [result.verdict for result in results if result.subject.endswith("libtorch.so")]

    assert verdicts(subject) == ["fails"]
    assert verdicts(subject, other) == ["fails"]
    assert verdicts(subject, with_=other) == ["runs"]


def test_a_zip_is_laid_over_a_root(here: Path) -> None:
    user = elf(interpreter=LOADER, needed=["liba.so", "libc.so.6"], runpath="/opt/a", tags=[DT_DEBUG], imports=[START])
    (here / "app").write_bytes(user)
    (here / "app").chmod(0o755)
    zipped(here / "a.zip", {"opt/a/liba.so": elf(soname="liba.so", exports=["a"])})
    for with_, verdict in (((), "fails"), ("a.zip", "runs")):
        (result,) = runworthy.check("app", on="debian:12", with_=with_).results
        assert result.verdict == verdict


# -- inspect ---------------------------------------------------------------------------------


def test_what_an_archive_holds(here: Path) -> None:
    wheel(here / "a-1.0-py3-none-any.whl", {"a/_core.so": program()}, requires="b>=2")
    facts = runworthy.inspect("a-1.0-py3-none-any.whl")
    assert isinstance(facts, runworthy.FileFacts)
    archive = facts.archive
    assert archive is not None
    assert (archive.container.kind, archive.container.format, archive.container.members) == ("wheel", "zip", 4)
    assert [(one.path, one.kind, one.machine) for one in archive.members][:2] == [
        ("a/_core.so", "file", "x86_64"),
        ("a-1.0.dist-info/METADATA", "file", ""),
    ]
    assert archive.metadata == {
        "name": ("a",),
        "version": ("1.0",),
        "tags": ("py3-none-any",),
        "requires": ("b>=2",),
    }


def test_one_member_of_an_archive_is_read(here: Path) -> None:
    zipped(here / "inner.zip", {"app": program()})
    zipped(here / "outer.zip", {"in/inner.zip": (here / "inner.zip").read_bytes(), "notes": b"as you like\n"})
    found = runworthy.inspect("outer.zip!in/inner.zip!app")
    assert not isinstance(found, runworthy.FileFacts)
    assert found.facts.needed == ("libc.so.6",)
    notes = runworthy.inspect("outer.zip!notes")
    assert isinstance(notes, runworthy.FileFacts)
    assert (notes.type, notes.archive) == ("text", None)
    inner = runworthy.inspect("outer.zip!in/inner.zip")
    assert isinstance(inner, runworthy.FileFacts)
    assert inner.archive is not None
    assert [one.path for one in inner.archive.members] == ["app"]
    with pytest.raises(runworthy.FormatError, match="holds no file nothing"):
        runworthy.inspect("outer.zip!nothing")
    with pytest.raises(runworthy.FormatError, match="is no archive"):
        runworthy.inspect("outer.zip!notes!x")
