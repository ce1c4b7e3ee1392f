"""Programs for another processor through Debian's qemu-user-static, and interpreters that are no use: T58 to T62.

The model says what execve makes of a file; what the guest program then finds in its argv follows from that, and is
what it prints.
"""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from runworthy.engine.again import judge_again
from runworthy.model.records import replace
from runworthy.model.trace import Answer
from runworthy.simulate.launch import Launch
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.view import FileView
from tests.apewriter import ape, ape_loader
from tests.differential.execution import World
from tests.differential.programs import program
from tests.judges import roots
from tests.judges.kernel import MS_BIND, requires_kernel

pytestmark = pytest.mark.judge

_EMULATOR = Path("/usr/bin/qemu-aarch64-static")
_REGISTERED = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
_NAME = "qemu-aarch64"
_COMPILER = "aarch64-linux-gnu-gcc"
_SOURCE = "#include <stdio.h>\nint main(int c, char **v) { while (*v) puts(*v++); return 41; }\n"
_STATUS = 41
_NATIVE = 42
_ROOTS = ("bullseye-arm64", "trixie-arm64")
_TOO_OLD = ("bullseye-arm64", "version `GLIBC_2.34' not found")
_LAUNCH = Launch()
_ARGV = ("called", "one", "two words")


@pytest.fixture
def world() -> Iterator[World]:
    if not _REGISTERED.is_file():
        roots.lacking(f"no {_REGISTERED}: `apt-get install qemu-user-static` brings it")
    roots.requires_tool(_COMPILER, package="gcc-aarch64-linux-gnu")
    with requires_kernel() as kernel:
        yield World(kernel)


@cache
def _guest(directory: Path, *options: str) -> bytes:
    """A program for arm64 that prints its argv."""
    made = directory / "guest"
    command = [_COMPILER, *options, "-x", "c", "-o", str(made), "-"]
    subprocess.run(command, input=_SOURCE, text=True, check=True)
    return made.read_bytes()


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _guest(tmp_path_factory.mktemp("static"), "-static")


@pytest.fixture(scope="session")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _guest(tmp_path_factory.mktemp("dynamic"))


def _line() -> str:
    """The registration that comes with the package."""
    return _REGISTERED.read_text().strip()


def _with(interpreter: Path | str, flags: str) -> str:
    """The same for another interpreter."""
    return f"{_line().rpartition(':')[0].rpartition(':')[0]}:{interpreter}:{flags}"


def _register(world: World, line: str) -> None:
    assert world.kernel.register(line.encode()) == 0, line


def _printed(argv: tuple[str, ...]) -> str:
    return "".join(f"{word}\n" for word in argv)


def _emulated(world: World, path: Path, argv: tuple[str, ...] = _ARGV, **how: str) -> None:
    """Hold what a guest program finds in its argv, and who took it, against the model."""
    predicted = world.predict(path, argv)
    assert predicted.errno == ""
    taken = [rewrite.handler for rewrite in predicted.rewrites]
    assert [one and one.name for one in taken] == [_NAME], predicted
    assert taken[0]
    own = predicted.argv[2 if "P" in taken[0].flags else 1 :]
    real = world.kernel.execute(path, argv, env={"PATH": "/bin", **how})
    assert (real.rc, real.stdout) == (_STATUS, _printed(own)), (real, predicted)


def test_static(world: World, static: bytes) -> None:
    """T58: the package's own handler, which has F, runs a static program; one for a third processor is not taken."""
    _register(world, _line())
    guest = world.put("guest", static)
    assert "F" in world.kernel.read(_NAME).splitlines()[2]
    _emulated(world, guest)
    armhf, _ = world.compare(world.put("armhf", program("x", machine=40, bits=32)))
    assert armhf.errno == "ENOEXEC"


def test_callers_do_not_matter(world: World, static: bytes) -> None:
    """A handler is the kernel's: a shell, env and a script come to the same."""
    _register(world, _line())
    guest = world.put("guest", static)
    for via in (("sh", "-c"), ("env",), ("busybox", "sh", "-c")):
        real = world.kernel.execute(guest, via=via)
        assert (real.rc, real.stdout) == (_STATUS, f"{guest}\n"), (via, real)
    script = world.put("script", f"#!{guest} word\n".encode())
    predicted = world.predict(script, _ARGV)
    assert [rewrite.handler and rewrite.handler.name for rewrite in predicted.rewrites] == [None, _NAME]
    real = world.kernel.execute(script, _ARGV)
    assert (real.rc, real.stdout) == (_STATUS, _printed(predicted.argv[2:]))


def test_dynamic(world: World, dynamic: bytes) -> None:
    """T59: execve succeeds, and qemu ends where there is no loader; with a root for it the program runs."""
    _register(world, _line())
    guest = world.put("guest", dynamic)
    assert world.predict(guest, _ARGV).errno == ""
    real = world.kernel.execute(guest, _ARGV)
    assert (real.rc, real.stdout) == (255, "")
    assert "Could not open '/lib/ld-linux-aarch64.so.1'" in real.stderr
    for name in _ROOTS:
        where = str(roots.requires(name).path)
        if name == _TOO_OLD[0]:  # the guest's own loader has the last word
            real = world.kernel.execute(guest, _ARGV, env={"QEMU_LD_PREFIX": where})
            assert real.rc == 1
            assert _TOO_OLD[1] in real.stderr
        else:
            _emulated(world, guest, QEMU_LD_PREFIX=where)


@pytest.mark.parametrize("name", _ROOTS)
@pytest.mark.parametrize("flags", ["OPF", "OP"])
def test_chroot(world: World, dynamic: bytes, name: str, flags: str) -> None:
    """T56, T58: in a root of that processor the dynamic program runs, if F keeps the emulator open."""
    _register(world, _with(_EMULATOR, flags))
    root, merged = roots.requires(name).path, world.kernel.files / "merged"
    above = world.kernel.files / "above"
    for directory in (merged, above):
        directory.mkdir()
    (above / "guest").write_bytes(dynamic)
    (above / "guest").chmod(0o755)
    assert world.kernel.mount("overlay", merged, "overlay", data=f"lowerdir={above}:{root}") == 0
    assert world.kernel.mount("/proc", merged / "proc", flags=MS_BIND | 0x4000) == 0
    predicted = world.predict("/guest", _ARGV, root=str(above))
    real = world.kernel.execute("/guest", _ARGV, chroot=merged)
    if "F" not in flags:
        assert (predicted.errno, errno.errorcode.get(real.errno)) == ("ENOENT", "ENOENT")
        return
    assert predicted.argv[0] == str(_EMULATOR)
    if name == _TOO_OLD[0]:
        assert real.rc == 1
        assert _TOO_OLD[1] in real.stderr
    else:
        assert (real.rc, real.stdout) == (_STATUS, _printed(predicted.argv[2:])), (real, predicted)


def _verdict(world: World, view: FileView, path: str, launch: Launch = _LAUNCH) -> tuple[str, str]:
    """What the whole check says of a program, and the first thing that is not met."""
    target = replace(world.target(world.handlers()), view=view)
    result = judge_again("guest", launch)(target, path)
    steps = list(result.trace.needs)
    unmet = [step.need for step in steps if step.answer is Answer.UNMET]
    return result.verdict, (unmet[0].version or unmet[0].name) if unmet else ""


@pytest.mark.parametrize("name", _ROOTS)
def test_check_of_emulated_programs(world: World, static: bytes, dynamic: bytes, name: str) -> None:
    """The check goes on inside the emulator, and says what the guest's own loader says."""
    _register(world, _line())
    root = Overlay(DirectoryView(str(roots.requires(name).path)))
    for where, data in (("/static", static), ("/dynamic", dynamic)):
        root.add_file(where, data)
    assert _verdict(world, root, "/static") == ("risky", "")
    told = _verdict(world, root, "/dynamic")
    assert told == (("fails", "GLIBC_2.34") if name == _TOO_OLD[0] else ("risky", ""))
    guest = world.put("guest", dynamic)
    told = _verdict(world, DirectoryView("/"), str(guest))
    assert told == ("fails", "/lib/ld-linux-aarch64.so.1")


def test_sysroot_of_the_emulator(world: World, dynamic: bytes) -> None:
    """Debian's qemu looks for the guest's loader and libraries in /etc/qemu-binfmt/NAME first; so does the model."""
    _register(world, _line())
    guest = world.put("guest", dynamic)
    above, where = world.kernel.files / "etc", roots.requires("trixie-arm64").path
    (above / "qemu-binfmt").mkdir(parents=True)
    (above / "qemu-binfmt" / "aarch64").symlink_to(where)
    assert world.kernel.mount("overlay", Path("/etc"), "overlay", data=f"lowerdir={above}:/etc") == 0
    _emulated(world, guest)
    seen = Overlay(DirectoryView("/"))
    seen.add_link("/etc/qemu-binfmt/aarch64", str(where))
    assert _verdict(world, seen, str(guest)) == ("risky", "")


def test_sysroot_that_the_environment_names(world: World, dynamic: bytes) -> None:
    _register(world, _line())
    guest, where = str(world.put("guest", dynamic)), str(roots.requires("trixie-arm64").path)
    for prefix, status in ((where, _STATUS), (f"{where}/nothing", 255)):
        real = world.kernel.execute(guest, _ARGV, env={"QEMU_LD_PREFIX": prefix})
        assert real.rc == status, real
        told = _verdict(world, DirectoryView("/"), guest, Launch(env={"QEMU_LD_PREFIX": prefix}))
        assert told == (("fails", "/lib/ld-linux-aarch64.so.1") if status == 255 else ("risky", ""))


@pytest.mark.parametrize("flags", ["", "F", "P", "PF", "OF", "OPF", "C", "OPCF"])
def test_name(world: World, static: bytes, flags: str) -> None:
    """T60: without P the emulator is not told the argv[0] of the program, which finds its path there instead."""
    _register(world, _with(_EMULATOR, flags))
    guest = world.put("guest", static)
    _emulated(world, guest)
    real = world.kernel.execute(guest, _ARGV)
    assert real.stdout.splitlines()[0] == ("called" if "P" in flags else str(guest))


def test_appimage(world: World, static: bytes) -> None:
    """T61: the mark of an AppImage in the ELF identification is where the package's mask looks: nobody takes it."""
    _register(world, _line())
    marked = static[:8] + b"AI\2" + static[11:]
    predicted, _ = world.compare(world.put("marked", marked))
    assert predicted.errno == "ENOEXEC"
    world.kernel.clear()
    magic, mask = (_line().split(":")[number] for number in (4, 5))
    looser = mask[: 8 * 4] + r"\x00\x00\x00" + mask[11 * 4 :]
    _register(world, f":{_NAME}:M::{magic}:{looser}:{_EMULATOR}:PF")
    _emulated(world, world.put("marked", marked))


@pytest.mark.parametrize("machines", [("x86_64", "aarch64"), ("aarch64",)])
def test_ape(world: World, tmp_path: Path, machines: tuple[str, ...]) -> None:
    """T62: an APE whose loader is a program for arm64: two handlers, one behind the other."""
    loader = world.put("ape-aarch64", ape_loader("aarch64", tmp_path))
    _register(world, _line())
    _register(world, f":APE:M::MZqFpD::{loader}:")
    subject = world.put("subject", ape(machines=machines, message="emulated\n", code=_NATIVE))
    predicted = world.predict(subject, _ARGV)
    assert [rewrite.handler and rewrite.handler.name for rewrite in predicted.rewrites] == ["APE", _NAME]
    assert predicted.argv[1:] == (str(loader), str(loader), str(subject), *_ARGV[1:])
    real = world.kernel.execute(subject, _ARGV)
    assert (real.rc, real.stdout) == (_NATIVE, "emulated\n"), real


# -- interpreters that are no use ---------------------------------------------------------------

_EMULATOR_SIZES = (0, 1, 20, 64, 100, 4096)


def test_cut_emulator(world: World, static: bytes) -> None:
    """An emulator whose file was cut: the same errno, or the same signal, as the model says."""
    whole = _EMULATOR.read_bytes()
    guest = world.put("guest", static)
    for size in (*_EMULATOR_SIZES, len(whole) // 2):
        world.kernel.clear()
        _register(world, _with(world.put("cut", whole[:size]), "P"))
        predicted, _ = world.compare(guest, _ARGV)
        assert predicted.errno or predicted.dies, size
    world.kernel.clear()
    _register(world, _with(world.put("cut", whole), "P"))
    _emulated(world, guest)


def test_emulator_for_the_wrong_machine(world: World, static: bytes) -> None:
    """An emulator that is itself a program for the processor it emulates takes itself, until the kernel has enough."""
    guest = world.put("guest", static)
    _register(world, _with(guest, "P"))
    predicted, _ = world.compare(guest, _ARGV)
    assert predicted.errno == "ELOOP"


def test_emulator_that_is_taken_by_another_handler(world: World, static: bytes) -> None:
    """A handler on the emulator's own magic: it, and not the emulator, gets the guest's name."""
    guest = world.put("guest", static)
    _register(world, _line())
    native = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00"
    printer = world.put("printer", b"#!/bin/echo\n")
    _register(world, f":native:M::{native}::{printer}:")
    held = world.kernel.execute(guest, _ARGV)
    predicted = world.predict(guest, _ARGV)
    assert predicted.errno == (errno.errorcode[held.errno] if held.errno else ""), (predicted, held)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("missing", "ENOENT"),
        ("directory", "EACCES"),
        ("plain", "EACCES"),
        ("text", "ENOEXEC"),
        ("junk", "ENOEXEC"),
        ("loop", "ELOOP"),
        ("through", "ENOTDIR"),
        ("noexec/emulator", "EACCES"),
        ("cyclic", "ELOOP"),
    ],
)
@pytest.mark.parametrize("flags", ["", "P", "O"])
def test_odd_interpreters(world: World, static: bytes, kind: str, wanted: str, flags: str) -> None:
    """T45 to T48: what is no program in the place of the emulator, and no handler is asked after that."""
    files = world.kernel.files
    guest = world.put("guest", static)
    world.put("plain", static, 0o644)
    world.put("text", b"echo never\n")
    world.put("junk", bytes(range(256)) * 4)
    world.put("cyclic", f"#!{files / 'cyclic'}\n".encode())
    (files / "directory").mkdir()
    (files / "loop").symlink_to("loop")
    shutil.copy(_EMULATOR, world.noexec("noexec"))
    name = "plain/below" if kind == "through" else kind
    if kind == "noexec/emulator":
        name = f"noexec/{_EMULATOR.name}"
    _register(world, _with(_EMULATOR, "").replace(f":{_NAME}:", ":behind:", 1))
    _register(world, _with(files / name, flags))
    predicted, _ = world.compare(guest, _ARGV)
    assert predicted.errno == ("ENOEXEC" if kind == "cyclic" and flags == "O" else wanted)
