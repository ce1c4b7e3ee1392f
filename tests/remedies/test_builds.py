"""Other builds of a subject: beside it, named by a person, or known by its package."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from runworthy.model.errors import FormatError
from runworthy.remedies import unpacking
from runworthy.remedies.builds import skeleton, whole, words_of
from runworthy.remedies.situation import Proposal, Situation
from runworthy.remedies.unpacking import unpacked
from tests.elfwriter import elf
from tests.judges import roots
from tests.judges.process import Jail
from tests.remedies.placing import situation_on

LOADERS = {
    ("x86_64", "glibc"): ("/lib64/ld-linux-x86-64.so.2", "libc.so.6"),
    ("x86_64", "musl"): ("/lib/ld-musl-x86_64.so.1", "libc.musl-x86_64.so.1"),
    ("aarch64", "glibc"): ("/lib/ld-linux-aarch64.so.1", "libc.so.6"),
}


def program(path: Path, arch: str = "x86_64", libc: str = "glibc", *more: str) -> Path:
    loader, library = LOADERS[arch, libc]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(elf(kind=2, machine=arch, interpreter=loader, needed=[*more, library]))
    path.chmod(0o755)
    return path


def library(path: Path, arch: str = "x86_64", libc: str = "glibc", *more: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(elf(machine=arch, needed=[*more, LOADERS[arch, libc][1]]))
    return path


def proposals(situation: Situation) -> list[Proposal]:
    found = list(whole(situation))
    for one in found:
        assert one.approach == "build"
        if one.path:
            verdict = situation.judge(situation.target, one.path).verdict
            assert (verdict == "runs") is not bool(one.unprovable)
        else:
            assert one.unprovable
    return found


def paths(situation: Situation) -> list[str]:
    return [one.path.removeprefix("/subject") for one in proposals(situation) if not one.unprovable]


@pytest.mark.parametrize(
    ("name", "bare", "words"),
    [
        ("app-x86_64-unknown-linux-gnu", "app", ("x86_64", "glibc")),
        ("app-aarch64-unknown-linux-musl", "app", ("aarch64", "musl")),
        ("app-static", "app", ("", "static")),
        ("app", "app", ("", "")),
        ("rollup.linux-x64-musl.node", "rollup.node", ("x86_64", "musl")),
        ("@img/sharp-linuxmusl-x64", "@img/sharp", ("x86_64", "musl")),
        ("_core.cpython-312-x86_64-linux-gnu.so", "core.cpython-312.so", ("x86_64", "glibc")),
        ("tool_1.2.3_linux_arm64", "tool_1.2.3", ("aarch64", "")),
        ("tool_1.2.3_darwin_arm64", "tool_1.2.3_darwin", ("aarch64", "")),
        ("numpy-2.2.6-cp312-cp312-musllinux_1_2_x86_64.whl", "numpy-2.2.6-cp312-cp312.whl", ("x86_64", "musl")),
        ("x-manylinux2014_i686", "x", ("i386", "glibc")),
        ("gnutls", "gnutls", ("", "")),
        ("linux", "", ("", "")),
    ],
)
def test_names_of_builds(name: str, bare: str, words: tuple[str, str]) -> None:
    assert skeleton(name) == bare
    assert tuple(words_of(name)) == words


def test_a_sibling_beside_the_subject(tmp_path: Path) -> None:
    app = program(tmp_path / "dist" / "app-linux-x64-gnu")
    musl = program(tmp_path / "dist" / "app-linux-x64-musl", "x86_64", "musl")
    program(tmp_path / "dist" / "app-linux-arm64-gnu", "aarch64")
    program(tmp_path / "dist" / "other-linux-x64-musl", "x86_64", "musl")
    assert paths(situation_on(app, "alpine:3.20")) == [str(musl)]


def test_a_sibling_of_a_directory_above(tmp_path: Path) -> None:
    app = library(tmp_path / "a" / "x-linux-x64-gnu" / "lib" / "x.linux-x64-gnu.node")
    musl = library(tmp_path / "a" / "x-linuxmusl-x64" / "lib" / "x.linuxmusl-x64.node", "x86_64", "musl")
    library(tmp_path / "a" / "x-linuxmusl-arm64" / "lib" / "x.linuxmusl-arm64.node", "aarch64", "glibc")
    assert paths(situation_on(app, "alpine:3.20")) == [str(musl)]


def test_another_architecture(tmp_path: Path) -> None:
    app = program(tmp_path / "bin" / "tool_arm64", "aarch64")
    other = program(tmp_path / "bin" / "tool_amd64")
    assert paths(situation_on(app, "debian:12/amd64")) == [str(other)]


def test_names_that_promise_too_much_prove_nothing(tmp_path: Path) -> None:
    """The file is judged, and not its name."""
    app = program(tmp_path / "dist" / "app-gnu")
    program(tmp_path / "dist" / "app-musl")
    assert proposals(situation_on(app, "alpine:3.20")) == []


def test_a_build_that_lacks_something_else_is_told(tmp_path: Path) -> None:
    app = program(tmp_path / "dist" / "x-gnu")
    program(tmp_path / "dist" / "x-musl", "x86_64", "musl", "libgcc_s.so.1")
    (found,) = proposals(situation_on(app, "alpine:3.20"))
    assert "fails for something else" in found.unprovable
    assert "libgcc_s.so.1" in found.unprovable
    assert str(tmp_path / "dist" / "x-musl") in found.unprovable


def test_builds_that_are_named(tmp_path: Path) -> None:
    app = program(tmp_path / "dist" / "app")
    musl = program(tmp_path / "elsewhere" / "else", "x86_64", "musl")
    inner = program(tmp_path / "unpacked" / "bin" / "app", "x86_64", "musl")
    assert paths(situation_on(app, "alpine:3.20", builds=(musl,))) == [str(musl)]
    assert paths(situation_on(app, "alpine:3.20", builds=(tmp_path / "unpacked",))) == [str(inner)]
    (tmp_path / "damaged.whl").write_bytes(b"PK")
    for wrong in ("nothing", "damaged.whl"):
        (found,) = proposals(situation_on(app, "alpine:3.20", builds=(tmp_path / wrong,)))
        assert "cannot be read" in found.unprovable


def test_archives_that_are_named(tmp_path: Path) -> None:
    site = tmp_path / "site"
    own = library(site / "pkg" / "_core.cpython-312-x86_64-linux-gnu.so")
    other = library(tmp_path / "_core.cpython-312-x86_64-linux-musl.so", "x86_64", "musl")
    wheel = tmp_path / "pkg-1-cp312-cp312-musllinux_1_2_x86_64.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(other, f"pkg/{other.name}")
    tarball = tmp_path / "pkg.tgz"
    with tarfile.open(tarball, "w:gz") as tar:
        tar.add(other, f"package/pkg/{other.name}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for archive in (wheel, tarball):
        (path,) = paths(situation_on(own, "alpine:3.20", builds=(archive,), scratch=scratch))
        assert path.startswith(str(scratch))
        assert path.endswith(f"pkg/{other.name}")


# -- packages --------------------------------------------------------------------------------------


def installed(site: Path, tag: str, record: str) -> None:
    held = site / "Pkg-1.2.dist-info"
    held.mkdir(parents=True)
    (held / "METADATA").write_text("Metadata-Version: 2.1\nName: Pkg\nVersion: 1.2\n\nName: no\n")
    (held / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")
    (held / "RECORD").write_text(record)


def test_the_wheel_that_a_file_comes_from(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    own = library(site / "pkg" / "sub" / "x.so")
    installed(site, "cp312-cp312-manylinux_2_17_x86_64", "pkg/sub/x.so,sha256=,1\n")
    (found,) = proposals(situation_on(own, "alpine:3.20"))
    assert found.recipe == (
        (
            "pip download --only-binary=:all: --no-deps --implementation cp --python-version 3.12 --abi cp312 "
            "--platform musllinux_1_2_x86_64 --platform musllinux_1_1_x86_64 Pkg==1.2"
        ),
    )


def test_older_wheels_for_older_targets(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    own = tmp_path / "site-packages" / "x.so"
    site.mkdir()
    own.write_bytes(elf(needed=["libc.so.6"], imports=[("x", "GLIBC_2.34", "libc.so.6")]))
    installed(site, "cp39-abi3-manylinux_2_34_x86_64", "x.so,,\n")
    (found,) = proposals(situation_on(own, "debian:11"))
    assert (
        "--python-version 3.9 --abi abi3 --platform manylinux_2_31_x86_64 --platform manylinux_2_28_x86_64"
        in (found.recipe[0])
    )
    assert "manylinux_2_34" not in found.recipe[0]


def test_no_wheel_where_no_record_tells_of_the_file(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    own = library(site / "pkg" / "x.so")
    installed(site, "cp312-cp312-manylinux_2_17_x86_64", "pkg/xx.so,,\nother/pkg/x.so,,\n")
    assert proposals(situation_on(own, "alpine:3.20")) == []


def test_the_npm_package_that_another_lists(tmp_path: Path) -> None:
    modules = tmp_path / "app" / "node_modules"
    own = library(modules / "@x" / "tool-linux-x64-gnu" / "tool.node")
    told = {"name": "@x/tool-linux-x64-gnu", "version": "4.5.6", "os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]}
    (own.parent / "package.json").write_text(json.dumps(told))
    names = ("linux-x64-gnu", "linux-x64-musl", "linux-arm64-musl", "darwin-x64", "android-x64", "freebsd-x64")
    listed = {f"@x/tool-{name}": "4.5.6" for name in names} | {"@x/other-linux-x64-musl": "1.0.0"}
    (modules / "tool").mkdir()
    (modules / "tool" / "package.json").write_text(json.dumps({"name": "tool", "optionalDependencies": listed}))
    (found,) = proposals(situation_on(own, "alpine:3.20"))
    assert found.recipe == (
        "npm install --os=linux --cpu=x64 --libc=musl",
        "npm install --no-save --force @x/tool-linux-x64-musl@4.5.6",
    )


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": 1}', '{"name": "a; rm -rf /-linux-x64"}', "[" * 100_000])
def test_packages_that_are_none(tmp_path: Path, text: str) -> None:
    own = library(tmp_path / "node_modules" / "x" / "x.node")
    (own.parent / "package.json").write_text(text)
    assert proposals(situation_on(own, "alpine:3.20")) == []


# -- archives ----------------------------------------------------------------------------------------


def files_below(path: Path) -> set[str]:
    return {str(one.relative_to(path)) for one in path.rglob("*") if not one.is_dir()}


def test_nothing_in_an_archive_leads_out_of_its_directory(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    names = ("ok/a", "../outside/b", "/runworthy-test-c", "d/../../e", "x\\..\\y", "ok/a/under", "./ok/f", "ok//g")
    wheel, tarball = tmp_path / "a.whl", tmp_path / "a.tar"
    with zipfile.ZipFile(wheel, "w") as file:
        for name in names:
            file.writestr(name, "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, str(outside))
        file.writestr("link/z", "x")
    with tarfile.open(tarball, "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"link{kind!r}")
            info.type, info.linkname = kind, str(outside)
            tar.addfile(info)
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for archive, more in ((wheel, {"link/z"}), (tarball, set[str]())):
        assert files_below(Path(unpacked(str(archive), str(scratch)))) == {"ok/a", "ok/f", "ok/g"} | more
    assert not outside.exists()
    assert not Path("/runworthy-test-c").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a.whl", "a.tar", "scratch"}


def test_archives_that_are_damaged_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.whl", "a.tgz", "a.tar.xz"):
        (tmp_path / name).write_bytes(b"PK\3\4 no archive")
        with pytest.raises(FormatError):
            unpacked(str(tmp_path / name), str(tmp_path))
    whole_file = tmp_path / "b.tgz"
    with tarfile.open(whole_file, "w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 1 << 20
        tar.addfile(info, io.BytesIO(bytes(1 << 20)))
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(whole_file.read_bytes()[:-300])
    with pytest.raises(FormatError):
        unpacked(str(cut), str(tmp_path))
    monkeypatch.setattr(unpacking, "_BYTES", 1 << 19)
    with pytest.raises(FormatError, match="more than is unpacked"):
        unpacked(str(whole_file), str(tmp_path))


# -- real builds ---------------------------------------------------------------------------------------


@pytest.mark.judge
def test_real_builds_load_where_they_are_said_to(tmp_path: Path) -> None:
    """A program for glibc, its sibling for musl, and a root with musl alone."""
    import subprocess

    roots.requires_tool("musl-gcc", package="musl-tools")
    root = roots.requires("musl-1.2.5-x86_64")
    source = tmp_path / "app.c"
    source.write_text('#include <stdio.h>\nint main(void) { puts("runs"); return 0; }\n')
    dist = tmp_path / "dist"
    dist.mkdir()
    subprocess.run(["gcc", "-o", str(dist / "app-gnu"), str(source)], check=True)
    subprocess.run(["musl-gcc", "-o", str(dist / "app-musl"), str(source)], check=True)
    situation = situation_on(dist / "app-gnu", f"rootfs:{root.path}")
    assert situation.result.verdict == "fails"
    assert paths(situation) == [str(dist / "app-musl")]
    with Jail(root.path, binds={"/mnt": dist}) as jail:
        assert jail.run(["/mnt/app-gnu"]).rc != 0
        assert jail.run(["/mnt/app-musl"]).stdout == "runs\n"


@pytest.mark.judge
@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("numpy-manylinux-x86_64", "numpy-musllinux-x86_64"),
        ("cryptography-manylinux-x86_64", "cryptography-musllinux-x86_64"),
    ],
)
def test_wheels_side_by_side(own: str, other: str) -> None:
    top, sibling = roots.requires_corpus(own), roots.requires_corpus(other)
    checked = 0
    for file in sorted(top.rglob("*.so"))[:12]:
        for path in paths(situation_on(file, "alpine:3.20")):
            assert path.startswith(f"{sibling}/")
            checked += 1
    assert checked
