"""What interpreters are for, by the names under which distributions register them."""

import pytest

from runworthy.model.binfmt import Handler
from runworthy.simulate.purpose import purpose_of


@pytest.mark.parametrize(
    ("interpreter", "kind", "arch"),
    [
        ("/usr/bin/qemu-aarch64-static", "emulator", "aarch64"),
        ("/usr/bin/qemu-aarch64", "emulator", "aarch64"),
        ("/usr/libexec/qemu-binfmt/aarch64-binfmt-P", "emulator", "aarch64"),  # Debian 12
        ("/usr/libexec/qemu-binfmt/alpha-binfmt-P", "emulator", None),
        ("/usr/bin/qemu-aarch64-binfmt", "emulator", "aarch64"),
        ("/usr/bin/aarch64", "unknown", None),
        ("/usr/bin/wine", "wine", None),
        ("/usr/bin/ape", "ape-loader", None),
        ("/usr/bin/apertium", "unknown", None),
        ("/usr/lib/binfmt-support/run-detectors", "chooser", None),
        ("/init", "wsl", None),
    ],
)
def test_names(interpreter: str, kind: str, arch: str | None) -> None:
    told = purpose_of(Handler(name="x", interpreter=interpreter, magic=b"\x7fELF"))
    assert (told.kind, told.arch and told.arch.name) == (kind, arch)
