"""The catalogue: roots of real systems by the names that people use.

``scripts/build_catalogue.py`` makes ``catalogue.pack`` from the facts in ``shared/targets``; this package answers out
of it with positioned reads. Closed roots hold every path of an image; core roots hold libc, the compiler runtime and
zlib of a distribution, composed from its recipe when they are asked for.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runworthy.targets.catalogue.catalogue import Catalogue
    from runworthy.targets.catalogue.index import CatalogueIndex
    from runworthy.targets.catalogue.target import CatalogueTarget, Summary
    from runworthy.targets.catalogue.views import CatalogueView

__all__ = ["Catalogue", "CatalogueIndex", "CatalogueTarget", "CatalogueView", "Summary", "open_catalogue"]

_PLACES = {
    "Catalogue": "catalogue",
    "CatalogueIndex": "index",
    "CatalogueTarget": "target",
    "CatalogueView": "views",
    "Summary": "target",
}


@cache
def open_catalogue() -> Catalogue:
    """Return the catalogue of this installation. Raises FormatError when its file is damaged, OSError."""
    from runworthy.targets.catalogue.catalogue import Catalogue

    return Catalogue()


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
