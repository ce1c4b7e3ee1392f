"""Actually Portable Executables that really run: what is told of one is what sh, a handler and qemu make of it."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest

from runworthy.formats.ape import extract_loader, is_ape, read_ape, with_unpacked
from runworthy.formats.content import BytesContent
from runworthy.model.program import ApeFacts
from runworthy.model.trace import Answer, Step
from runworthy.simulate.ape import under_shell
from runworthy.simulate.launch import Launch
from runworthy.targets.names import TargetName
from tests.apewriter import APEDBG, JARTSR, MZQFPD, ape, ape_loader
from tests.judges import qemu
from tests.judges.kernel import Executed, Kernel, requires_kernel

pytestmark = pytest.mark.judge

MESSAGE, CODE = "an APE ran natively\n", 42
NEAR = "MZqFpDx\n"
ARM64_ELF = (
    rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
)
"""Magic and mask of a program for arm64, as qemu's own registration has them; the OS ABI is looked at here."""


@pytest.fixture(scope="module")
def loaders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    missing = [name for name in ("gcc", "aarch64-linux-gnu-gcc") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}")
    return {one: ape_loader(one, tmp_path_factory.mktemp(one)) for one in ("x86_64", "aarch64")}


@pytest.fixture
def kernel() -> Generator[Kernel]:
    with requires_kernel() as made:
        yield made


def facts_of(data: bytes) -> ApeFacts:
    content = BytesContent(data)
    return with_unpacked(content, read_ape(content))


def ran(ended: Executed) -> bool:
    """Whether the program's own code ran, and nothing else did."""
    assert ended.errno == 0
    assert (ended.stdout == MESSAGE) == (ended.rc == CODE), ended
    return ended.rc == CODE


def shell(kernel: Kernel, path: Path, *arguments: str, search: str = "/usr/bin:/bin") -> Executed:
    scratch = kernel.files / "scratch"
    env = {"PATH": search, "TMPDIR": str(scratch), "HOME": "/nonexistent"}
    return kernel.execute("/bin/sh", ["sh", str(path), *arguments], env=env)


# -- through a handler -----------------------------------------------------------------------


def register(kernel: Kernel, loader: Path, flags: str = "") -> None:
    """Register the loader as its authors say: both magics by 6 bytes, APEDBG not."""
    for name, magic in (("APE", "MZqFpD"), ("APE-jart", "jartsr")):
        assert kernel.register(f":{name}:M::{magic}::{loader}:{flags}".encode()) == 0


VARIANTS = [
    {"magic": magic, "machines": machines, "far": far, "segment_types": types}
    for magic, machines, far, types in product(
        (MZQFPD, JARTSR, APEDBG, NEAR),
        (("x86_64",), ("aarch64",), ("aarch64", "x86_64")),
        (False, True),
        ((1,), (1, 3), (4,)),
    )
]


@pytest.mark.parametrize("flags", ["", "P", "F", "OC", "POCF"])
def test_a_handler_runs_what_has_code_for_this_machine(kernel: Kernel, loaders: dict[str, bytes], flags: str) -> None:
    register(kernel, kernel.put("ape", loaders["x86_64"]), flags)
    native = 0
    for number, variant in enumerate(VARIANTS):
        data = ape(**variant)  # type: ignore[arg-type]  # rows of a table
        ended = kernel.execute(kernel.put(f"program{number}", data), ["zero", "one"])
        if variant["magic"] == APEDBG:
            assert ended.errno == 8  # ENOEXEC: nobody takes it
            continue
        told = is_ape(data) and facts_of(data).elf_for("x86_64") is not None
        assert ran(ended) == told, variant
        assert told or ended.rc == 127
        native += told
    assert native == 4


def test_the_loader_out_of_the_file_serves_as_a_handler(kernel: Kernel, loaders: dict[str, bytes]) -> None:
    """What a remedy installs is what the APE embeds, and it runs another APE."""
    content = BytesContent(ape(loaders=loaders, machines=("x86_64", "aarch64"), members={"weights": bytes(5000)}))
    (embedded,) = (one for one in read_ape(content).loaders if one.arch == "x86_64")
    register(kernel, kernel.put("usr/bin/ape", extract_loader(content, embedded)), "PF")
    assert ran(kernel.execute(kernel.put("program", ape(magic=JARTSR))))


# -- through sh ------------------------------------------------------------------------------


@pytest.mark.parametrize("magic", [MZQFPD, JARTSR, APEDBG])
@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("machines", [("x86_64",), ("aarch64",), ("x86_64", "aarch64")])
def test_a_classic_one_rewrites_itself(kernel: Kernel, magic: str, machines: tuple[str, ...], far: bool) -> None:  # noqa: FBT001 - a parameter of the test
    data = ape(magic=magic, machines=machines, far=far)
    facts = facts_of(data)
    assert facts.rewrites_itself
    path = kernel.put("program", data)
    header = next((elf for elf in (*facts.elves, *facts.far_elves) if elf.arch == "x86_64"), None)
    assert told_under_shell(facts) == (header is not None)
    assert ran(shell(kernel, path)) == (header is not None)
    assert path.read_bytes() == (data if header is None else header.header + data[64:])


def test_one_with_a_loader_for_another_machine_rewrites_itself(kernel: Kernel, loaders: dict[str, bytes]) -> None:
    data = ape(loaders={"aarch64": loaders["aarch64"]}, machines=("x86_64", "aarch64"))
    path = kernel.put("program", data)
    assert told_under_shell(facts_of(data))
    assert ran(shell(kernel, path))
    assert path.read_bytes()[:4] == b"\x7fELF"


def told_under_shell(facts: ApeFacts) -> bool:
    """Return whether nothing is told to be missing when a shell of this machine reads the file."""
    launch = Launch(env={"PATH": "/usr/bin:/bin"})
    steps = under_shell("/subject/program", facts, TargetName("host").open(None), launch)
    return all(step.answer is Answer.MET for step in steps if isinstance(step, Step) and step.stage == "exec")


@pytest.mark.parametrize("caller", [("bash", "-c"), ("busybox", "sh", "-c"), ("zsh", "-c"), ("fish", "-c"), ("env",)])
def test_callers_that_fall_back_run_it(kernel: Kernel, loaders: dict[str, bytes], caller: tuple[str, ...]) -> None:
    if shutil.which(caller[0]) is None:
        pytest.skip(f"no {caller[0]}")
    path = kernel.put("program", ape(loaders=loaders))
    env = {"PATH": "/usr/bin:/bin", "TMPDIR": str(kernel.files), "HOME": str(kernel.files)}
    assert ran(kernel.execute(path, via=caller, env=env))


def test_one_with_loaders_unpacks_what_is_told(kernel: Kernel, loaders: dict[str, bytes]) -> None:
    data = ape(loaders=loaders, machines=("x86_64", "aarch64"))
    facts = facts_of(data)
    path = kernel.put("program", data)
    assert ran(shell(kernel, path))
    assert not facts.rewrites_itself
    assert path.read_bytes() == data
    unpacked = kernel.files / "scratch" / facts.loader_name
    (loader,) = (one for one in facts.loaders if one.arch == "x86_64")
    assert sha256(unpacked.read_bytes()).hexdigest() == loader.sha256
    assert ran(shell(kernel, path))  # and again, with the loader that lies there


def test_assimilation_writes_the_header_that_is_told(kernel: Kernel, loaders: dict[str, bytes]) -> None:
    data = ape(loaders=loaders, machines=("aarch64", "x86_64"))
    path = kernel.put("program", data)
    header = facts_of(data).elf_for("x86_64")
    assert header is not None
    assert shell(kernel, path, "--assimilate").rc == 0
    assert path.read_bytes() == header.header + data[64:]
    assert ran(kernel.execute(path))


def test_its_commands_are_those_that_it_cannot_do_without(kernel: Kernel, loaders: dict[str, bytes]) -> None:
    data = ape(loaders=loaders)
    facts = facts_of(data)
    search = kernel.files / "commands"
    search.mkdir()
    for name in facts.tools:
        (search / name).symlink_to(f"/usr/bin/{name}")
    for missing in (None, *facts.tools):
        if missing:
            (search / missing).unlink()
        shutil.rmtree(kernel.files / "scratch", ignore_errors=True)
        assert ran(shell(kernel, kernel.put("program", data), search=str(search))) == (missing is None), missing
        if missing:
            (search / missing).symlink_to(f"/usr/bin/{missing}")


# -- arm64 -----------------------------------------------------------------------------------


@pytest.fixture
def emulator() -> Path:
    found = qemu.binary("aarch64")
    if found is None:
        pytest.skip("no qemu-aarch64-static (qemu-user-static)")
    return found


@pytest.mark.parametrize("skew", [0, 0x8000, 0x4000, 0x1000, 0x800])
@pytest.mark.parametrize("page", [4096, 16384, 65536])
def test_page_sizes(kernel: Kernel, loaders: dict[str, bytes], emulator: Path, skew: int, page: int) -> None:
    data = ape(machines=("aarch64",), skew=skew)
    loader, path = kernel.put("ape", loaders["aarch64"]), kernel.put("program", data)
    ended = kernel.execute(emulator, [str(emulator), "-p", str(page), str(loader), str(path)])
    assert ran(ended) == (page in facts_of(data).elves[0].page_sizes)


def test_a_handler_under_an_emulator(kernel: Kernel, loaders: dict[str, bytes], emulator: Path) -> None:
    """The kernel hands the APE to a loader for arm64, and that to qemu: two handlers, one program."""
    magic, mask = ARM64_ELF
    assert kernel.register(b":arm64:M::%b:%b:%b:F" % (magic, mask, str(emulator).encode())) == 0
    register(kernel, kernel.put("ape", loaders["aarch64"]))
    assert ran(kernel.execute(kernel.put("program", ape(machines=("x86_64", "aarch64")))))
    assert not ran(kernel.execute(kernel.put("program", ape(machines=("x86_64",)))))
