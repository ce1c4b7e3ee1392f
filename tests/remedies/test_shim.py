"""Shims: each function does what glibc's own does, and a program that gets one really starts under musl."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import runworthy
from runworthy.engine import Wishes
from runworthy.library.asking import target_names
from runworthy.model.arch import architecture
from runworthy.model.edit import BringFile, PatchElf
from runworthy.model.finding import Remedy
from runworthy.remedies.fixing import plans
from runworthy.remedies.shim import compiled
from runworthy.remedies.shim_source import NAMES, source
from runworthy.remedies.situation import Means
from tests.judges import roots
from tests.judges.panel import Judge

pytestmark = pytest.mark.judge

DRIVER = Path(__file__).with_name("shim_driver.c")
NEWEST = "trixie-amd64"  # which has all of them
MUSL = "musl-1.2.5-x86_64"
_DATA = {"__libc_single_threaded"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the driver lies, and a shim with everything."""
    made = tmp_path_factory.mktemp("shim")
    roots.requires_tool("gcc", package="gcc")
    subprocess.run(["gcc", "-O1", "-w", "-o", made / "driver", DRIVER], check=True)
    return made


def _shim(place: Path, text: str, name: str) -> Path:
    arch = architecture("x86_64")
    assert arch is not None
    found = compiled(text, name, arch, str(place))
    assert found is not None
    return Path(found)


def _driven(place: Path, shim: Path, libc: str) -> list[str]:
    """Return what the driver says of a shim beside the C library of a root."""
    with Judge(roots.requires(libc), binds={"/driver": place / "driver", "/shim.so": shim}) as judge:
        outcome = judge.run(["/driver", "/shim.so"], timeout=120)
    assert outcome.rc == 0, outcome
    return outcome.stdout.splitlines()


def test_each_function_does_what_glibcs_does(place: Path) -> None:
    said = _driven(place, _shim(place, source(NAMES), "all.so"), NEWEST)
    rows = [line.split() for line in said if line.startswith("compared")]
    assert [line for line in said if not line.startswith("compared")] == []
    assert {name for _, name, _, _ in rows} == NAMES - _DATA
    assert all(int(number) == 80 for _, _, number, _ in rows)
    ends_programs = {name for _, name, _, ended in rows if int(ended)}
    guarded = set(re.findall(r"\b(__\w+_chk|__fdelt_warn)\b", source(NAMES))) - {
        f"__{v}{kind}printf_chk" for v in ("", "v") for kind in ("", "f", "d", "as")
    }
    assert ends_programs == guarded


MUTANTS = (
    ("size > room", "size >= room"),
    ("size > room", "size > room + 1"),
    ("size >= room - held", "size > room - held"),
    ("(size_t)length >= size", "(size_t)length > size"),
    ("to[held + size] = 0;", ""),
    ("1) + size;", "1);"),
    ("file >= 1024", "file > 1024"),
    ("value > (most - digit) / 2", "value > most / 2"),
    ("*minus = *text == '-';", "*minus = 0;"),
    ("34; /* ERANGE */", "22;"),
    ("base != 0 && base != 2", "base != 0"),
    ("all > room", "0"),
    ("room / 8 < number", "room < number"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("right", "wrong"), MUTANTS)
def test_the_comparison_sees_what_is_wrong(place: Path, right: str, wrong: str) -> None:
    text = source(NAMES)
    assert right in text
    name = f"wrong-{MUTANTS.index((right, wrong))}.so"
    said = _driven(place, _shim(place, text.replace(right, wrong), name), NEWEST)
    assert any(line.startswith("differs") for line in said)


@pytest.mark.parametrize("libc", [MUSL, "musl-1.2.2-x86_64", "bookworm-amd64"])
def test_it_asks_for_nothing_that_another_c_library_lacks(place: Path, libc: str) -> None:
    roots.requires_tool("musl-gcc", package="musl-tools")
    shim = _shim(place, source(NAMES), "all.so")
    text = (
        "#include <dlfcn.h>\n#include <stdio.h>\n"
        'int main(void) { void *one = dlopen("/shim.so", RTLD_NOW); if (!one) puts(dlerror()); return one ? 7 : 1; }\n'
    )
    compiler = "musl-gcc" if libc.startswith("musl") else "gcc"
    program = place / f"opens-{compiler}"
    subprocess.run([compiler, "-x", "c", "-", "-o", program, "-ldl"], input=text, text=True, check=True)
    root = roots.requires(libc)
    with Judge(root, binds={"/opens": program, "/shim.so": shim}) as judge:
        outcome = judge.run([root.loader, "/opens"])
    assert (outcome.rc, outcome.stdout) == (7, "")


def test_a_library_is_made_only_for_the_machine_that_was_asked_for(place: Path) -> None:
    for name in ("aarch64", "i386"):
        arch = architecture(name)
        assert arch is not None
        roots.requires_tool(f"{arch.multiarch.replace('i386', 'i686')}-gcc", package=f"gcc for {name}")
        found = compiled(source(NAMES), "other.so", arch, str(place))
        if found is not None:
            head = Path(found).read_bytes()[:20]
            assert int.from_bytes(head[18:20], "little") == arch.elf_machine
    arch = architecture("s390x")
    assert arch is not None
    assert compiled(source(NAMES), "other.so", arch, str(place)) is None


_PROGRAM = """
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
long __isoc23_strtol(const char *, char **, int);
void *__memcpy_chk(void *, const void *, size_t, size_t);
int __snprintf_chk(char *, size_t, int, size_t, const char *, ...);
char *__strcat_chk(char *, const char *, size_t);
%s
int main(int count, char **words)
{
    char text[32] = "", *end;
    __snprintf_chk(text, sizeof text, 1, sizeof text, "%%ld", __isoc23_strtol("0b101", &end, 0) + 2 * *end);
    __strcat_chk(text, "-end", sizeof text);
    puts(text);
    fflush(stdout);
    if (count > 1) __memcpy_chk(text, words, 99, sizeof text);
    %s
    return 9;
}
"""
CASES = {
    "helped": ("", "", ()),
    "searched": ("", "", ("-Wl,-rpath,/opt/elsewhere:$ORIGIN/lib",)),
    "inherited": ("", "", ("-Wl,--disable-new-dtags,-rpath,/opt/elsewhere",)),
    "more": ("int fcloseall(void);", "if (count > 5) fcloseall();", ()),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a root with musl, with programs that were made for glibc but for the loader that they name."""
    roots.requires_tool("patchelf", package="patchelf")
    made = tmp_path_factory.mktemp("musl") / "root"
    shutil.copytree(roots.requires(MUSL).path, made, symlinks=True)
    (made / "opt").mkdir()
    newest = roots.requires(NEWEST).path
    for name, (declared, called, options) in CASES.items():
        # Linked with the newest glibc, so that what it is linked with has all of the names.
        libc = newest / "lib/x86_64-linux-gnu/libc.so.6"
        line: list[str | Path] = ["gcc", "-x", "c", "-", "-o", made / "opt" / name, "-fno-builtin"]
        line += ["-x", "none", libc, "-Wl,--allow-shlib-undefined", *options]
        loader = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"
        subprocess.run([*line, loader], input=_PROGRAM % (declared, called), text=True, check=True)
    return made


def _remedies(root: Path, name: str, scratch: Path) -> list[Remedy]:
    subject = str(root / "opt" / name)
    report = runworthy.check(subject, on=str(root), trace=True)
    assert report.results[0].verdict == "fails"
    (planned,) = plans(report, target_names([str(root)]), Wishes(), Means(scratch=str(scratch)))
    return [one for one in planned.plan.remedies if "compiled here" in one.title]


def _carried_out(root: Path, remedy: Remedy) -> None:
    for edit in remedy.edits:
        assert isinstance(edit, (BringFile, PatchElf))
        shutil.copyfile(edit.source if isinstance(edit, BringFile) else edit.made, root / edit.path[1:])


@pytest.mark.parametrize("name", CASES)
def test_what_is_proved_really_runs(root: Path, tmp_path: Path, name: str) -> None:
    with Judge(roots.root(MUSL), layers=(root,)) as judge:
        assert judge.run([f"/opt/{name}"]).rc == 127
    (remedy,) = _remedies(root, name, tmp_path)
    assert remedy.proved == (name != "more")
    assert remedy.applicability == "unsafe"
    assert any("__memcpy_chk(void *to" in line for line in remedy.recipe)
    _carried_out(root, remedy)
    with Judge(roots.root(MUSL), layers=(root,)) as judge:
        outcome, overflow = judge.run([f"/opt/{name}"]), judge.run([f"/opt/{name}", "word"])
    if not remedy.proved:
        assert outcome.rc == 127
        return
    assert (outcome.rc, outcome.stdout) == (9, "5-end\n")
    assert overflow.rc is not None
    assert overflow.rc < 0
    assert "buffer overflow detected" in overflow.stderr


def test_without_means_nothing_is_made(root: Path) -> None:
    (result,) = runworthy.check(str(root / "opt/more"), on=str(root)).results
    assert not any("compiled here" in remedy.title for finding in result.findings for remedy in finding.remedies)
