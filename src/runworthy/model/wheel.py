"""Wheels: what the file's name and its own records say of what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from runworthy.model.records import dataclass

__all__ = ["Flaw", "FlawKind", "RecordRow", "WheelFacts", "WheelName"]

FlawKind = Literal["name", "dist-info", "wheel", "metadata", "record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """The parts of a wheel's file name (PEP 427), the sets of tags (PEP 425) taken apart. ``build`` may be empty."""

    project: str
    version: str
    build: str
    pythons: tuple[str, ...]
    abis: tuple[str, ...]
    platforms: tuple[str, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag that the name stands for, as WHEEL writes them: ``cp312-cp312-linux_x86_64``."""
        return tuple(
            f"{python}-{abi}-{platform}" for python in self.pythons for abi in self.abis for platform in self.platforms
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A line of RECORD. ``digest`` is ``sha256=...`` as it stands there, ``size`` in bytes; both may be left out."""

    path: str
    digest: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """What of a wheel is not there, or could not be read. ``member`` is where, empty for the file's own name."""

    kind: FlawKind
    detail: str
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """A wheel without its binaries. ``file`` is the name of the file, without its directory.

    ``infos`` are its ``.dist-info`` directories, ``info`` the one that is read: that of the file's name where there
    are several. ``wheel`` and ``metadata`` are the headers of WHEEL and METADATA by their names in lower case, each
    with its values in order. ``record`` is None where there is none. ``members`` are the sizes (bytes) of its files.
    """

    file: str
    name: WheelName | None = None
    infos: tuple[str, ...] = ()
    info: str = ""
    wheel: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, tuple[str, ...]]
    record: tuple[RecordRow, ...] | None = None
    members: Mapping[str, int]
    flaws: tuple[Flaw, ...] = ()

    @property
    def purelib(self) -> bool | None:
        """Root-Is-Purelib, None where WHEEL does not say."""
        said = self.wheel.get("root-is-purelib", ("",))[0].lower()
        return {"true": True, "false": False}.get(said)

    @property
    def requires_python(self) -> str:
        """Requires-Python, empty where there is none."""
        return self.metadata.get("requires-python", ("",))[0]

    @property
    def requires(self) -> tuple[str, ...]:
        """The Requires-Dist lines."""
        return self.metadata.get("requires-dist", ())
