"""The files by which a root registers a handler at each boot, edited so that it registers another one, or none.

A file of /etc/binfmt.d takes the place of the one that has its name elsewhere, and all of its lines with it: what
stands beside the handler in that file has to go along (binfmt.d(5), ``src/basic/conf-files.c``).
"""

from __future__ import annotations

from collections.abc import Mapping

from runworthy.formats.binfmt.conf import chosen, systemd_rules, with_rule
from runworthy.model.edit import Edit, EditText, LinkFile, WriteFile
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.targets.binfmt.registry import small_text
from runworthy.targets.binfmt.services import BINFMT_D
from runworthy.targets.binfmt.units import entries_of, real_directories
from runworthy.targets.view import FileView, UnseenError

__all__ = ["Registered", "registered_otherwise"]

_OWN, _VOLATILE = "/etc/binfmt.d", "/run/binfmt.d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Edits of files that register handlers, and the names of the handlers that are in them."""

    edits: tuple[Edit, ...] = ()
    names: frozenset[str] = frozenset()


def registered_otherwise(view: FileView, rules: Mapping[str, bytes]) -> Registered:
    """Return what has the files of binfmt.d register handlers by other rules, or not at all by an empty one.

    Every file that names one is edited: of several rules with one name the last counts, and the one before it would
    come up again.
    """
    directories = real_directories(view, [path for path in BINFMT_D if path != _VOLATILE])
    files, _ = chosen({at: entries_of(view, at) for at in directories})
    edits, names = [], set[str]()
    for directory, file in files:
        data = changed = _text(view, f"{directory}/{file}")
        here = []
        for name, rule in rules.items():
            before, changed = changed, with_rule(changed, name.encode("utf-8", "surrogateescape"), rule)
            here += [name] if changed != before else []
        if here:
            edits.append(_edit(view, (directory, file), data, changed, ", ".join(here)))
            names.update(here)
    return Registered(edits=tuple(edits), names=frozenset(names))


def _edit(view: FileView, at: tuple[str, str], data: bytes, changed: bytes, names: str) -> Edit:
    directory, file = at
    path, own = f"{directory}/{file}", f"{_OWN}/{file}"
    if directory == _OWN and view.lstat(path).entry.kind == "file":
        return EditText(path=path, before=data, after=changed, what=f"register {names} otherwise")
    if _has_rules(changed):
        # A link is replaced, and what it leads to is left to whoever else has it read.
        head = f"# in place of {path}, which registers {names} otherwise\n".encode("ascii", "replace")
        return WriteFile(path=own, content=head + changed)
    return LinkFile(path=own, text="/dev/null")


def _text(view: FileView, path: str) -> bytes:
    try:
        return small_text(view, path) or b""
    except (FormatError, UnseenError):
        return b""


def _has_rules(data: bytes) -> bool:
    try:
        return any(systemd_rules(data))
    except FormatError:  # whatever systemd does not read to its end is left to it
        return True
