"""`runworthy matrix`: its whole output, its formats and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.engine.matrix.made import mach_o, pe, static, tar_gz, write
from tests.report.test_document import validate

TARGETS = ("--on", "alpine:3.20/amd64", "--on", "alpine:3.20/arm64", "--on", "windows/amd64", "--on", "macos/arm64")


def release(world: Path) -> None:
    write(world / "dist", {
        "app_1.0_linux_amd64.tar.gz": tar_gz({"app": static()}),
        "app_1.0_windows_amd64.exe": pe(),
        "app_1.0_darwin_amd64": mach_o(),
        "app_1.0_linux_amd64.tar.gz.sha256": b"",
        "app-1.0.tar.gz": tar_gz({"app-1.0/go.mod": b"module app"}),
    })  # fmt: skip


TEXT = """\
5 assets: 3 builds, 1 source archive and 1 checksum file; 4 targets

  1  app_1.0_darwin_amd64        macos aarch64 11.0 or newer
  2  app_1.0_linux_amd64.tar.gz  linux x86_64 static
  3  app_1.0_windows_amd64.exe   windows x86_64

  target               1 2 3  served by
  alpine:3.20/x86_64   · ✓ ·  2
  alpine:3.20/aarch64  · · ·  nothing
  windows/x86_64       · · ?  3 (as far as can be told)
  macos/arm64          ? · ·  1 (as far as can be told)
  ✓ runs, ? cannot be told, · is not for it

error: nothing serves alpine:3.20/aarch64
   = no asset for Linux is for aarch64

error: app_1.0_darwin_amd64 claims x86_64, it is aarch64

3 of 4 targets served, 2 of them as far as can be told, 1 asset named wrongly
"""


def test_the_whole_text(runworthy: Run, world: Path) -> None:
    release(world)
    ended = runworthy("matrix", "dist", *TARGETS, "--ci", "none")
    assert (ended.out, ended.err, ended.code) == (TEXT, "", 1)


def test_without_unicode_and_with_colour_the_words_stay(runworthy: Run, world: Path) -> None:
    release(world)
    plain = runworthy("matrix", "dist", *TARGETS, "--ci", "none", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "  + runs, ? cannot be told, . is not for it" in plain.out.splitlines()
    coloured = runworthy("matrix", "dist", *TARGETS, "--ci", "none", "--color", "always")
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.out) == TEXT


def test_quiet_is_what_is_missing_and_wrong(runworthy: Run, world: Path) -> None:
    release(world)
    lines = runworthy("matrix", "dist", *TARGETS, "-q").out.splitlines()
    assert [line.partition(":")[0] for line in lines if line] == [
        "5 assets",
        "error",
        "   = no asset for Linux is for aarch64",
        "error",
        "3 of 4 targets served, 2 of them as far as can be told, 1 asset named wrongly",
    ]


def test_a_job_is_shown_for_the_provider_that_is_asked_for(runworthy: Run, world: Path) -> None:
    release(world)
    assert "    build-linux-aarch64:\n      runs-on: " in runworthy("matrix", "dist", *TARGETS).out
    assert "    build-linux-aarch64:\n      stage: " in runworthy("matrix", "dist", *TARGETS, "--ci", "gitlab").out


MARKDOWN = """\
| Target | Take | Verdict | Also |
| --- | --- | --- | --- |
| `alpine:3.20/x86_64` | `app_1.0_linux_amd64.tar.gz` | ✓ runs |  |
| `alpine:3.20/aarch64` | **nothing** | ✗ not served |  |
| `windows/x86_64` | `app_1.0_windows_amd64.exe` | ? cannot be told |  |
| `macos/arm64` | `app_1.0_darwin_amd64` | ? cannot be told |  |

| Asset | What it is |
| --- | --- |
| `app_1.0_darwin_amd64` | macos aarch64 11.0 or newer |
| `app_1.0_linux_amd64.tar.gz` | linux x86_64 static |
| `app_1.0_windows_amd64.exe` | windows x86_64 |

### Not served

- `alpine:3.20/aarch64`: no asset for Linux is for aarch64

### Named wrongly

- `app_1.0_darwin_amd64` claims x86\\_64, it is aarch64
"""


def test_the_whole_markdown(runworthy: Run, world: Path) -> None:
    release(world)
    ended = runworthy("matrix", "dist", *TARGETS, "--format", "markdown", "--ci", "none")
    assert (ended.out, ended.code) == (MARKDOWN, 1)


def test_json_is_as_its_schema_says(runworthy: Run, world: Path) -> None:
    release(world)
    ended = runworthy("matrix", "dist", "app", *TARGETS, "--format", "json")
    data = validate(ended.out, "runworthy.matrix-1.json")
    assert [one["target"] for one in data["served"]] == [one["name"] for one in data["targets"]]
    assert len(data["cells"]) == 4 * 4
    results = [result for cell in data["cells"] for result in cell["results"]]
    assert {result["target"] for result in results} == {"alpine:3.20/x86_64"}
    more = json.loads(runworthy("matrix", "dist", *TARGETS, "--format", "json", "-v").out)
    assert len(json.dumps(more)) >= len(
        json.dumps(json.loads(runworthy("matrix", "dist", *TARGETS, "--format", "json").out))
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("dist/app_1.0_linux_amd64.tar.gz", "--on", "@linux/amd64"), 0),
        (("dist/app_1.0_linux_amd64.tar.gz", "--on", "@linux"), 1),
        (("dist/app_1.0_windows_amd64.exe", "--on", "windows/x86_64"), 4),
        (("dist/app_1.0_windows_amd64.exe", "--on", "windows/x86_64", "--strict"), 1),
        (("dist/app_1.0_darwin_amd64", "--on", "macos/arm64"), 1),
        (("dist/app-1.0.tar.gz", "--on", "debian:12/amd64"), 3),
        (("nothing-there",), 3),
        (("dist", "--on", "@nope"), 2),
        (("dist", "--on", "debian:99"), 2),
    ],
)
def test_exit_codes(runworthy: Run, world: Path, arguments: tuple[str, ...], code: int) -> None:
    release(world)
    assert runworthy("matrix", *arguments).code == code


def test_hostile_names_are_shown_and_not_obeyed(runworthy: Run, world: Path) -> None:
    write(world / "dist", {"app\x1b[31m\n|`_linux_amd64": static()})
    for form in ("text", "markdown"):
        out = runworthy("matrix", "dist", "--on", "debian:12/amd64", "--format", form).out
        assert "\x1b" not in out
        assert "\\x1b[31m\\n" in out
    validate(runworthy("matrix", "dist", "--on", "debian:12/amd64", "--format", "json").out, "runworthy.matrix-1.json")


def test_a_set_is_understood_by_check(runworthy: Run) -> None:
    ended = runworthy("check", "app", "--on", "@musl", "--on", "@release")
    assert "on 13 targets" in ended.out
