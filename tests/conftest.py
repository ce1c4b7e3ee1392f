"""What holds for every test: no hidden skips where judges are required, no word from the caller's environment."""

import os
from collections.abc import Generator
from typing import TypeVar

import hypothesis
import pytest

from runworthy.cli.environment import VARIABLES

JUDGES_REQUIRED = os.environ.get("RUNWORTHY_REQUIRE_JUDGES") == "1"
# What changes the words or the verdicts of the product, or of a loader that is asked.
FOREIGN = (
    *(variable.name for variable in VARIABLES),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_BIND_NOW", "GLIBC_TUNABLES"),
)

SHOWN = 16
"""The longest bytes that stand in the name of a test."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Two workers on a busy machine are slow at times; where everybody must see the same, the examples are the same.
hypothesis.settings.register_profile("runworthy", deadline=None, derandomize="CI" in os.environ, print_blob=True)
hypothesis.settings.load_profile("runworthy")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNWORTHY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _without_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _without_skip(report)


def _without_skip(report: Report) -> Report:
    """Where judges are required a skipped test is a failed one. An expected failure is not a skip."""
    if JUDGES_REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: {reason}; RUNWORTHY_REQUIRE_JUDGES=1 forbids skips"
    return report


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter that is a file's bytes by its name: packed ones hold the time at which they were made."""
    return argname if isinstance(val, bytes) and len(val) > SHOWN else None
