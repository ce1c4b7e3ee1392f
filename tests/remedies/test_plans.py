"""What is proposed for each system, in full: ``UPDATE=1`` in the environment writes the expected texts anew."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runworthy.formats.binfmt.registration import format_registration
from runworthy.model.binfmt import Handler
from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    Edit,
    EditText,
    InstallPackages,
    LinkFile,
    RegisterHandler,
    RemovePackages,
    RunCommand,
    SetMode,
    WriteFile,
)
from runworthy.model.finding import Remedy
from runworthy.model.host import MachineFacts, Mount
from runworthy.model.records import replace
from runworthy.remedies.judging import judged
from runworthy.remedies.planning import plan
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.edits import edited, inverse
from tests.apewriter import ape, like_ape_loader
from tests.elfwriter import elf
from tests.remedies.made import WINE, handlers, situation, target_of, write_tree

Files = Mapping[str, bytes | str]
EXPECTED = Path(__file__).parent / "expected"
STATIC = elf(kind=2, dynamic=False)
APP = ape(loaders={"x86_64": like_ape_loader()})
COMMON: Files = {
    "/bin/sh": STATIC,
    **{f"/bin/{name}": STATIC for name in ("uname", "mkdir", "dd", "gzip", "chmod", "mv")},
    "/usr/bin/wine": STATIC,
    "/opt/app": APP,
    "/etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
}
SYSTEMD: Files = {
    **COMMON,
    "/sbin/init": "/usr/lib/systemd/systemd",
    "/usr/lib/systemd/systemd": STATIC,
    "/usr/lib/systemd/systemd-binfmt": STATIC,
    "/usr/lib/systemd/system/systemd-binfmt.service": b"[Service]\nExecStart=/usr/lib/systemd/systemd-binfmt\n",
    "/usr/lib/systemd/system/sysinit.target.wants/systemd-binfmt.service": "../systemd-binfmt.service",
    "/usr/lib/binfmt.d/wine.conf": b":DOSWin:M::MZ::/usr/bin/wine:\n",
}
BINFMT_SUPPORT: Files = {
    **{path: held for path, held in SYSTEMD.items() if not path.endswith("wine.conf")},
    "/usr/sbin/update-binfmts": STATIC,
    "/usr/lib/systemd/system/binfmt-support.service": (
        b"[Unit]\nAfter=systemd-binfmt.service\n[Service]\nExecStart=/usr/sbin/update-binfmts --enable\n"
    ),
    "/etc/systemd/system/multi-user.target.wants/binfmt-support.service": (
        "/usr/lib/systemd/system/binfmt-support.service"
    ),
    "/var/lib/binfmts/wine": b"wine\nmagic\n0\nMZ\n\n/usr/bin/wine\n\n\n\n\n",
    "/usr/share/binfmts/wine": b"package wine\ninterpreter /usr/bin/wine\nmagic MZ\n",
    "/var/lib/dpkg/info/wine-binfmt.list": b"/.\n/usr\n/usr/share/binfmts/wine\n/usr/share/doc/wine-binfmt\n",
}
OPENRC: Files = {
    **{path: held for path, held in COMMON.items() if path != "/etc/os-release"},
    "/etc/os-release": b"ID=alpine\nVERSION_ID=3.20\n",
    "/sbin/openrc": STATIC,
    "/sbin/init": STATIC,
    "/etc/inittab": b"::sysinit:/sbin/openrc sysinit\n::sysinit:/sbin/openrc boot\n::wait:/sbin/openrc default\n",
    "/etc/init.d/binfmt": b"#!/sbin/openrc-run\n",
    "/usr/lib/binfmt.d/wine.conf": b":DOSWin:M::MZ::/usr/bin/wine:\n",
    "/etc/init.d/procfs": b"#!/sbin/openrc-run\n",
    "/etc/runlevels/boot/hostname": "/etc/init.d/hostname",
}
ARM = Handler(name="qemu-aarch64", interpreter="/usr/bin/qemu-aarch64-static", magic=b"\xb7\0", offset=18, flags="POC")
ALL_ELF = Handler(name="all-elf", interpreter="/usr/bin/wine", magic=b"\x7fELF")
_SEVERAL = (
    b"# two\n:qemu-aarch64:M:18:\\xb7\\x00::/usr/bin/qemu-aarch64-static:POC\n:all-elf:M::\\x7fELF::/usr/bin/wine:\n"
)
_SCRATCH = "/var/tmp/x"  # noqa: S108 - in a root that the test makes
_TWO = b":DOSWin:M::MZ::/usr/bin/wine:\n:DOSWin2:M::MZ::/bin/sh:\n"
WINE_PACKAGE = Handler(name="wine", interpreter="/usr/bin/wine", magic=b"MZ", origin="/var/lib/binfmts/wine")


def at(root: Path, files: Files, *held: Handler, path: str = "/opt/app", loader: str = "") -> Situation:
    return situation(target_of(write_tree(root, files), handlers(*held)), path, loader=loader)


def on_wsl(root: Path) -> Situation:
    interop = Handler(name="WSLInterop", interpreter="/init", magic=b"MZ", flags="P")
    made = at(root, {**SYSTEMD, "/init": STATIC, "/etc/wsl.conf": b"[boot]\nsystemd=true\n"}, interop)
    facts = MachineFacts(arch="x86_64", kernel="5.15.167.4-microsoft-standard-WSL2")
    return situation(replace(made.target, machine_facts=facts), made.path)


def noexec(root: Path) -> Situation:
    made = at(root, SYSTEMD)
    mounts = (Mount(point="/", fstype="ext4"), Mount(point="/opt", fstype="tmpfs", options=("rw", "noexec")))
    facts = MachineFacts(arch="x86_64", kernel="6.1.0", mounts=mounts)
    return situation(replace(made.target, machine_facts=facts), made.path)


def not_executable(root: Path) -> Situation:
    write_tree(root, {**SYSTEMD, "/opt/tool": STATIC})
    (root / "opt/tool").chmod(0o640)
    return situation(target_of(root), "/opt/tool")


def in_container(root: Path) -> Situation:
    made = at(root, {**COMMON, "/.dockerenv": b""}, WINE)
    return situation(replace(made.target, live=True), made.path)


def captured(made: Situation) -> Situation:
    """Return what is known of a machine that was captured from inside a container."""
    facts = MachineFacts(arch="x86_64", kernel="6.1.0")
    return situation(replace(made.target, machine_facts=facts), made.path)


def unpacked_on_noexec(made: Situation) -> Situation:
    """Return a machine whose /scratch, the directory that is asked for, executes nothing."""
    mounts = (Mount(point="/", fstype="ext4"), Mount(point="/scratch", fstype="tmpfs", options=("rw", "noexec")))
    facts = MachineFacts(arch="x86_64", kernel="6.1.0", mounts=mounts)
    return situation(replace(made.target, machine_facts=facts), made.path, env={"TMPDIR": "/scratch"})


def with_interpreter(held: bytes | None, flags: str, root: Path) -> Situation:
    handler = Handler(name="hello", interpreter="/opt/hello", magic=b"HELLO", flags=flags)
    line = format_registration(handler) + b"\n"
    files = {**SYSTEMD, "/opt/app": b"HELLO world\n", "/usr/lib/binfmt.d/hello.conf": line}
    return at(root, {**files, "/opt/hello/x" if held is None else "/opt/hello": held or b""}, handler)


def not_executable_interpreter(root: Path) -> Situation:
    made = with_interpreter(STATIC, "", root)
    (root / "opt/hello").chmod(0o644)
    return situation(target_of(root, made.target.handlers), made.path)


def without_emulator(release: bytes, root: Path) -> Situation:
    return at(root, {**SYSTEMD, "/etc/os-release": release, "/opt/app": elf(machine="aarch64", kind=2, dynamic=False)})


SCENES: Mapping[str, Callable[[Path], Situation]] = {
    "ape-systemd": lambda root: at(root, SYSTEMD, WINE),
    "ape-systemd-names-that-sort-last": lambda root: at(
        root, {**SYSTEMD, "/etc/binfmt.d/zzz.conf": b":zzz:M::MZ::/usr/bin/wine:\n"}, WINE
    ),
    "ape-loader-named": lambda root: at(
        root, {**SYSTEMD, "/opt/app": ape(), "/opt/bin/ape": like_ape_loader()}, WINE, loader="/opt/bin/ape"
    ),
    "ape-loader-that-is-none": lambda root: at(
        root, {**SYSTEMD, "/opt/bin/true": STATIC}, WINE, loader="/opt/bin/true"
    ),
    "ape-beside-another-ape": lambda root: at(root, {**SYSTEMD, "/usr/bin/ape": STATIC}, WINE),
    "ape-without-a-loader": lambda root: at(root, {**SYSTEMD, "/opt/app": ape()}, WINE),
    "ape-of-another-machine": lambda root: at(root, {**SYSTEMD, "/opt/app": ape(machines=("aarch64",))}, WINE),
    "ape-binfmt-support": lambda root: at(root, BINFMT_SUPPORT, WINE_PACKAGE),
    "ape-openrc": lambda root: at(root, OPENRC, WINE),
    "ape-wsl": on_wsl,
    "ape-in-a-container": in_container,
    "ape-nobody-takes": lambda root: at(root, SYSTEMD),
    "elf-taken": lambda root: at(
        root,
        {**SYSTEMD, "/opt/app": STATIC},
        ALL_ELF,
        ARM,
    ),
    "elf-taken-by-a-file-of-others": lambda root: at(
        root, {**SYSTEMD, "/opt/app": STATIC, "/usr/lib/binfmt.d/wine.conf": _SEVERAL}, ALL_ELF, ARM
    ),
    "elf-taken-by-an-own-file": lambda root: at(
        root,
        {
            **SYSTEMD,
            "/opt/app": STATIC,
            "/etc/binfmt.d/mine.conf": _SEVERAL,
            "/usr/lib/binfmt.d/early.conf": b":all-elf:M::\\x7fELF::/usr/bin/wine:\n",
        },
        ALL_ELF,
        ARM,
    ),
    "elf-emulated-needlessly": lambda root: at(
        root,
        {**SYSTEMD, "/opt/app.old": STATIC, "/usr/bin/qemu-x86_64": STATIC},
        Handler(name="old", interpreter="/usr/bin/qemu-x86_64", extension="old"),
        path="/opt/app.old",
    ),
    "ape-taken-by-two": lambda root: at(
        root,
        {**SYSTEMD, "/usr/lib/binfmt.d/wine.conf": _TWO},
        replace(WINE, name="DOSWin2", interpreter="/bin/sh"),
        WINE,
    ),
    "ape-without-gzip": lambda root: at(
        root, {path: held for path, held in SYSTEMD.items() if not path.endswith("gzip")}
    ),
    "ape-in-a-captured-container": lambda root: captured(at(root, {**SYSTEMD, "/.dockerenv": b""}, WINE)),
    "ape-scratch-noexec": lambda root: unpacked_on_noexec(at(root, {**SYSTEMD, _SCRATCH: b"", "/scratch/x": b""})),
    "script-taken": lambda root: at(
        root,
        {**SYSTEMD, "/opt/app": b"#!/bin/sh\n", "/usr/lib/binfmt.d/all.conf": b":all:M::#!::/usr/bin/gone:\n"},
        Handler(name="all", interpreter="/usr/bin/gone", magic=b"#!"),
    ),
    **{
        f"handler-for-{name}": functools.partial(with_interpreter, held, flags)
        for name, held, flags in (
            ("a-directory", None, ""),
            ("another-machine", elf(machine="aarch64", kind=2, dynamic=False), ""),
            ("text", b"text\n", ""),
            ("a-script-with-C", b"#!/bin/sh\n", "OC"),
        )
    },
    "handler-for-a-file-without-x": not_executable_interpreter,
    "handler-without-interpreter": lambda root: at(
        root, {**SYSTEMD, "/opt/app": elf(machine="aarch64", kind=2, dynamic=False)}, ARM
    ),
    **{
        f"no-emulator-{name}": functools.partial(without_emulator, release)
        for name, release in {
            "debian-12": b"ID=debian\nVERSION_ID=12\n",
            "debian-13": b"ID=debian\nVERSION_ID=13\n",
            "fedora": b"ID=fedora\nVERSION_ID=41\n",
            "alpine": b"ID=alpine\nVERSION_ID=3.20.1\n",
            "arch": b"ID=arch\n",
            "suse": b'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n',
            "nobody": b"ID=other\n",
        }.items()
    },
    "ape-wsl-root": lambda root: at(
        root,
        {**SYSTEMD, "/etc/wsl.conf": b"[boot]\nsystemd=true\n"},
        Handler(name="WSLInterop", interpreter="/init", magic=b"MZ", flags="P", origin="WSL"),
    ),
    "ape-header-too-far": lambda root: at(root, {**SYSTEMD, "/opt/app": ape(far=True)}, WINE),
    "ape-header-too-far-for-its-loader": lambda root: at(
        root,
        {**SYSTEMD, "/opt/app": ape(far=True), "/opt/bin/ape": STATIC + b"MZqFpD='"},
        Handler(name="APE", interpreter="/opt/bin/ape", magic=b"MZqFpD"),
    ),
    "carriage-return-of-env": lambda root: at(
        root, {**SYSTEMD, "/opt/app": b"#!/usr/bin/env sh\r\nexit\r\n", "/usr/bin/env": STATIC}
    ),
    "words-of-env": lambda root: at(root, {**SYSTEMD, "/opt/app": b"#!/usr/bin/env sh -e\n", "/usr/bin/env": STATIC}),
    "byte-order-mark": lambda root: at(root, {**SYSTEMD, "/opt/app": b"\xef\xbb\xbf#!/bin/sh\nexit\n"}),
    "noexec": noexec,
    "not-executable": not_executable,
    "carriage-returns": lambda root: at(root, {**SYSTEMD, "/opt/app": b"#!/bin/sh\r\nexit\r\n"}),
    "script-interpreter": lambda root: at(root, {**SYSTEMD, "/opt/app": b"#!/usr/bin/node\n"}),
    "script-interpreter-relative": lambda root: at(root, {**SYSTEMD, "/opt/app": b"#!bin/none\n"}),
    "nothing-fails": lambda root: at(root, {**SYSTEMD, "/opt/app": STATIC}),
}


def told(remedy: Remedy) -> str:
    marks = [remedy.applicability, "proved" if remedy.proved else "not proved", *(["stays"] if remedy.stays else [])]
    return "\n".join([f"{remedy.title}  ({', '.join(marks)})", f"  {remedy.proof}", *lines(remedy.edits, "  ")])


def lines(edits: tuple[Edit, ...], indent: str) -> list[str]:
    found = []
    for edit in edits:
        found.append(f"{indent}- {edit.words}")
        if isinstance(edit, WriteFile):
            found += [f"{indent}    | {line}" for line in edit.content.decode().splitlines()]
        elif isinstance(edit, EditText):
            found.append(f"{indent}    {edit.before!r} -> {edit.after!r}")
        elif isinstance(edit, RegisterHandler):
            found.append(f"{indent}    {format_registration(edit.handler).decode()}")
        elif isinstance(edit, RunCommand):
            found.append(f"{indent}    $ {' '.join(edit.argv)}")
            found += [f"{indent}    undo: {' '.join(edit.undo)}"] if edit.undo else []
        if isinstance(edit, (RunCommand, InstallPackages, RemovePackages)):
            found += lines(edit.effects, f"{indent}    ")
    return found


@pytest.mark.parametrize("name", SCENES)
def test_plan(name: str, tmp_path: Path) -> None:
    made = SCENES[name](tmp_path)
    remedies = plan(made)
    text = "\n\n".join(map(told, remedies)) + "\n"
    expected = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE"):
        expected.write_text(text)
    assert text == expected.read_text()
    for remedy in (one for one in remedies if one.proved):
        after = edited(made.target, remedy.edits)
        back = edited(after, inverse(made.target, remedy.edits))
        assert back.handlers == made.target.handlers
    proved = [remedy.proved for remedy in remedies]
    assert proved == sorted(proved, reverse=True), "what is proved comes first"


def test_every_expected_text_is_of_a_scene() -> None:
    assert {path.stem for path in EXPECTED.iterdir()} == set(SCENES)


@pytest.mark.parametrize("content", [STATIC, b"#!/bin/sh\r\nexit\r\n", APP])
def test_a_file_behind_a_link_is_edited_itself(tmp_path: Path, content: bytes) -> None:
    """Whoever carries it out in a directory would follow the link to wherever it leads on this machine."""
    root = write_tree(tmp_path, {**SYSTEMD, "/srv/tool": content, "/opt/tool": "/srv/tool"})
    if content is STATIC:
        (root / "srv/tool").chmod(0o640)
    made = situation(target_of(root, handlers(*([WINE] if content is APP else []))), "/opt/tool")
    edits = [edit for remedy in plan(made) if remedy.proved for edit in remedy.edits]
    touched = [edit.path for edit in edits if isinstance(edit, (EditText, SetMode))]
    assert touched + [edit.source for edit in edits if isinstance(edit, CopyFile)] == ["/srv/tool"]


@pytest.mark.parametrize(
    ("machine", "package"),
    [("ppc64le", "ppc"), ("riscv64", "riscv"), ("s390x", "s390x"), ("x86_64", "x86")],
)
def test_packages_of_fedora_are_called_by_the_family(tmp_path: Path, machine: str, package: str) -> None:
    """https://packages.fedoraproject.org/pkgs/qemu/qemu-user-static/ names them all."""
    program = elf(machine=machine, kind=2, dynamic=False)
    release = b"ID=fedora\nVERSION_ID=41\n"
    root = write_tree(tmp_path, {**SYSTEMD, "/etc/os-release": release, "/opt/app": program})
    made = situation(target_of(root, handlers(), "aarch64"), "/opt/app")
    (edit,) = plan(made)[0].edits
    assert isinstance(edit, InstallPackages)
    assert edit.names == (f"qemu-user-static-{package}",)


def test_what_a_script_carries_behind_its_text_is_left_alone(tmp_path: Path) -> None:
    made = at(tmp_path, {**SYSTEMD, "/opt/app": b"#!/bin/sh\r\nexit\r\n\x1f\x8b\0\r\n\0"})
    (remedy,) = plan(made)
    assert (remedy.edits, remedy.proved) == ((), False)
    assert "could come to harm" in remedy.proof


@pytest.mark.parametrize(("there", "name"), [("~x", "zz-ape"), ("zz\udcff", "zz-ape"), ("zzz", "zzzz-ape")])
def test_names_grow_only_where_that_helps(tmp_path: Path, there: str, name: str) -> None:
    made = at(tmp_path, {**SYSTEMD, f"/etc/binfmt.d/{there}.conf": b":other:M::MZ::/usr/bin/wine:\n"}, WINE)
    (path,) = {edit.path for remedy in plan(made) for edit in remedy.edits if isinstance(edit, WriteFile)}
    assert path == f"/etc/binfmt.d/{name}.conf"


def test_a_remedy_that_loses_at_boot_does_not_stay() -> None:
    """The database of binfmt-support is read after binfmt.d: a file there wins now and loses at boot."""
    with tempfile.TemporaryDirectory() as scratch:
        made = at(Path(scratch), {**BINFMT_SUPPORT, "/usr/sbin/update-binfmts": STATIC}, WINE_PACKAGE)
        assert not [one for one in plan(made) if one.proved and "in /etc/binfmt.d" in one.title]
        assert [one for one in plan(made) if not one.proved and "in /etc/binfmt.d" in one.title]


def test_a_remedy_that_takes_another_handler_along_is_not_proved(tmp_path: Path) -> None:
    made = at(tmp_path, {**SYSTEMD, "/opt/app": STATIC, "/usr/lib/binfmt.d/wine.conf": _SEVERAL}, ALL_ELF, ARM)
    (cause,) = (step for step in made.result.trace.needs if step.taken == "foreign")
    edits = (LinkFile(path="/etc/binfmt.d/wine.conf", text="/dev/null"), DisableHandler(name="all-elf"))
    remedy = judged(made, cause, Proposal(title="mask the file", edits=edits, stays=True))
    assert not remedy.proved
    assert "the handler qemu-aarch64 (/usr/bin/qemu-aarch64-static) is lost as well" in remedy.proof


@pytest.mark.parametrize("kept", [True, False])
def test_handlers_of_a_chroot_can_be_opened_by_their_host(tmp_path: Path, *, kept: bool) -> None:
    """Of a machine itself it is known that the interpreter is not there: opening it once would not help."""
    made = with_interpreter(STATIC, "", tmp_path)
    (tmp_path / "opt/hello").unlink()
    target = target_of(tmp_path, made.target.handlers)
    if not kept:
        target = replace(target, machine_facts=MachineFacts(arch="x86_64", kernel="6.1.0"))
    titles = [one.title for one in plan(situation(target, "/opt/app"))]
    assert any("with the flag F" in one for one in titles) == kept
    assert titles[-1] == "put /opt/hello into the target"


@pytest.mark.parametrize(
    "release", [b'ID="rhel"\nID_LIKE="fedora"\n', b'ID="almalinux"\nID_LIKE="rhel centos fedora"\n']
)
def test_no_package_is_proposed_that_nobody_makes(tmp_path: Path, release: bytes) -> None:
    (remedy,) = plan(without_emulator(release, tmp_path))
    assert (remedy.title, remedy.edits) == (
        "install an emulator for aarch64 (qemu-user): the repositories of the distribution have none",
        (),
    )
