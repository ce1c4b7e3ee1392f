"""The judge: a real kernel with real handlers says what starts a program, and that is what is measured."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apewriter import ape, ape_loader
from tests.judges.kernel import Kernel, requires_kernel

SOURCE = Path(__file__).parent.parent.parent / "src"
SLOW = b"""#!/bin/sh
%s -ISsE -c 'import time
x = b"a" * (40 << 20)
while time.process_time() < 0.12: pass'
shift
exec /bin/sh "$@"
"""

pytestmark = pytest.mark.judge


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with requires_kernel() as held:
        yield held


def measured(kernel: Kernel, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
    words = [sys.executable, "-m", "runworthy", "measure", "--runs", "3", "--format", "json", *arguments]
    home = str(kernel.files)
    env = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "TMPDIR": home, "HOME": home, "PYTHONUTF8": "1"}
    done = kernel.execute(sys.executable, words, env=env, cwd=kernel.files, timeout=60)
    assert (done.stderr, done.errno, done.rc) == ("", 0, code)
    return json.loads(done.stdout)


def test_a_slow_handler_is_a_number(kernel: Kernel) -> None:
    """The handler is a script that is slow and large, and then starts the file: as Wine does it to an APE."""
    slow = kernel.put("slow", SLOW % os.fsencode(sys.executable))
    kernel.put("app", b"PROG=1\nexit $((PROG + 4))\n")
    assert kernel.register(b":slow:M::PROG::%s:P" % os.fsencode(slow)) == 0
    document = measured(kernel, "--", "./app", "x")
    now, native = document["ways"]
    assert now["handler"] == "slow"
    assert now["argv"] == ["./app", "x"]
    assert native["argv"] == ["/bin/sh", "./app", "x"]
    assert now["endings"] == native["endings"] == ["ends with 5"]
    assert now["cpu"]["least"] > 0.11 > native["cpu"]["most"]
    assert now["memory"]["least"] > 40 << 20 > native["memory"]["most"]
    (compared,) = document["compared"]
    assert compared["time"]["clear"]
    assert compared["time"]["ratio"] > 3


def test_a_disabled_handler_takes_nothing(kernel: Kernel) -> None:
    kernel.put("app", b"PROG=1\nexit 5\n")
    assert kernel.register(b":slow:M::PROG::/bin/false:") == 0
    assert kernel.write("slow", b"0") == 0
    document = measured(kernel, "--", "./app")
    assert [way["argv"] for way in document["ways"]] == [["/bin/sh", "./app"]]
    assert document["notes"][0] == "no handler takes it: `now` is native"


def test_a_handler_that_another_program_hides_behind(kernel: Kernel) -> None:
    """The file ends otherwise through the handler: that is told, and ends with 1."""
    kernel.put("app", b"#!/bin/sh\nexit 5\n")
    assert kernel.register(b":all:M::#!::/bin/true:") == 0
    document = measured(kernel, "--", "./app", code=1)
    assert [way["endings"] for way in document["ways"]] == [["ends with 0"], ["ends with 5"]]


def test_a_handler_without_its_interpreter(kernel: Kernel) -> None:
    kernel.put("app", b"#!/bin/sh\nexit 5\n")
    assert kernel.register(b":gone:M::#!::/no/such/wine:") == 0
    now, native = measured(kernel, "--", "./app", code=1)["ways"]
    assert now["problem"] == "ENOENT: No such file or directory"
    assert native["endings"] == ["ends with 5"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the loader is compiled for x86-64")
def test_an_ape_that_a_handler_takes(kernel: Kernel, tmp_path: Path) -> None:
    """Taken by a handler of MZ; natively it runs through the loader that it carries; so it does when proposed."""
    loader = ape_loader("x86_64", tmp_path)
    kernel.put("wine", b"#!/bin/sh\nexit 53\n")
    kernel.put("app.com", ape(loaders={"x86_64": loader}))
    named = kernel.put("ape", loader)
    assert kernel.register(b":DOSWin:M::MZ::%s:" % os.fsencode(kernel.files / "wine")) == 0
    document = measured(kernel, "--through", str(named), "--", "./app.com", code=1)
    now, native, proposed = document["ways"]
    assert (now["handler"], now["endings"]) == ("DOSWin", ["ends with 53"])
    assert native["argv"][0].endswith("/ape")
    assert native["endings"] == proposed["endings"] == ["ends with 42"]
    assert kernel.register(b":APE:M::MZqFpD::%s:P" % os.fsencode(named)) == 0
    now, native = measured(kernel, "--", "./app.com")["ways"]
    assert (now["handler"], now["endings"]) == ("APE", ["ends with 42"])
    assert not [name for name in os.listdir(kernel.files) if name.startswith("runworthy-")]  # nothing is left
