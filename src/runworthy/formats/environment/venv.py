"""``pyvenv.cfg``: what a virtual environment was made of, and by what.

Sources: PEP 405; CPython ``Lib/site.py`` (venv) for the grammar and ``Lib/venv/__init__.py`` (create_configuration) for
the keys; virtualenv ``create/pyenv_cfg.py``; uv ``crates/uv-virtualenv/src/virtualenv.rs``.
"""

from __future__ import annotations

import re
from typing import Final

from runworthy.model.records import dataclass

__all__ = ["PYVENV_MAX", "Venv", "parse_pyvenv"]

PYVENV_MAX: Final = 1 << 16
_VERSION: Final = re.compile(r"(\d{1,3}\.\d{1,3})(?:[.+]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Venv:
    """``home`` is the directory of the base interpreter, ``python`` its version ("3.12"), empty where neither is told.

    ``uv`` and ``virtualenv`` are the versions of the one that made it. ``system``: the packages of the base
    interpreter are seen too.
    """

    home: str = ""
    python: str = ""
    uv: str = ""
    virtualenv: str = ""
    system: bool = False


def parse_pyvenv(data: bytes) -> Venv:
    """Return what the lines say: keys in any case, a later line for an earlier one."""
    found: dict[str, str] = {}
    for line in data[:PYVENV_MAX].decode("utf-8", "surrogateescape").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip().lower()] = value.strip()
    version = _VERSION.match(found.get("version_info") or found.get("version") or "")
    return Venv(
        home=found.get("home", ""),
        python=version[1] if version else "",
        uv=found.get("uv", ""),
        virtualenv=found.get("virtualenv", ""),
        system=found.get("include-system-site-packages", "").lower() == "true",
    )
