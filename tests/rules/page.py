"""Pages of rules as tests: a ``facts`` block describes files and a target, the ``text`` block after it what is said.

A facts block is TOML. Its tables are files, the first one the subject; a path that begins with ``/`` lies in the
target's root, any other in the directory of the subject; ``tree`` gives all of that as the subject, and shows what is
said of the first file. The words before the tables are about the target and the
way the subject is started. ``python -m tests.rules.update`` writes the text blocks anew.

A file is an ELF file unless it says otherwise: ``text``, ``bytes`` (in hexadecimal), ``ape`` (what
``tests.apewriter.ape`` is given; ``loaders`` are the machines for which there is one), ``pe`` (what
``windows_program`` is given), ``zip`` (its members, texts or files); ``size`` makes it so long, with a hole at its end.
``appended`` is text behind an ELF file: by ``MZqFpD='`` a static program is told for the APE loader.

``handlers`` are the lines by which the target's handlers were registered, the newest first as they are tried; a table
``{line = ..., origin = FILE, enabled = false}`` says more of one. ``binfmt_misc = "disabled"`` switches all off,
``unknown_handlers`` says why they cannot be told, ``assumed_handlers`` what they are taken from without being known.
``handlers_now``: those that it has now, where ``handlers`` are the ones after its next boot. ``mounts`` is a table of
mount points and their options. ``callers`` are who starts the subject.

``storage`` tells of files that are stored again in an environment: see ``tests.rules.storage``.
``clash`` is an array of what :mod:`tests.rules.clashes` describes.

``waiver`` is an array of waivers, as in ``runworthy.toml``, and ``today`` the day on which they are looked at; where
something is amiss with them, that is what is told.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from stat import S_IFREG
from struct import pack, unpack_from
from typing import Any
from zipfile import ZipFile, ZipInfo

from runworthy.configuration.finding import Found
from runworthy.configuration.reading import configuration
from runworthy.configuration.waiving import waived
from runworthy.engine import Engine, Wishes
from runworthy.formats.binfmt.registration import parse_registration
from runworthy.model.arch import Architecture, architecture
from runworthy.model.binfmt import Handlers
from runworthy.model.finding import Result
from runworthy.model.host import MachineFacts, Mount
from runworthy.model.records import replace
from runworthy.model.waiver import Waiver
from runworthy.report.text import finding_lines
from runworthy.simulate.launch import CALLERS, Launch
from runworthy.targets.names import MachineWish, TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.apewriter import ape, like_ape_loader, windows_program
from tests.clrwriter import assembly
from tests.elfwriter import MACHINES, PAGE, Symbol, dlopen_note, elf, gnu_property
from tests.rules.clashes import judge_clashes
from tests.rules.layouts import judge_package
from tests.rules.storage import judge_storage
from tests.wheels import judge_wheel, pack_wheel

__all__ = ["BLOCKS", "RULES", "Block", "blocks", "judge", "outcome", "pages"]

RULES = Path(__file__).parents[2] / "src" / "runworthy" / "rules"
BLOCKS = re.compile(r"^```facts\n(.*?)^```\n+^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_LEVELS = {"x86-64-v1": 1, "x86-64-v2": 3, "x86-64-v3": 7, "x86-64-v4": 15}
_ISA_1_NEEDED = 0xC0008002
_DF_1_PIE = 0x8000000
_DF_STATIC_TLS = 0x10
_DF_TEXTREL = 4
_P_FILESZ = 64 + 32  # of the first Elf64_Phdr
_PE_AT, _SECTION_AT = 64, 512
_TABLES = ("env", "mounts")  # that are no files
_CONFIGURATION = "runworthy.toml"
_KINDS = {"object": 1, "executable": 2, "program": 3, "library": 3}


@dataclass(frozen=True, slots=True)
class Block:
    """One example of a page: what is given and what is expected."""

    facts: str
    text: str


def pages() -> list[Path]:
    """Return every page, sorted."""
    return sorted(RULES.glob("*/*.md"))


def blocks(page: Path) -> list[Block]:
    """Return the examples of a page."""
    return [Block(found[1], found[2]) for found in BLOCKS.finditer(page.read_text("utf-8"))]


def outcome(result: Result) -> str:
    """Return what a page shows of a result: its findings and the verdict."""
    stage = f" at {result.stage}" if result.verdict == "fails" else ""
    parts = ["\n".join(finding_lines(finding)) for finding in result.findings]
    return "\n\n".join([*parts, f"verdict: {result.verdict}{stage}"]) + "\n"


@dataclass(slots=True)
class _Stated(TargetName):
    """A target of which its handlers and mounts are stated too; None leaves them as they are found."""

    handlers: Handlers | None = None
    handlers_before: Handlers | None = None
    mounts: tuple[Mount, ...] = ()

    def open(self, arch: Architecture | None) -> Target:
        """Return the target as it is stated."""
        target = TargetName.open(self, arch)
        if self.handlers is not None:
            target = replace(target, handlers=self.handlers, handlers_before=self.handlers_before)
        if self.mounts:
            facts = MachineFacts(arch=target.arch.name, kernel="", mounts=self.mounts)
            target = replace(target, machine_facts=facts)
        return target


def _handlers(facts: Mapping[str, Any]) -> Handlers | None:
    """Return the handlers that the facts state, None where they say nothing of any."""
    if not {"handlers", "binfmt_misc", "unknown_handlers", "assumed_handlers"} & set(facts):
        return None
    rows = [row if isinstance(row, dict) else {"line": row} for row in facts.get("handlers", ())]
    return Handlers(
        entries=tuple(
            replace(
                parse_registration(row["line"].encode("latin-1"), row.get("origin", "")),
                enabled=row.get("enabled", True),
            )
            for row in rows
        ),
        enabled=facts.get("binfmt_misc", "enabled") == "enabled",
        stated="assumed_handlers" not in facts,
        basis=facts.get("assumed_handlers", ""),
        unknown=facts.get("unknown_handlers", ""),
    )


def judge(text: str, directory: Path) -> Result:
    """Return what the engine says of the facts; their files are written to ``directory``, the working directory."""
    facts: dict[str, Any] = tomllib.loads(text)
    for word, special in _SPECIAL.items():
        if word in facts:
            return special(facts)
    files = {path: value for path, value in facts.items() if isinstance(value, dict) and path not in _TABLES}
    in_root = {path: value for path, value in files.items() if path.startswith("/")}
    for path, value in files.items():
        if path not in in_root and "package" not in facts:
            _write(directory / path, value)
    name = facts["target"]
    if "package" in facts:
        return judge_package(facts["package"], {path: _bytes(value) for path, value in files.items()}, _named(facts))
    if name.startswith("./"):
        _write(directory / name / "etc" / "os-release", {"text": "ID=example\n"})
    for path, value in in_root.items() if name.startswith("./") else ():
        _write(directory / name / path.lstrip("/"), value)
    launch = Launch(
        env=facts.get("env", {}),
        secure=facts.get("secure", False),
        proc=facts.get("proc", True),
        loaded_by=facts.get("loaded_by"),
        until=facts.get("until", "environment"),
        callers=tuple(facts.get("callers", CALLERS)),
    )

    def add(target: Target, root: Overlay) -> None:
        del target
        for path, value in in_root.items() if not name.startswith("./") else ():
            _put(root, path, value)

    target = _Stated(
        text=name,
        wish=_wish(facts),
        present=facts.get("assume_present", ()),
        handlers=_handlers(facts),
        handlers_before=_handlers({"handlers": facts["handlers_now"]}) if "handlers_now" in facts else None,
        mounts=tuple(
            Mount(point=point, fstype="ext4", options=tuple(options.split(",")))
            for point, options in facts.get("mounts", {}).items()
        ),
    )
    subject = facts.get("subject") or next(path for path in files if path not in in_root)
    given = "." if facts.get("tree") else subject
    report = Engine(Wishes(launch=launch, at=facts.get("at"), additions=[add])).check([given], [target])
    report = waived(report, _waivers(text), day=str(facts.get("today", "")))
    amiss = [result for result in report.results if result.subject == _CONFIGURATION]
    own = [result for result in report.results if result.subject in (subject, f"./{subject}")]
    # An archive that can be started is judged on the target and by itself.
    return next(iter((*amiss, *(result for result in own if result.target), *own)))


def _waivers(text: str) -> Sequence[Waiver]:
    """Return the waivers of a block, as they are read out of a project's file."""
    start = text.find("[[waiver]]")
    if start < 0:
        return ()
    return configuration(Found(path=_CONFIGURATION, data=text[start:].encode())).waivers


def _wish(facts: Mapping[str, Any]) -> MachineWish:
    """Return what the facts state of the machine."""
    return MachineWish(
        platform=facts.get("platform", ""),
        cpu=facts.get("cpu", ""),
        page_size=facts.get("page_size", ""),
        kernel=facts.get("kernel", ""),
    )


def _named(facts: Mapping[str, Any]) -> TargetName:
    return TargetName(text=facts["target"], wish=_wish(facts))


def _wheel(facts: Mapping[str, Any]) -> Result:
    """Return what is said of a wheel by itself: tables are its members, ``record`` are rows in the place of its own."""
    members = {path: _bytes(value) for path, value in facts.items() if isinstance(value, dict) and path != "record"}
    changed = facts.get("record", {})

    def record(rows: list[list[str]]) -> list[list[str]]:
        kept = [row for row in rows if row[0] not in changed]
        return kept + [[path, *row] for path, row in changed.items() if row]

    data = pack_wheel(
        facts["wheel"],
        members,
        tags=facts.get("tags"),
        metadata=facts.get("metadata"),
        purelib=facts.get("purelib", False),
        info=facts.get("info"),
        record=record,
    )
    return judge_wheel(facts["wheel"], data, facts.get("target", ""))


_SPECIAL: Mapping[str, Callable[[Mapping[str, Any]], Result]] = {
    "wheel": _wheel,
    "storage": judge_storage,
    "clash": judge_clashes,
}
"""Facts that are about no file on a target, by the word that tells them."""


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if "link" in value:
        path.symlink_to(value["link"])
    elif "directory" in value:
        path.mkdir()
    else:
        path.write_bytes(_bytes(value))
        if "size" in value:
            os.truncate(path, value["size"])
        path.chmod(value.get("mode", 0o755))


def _put(root: Overlay, path: str, value: Mapping[str, Any]) -> None:
    if "remove" in value:
        root.remove(path)
    elif "link" in value:
        root.add_link(path, value["link"])
    elif "directory" in value:
        root.add_directory(path)
    else:
        root.add_file(path, _bytes(value))


def _bytes(value: Mapping[str, Any]) -> bytes:
    """Return the file that the facts describe."""
    if "text" in value:
        return str(value["text"]).encode()
    if "bytes" in value:
        return bytes.fromhex(value["bytes"])
    if "ape" in value:
        given = dict(value["ape"])
        given["loaders"] = {machine: like_ape_loader(machine) for machine in given.get("loaders", ())}
        return ape(**given)
    if "zip" in value:
        return _zip(value["zip"])
    if "assembly" in value:
        return assembly(value["assembly"])
    if "pe" in value:
        return _pe(value["pe"])
    machine = value.get("machine", "x86_64")
    interpreter = value.get("interpreter")
    arch = architecture(machine)
    if interpreter in ("glibc", "musl") and arch is not None:
        interpreter = arch.glibc_loader if interpreter == "glibc" else arch.musl_loader
    kind = value.get("kind", "library")
    data = elf(
        machine="arm" if machine.startswith("armv") else machine,
        kind=_KINDS[kind],
        interpreter=interpreter,
        needed=value.get("needed", ()),
        soname=value.get("soname"),
        rpath=value.get("rpath"),
        runpath=value.get("runpath"),
        flags_1=_DF_1_PIE if kind == "program" or (interpreter and "soname" not in value) else 0,
        imports=[_import(text) for text in value.get("imports", ())],
        exports=[_export(text) for text in value.get("exports", ())],
        needs=[_need(text) for text in value.get("needs", ())],
        notes=list(_notes(value, machine)),
        abi_kernel=tuple(value["abi_kernel"]) if "abi_kernel" in value else None,
        exec_stack=None if value.get("exec_stack") == "unsaid" else value.get("exec_stack", False),
        irelative=value.get("irelative", 0),
        relr=value.get("relr", False),
        sections=dict(_sections(value)) or None,
        base=value.get("base", 0),
        tls=value.get("tls", 0),
        flags=(_DF_STATIC_TLS if "tls" in value else 0) | (_DF_TEXTREL if value.get("textrel") else 0),
        align=value.get("align", PAGE),
    )
    if "missing_bytes" in value:  # a first segment that claims more than the file has: p_filesz and p_memsz grow
        sizes = [size + value["missing_bytes"] for size in unpack_from("<QQ", data, _P_FILESZ)]
        data = data[:_P_FILESZ] + pack("<QQ", *sizes) + data[_P_FILESZ + 16 :]
    if value.get("appimage"):  # type 2: docs.appimage.org, "AppImage specification"
        data = data[:8] + b"AI\x02" + data[11:]
    data += str(value.get("appended", "")).encode()
    return data[: value["cut"]] if "cut" in value else data


def _pe(value: Mapping[str, Any]) -> bytes:
    """Return a whole program for Windows: DOS header, PE headers, one section."""
    header, section = windows_program(_PE_AT, _SECTION_AT, 0, **value)
    return b"".join((b"MZ", bytes(58), pack("<I", _PE_AT), header)).ljust(_SECTION_AT, b"\0") + section


def _zip(members: Mapping[str, Any]) -> bytes:
    """Return a zip archive of texts, and of files that are described as any others are."""
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, what in members.items():
            info = ZipInfo(name)
            if not isinstance(what, str):
                info.external_attr = (S_IFREG | what.get("mode", 0o755)) << 16
            archive.writestr(info, what if isinstance(what, str) else _bytes(what))
    return packed.getvalue()


def _words(text: str) -> tuple[frozenset[str], str, str | None]:
    """Split ``weak name@VERSION libc.so.6`` into its qualities, the reference and the library."""
    words = text.split()
    qualities = frozenset(word for word in words if word in ("weak", "lazy", "ifunc", "hidden"))
    rest = [word for word in words if word not in qualities]
    return qualities, rest[0], rest[1] if len(rest) > 1 else None


def _import(text: str) -> Symbol:
    qualities, reference, file = _words(text)
    name, _, version = reference.partition("@")
    return Symbol(
        name,
        version or None,
        file,
        bind="weak" if "weak" in qualities else "global",
        use="plt" if "lazy" in qualities else "data",
    )


def _export(text: str) -> Symbol:
    qualities, reference, _ = _words(text)
    name, _, version = reference.partition("@")
    symbol = Symbol(name, version.lstrip("@") or None, default="hidden" not in qualities)
    if "ifunc" in qualities:
        symbol = symbol._replace(kind="ifunc")
    return symbol._replace(use="data") if qualities & {"ifunc", "hidden"} else symbol


def _need(text: str) -> tuple[str, str, bool]:
    qualities, file, version = _words(text)
    return file, version or "", "weak" in qualities


def _notes(value: Mapping[str, Any], machine: str) -> Iterator[Any]:
    if "isa" in value:
        yield gnu_property(MACHINES[machine], {_ISA_1_NEEDED: _LEVELS[value["isa"]]})
    if "dlopen" in value:
        yield dlopen_note(value["dlopen"])


def _sections(value: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    if "go" in value:
        settings = "".join(f"build\t{key}={text}\n" for key, text in value["go"].items() if key != "version")
        module = b"path\texample.org/app\n" + settings.encode()
        yield ".go.buildinfo", _go(value["go"]["version"].encode(), bytes(16) + module + bytes(16))
    if "contains" in value:
        yield ".rodata", "\0".join(value["contains"]).encode() + b"\0"


def _go(*texts: bytes) -> bytes:
    """Return the Go linker's build information with inline strings (debug/buildinfo)."""
    head = b"\xff Go buildinf:" + pack("BB", 8, 2) + bytes(16)
    return head + b"".join(_varint(len(text)) + text for text in texts)


def _varint(number: int) -> bytes:
    more = number >> 7
    return bytes((number & 0x7F | (0x80 if more else 0),)) + (_varint(more) if more else b"")


def in_directory(text: str, directory: Path) -> str:
    """Return the outcome of a facts block, judged with ``directory`` as the working directory."""
    before = Path.cwd()
    os.chdir(directory)
    try:
        return outcome(judge(text, directory))
    finally:
        os.chdir(before)
