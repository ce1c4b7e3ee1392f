"""Carrying out a remedy on the real thing, and taking it back."""

from runworthy.remedies.applying.backwards import Undone, forget, recover, undo, would_undo
from runworthy.remedies.applying.forwards import apply, fingerprints
from runworthy.remedies.applying.ground import Ground, Place, ground_of

__all__ = ["Ground", "Place", "Undone", "apply", "fingerprints", "forget", "ground_of", "recover", "undo", "would_undo"]
