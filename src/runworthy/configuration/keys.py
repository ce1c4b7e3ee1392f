"""Which keys a project's file can have, and what each can hold: one table for reader, schema and help.

The names are those of the options of ``runworthy check`` and ``runworthy floor``, so that there is one word for one
thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from runworthy.model.arch import X86_64_LEVELS
from runworthy.model.records import dataclass
from runworthy.model.trace import STAGES

__all__ = ["CHECK", "FLOOR", "OPTIONS", "SET_NAME", "TOP", "VARIABLE", "WAIVER", "Holds", "Key"]

Holds = Literal["text", "texts", "flag", "number", "day", "variables", "sets", "table", "tables"]
"""``texts``: one or a list; ``number``: a whole one, not below 0; ``day``: a date or `never`; ``variables``: a table of
texts; ``sets``: a table of lists; ``tables``: an array of tables."""

SET_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
VARIABLE = r"[A-Z_][A-Z0-9_]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key. ``keys`` are those of its tables; ``choices`` all words that it can hold, ``examples`` some of many."""

    name: str
    holds: Holds
    about: str
    choices: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    needed: bool = False
    keys: tuple[Key, ...] = ()


def _key(name: str, holds: Holds, about: str, **more: object) -> Key:
    return Key(name=name, holds=holds, about=about, **more)  # type: ignore[arg-type] # the fields of Key


OPTIONS: tuple[Key, ...] = (
    _key("on", "texts", "targets, or sets of them as `@production`", examples=("alpine:3.20", "debian:12/arm64")),
    _key("platform", "text", "the architecture of the targets", examples=("linux/arm64", "x86_64")),
    _key("cpu", "text", "their CPU level", examples=X86_64_LEVELS),
    _key("page-size", "text", "their page size", examples=("4k", "64k")),
    _key("kernel", "text", "their kernel", examples=("5.10",)),
    _key("with", "texts", "package files, directories and libraries to add to each target"),
    _key("assume-present", "texts", "libraries to take as present where a target's facts end; `all` takes all"),
    _key("at", "text", "where the file lies in the target"),
    _key("env", "variables", "the environment in which it is started"),
    _key("cwd", "text", "the directory in which it is started"),
    _key("secure", "flag", "as set-user-ID or with file capabilities (AT_SECURE)"),
    _key("loaded-by", "text", "the program of the target that loads these libraries"),
    _key("caller", "texts", "who executes the files", examples=("shell", "python", "systemd")),
    _key("at-boot", "flag", "as it will be after the next boot of a target that has a machine"),
    _key("until", "text", "the last stage that is judged", choices=STAGES),
)
"""What can be stated about subjects: at the top for all, or in a `[[check]]` for its own."""

_SUBJECTS = _key(
    "subjects", "texts", "files, directories, and patterns of such, from the directory of this file",
    examples=("dist/*.whl", "build/"),
)  # fmt: skip

CHECK: tuple[Key, ...] = (
    _key("subjects", "texts", _SUBJECTS.about, examples=_SUBJECTS.examples, needed=True),
    *OPTIONS,
)

FLOOR: tuple[Key, ...] = (
    _key("max-glibc", "text", "the highest glibc that may be needed", examples=("2.28",)),
    _key("max-musl", "text", "the highest musl that may be needed", examples=("1.2.3",)),
    _key("max-libstdcxx", "text", "the highest libstdc++ that may be needed", examples=("GLIBCXX_3.4.28", "gcc-9")),
    _key("max-kernel", "text", "the highest kernel that may be needed", examples=("4.18",)),
    _key("max-cpu", "text", "the highest CPU level that may be needed", examples=X86_64_LEVELS),
    _key("page-size", "text", "a page size that must fit, where such kernels exist", examples=("64k",)),
)

WAIVER: tuple[Key, ...] = (
    _key("code", "texts", "codes or names of findings", examples=("RW301", "missing-library"), needed=True),
    _key("reason", "text", "why it does not count", needed=True),
    _key("expires", "day", "the day from which it counts again, as 2027-01-31, or `never`", needed=True),
    _key("subject", "texts", "patterns of subjects; one of a directory or an archive is of all in it",
         examples=("build/app", "dist/*.whl", "dist/a.whl!pkg/*.so")),
    _key("target", "texts", "patterns of targets, or sets of them", examples=("alpine:*", "*/aarch64", "@production")),
    _key("fingerprint", "text", "the fingerprint of one finding, out of a JSON report"),
)  # fmt: skip

TOP: tuple[Key, ...] = (
    _SUBJECTS,
    *OPTIONS,
    _key("fail-on", "text", "what ends with 1", choices=("fails", "risky")),
    _key("strict", "flag", "end with 1, not 4, where something cannot be told"),
    _key("max-fails", "number", "so many subjects on targets may fail"),
    _key("max-unknown", "number", "so many may be unknown"),
    _key("max-risky", "number", 'so many may be risky; without it any number, or none with `fail-on = "risky"`'),
    _key("targets", "sets", "sets of targets, which `@NAME` stands for wherever targets are named"),
    _key("check", "tables", "subjects with options of their own", keys=CHECK),
    _key("floor", "table", "the gates of `runworthy floor`", keys=FLOOR),
    _key("waiver", "tables", "findings that do not count", keys=WAIVER),
)


def walk(keys: tuple[Key, ...]) -> Iterator[Key]:
    """Yield keys, and those of their tables after each."""
    for key in keys:
        yield key
        yield from walk(key.keys)
