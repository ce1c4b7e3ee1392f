"""User mode emulation: loaders of other machines, and other machines for our loaders.

qemu is named explicitly on the command line inside the jail; nothing is
registered with binfmt_misc, so a guest program cannot start another one.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .roots import Root

_INSIDE = "/judge/qemu"
_FOREIGN = frozenset({"aarch64"})


def binary(arch: str) -> Path | None:
    """The static emulator for `arch` (Debian's qemu-user-static), if it is installed."""
    found = shutil.which(f"qemu-{arch}-static")
    return None if found is None else Path(found)


def binds(arch: str) -> Mapping[str, Path]:
    """What a jail must bind so that an `Emulator` for `arch` works in it."""
    path = binary(arch)
    return {} if path is None else {_INSIDE: path}


def binds_for(root: Root) -> Mapping[str, Path]:
    """The same for a root, nothing where this machine runs its programs itself."""
    return binds(root.arch) if root.arch in _FOREIGN else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A machine made of options of qemu-user.

    `cpu` is a model of `-cpu help` (Nehalem is x86-64-v2, Haswell v3),
    `page_size` in bytes, `kernel` a release that uname() gives, such as 4.4.0.
    """

    cpu: str | None = None
    page_size: int | None = None
    kernel: str | None = None

    @classmethod
    def for_root(cls, root: Root) -> Self | None:
        """The plain machine of a root that this machine cannot run natively."""
        return cls() if root.arch in _FOREIGN else None

    def command(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """The command line that runs `argv` with the guest environment `env`.

        The environment goes through -E, because qemu, though static, reads
        some variables of its own libc.
        """
        command = [_INSIDE]
        for option, value in (("-cpu", self.cpu), ("-p", self.page_size), ("-r", self.kernel)):
            if value is not None:
                command += [option, str(value)]
        for name, text in env.items():
            command += ["-E", f"{name}={text}"]
        return [*command, *argv]


def is_noise(line: str) -> bool:
    """Whether qemu itself said `line`: about the CPU model, or a signal that the status tells too."""
    return line.startswith(("qemu: uncaught target signal ", "qemu: warning: "))
