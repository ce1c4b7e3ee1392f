"""The assets of a release: the parts in which it is shipped, as people download them.

An archive is one. In a directory so are programs and directories whose own names say a system and an architecture
(``app-linux-arm64``); everything else in it belongs together.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from runworthy.engine.subjects import Subject

if TYPE_CHECKING:
    from runworthy.engine.opening import Given
    from runworthy.model.elf import ElfFacts

__all__ = ["asset_of", "says_platform"]


def asset_of(given: Given, subject: Subject, facts: ElfFacts | None) -> str:
    """Return the name of the asset that a file belongs to, the innermost archive, empty for none."""
    if subject.holder is not None:
        return subject.holder.name
    return own_asset(given, subject, facts)


def own_asset(given: Given, subject: Subject, facts: ElfFacts | None) -> str:
    """Return the name of the asset that a file in no archive belongs to, empty for none."""
    if not given.is_directory:
        return ""
    first, inner, _ = given.below(subject.name).partition("/")
    is_part = bool(inner) or (facts is not None and facts.is_program)
    return posixpath.join(given.name, first) if is_part and says_platform(first) else ""


def says_platform(name: str) -> bool:
    """Whether a name says for which system and architecture something is built."""
    if not any(letter in name for letter in "-_."):
        return False
    from runworthy.engine.matrix.names import read_name

    claims = read_name(name).claims
    return bool(claims.system and claims.archs)
