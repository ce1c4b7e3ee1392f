"""Causes by layers of images: each is stored by itself, and what lies over them is copied up."""

from __future__ import annotations

from typing import Final

from runworthy.storage.causes.facts import Facts, links, where
from runworthy.storage.causes.side import Side, should_be_linked

__all__ = ["in_layers", "over_layers"]

# Where container engines keep the layers of images: containers/storage `drivers/overlay`, moby `daemon/graphdriver`,
# containerd `snapshots/overlay`.
_LAYERS: Final = ("/overlay2/", "/overlay/", "io.containerd.snapshotter.v1.overlayfs/")
_LAYER_TOPS: Final = ("/diff/", "/fs/")


def in_layers(side: Side, beside: Side) -> Facts | None:
    """Each layer of an image is stored by itself, whatever brought the files into it."""
    layer = next(filter(None, (_layer(one.file.names[0]) for one in (side, beside))), "")
    return (("layer", layer),) if layer else None


def over_layers(side: Side, beside: Side) -> Facts | None:
    """A link to what lies in a lower layer copies it up first (fs/overlayfs/dir.c, ovl_link)."""
    del beside
    if side.by.type != "overlay" or not should_be_linked(side):
        return None
    return (*((("environment", where(side.by.place)),) if side.by.place else ()), links(side))


def _layer(path: str) -> str:
    """Return the directory of the image layer that a path lies in, empty where it lies in none."""
    if "overlay" not in path or not any(word in path for word in _LAYERS):  # most are told by the first
        return ""
    ends = [path.index(top) for top in _LAYER_TOPS if top in path]
    return path[: min(ends)] if ends else ""
