"""What a root registers at boot, against systemd-binfmt and update-binfmts of Debian and a kernel's own binfmt_misc.

The real programs run in a root of their own, whose directories of configuration are those of a small root that the
model looks at. What they leave is compared entry by entry, in the order in which the kernel tries them.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.model.binfmt import BootPlan, Handler
from runworthy.model.edit import Edit, EditText, LinkFile, WriteFile
from runworthy.remedies.boot_files import registered_otherwise
from runworthy.targets.binfmt.boot import boot_handlers
from runworthy.targets.directory import DirectoryView
from tests.judges import roots
from tests.judges.kernel import MS_BIND, Kernel, requires_kernel

pytestmark = pytest.mark.judge

_MS_REC = 0x4000
_ROUNDS = 150
_CONFIGURED = (
    "etc/binfmt.d",
    "run/binfmt.d",
    "usr/local/lib/binfmt.d",
    "usr/lib/binfmt.d",
    "var/lib/binfmts",
)
_SHARED = ("etc/binfmt.d", "run", "tmp", *_CONFIGURED[2:], "etc/systemd/system", "judge")
_UNITS = (
    "systemd-binfmt.service",
    "binfmt-support.service",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
)
_CHOOSER = "usr/lib/binfmt-support/run-detectors"
_RUNNING = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_APE = b":APE:M::MZqFpD::/usr/bin/ape:FP"
_WINE = b":DOSWin:M::MZ::/usr/bin/wine:"


class Booted:
    """A Debian release whose boot can be repeated. ``root`` is what the model sees of it."""

    def __init__(self, base: Path, layer: Path, kernel: Kernel) -> None:
        self.kernel = kernel
        self.root = kernel.files / "root"
        self.merged = kernel.files / "merged"
        self.merged.mkdir()
        points = kernel.files / "points"
        for name in _SHARED:
            (self.root / name).mkdir(parents=True)
            (points / name).mkdir(parents=True)
        (self.root / "run/binfmt.d").mkdir()
        self._copy(layer)
        self._mount("overlay", "", kind="overlay", data=f"lowerdir={points}:{layer}:{base}")
        for name in ("proc", "dev"):
            self._mount(f"/{name}", name, flags=MS_BIND | _MS_REC)
        self._mount(str(kernel.binfmt_misc), "proc/sys/fs/binfmt_misc", flags=MS_BIND)
        for name in _SHARED:
            self._mount(str(self.root / name), name, flags=MS_BIND)

    def _copy(self, layer: Path) -> None:
        """Give the model the units, init and the interpreters that exist on both sides."""
        units = self.root / "usr/lib/systemd/system"
        (units / "sysinit.target.wants").mkdir(parents=True)
        (self.root / "usr/sbin").mkdir()
        (self.root / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
        for name in ("lib", "sbin", "bin"):
            (self.root / name).symlink_to(f"usr/{name}")
        for name in _UNITS:
            shutil.copy(layer / f"usr/lib/systemd/system/{name}", units)
        for wants in ("usr/lib/systemd/system/sysinit.target.wants", "etc/systemd/system/multi-user.target.wants"):
            for link in (layer / wants).iterdir():
                if link.name in _UNITS:
                    (self.root / wants / link.name).symlink_to(link.readlink())
        (self.root / "usr/sbin/init").symlink_to("/lib/systemd/systemd")
        (self.root / "usr/lib/systemd/systemd").touch(0o755)
        (self.root / _CHOOSER).parent.mkdir()
        (self.root / _CHOOSER).touch(0o755)
        for name, mode in (("runs", 0o755), ("plain", 0o644)):
            path = self.root / "judge" / name
            path.write_bytes(b"#!/bin/sh\n")
            path.chmod(mode)

    def _mount(self, source: str, point: str, kind: str | None = None, *, flags: int = 0, data: str = "") -> None:
        number = self.kernel.mount(source, self.merged / point, kind, flags, data or None)
        assert number == 0, f"mount {source} on {point}: {os.strerror(number)}"

    def clear(self) -> None:
        """Take the configuration and every handler away."""
        for name in _CONFIGURED:
            for path in (self.root / name).iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.kernel.clear()

    def run(self, *argv: str) -> int:
        """Run a program of the release as root; return its exit status."""
        done = self.kernel.execute(argv[0], argv, chroot=self.merged, env=_RUNNING)
        assert done.rc is not None, done
        return done.rc

    @property
    def conditions(self) -> list[str]:
        """What the unit of systemd-binfmt asks for, but for the mount, which is there."""
        text = (self.root / "usr/lib/systemd/system/systemd-binfmt.service").read_text()
        return [line for line in text.splitlines() if line.startswith("ConditionDirectory")]

    def holds(self, *conditions: str) -> bool:
        """Whether systemd itself finds that conditions hold."""
        return self.run("/usr/bin/systemd-analyze", "condition", *conditions) == 0

    def update(self, *argv: str) -> None:
        """Run update-binfmts, which complains of what the tests have it do."""
        self.run("/usr/sbin/update-binfmts", *argv)

    def boot(self) -> list[str]:
        """Start what the units start, in their order, and return the handlers as the kernel tells of them."""
        self.kernel.clear()
        if self.holds(*self.conditions):
            self.run("/usr/lib/systemd/systemd-binfmt")
        self.update("--enable")
        return [f"{name}\n{self.kernel.read(name)}" for name in self.kernel.entries()]

    def plan(self) -> BootPlan:
        """Return what the model says of the same boot; what is in /run is there already."""
        return boot_handlers(DirectoryView(str(self.root)), volatile=True)


def _told(handler: Handler) -> str:
    """Write a handler as the kernel does (fs/binfmt_misc.c, entry_status)."""
    lines = [handler.name, "enabled", f"interpreter {handler.interpreter}", f"flags: {handler.flags}"]
    if handler.extension:
        lines.append(f"extension .{handler.extension}")
    else:
        lines += [f"offset {handler.offset}", f"magic {handler.magic.hex()}"]
        lines += [f"mask {handler.mask.hex()}"] if handler.mask else []
    return "\n".join(lines) + "\n"


def _expected(booted: Booted) -> list[str]:
    return [_told(one) for one in booted.plan().handlers.entries]


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def booted(request: pytest.FixtureRequest) -> Iterator[Booted]:
    base, layer = roots.requires_boot(request.param)
    with requires_kernel() as kernel:
        yield Booted(base, layer, kernel)


@pytest.fixture
def fresh(booted: Booted) -> Iterator[Booted]:
    booted.clear()
    yield booted
    booted.clear()


def _names(booted: Booted) -> list[str]:
    """Boot for real and by the model; return the names in match order where both say the same."""
    real = booted.boot()
    assert _expected(booted) == real
    return [text.partition("\n")[0] for text in real]


def _put(booted: Booted, path: str, *lines: bytes) -> None:
    (booted.root / path).write_bytes(b"".join(line + b"\n" for line in lines))


_PLAIN_APE = b":APE:M::MZqFpD::/usr/bin/ape:P"


def test_the_units_give_the_order(booted: Booted) -> None:
    text = (booted.root / "usr/lib/systemd/system/binfmt-support.service").read_text()
    after = [line.split() for line in text.splitlines() if line.startswith("After=")]
    assert any("systemd-binfmt.service" in words for words in after)


_NAMES = "x .x x~ x.bak x.conf lost+found aquota.user x.dpkg-new x.swp new x.new .new x.bak.conf"


@pytest.mark.parametrize("name", _NAMES.split())
def test_what_makes_a_directory_be_not_empty(fresh: Booted, name: str) -> None:
    (fresh.root / "etc/binfmt.d" / name).touch()
    started = "systemd-binfmt.service" in fresh.plan().systems
    assert started == fresh.holds(*fresh.conditions)


@pytest.mark.parametrize(
    "target", ["/dev/null", "../../../dev/null", "/usr/lib/systemd/system/systemd-binfmt.service", ""]
)
def test_what_masks_a_unit(fresh: Booted, target: str) -> None:
    _put(fresh, "etc/binfmt.d/ape.conf", _PLAIN_APE)
    place = fresh.root / "etc/systemd/system/systemd-binfmt.service"
    place.symlink_to(target) if target else place.touch()
    try:
        masked = _said(fresh, "is-enabled", "systemd-binfmt.service") == "masked"
        assert masked == (not fresh.plan().handlers.entries)
    finally:
        place.unlink()


def _said(booted: Booted, *argv: str) -> str:
    """Return what systemctl says of the units that lie in the root."""
    done = booted.kernel.execute(
        "/usr/bin/systemctl", ["systemctl", "--root=/", *argv], chroot=booted.merged, env=_RUNNING
    )
    return done.stdout.strip()


def test_files_are_read_by_name_and_the_last_one_wins(fresh: Booted) -> None:
    _put(fresh, "etc/binfmt.d/ape.conf", _PLAIN_APE)
    _put(fresh, "usr/lib/binfmt.d/wine.conf", _WINE)
    assert _names(fresh) == ["DOSWin", "APE"]
    (fresh.root / "etc/binfmt.d/ape.conf").rename(fresh.root / "etc/binfmt.d/zz-ape.conf")
    assert _names(fresh) == ["APE", "DOSWin"]
    fresh.clear()
    _put(fresh, "etc/binfmt.d/both.conf", _PLAIN_APE, _WINE)
    assert _names(fresh) == ["DOSWin", "APE"]


def test_a_link_to_nothing_masks_a_file(fresh: Booted) -> None:
    _put(fresh, "usr/lib/binfmt.d/wine.conf", _WINE)
    _put(fresh, "usr/lib/binfmt.d/zz-ape.conf", _PLAIN_APE)
    (fresh.root / "etc/binfmt.d/wine.conf").symlink_to("/dev/null")
    assert _names(fresh) == ["APE"]


def test_a_rule_of_the_same_name_is_replaced_and_comes_first(fresh: Booted) -> None:
    _put(fresh, "etc/binfmt.d/a.conf", b":APE:M::MZqF::/usr/bin/old:", _WINE)
    _put(fresh, "etc/binfmt.d/b.conf", _PLAIN_APE)
    assert _names(fresh) == ["APE", "DOSWin"]


def test_a_file_without_the_suffix_is_never_read(fresh: Booted) -> None:
    _put(fresh, "usr/lib/binfmt.d/wine", _WINE)
    assert _names(fresh) == []
    notes = [note for note in fresh.plan().notes if note.path == "/usr/lib/binfmt.d/wine"]
    assert [note.kind for note in notes] == ["ignored"]


def test_what_was_registered_before_is_forgotten(fresh: Booted) -> None:
    _put(fresh, "etc/binfmt.d/zz-ape.conf", _PLAIN_APE)
    assert fresh.kernel.register(b":WSLInterop:M::MZ::/init:P") == 0
    fresh.run("/usr/lib/systemd/systemd-binfmt")
    assert fresh.kernel.entries() == ["APE"]
    assert _names(fresh) == ["APE"]


def test_formats_are_enabled_by_name(fresh: Booted) -> None:
    for name, magic in (("ape", "MZqFpD"), ("wine", "MZ")):
        fresh.update("--package", name, "--install", name, "/judge/runs", "--magic", magic)
    assert _names(fresh) == ["wine", "ape"]
    fresh.update("--package", "ape", "--remove", "ape", "/judge/runs")
    fresh.run(
        "/usr/sbin/update-binfmts", "--install", "zz-ape", "/judge/runs", "--magic", "MZqFpD", "--preserve", "yes"
    )
    assert _names(fresh) == ["zz-ape", "wine"]


def test_formats_come_before_the_rules_of_binfmt_d(fresh: Booted) -> None:
    _put(fresh, "etc/binfmt.d/zz-ape.conf", _PLAIN_APE)
    fresh.update("--install", "wine", "/judge/runs", "--magic", "MZ")
    assert _names(fresh) == ["wine", "APE"]


def test_formats_of_one_magic_go_through_run_detectors(fresh: Booted) -> None:
    fresh.update("--install", "wine", "/judge/runs", "--magic", "MZ")
    fresh.run(
        "/usr/sbin/update-binfmts", "--install", "cli", "/judge/runs", "--magic", "MZ", "--detector", "/judge/runs"
    )
    assert _names(fresh) == ["wine", "cli"]
    wine, cli = fresh.plan().handlers.entries
    assert wine.interpreter == cli.interpreter == f"/{_CHOOSER}"
    assert [one.name for one in wine.others] == ["cli", "wine"]


def test_one_corrupt_file_keeps_all_formats_away(fresh: Booted) -> None:
    fresh.update("--install", "wine", "/judge/runs", "--magic", "MZ")
    _put(fresh, "var/lib/binfmts/half", b"pkg", b"magic", b"0")
    assert _names(fresh) == []


# -- generated -------------------------------------------------------------------------------

_FILES = (
    "a.conf",
    "ape.conf",
    "wine.conf",
    "zz-ape.conf",
    "10-x.conf",
    "Z.conf",
    "é.conf",
    ".hidden.conf",
    "no-suffix",
)
_RULES = ("APE", "DOSWin", "x", "a b", "ü", "qemu-x", "wine", "ape", "cli")
_INTERPRETERS = (b"/judge/runs", b"/judge/plain", b"/missing", b"relative", b"/judge", b"judge/runs")
_ODD = (
    b"",
    b"# a comment",
    b"; another",
    b":",
    b"::M::MZ::/x:",
    b":register:M::MZ::/judge/runs:",
    b":status:M::MZ::/judge/runs:",
    b":a/b:M::MZ::/judge/runs:",
    b":x:M::MZ::/judge/runs:Q",
    b":x:M::MZ::/judge/runs:P trailing",
    b":DOSWin:m::MZ::/judge/runs:",
    b":x:M::MZ:\\xff:/judge/runs:",
    b":x:E::e/e::/judge/runs:",
    b":x:M:250:MZMZMZMZ::/judge/runs:",
    b":" + b"n" * 255 + b":M::MZ::/judge/runs:",
    b":" + b"n" * 256 + b":M::MZ::/judge/runs:",
    b":long:M::MZ::/" + b"i" * 1900 + b":",
    b":long:M::MZ::/" + b"i" * 2000 + b":",
    b":APE:M::MZ\0:x:M::MZ::/judge/runs:",
    b"\xff\xfe",
)


def _rule(pick: random.Random) -> bytes:
    if pick.random() < 0.25:
        return pick.choice(_ODD)
    mark = pick.choice([b":", b":", b":", b",", b"#", b"|", b"%"])
    name = pick.choice(_RULES).encode()
    flags = b"".join(letter for letter in (b"P", b"O", b"C", b"F") if pick.random() < 0.3)
    interpreter = pick.choice(_INTERPRETERS)
    if pick.random() < 0.2:
        fields = [name, b"E", b"", pick.choice([b"exe", b"jar", b"py", b""]), b"", interpreter, flags]
    else:
        magic = pick.choice([b"MZ", b"MZqFpD", b"\\x7fELF\\x07", b"\\x00a", b"#!", b"a\\\\b", b""])
        mask = b"\\xff\\xf0" if magic == b"MZ" and pick.random() < 0.3 else b""
        fields = [name, b"M", pick.choice([b"", b"0", b"3", b"254", b"-1"]), magic, mask, interpreter, flags]
    line = b"".join(mark + field for field in fields)
    return pick.choice([b"", b"", b" \t"]) + line + pick.choice([b"", b"", b"", b" ", b"\t"])


def _fill(pick: random.Random, directory: Path) -> None:
    for name in pick.sample(_FILES, pick.randint(0, 4)):
        path = directory / name
        kind = pick.random()
        if kind < 0.08:
            path.symlink_to(pick.choice(["/dev/null", "../../dev/null", "../../../dev/null", "../../../../dev/null"]))
        elif kind < 0.12:
            path.symlink_to("/nowhere")
        elif kind < 0.16:
            path.symlink_to(pick.choice(_FILES))
        elif kind < 0.18:
            path.mkdir()
        else:
            ends = pick.choices([b"\n", b"\r\n", b"\0", b"\n\n", b"\r"], [12, 2, 1, 2, 1], k=6)
            data = b"".join(_rule(pick) + end for end in ends[: pick.randint(0, 6)])
            path.write_bytes(data if pick.random() < 0.9 else data.rstrip(b"\n"))


def _install(pick: random.Random, booted: Booted) -> None:
    for name in pick.sample([*_RULES, "zz-ape", "B"], pick.randint(0, 4)):
        argv = ["--install", name, pick.choice(["/judge/runs", "/missing", "/judge/plain"])]
        if pick.random() < 0.2:
            argv += ["--extension", pick.choice(["exe", "jar"])]
        else:
            argv += ["--magic", pick.choice(["MZ", "MZ", "MZqFpD", "\\x7fELF\\x07"])]
            argv += pick.choice([[], [], ["--offset", "0"], ["--offset", "4"], ["--mask", "\\xff\\xff"]])
        argv += pick.choice([[], [], [], ["--detector", "/judge/runs"]])
        for option in ("credentials", "preserve", "fix-binary"):
            argv += pick.choice([[], [], [f"--{option}", "yes"], [f"--{option}", "no"]])
        booted.update("--package", pick.choice([":", "pkg"]), *argv)
    if pick.random() < 0.1:
        lines = pick.choice([[b"p", b"magic", b"0", b"MZ", b"", b"/judge/runs"], [b"p", b"magic"], [b""]])
        data = pick.choice([b"\n", b" \n", b"\t\r\n"]).join(lines)
        (booted.root / "var/lib/binfmts/hand-made").write_bytes(data)


def test_generated_configurations(booted: Booted) -> None:
    pick = random.Random(6)  # noqa: S311 - a test that can be repeated
    taken = refused = 0
    for number in range(_ROUNDS):
        booted.clear()
        for name in _CONFIGURED[:4]:
            _fill(pick, booted.root / name)
        _install(pick, booted)
        real = booted.boot()
        plan = booted.plan()
        assert [_told(one) for one in plan.handlers.entries] == real, f"round {number}"
        taken += len(real)
        refused += sum(note.kind == "refused" for note in plan.notes)
    booted.clear()
    assert taken > _ROUNDS
    assert refused > _ROUNDS


def _carry_out(booted: Booted, edits: tuple[Edit, ...]) -> None:
    for edit in edits:
        assert isinstance(edit, (EditText, LinkFile, WriteFile))
        path = booted.root / edit.path.lstrip("/")
        if isinstance(edit, EditText):
            assert path.read_bytes() == edit.before
            path.write_bytes(edit.after)
            continue
        path.unlink(missing_ok=True)
        path.symlink_to(edit.text) if isinstance(edit, LinkFile) else path.write_bytes(edit.content)


def test_a_handler_that_is_registered_no_more_takes_no_other_along(booted: Booted) -> None:
    """Whatever stands beside it in its files, and whatever those are called or link to."""
    pick = random.Random(7)  # noqa: S311 - a test that can be repeated
    done = 0
    for number in range(_ROUNDS):
        booted.clear()
        for name in _CONFIGURED[:4]:
            _fill(pick, booted.root / name)
        shutil.rmtree(booted.root / "run/binfmt.d")  # what is made anew at each boot is nobody's to edit
        (booted.root / "run/binfmt.d").mkdir()
        before = {text.partition("\n")[0]: text for text in booted.boot()}
        if not before:
            continue
        name = pick.choice(sorted(before))
        files = registered_otherwise(DirectoryView(str(booted.root)), {name: b""})
        assert files.names == {name}, f"round {number}"
        _carry_out(booted, files.edits)
        real = booted.boot()
        assert [_told(one) for one in booted.plan().handlers.entries] == real, f"round {number}"
        assert {text.partition("\n")[0]: text for text in real} == {
            other: text for other, text in before.items() if other != name
        }, f"round {number}"
        done += 1
    booted.clear()
    assert done > _ROUNDS // 3
