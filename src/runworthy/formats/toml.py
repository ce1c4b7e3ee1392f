"""TOML of strangers (https://toml.io/en/v1.0.0): bounded in the time that it takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from runworthy.model.errors import FormatError

__all__ = ["LONG_KEY", "MOST_PARTS", "load_toml"]

MOST_PARTS: Final = 64
# tomllib takes time that grows with the square of the parts of one dotted key.
_WORD = rb"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
LONG_KEY: Final = re.compile(rb"(?<![\w-])(?:" + _WORD + rb"\.[ \t]*+){" + str(MOST_PARTS).encode() + rb"}")
"""A dotted key of more parts than these."""


def load_toml(data: bytes, path: str = "") -> Mapping[str, object]:
    """Return the tables of a file. Raises FormatError."""
    import tomllib

    if LONG_KEY.search(data):
        raise FormatError(f"has a key of more than {MOST_PARTS} parts", path=path)
    try:
        return tomllib.loads(data.decode())
    except RecursionError:
        raise FormatError("is nested too deeply", path=path) from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, and numbers with too many digits
        raise FormatError(f"is no TOML: {error}", path=path) from None
