"""gcompat's way of starting programs of glibc under musl: the model against what really happens.

gcompat itself is not in Debian. A stub that works as its own does, and a library that has some of glibc's names, are
compiled here; musl's loader is the real one.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import runworthy
from runworthy.model.trace import Answer
from tests.judges import musl, roots
from tests.judges.panel import Judge

pytestmark = pytest.mark.judge

ROOT = "musl-1.2.5-x86_64"
NAME = "ld-linux-x86-64.so.2"
LIBRARY = "/lib/libgcompat.so.0"
STUB = Path(__file__).parent.parent / "gcompat_stub.c"
_LINKS = ("libcrypt.so.1", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1", "libc.so.6")
_COMPAT = """
#include <stdarg.h>
#include <stdio.h>
int __printf_chk(int flag, const char *format, ...)
{ va_list list; va_start(list, format); int n = vprintf(format, list); va_end(list); return n; }
const char *gnu_get_libc_version(void) { return "2.8"; }
int __fdelt_chk(int n) { return n / 64; }
"""
_MAIN = "#include <stdio.h>\n%s\nint main(int count, char **words) { %s fflush(stdout); return 7; }\n"


def compiled(out: Path, source: str, *options: str | Path, compiler: str = "gcc") -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-x", "c", "-", "-o", out, *options], input=source, text=True, check=True)
    return out


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that a package like gcompat's brings."""
    roots.requires_tool("musl-gcc", package="musl-tools")
    top = tmp_path_factory.mktemp("gcompat")
    texts = {"LIBRARY": LIBRARY, "LINKER": "/lib/ld-musl-x86_64.so.1", "NAME": NAME}
    defined = [f'-D{name}="{text}"' for name, text in texts.items()]
    compiled(top / "lib" / NAME, STUB.read_text(), "-O2", "-static", *defined, compiler="musl-gcc")
    compiled(top / LIBRARY[1:], _COMPAT, "-O2", "-shared", "-fPIC", "-Wl,-soname,libgcompat.so.0", compiler="musl-gcc")
    for name in _LINKS:
        (top / "lib" / name).symlink_to("libgcompat.so.0")
    (top / "lib64").mkdir()
    (top / "lib64" / NAME).symlink_to(f"../lib/{NAME}")
    return top


CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "plain": (_MAIN % ("", 'printf("%s %d\\n", words[0], count);'), ()),
    "checked": (_MAIN % ("", 'printf("%d\\n", count);'), ("-O2", "-D_FORTIFY_SOURCE=2")),
    "version": (_MAIN % ("const char *gnu_get_libc_version(void);", "puts(gnu_get_libc_version());"), ()),
    "lacks": (_MAIN % ("void *mallinfo2(void);", "if (count > 5) mallinfo2();"), ("-fno-builtin",)),
    "lazily": (_MAIN % ("int fcloseall(void);", "if (count > 5) fcloseall();"), ("-Wl,-z,lazy",)),
    "loader": (_MAIN % ("", 'puts("loader");'), ("-Wl,--no-as-needed", f"-l:{NAME}")),
    "math": (
        _MAIN % ("double cos(double);", 'printf("%f\\n", cos(count));'),
        ("-Wl,--no-as-needed", "-lm", "-lresolv"),
    ),
    "beside": (
        _MAIN % ("int own(void);", 'printf("%d\\n", own());'),
        ("-L{own}", "-lown", "-Wl,-rpath,$ORIGIN/../own"),
    ),
    "alone": (_MAIN % ("int own(void);", 'printf("%d\\n", own());'), ("-L{own}", "-lown")),
    "fixed": (_MAIN % ("", 'puts("fixed");'), ("-no-pie",)),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of this machine's glibc, and a library beside them."""
    top = tmp_path_factory.mktemp("programs")
    compiled(top / "opt/own/libown.so", "int own(void) { return 42; }", "-shared", "-fPIC")
    for name, (source, options) in CASES.items():
        compiled(top / "opt/app" / name, source, *(option.replace("{own}", str(top / "opt/own")) for option in options))
    return top


@pytest.fixture(scope="module")
def judge(package: Path, programs: Path) -> Iterator[Judge]:
    """The real loader, with the package installed."""
    with Judge(roots.requires(ROOT), layers=(programs, package)) as found:
        yield found


def _judged(programs: Path, package: Path | None, name: str, **given: object) -> runworthy.Result:
    root = roots.requires(ROOT).path
    added = [str(programs), *([str(package)] if package else [])]
    path, at = programs / "opt/app" / name, f"/opt/app/{name}"
    (result,) = runworthy.check(path, on=str(root), with_=added, at=at, trace=True, **given).results  # type: ignore[arg-type]
    return result


def _unmet(result: runworthy.Result, kind: str) -> frozenset[str]:
    return frozenset(
        one.need.name for one in result.trace.needs if one.need.kind == kind and one.answer is Answer.UNMET
    )


@pytest.mark.parametrize("name", CASES)
def test_it_starts_what_it_is_said_to_start(judge: Judge, programs: Path, package: Path, name: str) -> None:
    outcome = judge.run([f"/opt/app/{name}", "word"])
    answer = musl.parse(outcome)
    result = _judged(programs, package, name)
    assert (outcome.rc == 7) == (result.verdict != "fails"), (outcome, result.verdict)
    assert _unmet(result, "library") == {one.name for one in answer.missing_libraries}
    assert _unmet(result, "symbol") == {one.symbol for one in answer.undefined}
    assert outcome.rc in (7, 127)
    assert result.libc == "musl 1.2.5"


def test_both_kinds_of_end_are_among_them(judge: Judge) -> None:
    ends = {name: judge.run([f"/opt/app/{name}"]).rc for name in CASES}
    assert {name for name, end in ends.items() if end != 7} == {"lacks", "lazily", "alone"}


@pytest.mark.parametrize(("preload", "rc"), [("/opt/own/libown.so", 127), ("libnone.so", 7)])
def test_what_the_environment_preloads_comes_after_it(
    judge: Judge, programs: Path, package: Path, preload: str, rc: int
) -> None:
    name = "lacks" if rc == 127 else "plain"
    outcome = judge.run([f"/opt/app/{name}"], env={"LD_PRELOAD": preload})
    result = _judged(programs, package, name, env={"LD_PRELOAD": preload})
    assert outcome.rc == rc
    assert (result.verdict == "fails") == (rc == 127)


def test_without_it_the_interpreter_is_missing_and_without_its_library_the_names_are(
    programs: Path, package: Path, tmp_path: Path
) -> None:
    root = roots.requires(ROOT)
    with Judge(root, layers=(programs,)) as bare:
        assert bare.run(["/opt/app/plain"]).rc is None
    assert _judged(programs, None, "plain").stage == "exec"
    half = tmp_path / "half"
    subprocess.run(["cp", "-a", package, half], check=True)
    (half / LIBRARY[1:]).unlink()
    with Judge(root, layers=(programs, half)) as judge:
        for name in ("plain", "checked"):
            outcome, result = judge.run([f"/opt/app/{name}"]), _judged(programs, half, name)
            assert (outcome.rc == 7) == (result.verdict != "fails") == (name == "plain")
            assert _unmet(result, "symbol") == {one.symbol for one in musl.parse(outcome).undefined}


def test_a_library_gets_into_no_process_by_it(package: Path, tmp_path: Path) -> None:
    library = compiled(
        tmp_path / "libx.so", "int gnu_get_libc_version(void); int x(void) { return gnu_get_libc_version(); }",
        "-shared", "-fPIC", "-fno-builtin",
    )  # fmt: skip
    root = roots.requires(ROOT).path
    (result,) = runworthy.check(library, on=str(root), with_=[str(package)], trace=True).results
    assert not any(path == LIBRARY for stretch in result.trace.stretches for _, path in stretch.loaded)


def archive(package: Path, at: Path) -> Path:
    """Pack a tree as a package of Alpine is packed, as far as anybody looks."""
    with tarfile.open(at, "w:gz") as out:
        for path in sorted(package.rglob("*")):
            out.add(path, arcname=os.fspath(path.relative_to(package)), recursive=False)
    return at
