"""`runworthy check --export`: the best remedy as configuration, in place of the report."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.apewriter import like_ape_loader
from tests.cli.conftest import Run

ON = ("--on", "./winebox", "--at-boot", "--no-cache")


def test_the_script_repairs_the_root_that_was_judged(runworthy: Run, world: Path) -> None:
    done = runworthy("check", "llamafile", *ON, "--export", "sh")
    assert (done.code, done.err) == (1, "")
    script = world / "remedy.sh"
    script.write_text(done.out)
    subprocess.run(["sh", str(script)], env={"ROOT": str(world / "winebox"), "PATH": "/usr/bin:/bin"}, check=True)
    assert (world / "winebox/etc/binfmt.d/zz-ape.conf").exists()
    repaired = runworthy("check", "llamafile", *ON)
    assert "RW110" not in repaired.out
    subprocess.run(
        ["sh", str(script), "undo"], env={"ROOT": str(world / "winebox"), "PATH": "/usr/bin:/bin"}, check=True
    )
    assert "RW110" in runworthy("check", "llamafile", *ON).out


def test_a_loader_that_is_named_is_registered_in_place_of_the_one_inside(runworthy: Run, world: Path) -> None:
    placed = world / "winebox/opt/bin/ape"
    placed.parent.mkdir(parents=True)
    placed.write_bytes(like_ape_loader())
    placed.chmod(0o755)
    done = runworthy("check", "llamafile", *ON, "--loader", "/opt/bin/ape", "--export", "sh")
    assert (done.code, done.err) == (1, "")
    assert ":APE:M::MZqFpD::/opt/bin/ape:PF" in done.out
    assert "/usr/bin/ape" not in done.out
    refused = runworthy("check", "llamafile", *ON, "--loader", "bin/ape")
    assert refused.code == 2
    assert "--loader 'bin/ape' is no absolute path" in refused.err


@pytest.mark.parametrize("form", ["ansible", "cloud-init"])
def test_yaml(runworthy: Run, form: str) -> None:
    done = runworthy("check", "llamafile", *ON, "--export", form)
    assert done.code == 1
    assert yaml.safe_load(done.out)


def test_where_nothing_fails_nothing_is_written(runworthy: Run) -> None:
    done = runworthy("check", "app", "--on", "debian:12", "--export", "sh")
    assert (done.code, done.out) == (0, "")
    assert done.err == "runworthy: there is no remedy to export\n"


def test_json_tells_every_edit(runworthy: Run) -> None:
    (result,) = json.loads(runworthy("check", "llamafile", *ON, "--format", "json").out)["results"]
    best = result["findings"][0]["remedies"][0]
    assert (best["proved"], best["stays"], best["applicability"]) == (True, True, "unsafe")
    assert [edit["kind"] for edit in best["edits"]] == ["write-loader", "write-file", "run-command"]
    assert best["edits"][1]["path"] == "/etc/binfmt.d/zz-ape.conf"
    assert [one["registration"] for one in best["edits"][2]["effects"]] == [
        ":APE:M::MZqFpD::/usr/bin/ape:PF",
        ":APE-jart:M::jartsr::/usr/bin/ape:PF",
    ]
