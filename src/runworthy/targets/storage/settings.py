"""What installers were told, where an environment lies: how to bring files into it, and where their caches are."""

from __future__ import annotations

from typing import Literal

from runworthy.model.records import dataclass
from runworthy.model.storage import Place

__all__ = ["Setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one installer was told for one environment.

    ``links`` is how files are to come from the cache, empty where nobody says; ``said`` is the file or the variable
    that says it. ``cache`` is where the cache lies, None where neither records nor settings say; ``cache_said`` is what
    does.
    """

    installer: str
    links: Literal["copy", "hardlink", "clone", "symlink", ""] = ""
    said: str = ""
    cache: Place | None = None
    cache_said: str = ""
