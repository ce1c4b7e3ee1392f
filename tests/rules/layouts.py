"""Pages on packages that hold several builds: what their facts describe, and what is chosen of it on a target."""

from __future__ import annotations

from collections.abc import Mapping

from runworthy.engine.results import Cell, result_of
from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.formats.identify import identify
from runworthy.formats.layout import is_native, layout_of
from runworthy.model.arch import architecture
from runworthy.model.archive import ContainerKind
from runworthy.model.finding import Result
from runworthy.model.layout import Contents
from runworthy.model.trace import Stretch, Trace
from runworthy.simulate.layout import choose
from runworthy.simulate.layout.contents import contents_of
from runworthy.simulate.layout.platforms import platform_of
from runworthy.targets.libc import libc_of_root
from runworthy.targets.names import TargetName

__all__ = ["contents_by_path", "judge_package"]

_KINDS: Mapping[str, ContainerKind] = {".tgz": "npm", ".nupkg": "nupkg", ".jar": "jar", ".zip": "zip"}


def judge_package(name: str, files: Mapping[str, bytes], target: TargetName) -> Result:
    """Return what the rules say of a package with these members."""
    kind = next(kind for ending, kind in _KINDS.items() if name.endswith(ending))
    layout = layout_of(kind, files, files.get)
    assert layout is not None
    root = target.open(architecture("x86_64"))
    choice = choose(layout, platform_of(root), contents_by_path(files))
    stretch = Stretch(object=name, machine=root.arch.name, loader="", root=target.text, steps=choice.steps)
    trace = Trace(stretches=(stretch,))
    return result_of(Cell(subject=name, target=target.text, path=name, trace=trace, libc=libc_of_root(root), root=root))


def contents_by_path(files: Mapping[str, bytes]) -> dict[str, Contents]:
    """Return what the programs and libraries among the files are built for."""
    found = {path: _contents(data) for path, data in files.items() if is_native(path) or data[:4] == b"\x7fELF"}
    return {path: contents for path, contents in found.items() if contents}


def _contents(data: bytes) -> Contents | None:
    content = BytesContent(data)
    if data[:4] == b"\x7fELF":
        return contents_of(read_elf(content).facts, None)
    return contents_of(None, identify(content))
