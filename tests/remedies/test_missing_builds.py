"""Jobs for what is missing: YAML of the shape that the providers take, and a recipe that is really followed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from runworthy.engine.matrix import matrix_of
from runworthy.model.matrix import Asset, Claims, Column, Job, Matrix, Member, Served
from runworthy.model.records import replace
from runworthy.remedies.missing_builds import with_jobs

COLUMNS = {
    "alpine:3.20/aarch64": Column(name="alpine:3.20/aarch64", system="linux", arch="aarch64", libc="musl 1.2.5"),
    "debian:12/aarch64": Column(name="debian:12/aarch64", system="linux", arch="aarch64", libc="glibc 2.36"),
    "almalinux:8/aarch64": Column(name="almalinux:8/aarch64", system="linux", arch="aarch64", libc="glibc 2.28"),
    "centos:7/aarch64": Column(name="centos:7/aarch64", system="linux", arch="aarch64", libc="glibc 2.17"),
    "debian:13/riscv64": Column(name="debian:13/riscv64", system="linux", arch="riscv64", libc="glibc 2.41"),
    "debian:13/armv7": Column(name="debian:13/armv7", system="linux", arch="armv7", libc="glibc 2.41"),
    "windows/x86_64": Column(name="windows/x86_64", system="windows", arch="x86_64", modelled=False),
    "windows/aarch64": Column(name="windows/aarch64", system="windows", arch="aarch64", modelled=False),
    "macos/arm64": Column(name="macos/arm64", system="macos", arch="aarch64", modelled=False),
    "macos/x86_64": Column(name="macos/x86_64", system="macos", arch="x86_64", modelled=False),
}
TOOLS = {
    "go": Member(name="app", role="program", format="elf", built_by="go", package="example.org/app"),
    "cgo": Member(
        name="app", role="program", format="elf", built_by="go", cgo=True, imports=("libz.so.1", "libc.so.6")
    ),
    "rust": Member(name="app", role="program", format="elf", built_by="rust"),
    "c": Member(name="app", role="program", format="elf", built_by="c", imports=("libc.so.6",)),
    "c++": Member(name="app", role="program", format="elf", built_by="c++", imports=("libssl.so.3", "libstdc++.so.6")),
}


def missing(tools: str, *targets: str) -> Matrix:
    """Return a matrix in which nothing serves these targets, with the jobs for it."""
    asset = Asset(name="app-linux-x64", path="app-linux-x64", kind="build", claims=Claims(name="app"))
    if tools == "wheel":
        asset = Asset(name="x-1-py3-none-any.whl", path="x", kind="build", claims=Claims(name="x", packing="whl"))
    else:
        member = TOOLS[tools]
        asset = Asset(name=asset.name, path=asset.path, kind="build", claims=asset.claims, members=(member,))
    columns = tuple(COLUMNS[name] for name in targets)
    served = tuple(Served(target=name, why="no asset is for it") for name in targets)
    return with_jobs(Matrix(assets=(asset,), columns=columns, cells=(), served=served))


def body(job: Job) -> dict[str, Any]:
    held = yaml.safe_load(job.text)
    assert list(held) == [job.name]
    found: dict[str, Any] = held[job.name]
    return found


@pytest.mark.parametrize("tools", [*TOOLS, "wheel"])
@pytest.mark.parametrize("target", sorted(COLUMNS))
def test_the_shape_of_every_job(tools: str, target: str) -> None:
    github, gitlab = missing(tools, target).jobs
    assert (github.provider, gitlab.provider) == ("github", "gitlab")
    job = body(github)
    assert set(job) == {"runs-on", "steps"}
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    assert all(set(step) <= {"uses", "with", "run", "env", "shell"} for step in job["steps"])
    assert all(isinstance(value, str) for step in job["steps"] for value in step.get("env", {}).values())
    assert job["steps"][0]["uses"].startswith("actions/checkout@")
    assert job["steps"][-1]["uses"].startswith("actions/upload-artifact@")
    job = body(gitlab)
    assert set(job) <= {"stage", "image", "tags", "services", "variables", "script", "artifacts"}
    assert all(isinstance(line, str) for line in job["script"])
    assert job["artifacts"]["paths"]


def commands(job: Job) -> str:
    return "\n".join(step["run"] for step in body(job)["steps"] if "run" in step)


def test_targets_of_one_architecture_are_one_build() -> None:
    jobs = missing("go", "alpine:3.20/aarch64", "debian:12/aarch64").jobs
    assert [(job.provider, job.targets) for job in jobs] == [
        ("github", ("alpine:3.20/aarch64", "debian:12/aarch64")),
        ("gitlab", ("alpine:3.20/aarch64", "debian:12/aarch64")),
    ]


@pytest.mark.parametrize(
    ("tools", "target", "how", "runner", "line"),
    [
        ("go", "debian:13/armv7", "cross", "ubuntu-24.04", "go build -o app-linux-armv7 example.org/app"),
        ("cgo", "alpine:3.20/aarch64", "native", "ubuntu-24.04-arm", "docker run --rm --platform linux/arm64"),
        ("cgo", "debian:13/riscv64", "emulated", "ubuntu-24.04", "docker run --rm --platform linux/riscv64"),
        ("cgo", "windows/x86_64", "native", "windows-2025", "go build -o app-windows-x86_64.exe ."),
        ("rust", "alpine:3.20/aarch64", "native", "ubuntu-24.04-arm", "--target aarch64-unknown-linux-musl"),
        (
            "rust",
            "debian:13/armv7",
            "cross",
            "ubuntu-24.04",
            "cargo zigbuild --release --target armv7-unknown-linux-musl",
        ),
        ("rust", "windows/aarch64", "native", "windows-11-arm", "--target aarch64-pc-windows-msvc"),
        ("rust", "macos/x86_64", "cross", "macos-15-intel", "--target x86_64-apple-darwin"),
        ("c", "debian:13/riscv64", "cross", "ubuntu-24.04", "ziglang cc -target riscv64-linux-musl -static"),
        ("c++", "debian:12/aarch64", "native", "ubuntu-24.04-arm", "apt-get install -y make g++"),
        ("wheel", "alpine:3.20/aarch64", "native", "ubuntu-24.04-arm", "cibuildwheel --output-dir dist"),
        ("wheel", "debian:13/riscv64", "emulated", "ubuntu-24.04", "cibuildwheel --output-dir dist"),
    ],
)
def test_how_each_toolchain_builds(tools: str, target: str, how: str, runner: str, line: str) -> None:
    job = missing(tools, target).jobs[0]
    assert (job.how, body(job)["runs-on"]) == (how, runner)
    assert line in commands(job)


@pytest.mark.parametrize(
    ("targets", "images"),
    [
        (["debian:12/aarch64"], ["debian:11 sh"]),
        (["debian:12/aarch64", "almalinux:8/aarch64"], ["almalinux:8 sh"]),  # debian:11 has glibc 2.31
        (["centos:7/aarch64", "debian:12/aarch64"], ["manylinux2014_aarch64 sh"]),
        (["debian:13/riscv64"], ["debian:13 sh"]),  # debian:11 is not there for it
        (["alpine:3.20/aarch64", "debian:12/aarch64"], ["alpine:3.20 sh", "debian:11 sh"]),
    ],
)
@pytest.mark.parametrize("tools", ["cgo", "c++"])
def test_what_needs_libraries_is_built_for_one_c_library_and_the_oldest(
    tools: str, targets: list[str], images: list[str]
) -> None:
    jobs = [job for job in missing(tools, *targets).jobs if job.provider == "github"]
    assert all(image in commands(job) for job, image in zip(jobs, images, strict=True))
    assert sorted(name for job in jobs for name in job.targets) == sorted(targets)
    assert len({job.name for job in jobs}) == len({job.asset for job in jobs}) == len(jobs)


def test_a_static_build_is_called_one() -> None:
    """Beside another of the platform, and only for targets with glibc: what the recipe makes needs none."""
    x64 = Column(name="almalinux:8/x86_64", system="linux", arch="x86_64", libc="glibc 2.28")
    asset = Asset(name="app-linux-x64", path="d/app", kind="build", claims=Claims(name="app"), members=(TOOLS["c"],))
    asset = replace(asset, systems=("linux",), members=(replace(TOOLS["c"], system="linux", archs=("x86_64",)),))
    served = (Served(target=x64.name, nearest=asset.path),)
    held = with_jobs(Matrix(assets=(asset,), columns=(x64,), cells=(), served=served))
    assert {job.asset for job in held.jobs} == {"app-linux-x86_64-static"}


@pytest.mark.parametrize(
    ("path", "claimed", "made"),
    [
        ("ripgrep-14-linux-x64.tar.gz!ripgrep-14/rg", "ripgrep", "rg"),
        ("dist/docker-compose-linux-x64", "docker-compose", "docker-compose"),
        ("a.zip!rust-analyzer.exe", "rust-analyzer", "rust-analyzer"),
    ],
)
@pytest.mark.parametrize("tools", ["rust", "c"])
def test_what_is_copied_is_what_the_sources_make(tools: str, path: str, claimed: str, made: str) -> None:
    member = replace(TOOLS[tools], name=path)
    asset = Asset(name="x", path="x", kind="build", claims=Claims(name=claimed), members=(member,))
    for name, end in (("debian:13/armv7", ""), ("windows/x86_64", ".exe" if tools == "rust" else "")):
        served = (Served(target=name),)
        held = with_jobs(Matrix(assets=(asset,), columns=(COLUMNS[name],), cells=(), served=served))
        copied = next(line for line in commands(held.jobs[0]).splitlines() if line.startswith("cp "))
        assert copied.split()[1].rpartition("/")[2] == made + end


def test_pip_is_not_asked_to_change_a_distributions_python() -> None:
    github, gitlab = missing("rust", "debian:13/armv7").jobs
    for text in (commands(github), "\n".join(body(gitlab)["script"])):
        assert text.index("-m venv .zig") < text.index(". .zig/bin/activate") < text.index("pip install")
    assert "python3-venv" in body(gitlab)["script"][0]


def test_no_compiler_makes_what_starts_a_script() -> None:
    member = Member(name="app", role="program", format="script", archs=("any",))
    asset = Asset(name="app-linux-x64", path="app", kind="build", claims=Claims(name="app"), members=(member,))
    columns, served = tuple(COLUMNS.values()), tuple(Served(target=name) for name in COLUMNS)
    for assets in ((asset,), ()):
        assert not with_jobs(Matrix(assets=assets, columns=columns, cells=(), served=served)).jobs


def test_what_is_emulated_is_set_up_first() -> None:
    steps = [step.get("uses", "") for step in body(missing("cgo", "debian:13/riscv64").jobs[0])["steps"]]
    assert "docker/setup-qemu-action@v3" in steps
    assert "binfmt" in body(missing("cgo", "debian:13/riscv64").jobs[1])["script"][0]


def test_wheels_ask_for_the_tags_that_are_missing() -> None:
    job = missing("wheel", "alpine:3.20/aarch64", "debian:12/aarch64").jobs[0]
    env = next(step["env"] for step in body(job)["steps"] if "env" in step)
    assert env == {"CIBW_BUILD": "*-manylinux_aarch64 *-musllinux_aarch64", "CIBW_ARCHS": "aarch64"}


@pytest.mark.judge
@pytest.mark.skipif(shutil.which("go") is None, reason="no Go compiler")
def test_a_go_recipe_builds_what_serves_the_target(tmp_path: Path) -> None:
    """The job's own line, in its own environment, makes an asset that serves what nothing served before."""
    source, dist = tmp_path / "source", tmp_path / "dist"
    source.mkdir()
    dist.mkdir()
    (source / "go.mod").write_text("module example.org/app\n\ngo 1.19\n")
    (source / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    env = {**os.environ, "GOFLAGS": "-mod=mod", "GOCACHE": str(tmp_path / "cache"), "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", str(dist / "app_linux_amd64"), "."], cwd=source, env=env, check=True)
    targets = ("alpine:3.20/x86_64", "alpine:3.20/aarch64", "debian:12/aarch64")
    before = with_jobs(matrix_of([str(dist)], targets))
    assert [served.asset != "" for served in before.served] == [True, False, False]
    job = next(job for job in before.jobs if job.provider == "github")
    step = next(step for step in body(job)["steps"] if "run" in step)
    subprocess.run(shlex.split(step["run"]), cwd=source, env=env | step["env"], check=True)
    shutil.move(source / job.asset, dist / job.asset)
    after = matrix_of([str(dist)], targets)
    assert all(served.verdict == "runs" for served in after.served)
    assert after.exit_code() == 0
