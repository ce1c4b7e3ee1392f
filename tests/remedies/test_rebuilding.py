"""Recipes for builds that are made anew: their words, and what really comes of those for which there are compilers."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.model.elf import BuildInfo, GoBuild
from runworthy.model.records import replace
from runworthy.remedies.rebuilding import SOURCES, toolchain_of, whole
from runworthy.remedies.situation import Proposal, Situation
from tests.elfwriter import elf
from tests.judges import roots
from tests.judges.process import Jail
from tests.remedies.placing import situation_on

GLIBC, MUSL = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"


def write(path: Path, **given: object) -> Path:
    path.write_bytes(elf(**{"kind": 2, "interpreter": GLIBC, "needed": ["libc.so.6"], **given}))  # type: ignore[arg-type]
    path.chmod(0o755)
    return path


def recipes(situation: Situation) -> list[tuple[str, ...]]:
    return [one.recipe for one in proposals(situation)]


def proposals(situation: Situation) -> list[Proposal]:
    found = list(whole(situation))
    for one in found:
        assert one.approach == "rebuild"
        assert one.unprovable
        assert one.cost.rebuild
        assert one.recipe
        assert not one.edits
    return found


def comment(text: str) -> dict[str, bytes]:
    return {".comment": text.encode() + b"\0"}


@pytest.mark.parametrize(
    ("build", "needed", "kind", "cgo"),
    [
        (
            BuildInfo(go=GoBuild(version="go1.22.1", path="x", module="", settings={"CGO_ENABLED": "0"})),
            [],
            "go",
            False,
        ),
        (
            BuildInfo(go=GoBuild(version="go1.22.1", path="x", module="", settings={"CGO_ENABLED": "1"})),
            [],
            "go",
            False,
        ),
        (
            BuildInfo(go=GoBuild(version="go1.22.1", path="x", module="", settings={"CGO_ENABLED": "1"})),
            ["libc.so.6"],
            "go",
            True,
        ),
        (BuildInfo(go=GoBuild(version="go1.14", path="x", module="", settings={})), ["libc.so.6"], "go", True),
        (BuildInfo(rust="1.80.0", comments=("GCC: (GNU) 12",)), ["libc.so.6"], "rust", False),
        (BuildInfo(comments=("GCC: (Debian 12.2.0-14) 12.2.0",)), ["libstdc++.so.6", "libc.so.6"], "c++", False),
        (BuildInfo(comments=("GCC: (Debian 12.2.0-14) 12.2.0",)), ["libc.so.6"], "c", False),
        (BuildInfo(), [], "c", False),
    ],
)
def test_what_made_a_file(build: BuildInfo, needed: list[str], kind: str, cgo: bool) -> None:  # noqa: FBT001
    facts = read_elf(BytesContent(elf(needed=needed))).facts
    found = toolchain_of(facts, build)
    assert (found.kind, found.cgo) == (kind, cgo)


def test_for_musl(tmp_path: Path) -> None:
    app = write(tmp_path / "app", sections=comment("GCC: (Debian 12.2.0-14) 12.2.0"))
    assert recipes(situation_on(app, "alpine:3.19")) == [
        ("musl-gcc -static -O2 -o app SOURCES",),
        ("zig cc -target x86_64-linux-musl -static -O2 -o app SOURCES",),
        ("# in a container of alpine:3.19", "apk add build-base", "gcc -O2 -o app SOURCES"),
    ]
    app = write(tmp_path / "app2", needed=["libz.so.1", "libc.so.6"])
    assert recipes(situation_on(app, "alpine:3.19")) == [
        (
            "# in a container of alpine:3.19",
            "apk add build-base  # and what has libz.so.1 there",
            "gcc -O2 -o app2 SOURCES",
        )
    ]


def test_a_name_that_a_shell_would_take_apart_is_quoted(tmp_path: Path) -> None:
    app = write(tmp_path / "a b;touch c", sections=comment("GCC: (Debian 12.2.0-14) 12.2.0"))
    assert recipes(situation_on(app, "alpine:3.19"))[0] == ("musl-gcc -static -O2 -o 'a b;touch c' SOURCES",)


def test_rust_for_musl(tmp_path: Path) -> None:
    app = write(tmp_path / "app", sections=comment("rustc version 1.80.0 (051478957 2024-07-21)"))
    assert recipes(situation_on(app, "alpine:3.19")) == [
        (
            "rustup target add x86_64-unknown-linux-musl",
            "cargo build --release --target x86_64-unknown-linux-musl",
        )
    ]


def test_for_an_older_glibc(tmp_path: Path) -> None:
    imports = [("a", "GLIBC_2.34", "libc.so.6"), ("b", "GLIBC_2.34", "libc.so.6"), ("c", "GLIBC_2.17", "libc.so.6")]
    app = write(tmp_path / "app", imports=imports)
    first, second = proposals(situation_on(app, "debian:10"))
    assert first.title == "build `app` against glibc 2.28 or older"
    assert first.recipe == (
        "# GLIBC_2.34 is asked for by a, b; in almalinux:9, debian:12, fedora:39, ubuntu:22.04 and newer",
        "# without these, glibc 2.17 is enough",
        "# in a container of quay.io/pypa/manylinux_2_28_x86_64",
        "gcc -O2 -o app SOURCES",
    )
    assert second.recipe == ("zig cc -target x86_64-linux-gnu.2.28 -O2 -o app SOURCES",)


def test_with_the_runtime_of_cpp(tmp_path: Path) -> None:
    imports = [("_ZX", "GLIBCXX_3.4.32", "libstdc++.so.6")]
    app = write(tmp_path / "app", needed=["libstdc++.so.6", "libc.so.6"], imports=imports)
    first = proposals(situation_on(app, "debian:12"))[0]
    assert first.title == "build `app` with its C++ runtime in it"
    assert first.recipe[-1] == "g++ -O2 -o app SOURCES -static-libstdc++ -static-libgcc"
    assert first.recipe[0].startswith("# GLIBCXX_3.4.32 is asked for by _ZX; in ")


def test_for_another_architecture(tmp_path: Path) -> None:
    app = write(tmp_path / "app", machine="aarch64", interpreter="/lib/ld-linux-aarch64.so.1")
    assert recipes(situation_on(app, "debian:12/amd64")) == [("x86_64-linux-gnu-gcc -O2 -o app SOURCES",)]
    assert recipes(situation_on(app, "alpine:3.20/amd64"))[0] == (
        "zig cc -target x86_64-linux-musl -O2 -o app SOURCES",
    )


def test_nothing_for_what_runs_or_is_no_elf_file(tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text("#!/bin/nothing\n")
    script.chmod(0o755)
    assert recipes(situation_on(script, "alpine:3.20")) == []
    assert recipes(situation_on(write(tmp_path / "app"), "debian:12")) == []


# -- recipes that are followed --------------------------------------------------------------------------


def follow(line: str, directory: Path, sources: str) -> None:
    """Run one line of a recipe, as a person would: with the sources' names in it, and variables before the command."""
    words = [word for one in shlex.split(line) for word in (sources.split() if one == SOURCES else [one])]
    given = [word for word in words if "=" in word.split("/")[0] and not word.startswith("-")]
    variables = dict(word.split("=", 1) for word in given if words.index(word) < len(given))
    cache = {"GOCACHE": str(directory / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    subprocess.run(words[len(variables) :], cwd=directory, env=os.environ | cache | variables, check=True)


def compiled(directory: Path, name: str, text: str, *command: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text)
    subprocess.run([*command, "-o", "app", name], cwd=directory, check=True)
    return directory / "app"


def assert_it_helps(root: roots.Root, directory: Path, line: str, sources: str, output: str) -> None:
    """The subject fails on the root, in the model and really; what comes of the recipe runs, in both."""
    before = situation_on(directory / "app", f"rootfs:{root.path}")
    assert before.result.verdict == "fails"
    with Jail(root.path, binds={"/mnt": directory}) as jail:
        assert jail.run(["/mnt/app"]).rc != 0
    follow(line, directory, sources)
    assert situation_on(directory / "app", f"rootfs:{root.path}").result.verdict == "runs"
    with Jail(root.path, binds={"/mnt": directory}) as jail:
        assert jail.run(["/mnt/app"]).stdout == output


HELLO = '#include <stdio.h>\nint main(void) { puts("runs"); return 0; }\n'


@pytest.mark.judge
def test_a_c_program_built_with_musl_gcc_runs(tmp_path: Path) -> None:
    roots.requires_tool("musl-gcc", package="musl-tools")
    root = roots.requires("musl-1.2.5-x86_64")
    app = compiled(tmp_path / "home", "app.c", HELLO, "gcc")
    line = recipes(situation_on(app, "alpine:3.20"))[0][0]
    assert line.startswith("musl-gcc ")
    assert_it_helps(root, tmp_path / "home", line, "app.c", "runs\n")


@pytest.mark.judge
def test_a_go_program_built_without_cgo_runs(tmp_path: Path) -> None:
    roots.requires_tool("go", package="golang-go")
    root = roots.requires("musl-1.2.5-x86_64")
    home = tmp_path / "home"
    home.mkdir()
    (home / "app.go").write_text(
        'package main\n\nimport (\n\t"fmt"\n\t"os/user"\n)\n\nfunc main() {\n'
        '\tuser.LookupId("0")\n\tfmt.Println("runs")\n}\n'
    )
    follow("CGO_ENABLED=1 go build -o app app.go", home, "")
    situation = situation_on(home / "app", "alpine:3.20")
    assert toolchain_of(
        situation.target.view.elf(situation.path).facts, situation.target.view.elf(situation.path).build()
    ).cgo
    ((line,),) = recipes(situation)
    assert line.startswith("CGO_ENABLED=0 ")
    assert_it_helps(root, home, line, "app.go", "runs\n")


@pytest.mark.judge
@pytest.mark.parametrize(
    ("compiler", "wrong", "on", "flag"),
    [
        ("gcc", "-Wl,-z,execstack", "debian:13", "-Wl,-z,noexecstack"),
        ("gcc", "-Wl,-z,execstack", "alpine:3.20", "-Wl,-z,noexecstack"),
        ("gcc", "-Wl,-z,x86-64-v3", "debian:12", "-march=x86-64-v2"),
        ("aarch64-linux-gnu-gcc", "-Wl,-z,max-page-size=4096", "debian:12", "-Wl,-z,max-page-size=65536"),
    ],
)
def test_flags_take_their_cause_away(compiler: str, wrong: str, on: str, flag: str, tmp_path: Path) -> None:
    """On a machine with x86-64-v2, or with large pages; the linker itself marks what is wrong."""
    roots.requires_tool(compiler, package="gcc" if compiler == "gcc" else "gcc-aarch64-linux-gnu")
    home = tmp_path / "home"
    app = compiled(home, "app.c", "int answer(void) { return 42; }\n", compiler, "-shared", "-fPIC", wrong)
    (found,) = _on_machine(situation_on(app, on))
    (line,) = found.recipe
    assert flag in line
    follow(line.replace("gcc ", f"{compiler} ", 1), home, "app.c")
    assert _on_machine(situation_on(app, on)) == []


def _on_machine(situation: Situation) -> list[Proposal]:
    machine = situation.target.machine
    if machine.level:
        machine = replace(machine, level=2, level_stated=True)
    else:
        machine = replace(machine, page_size=65536, page_size_stated=True)
    target = replace(situation.target, machine=machine)
    return proposals(replace(situation, target=target, result=situation.judge(target, situation.path)))
