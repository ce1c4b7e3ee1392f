"""A target: a root on a machine, with what is known about where the knowledge ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runworthy.model.arch import Architecture
from runworthy.model.binfmt import Handlers
from runworthy.model.credentials import Credentials
from runworthy.model.libc import Libc
from runworthy.model.machine import Machine
from runworthy.model.records import dataclass, field
from runworthy.targets.view import FileView

if TYPE_CHECKING:
    from runworthy.model.host import MachineFacts

__all__ = ["Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a subject must run.

    ``libcs`` maps the real path of a loader to its C library where that is known beforehand (catalogue);
    other loaders are identified from their bytes. ``system_directories`` are the default directories of
    the root's glibc, empty when they are to be read from the loader. ``cache_from_configuration``: the
    root was never configured, its ld.so.cache is what ldconfig would write. ``present`` are libraries
    that the user has stated to be there, ``assume_all`` states it of all that is outside the root's facts.
    ``machine_facts`` is what a captured machine said of itself beyond ``machine``. ``handlers`` are those of
    its binfmt_misc; ``handlers_before`` are those that it has now, where it is wanted as it will be after a boot.
    ``credentials`` are those of who executes, None where that is not known.
    """

    name: str
    view: FileView
    machine: Machine
    completeness: str = "closed"
    libcs: Mapping[str, Libc] = field(default_factory=dict)
    system_directories: tuple[str, ...] = ()
    cache_from_configuration: bool = False
    as_of: str = ""
    present: frozenset[str] = frozenset()
    assume_all: bool = False
    live: bool = False
    machine_facts: MachineFacts | None = None
    handlers: Handlers = Handlers()
    handlers_before: Handlers | None = None
    credentials: Credentials | None = None
    arch_stated: bool = False
    level: int = 0
    notes: tuple[str, ...] = ()

    @property
    def arch(self) -> Architecture:
        """The architecture of the machine."""
        return self.machine.arch

    def absent(self, name: str) -> bool:
        """Whether a library or loader that was not found is absent for certain, rather than outside what is known."""
        authority = self.view.authority
        return authority is None or name in authority

    def assumes(self, soname: str) -> bool:
        """Whether the user has stated that this library is present."""
        return soname in self.present or (self.assume_all and not self.absent(soname))
