"""What a judge says about one file, in one shape for every loader."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple


class Missing(NamedTuple):
    """A needed library that was not found. ld.so does not tell who needs it."""

    name: str
    needed_by: str | None = None


class MissingVersion(NamedTuple):
    """A symbol version that `library`, as loaded, does not define."""

    library: str
    version: str
    required_by: str


class Undefined(NamedTuple):
    """A symbol that `object` refers to and nothing in its scope defines."""

    object: str
    symbol: str
    version: str | None = None


class BadRelocation(NamedTuple):
    """A relocation that the loader refuses; `detail` is in the loader's words."""

    object: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Everything one loader said about one file.

    `chosen` maps the name under which a library was first asked for to the
    path that was taken, the loader itself and the vDSO left out. `warnings`
    are lines that the loader prints and goes on after. `fatal` is the message
    that stopped it early: what it says before that is then incomplete.
    `unparsed` holds lines that no rule of the harness accounts for; it is
    empty unless the harness is wrong.
    """

    missing_libraries: frozenset[Missing] = frozenset()
    missing_versions: frozenset[MissingVersion] = frozenset()
    undefined: frozenset[Undefined] = frozenset()
    bad_relocations: frozenset[BadRelocation] = frozenset()
    chosen: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    warnings: frozenset[str] = frozenset()
    fatal: str | None = None
    dynamic: bool = True
    rc: int | None = 0
    errno: int | None = None
    unparsed: tuple[str, ...] = ()
    raw: str = ""

    @property
    def missing_names(self) -> frozenset[str]:
        """The missing libraries without who needs them."""
        return frozenset(missing.name for missing in self.missing_libraries)

    @property
    def died(self) -> bool:
        """Whether a signal ended the loader: what it had not said yet is not known."""
        return self.rc is not None and self.rc < 0

    @property
    def clean(self) -> bool:
        """Whether the loader complains about nothing at all."""
        return not (
            self.missing_libraries
            or self.missing_versions
            or self.undefined
            or self.bad_relocations
            or self.fatal
            or self.rc != 0
        )


def ending(rc: int | None, errno: int | None) -> str | None:
    """In words, how a loader ended that did not come to its end by itself."""
    if rc is None:
        return "time over" if errno is None else f"cannot execute: {os.strerror(errno)}"
    return None if rc >= 0 else f"killed by {signal.Signals(-rc).name}"
