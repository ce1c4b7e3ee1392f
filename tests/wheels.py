"""Wheels made for tests, and judged by themselves: their members are read out of a real zip file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from io import BytesIO
from itertools import product
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from runworthy.engine.results import Cell, result_of
from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.formats.identify import identify
from runworthy.formats.wheel import digest_of, read_wheel
from runworthy.model.arch import architecture
from runworthy.model.elf import ElfFile
from runworthy.model.finding import Result
from runworthy.model.layout import Platform
from runworthy.model.program import FileFacts
from runworthy.model.records import dataclass
from runworthy.model.trace import Stretch, Trace
from runworthy.model.wheel import WheelFacts
from runworthy.simulate.wheel import Deserved, accepts, deserved, promise
from runworthy.targets.catalogue import open_catalogue
from runworthy.targets.promises import Promises

__all__ = ["Wheel", "judge_wheel", "open_wheel", "pack_wheel", "platform_of", "promises_on"]


_NATIVE = (b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")


@cache
def promises_on(arch: str) -> Promises:
    """Return what tags promise on an architecture by its name."""
    known = architecture(arch)
    assert known is not None
    return Promises(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel that was read: what it says of itself, and its native files."""

    facts: WheelFacts
    elves: Mapping[str, ElfFile]
    others: Mapping[str, FileFacts]
    digests: Mapping[str, str]

    def promise(self) -> Trace:
        """Return what becomes of its promise."""
        return promise(self.facts, self.elves, promises_on, others=self.others, digests=self.digests)

    def deserved(self) -> tuple[Deserved, ...]:
        """Return the tags that it deserves."""
        return deserved(self.facts, self.elves, promises_on)


def open_wheel(name: str, data: bytes | str, *, hashes: bool = True, everything: bool = False) -> Wheel:
    """Read a wheel from its bytes, or from the path of the file.

    ``hashes``: its native files are hashed; ``everything``: the others too.
    """
    with ZipFile(BytesIO(data) if isinstance(data, bytes) else data) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        facts = read_wheel(name, [(info.filename, info.file_size) for info in infos], archive.read)
        elves: dict[str, ElfFile] = {}
        others: dict[str, FileFacts] = {}
        digests: dict[str, str] = {}
        for info in infos:
            with archive.open(info) as member:
                head = member.read(4)
                if not everything and not head.startswith(_NATIVE):
                    continue
                content = BytesContent(head + member.read())
            if head == _NATIVE[0]:
                elves[info.filename] = read_elf(content, info.filename)
            elif head.startswith(_NATIVE) and ((other := identify(content)).pe or other.machos):
                others[info.filename] = other
            if hashes:
                digests[info.filename] = digest_of(content)
    return Wheel(facts=facts, elves=elves, others=others, digests=digests)


def judge_wheel(name: str, data: bytes, target: str = "") -> Result:
    """Return the result of a wheel by itself; with a target, of whether an installer takes it there."""
    wheel = open_wheel(name, data)
    trace = wheel.promise()
    if target:
        step = accepts(wheel.facts, platform_of(target, "x86_64"))
        trace = Trace(stretches=(Stretch(object=name, machine="", loader="", root=target, steps=(step,)),))
    return result_of(Cell(subject=name, target=target, path=name, trace=trace))


def platform_of(target: str, arch: str) -> Platform:
    """Return what an installer looks at on a target of the catalogue."""
    known = architecture(arch)
    assert known is not None
    found = open_catalogue().find(target, known)
    family = found.libc.family
    return Platform(
        target=target,
        arch=known,
        libc="glibc" if family == "glibc" else "musl" if family == "musl" else "",
        release=found.libc.version or (),
    )


Change = Callable[[list[list[str]]], Iterable[list[str]]]


def pack_wheel(
    name: str,
    members: Mapping[str, bytes],
    *,
    tags: Iterable[str] | None = None,
    metadata: str | None = None,
    purelib: bool = False,
    record: Change = lambda rows: rows,
    info: str | None = None,
) -> bytes:
    """Return a wheel named ``name`` of these members, with the records that belong to it but for what is given.

    ``record`` changes the rows of RECORD, ``info`` is another name for the ``.dist-info`` directory.
    """
    project, version, *_, python, abi, platforms = name.removesuffix(".whl").split("-")
    directory = info or f"{project}-{version}.dist-info"
    own = ["-".join(tag) for tag in product(python.split("."), abi.split("."), platforms.split("."))]
    wheel = "".join(f"Tag: {tag}\n" for tag in (own if tags is None else tags))
    files = {
        **members,
        f"{directory}/METADATA": (metadata or f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n").encode(),
        f"{directory}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {purelib}\n{wheel}".encode(),
    }
    rows = [[path, digest_of(BytesContent(data)), str(len(data))] for path, data in files.items()]
    rows.append([f"{directory}/RECORD", "", ""])
    files[f"{directory}/RECORD"] = "".join(f"{','.join(row)}\n" for row in record(rows)).encode()
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(ZipInfo(path), data)
    return packed.getvalue()
