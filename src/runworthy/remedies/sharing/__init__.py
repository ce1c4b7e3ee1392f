"""Sharing carried out: links and shared extents in the place of copies, with a journal before each deed."""

from runworthy.remedies.sharing.act import Watch, share

__all__ = ["Watch", "share"]
