"""Why the same bytes are stored again: decided on what is there, not on what records claim about links.

What records say of how a file came (``link.type`` of conda-meta) is not asked: rattler writes 1 for hard links,
reflinks and copies alike where the device numbers are equal (`crates/rattler/src/install/mod.rs`), and falls back to
copies without a word (`install/link.rs`, hardlink_to_destination). Names and places tell.

The order of the decisions is in ``deciding``; each decision is in the module that is named after what it looks at:
``places``, ``installing``, ``packages``, ``files`` and ``layers``.
"""

from runworthy.storage.causes.deciding import Explained, besides, explained, with_causes
from runworthy.storage.causes.facts import Facts
from runworthy.storage.causes.situation import Situation, home_of, is_inside, linking_environments

__all__ = [
    "Explained",
    "Facts",
    "Situation",
    "besides",
    "explained",
    "home_of",
    "is_inside",
    "linking_environments",
    "with_causes",
]
