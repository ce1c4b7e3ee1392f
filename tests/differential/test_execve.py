"""What execve does: the model against the kernel of this machine, case by case and at random."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from runworthy.model.binfmt import Handlers
from tests.differential.execution import World
from tests.differential.programs import Load, program, said
from tests.judges.kernel import requires_kernel

pytestmark = pytest.mark.judge

TEXT = b"echo text\n" * 10


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with requires_kernel() as kernel:
        yield World(kernel)


def _register(world: World, *lines: str) -> None:
    for line in lines:
        text = line.replace("FILES", str(world.kernel.files)).encode()
        assert world.kernel.register(text) == 0, line


def _printer(world: World, name: str) -> str:
    return str(world.put(name, program(name), mark=name))


# -- plain files, no handler --------------------------------------------------------------------


def _elf_cases(world: World) -> dict[str, tuple[bytes, str]]:
    """Name -> (bytes, errno, signal, or what is printed after an equals sign)."""
    files = os.fsencode(world.kernel.files)

    def names(interpreter: bytes) -> bytes:
        return program("never", interpreter=files + interpreter + b"\0")

    whole = program("whole", loads=[Load(offset=0x1000, vaddr=0x1000, filesz=0x10, memsz=0x2000)], size=0x1010)
    long = Load(offset=0x1000, vaddr=0x1000, filesz=0x1800, memsz=0x2000)
    return {
        "T01 static": (program("T01"), "=T01"),
        "T02 dynamic": (names(b"/loader"), "=loader"),
        "T03 object": (program("x", kind=1), "ENOEXEC"),
        "T04 interpreter missing": (names(b"/missing"), "ENOENT"),
        "T05 interpreter of arm64": (names(b"/arm64"), "ELIBBAD"),
        "T06 interpreter is text": (names(b"/text"), "ELIBBAD"),
        "T07 interpreter is short": (names(b"/short"), "EIO"),
        "T08 interpreter is a directory": (names(b"/directory"), "EACCES"),
        "T08 interpreter may not be executed": (names(b"/closed"), "EACCES"),
        "T09 interpreter without end": (program("x", interpreter=b"/loader"), "ENOEXEC"),
        "T09 interpreter too long": (program("x", interpreter=b"/".ljust(4999, b"x") + b"\0"), "ENOEXEC"),
        "T09 interpreter longest": (program("x", interpreter=b"/".ljust(4095, b"/") + b"\0"), "EACCES"),
        "T09 interpreter of one byte": (program("x", interpreter=b"\0"), "ENOEXEC"),
        "T09 interpreter is nothing": (program("x", interpreter=b"\0\0"), "EACCES"),
        "T10 interpreter past the end": (program("x", interpreter=b"/x\0", interpreter_offset=1 << 20), "EIO"),
        "T10 interpreter before the beginning": (
            program("x", interpreter=b"/x\0", interpreter_offset=-1 & (1 << 64) - 1),
            "EINVAL",
        ),
        "T11 arm64": (program("x", machine=183), "ENOEXEC"),
        "T11 armhf": (program("x", machine=40, bits=32), "ENOEXEC"),
        "T12 i386": (program("T12", bits=32), "=T12"),
        "T12 i486": (program("T12b", bits=32, machine=6), "=T12b"),
        "T13 i386 without its loader": (program("x", bits=32, interpreter=b"/lib/ld-nothing.so.2\0"), "ENOENT"),
        "T13 i386 with another's loader": (program("x", bits=32, interpreter=files + b"/loader\0"), "ELIBBAD"),
        "T30 cut at 20": (program("x", size=20), "ENOEXEC"),
        "T30 cut at 64": (program("x", size=64), "ENOEXEC"),
        "T30 cut before what is cleared": (whole[:0x1000], "SIGSEGV"),
        "T30 whole": (whole, "=whole"),
        "T30 cut within a segment": (program("x", loads=[long], size=0x1800), "SIGSEGV"),
        "T30 cut before the entry point": (program("x", size=0x300), "SIGSEGV"),
        "T30 cut pages before the entry point": (
            program(
                "x", loads=[Load(offset=0x1000, vaddr=0x1000, filesz=0x2000, memsz=0x2000, flags=5)], entry=0x402000
            )[:0x800],
            "SIGBUS",
        ),
        "T31 class 32": (program("T31", ident=b"\1"), "=T31"),
        "T31 big endian": (program("T31", ident=b"\2\2"), "=T31"),
        "T31 OSABI 9": (program("T31", ident=b"\2\1\1\x09"), "=T31"),
        "T31 class of nothing": (program("T31", ident=b"\7\7\7\7"), "=T31"),
        "T32 type 0": (program("x", kind=0), "ENOEXEC"),
        "T32 type 4": (program("x", kind=4), "ENOEXEC"),
        "T32 phentsize": (program("x", phentsize=57), "ENOEXEC"),
        "T32 no segments": (program("x", phnum=0), "ENOEXEC"),
        "T32 as many segments as a page holds": (program("T32", phnum=73, size=0x3000), "=T32"),
        "T32 more segments than any kernel takes": (program("x", phnum=1171, size=0x20000), "ENOEXEC"),
        "T32 segments behind the end": (program("x", phnum=60, size=0x600), "ENOEXEC"),
        "position-independent": (program("pie", kind=3), "=pie"),
        "entry nowhere": (program("x", entry=0x1000000), "SIGSEGV"),
        "nothing to load": (program("x", phnum=1, interpreter=files + b"/loader\0"), "=loader"),
        "entry in data": (
            program("x", loads=[Load(offset=0, vaddr=0x8000, filesz=64, memsz=64)], entry=0x408000),
            "SIGSEGV",
        ),
        "larger than memory": (program("x", loads=[Load(offset=0, vaddr=0x8000, filesz=64, memsz=63)]), "SIGSEGV"),
        "out of step": (program("x", loads=[Load(offset=1, vaddr=0x8000, filesz=64, memsz=64)]), "SIGSEGV"),
        "interpreter is an object": (names(b"/object"), "SIGSEGV"),
        "interpreter without segments": (names(b"/hollow"), "ELIBBAD"),
        "interpreter is a script": (names(b"/script"), "ELIBBAD"),
    }


def test_elf_files(world: World) -> None:
    """T01 to T13, T30 to T32: what the kernel asks of an ELF file and of the interpreter it names."""
    _printer(world, "loader")
    world.put("arm64", program("x", machine=183))
    world.put("text", TEXT)
    world.put("short", b"text")
    world.put("closed", program("x"), 0o644)
    world.put("object", program("x", kind=1))
    world.put("hollow", program("x", phnum=0))
    world.put("script", b"#!/bin/sh\n".ljust(80))
    (world.kernel.files / "directory").mkdir()
    for name, (data, outcome) in _elf_cases(world).items():
        wanted, _, mark = outcome.partition("=")
        predicted, _ = world.compare(world.put("subject", data, mark=mark), ["zero", "one"])
        assert (predicted.errno or predicted.dies) == wanted, (name, predicted)


PLAIN = {
    "T14 text": (b"echo text\n", 0o755, "ENOEXEC"),
    "T15 not executable": (b"#!/bin/true\n", 0o644, "EACCES"),
    "T16 script": (b"#!FILES/printer\n", 0o755, ""),
    "T17 interpreter missing": (b"#!FILES/missing\n", 0o755, "ENOENT"),
    "T18 CRLF": (b"#!FILES/printer\r\n", 0o755, "ENOENT"),
    "T18 CRLF behind an argument": (b"#!FILES/printer -x\r\n", 0o755, ""),
    "T19 relative": (b"#!printer\n", 0o755, "ENOENT"),
    "T20 directory": (b"#!/tmp\n", 0o755, "EACCES"),
    "T20 interpreter not executable": (b"#!FILES/closed\n", 0o755, "EACCES"),
    "T21 empty line": (b"#!\n", 0o755, "ENOEXEC"),
    "T21 blank line": (b"#! \t \n", 0o755, "ENOEXEC"),
    "T22 nothing more": (b"#!", 0o755, "EACCES"),
    "T23 BOM": (b"\xef\xbb\xbf#!FILES/printer\n", 0o755, "ENOEXEC"),
    "T24 no newline": (b"#!FILES/printer", 0o755, ""),
    "T26 long argument": (b"#!FILES/printer " + b"a" * 300 + b"\n", 0o755, ""),
    "T26 many arguments": (b"#! FILES/printer \t a b  c \t\n", 0o755, ""),
    "T29 empty": (b"", 0o755, "ENOEXEC"),
    "T29 a NUL": (b"\0", 0o755, "ENOEXEC"),
    "T29 Mach-O": (b"\xcf\xfa\xed\xfe\x07\0\0\x01" + b"\0" * 100, 0o755, "ENOEXEC"),
    "T29 jar": (b"PK\3\4" + b"\0" * 100, 0o755, "ENOEXEC"),
    "T29 pyc": (b"\xa7\r\r\n" + b"\0" * 100, 0o755, "ENOEXEC"),
    "T29 PE": (b"MZ\x90\0" + b"\0" * 100, 0o755, "ENOEXEC"),
    "T29 APE": (b"MZqFpD='\n" + b"\0" * 100, 0o755, "ENOEXEC"),
    "T33 script that may not be read": (b"#!FILES/printer\n", 0o111, ""),
    "a NUL in the line": (b"#!FILES/printer\0x\n", 0o755, ""),
    "a NUL in the argument": (b"#!FILES/printer a\0b\n", 0o755, ""),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_files(world: World, name: str) -> None:
    """T14 to T33: scripts and what is nothing that the kernel runs."""
    _printer(world, "printer")
    world.put("closed", program("x"), 0o644)
    data, mode, outcome = PLAIN[name]
    path = world.put("subject", data.replace(b"FILES", os.fsencode(world.kernel.files)), mode)
    predicted, _ = world.compare(path, ["zero", "one", "two"])
    assert predicted.errno == outcome
    # the same for a relative name, and for an interpreter that is relative to the caller
    world.compare("subject", cwd=world.kernel.files)
    world.compare("./subject", cwd=world.kernel.files, argv=[])


def test_lengths_of_lines(world: World) -> None:
    """T25: paths and arguments that end at every place around the end of what the kernel reads."""
    _printer(world, "printer")
    files = str(world.kernel.files)
    for length in range(246, 262):
        name = f"{files}{'/' * (length - len(files) - len('printer'))}printer"
        assert len(name) == length
        for tail in ("", "\n", " \n", " x\n", " x", "\t\n", "\0\n", "\r\n"):
            path = world.put("subject", f"#!{name}{tail}".encode())
            world.compare(path, ["zero", "one"])
            path = world.put("subject", f"#!{files}/printer {name}{tail}".encode())
            world.compare(path, ["zero", "one"])
            path = world.put("subject", f"#!{' ' * (length - 30)}{files}/printer{tail}".encode())
            world.compare(path, ["zero", "one"])
            path = world.put("subject", f"#!{' ' * length}{tail}".encode())
            world.compare(path, ["zero", "one"])


def test_five_interpreters(world: World) -> None:
    """T28: five rewrites work, the sixth does not; a handler counts as one."""
    _printer(world, "nest0")
    for depth in range(1, 8):
        world.put(f"nest{depth}", f"#!{world.kernel.files}/nest{depth - 1} {depth}\n".encode())
        predicted, _ = world.compare(world.kernel.files / f"nest{depth}", ["zero", "one"])
        assert predicted.errno == ("ELOOP" if depth > 5 else "")
    world.put("nest0", b"nothing")
    for depth in (5, 6):
        assert world.compare(world.kernel.files / f"nest{depth}")[0].errno == ("ENOEXEC" if depth == 5 else "ELOOP")
    _printer(world, "nest0")
    for flags in ("", "O"):
        world.kernel.clear()
        _register(world, f":mz:M::MZ::FILES/nest4:{flags}", f":ps:M::PS::FILES/nest5:{flags}")
        assert world.compare(world.put("a", b"MZ"))[0].errno == ("ENOEXEC" if flags else "")
        assert world.compare(world.put("a", b"PS"))[0].errno == ("ENOEXEC" if flags else "ELOOP")


def test_the_path(world: World) -> None:
    """T34, T36 and what else open(2) says: links, components, kinds of files, mounts, permissions."""
    printer = _printer(world, "printer")
    files = world.kernel.files
    (files / "loop").symlink_to("loop")
    (files / "link").symlink_to("printer")
    (files / "dead").symlink_to("nowhere")
    os.mkfifo(files / "fifo", 0o755)
    world.put("private/printer", program("private"), mark="private").parent.chmod(0o600)
    world.noexec("mounted")
    world.put("mounted/printer", program("x"))
    world.put("mounted/script", b"#!/bin/true\n")
    world.put("names", f"#!{files}/mounted/printer\n".encode())
    world.marks[str(files / "link")] = "printer"
    expected = {
        "": "ENOENT",
        "/": "EACCES",
        f"{files}/link": "",
        f"{files}/loop": "ELOOP",
        f"{files}/dead": "ENOENT",
        f"{files}/fifo": "EACCES",
        f"{printer}/": "ENOTDIR",
        f"{printer}/x": "ENOTDIR",
        f"{files}/missing/": "ENOENT",
        f"{files}//./private/../printer": "",
        f"{files}/{'x' * 256}": "ENAMETOOLONG",
        "/" + "x/" * 2048: "ENAMETOOLONG",
        f"{files}/mounted/printer": "EACCES",
        f"{files}/mounted/script": "EACCES",
        f"{files}/names": "EACCES",
        f"{files}/private/printer": "",
        "/proc/version": "EACCES",
    }
    for path, outcome in expected.items():
        assert world.compare(path)[0].errno == outcome, path
    assert world.compare(files / "private" / "printer", privileged=False)[0].errno == "EACCES"
    (files / "private").chmod(0o755)


def test_many_program_headers(world: World) -> None:
    """More than a page of them is not refused any more; from which release on is known of this one's at least."""
    path = world.put("subject", program("many", phnum=74, size=0x3000), mark="many")
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if release <= (6, 12) or release >= (6, 18):
        world.compare(path)


def test_no_model_of_what_no_file_tells(world: World) -> None:
    """T35, T37, T38: a file that somebody writes to, too many arguments, an open file that is closed on exec."""
    kernel, path = world.kernel, world.put("subject", b"#!/bin/true\n")
    assert kernel.execute(path, writing=path).errno == errno.ETXTBSY
    assert kernel.execute(path, ["x", "y" * 131072]).errno == errno.E2BIG
    assert kernel.execute(path, descriptor=True).errno == errno.ENOENT
    assert world.compare(path)[0].errno == ""


# -- handlers -------------------------------------------------------------------------------------

WINE, APE = ":DOSWin:M::MZ::FILES/wine:", ":APE:M::MZqFpD::FILES/ape:"


def _who(world: World, *names: str) -> list[str]:
    """Who takes these files: a mark, or the errno."""
    found = []
    for name in names:
        predicted, real = world.compare(world.kernel.files / name, [name, "one"])
        found.append(predicted.errno or said(real.stdout)[0])
    return found


def test_which_handler(world: World) -> None:
    """T39 to T45, T52: the newest that is enabled takes it, and nobody comes after it."""
    kernel = world.kernel
    for name in ("wine", "ape"):
        _printer(world, name)
    world.put("APE", b"MZqFpD='\n")
    world.put("PE", b"MZ\x90\0")
    _register(world, WINE)
    assert _who(world, "APE", "PE") == ["wine", "wine"]
    _register(world, APE)
    assert _who(world, "APE", "PE") == ["ape", "wine"]
    kernel.clear()
    _register(world, APE, WINE)
    assert _who(world, "APE", "PE") == ["wine", "wine"]
    assert kernel.write("DOSWin", b"0") == 0
    assert _who(world, "APE", "PE") == ["ape", "ENOEXEC"]
    assert kernel.write("DOSWin", b"1") == 0
    assert kernel.write("APE", b"-1") == 0
    _register(world, APE)
    assert _who(world, "APE", "PE") == ["ape", "wine"]
    assert kernel.write("status", b"0") == 0
    assert _who(world, "APE", "PE") == ["ENOEXEC", "ENOEXEC"]
    assert kernel.write("status", b"1") == 0
    (kernel.files / "ape").unlink()
    assert _who(world, "APE", "PE") == ["ENOENT", "wine"]
    world.put("x.APE", b"MZqFpD='\n")
    _register(world, ":ext:E::APE::FILES/wine:")
    assert _who(world, "APE", "x.APE") == ["ENOENT", "wine"]


def test_interpreters_of_handlers(world: World) -> None:
    """T45 to T49, T55: interpreters that are missing, closed, of another machine, scripts, taken themselves."""
    _printer(world, "printer")
    world.noexec("mounted")
    world.put("mounted/printer", program("x"))
    world.put("closed", program("x"), 0o644)
    world.put("text", TEXT)
    world.put("arm64", program("x", machine=183))
    world.put("script", f"#!{world.kernel.files}/printer -x\n".encode())
    world.put("MZself", b"MZself")
    outcomes = {
        "missing": "ENOENT",
        "": "EACCES",
        "mounted/printer": "EACCES",
        "closed": "EACCES",
        "text": "ENOEXEC",
        "arm64": "ENOEXEC",
        "script": "",
        "MZself": "ELOOP",
        "printer": "",
    }
    path = world.put("subject", b"MZ")
    for name, outcome in outcomes.items():
        for flags in ("", "P", "O", "C", "OC", "PC", "F", "PF", "POCF"):
            world.kernel.clear()
            refused = world.kernel.register(f":mz:M::MZ::{world.kernel.files}/{name}:{flags}".encode())
            assert bool(refused) == ("F" in flags and outcome in ("ENOENT", "EACCES"))
            wanted = "ENOEXEC" if refused or (name in ("script", "MZself") and {"O", "C"} & set(flags)) else outcome
            assert world.compare(path, ["zero", "one"])[0].errno == wanted, (name, flags)


def test_arguments(world: World) -> None:
    """T50: without P argv[0] is lost; with it, it comes behind the path."""
    printer = _printer(world, "printer")
    path = str(world.put("subject", b"MZ"))
    for flags, kept in (("", ()), ("P", ("zero",)), ("O", ()), ("POC", ("zero",))):
        world.kernel.clear()
        _register(world, f":mz:M::MZ::FILES/printer:{flags}")
        assert world.compare(path, ["zero", "one"])[0].argv == (printer, path, *kept, "one")
    world.compare(path, [])
    world.put("script", f"#!{path} x y\n".encode())
    world.compare(world.kernel.files / "script", ["zero", "one"])


def test_extensions(world: World) -> None:
    """T51: what follows the last dot of the whole path as it was given."""
    _printer(world, "printer")
    _register(world, ":exe:E::exe::FILES/printer:")
    names = {
        "a.exe": "",
        "a.EXE": "ENOEXEC",
        "a.exe.bak": "ENOEXEC",
        "dir.exe/foo": "ENOEXEC",
        "foo": "ENOEXEC",
        ".exe": "",
    }
    for name, outcome in names.items():
        assert world.compare(world.put(name, b"nothing"))[0].errno == outcome, name
    (world.kernel.files / "link.exe").symlink_to("foo")
    (world.kernel.files / "link").symlink_to("a.exe")
    assert world.compare(world.kernel.files / "link.exe")[0].errno == ""
    assert world.compare(world.kernel.files / "link")[0].errno == "ENOEXEC"
    world.kernel.clear()
    _register(world, ":tar:E::tar.gz::FILES/printer:")
    assert world.compare(world.put("a.tar.gz", b"nothing"))[0].errno == "ENOEXEC"
    assert world.compare("./foo", cwd=world.kernel.files)[0].errno == "ENOEXEC"


def test_magics(world: World) -> None:
    """T53, T54: handlers come before scripts and native programs; a magic may match what is behind the end."""
    _printer(world, "printer")
    script = world.put("script", b"#!/bin/true\n")
    native = world.put("native", program("native"), mark="native")
    empty = world.put("empty", b"")
    _register(world, ":script:M::#!::FILES/text:")
    world.put("text", TEXT)
    assert world.compare(script)[0].errno == "ENOEXEC"
    world.kernel.clear()
    _register(world, r":nul:M:0:\x01\x01:\xfe\xfe:FILES/printer:")
    assert world.compare(empty)[0].errno == ""
    assert world.compare(native)[0].rewrites == ()
    world.kernel.clear()
    _register(world, r":elf:M:1:ELF::FILES/text:")
    assert world.compare(native)[0].errno == "ENOEXEC"


def test_an_interpreter_that_is_held_open(world: World) -> None:
    """T56: with F the interpreter may be gone, and other roots have it too; without, it is looked for in the root."""
    kernel = world.kernel
    printer = kernel.files / "printer"
    for flags in ("F", ""):
        kernel.clear()
        world.put("printer", program("printer"), mark="printer")
        _register(world, f":mz:M::MZ::FILES/printer:{flags}")
        root = world.put("root/subject", b"MZ").parent
        inside = world.predict("/subject", ["zero", "one"], root=str(root))
        real = kernel.execute("/subject", ["zero", "one"], chroot=root)
        if flags:
            assert (inside.errno, inside.image, said(real.stdout)) == ("", "", ("printer", inside.argv))
        else:
            assert (inside.errno, real.errno) == ("ENOENT", errno.ENOENT)
        printer.unlink()
        gone = world.predict(root / "subject", ["zero", "one"])
        real = kernel.execute(root / "subject", ["zero", "one"])
        if flags:
            assert (gone.errno, gone.image, said(real.stdout)) == ("", "", ("printer", gone.argv))
        else:
            assert (gone.errno, real.errno) == ("ENOENT", errno.ENOENT)


# -- emulators ------------------------------------------------------------------------------------

QEMU_MAGIC = (
    r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
)
ARGUMENTS = (
    '#include <stdio.h>\nint main(int n, char **a) {for (int i = 0; i < n; i++) printf("%s|", a[i]); return 7;}\n'
)


def _compiled(world: World, name: str, source: str, *options: str) -> Path:
    """Compile a program inside; skip where the compiler is missing."""
    compiler, *rest = options
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed (tests/judges/setup.sh tools)")
    made = world.kernel.files / name
    text = world.put(f"{name}.c", source.encode(), 0o644)
    built = world.kernel.execute(compiler, [compiler, *rest, "-o", str(made), str(text)], search=True, timeout=60)
    assert built.rc == 0, built
    return made


def test_an_emulator(world: World) -> None:
    """T58 to T61: programs of arm64 under qemu, with argv[0] and without, without their libraries, with odd marks."""
    qemu = shutil.which("qemu-aarch64-static")
    if qemu is None:
        pytest.skip("qemu-aarch64-static is not installed (tests/judges/setup.sh tools)")
    static = _compiled(world, "static", ARGUMENTS, "aarch64-linux-gnu-gcc", "-static")
    dynamic = _compiled(world, "dynamic", ARGUMENTS, "aarch64-linux-gnu-gcc")
    marked = world.put("marked", b"\x7fELF\2\1\1\0AI\2" + static.read_bytes()[11:])
    armhf = world.put("armhf", program("x", machine=40, bits=32))
    for flags, shown in (("F", f"{static}|one|"), ("PF", "zero|one|"), ("POCF", "zero|one|")):
        world.kernel.clear()
        _register(world, f":qemu:M::{':'.join(QEMU_MAGIC)}:{qemu}:{flags}")
        predicted, real = world.compare(static, ["zero", "one"])
        assert (predicted.image, real.rc, real.stdout) == (str(Path(qemu).resolve()), 7, shown)
        predicted, real = world.compare(dynamic, ["zero", "one"])
        assert predicted.image == str(Path(qemu).resolve())
        assert Path("/lib/ld-linux-aarch64.so.1").exists() or real.rc == 255
        assert world.compare(marked)[0].errno == "ENOEXEC"
        assert world.compare(armhf)[0].errno == "ENOEXEC"


# -- namespaces -----------------------------------------------------------------------------------


def test_namespaces(world: World) -> None:
    """T63 to T68: the handlers of the nearest user namespace that has ever mounted its own; they end with it."""
    kernel = world.kernel
    _printer(world, "printer")
    path = world.put("subject", b"MZ")
    _register(world, ":mz:M::MZ::FILES/printer:")
    assert said(kernel.execute(path, user_namespace=True).stdout)[0] == "printer"
    shared = kernel.execute("/usr/bin/unshare", ["unshare", "--mount", str(path)])
    assert said(shared.stdout)[0] == "printer"
    point = kernel.files / "point"
    point.mkdir()
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    steps = {
        "true": "printer",
        f"mount -t binfmt_misc none {point}": "",
        f"mount -t binfmt_misc none {point}; umount {point}": "",
        f"mount -t binfmt_misc none {point}; cat {kernel.binfmt_misc}/mz >&2": "",
        f"echo 0 >{kernel.binfmt_misc}/status": "",  # the owner may, in whichever namespace
    }
    for step, who in steps.items():
        real = kernel.execute("/usr/bin/unshare", [*inside, f"{step}; exec {path}"])
        assert said(real.stdout)[0] == who, (step, real)
    assert kernel.read("status") == "disabled\n"
    assert kernel.execute(path, user_namespace=True).errno == errno.ENOEXEC
    assert world.compare(path)[0].errno == "ENOEXEC"
    assert kernel.mount("none", point, "binfmt_misc") == 0
    assert kernel.unmount(kernel.binfmt_misc) == 0
    assert kernel.execute(path).errno == errno.ENOEXEC
    assert kernel.mount("none", kernel.binfmt_misc, "binfmt_misc") == 0
    assert kernel.entries() == ["mz"]
    assert kernel.unmount(point) == 0
    assert kernel.unmount(kernel.binfmt_misc) == 0
    assert kernel.mount("none", kernel.binfmt_misc, "binfmt_misc") == 0
    assert (kernel.entries(), kernel.read("status")) == ([], "enabled\n")
    assert world.compare(path)[0].errno == "ENOEXEC"


def test_credentials(world: World) -> None:
    """T69: with C the interpreter has the rights of the file's owner, without it those of the caller."""
    if not world.kernel.many_users:
        pytest.skip("needs root: a second user")
    source = '#include <stdio.h>\n#include <unistd.h>\nint main(void) {printf("%d", geteuid());}\n'
    who = _compiled(world, "who", source, "gcc", "-static")
    path = world.put("subject", b"MZ", 0o4755)
    for flags, user in (("", "1000"), ("O", "1000"), ("C", "0")):
        world.kernel.clear()
        _register(world, f":mz:M::MZ::{who}:{flags}")
        assert world.kernel.execute(path, uid=1000).stdout == user


# -- at random ------------------------------------------------------------------------------------


class Chance:
    """Random registrations and files, all from one seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)  # noqa: S311 - the same examples every time
        self.files = str(world.kernel.files)
        self.subjects: list[str] = []
        self._numbers = count()

    def build(self) -> None:
        """Make interpreters of every kind, then files that name them."""
        world = self.world
        for name in ("p0", "p1", "MZp", "q.exe"):
            data = program(name, kind=self.random.choice([2, 3]), bits=self.random.choice([32, 64, 64]))
            world.put(name, data, mark=name)
        world.put("closed", program("x"), 0o644)
        world.put("text", TEXT)
        (world.kernel.files / "directory.exe").mkdir(exist_ok=True)
        world.put("mounted/p0", program("x"))
        self.subjects = ["p0", "p1", "MZp", "q.exe", "closed", "text", "directory.exe", "mounted/p0", "missing"]
        for _ in range(24):
            self.add()

    def add(self) -> None:
        """Make one more file, which others may name afterwards."""
        name = f"{self.random.choice(['MZ', '#!', 'f', 's.exe', 't.', 'u.ex'])}{next(self._numbers)}"
        name += self.random.choice(["", "", ".exe", ".EXE", ".é"])
        data, mark = self.random.choice(self._makers)(self)
        mode = self.random.choice([0o755] * 12 + [0o644, 0o111, 0o000, 0o711])
        self.world.put(name, data, mode, mark=mark)
        self.subjects.append(name)

    def name(self) -> str:
        """The name of some file, absolute or relative."""
        chosen = self.random.choice(self.subjects if self.random.random() < 0.5 else self.subjects[:9])
        form = self.random.choice(["{0}/{1}"] * 6 + ["{1}", "./{1}", "{0}//{1}", "{0}/{1}/"])
        return form.format(self.files, chosen)

    def script(self) -> tuple[bytes, str]:
        """A #! line, most of them in order."""
        pick = self.random.choice
        blank = "".join(pick(" \t") for _ in range(pick([0, 0, 1, 3])))
        argument = pick(["", "", " -x", " a b ", "\tx\t", " \x01é", " " + "l" * pick([100, 200, 300])])
        end = pick(["\n"] * 5 + ["", "\r\n", " \n", "\0\n", "\0"])
        lead = " " * pick([0] * 9 + [250 - len(self.files), 240, 256])
        return f"#!{lead}{blank}{self.name()}{argument}{end}".encode() + pick([b"", b"echo\n", b"\0" * 300]), ""

    def near_magic(self) -> tuple[bytes, str]:
        """What a handler may take."""
        head = self.random.choice(
            [b"MZ", b"MZqFpD='", b"MZqFpD", b"\x7fELF\x02\x01\x01", b"#", b"", b"\0\0", b"\xca\xfe"]
        )
        size = self.random.choice([0, 1, 5, 20, 255, 256, 300])
        return head + self.random.randbytes(size), ""

    def elf(self) -> tuple[bytes, str]:
        """A program with something changed."""
        pick = self.random.choice
        mark = f"e{next(self._numbers)}"
        bits = pick((32, 64, 64, 64))
        options: dict[str, object] = {"bits": bits, "kind": pick([2, 2, 3, 3, 0, 1, 4])}
        if self.random.random() < 0.5:
            options["interpreter"] = self.name().encode() + pick([b"\0"] * 8 + [b"", b"\0\0x\0", b"x\0"])
            if self.random.random() < 0.1:
                options["interpreter_size"] = pick([0, 1, 2, 4096, 4097, 1 << 40 if bits == 64 else 1 << 30])
            if self.random.random() < 0.1:
                options["interpreter_offset"] = pick([0, 1 << 20, (1 << bits) - 1, (1 << bits - 1) - 1])
        changes: dict[str, list[object]] = {
            "machine": [62, 3, 6, 183, 40, 0, 22],
            "phentsize": [0, 32, 56, 57],
            "phnum": [0, 1, 2, 73, 1171, 0xFFFF],
            "entry": [0, 0x1000, 0x300000, 0x408010, 0x500000, 0x7FFFFFFF],
            "ident": [b"\1", b"\2\2", b"\2\1\1\x09", b"\0\0\0"],
            "size": [0, 3, 20, 52, 64, 100, 120, 0x300],
            "loads": [
                [Load(offset=0x1000, vaddr=0x1000, filesz=0x10, memsz=0x20)],
                [Load(offset=0x1000, vaddr=0x1000, filesz=0x10, memsz=0x2000)],
                [Load(offset=0, vaddr=0x8010, filesz=0x10, memsz=0x20)],
                [Load(offset=0x10, vaddr=0x8010, filesz=0x20, memsz=0x10)],
                [Load(offset=0, vaddr=0x8000, filesz=0, memsz=0x1000)],
            ],
        }
        for name in self.random.sample(list(changes), pick([0, 0, 1, 1, 2])):
            if name != "entry" or options["kind"] == 2:  # elsewhere the kernel chooses what lies there
                options[name] = pick(changes[name])
        if (bits, options.get("machine")) == (32, 62):
            del options["machine"]  # x32: it depends on how the kernel was built, and the model says so
        data = program(mark, **options)  # type: ignore[arg-type]  # names and values of the table above
        if options.get("loads") and self.random.random() < 0.3:
            data = data[:0x1000]
        return data, mark

    def noise(self) -> tuple[bytes, str]:
        """Bytes, and text."""
        return self.random.choice(
            [TEXT, b"\xef\xbb\xbf#!/bin/sh\n", b"#!", b"#!\n", b"# !\n", self.random.randbytes(40)]
        ), ""

    _makers: tuple[Callable[[Chance], tuple[bytes, str]], ...] = (script, script, near_magic, elf, elf, noise)

    def register(self) -> None:
        """Register up to five handlers, some of them switched off, and now and then all."""
        kernel, pick = self.world.kernel, self.random.choice
        kernel.clear()
        for number in range(pick([0, 1, 2, 3, 5])):
            flags = "".join(one for one in "POCF" if self.random.random() < 0.2)
            if kernel.register(f":n{number}:".encode() + self._match() + f":{self.name()}:{flags}".encode()):
                continue  # F, and the interpreter cannot be opened
            if self.random.random() < 0.15:
                kernel.write(f"n{number}", b"0")
            if self.random.random() < 0.05:
                kernel.write(pick([f"n{number}", "status"]), pick([b"-1", b"1", b"0", b"1\n"]))

    def _match(self) -> bytes:
        pick = self.random.choice
        if self.random.random() < 0.2:
            return b"E::" + pick(["exe", "EXE", "é", "ex", "9", "9/x", "directory"]).encode() + b":"
        magic = pick([b"MZ", b"MZqFpD", b"\x7fELF", b"#!", b"\0", b"\xca\xfe", b"ELF", b"M", b"echo", b"\x02", b"Z"])
        offset = pick([0] * 8 + [1, 4, 250, 255])
        mask = b""
        if self.random.random() < 0.3:
            mask = bytes(pick([0, 0xFF, 0xFF, 0xFE, 0xDF, 0xF0]) for _ in magic)
        return f"M:{offset}:".encode() + _escaped(magic) + b":" + _escaped(mask)


def _escaped(data: bytes) -> bytes:
    return "".join(f"\\x{one:02x}" for one in data).encode()


SEEDS, PER_SEED, RUNS = 4, 1000, 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_at_random(world: World, seed: int) -> None:
    """Random handlers and files, a thousand executions each: every errno, image and argument as predicted."""
    chance = Chance(world, seed)
    world.noexec("mounted")
    outcomes: dict[str, int] = {}
    taken = 0
    for number in range(PER_SEED // RUNS):
        if number % 10 == 0:
            chance.build()
        chance.add()
        chance.register()
        handlers: Handlers = world.handlers()
        for _ in range(RUNS):
            path, argv = chance.name(), ["zero", *chance.random.choices(["one", "", "-x", "é"], k=2)]
            privileged = chance.random.random() < 0.8
            predicted = world.compare(path, argv, cwd=world.kernel.files, handlers=handlers, privileged=privileged)[0]
            outcomes[predicted.errno or predicted.dies] = outcomes.get(predicted.errno or predicted.dies, 0) + 1
            taken += any(step.handler for step in predicted.rewrites)
    assert {"", "ENOENT", "ENOEXEC", "EACCES"} <= outcomes.keys()
    assert taken > PER_SEED // 20, outcomes
