"""Environments of made files: a venv of this machine's Python, and one in a container's root with musl."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runworthy.engine.dedupe.ground import Loadings
from runworthy.engine.dedupe.loading import Loading
from runworthy.model.storage import Environment, EnvironmentKind, Place, Together
from runworthy.targets.storage.owners import Owners
from tests.elfwriter import Symbol, elf
from tests.world import MUSL_LOADER

__all__ = ["Root", "Tree"]


class Tree:
    """A venv of a few files."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.site = top / "lib/python3.12/site-packages"
        self.site.mkdir(parents=True)
        (top / "bin").mkdir()
        (top / "bin/python").symlink_to(sys.executable)

    def put(self, name: str, data: bytes | str) -> str:
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    def module(self, name: str, *needed: str, runpath: str = "", imports: Sequence[Symbol] = ()) -> str:
        stem = name.rpartition("/")[2]
        data = elf(needed=needed, runpath=runpath or None, exports=[f"PyInit_{stem}"], imports=imports)
        return self.put(f"{name}.cpython-312-x86_64-linux-gnu.so", data)

    def ask(self, first: str, second: str) -> Together:
        place = Place(path=str(self.top), filesystem="ext4:0:0", device=0, type="ext4")
        environment = Environment(path=str(self.top), kind="venv", place=place)
        loading = Loading(environment, (first, second))
        answer = loading.together(first, second)
        assert loading.together(second, first).answer == answer.answer
        return answer


class Root:
    """A container's root with musl, and a venv in it whose links are paths of that root."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.venv = "/srv/app/venv"
        self.put("/etc/os-release", "ID=alpine\n")
        self.put(MUSL_LOADER, elf(soname="libc.musl-x86_64.so.1", exports=["__libc_start_main", "stdin", "dlopen"]))
        self.put("/usr/bin/python3", elf(interpreter=MUSL_LOADER, needed=["libc.musl-x86_64.so.1"]))
        self.put("/usr/lib/libc.musl-x86_64.so.1", elf(soname="libc.musl-x86_64.so.1"))
        self.put(f"{self.venv}/pyvenv.cfg", "home = /usr/bin\n")
        (top / "srv/app/venv/bin").mkdir()
        (top / "srv/app/venv/bin/python").symlink_to("/usr/bin/python3")

    def put(self, path: str, data: bytes | str) -> str:
        at = Path(f"{self.top}{path}")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(at)

    def module(self, prefix: str, package: str, *needed: str, runpath: str | None = None) -> str:
        path = f"{prefix}/lib/python3.12/site-packages/{package}/_core.cpython-312-x86_64-linux-musl.so"
        return self.put(path, elf(needed=needed, runpath=runpath, exports=["PyInit__core"]))

    def ask(self, path: str, kind: EnvironmentKind, *pair: str) -> Together:
        at = f"{self.top}{path}".rstrip("/")
        environment = Environment(path=at, kind=kind, place=Place(path=at, filesystem="x", device=0, type="ext4"))
        return Loadings((), (environment,), Owners((environment,))).together(at, *pair[:2])
