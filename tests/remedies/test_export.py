"""Remedies written out: what each form holds is read by another reader, and the script is run."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runworthy.model.binfmt import Handler
from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    Edit,
    EditText,
    InstallPackages,
    LinkFile,
    RegisterHandler,
    RemoveDirectory,
    RemoveFile,
    RemovePackages,
    RunCommand,
    SetMode,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
)
from runworthy.model.errors import UsageError
from runworthy.model.finding import Remedy
from runworthy.model.records import replace
from runworthy.remedies.export import FORMS, Form, export
from runworthy.remedies.export.words import quoted
from runworthy.remedies.export.yaml import Unsafe, Value, emit
from runworthy.targets.edits import edited
from runworthy.targets.overlay import Overlay
from tests.remedies.made import read_tree, target_of, view_tree, write_tree

BASE: Mapping[str, bytes | str] = {
    "/var/lib/dpkg/status": b"",
    "/etc/old.conf": b"old\n",
    "/etc/old-link": "old.conf",
    "/usr/bin/script": b"#!/bin/sh\r\necho\r\n",
    "/usr/bin/app": b"MZqFpD='" + bytes(range(256)),
}
LOADER = bytes(range(256)) * 40
APE = Handler(name="APE", interpreter="/usr/bin/ape", magic=b"MZqFpD", flags="PF")
CONF = b'# it\'s "$HOME" `id` \\ {{ not }} a template\n:APE:M::MZqFpD::/usr/bin/ape:PF\n'
FILE_EDITS: tuple[Edit, ...] = (
    WriteLoader(path="/usr/bin/ape", content=LOADER, source="the test"),
    WriteFile(path="/etc/binfmt.d/zz-ape.conf", content=CONF),
    WriteFile(path="/etc/old.conf", content=b"new, without a newline", mode=0o600),
    WriteFile(path="/etc/old-link", content=b"a\tfile\n"),
    WriteFile(path='/opt/it\'s "a" `path`\n\\x/-n', content=b"", mode=0o640),
    LinkFile(path="/etc/binfmt.d/wine.conf", text="/dev/null"),
    LinkFile(path="/etc/binfmt.d/odd.conf", text="a b'c"),
    CopyFile(path="/usr/bin/app.elf", source="/usr/bin/app", head=b"\x7fELF\x00%-n\\0019'"),
    EditText(path="/usr/bin/script", before=b"#!/bin/sh\r\necho\r\n", after=b"#!/bin/sh\necho\n", what="no CR"),
    SetMode(path="/usr/bin/script", mode=0o711),
    RemoveFile(path="/var/lib/dpkg/status"),
)
ODD_PATH = WriteFile(path="/opt/\udcff\udce4 $HOME\n\n", content=b"bytes\n")
KERNEL_EDITS: tuple[Edit, ...] = (
    RegisterHandler(handler=APE),
    DisableHandler(name="it's"),
    RunCommand(
        argv=("/usr/lib/systemd/systemd-binfmt", "/etc/binfmt.d/zz-ape.conf"),
        changes="register what it says",
        effects=(RegisterHandler(handler=APE),),
    ),
)


def remedy(*edits: Edit, title: str = "a remedy\nof two lines {{ x }}") -> Remedy:
    return Remedy(title=title, edits=edits)


def outcome(script: Path, root: Path | str, *words: str, shell: tuple[str, ...] = ("sh",)) -> tuple[int, str]:
    """Return what becomes of a script on a root: its exit code, and what it complains of."""
    done = subprocess.run(
        [*shell, str(script), *words],
        env={**os.environ, "ROOT": str(root), "CDPATH": "/usr"},
        cwd=script.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


def run(script: Path, root: Path, *words: str, shell: tuple[str, ...] = ("sh",)) -> None:
    assert outcome(script, root, *words, shell=shell) == (0, "")


def without_kept(root: Path) -> dict[str, tuple[str, int, bytes]]:
    return {path: held for path, held in read_tree(root).items() if not path.startswith("/var/lib/runworthy")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "root", BASE)


@pytest.mark.parametrize("shell", ["sh", "bash", "busybox sh", "mksh"])
def test_the_script_makes_what_the_overlay_shows_and_takes_it_back(root: Path, tmp_path: Path, shell: str) -> None:
    words = tuple(shell.split())
    if shutil.which(words[0]) is None:
        words = ("sh",)
    edits = (*FILE_EDITS, ODD_PATH)
    before = read_tree(root)
    after = edited(target_of(root), edits).view
    assert isinstance(after, Overlay)
    expected = view_tree(after)
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(*edits, *KERNEL_EDITS), "sh"), encoding="ascii")
    for _ in range(2):
        run(script, root, shell=words)
        assert without_kept(root) == expected
    run(script, root, "undo", shell=words)
    assert read_tree(root) == before


def test_the_script_takes_nothing_back_twice(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(*FILE_EDITS), "sh"))
    assert outcome(script, root, "undo") == (1, "nothing of it has been done\n")


def test_the_script_leaves_alone_what_is_another_file_by_now(root: Path, tmp_path: Path) -> None:
    (root / "usr/bin/script").write_bytes(b"changed meanwhile\r\n")
    before = read_tree(root)
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(FILE_EDITS[8]), "sh"))
    assert outcome(script, root) == (1, "/usr/bin/script is another file by now\n")
    assert without_kept(root) == before


def test_a_damaged_script_writes_nothing(root: Path, tmp_path: Path) -> None:
    before = read_tree(root)
    script = tmp_path / "remedy.sh"
    text = export(remedy(FILE_EDITS[0]), "sh")
    at = text.index("AAECAwQF")
    script.write_text(f"{text[:at]}BBECAwQF{text[at + 8 :]}")
    assert outcome(script, root) == (1, "/usr/bin/ape: this script is damaged\n")
    assert without_kept(root) == before


LINES = EditText(path="/usr/bin/script", before=b"#!/bin/sh\r\necho\r\n", after=b"#!/bin/sh\necho\n", what="no CR")


@pytest.mark.parametrize(
    ("edit", "link", "complaint"),
    [
        (
            WriteFile(path="/etc/binfmt.d/ape.conf", content=CONF),
            "/etc/binfmt.d",
            "/etc/binfmt.d/ape.conf leads out of",
        ),
        (WriteFile(path="/etc/a/b/ape.conf", content=CONF), "/etc/a", "/etc/a/b leads out of"),
        (LinkFile(path="/opt/wine.conf", text="/dev/null"), "/opt", "/opt/wine.conf leads out of"),
        (CopyFile(path="/app.elf", source="/opt/app"), "/opt", "/opt/app leads out of"),
        (CopyFile(path="/app.elf", source="/opt"), "/opt", "/opt is a link"),
        (RemoveFile(path="/opt/app"), "/opt", "/opt/app leads out of"),
        (RemoveDirectory(path="/opt/empty"), "/opt", "/opt/empty leads out of"),
        (SetMode(path="/opt/app", mode=0o711), "/opt", "/opt/app leads out of"),
        (SetMode(path="/opt", mode=0o711), "/opt", "/opt is a link"),
        (replace(LINES, path="/opt"), "/opt", "/opt is a link"),
        (WriteFile(path="/a", content=CONF), "/var", "/var/lib/runworthy/"),
    ],
)
def test_the_script_follows_no_link_out_of_its_root(tmp_path: Path, edit: Edit, link: str, complaint: str) -> None:
    outside = write_tree(tmp_path / "outside", {"/app": b"#!/bin/sh\r\necho\r\n"})
    (outside / "empty").mkdir()
    before = read_tree(outside)
    root = write_tree(tmp_path / "root", {link: str(outside)})
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(edit), "sh"))
    code, said = outcome(script, root)
    assert code == 1
    assert complaint in said
    assert read_tree(outside) == before


def test_the_script_follows_links_inside_of_its_root(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "root", {"/usr/lib/x": b"", "/lib": "usr/lib", "/run/lock": b""})
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(WriteFile(path="/lib/binfmt.d/a", content=CONF)), "sh"))
    for at in (str(root), "root", f"{root}/"):
        assert outcome(script, at) == (0, "")
        assert (root / "usr/lib/binfmt.d/a").read_bytes() == CONF
        assert outcome(script, at, "undo") == (0, "")
        assert not (root / "usr/lib/binfmt.d").exists()


def test_a_mount_is_left_alone_for_another_root(root: Path, tmp_path: Path) -> None:
    command = RunCommand(argv=("/bin/false", "remount"), undo=("/bin/false",), changes="allow execution")
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(command), "sh"))
    run(script, root)
    run(script, root, "undo")


@pytest.mark.parametrize(
    "command",
    [
        RunCommand(
            argv=("update-binfmts", "--install"),
            changes="",
            effects=(WriteFile(path="/var/lib/binfmts/x", content=b""), RegisterHandler(handler=APE)),
        ),
        RemovePackages(manager="apt", names=("wine-binfmt",), effects=(UnregisterHandler(name="wine"),)),
        InstallPackages(manager="apt", names=("qemu-user-static",)),
    ],
)
def test_another_root_leads_to_this_kernel_by_no_proc(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Edit
) -> None:
    """What registers handlers finds them through /proc of the root, which may be mounted there."""
    write_tree(tmp_path / "bin", {"chroot": b'#!/bin/sh\necho "$2" >>"$1/ran"\n'})
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(command), "sh"))
    (root / "proc/sys").mkdir(parents=True)
    code, said = outcome(script, root)
    assert (code, "/proc is mounted: " in said, (root / "ran").exists()) == (1, True, False)
    (root / "proc/sys").rmdir()
    assert outcome(script, root)[0] == 0
    assert (root / "ran").exists()


def test_a_root_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    script = tmp_path / "remedy.sh"
    script.write_text(export(remedy(WriteFile(path="/a", content=CONF)), "sh"))
    assert outcome(script, tmp_path / "rooot") == (1, f"{tmp_path}/rooot is no directory\n")
    assert not (tmp_path / "rooot").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_edited_keeps_its_owner_and_mode(root: Path, tmp_path: Path, form: Form) -> None:
    edited_file = root / "usr/bin/script"
    os.chown(edited_file, 1234, 567)
    edited_file.chmod(0o4750)
    if form == "sh":
        script = tmp_path / "remedy.sh"
        script.write_text(export(remedy(LINES), form))
        run(script, root)
    else:
        carry_out(export(remedy(replace(LINES, path=str(edited_file))), form))
    status = edited_file.stat()
    assert (edited_file.read_bytes(), status.st_uid, status.st_gid) == (LINES.after, 1234, 567)
    assert status.st_mode & 0o7777 == 0o4750 or form == "cloud-init", "the kernel takes set-uid off what is written to"


def carry_out(text: str) -> None:
    """Run the commands of user-data as cloud-init does, or those of a playbook that have something to write."""
    data = yaml.load(text, Loader)  # noqa: S506 - a safe loader with one more tag
    if isinstance(data, dict):
        lines = [row if isinstance(row, str) else shlex.join(row) for row in data["runcmd"]]
        subprocess.run(["sh"], input="\n".join(lines).encode(), check=True)  # as util.shellify makes one script of it
        return
    for task in data[0]["tasks"]:
        if shell := task.get("ansible.builtin.shell"):
            subprocess.run(["sh", "-c", shell["cmd"]], input=shell.get("stdin", "").encode(), check=True)


@pytest.mark.parametrize("form", ["ansible", "cloud-init"])
def test_no_link_that_somebody_has_put_there_is_followed(tmp_path: Path, form: Form) -> None:
    """Into a directory to which others may write: the name of the new file can be guessed."""
    root = write_tree(tmp_path / "root", {"/victim": b"untouched", "/app": b"MZqFpD", "/app.elf.new": "victim"})
    carry_out(export(remedy(CopyFile(path=f"{root}/app.elf", source=f"{root}/app", head=b"\x7fELF")), form))
    assert (root / "victim").read_bytes() == b"untouched"
    assert (root / "app.elf").read_bytes() == b"\x7fELFpD"
    (root / "ape.new").symlink_to("victim")
    if form == "ansible":
        carry_out(export(remedy(WriteLoader(path=f"{root}/ape", content=LOADER, source="")), form))
        assert (root / "ape").read_bytes() == LOADER
        assert (root / "victim").read_bytes() == b"untouched"


@pytest.mark.parametrize("form", ["ansible", "cloud-init"])
def test_a_long_text_is_edited(tmp_path: Path, form: Form) -> None:
    """Longer than a word of a command may be (MAX_ARG_STRLEN, execve(2))."""
    text = b"#!/bin/sh\r\n" + b": a line of a long script\r\n" * 10_000
    root = write_tree(tmp_path / "root", {"/it's\nlong": text})
    edit = replace(LINES, path=f"{root}/it's\nlong", before=text, after=text.replace(b"\r", b""))
    for _ in range(2):
        carry_out(export(remedy(edit), form))
        if form == "cloud-init":
            assert (root / "it's\nlong").read_bytes() == edit.after
    (root / "it's\nlong").write_bytes(b"another file")
    if form == "cloud-init":
        carry_out(export(remedy(edit), form))
        assert (root / "it's\nlong").read_bytes() == b"another file"


@given(st.binary(min_size=1, max_size=12).filter(lambda raw: b"\0" not in raw))
def test_quoted_words(raw: bytes) -> None:
    word = quoted(raw.decode("utf-8", "surrogateescape"))
    assert subprocess.run(["sh", "-c", f"printf %s {word}"], check=True, capture_output=True).stdout == raw


class Loader(yaml.SafeLoader):
    """Reads Ansible's tag."""


def _unsafe(loader: Loader, node: yaml.ScalarNode) -> Unsafe:
    return Unsafe(str(loader.construct_scalar(node)))


Loader.add_constructor("!unsafe", _unsafe)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values: st.SearchStrategy[Value] = st.recursive(
    st.one_of(st.booleans(), st.integers(), texts, texts.map(Unsafe), texts.map(lambda text: f"{text}\nb\n")),
    lambda below: st.one_of(
        st.lists(below, max_size=3), st.dictionaries(st.sampled_from(("a", "b_c", "d.e")), below, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_yaml_is_read_as_it_was_meant(value: Value) -> None:
    assert yaml.load(emit({"held": value}), Loader) == {"held": value}  # noqa: S506 - a safe loader with one more tag


def test_yaml_holds_no_bytes() -> None:
    for form in ("ansible", "cloud-init"):
        with pytest.raises(UsageError, match="no UTF-8"):
            export(remedy(WriteFile(path="/opt/\udcff", content=b"")), form)


def test_a_path_that_ansible_would_change_is_refused() -> None:
    with pytest.raises(UsageError, match=r"would put a variable into /opt/\$HOME"):
        export(remedy(WriteFile(path="/opt/$HOME", content=b"")), "ansible")
    for text in ("$HOME/x", "~/x"):
        with pytest.raises(UsageError, match="would put a variable into"):
            export(remedy(LinkFile(path="/opt/x", text=text)), "ansible")


def test_words_that_ansible_would_change_go_through_a_shell() -> None:
    for argv in (("printf", "%s", "a $HOME"), ("printf", "%s", "~")):
        (play,) = yaml.safe_load(export(remedy(RunCommand(argv=argv, changes=""), title="x"), "ansible"))
        (task,) = play["tasks"]
        assert "ansible.builtin.command" not in task
        cmd = task["ansible.builtin.shell"]["cmd"]
        assert subprocess.run(["sh", "-c", cmd], check=True, capture_output=True, text=True).stdout == argv[-1]


def test_only_edits_can_be_written_out() -> None:
    for form in FORMS:
        with pytest.raises(UsageError, match="only a person can carry this out: do it"):
            export(Remedy(title="do it"), form)


def test_user_data() -> None:
    data: dict[str, Any] = yaml.safe_load(export(remedy(*FILE_EDITS, *KERNEL_EDITS), "cloud-init"))
    assert set(data) == {"write_files", "runcmd"}
    files = {row["path"]: row for row in data["write_files"]}
    assert {
        path: base64.b64decode(row["content"]) if row.get("encoding") == "b64" else row["content"].encode()
        for path, row in files.items()
    } == {edit.path: edit.content for edit in FILE_EDITS if isinstance(edit, (WriteFile, WriteLoader))}
    assert files["/usr/bin/ape"]["permissions"] == "0755"
    assert ["/usr/lib/systemd/systemd-binfmt", "/etc/binfmt.d/zz-ape.conf"] in data["runcmd"]


def test_commands_of_user_data_do_what_the_edits_say(tmp_path: Path) -> None:
    """In a directory of its own, since cloud-init knows no other root."""
    root = write_tree(tmp_path / "root", BASE)
    edits = (
        LinkFile(path=f"{root}/opt/a/wine.conf", text="/dev/null"),
        CopyFile(path=f"{root}/usr/bin/app.elf", source=f"{root}/usr/bin/app", head=b"\x7fELF\x00%-n\\0019'"),
        EditText(path=f"{root}/usr/bin/script", before=b"#!/bin/sh\r\necho\r\n", after=b"#!/bin/sh\n", what=""),
        SetMode(path=f"{root}/usr/bin/script", mode=0o711),
        RemoveFile(path=f"{root}/var/lib/dpkg/status"),
    )
    expected = edited(target_of(Path("/")), edits).view
    text = export(remedy(*edits), "cloud-init")
    for _ in range(2):
        carry_out(text)
    for edit in (*edits[:2], edits[3]):
        real = expected.lstat(edit.path)
        assert os.path.lexists(edit.path)
        if real.entry.kind == "link":
            assert str(Path(edit.path).readlink()) == real.entry.target
        else:
            assert Path(edit.path).read_bytes() == expected.read(edit.path)
            assert Path(edit.path).stat().st_mode & 0o7777 == expected.mode(edit.path)
    assert not (root / "var/lib/dpkg/status").exists()


def test_playbook() -> None:
    (play,) = yaml.load(export(remedy(*FILE_EDITS, *KERNEL_EDITS), "ansible"), Loader)  # noqa: S506 - as above
    assert (play["hosts"], play["become"], play["name"]) == ("all", True, Unsafe("a remedy?of two lines {{ x }}"))
    keywords = {"name", "register", "when", "changed_when", "failed_when"}
    registered: set[str] = set()
    for task in play["tasks"]:
        (module,) = set(task) - keywords
        assert module.startswith("ansible.builtin.")
        assert task["name"]
        conditions = [str(task[word]) for word in ("when", "changed_when") if word in task]
        asked = {text.removeprefix("not ").split(".")[0] for text in conditions if ".stat" in text}
        assert asked <= registered
        registered |= {task["register"]} if "register" in task else set()
    modules = [next(iter(set(task) - keywords)) for task in play["tasks"]]
    copied = next(task["ansible.builtin.copy"] for task in play["tasks"] if "ansible.builtin.copy" in task)
    assert copied == {
        "dest": "/etc/binfmt.d/zz-ape.conf",
        "content": Unsafe(CONF.decode()),
        "mode": "0644",
    }, "no template is looked for in it"
    assert modules.count("ansible.builtin.copy") == 4
    written = {copy["dest"]: _plain(copy["content"]).encode() for copy in _all(play, "copy")}
    shells = [(str(_plain(shell["cmd"])), shell["stdin"]) for shell in _all(play, "shell") if "stdin" in shell]
    written |= {cmd.rpartition(" ")[2]: base64.b64decode(stdin) for cmd, stdin in shells}
    assert written == {
        edit.path: edit.after if isinstance(edit, EditText) else edit.content
        for edit in FILE_EDITS
        if isinstance(edit, (WriteFile, WriteLoader, EditText))
    }
    command = next(task["ansible.builtin.command"] for task in play["tasks"] if "ansible.builtin.command" in task)
    assert command == {"argv": ["/usr/lib/systemd/systemd-binfmt", "/etc/binfmt.d/zz-ape.conf"]}


def _plain(text: str | Unsafe) -> str:
    return text.text if isinstance(text, Unsafe) else text


def _all(play: Mapping[str, Any], module: str) -> list[Mapping[str, Any]]:
    name = f"ansible.builtin.{module}"
    return [task[name] for task in play["tasks"] if name in task]


def test_packages_by_each_manager() -> None:
    found = {}
    for manager in ("apt", "dnf", "apk", "pacman", "zypper"):
        data = yaml.safe_load(export(remedy(InstallPackages(manager=manager, names=("a", "b"))), "cloud-init"))
        found[manager] = " ".join(data["runcmd"][0])
    assert found == {
        "apt": "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends a b",
        "dnf": "dnf install -y --setopt=install_weak_deps=False a b",
        "apk": "apk add a b",
        "pacman": "pacman -S --noconfirm --needed a b",
        "zypper": "zypper --non-interactive install --no-recommends a b",
    }
