"""Who executes a program, and to whom a file belongs: what the kernel compares before it lets anybody at it."""

from __future__ import annotations

from runworthy.model.records import dataclass

__all__ = ["Credentials", "Owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The user and the groups of a process, as its user namespace numbers them (``include/linux/cred.h``).

    ``override`` and ``search`` are CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, which count for files whose owner and
    group the namespace knows: all others are shown as those of ``nobody``, None where it knows every number.
    """

    uid: int
    gid: int
    groups: frozenset[int] = frozenset()
    override: bool = False
    search: bool = False
    nobody: int | None = None

    def has_group(self, gid: int) -> bool:
        """Whether the process is in a group."""
        return gid == self.gid or gid in self.groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """To whom a file belongs. ``acl`` is its access control list as the kernel gives it, empty where it has none."""

    uid: int = 0
    gid: int = 0
    acl: bytes = b""
