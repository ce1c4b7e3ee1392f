"""Which rule modules there are, in the order in which they are applied. Made by ``scripts/index_rules.py``."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from runworthy.rules import Rule

__all__ = ["MODULES", "load_rules"]

MODULES: tuple[str, ...] = ()


def load_rules() -> tuple[Rule, ...]:
    """Return every rule module."""
    return tuple(cast("Rule", import_module(f"runworthy.rules.{name}")) for name in MODULES)
