"""Which packages of a target's distribution bring what is missing, and what else they bring along."""

from __future__ import annotations

from runworthy.targets.packages.choice import Choice, Wanted
from runworthy.targets.packages.installed import installed, manager_of
from runworthy.targets.packages.providers import Packages

__all__ = ["Choice", "Packages", "Wanted", "installed", "manager_of"]
