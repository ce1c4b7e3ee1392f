"""The credentials of this process: it is taken for who executes what is judged on this machine."""

from __future__ import annotations

import os
import re
from typing import Final

from runworthy.model.credentials import Credentials

__all__ = ["own_credentials"]

_OVERRIDE, _SEARCH = 1 << 1, 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, include/uapi/linux/capability.h
_EFFECTIVE: Final = re.compile(r"^CapEff:\s*([0-9a-f]+)$", re.MULTILINE)
_NOBODY: Final = 65534
"""Who owns files of users that a user namespace does not know, where /proc does not tell (DEFAULT_OVERFLOWUID)."""


def own_credentials(proc: str = "/proc") -> Credentials:
    """Return the effective user, groups and capabilities of this process."""
    uid, found = os.geteuid(), _EFFECTIVE.search(_text(f"{proc}/self/status"))
    capabilities = int(found[1], 16) if found else 0 if uid else ~0
    overflow = _text(f"{proc}/sys/kernel/overflowuid").strip()
    nobody = int(overflow) if overflow.isdecimal() else _NOBODY
    return Credentials(
        uid=uid,
        gid=os.getegid(),
        groups=frozenset(os.getgroups()),
        override=bool(capabilities & _OVERRIDE),
        search=bool(capabilities & _SEARCH),
        nobody=None if _is_mapped(_text(f"{proc}/self/uid_map"), nobody) else nobody,
    )


def _is_mapped(uid_map: str, uid: int) -> bool:
    """Whether the user namespace has a user of this number; a kernel without such namespaces has every one."""
    rows = [[int(word) for word in line.split()] for line in uid_map.splitlines()]
    return not rows or any(first <= uid < first + count for first, _, count in rows)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
