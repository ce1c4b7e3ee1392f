"""The real kernel is asked about what is proposed: whether it takes the lines, and whose the file is then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runworthy.formats.binfmt.registration import format_registration, parse_registration
from runworthy.model.binfmt import Handler
from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    Edit,
    KernelEdit,
    RegisterHandler,
    SetMode,
    SwitchHandlers,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
    actions,
)
from runworthy.model.records import replace
from runworthy.remedies.export import export
from runworthy.remedies.planning import plan
from tests.apewriter import ape, ape_loader
from tests.judges.kernel import Kernel, requires_kernel
from tests.remedies.made import WINE, handlers, situation, target_of, write_tree
from tests.remedies.test_export import remedy
from tests.remedies.test_plans import SYSTEMD

pytestmark = pytest.mark.judge


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with requires_kernel() as held:
        yield held


def carry_out(kernel: Kernel, edit: KernelEdit) -> None:
    """Make an edit of handlers as the product's scripts do."""
    if isinstance(edit, RegisterHandler):
        if edit.handler.name in kernel.entries():
            assert kernel.write(edit.handler.name, b"-1") == 0
        assert kernel.register(format_registration(edit.handler)) == 0
    elif isinstance(edit, SwitchHandlers):
        assert kernel.write("status", str(int(edit.on)).encode()) == 0
    else:
        value = b"-1" if isinstance(edit, UnregisterHandler) else b"0"
        assert kernel.write(edit.name, value) == 0


def test_the_loader_of_the_file_itself_wins_over_wine(kernel: Kernel, tmp_path: Path) -> None:
    """Wine's handler is there first. With the edits in place the APE runs natively, and its PE neighbour in Wine."""
    app = ape(loaders={"x86_64": ape_loader("x86_64", tmp_path)}, message="natively\n", code=3)
    wine = kernel.put("wine", b"#!/bin/sh\necho in wine; exit 9\n")
    assert kernel.register(f":DOSWin:M::MZ::{wine}:".encode()) == 0
    program, windows = kernel.put("app", app), kernel.put("setup.exe", b"MZ\0\0a program for Windows")
    hijacked = kernel.execute(program)
    assert (hijacked.stdout, hijacked.rc) == ("in wine\n", 9)

    root = write_tree(tmp_path / "root", {**SYSTEMD, "/opt/app": app})
    target = target_of(root, handlers(replace(WINE, interpreter="/usr/bin/wine")))
    best = plan(situation(target, "/opt/app"))[0]
    assert best.proved
    assert best.stays
    loader = kernel.put("ape", ape_loader_of(best.edits))
    lines: list[bytes] = []
    for edit in actions(best.edits):
        if isinstance(edit, RegisterHandler):
            here = replace(edit.handler, interpreter=str(loader))
            lines.append(format_registration(edit.handler))
            carry_out(kernel, RegisterHandler(handler=here))
    assert kernel.entries() == ["APE-jart", "APE", "DOSWin"]
    conf = next(one for one in best.edits if isinstance(one, WriteFile))
    assert [line for line in conf.content.split(b"\n") if line.startswith(b":")] == lines
    repaired = kernel.execute(program)
    assert (repaired.stdout, repaired.rc) == ("natively\n", 3)
    assert kernel.execute(windows).stdout == "in wine\n"
    loader.unlink()
    assert kernel.execute(program).rc == 3, "F: the loader was opened when it was registered"


def ape_loader_of(edits: tuple[object, ...]) -> bytes:
    return next(one for one in edits if isinstance(one, WriteLoader)).content


def test_the_copy_that_is_an_elf_file_runs_beside_wine(kernel: Kernel, tmp_path: Path) -> None:
    app = ape(message="natively\n", code=3)
    wine = kernel.put("wine", b"#!/bin/sh\necho in wine; exit 9\n")
    assert kernel.register(f":DOSWin:M::MZ::{wine}:".encode()) == 0
    root = write_tree(tmp_path / "root", {**SYSTEMD, "/opt/app": app})
    remedies = plan(situation(target_of(root, handlers(WINE)), "/opt/app"))
    (edit,) = next(one.edits for one in remedies if one.proved and isinstance(one.edits[0], CopyFile))
    assert isinstance(edit, CopyFile)
    copy = kernel.put("app.elf", edit.head + app[len(edit.head) :], edit.mode)
    done = kernel.execute(copy)
    assert (done.stdout, done.rc) == ("natively\n", 3)


def test_switching_one_handler_off_leaves_the_others(kernel: Kernel) -> None:
    wine = kernel.put("wine", b"#!/bin/sh\necho in wine\n")
    echo = kernel.put("echo", b"#!/bin/sh\necho other\n")
    for name, magic, interpreter in (("DOSWin", "MZ", wine), ("other", "OTHER", echo)):
        assert kernel.register(f":{name}:M::{magic}::{interpreter}:".encode()) == 0
    windows, other = kernel.put("a", b"MZ windows"), kernel.put("b", b"OTHER")
    carry_out(kernel, DisableHandler(name="DOSWin"))
    assert kernel.execute(windows).errno == 8
    assert kernel.execute(other).stdout == "other\n"
    carry_out(kernel, SwitchHandlers(on=False))
    assert kernel.execute(other).errno == 8


PROGRAM = Path("/bin/false").read_bytes()
SAYS = b"#!/bin/sh\nexit 3\n"


@pytest.mark.parametrize(
    ("file", "held", "lines"),
    [
        ("job", SAYS, (":gone:M::#!/bin/sh\\nexit::{}/nonexist:",)),
        ("job", SAYS, (":one:M::#!/bin/sh\\nexit::{}/plain:", ":two:M::#!/bin/sh\\nexit::{}/nonexist:")),
        ("job.foo", PROGRAM, (":one:E::foo::{}/other:", ":two:E::foo::{}/other:")),
        ("hello", b"HELLO world\n", (":hello:M::HELLO::{}/script:OC",)),
        ("hello", b"HELLO world\n", (":hello:M::HELLO::{}/locked:",)),
    ],
)
def test_what_is_proved_of_a_handler_in_the_way_is_so(
    kernel: Kernel, file: str, held: bytes, lines: tuple[str, ...]
) -> None:
    """Newlines in magics are written as the kernel takes them. The target is this machine's root itself."""
    for name, data, mode in (
        (file, held, 0o755),
        ("other", b"#!/bin/sh\nexit 9\n", 0o755),
        ("plain", b"no program\n", 0o644),
        ("script", SAYS, 0o755),
        ("locked", SAYS, 0o644),
    ):
        kernel.put(name, data, mode)
    texts = [line.format(kernel.files).replace("\\n", "\\x0a").encode() for line in lines]
    assert [kernel.register(text) for text in texts] == [0] * len(texts)
    path, want = kernel.files / file, 1 if held == PROGRAM else 3
    assert kernel.execute(path).rc != want
    made = situation(target_of(Path("/"), handlers(*map(parse_registration, reversed(texts)))), str(path))
    best = plan(made)[0]
    assert best.proved, best.proof
    for edit in actions(best.edits):
        if isinstance(edit, SetMode):
            Path(edit.path).chmod(edit.mode)
        else:
            assert isinstance(edit, (DisableHandler, RegisterHandler))
            carry_out(kernel, edit)
    assert kernel.execute(path).rc == want


# -- what is exported --------------------------------------------------------------------------

MISC = Path("/proc/sys/fs/binfmt_misc")
APE, QUOTED, BYTES = "APE", 'it\'s "$HOME" `id`', "\udcff -n"


@pytest.fixture
def machine(kernel: Kernel, tmp_path: Path) -> Kernel:
    """The kernel with its handlers at their usual place, Wine's among them, and an APE. This root stays as it is."""
    for point, kind in ((Path("/var/lib"), "tmpfs"), (MISC, "binfmt_misc")):
        assert kernel.mount("none", point, kind) == 0
    wine = kernel.put("wine", b"#!/bin/sh\necho in wine; exit 9\n")
    for name in ("DOSWin", QUOTED):
        assert kernel.register(b":%s:M::MZ::%s:" % (name.encode(), bytes(wine))) == 0
    kernel.put("app", ape(loaders={"x86_64": ape_loader("x86_64", tmp_path)}, message="natively\n", code=3))
    return kernel


def edits_on(kernel: Kernel, tmp_path: Path) -> tuple[Edit, ...]:
    """The loader, in a directory with an odd name, and handlers of all kinds of names."""
    loader = f"{kernel.files}/it's a\n\udcff/ape"
    content = kernel.put("loader", ape_loader("x86_64", tmp_path)).read_bytes()
    magics = ((APE, b"MZqFpD"), (BYTES, b"\0\x7f\n'%\xff"))
    return (
        WriteLoader(path=loader, content=content, source="the test"),
        *(RegisterHandler(handler=Handler(name=name, interpreter=loader, magic=at, flags="PF")) for name, at in magics),
        DisableHandler(name=QUOTED),
    )


def registered(kernel: Kernel) -> list[tuple[str, str]]:
    return [(name, kernel.read(name).partition("\n")[0]) for name in kernel.entries()]


BEFORE = [(QUOTED, "enabled"), ("DOSWin", "enabled")]
AFTER = [(BYTES, "enabled"), (APE, "enabled"), (QUOTED, "disabled"), ("DOSWin", "enabled")]


def test_the_script_changes_handlers_and_takes_it_back(machine: Kernel, tmp_path: Path) -> None:
    kernel, app = machine, machine.files / "app"
    script = kernel.put("remedy.sh", export(remedy(*edits_on(kernel, tmp_path)), "sh").encode())
    assert (registered(kernel), kernel.execute(app).stdout) == (BEFORE, "in wine\n")
    for _ in range(2):
        done = kernel.execute("/bin/sh", ["sh", str(script)])
        assert (done.rc, done.stderr) == (0, "")
        assert (registered(kernel), kernel.execute(app).stdout) == (AFTER, "natively\n")
    done = kernel.execute("/bin/sh", ["sh", str(script), "undo"])
    assert (done.rc, done.stderr) == (0, "")
    assert (registered(kernel), kernel.execute(app).stdout) == (BEFORE, "in wine\n")
    assert sorted(path.name for path in kernel.files.iterdir()) == ["app", "loader", "remedy.sh", "wine"]


def test_commands_of_user_data_change_handlers(machine: Kernel, tmp_path: Path) -> None:
    loader, *edits = edits_on(machine, tmp_path)
    assert isinstance(loader, WriteLoader)
    place = Path(loader.path)
    machine.put(f"{place.parent.name}/ape", loader.content)
    for _ in range(2):
        for argv in yaml.safe_load(export(remedy(*edits), "cloud-init"))["runcmd"]:
            done = machine.execute(argv[0], argv, search=True)
            assert (done.rc, done.stderr) == (0, "")
        assert registered(machine) == AFTER


def test_the_script_mounts_binfmt_misc_where_nobody_has(kernel: Kernel) -> None:
    """An empty directory is at its place, as on a system whose services do not mount it."""
    for point in (Path("/var/lib"), MISC):
        assert kernel.mount("none", point, "tmpfs") == 0
    edit = RegisterHandler(handler=Handler(name=APE, interpreter="/bin/true", magic=b"MZqFpD"))
    script = kernel.put("remedy.sh", export(remedy(edit), "sh").encode())
    for words in ([], [], ["undo"]):
        done = kernel.execute("/bin/sh", ["sh", str(script), *words])
        assert (done.rc, done.stderr) == (0, "")
        assert kernel.entries() == ([] if words else [APE])
