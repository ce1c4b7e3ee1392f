"""Programs for other systems on Linux: the kernel starts them, and they end at their first calls."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from runworthy.library import check

pytestmark = pytest.mark.judge

_MAIN = 'package main\n\nfunc main() { println("started") }\n'


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool = shutil.which("go")
    if tool is None or platform.machine() != "x86_64":
        pytest.skip("needs go on x86-64")
    where = tmp_path_factory.mktemp("go")
    (where / "main.go").write_text(_MAIN)
    return where


@pytest.mark.parametrize("system", ["linux", "freebsd", "netbsd", "openbsd", "dragonfly", "solaris", "illumos"])
def test_what_is_said_of_a_program_is_what_becomes_of_it(go: Path, system: str) -> None:
    built = go / f"app-{system}"
    environment = {**os.environ, "GOOS": system, "GOARCH": "amd64", "CGO_ENABLED": "0", "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", built, "main.go"], cwd=go, env=environment, check=True)
    try:
        started = subprocess.run([built], capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        started = False
    verdicts = {result.verdict for result in check([built]).results}
    assert verdicts == {"runs" if started else "fails"}
    assert started == (system == "linux")
