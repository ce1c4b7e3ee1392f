"""Edits on a target: what it would be with them, and what takes them back."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    Edit,
    EditText,
    EnableHandler,
    InstallPackages,
    LinkFile,
    RegisterHandler,
    RemoveDirectory,
    RemoveFile,
    RemovePackages,
    RunCommand,
    SetMode,
    SwitchHandlers,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
    acts_on,
    kind,
)
from runworthy.model.records import replace
from runworthy.targets.edits import after_boot, edited, inverse
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.remedies.made import Tree, handlers, target_of, view_tree, write_tree

APE = Handler(name="APE", interpreter="/usr/bin/ape", magic=b"MZqFpD", flags="PF")
WINE = Handler(name="DOSWin", interpreter="/usr/bin/wine", magic=b"MZ")
QEMU = Handler(name="qemu-arm", interpreter="/usr/bin/qemu-arm", magic=b"\x7fELF", flags="F", enabled=False)
FILES: dict[str, bytes | str] = {
    "/usr/bin/ape": b"\x7fELF, as it was",
    "/usr/bin/qemu-arm": b"\x7fELF",
    "/etc/one": b"one\n",
    "/etc/link": "one",
    "/usr/bin/tool": b"#!/bin/sh\r\necho\r\n",
    "/usr/bin/big": b"MZqFpD='" + b"x" * 100,
}
EVERY_FILE_EDIT: tuple[Edit, ...] = (
    WriteFile(path="/etc/one", content=b"two\n", mode=0o600),
    WriteFile(path="/opt/a/b/new", content=b"\x00\xff", mode=0o4755),
    WriteFile(path="/etc/link", content=b"a file, not what the link leads to\n"),
    WriteLoader(path="/usr/bin/ape", content=b"\x7fELF", source="the test"),
    CopyFile(path="/usr/bin/big.elf", source="/usr/bin/big", head=b"\x7fELF%-0"),
    EditText(path="/usr/bin/tool", before=b"#!/bin/sh\r\necho\r\n", after=b"#!/bin/sh\necho\n", what="no CR"),
    LinkFile(path="/etc/binfmt.d/wine.conf", text="/dev/null"),
    SetMode(path="/usr/bin/tool", mode=0o711),
    RemoveFile(path="/usr/bin/big"),
    RemoveFile(path="/opt/a/b/new"),
    RemoveDirectory(path="/opt/a/b"),
    RemoveDirectory(path="/etc"),
)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return target_of(write_tree(tmp_path, FILES), handlers(WINE, QEMU))


def shown(target: Target) -> tuple[Tree, Handlers]:
    assert isinstance(target.view, Overlay)
    return view_tree(target.view), target.handlers


def test_files(target: Target) -> None:
    tree, _ = shown(edited(target, EVERY_FILE_EDIT))
    assert {path: held for path, held in tree.items() if held[0] != "dir"} == {
        "/etc/one": ("file", 0o600, b"two\n"),
        "/etc/link": ("file", 0o644, b"a file, not what the link leads to\n"),
        "/usr/bin/tool": ("file", 0o711, b"#!/bin/sh\necho\n"),
        "/usr/bin/ape": ("file", 0o755, b"\x7fELF"),
        "/usr/bin/qemu-arm": ("file", 0o755, b"\x7fELF"),
        "/usr/bin/big.elf": ("file", 0o755, b"\x7fELF%-0" + b"'" + b"x" * 100),
        "/etc/binfmt.d/wine.conf": ("link", 0o777, b"/dev/null"),
    }
    assert {path for path in tree if path.startswith("/opt")} == {"/opt", "/opt/a"}, "an empty directory goes"
    assert shown(target)[0] == shown(edited(target, ()))[0], "the target itself is as it was"


def test_everything_is_taken_back(target: Target) -> None:
    edits = (*EVERY_FILE_EDIT, RegisterHandler(handler=APE), DisableHandler(name="DOSWin"), SwitchHandlers(on=False))
    after = edited(target, edits)
    assert shown(after) != shown(target)
    assert shown(edited(after, inverse(target, edits))) == shown(target)


@pytest.mark.parametrize(
    ("edit", "names"),
    [
        (RegisterHandler(handler=APE), "APE+ DOSWin+ qemu-arm-"),
        (RegisterHandler(handler=replace(QEMU, enabled=True)), "qemu-arm+ DOSWin+"),
        (DisableHandler(name="DOSWin"), "DOSWin- qemu-arm-"),
        (EnableHandler(name="qemu-arm"), "DOSWin+ qemu-arm+"),
        (UnregisterHandler(name="DOSWin"), "qemu-arm-"),
        (UnregisterHandler(name="not there"), "DOSWin+ qemu-arm-"),
    ],
)
def test_handlers(target: Target, edit: Edit, names: str) -> None:
    held = edited(target, (edit,)).handlers
    assert " ".join(f"{one.name}{'-+'[one.enabled]}" for one in held.entries) == names


KERNEL = st.one_of(
    st.sampled_from("abc").map(
        lambda name: RegisterHandler(handler=Handler(name=name, interpreter="/bin/x", magic=b"MZ"))
    ),
    st.sampled_from("abc").map(lambda name: UnregisterHandler(name=name)),
    st.sampled_from("abc").map(lambda name: DisableHandler(name=name)),
    st.sampled_from("abc").map(lambda name: EnableHandler(name=name)),
    st.booleans().map(lambda on: SwitchHandlers(on=on)),
)
HELD = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=4, unique_by=lambda one: one[0]).map(
    lambda rows: tuple(Handler(name=n, interpreter="/old", magic=b"M", enabled=on) for n, on in rows)
)


@given(HELD, st.lists(KERNEL, max_size=6))
def test_any_order_of_handlers_comes_back(held: tuple[Handler, ...], edits: list[Edit]) -> None:
    target = replace(target_of(Path("/nonexistent")), handlers=Handlers(entries=held))
    after = edited(target, edits)
    assert edited(after, inverse(target, edits)).handlers == target.handlers


def test_a_program_is_judged_by_what_it_does_and_takes_it_back_itself(target: Target) -> None:
    write = WriteFile(path="/var/lib/binfmts/zz-ape", content=b"local\n")
    command = RunCommand(
        argv=("update-binfmts", "--install", "zz-ape"),
        undo=("update-binfmts", "--remove", "zz-ape"),
        changes="register zz-ape",
        effects=(write, RegisterHandler(handler=APE)),
    )
    after = edited(target, (command,))
    assert after.view.read("/var/lib/binfmts/zz-ape") == b"local\n"
    assert after.handlers.entries[0] == APE
    (back,) = inverse(target, (command,))
    assert isinstance(back, RunCommand)
    assert (back.argv, back.undo) == (command.undo, command.argv)
    assert shown(edited(after, (back,))) == shown(target)
    packages = RemovePackages(manager="apt", names=("wine-binfmt",), effects=(UnregisterHandler(name="DOSWin"),))
    assert edited(target, (packages,)).handlers.entries == (QEMU,)


def test_what_is_no_longer_so_is_refused(target: Target) -> None:
    def number(edit: Edit) -> int | None:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is compared
            edited(target, (edit,))
        return caught.value.errno

    assert number(EditText(path="/etc/one", before=b"another", after=b"", what="")) == errno.ESTALE
    assert number(WriteFile(path="/etc", content=b"")) == errno.EISDIR
    assert number(RemoveFile(path="/usr")) == errno.EISDIR
    assert number(RemoveFile(path="/usr/none")) == errno.ENOENT
    assert number(RemoveDirectory(path="/etc/one")) == errno.ENOTDIR
    assert number(SetMode(path="/none", mode=0)) == errno.ENOENT


def test_the_next_boot_reads_the_files(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path,
        {
            "/usr/lib/systemd/systemd": b"",
            "/sbin/init": "/usr/lib/systemd/systemd",
            "/usr/lib/systemd/systemd-binfmt": b"",
            "/usr/lib/systemd/system/systemd-binfmt.service": b"[Service]\nExecStart=/usr/lib/systemd/systemd-binfmt\n",
            "/usr/lib/systemd/system/sysinit.target.wants/systemd-binfmt.service": "../systemd-binfmt.service",
            "/usr/lib/binfmt.d/wine.conf": b":DOSWin:M::MZ::/usr/bin/wine:\n",
        },
    )
    target = target_of(root, handlers(APE, WINE))
    assert [one.name for one in after_boot(target).handlers.entries] == ["DOSWin"], "what was only echoed is lost"
    conf = WriteFile(path="/etc/binfmt.d/zz.conf", content=b":APE:M::MZqFpD::/usr/bin/ape:P\n")
    assert [one.name for one in after_boot(edited(target, (conf,))).handlers.entries] == ["APE", "DOSWin"]
    mask = LinkFile(path="/etc/binfmt.d/wine.conf", text="/dev/null")
    assert after_boot(edited(target, (mask,))).handlers.entries == ()


def test_what_an_edit_acts_on() -> None:
    register = RegisterHandler(handler=APE)
    command = RunCommand(argv=("/usr/lib/systemd/systemd-binfmt", "/etc/x.conf"), changes="", effects=(register,))
    assert [acts_on(one) for one in (register, command)] == ["kernel", "kernel"]
    assert command.program == "systemd-binfmt"
    packages = InstallPackages(manager="apt", names=("a", "b"))
    assert (acts_on(packages), packages.words, kind(packages)) == ("root", "install a, b with apt", "install-packages")
    assert {acts_on(one) for one in EVERY_FILE_EDIT} == {"root"}
    assert "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" in (
        WriteLoader(path="/x", content=b"", source="out of app").words
    )
