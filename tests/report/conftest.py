"""A browser for the tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium: tests/judges/setup.sh tools installs it")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to start as root with one
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=options)
        yield started
        started.close()
