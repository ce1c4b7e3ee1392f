"""The script that makes the table of packages, as a module."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import build_known_packages

__all__ = ["build_known_packages"]
