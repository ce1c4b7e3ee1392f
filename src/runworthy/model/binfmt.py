"""Handlers of binfmt_misc: what is registered with a kernel, and what a file must begin like to be taken by it."""

from __future__ import annotations

from runworthy.model.records import dataclass

__all__ = ["HEAD_SIZE", "BootDifference", "BootNote", "BootPlan", "Handler", "Handlers"]

HEAD_SIZE = 256
"""How many bytes of a file the kernel looks at: BINPRM_BUF_SIZE, ``include/uapi/linux/binfmts.h``, since Linux 5.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One handler (``fs/binfmt_misc.c``, struct Node). It has a ``magic`` or an ``extension``, never both.

    ``mask`` is empty where every bit of the magic counts; ``offset`` is in bytes; ``extension`` has no dot.
    ``flags`` are those of POCF that it has, in this order; C brings O. ``origin`` is the file by which it was or will
    be registered, empty where it is not known. ``detector`` is the program that binfmt-support asks whether the file
    is one of its own; ``others``, where the interpreter is run-detectors, are all the formats that it knows, this one
    too, each with the interpreter it stands for: those that match the file too are tried in this order.
    """

    name: str
    interpreter: str
    magic: bytes = b""
    mask: bytes = b""
    offset: int = 0
    extension: str = ""
    flags: str = ""
    enabled: bool = True
    origin: str = ""
    detector: str = ""
    others: tuple[Handler, ...] = ()

    def matches(self, head: bytes, path: str) -> bool:
        """Whether it takes a file with these first 256 bytes, NULs where it is shorter, that is executed by ``path``.

        search_binfmt_handler: the extension is what follows the last dot of the whole path as it was given.
        """
        if self.extension:
            return "." in path and path.rpartition(".")[2] == self.extension
        here = head[self.offset : self.offset + len(self.magic)]
        mask = self.mask or b"\xff" * len(self.magic)
        return len(here) == len(self.magic) and all(
            not (ours ^ theirs) & bits for ours, theirs, bits in zip(self.magic, here, mask, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """The handlers of a kernel, ``entries`` in the order in which they are tried: the newest first.

    ``enabled`` is False where all of them are switched off. ``stated``: this is how the machine is, not only what is
    taken for granted of one that nothing is known of; ``basis`` says in words what it is taken from. ``unknown`` says
    why they cannot be told, empty where they can.
    """

    entries: tuple[Handler, ...] = ()
    enabled: bool = True
    stated: bool = False
    basis: str = ""
    unknown: str = ""

    def taking(self, head: bytes, path: str) -> Handler | None:
        """Return the handler that takes a file, None where none does."""
        if not self.enabled:
            return None
        return next((one for one in self.entries if one.enabled and one.matches(head, path)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootNote:
    """What is worth knowing about a file that is read, or is not read, when a system boots.

    ``kind`` is "refused" (the kernel does not take it), "ignored" (nobody reads it), "masked" (another file of its name
    is read instead), "off" (what would read it does not run), "stops" (it keeps the others from being registered) or
    "unknown" (what becomes of it depends on what cannot be seen). ``line`` counts from 1, 0 where none is meant.
    """

    kind: str
    path: str
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPlan:
    """What a root registers when it boots. ``systems`` are the services that do it, in the order in which they run."""

    handlers: Handlers
    systems: tuple[str, ...] = ()
    notes: tuple[BootNote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDifference:
    """What a boot changes about the handlers that a kernel has now.

    ``lost`` are registered now and by nobody at boot, ``added`` the other way round; ``changed`` are those of one name
    that differ, now and then. ``moved`` are the fewest that have to change places for the others to stay in order.
    """

    lost: tuple[Handler, ...] = ()
    added: tuple[Handler, ...] = ()
    changed: tuple[tuple[Handler, Handler], ...] = ()
    moved: tuple[Handler, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.lost or self.added or self.changed or self.moved)
