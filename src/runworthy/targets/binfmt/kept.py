"""The files that decide which handlers a root registers when it boots, for whoever takes the root along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

from runworthy.formats.content import Content, read_exactly
from runworthy.model.errors import FormatError
from runworthy.targets.binfmt.boot import boot_handlers
from runworthy.targets.binfmt.registry import TEXT_LIMIT
from runworthy.targets.view import Entry, FileView, UnseenError

__all__ = ["boot_texts", "concerns_boot"]

_TOTAL: Final = 8 << 20
_WHOLE: Final = (
    "etc/binfmt.d/*",
    "usr/lib/binfmt.d/*",
    "usr/local/lib/binfmt.d/*",
    "lib/binfmt.d/*",
    "var/lib/binfmts/*",
    "etc/systemd/system*binfmt*",
    "usr/local/lib/systemd/system/*binfmt*",
    "usr/lib/systemd/system/*binfmt*",
    "lib/systemd/system/*binfmt*",
    "usr/libexec/rc/sh/binfmt.sh",
    "lib/rc/sh/binfmt.sh",
    "libexec/rc/sh/binfmt.sh",
    "etc/wsl.conf",
    "etc/inittab",
)
_MENTIONING: Final = ("etc/systemd/system*", "etc/fstab", "etc/rc.local", "etc/local.d/*.start")
_MARK: Final = b"binfmt"


def concerns_boot(path: str, size: int) -> bool | None:
    """Whether the bytes of a file are needed; None: where they name binfmt. ``path`` begins without a slash."""
    if not 0 < size <= TEXT_LIMIT:
        return False
    if any(fnmatchcase(path, pattern) for pattern in _WHOLE):
        return True
    return None if any(fnmatchcase(path, pattern) for pattern in _MENTIONING) else False


def boot_texts(view: FileView) -> Iterator[tuple[str, bytes]]:
    """Yield real path and bytes of each file that is read to tell what the root registers when it boots.

    They are those that :func:`boot_handlers` reads, on WSL and elsewhere; of files that can hold anything, those that
    name binfmt.
    """
    watched = _Watched(view)
    for kernel in ("Linux", "Microsoft"):
        boot_handlers(watched, kernel=kernel)
    left = _TOTAL
    for real in dict.fromkeys(watched.read_files):
        try:
            content = view.content(real)
            if not 0 < content.size <= min(TEXT_LIMIT, left):
                continue
            data = read_exactly(content, 0, content.size, "file")
        except (OSError, FormatError, UnseenError):
            continue
        if concerns_boot(real[1:], len(data)) or _MARK in data:
            left -= len(data)
            yield real, data


class _Watched(FileView):
    """A view that remembers which files were read."""

    def __init__(self, view: FileView) -> None:
        super().__init__()
        self._view = view
        self.read_files: list[str] = []

    def entry(self, directory: str, name: str) -> Entry | None:
        return self._view.entry(directory, name)

    def names(self, directory: str) -> Iterable[str]:
        return self._view.names(directory)

    def content(self, real: str) -> Content:
        self.read_files.append(real)
        return self._view.content(real)
