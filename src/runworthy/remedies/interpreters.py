"""Remedies for handlers and ``#!`` lines whose interpreter is missing, and for code of another architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from runworthy.formats.binfmt.registration import format_registration
from runworthy.model.arch import architecture
from runworthy.model.binfmt import Handler
from runworthy.model.edit import Edit, EditText, InstallPackages, RegisterHandler
from runworthy.model.errors import FormatError
from runworthy.model.records import replace
from runworthy.model.trace import Step
from runworthy.remedies.boot_files import registered_otherwise
from runworthy.remedies.conflict import disable
from runworthy.remedies.permission import executable
from runworthy.remedies.situation import Proposal, Situation, System, system_of, taker_of
from runworthy.simulate.purpose import purpose_of
from runworthy.simulate.start import QEMU_NAMES
from runworthy.targets.view import Resolved, UnseenError

__all__ = ["command_proposals", "format_proposals", "handler_proposals", "install", "script_proposals"]

_MARK = b"\xef\xbb\xbf"
_DIRECTORIES = ("/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin")
"""Where interpreters lie, those first that scripts name most."""
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
# They follow Fedora, and their own repositories have no static qemu.
_WITHOUT_EMULATORS = frozenset(("rhel", "centos", "amzn"))
# Since Debian 13 the package that registers is qemu-user-binfmt.
_RENAMED = {"debian": 13}
_MANAGERS = {"debian": "apt", "fedora": "dnf", "alpine": "apk", "arch": "pacman", "suse": "zypper"}
# What Fedora's packages are called since they were divided (Fedora 37): by the family, as qemu's own targets are.
_FEDORA_NAMES = {"x86_64": "x86", "i386": "x86", "ppc": "ppc", "ppc64": "ppc", "ppc64le": "ppc", "riscv64": "riscv"}
# Packages whose name is not that of the interpreter.
_COMMON = dict.fromkeys(("chmod", "dd", "env", "mkdir", "mv", "uname"), "coreutils")
_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "debian": {"node": "nodejs"},
    "fedora": {"node": "nodejs"},
    "alpine": {"node": "nodejs"},
    "arch": {"node": "nodejs", "python3": "python"},
}


# What to do about an interpreter that is there and cannot be started, by the kernel's reason; {0} is its path.
_CURES: tuple[tuple[str, str], ...] = (
    ("directory", "have {1} name a program: {0} is a directory"),
    ("regular file", "have {1} name a program: {0} is no file of one"),
    ("noexec", "put {0} where programs may be executed: its file system is mounted noexec"),
    ("it is made for ", "put a build of {0} for {2} in its place"),
    (
        "it is no ELF file",
        "begin {0} with a `#!` line, or put a program in its place: the kernel executes no plain text",
    ),
)


def handler_proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what gives a file that a broken handler takes back, and what gives the handler its interpreter."""
    handler = taker_of(situation.target, situation.result, cause.need.by)
    if handler is None:
        return
    yield from disable(situation, cause)
    missing = cause.detail.startswith(("ENOENT", "ENOTDIR"))
    if missing and "F" not in handler.flags and _has_other_host(situation):
        flags = "".join(flag for flag in "POCF" if flag in f"{handler.flags}F")
        yield Proposal(
            title=f"on the host, register {handler.name} again with the flag F: its {handler.interpreter} is "
            "then opened there, once, and is used in every container",
            edits=(RegisterHandler(handler=replace(handler, flags=flags)),),
            unprovable="whether the host has it is not known here",
        )
    emulated = purpose_of(handler).arch
    if missing and emulated is not None:
        yield from _emulators(situation, emulated.name)
    elif missing:
        title = f"put {cause.need.name} into the target"
        yield Proposal(title=title, unprovable="which program is meant is not known here")
    else:
        yield from _cure(situation, cause, handler)


def _has_other_host(situation: Situation) -> bool:
    """Whether the handlers are those of a kernel whose own files are not the target's."""
    target = situation.target
    own = target.live or target.machine_facts is not None or situation.at_boot
    return system_of(target).container or not own


def _cure(situation: Situation, cause: Step, handler: Handler) -> Iterator[Proposal]:
    """Yield what makes an interpreter one that can be started."""
    path = cause.need.name
    if "no execute permission" in cause.detail:
        # The file stays as it is, but the handler may not: whether it is there after a boot is another matter.
        yield replace(executable(situation, path, path), stays=False)
        return
    words = next((words for mark, words in _CURES if mark in cause.detail), "have {1} name a program in place of {0}")
    title = words.format(path, handler.name, situation.target.arch.name)
    yield Proposal(title=title, unprovable="which program is meant is not known here")


def _closed_first(situation: Situation, handler: Handler) -> Iterator[Proposal]:
    """Yield the handler without the flags by which the kernel hands an open file over, for good where a file has it."""
    flags = "".join(flag for flag in handler.flags if flag not in "OC")
    other = replace(handler, flags=flags, origin="")
    rights = "; a set-user-ID program then runs without its owner's rights" if "C" in handler.flags else ""
    taken = "O and C" if "C" in handler.flags else "O"
    what = f"register {handler.name} without the flag{'s' * (taken != 'O')} {taken}, which no script serves{rights}"
    files = registered_otherwise(situation.target.view, {handler.name: format_registration(other)})
    edits = (*files.edits, RegisterHandler(handler=other))
    yield Proposal(title=what if files.names else f"{what}: until the next boot", edits=edits, stays=bool(files.names))


def format_proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what shows the kernel the `#!` of a script, or the packages by which code of another architecture runs."""
    file = situation.file
    if file is not None and file.bom and file.head.startswith(b"#!", len(_MARK)):
        title = f"take the byte order mark off the beginning of `{situation.name}`"
        yield _edited(situation, title, _without_mark, "it begins with its `#!` line")
        return
    wanted = cause.need.name
    if architecture(wanted) is not None and wanted != situation.target.arch.name:
        yield from _emulators(situation, wanted)


def _emulators(situation: Situation, wanted: str) -> Iterator[Proposal]:
    system = system_of(situation.target)
    found = _emulator(system, QEMU_NAMES.get(wanted, wanted))
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
        none = (
            ": the repositories of the distribution have none"
            if not _WITHOUT_EMULATORS.isdisjoint(system.family)
            else ""
        )
        yield Proposal(title=f"install an emulator for {wanted} (qemu-user){none}", unprovable=_UNSEEN)


def _emulator(system: System, qemu: str) -> InstallPackages | None:
    if not _WITHOUT_EMULATORS.isdisjoint(system.family):
        return None
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
    handler = _serves(situation, cause)
    if handler is not None:
        yield from _closed_first(situation, handler)
        return
    line = situation.file.script if situation.file else None
    if line is not None and line.carriage_return:
        yield _unix_lines(situation)
        return
    name = cause.need.name.rpartition("/")[2]
    if not name or not cause.detail.startswith("ENOENT") or not cause.need.name.startswith("/"):
        yield Proposal(
            title=f"name an interpreter that is there in the first line, in place of `{cause.need.name}`",
            unprovable="which program is meant is not known here",
        )
        return
    there = _elsewhere(situation, cause.need.name)
    if line is not None and line.interpreter == cause.need.name and there:
        old, new = (word.encode("utf-8", "surrogateescape") for word in (cause.need.name, there))
        title = f"have `{situation.name}` name the interpreter that is there, {there}"
        yield _edited(situation, title, lambda text: _with_interpreter(text, old, new), f"its first line names {there}")
        return
    yield install(situation, name, "name another interpreter in the first line")


def _elsewhere(situation: Situation, path: str) -> str:
    """Return where else a program of the same name lies in the target, empty where it does not."""
    name = path.rpartition("/")[2]
    for directory in _DIRECTORIES:
        try:
            found = situation.target.view.find(f"{directory}/{name}")
        except UnseenError:
            continue
        if isinstance(found, Resolved) and found.entry.kind == "file" and found.entry.mode & 0o111:
            return f"{directory}/{name}"
    return ""


def _with_interpreter(text: bytes, old: bytes, new: bytes) -> bytes:
    """Return a script whose first line names another interpreter."""
    first, newline, rest = text.partition(b"\n")
    return first.replace(old, new, 1) + newline + rest


def install(situation: Situation, command: str, otherwise: str = "") -> Proposal:
    """Return the installation of the package that brings a command, or what else can be done."""
    family = next((word for word in system_of(situation.target).family if word in _MANAGERS), "")
    either = f", or {otherwise}" if otherwise else ""
    if not family:
        return Proposal(title=f"install `{command}`{either}", unprovable=_UNSEEN)
    package = {**_COMMON, **_PACKAGES.get(family, {})}.get(command, command)
    edit = InstallPackages(manager=_MANAGERS[family], names=(package,))
    return Proposal(title=f"install {package}{either}", edits=(edit,), unprovable=_UNSEEN)


def _serves(situation: Situation, cause: Step) -> Handler | None:
    """Return the handler to which a script was an interpreter that it could not be."""
    if "with O or C" not in cause.detail:
        return None
    served = (step.need.by for step in situation.result.trace.needs if step.met_by == cause.need.by)
    return next((one for by in served if (one := taker_of(situation.target, situation.result, by))), None)


def command_proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what has env find the command that the `#!` line of a script names."""
    line = situation.file.script if situation.file else None
    if line is None or cause.need.by != situation.real:
        return
    if line.carriage_return:
        yield _unix_lines(situation)
    elif line.argument and " " in line.argument and not line.argument.startswith("-"):
        title = f"let env split its argument: `#!{line.interpreter} -S {line.argument}`"
        words = line.argument.encode("utf-8", "surrogateescape")
        yield _edited(situation, title, lambda text: _with_split(text, words), "env splits its argument (-S)")


def _with_split(text: bytes, argument: bytes) -> bytes:
    """Return a script that has env split the argument of its first line."""
    first, newline, rest = text.partition(b"\n")
    return first.replace(argument, b"-S " + argument, 1) + newline + rest


def _without_mark(text: bytes) -> bytes:
    return text.removeprefix(_MARK)


def _unix_lines(situation: Situation) -> Proposal:
    """Return the script with its lines ended as Unix ends them."""
    title = f"take the carriage returns off the lines of `{situation.name}`, as `dos2unix` does"
    return _edited(situation, title, lambda text: text.replace(b"\r\n", b"\n"), "a line ends with a newline alone")


def _edited(situation: Situation, title: str, change: Callable[[bytes], bytes], what: str) -> Proposal:
    """Return the change of the subject's text."""
    if not situation.changeable:
        return Proposal(title=title, unprovable="the file does not lie in the target")
    try:
        real = situation.target.view.resolve(situation.path).path
        text = situation.target.view.read(real, _TEXT_LIMIT)
    except (FormatError, OSError, UnseenError):
        return Proposal(title=title, unprovable="the file is too long to be edited here")
    if b"\0" in text:  # dos2unix, too, leaves it alone
        return Proposal(title=title, unprovable="more than text is in the file, which could come to harm")
    edit: Edit = EditText(path=real, before=text, after=change(text), what=what)
    return Proposal(title=title, edits=(edit,), stays=True)
