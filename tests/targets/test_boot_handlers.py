"""Which handlers a root registers when it boots."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.formats.binfmt.conf import shell_rules, systemd_rules
from runworthy.formats.binfmt.database import parse_format
from runworthy.model.binfmt import BootPlan, Handler, Handlers
from runworthy.model.errors import FormatError
from runworthy.targets.binfmt.boot import _ordered, boot_handlers
from runworthy.targets.binfmt.difference import difference
from runworthy.targets.binfmt.units import Unit
from runworthy.targets.directory import DirectoryView
from runworthy.targets.host import directory_target
from runworthy.targets.stream.reading import collector, read_stream
from runworthy.targets.view import FileView
from tests.formats.packages import tar
from tests.targets.snapshot.made import captured

Files = Mapping[str, bytes | str | None]
APE = b":APE:M::MZqFpD::/usr/bin/ape:P\n"
WINE = b":DOSWin:M::MZ::/usr/bin/wine:\n"
UNITS = "usr/lib/systemd/system"
BINFMT = b"""\
[Unit]
ConditionPathIsMountPoint=/proc/sys/fs/binfmt_misc
ConditionDirectoryNotEmpty=|/usr/lib/binfmt.d
ConditionDirectoryNotEmpty=|/etc/binfmt.d
ConditionDirectoryNotEmpty=|/run/binfmt.d
[Service]
ExecStart=/usr/lib/systemd/systemd-binfmt
"""
SYSTEMD: Files = {
    "etc/os-release": b"ID=x\n",
    "sbin/init": "->../usr/lib/systemd/systemd",
    "usr/lib/systemd/systemd": b"init",
    f"{UNITS}/systemd-binfmt.service": BINFMT,
    f"{UNITS}/proc-sys-fs-binfmt_misc.automount": b"[Automount]\nWhere=/proc/sys/fs/binfmt_misc\n",
    f"{UNITS}/proc-sys-fs-binfmt_misc.mount": b"[Mount]\nWhere=/proc/sys/fs/binfmt_misc\n",
    f"{UNITS}/sysinit.target.wants/systemd-binfmt.service": "->../systemd-binfmt.service",
    f"{UNITS}/sysinit.target.wants/proc-sys-fs-binfmt_misc.automount": "->../proc-sys-fs-binfmt_misc.automount",
}
SUPPORT: Files = {
    f"{UNITS}/binfmt-support.service": (
        b"[Unit]\nAfter=systemd-binfmt.service\n[Service]\nExecStart=/usr/sbin/update-binfmts --enable\n"
    ),
    "etc/systemd/system/multi-user.target.wants/binfmt-support.service": f"->/{UNITS}/binfmt-support.service",
}
RULES: Files = {"etc/binfmt.d/ape.conf": APE, "usr/lib/binfmt.d/wine.conf": WINE}


def database(name: str, magic: bytes = b"MZ", *rest: bytes) -> Files:
    lines = (b"pkg", b"magic", b"0", magic, b"", b"/usr/bin/" + name.encode(), *rest)
    return {f"var/lib/binfmts/{name}": b"".join(line + b"\n" for line in lines)}


def unit(name: str, text: bytes) -> Files:
    path = f"etc/systemd/system/{name}"
    return {path: text, f"etc/systemd/system/multi-user.target.wants/{name}": f"->/{path}"}


def made(root: Path, *files: Files) -> Path:
    """Write files, links (``->target``) and directories (None) below ``root``; what comes later counts."""
    for path, what in {name: what for one in files for name, what in one.items()}.items():
        at = root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        if what is None:
            at.mkdir(exist_ok=True)
        elif isinstance(what, str):
            at.symlink_to(what.removeprefix("->"))
        else:
            at.write_bytes(what)
            at.chmod(0o755 if path.startswith(("usr/bin/", "etc/rc.local", "etc/local.d/")) else 0o644)
    return root


def plan(root: Path, *files: Files, **how: object) -> BootPlan:
    return boot_handlers(DirectoryView(str(made(root, *files))), **how)  # type: ignore[arg-type]


def names(found: BootPlan) -> list[str]:
    return [one.name for one in found.handlers.entries]


def noted(found: BootPlan, path: str) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in found.notes if note.path == path]


# -- files -----------------------------------------------------------------------------------


def test_lines_of_binfmt_d() -> None:
    data = b"# no\n\n  :a:b \r\n;\n:c:d\n\r\0:e:f\0\0:g:h"
    assert [tuple(rule) for rule in systemd_rules(data)] == [(3, b":a:b"), (5, b":c:d"), (6, b":e:f"), (8, b":g:h")]
    with pytest.raises(FormatError):
        list(systemd_rules(b":" * (1 << 20)))


def test_lines_that_a_shell_reads() -> None:
    data = b":a:M::\\x7f\\\n  rest \n#\n:lost"
    assert [rule.text for rule in shell_rules(data, raw=True)] == [b":a:M::\\x7f\\", b"rest"]
    assert [rule.text for rule in shell_rules(data, raw=False)] == [b":a:M::x7f  rest"]


def test_a_format_is_a_line_each() -> None:
    found = parse_format(b"x", b"pkg \nmagic\n0\n\\x00MZ\n\n/bin/x\t\n\nyes\nyes\nyes\n")
    assert found.line(b"/i") == b":x:M:0:\\x00MZ::/i:CPF\n"
    assert parse_format(b"x", b":\nextension\n0\nexe\n\n/bin/x").line(b"/i") == b":x:E:0:exe::/i:\n"
    with pytest.raises(FormatError, match="before the interpreter"):
        parse_format(b"x", b"pkg\nmagic\n0\nMZ\n\n")


# -- systemd ---------------------------------------------------------------------------------


def test_files_are_read_by_name_and_the_last_rule_wins(tmp_path: Path) -> None:
    found = plan(tmp_path, SYSTEMD, RULES)
    assert names(found) == ["DOSWin", "APE"]
    assert [one.origin for one in found.handlers.entries] == ["/usr/lib/binfmt.d/wine.conf", "/etc/binfmt.d/ape.conf"]
    assert found.systems == ("systemd-binfmt.service",)
    assert not found.handlers.stated


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"etc/systemd/system/systemd-binfmt.service": "->/dev/null"}, "masks systemd-binfmt.service"),
        ({"etc/systemd/system/systemd-binfmt.service": "->../../../dev/null"}, "masks systemd-binfmt.service"),
        ({"etc/systemd/system/systemd-binfmt.service": b""}, "masks systemd-binfmt.service"),
        ({"etc/systemd/system/sysinit.target.wants/systemd-binfmt.service": "->/dev/null"}, "is not enabled"),
        ({"etc/systemd/system/proc-sys-fs-binfmt_misc.automount": "->/dev/null"}, "ConditionPathIsMountPoint"),
        ({"etc/systemd/system/proc-sys-fs-binfmt_misc.mount": "->/dev/null"}, "ConditionPathIsMountPoint"),
        (
            {"etc/systemd/system/systemd-binfmt.service.d/x.conf": b"[Unit]\nConditionPathExists=/nowhere\n"},
            "ConditionPathExists=/nowhere does not hold",
        ),
    ],
)
def test_what_keeps_systemd_from_reading_them(tmp_path: Path, files: Files, reason: str) -> None:
    found = plan(tmp_path, SYSTEMD, RULES, files)
    assert names(found) == []
    kind, text = noted(found, "/etc/binfmt.d/ape.conf")[0]
    assert kind == "off"
    assert reason in text


def test_a_mount_in_fstab_will_do(tmp_path: Path) -> None:
    masked = {"etc/systemd/system/proc-sys-fs-binfmt_misc.automount": "->/dev/null"}
    table = {"etc/fstab": b"none /proc/sys/fs/binfmt_misc binfmt_misc defaults 0 0\n"}
    assert names(plan(tmp_path, SYSTEMD, RULES, masked, table)) == ["DOSWin", "APE"]


def test_conditions_that_are_reset_or_cannot_be_seen(tmp_path: Path) -> None:
    place = "etc/systemd/system/systemd-binfmt.service.d"
    drop = {f"{place}/x.conf": b"[Unit]\nConditionPathExists=\nConditionVirtualization=!container\n"}
    found = plan(tmp_path, SYSTEMD, RULES, drop)
    assert names(found) == ["DOSWin", "APE"]
    assert noted(found, f"/{UNITS}/systemd-binfmt.service") == [
        ("unknown", "whether ConditionVirtualization=!container holds is not known")
    ]


def test_a_machine_that_boots_can_write_to_proc_sys(tmp_path: Path) -> None:
    """The unit of systemd 253 and older asks that."""
    text = BINFMT.replace(b"ConditionPathIsMountPoint=/proc/sys/fs/binfmt_misc", b"ConditionPathIsReadWrite=/proc/sys/")
    found = plan(tmp_path, {**SYSTEMD, f"{UNITS}/systemd-binfmt.service": text}, RULES)
    assert names(found) == ["DOSWin", "APE"]
    assert noted(found, f"/{UNITS}/systemd-binfmt.service") == []


def test_a_directory_with_backups_only_is_empty(tmp_path: Path) -> None:
    files: Files = {"etc/binfmt.d/x.conf.bak": WINE, "etc/binfmt.d/.y.conf": WINE, "etc/binfmt.d/z~": WINE}
    assert plan(tmp_path, SYSTEMD, files).systems == ()


def test_what_is_in_run_is_gone_at_boot(tmp_path: Path) -> None:
    files: Files = {"run/binfmt.d/ape.conf": APE, "etc/binfmt.d/wine.conf": WINE}
    found = plan(tmp_path, SYSTEMD, files)
    assert names(found) == ["DOSWin"]
    assert noted(found, "/run/binfmt.d/ape.conf")[0][0] == "ignored"
    assert names(boot_handlers(DirectoryView(str(tmp_path)), volatile=True)) == ["DOSWin", "APE"]


def test_notes_say_what_becomes_of_each_file(tmp_path: Path) -> None:
    files: Files = {
        "usr/lib/binfmt.d/wine": WINE,
        "usr/lib/binfmt.d/ape.conf": b"older",
        "etc/binfmt.d/ape.conf": APE + b"\n:bad:M::MZ::/x:Q\n:APE:M::MZq::/usr/bin/other:\n",
        "etc/binfmt.d/fixed.conf": b":f:M::f::/usr/bin/absent:F\n",
        "etc/binfmt.d/gone.conf": "->/nowhere",
    }
    found = plan(tmp_path, SYSTEMD, files)
    assert [(one.name, one.interpreter) for one in found.handlers.entries] == [("APE", "/usr/bin/other")]
    told = {(note.path, note.line): note for note in found.notes}
    assert told["/usr/lib/binfmt.d/wine", 0].text == "has no suffix .conf: systemd never reads it"
    assert told["/usr/lib/binfmt.d/ape.conf", 0].kind == "masked"
    assert told["/etc/binfmt.d/ape.conf", 3].text.startswith("EINVAL: ")
    assert told["/etc/binfmt.d/ape.conf", 0].text.endswith("deleted again by /etc/binfmt.d/ape.conf, line 4")
    assert told["/etc/binfmt.d/fixed.conf", 1].text.startswith("ENOENT: /usr/bin/absent")
    assert told["/etc/binfmt.d/gone.conf", 0].kind == "ignored"


def test_formats_come_after_the_files_and_so_before_them(tmp_path: Path) -> None:
    found = plan(tmp_path, SYSTEMD, SUPPORT, RULES, database("zz-ape", b"MZqFpD"), database("DOSWin"))
    assert names(found) == ["zz-ape", "DOSWin", "APE"]
    assert noted(found, "/var/lib/binfmts/DOSWin") == [
        ("masked", "a handler DOSWin is there already, of /usr/lib/binfmt.d/wine.conf")
    ]
    assert found.systems == ("systemd-binfmt.service", "binfmt-support.service")


def test_formats_of_one_magic_are_chosen_by_run_detectors(tmp_path: Path) -> None:
    cli = database("cli", b"MZ", b"/usr/lib/cli/binfmt-detector-cli")
    fixed = database("fixed", b"MZ", b"", b"", b"", b"yes")
    found = plan(tmp_path, SYSTEMD, SUPPORT, cli, database("wine"), fixed, {"usr/share/binfmts/jar": b"package x\n"})
    assert names(found) == ["wine", "cli"]
    for handler in found.handlers.entries:
        assert handler.interpreter == "/usr/lib/binfmt-support/run-detectors"
        assert [(one.name, one.interpreter) for one in handler.others] == [
            ("cli", "/usr/bin/cli"),
            ("wine", "/usr/bin/wine"),
        ]
    assert found.handlers.entries[1].detector == "/usr/lib/cli/binfmt-detector-cli"
    assert noted(found, "/var/lib/binfmts/fixed")[0][0] == "refused"
    assert noted(found, "/usr/share/binfmts/jar")[0][0] == "ignored"


def test_one_damaged_format_keeps_all_away(tmp_path: Path) -> None:
    found = plan(tmp_path, SYSTEMD, SUPPORT, database("wine"), {"var/lib/binfmts/a": b"pkg\n"})
    assert names(found) == []
    assert noted(found, "/var/lib/binfmts/a")[0][0] == "stops"


def test_a_unit_of_the_keeper_registers_when_its_turn_comes(tmp_path: Path) -> None:
    line = b":APE:M::MZqFpD::/usr/bin/ape:"
    text = b"[Unit]\n%s\n[Service]\nExecStart=/bin/sh -c \"echo '%s' >/proc/sys/fs/binfmt_misc/register\"\n"
    wine: Files = {"etc/binfmt.d/wine.conf": WINE}
    found = plan(tmp_path / "late", SYSTEMD, wine, unit("ape.service", text % (b"After=wsl-binfmt.service", line)))
    assert names(found) == ["APE", "DOSWin"]
    early = b"DefaultDependencies=no\nBefore=systemd-binfmt.service"
    assert names(plan(tmp_path / "early", SYSTEMD, wine, unit("ape.service", text % (early, line)))) == ["DOSWin"]
    found = plan(tmp_path / "any", SYSTEMD, wine, SUPPORT, unit("ape.service", text % (b"", line)))
    assert noted(found, "/etc/systemd/system/ape.service")[0][0] == "unknown"


NAMES = [f"{letter}.service" for letter in "abcdef"]
orders = st.dictionaries(st.sampled_from(NAMES), st.tuples(*[st.sets(st.sampled_from(NAMES), max_size=3)] * 2))


@given(orders)
def test_units_start_after_those_that_they_name(wishes: dict[str, tuple[set[str], set[str]]]) -> None:
    """The first that waits for none of those that are left; where all wait, the first of all."""
    units = [
        Unit(name=name, path="", settings=(("Unit", "After", " ".join(after)), ("Unit", "Before", " ".join(before))))
        for name, (after, before) in wishes.items()
    ]
    left, expected = list(wishes), list[str]()
    while left:
        ready = [
            name
            for name in left
            if not any(one in wishes[name][0] or name in wishes[one][1] for one in left if one != name)
        ]
        left.remove((ready or left)[0])
        expected += set(wishes).difference(left, expected)
    assert [unit.name for unit in _ordered(units)] == expected


def test_any_number_of_units_is_ordered() -> None:
    """A root may have as many as it likes: comparing each with each for each of them takes hours."""
    many = [
        Unit(name=f"{at}.service", path="", settings=(("Unit", "After", f"{at + 1}.service {at // 2}.service"),))
        for at in range(4000)
    ]
    assert sorted(map(id, _ordered(many))) == sorted(map(id, many))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"[Service]\nExecStart=", b" \\", ["APE"]),  # the end of the file ends a continued line
        (b"[Service]\nExecStart=/bin/true \\\\\nExecStart=", b"", ["APE"]),  # an escaped backslash continues nothing
        (b"[Service]\n# \xe2\x80\xa8ExecStart=", b"", []),  # a separator of Unicode ends no line
        (b"[Service]\rExecStart=", b"\r\n", ["APE"]),
    ],
)
def test_lines_of_a_unit(tmp_path: Path, before: bytes, after: bytes, expected: list[str]) -> None:
    command = b"/bin/sh -c \"echo ':APE:M::MZqFpD::/usr/bin/ape:' >/proc/sys/fs/binfmt_misc/register\""
    assert names(plan(tmp_path, SYSTEMD, unit("ape.service", before + command + after))) == expected


def test_a_script_switches_and_deletes(tmp_path: Path) -> None:
    script = b"""#!/bin/sh
# echo ':no:M::no::/x:' > /proc/sys/fs/binfmt_misc/register
echo -1 > /proc/sys/fs/binfmt_misc/DOSWin
echo 0 > /proc/sys/fs/binfmt_misc/APE
echo ":late:E::exe::/usr/bin/x:" | tee /proc/sys/fs/binfmt_misc/register
printf ':made:M::\\x7f::/x:' > /proc/sys/fs/binfmt_misc/register
"""
    found = plan(tmp_path, SYSTEMD, RULES, {"etc/rc.local": script})
    assert [(one.name, one.enabled) for one in found.handlers.entries] == [("late", True), ("APE", False)]
    assert noted(found, "/etc/rc.local") == [("unknown", "what is written to register is made by a shell")]


# -- other systems ---------------------------------------------------------------------------

OPENRC: Files = {
    "sbin/init": b"init",
    "etc/inittab": b"::sysinit:/sbin/openrc sysinit\n",
    "etc/runlevels/boot/procfs": "->/etc/init.d/procfs",
    "etc/runlevels/boot/binfmt": "->/etc/init.d/binfmt",
}


def test_openrc_reads_the_same_files(tmp_path: Path) -> None:
    found = plan(tmp_path, OPENRC, RULES, {"usr/lib/binfmt.d/ape.conf": WINE, "etc/binfmt.d/systemd-x.conf": WINE})
    assert names(found) == ["DOSWin", "APE"]
    assert found.systems == ("binfmt",)


@pytest.mark.parametrize("missing", ["procfs", "binfmt"])
def test_openrc_without_a_service(tmp_path: Path, missing: str) -> None:
    files = {path: what for path, what in OPENRC.items() if not path.endswith(f"boot/{missing}")}
    found = plan(tmp_path, files, RULES)
    assert names(found) == []
    assert noted(found, "/etc/binfmt.d/ape.conf")[0][0] == "off"


def test_an_old_script_of_openrc_eats_backslashes(tmp_path: Path) -> None:
    files: Files = {"etc/binfmt.d/x.conf": b":x:M::\\x7fELF::/x:\n", "lib/rc/sh/binfmt.sh": b"while read line; do\n"}
    (handler,) = plan(tmp_path, OPENRC, files).handlers.entries
    assert handler.magic == b"x7fELF"


def test_system_v(tmp_path: Path) -> None:
    files: Files = {
        "sbin/init": b"init",
        "etc/inittab": b"id:2:initdefault:\n",
        "etc/init.d/binfmt-support": b"#!/bin/sh\n",
        "etc/rc2.d/S01binfmt-support": "->../init.d/binfmt-support",
    }
    assert names(plan(tmp_path, files, RULES, database("wine"))) == ["wine"]


def test_an_init_that_is_not_known(tmp_path: Path) -> None:
    found = plan(tmp_path, {"sbin/init": b"runit"}, RULES)
    assert found.handlers.unknown == "what /sbin/init starts is not modelled"


def test_a_container_registers_nothing(tmp_path: Path) -> None:
    found = plan(tmp_path, {"etc/os-release": b"ID=x\n"}, RULES)
    assert found.handlers == Handlers(basis="what this root registers when it boots")
    assert noted(found, "/etc/binfmt.d/ape.conf")[0][0] == "off"


# -- WSL -------------------------------------------------------------------------------------

BOOTED: Files = {"etc/wsl.conf": b"[boot]\nsystemd = true\n"}


def interop(name: str = "WSLInterop", flags: str = "P") -> Handlers:
    return Handlers(entries=(Handler(name=name, interpreter="/init", magic=b"MZ", flags=flags),), stated=True)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (None, ["WSLInterop", "wine", "APE"]),
        (interop(), ["WSLInterop", "wine", "APE"]),
        (interop("WSLInterop-late"), ["WSLInterop-late", "wine", "APE"]),
        (interop(flags="PF"), ["wine", "APE", "WSLInterop"]),
    ],
)
def test_wsl_with_systemd(tmp_path: Path, now: Handlers | None, expected: list[str]) -> None:
    rules: Files = {"etc/binfmt.d/ape.conf": APE}
    found = plan(tmp_path, SYSTEMD, SUPPORT, BOOTED, rules, database("wine"), now=now)
    assert names(found) == expected


def test_wsl_without_protection_forgets_its_own(tmp_path: Path) -> None:
    conf: Files = {"etc/wsl.conf": b"[boot]\nsystemd=true\nprotectBinfmt=false # why\n"}
    assert names(plan(tmp_path, SYSTEMD, RULES, conf, now=interop())) == ["DOSWin", "APE"]


def test_wsl_passes_over_a_word_that_is_no_truth_value(tmp_path: Path) -> None:
    conf: Files = {"etc/wsl.conf": b"[interop]\nenabled=yes\n[boot]\nsystemd=on\nprotectBinfmt=no\n"}
    found = plan(tmp_path / "warned", SYSTEMD, RULES, conf)
    assert (names(found), found.systems) == (["WSLInterop"], ("WSL",))
    off: Files = {"etc/wsl.conf": b"[interop]\nenabled=FALSE\n"}
    assert names(plan(tmp_path / "off", SYSTEMD, RULES, off)) == []


def test_wsl_without_systemd(tmp_path: Path) -> None:
    found = plan(tmp_path, SYSTEMD, RULES, {"etc/wsl.conf": b"[user]\ndefault=x\n"})
    assert names(found) == ["WSLInterop"]
    assert noted(found, "/etc/binfmt.d/ape.conf") == [("off", "WSL starts no systemd here")]


def test_a_kernel_that_is_not_of_wsl_decides(tmp_path: Path) -> None:
    assert names(plan(tmp_path, SYSTEMD, RULES, BOOTED, kernel="6.12.0-amd64")) == ["DOSWin", "APE"]
    assert names(plan(tmp_path, kernel="5.15.1-microsoft-standard-WSL2"))[0] == "WSLInterop"


# -- now and then ----------------------------------------------------------------------------


def handler(name: str, **what: object) -> Handler:
    fields: dict[str, object] = {"name": name, "interpreter": "/i", "magic": b"MZ", **what}
    return Handler(**fields)  # type: ignore[arg-type]


def test_a_boot_loses_adds_changes_and_moves() -> None:
    now = Handlers(entries=tuple(map(handler, "abcde")), stated=True)
    then = Handlers(entries=(handler("e"), handler("a"), handler("c", flags="F"), handler("d"), handler("f")))
    found = difference(now, then)
    assert [one.name for one in found.lost] == ["b"]
    assert [one.name for one in found.added] == ["f"]
    assert found.changed == ((handler("c"), handler("c", flags="F")),)
    assert [one.name for one in found.moved] == ["e"]
    assert not difference(now, Handlers(entries=tuple(handler(name, mask=b"\xff\xff") for name in "abcde")))
    off = difference(Handlers(entries=now.entries, enabled=False), now)
    assert len(off.changed) == 5


# -- taken along -----------------------------------------------------------------------------

ALL: Files = {
    **SYSTEMD,
    **SUPPORT,
    **RULES,
    **database("wine"),
    **database("cli", b"MZ", b"/usr/bin/detector"),
    **unit("x.service", b"[Service]\nExecStart=sh -c 'echo \":x:M::x::/x:\" > /proc/sys/fs/binfmt_misc/register'\n"),
    **unit("secret.service", b"[Service]\nEnvironment=TOKEN=hidden\n" + b"# long\n" * 40),
    "etc/fstab": b"# binfmt_misc is not here\n",
    "etc/rc.local": b"#!/bin/sh\necho -1 > /proc/sys/fs/binfmt_misc/APE\n",
    "etc/binfmt.d/fixed.conf": b":fixed:M::fixed::/usr/bin/runs:F\n:gone:M::gone::/usr/bin/gone:F\n",
    "usr/bin/runs": b"#!/bin/sh\n",
}


def of_snapshot(root: Path) -> FileView:
    return captured(root)


def of_tar(root: Path) -> FileView:
    buffer = io.BytesIO()
    import tarfile

    with tarfile.open(fileobj=buffer, mode="w") as out:
        out.add(root, ".")
    return captured(read_stream(io.BytesIO(buffer.getvalue()).read).root)


def of_collector(root: Path) -> FileView:
    done = subprocess.run(["sh", "-s", "--", str(root)], input=collector().encode(), capture_output=True, check=True)
    return captured(read_stream(io.BytesIO(done.stdout).read).root)


@pytest.mark.skipif(sys.platform != "linux", reason="the collector asks for the stat of Linux")
@pytest.mark.parametrize("taken", [of_snapshot, of_tar, of_collector])
@pytest.mark.parametrize("files", [ALL, {**ALL, **BOOTED}, {**OPENRC, **RULES, "etc/os-release": b"ID=x\n"}])
def test_what_was_taken_along_boots_alike(tmp_path: Path, taken: Callable[[Path], FileView], files: Files) -> None:
    root = made(tmp_path, files)
    view = taken(root)
    for now in (None, interop(flags="PF")):
        expected = boot_handlers(DirectoryView(str(root)), now=now)
        assert expected.handlers.entries
        assert boot_handlers(view, now=now) == expected


def test_no_other_unit_is_taken_along(tmp_path: Path) -> None:
    view = captured(made(tmp_path, ALL))
    assert "/etc/systemd/system/x.service" in view.meta.held
    assert "/etc/systemd/system/secret.service" not in view.meta.held


def test_a_directory_has_the_handlers_of_its_boot(tmp_path: Path) -> None:
    target = directory_target(str(made(tmp_path, SYSTEMD, RULES)), "./root", None, None)
    assert [one.name for one in target.handlers.entries] == ["DOSWin", "APE"]
    assert target.handlers.basis == "what ./root registers when it boots"
    assert not target.handlers.stated


# -- hostile roots ---------------------------------------------------------------------------

WORDS = (b"[Unit]", b"[Service]", b"ExecStart=", b"ConditionPathExists=|!", b"\\\n", b"\n", b"\0", b"echo '", b"\xff")
MARKS = (
    b":",
    b"M",
    b"MZ",
    b"/proc/sys/fs/binfmt_misc/register",
    b"\\x",
    b"=",
    b"../",
    b"#",
    b"' > ",
    b"systemd-binfmt",
)


def test_garbage_is_noted_and_never_raised(tmp_path: Path) -> None:
    pick = random.Random(4)  # noqa: S311 - a test that can be repeated
    places = [path for path, what in ALL.items() if isinstance(what, bytes)]
    for number in range(60):
        root = made(tmp_path / str(number), ALL, BOOTED)
        for path in pick.sample(places, 6):
            data = b"".join(pick.choices(WORDS + MARKS, k=pick.randint(0, 60)))
            (root / path).write_bytes(data)
        file = root / pick.choice(places)
        file.unlink()
        os.symlink(pick.choice([file.name, "/", "../..", "x" * 300]), file)
        assert boot_handlers(DirectoryView(str(root))).handlers.basis


def test_large_files_end_soon(tmp_path: Path) -> None:
    line = b":%d:M::MZ::/usr/bin/x:\n"
    files: Files = {
        "etc/binfmt.d/a.conf": b"".join(line % number for number in range(9_000)),
        "etc/binfmt.d/b.conf": b"".join(line % number for number in range(9_000)),
        "etc/binfmt.d/c.conf": b"x" * (1 << 20),
        "etc/systemd/system/systemd-binfmt.service.d/x.conf": b"[Unit]\n" + b"After=x\\\n" * 25_000,
        "etc/rc.local": b"echo '" * 40_000 + b"/proc/sys/fs/binfmt_misc/register",
    }
    found = plan(tmp_path, SYSTEMD, files)
    assert found.handlers.unknown == "there are more rules than are looked at"
    assert len(found.notes) <= 1000


def test_the_tar_of_the_tests_is_a_root_too(tmp_path: Path) -> None:
    files = {f"./{path}": what for path, what in (*SYSTEMD.items(), *RULES.items())}
    root = read_stream(io.BytesIO(tar(files)).read).root
    assert names(boot_handlers(root)) == ["DOSWin", "APE"]


REGISTERS = b"#!/bin/sh\nB=/proc/sys/fs/binfmt_misc\necho ':x:M::MZ::/bin/true:' >$B/register\n"
OWN_UNIT: Files = {
    "etc/systemd/system/reg.service": b"[Service]\nExecStart=-/usr/local/bin/reg.sh --now\n",
    "etc/systemd/system/multi-user.target.wants/reg.service": "->../reg.service",
}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({**OWN_UNIT, "usr/local/bin/reg.sh": REGISTERS}, "reg.service starts /usr/local/bin/reg.sh, which names"),
        ({**OWN_UNIT, "usr/local/bin/reg.sh": b"#!/bin/sh\necho\n"}, ""),
        ({"usr/local/bin/reg.sh": REGISTERS}, ""),  # nobody starts it
        (
            {
                "usr/lib/tmpfiles.d/x.conf": b"# w\nw! /proc/sys/fs/binfmt_misc/reg* - - - - :x:M::MZ::/bin/true:\n",
                f"{UNITS}/systemd-tmpfiles-setup.service": b"[Service]\nExecStart=systemd-tmpfiles --create\n",
            },
            "/usr/lib/tmpfiles.d/x.conf writes to /proc/sys/fs/binfmt_misc/reg* at boot",
        ),
        ({"etc/cron.d/x": b"@reboot root /usr/local/bin/reg.sh\n", "usr/local/bin/reg.sh": REGISTERS}, "/etc/cron.d/x"),
        ({"etc/cron.d/x": b"5 4 * * * root /usr/local/bin/reg.sh\n", "usr/local/bin/reg.sh": REGISTERS}, ""),
        ({"etc/modprobe.d/x.conf": b"install binfmt_misc /bin/false\n"}, "keeps the module binfmt_misc from being"),
        ({"etc/modprobe.d/x.conf": b"# blacklist binfmt_misc\ninstall other /bin/false\n"}, ""),
    ],
)
def test_whoever_else_may_register_makes_it_unknown(tmp_path: Path, files: Files, told: str) -> None:
    found = plan(tmp_path, SYSTEMD, RULES, files)
    assert told in found.handlers.unknown
    assert bool(found.handlers.unknown) == bool(told)
    assert [one.name for one in found.handlers.entries] == ["DOSWin", "APE"]
