"""Whether a process may have two files with the same bytes as two libraries, which one inode would make one.

A loader takes an object that it has mapped already for a name that this one is known by, and for an equal device and
inode (glibc ``elf/dl-load.c``, _dl_lookup_map and _dl_map_object_from_fd; musl ``ldso/dynlink.c``, load_library). So
files that are found by one and the same name alone are one library of a process in any case, in whatever order it asks;
what is opened by its path is a library of its own beside any other inode.

Source of what follows when two become one: both have one set of variables, and constructors run once.
"""

from __future__ import annotations

from collections.abc import Callable

from runworthy.model.records import dataclass
from runworthy.model.storage import Together

__all__ = ["Reach", "together"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How processes of an environment come to map a file.

    ``refused`` says why no loader maps it as a library, empty where one may. ``opened`` says who opens it by its path
    ("imports `pkg.mod`"), and ``host`` in which program; ``named`` are the names that others need, and that it would be
    found by; ``doubts`` say what may open it by its path besides.
    """

    path: str
    refused: str = ""
    host: str = ""
    opened: str = ""
    named: frozenset[str] = frozenset()
    doubts: tuple[str, ...] = ()

    @property
    def by_path(self) -> bool:
        """Whether something may open it by its path."""
        return bool(self.opened or self.doubts)

    @property
    def never(self) -> bool:
        """Whether nothing leads to it."""
        return not self.by_path and not self.named


def together(first: Reach, second: Reach, shown: Callable[[], str]) -> Together:
    """Return whether a process may load both. ``shown`` names a process that does, as simulated; empty for none."""
    refused = next((one for one in (first, second) if one.refused), None)
    if refused is not None:
        return Together(answer="no", why=(f"`{refused.path}` is loaded by none: {refused.refused}",))
    never = next((one for one in (first, second) if one.never), None)
    if never is not None:
        return Together(answer="no", why=(f"nothing in the environment needs or opens `{never.path}`",))
    if first.opened and second.opened and first.host == second.host:
        process = f"a process of {first.host} that {first.opened} and {second.opened}"
        return Together(answer="yes", why=(_loads(process, first, second),))
    if not first.by_path and not second.by_path and first.named == second.named and len(first.named) == 1:
        name = next(iter(first.named))
        found = f"`{first.path}` and `{second.path}` are found by the name `{name}` alone"
        return Together(answer="no", why=(f"{found}, for which a loader takes whichever it has mapped",))
    process = shown()
    if process:
        return Together(answer="yes", why=(_loads(process, first, second),))
    return Together(answer="unknown", why=tuple(_doubts(first) + _doubts(second)))


def _loads(process: str, first: Reach, second: Reach) -> str:
    return f"{process} loads `{first.path}` and `{second.path}`"


def _doubts(one: Reach) -> list[str]:
    if one.opened:
        return [f"a process of {one.host} that {one.opened} loads `{one.path}`"]
    if one.doubts:
        return [f"`{one.path}` may be opened by its path: {doubt}" for doubt in one.doubts]
    names = ", ".join(f"`{name}`" for name in sorted(one.named))
    return [
        f"`{one.path}` is needed by the name {names}" if len(one.named) == 1 else f"`{one.path}` is needed as {names}"
    ]
