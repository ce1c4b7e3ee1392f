"""What `runworthy fix` proves is carried out in real roots, and run there; undo leaves everything as it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.model.edit import BringFile, InstallPackages, LinkFile, RunCommand, SwitchHandlers, WriteFile
from tests.judges.roots import requires
from tests.repairs.broken import Broken
from tests.repairs.forbidden import forbidden
from tests.repairs.scene import Scenes
from tests.repairs.table import few
from tests.repairs.trial import tried

pytestmark = pytest.mark.judge

_PAIRS: dict[tuple[str, str], Broken] = {(one.root, one.name): one for one in few()}

# Where nothing can be proved: a library that is nowhere, or is another; a loader that nobody knows; a name of nobody.
_HOPELESS = {
    *((root, name) for root in dict.fromkeys(root for root, _ in _PAIRS) for name in (
        "used-and-nowhere", "brought-without-the-symbol", "no-such-interpreter", "outside-interpreter",
    )),
    ("bookworm-amd64", "brought-without-the-version"),  # musl does not look at versions
    ("musl-1.2.5-x86_64", "nix-interpreter"),
    ("musl-1.2.5-x86_64", "missing-nobody"),
}  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    top = tmp_path_factory.mktemp("repairs")
    for above in (top, *top.parents[:2]):
        above.chmod(0o755)
    return Scenes(top)


@pytest.mark.parametrize("pair", _PAIRS, ids="/".join)
def test_what_is_proved_runs(pair: tuple[str, str], scenes: Scenes) -> None:
    requires(pair[0])
    broken = _PAIRS[pair]
    trial = tried(broken, scenes, only_proved=True)
    assert trial.before != "runs", "it is not broken"
    assert trial.verdict == "fails"
    for one in trial.tried:
        assert one.forbidden == ()
        assert one.came in ("ran", "no judge"), (one.remedy.title, one.came, one.words)
        assert one.undone == (), one.remedy.title
    assert bool(trial.tried) is (pair not in _HOPELESS), [one.remedy.title for one in trial.tried]


def test_every_sort_of_remedy_is_among_them(scenes: Scenes) -> None:
    """The pairs would prove nothing if they all came to one thing."""
    came: dict[str, int] = defaultdict(int)
    for name in ("beside", "brought", "no-soname-link", "not-executable"):
        broken = _PAIRS["bookworm-amd64", name]
        for one in tried(broken, scenes, only_proved=True).tried:
            came[one.remedy.approach] += one.came == "ran"
    assert {"patch", "supply", "configure", ""} <= {name for name, count in came.items() if count}


# -- what nobody may propose ---------------------------------------------------------------------------------------


def _forbidden_edits() -> Iterator[tuple[str, object, bool]]:
    libc = "/lib/ld-musl-x86_64.so.1"
    yield "in place", WriteFile(path=libc, content=b"x"), True
    yield "in place", LinkFile(path="/lib/libc.musl-x86_64.so.1", text="elsewhere"), True
    yield "in place", BringFile(path=libc, source="/bin/true", sha256="", origin="x"), True
    yield "copied into", WriteFile(path="/opt/libc.so.6", content=b"GNU C Library (Debian GLIBC)"), True
    yield "package", InstallPackages(manager="apt", names=("libc6",)), False
    yield "switched off", SwitchHandlers(on=False), False
    yield "nobody expects", RunCommand(argv=("rm", "-rf", "/"), changes="everything"), False


@pytest.mark.parametrize(("words", "edit", "musl"), tuple(_forbidden_edits()))
def test_the_watch_sees_what_is_forbidden(words: str, edit: object, musl: bool, tmp_path: Path) -> None:  # noqa: FBT001
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/ld-musl-x86_64.so.1").write_bytes(b"musl")
    (tmp_path / "lib/libc.musl-x86_64.so.1").symlink_to("ld-musl-x86_64.so.1")
    assert any(words in line for line in forbidden((edit,), tmp_path, musl=musl))  # type: ignore[arg-type]


def test_the_watch_lets_other_edits_pass(tmp_path: Path) -> None:
    edits = (
        LinkFile(path="/usr/lib/libz.so.1", text="libz.so.1.3"),
        WriteFile(path="/etc/ld.so.conf.d/x.conf", content=b"/opt\n"),
        InstallPackages(manager="apt", names=("libgomp1",)),
        RunCommand(argv=("/sbin/ldconfig",), changes="reads"),
    )
    assert list(forbidden(edits, tmp_path, musl=True)) == []
