"""Remedies for handlers and ``#!`` lines whose interpreter is missing, and for code of another architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runworthy.model.arch import architecture
from runworthy.model.edit import Edit, EditText, InstallPackages, RegisterHandler
from runworthy.model.errors import FormatError
from runworthy.model.records import replace
from runworthy.model.trace import Step
from runworthy.remedies.situation import Proposal, Situation, System, system_of
from runworthy.simulate.purpose import purpose_of
from runworthy.targets.view import UnseenError

__all__ = ["emulator_proposals", "handler_proposals", "script_proposals"]

_TEXT_LIMIT = 4 << 20
_UNSEEN = "what the package brings is not known here"
# Whose packages bring qemu-user and its registration: family of os-release, manager, packages ({}: qemu's name).
_EMULATORS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("debian", "apt", ("qemu-user-static",)),
    ("fedora", "dnf", ("qemu-user-static-{}",)),
    ("alpine", "apk", ("qemu-{}", "qemu-openrc")),
    ("arch", "pacman", ("qemu-user-static", "qemu-user-static-binfmt")),
    ("suse", "zypper", ("qemu-linux-user",)),
)
# Since Debian 13 the package that registers is qemu-user-binfmt.
_RENAMED = {"debian": 13}
_MANAGERS = {"debian": "apt", "fedora": "dnf", "alpine": "apk", "arch": "pacman", "suse": "zypper"}
_QEMU_NAMES = {"armv7": "arm", "armv6": "arm", "armel": "arm", "mips64le": "mips64el", "mipsle": "mipsel"}
# What Fedora's packages are called since they were divided (Fedora 37): by the family, as qemu's own targets are.
_FEDORA_NAMES = {"x86_64": "x86", "i386": "x86", "ppc": "ppc", "ppc64": "ppc", "ppc64le": "ppc", "riscv64": "riscv"}
# Packages whose name is not that of the interpreter.
_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "debian": {"node": "nodejs"},
    "fedora": {"node": "nodejs"},
    "alpine": {"node": "nodejs"},
    "arch": {"node": "nodejs", "python3": "python"},
}


def handler_proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what gives a handler its interpreter: opened once on the host, or put where it is looked for."""
    handler = situation.taker()
    if handler is not None and "F" not in handler.flags and cause.detail.startswith("ENOENT"):
        flags = "".join(flag for flag in "POCF" if flag in f"{handler.flags}F")
        yield Proposal(
            title=f"on the host, register {handler.name} again with the flag F: its {handler.interpreter} is "
            "then opened there, once, and is used in every container",
            edits=(RegisterHandler(handler=replace(handler, flags=flags)),),
            unprovable="whether the host has it is not known here",
        )
    emulated = purpose_of(handler).arch if handler is not None else None
    if emulated is not None:
        yield from _emulators(situation, emulated.name)
        return
    yield Proposal(
        title=f"put {cause.need.name} into the target",
        unprovable="which program is meant is not known here",
    )


def emulator_proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield the packages by which code of another architecture runs in an emulator."""
    wanted = cause.need.name
    if architecture(wanted) is not None and wanted != situation.target.arch.name:
        yield from _emulators(situation, wanted)


def _emulators(situation: Situation, wanted: str) -> Iterator[Proposal]:
    system = system_of(situation.target)
    found = _emulator(system, _QEMU_NAMES.get(wanted, wanted))
    if system.container:
        yield Proposal(
            title=f"on the host of this container, install qemu-user for {wanted}, registered with the flag F",
            unprovable="the host's files are not known here",
        )
    elif found is not None:
        yield Proposal(
            title=f"install {', '.join(found.names)}: an emulator then runs code for {wanted}, several times slower",
            edits=(found,),
            unprovable=_UNSEEN,
        )
    else:
        yield Proposal(title=f"install an emulator for {wanted} (qemu-user)", unprovable=_UNSEEN)


def _emulator(system: System, qemu: str) -> InstallPackages | None:
    for family, manager, names in _EMULATORS:
        if family not in system.family:
            continue
        major = system.version.partition(".")[0]
        renamed = _RENAMED.get(system.family[0])
        new = renamed and major.isdigit() and int(major) >= renamed
        called = _fedora_name(qemu) if family == "fedora" else qemu
        packages = ("qemu-user-binfmt",) if new else tuple(name.format(called) for name in names)
        return InstallPackages(manager=manager, names=packages)
    return None


def _fedora_name(qemu: str) -> str:
    return "mips" if qemu.startswith("mips") else _FEDORA_NAMES.get(qemu, qemu)


# -- #! ----------------------------------------------------------------------------------------


def script_proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what gives a script its interpreter."""
    line = situation.file.script if situation.file else None
    if line is not None and line.carriage_return:
        yield _unix_lines(situation)
        return
    name = cause.need.name.rpartition("/")[2]
    family = next((word for word in system_of(situation.target).family if word in _MANAGERS), "")
    if not name or not family or not cause.detail.startswith("ENOENT") or not cause.need.name.startswith("/"):
        yield Proposal(
            title=f"name an interpreter that is there in the first line, in place of `{cause.need.name}`",
            unprovable="which program is meant is not known here",
        )
        return
    package = _PACKAGES.get(family, {}).get(name, name)
    yield Proposal(
        title=f"install {package}, or name another interpreter in the first line",
        edits=(InstallPackages(manager=_MANAGERS[family], names=(package,)),),
        unprovable=_UNSEEN,
    )


def _unix_lines(situation: Situation) -> Proposal:
    """Return the script with its lines ended as Unix ends them."""
    title = f"take the carriage returns off the lines of `{situation.name}`, as `dos2unix` does"
    if not situation.changeable:
        return Proposal(title=title, unprovable="the file does not lie in the target")
    try:
        real = situation.target.view.resolve(situation.path).path
        text = situation.target.view.read(real, _TEXT_LIMIT)
    except (FormatError, OSError, UnseenError):
        return Proposal(title=title, unprovable="the file is too long to be edited here")
    if b"\0" in text:  # dos2unix, too, leaves it alone
        return Proposal(title=title, unprovable="more than text is in the file, which could come to harm")
    edit: Edit = EditText(
        path=real,
        before=text,
        after=text.replace(b"\r\n", b"\n"),
        what="a line ends with a newline alone",
    )
    return Proposal(title=title, edits=(edit,), stays=True)
