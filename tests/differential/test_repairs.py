"""Broken program after broken program: what is shown as proved is carried out, and the program really runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from runworthy.model.arch import architecture
from runworthy.model.edit import RunCommand
from runworthy.model.finding import Remedy
from runworthy.model.machine import baseline
from runworthy.remedies.search import solve
from runworthy.remedies.situation import Means
from runworthy.simulate.launch import Launch
from runworthy.targets.directory import DirectoryView
from runworthy.targets.edits import inverse
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import locate, place
from runworthy.targets.target import Target
from tests.cases.build import Builder
from tests.cases.recipe import (
    GLIBC_EVERYWHERE,
    MUSL,
    MUSL_EVERYWHERE,
    Bring,
    Case,
    Folder,
    Ldconfig,
    Mode,
    Step,
    Text,
    library,
    program,
)
from tests.judges import qemu, roots
from tests.judges.process import Jail, Outcome
from tests.judges.qemu import Emulator
from tests.judges.roots import Root
from tests.remedies.repairing import carry_out, situation_in, situation_of

pytestmark = pytest.mark.judge

EVERYWHERE = (*GLIBC_EVERYWHERE, *MUSL_EVERYWHERE)
CALLS_G = "int g(void); int main(void) { return g(); }"
G = "int g(void) { return 0; }"
A_CALLS_G = "int g(void); int a(void) { return g(); }"
CALLS_A = "int a(void); int main(void) { return a(); }"
_OPEN = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **names) {
    void *found = dlopen(names[1], RTLD_NOW);
    if (!found) { fprintf(stderr, "%s\\n", dlerror()); return 3; }
    return ((int (*)(void))dlsym(found, "g"))();
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A broken program. What lies in ``given/`` is taken out of the root, and is what the person gives.

    ``approaches`` are those of which a remedy is to be proved, exactly. ``unproved`` are parts of the titles of others.
    With ``host`` a program opens the subject.
    """

    name: str
    tree: tuple[Step, ...]
    on: tuple[str, ...] = EVERYWHERE
    approaches: frozenset[str] = field(default_factory=frozenset)
    unproved: tuple[str, ...] = ()
    host: str = ""
    subject: str = "/app/main"


def _approaches(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCENES = (
    Scene(
        name="beside",
        tree=(library("app/libg.so", G), program(source=CALLS_G, needs=("app/libg.so",))),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="below-with-libc",
        tree=(
            Bring("libc.so.6"),
            library("app/lib/libg.so", G),
            program(
                source='#include <stdio.h>\nint g(void); int main(void) { puts("it runs"); return g(); }',
                needs=("app/lib/libg.so",),
                libc="own",
            ),
        ),
        on=("trixie-amd64", "trixie-i386", "trixie-arm64", "musl-1.2.5-x86_64"),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="elsewhere-in-the-root",
        tree=(library("opt/g/lib/libg.so", G), program(source=CALLS_G, needs=("opt/g/lib/libg.so",))),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="has-a-runpath",
        tree=(
            library("app/first/liba.so", "int a(void) { return 0; }"),
            library("app/second/libg.so", G),
            program(
                source="int a(void); int g(void); int main(void) { return a() + g(); }",
                needs=("app/first/liba.so", "app/second/libg.so"),
                runpath="$ORIGIN/first",
            ),
        ),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="has-an-rpath-for-the-needs-of-needs",
        tree=(
            library("app/first/libb.so", "int b(void) { return 0; }"),
            library("app/first/liba.so", "int b(void); int a(void) { return b(); }", needs=("app/first/libb.so",)),
            library("app/second/libg.so", G),
            program(
                source="int a(void); int g(void); int main(void) { return a() + g(); }",
                needs=("app/first/liba.so", "app/second/libg.so"),
                rpath="$ORIGIN/first",
            ),
        ),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="needed-by-the-subjects-library",
        tree=(
            library("app/lib/libg.so", G),
            library("app/liba.so", A_CALLS_G, needs=("app/lib/libg.so",)),
            program(source=CALLS_A, needs=("app/liba.so",), runpath="$ORIGIN"),
        ),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="needed-by-the-systems-library",
        tree=(
            library("app/lib/libg.so", G),
            library("usr/lib/liba.so", A_CALLS_G, needs=("app/lib/libg.so",)),
            program(source=CALLS_A, needs=("usr/lib/liba.so",)),
        ),
        on=("trixie-amd64", "trixie-i386", *MUSL),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="needed-by-two-of-the-subjects-libraries",
        tree=(
            library("app/deep/libg.so", G),
            library("app/liba.so", A_CALLS_G, needs=("app/deep/libg.so",), runpath="/nowhere"),
            library("app/libb.so", "int g(void); int b(void) { return g(); }", needs=("app/deep/libg.so",)),
            program(
                source="int a(void); int b(void); int main(void) { return a() + b(); }",
                needs=("app/liba.so", "app/libb.so"),
                runpath="$ORIGIN",
            ),
        ),
        on=("trixie-amd64", "bullseye-amd64", "musl-1.2.5-x86_64"),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="no-link-beside",
        tree=(
            library("app/libg.so.1.2.3", G, soname="libg.so.1"),
            program(source=CALLS_G, needs=("app/libg.so.1.2.3",)),
        ),
        approaches=_approaches("patch"),
        on=MUSL_EVERYWHERE,
    ),
    Scene(
        name="no-link-beside-glibc",
        tree=(
            library("app/libg.so.1.2.3", G, soname="libg.so.1"),
            program(source=CALLS_G, needs=("app/libg.so.1.2.3",)),
        ),
        approaches=_approaches("patch configure"),
        on=GLIBC_EVERYWHERE,
    ),
    Scene(
        name="no-link-where-it-is-searched",
        tree=(
            library("usr/lib/libg.so.1.2.3", G, soname="libg.so.1"),
            library("usr/lib/libg.so.1.2.10", G, soname="libg.so.1"),
            program(source=CALLS_G, needs=("usr/lib/libg.so.1.2.3",)),
        ),
        approaches=_approaches("configure"),
    ),
    Scene(
        name="not-in-the-cache",
        tree=(
            Folder("opt/g"),
            Ldconfig(("/opt/g",)),
            library("opt/g/libg.so", G),
            program(source=CALLS_G, needs=("opt/g/libg.so",)),
        ),
        on=GLIBC_EVERYWHERE,
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="a-cache-and-no-include",
        tree=(
            library("opt/other/libother.so", "int other;"),
            Ldconfig(("/opt/other",)),
            library("opt/g/libg.so", G),
            program(source=CALLS_G, needs=("opt/g/libg.so",)),
        ),
        on=GLIBC_EVERYWHERE,
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="a-path-file-already",
        tree=(
            Text("etc/ld-musl-x86_64.path", "/one:/two"),
            library("two/liba.so", "int a(void) { return 0; }"),
            library("opt/g/libg.so", G),
            program(
                source="int a(void); int g(void); int main(void) { return a() + g(); }",
                needs=("two/liba.so", "opt/g/libg.so"),
            ),
        ),
        on=MUSL,
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="another-interpreter",
        tree=(program(interpreter="/nix/store/0123-libc/lib/ld-linux-x86-64.so.2"),),
        on=("bullseye-amd64", "trixie-amd64"),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="another-interpreter-arm",
        tree=(program(interpreter="/gnu/store/0123-libc/lib/ld-linux-aarch64.so.1"),),
        on=("trixie-arm64",),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="another-interpreter-and-its-library",
        tree=(
            Bring("libc.so.6"),
            library("app/lib/libg.so", G),
            program(
                source='#include <stdio.h>\nint g(void); int main(void) { puts("it runs"); return g(); }',
                needs=("app/lib/libg.so",),
                libc="own",
                interpreter="/nix/store/0123-libc/lib/ld-linux-x86-64.so.2",
                runpath="/nix/store/4567-g/lib",
            ),
        ),
        on=("bookworm-amd64", "trixie-amd64"),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="another-interpreter-musl",
        tree=(program(interpreter="/opt/cross/ld-musl-x86_64.so.1"),),
        on=MUSL,
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="no-pie",
        tree=(
            Bring("libc.so.6"),
            library("app/lib/libg.so", G),
            program(
                source='#include <stdio.h>\nint g(void); int main(void) { puts("it runs"); return g(); }',
                needs=("app/lib/libg.so",),
                libc="own",
                flags=("-no-pie", "-fno-pie"),
            ),
        ),
        on=("trixie-amd64", "trixie-i386", "trixie-arm64", "musl-1.2.5-x86_64", "musl-1.2.2-x86_64"),
        approaches=_approaches("patch configure"),
    ),
    Scene(
        name="by-a-path",
        tree=(
            library("app/libg.so", G),
            library("ghost/libg.so", G, soname="/build/machine/libg.so"),
            program(source=CALLS_G, needs=("ghost/libg.so",)),
        ),
        approaches=_approaches("patch"),
    ),
    Scene(
        name="nothing-used",
        tree=(program(needs=("libnothing.so.1",)),),
        approaches=_approaches("patch"),
    ),
    Scene(
        name="lazily-used",
        tree=(
            library("ghost/libg.so.1", G),
            program(
                source="int g(void); int main(int count) { return count > 5 ? g() : 0; }", needs=("ghost/libg.so.1",)
            ),
        ),
    ),
    Scene(
        name="another-release",
        tree=(
            library("ghost/libg.so.1", G),
            library("usr/lib/libg.so.2", G),
            program(source=CALLS_G, needs=("ghost/libg.so.1",)),
        ),
        unproved=("need libg.so.2",),
    ),
    Scene(
        name="another-release-without-the-symbol",
        tree=(
            library("ghost/libg.so.1", G),
            library("usr/lib/libg.so.2", "int h;"),
            program(source=CALLS_G, needs=("ghost/libg.so.1",)),
        ),
    ),
    Scene(
        name="given",
        tree=(library("given/libg.so.1", G), program(source=CALLS_G, needs=("given/libg.so.1",))),
        approaches=_approaches("supply"),
    ),
    Scene(
        name="given-with-its-needs",
        tree=(
            library("given/one/libh.so.3.4", "int h(void) { return 0; }", soname="libh.so.3"),
            library(
                "given/two/libg.so.1", "int h(void); int g(void) { return h(); }", needs=("given/one/libh.so.3.4",)
            ),
            program(source=CALLS_G, needs=("given/two/libg.so.1",)),
        ),
        approaches=_approaches("supply"),
    ),
    Scene(
        name="given-for-the-systems-library",
        tree=(
            library("given/libg.so.1", G),
            library("usr/lib/liba.so", A_CALLS_G, needs=("given/libg.so.1",)),
            program(source=CALLS_A, needs=("usr/lib/liba.so",)),
        ),
        on=("trixie-amd64", "musl-1.2.5-x86_64"),
        approaches=_approaches("supply"),
    ),
    Scene(
        name="given-but-half",
        tree=(
            library("ghost/libh.so.3", "int h(void) { return 0; }"),
            library("given/libg.so.1", "int h(void); int g(void) { return h(); }", needs=("ghost/libh.so.3",)),
            program(source=CALLS_G, needs=("given/libg.so.1",)),
        ),
    ),
    Scene(
        name="given-newer",
        tree=(
            library("usr/lib/libg.so.1", G, versions="G_1 { global: g; local: *; };"),
            library(
                "given/libg.so.1",
                "int g(void) { return 0; } int h(void) { return 0; }",
                versions="G_1 { global: g; local: *; }; G_2 { global: h; } G_1;",
            ),
            program(
                source="int g(void); int h(void); int main(void) { return g() + h(); }", needs=("given/libg.so.1",)
            ),
        ),
        on=GLIBC_EVERYWHERE,
        approaches=_approaches("supply"),
    ),
    Scene(
        name="executable-stack",
        tree=(
            Bring("libc.so.6"),
            program("app/host", libc="own", source=_OPEN),
            library("app/libg.so", G, flags=("-Wl,-z,execstack",)),
        ),
        on=("trixie-amd64", "trixie-i386", "trixie-arm64"),
        host="/app/host",
        subject="/app/libg.so",
        approaches=_approaches("patch"),
    ),
    Scene(
        name="opened-and-lacks-a-library",
        tree=(
            Bring("libc.so.6"),
            program("app/host", libc="own", source=_OPEN),
            library("app/lib/libh.so", "int h(void) { return 0; }"),
            library("app/libg.so", "int h(void); int g(void) { return h(); }", needs=("app/lib/libh.so",)),
        ),
        on=("bookworm-amd64", "trixie-amd64", "trixie-arm64", "musl-1.2.5-x86_64"),
        host="/app/host",
        subject="/app/libg.so",
        approaches=_approaches("patch configure"),
    ),
)
_PAIRS = [(scene, name) for scene in SCENES for name in scene.on]


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    with tempfile.TemporaryDirectory(prefix="runworthy-repairs-") as directory:
        yield Builder(Path(directory))


def start(root: Root, scene: Scene) -> Outcome:
    """Start the subject, or the program that opens it, in its root."""
    argv = [scene.host, scene.subject] if scene.host else [scene.subject]
    emulator = Emulator.for_root(root)
    with Jail(root.path, binds=qemu.binds_for(root)) as jail:
        return jail.run(emulator.command(argv, {}) if emulator else argv)


def copy(root: Root, directory: Path) -> Root:
    shutil.copytree(root.path, directory, symlinks=True)
    return replace(root, path=directory)


def proved(remedies: Sequence[Remedy]) -> list[Remedy]:
    """Return the remedies that change the root or the subject: those that take another target have judges elsewhere."""
    return [one for one in remedies if one.proved and not one.elsewhere and one.approach != "rebuild"]


@pytest.mark.parametrize(("scene", "name"), _PAIRS, ids=[f"{scene.name}-{name}" for scene, name in _PAIRS])
def test_what_is_proved_runs(scene: Scene, name: str, builder: Builder, tmp_path: Path) -> None:
    model = roots.requires(name)
    roots.requires_tool("patchelf", package="patchelf")
    case = Case(name=scene.name, proves="", tree=scene.tree, truths=())
    broken = copy(builder.compose(case, model).root, tmp_path / "broken")
    given = broken.path / "given"
    packages: tuple[str, ...] = ()
    if given.is_dir():
        shutil.move(given, tmp_path / "given")
        packages = (str(tmp_path / "given"),)
    if model.libc == "glibc":
        ldconfig = next(path for path in ("usr/sbin/ldconfig", "sbin/ldconfig") if (model.path / path).exists())
        (broken.path / "sbin").mkdir(exist_ok=True)
        shutil.copy(model.path / ldconfig, broken.path / "sbin/ldconfig")
    before = start(broken, scene)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    means = Means(scratch=str(scratch), packages=packages)
    launch = Launch(loaded_by=scene.host) if scene.host else None
    situation = situation_in(broken, scene.subject, means, launch=launch)
    assert before.rc != 0, f"nothing is wrong: {before}"
    assert situation.result.verdict in ("fails", "unknown")

    remedies = solve([situation])

    assert {one.approach for one in proved(remedies)} == scene.approaches, remedies
    for number, remedy in enumerate(proved(remedies)):
        mended = copy(broken, tmp_path / f"mended{number}")
        carry_out(mended, remedy.edits, model=model)
        outcome = start(mended, scene)
        assert outcome.rc == 0, (remedy.title, outcome)
        if sum(isinstance(edit, RunCommand) for edit in remedy.edits) > 1:
            carry_out(mended, inverse(situation.target, remedy.edits), model=model)
            assert start(mended, scene).rc != 0, remedy.title
    for part in scene.unproved:
        assert any(part in one.title and one.proof for one in remedies if not one.proved), remedies


# -- subjects from outside -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A broken program of this machine for a root in which it lies nowhere: it is mended where it is."""

    name: str
    tree: tuple[Step, ...]
    approach: str
    root: str = "trixie-amd64"
    subject: str = "app/main"


_ZLIB = "/usr/lib/x86_64-linux-gnu/libz.so.1"
OUTSIDE = (
    Outside(
        name="beside",
        tree=(library("app/lib/libg.so", G), program("app/bin/main", CALLS_G, needs=("app/lib/libg.so",))),
        approach="patch",
        subject="app/bin/main",
    ),
    Outside(
        name="beside-musl",
        tree=(library("app/lib/libg.so", G), program("app/bin/main", CALLS_G, needs=("app/lib/libg.so",))),
        approach="patch",
        root="musl-1.2.5-x86_64",
        subject="app/bin/main",
    ),
    Outside(
        name="of-this-machine",
        tree=(
            Bring("libc.so.6"),
            program(
                source="const char *zlibVersion(void); int main(void) { return zlibVersion() ? 0 : 1; }",
                libc="own",
                flags=(_ZLIB,),
            ),
        ),
        approach="supply",
    ),
    Outside(
        name="of-this-machine-with-its-needs",
        tree=(
            Bring("libc.so.6"),
            program(
                source="int mnt_init_debug(int); int main(void) { mnt_init_debug(0); return 0; }",
                libc="own",
                flags=("/usr/lib/x86_64-linux-gnu/libmount.so.1",),
            ),
        ),
        approach="supply",
    ),
    Outside(
        name="carriage-return",
        tree=(Text("app/main", "#!/bin/sh\r\nexit 0\r\n"), Mode("app/main", 0o755)),
        approach="",
    ),
    Outside(
        name="another-interpreter",
        tree=(program(interpreter="/nix/store/0-glibc/lib/ld-linux-x86-64.so.2"),),
        approach="patch",
    ),
)


@pytest.mark.parametrize("scene", OUTSIDE, ids=[scene.name for scene in OUTSIDE])
def test_a_subject_from_outside_is_mended_where_it_is(scene: Outside, builder: Builder, tmp_path: Path) -> None:
    model = roots.requires(scene.root)
    roots.requires_tool("patchelf", package="patchelf")
    case = Case(name=f"outside-{scene.name}", proves="", tree=scene.tree, truths=())
    composed = copy(builder.compose(case, model).root, tmp_path / "root")
    here = tmp_path / "here"
    shutil.move(composed.path / "app", here / "app")
    composed = model if scene.name == "carriage-return" else composed
    arch = architecture(model.arch)
    assert arch is not None
    overlay = Overlay(DirectoryView(str(composed.path)))
    target = Target(name=model.name, view=overlay, machine=baseline(arch))
    path = place(locate(str(here / scene.subject), DirectoryView("/")), target, overlay)
    (tmp_path / "scratch").mkdir()
    situation = situation_of(target, path, Means(scratch=str(tmp_path / "scratch")))

    def outcome() -> Outcome:
        with Jail(composed.path, binds={str(here): here}) as jail:
            return jail.run([str(here / scene.subject)])

    assert outcome().rc != 0

    remedies = [one for one in proved(solve([situation])) if one.approach == scene.approach]

    assert remedies
    kept = tmp_path / "kept"
    shutil.copytree(here, kept, symlinks=True)
    for remedy in remedies:
        assert all(getattr(edit, "path", "").startswith(f"/subject{here}/") for edit in remedy.edits), remedy.edits
        carry_out(composed, remedy.edits, model=model)
        assert outcome().rc == 0, (remedy.title, outcome())
        shutil.rmtree(here)
        shutil.copytree(kept, here, symlinks=True)
