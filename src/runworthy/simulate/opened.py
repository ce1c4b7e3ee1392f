"""A process that opens one library after the other with dlopen: what it has mapped then.

Source: glibc ``elf/dl-load.c`` (_dl_lookup_map, _dl_map_object_from_fd), musl ``ldso/dynlink.c`` (load_library). Both
take an object that is mapped already: glibc for a name that it is known by (its path, the names by which it was asked
for, its DT_SONAME), musl for the file name under which a search found it, and both for an equal device and inode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.libc import Libc
from runworthy.simulate.linkmap import LinkMap
from runworthy.simulate.process import Machinery
from runworthy.targets.view import UnseenError

if TYPE_CHECKING:
    from runworthy.simulate.glibc import load as glibc_load
    from runworthy.simulate.musl import load as musl_load

__all__ = ["Process", "start_process"]

_NEWEST_MUSL = (1, 2, 5)


class Process:
    """A process of a root, begun with a program."""

    def __init__(self, machinery: Machinery, walker: glibc_load.Loader | musl_load.Loader, libc: Libc) -> None:
        self.libc = libc
        self._view = machinery.target.view
        self._walker = walker
        self._map = LinkMap()

    def start(self, program: str, elf: ElfFile) -> None:
        """Map the program at a real path, and all that it needs. Raises UnseenError."""
        self._map = self._walker.start(program, elf)

    def refusal(self, path: str) -> str:
        """Return with what words dlopen refuses the file at a real path, empty where it takes it.

        Raises FormatError where the file cannot be judged, OSError.
        """
        return self._walker.refuses(path, self._view.elf(path))

    def open(self, path: str) -> bool:
        """Open a library by its real path; False where it is refused, or cannot be judged."""
        try:
            if self.refusal(path):
                return False
            self._walker.open(self._map, path, self._view.elf(path), self._map.main)
        except (FormatError, OSError, UnseenError):
            return False
        return True

    @property
    def loaded(self) -> tuple[tuple[str, str], ...]:
        """(name by which it was first asked for, path) of every object, in load order."""
        return self._map.loaded()


def start_process(machinery: Machinery, program: str) -> Process | None:
    """Return a process of the program at a real path, None where its loader is not modelled.

    Raises FormatError, OSError, UnseenError.
    """
    target, launch = machinery.target, machinery.launch
    elf = target.view.elf(program)
    loader, arch = elf.facts.interpreter, elf.facts.architecture
    if loader is None or arch is None:
        return None
    libc = machinery.libc(loader)
    walker: glibc_load.Loader | musl_load.Loader
    if libc.family == "glibc":
        from runworthy.simulate.glibc import load as glibc_load

        walker = glibc_load.Loader(machinery.search(loader, libc, arch), loader)
    elif libc.family == "musl":
        from runworthy.simulate.musl import load as musl_load

        itself = musl_load.Itself(path=loader, name=loader, version=libc.version or _NEWEST_MUSL)
        walker = musl_load.Loader(target, arch, launch, itself)
    else:
        return None
    process = Process(machinery, walker, libc)
    process.start(program, elf)
    return process
