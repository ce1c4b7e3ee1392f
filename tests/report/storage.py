"""Reports on storage made by hand: what a renderer is given, of the shape of real ones, without reading a file."""

from __future__ import annotations

from collections.abc import Iterable

from runworthy.model.edit import ShareFile
from runworthy.model.finding import Finding, Remedy, Result
from runworthy.model.records import replace
from runworthy.model.storage import (
    Advice,
    Build,
    Clash,
    Copies,
    Environment,
    EnvironmentKind,
    Idle,
    Owner,
    Partial,
    Place,
    Reclaimed,
    Spare,
    StorageReport,
    StoredFile,
    Waste,
)
from runworthy.model.trace import Event, Evidence, Stretch, Trace

__all__ = ["HOSTILE", "applied", "empty", "hostile", "huge", "projects", "spare", "stored"]

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202eevil\x1b[31m\n\udcff`${x}`|*_[a](b)"
"""Everything at once that ends an element, a cell, a string or a line, or turns its direction."""

MIB = 1 << 20
DISK, OTHER = 66305, 66306
ROOT = "/srv/projects"
A, B, C = f"{ROOT}/a/.venv", f"{ROOT}/b/.venv", f"{ROOT}/c/.magic/envs/default"
UV, RATTLER = "/home/dev/.cache/uv", "/home/dev/.cache/rattler/cache"
OLD = f"{ROOT}/old/.venv"
TORCH = "lib/python3.12/site-packages/torch/lib/libtorch_cpu.so"
NUMPY = "lib/python3.12/site-packages/numpy.libs/libscipy_openblas64_.so"
DAY = 86_400 * 10**9
USED = 20_500 * DAY  # 2026-02-16


def stored(inode: int, size: int, *names: str, device: int = DISK, links: int = 0, mode: int = 0o100644) -> StoredFile:
    return StoredFile(
        device=device,
        inode=inode,
        size=size,
        allocated=-(-size // 4096) * 4096,
        mode=mode,
        uid=1000,
        gid=1000,
        links=links or len(names),
        mtime=USED,
        ctime=USED,
        names=tuple(sorted(names)),
    )


def place(path: str, device: int = DISK) -> Place:
    return Place(path=path, filesystem=f"ext4:259:{device - DISK + 1}", device=device, type="ext4", mount=29)


def environment(path: str, kind: EnvironmentKind, size: int, device: int = DISK, **changes: object) -> Environment:
    fields: dict[str, object] = {"files": size // (40 * MIB) + 3, "allocated": size, "used": USED}
    held = fields | changes
    return Environment(path=path, kind=kind, place=place(path, device), **held)  # type: ignore[arg-type]


def owner(path: str, package: str = "", version: str = "", installer: str = "") -> Owner:
    recorded = f"sha256:{package.encode().hex():0<64}" if package else ""
    return Owner(environment=path, package=package, version=version, installer=installer, recorded=recorded)


def spare(file: StoredFile, kept: StoredFile, own: Owner, other: Owner, **changes: object) -> Spare:
    return Spare(file=file, kept=kept, owner=own, kept_owner=other, **changes)  # type: ignore[arg-type]


def share(one: Spare) -> ShareFile:
    assert one.how
    return ShareFile(paths=one.file.names, kept=one.kept.names[0], how=one.how, size=one.file.size, frees=one.frees)


def finding(code: str, name: str, message: str, **changes: object) -> Finding:
    fields: dict[str, object] = {"severity": "warning", "stage": "environment", "fingerprint": code.lower() * 3}
    return Finding(code=code, name=name, message=message, **(fields | changes))  # type: ignore[arg-type]


def result(path: str, *findings: Finding) -> Result:
    steps = tuple(Event(stage="environment", kind="copying-installer", text="0", by=path) for _ in findings)
    trace = Trace(stretches=(Stretch(object=path, machine="", loader="", root="", steps=steps),))
    return Result(subject=path, target="", verdict="runs", stage=None, findings=findings, trace=trace, path=path)


def projects() -> StorageReport:
    """Two virtual environments, the case in which a package manager stores a library twice, and two caches."""
    torch = stored(11, 421 * MIB + 17, f"{A}/{TORCH}", f"{UV}/archive-v0/t1/torch/lib/libtorch_cpu.so")
    again = stored(21, 421 * MIB + 17, f"{B}/{TORCH}")
    blas = stored(12, 24 * MIB, f"{A}/{NUMPY}", f"{UV}/archive-v0/n1/{NUMPY.rpartition('/')[2]}")
    blas_again = stored(22, 24 * MIB, f"{B}/{NUMPY}", links=2)
    monnx = stored(31, 208 * MIB, f"{C}/lib/libmonnx.so", f"{RATTLER}/pkgs/max-core-24.5/lib/libmonnx.so")
    twice = stored(
        32,
        208 * MIB,
        f"{C}/lib/python3.12/site-packages/max/lib/libmonnx.so",
        f"{RATTLER}/pkgs/max-python-24.5/lib/python3.12/site-packages/max/lib/libmonnx.so",
    )
    ssl = stored(41, 5 * MIB, f"{C}/lib/libcrypto.so.3")
    far = stored(42, 5 * MIB, f"{OLD}/lib/libcrypto.so.3", device=OTHER)
    patched = stored(51, 9 * MIB, f"{C}/bin/python3.12", mode=0o100755)
    other = stored(52, 9 * MIB, f"{RATTLER}/pkgs/python-3.12/bin/python3.12", mode=0o100755)
    spares = (
        spare(
            again,
            torch,
            owner(B, "torch", "2.4.1", "pip"),
            owner(A, "torch", "2.4.1", "uv"),
            cause="copying-installer",
            how="hardlink",
            frees=again.allocated,
        ),
        spare(
            blas_again,
            blas,
            owner(B, "numpy", "2.1.0", "pip"),
            owner(A, "numpy", "2.1.0", "uv"),
            cause="copying-installer",
            bar="links-outside",
            proof="remembered",
        ),
        spare(
            twice,
            monnx,
            owner(C, "max-python", "24.5", "rattler"),
            owner(C, "max-core", "24.5", "rattler"),
            cause="separate-cache-entries",
            how="hardlink",
            frees=twice.allocated,
        ),
        spare(
            far,
            ssl,
            owner(OLD),
            owner(C, "openssl", "3.3.1", "rattler"),
            cause="other-filesystem",
            bar="other-filesystem",
            proof="recorded",
        ),
    )
    wastes = _wastes(spares)
    environments = (
        environment(A, "venv", 445 * MIB, installer="uv", version="0.4.18", python="3.12", used_by="__pycache__"),
        environment(B, "venv", 446 * MIB, installer="pip", version="24.2", python="3.12", used_by="__pycache__"),
        environment(C, "magic", 431 * MIB, installer="magic", version="0.4.0", python="3.12", used_by="conda-meta"),
        environment(OLD, "venv", 5 * MIB, OTHER, installer="pip", python="3.8", used=USED - 700 * DAY),
        environment(UV, "uv-cache", 445 * MIB),
        environment(RATTLER, "rattler-cache", 425 * MIB),
    )
    return StorageReport(
        paths=(ROOT,),
        environments=environments,
        copies=_copies([torch, again], [blas, blas_again], [monnx, twice], [ssl, far]),
        spares=spares,
        results=_results(wastes),
        wastes=wastes,
        partial=(Partial(file=patched, kept=other, ranges=((0, 4 * MIB), (5 * MIB, 4 * MIB)), equal=8 * MIB),),
        clashes=(_clash(),),
        idle=(
            Idle(
                environment=environments[3],
                used=environments[3].used,
                used_by="the newest __pycache__",
                allocated=5 * MIB,
            ),
            Idle(environment=environments[4], used=0, used_by="", allocated=445 * MIB, command="uv cache prune"),
        ),
        advice=_advice(),
        files=14,
        allocated=1331 * MIB,
        again=sum(one.file.allocated for one in spares) + 8 * MIB,
        frees=sum(one.frees for one in spares) + 8 * MIB,
        shared=12 * MIB,
        min_size=1 << 16,
        passed_over={"small": 31_204, "link": 1, "kept apart": 12},
        problems=((f"{ROOT}/locked", "Permission denied"),),
    )


def _copies(*sets: list[StoredFile]) -> tuple[Copies, ...]:
    return tuple(Copies(size=held[0].size, filesystem="ext4:259:1", files=tuple(held)) for held in sets)


def _wastes(spares: tuple[Spare, ...]) -> tuple[Waste, ...]:
    torch, blas, twice, far = spares
    return (
        Waste(
            cause="copying-installer",
            environment=B,
            other=A,
            cause_in=B,
            installer="pip",
            version="24.2",
            files=2,
            size=torch.file.allocated + blas.file.allocated,
            frees=torch.frees,
            packages=(("torch", 1, torch.file.allocated), ("numpy", 1, blas.file.allocated)),
            examples=((torch.file.names[0], torch.kept.names[0], torch.file.allocated),),
            facts=(("installer", "pip 24.2"), ("links of the file", "1")),
            setting="uv pip install links what its cache has",
            works=True,
            bars=(("links-outside", 1, blas.file.allocated),),
            shares=(share(torch),),
        ),
        Waste(
            cause="separate-cache-entries",
            environment=C,
            other=C,
            cause_in=C,
            cache=RATTLER,
            installer="magic",
            version="0.4.0",
            files=1,
            size=twice.file.allocated,
            frees=twice.frees,
            packages=(("max-python", 1, twice.file.allocated),),
            shares=(share(twice),),
        ),
        Waste(
            cause="other-filesystem",
            environment=OLD,
            other=C,
            files=1,
            size=far.file.allocated,
            works=False,
            bars=(("other-filesystem", 1, far.file.allocated),),
        ),
    )


def _results(wastes: tuple[Waste, ...]) -> tuple[Result, ...]:
    copied, twice, _ = wastes
    return (
        result(
            C,
            finding(
                "RW805",
                "separate-cache-entries",
                f"`{C}` holds 208.0 MiB twice: max-core and max-python bring the same file",
                evidence=(Evidence(file=f"{C}/lib/libmonnx.so"),),
                notes=("each is linked to an entry of its own in the cache",),
                remedies=(Remedy(title="share 1 file: 208.0 MiB", applicability="safe", edits=twice.shares),),
                cause="separate cache entries",
            ),
            finding(
                "RW820",
                "two-builds",
                "`python` loads two builds of libomp.so",
                severity="error",
                lines=(f"{C}/lib/libomp.so  llvm-openmp 18", f"{C}/lib/python3.12/site-packages/torch/lib/libomp.so"),
                cause="two OpenMP runtimes",
            ),
        ),
        result(
            B,
            finding(
                "RW803",
                "copying-installer",
                f"`{B}` holds 445.0 MiB again that `{A}` has: pip 24.2 always copies",
                lines=("torch  421.0 MiB", "numpy   24.0 MiB"),
                remedies=(
                    Remedy(title="share 1 file: 421.0 MiB", applicability="safe", edits=copied.shares),
                    Remedy(title="install with `uv pip install`, which links from its cache"),
                ),
                cause="pip copies",
            ),
        ),
        result(
            OLD,
            finding(
                "RW801",
                "other-file-system",
                f"`{OLD}` holds 5.0 MiB again that `{C}` has: they are on different file systems",
                severity="note",
                cause="other file system",
            ),
            finding("RW830", "unused", f"nothing has used `{OLD}` since 2024-03-18", severity="note"),
        ),
    )


def _clash() -> Clash:
    builds = (
        Build(
            path=f"{C}/lib/libomp.so",
            soname="libomp.so",
            owner=owner(C, "llvm-openmp", "18.1.8"),
            size=MIB,
            wanted_by=(f"{C}/lib/libmkl_intel_thread.so.2",),
        ),
        Build(
            path=f"{C}/lib/python3.12/site-packages/torch/lib/libomp.so",
            soname="libomp.so",
            owner=owner(C, "torch", "2.4.1"),
            size=2 * MIB,
        ),
    )
    return Clash(
        environment=C,
        library="OpenMP runtime",
        builds=builds,
        outcome="both",
        process="`python` that imports numpy and torch",
        certain=True,
        breaks=((f"{C}/lib/libx.so", "VERSION"),),
    )


def _advice() -> tuple[Advice, ...]:
    return (
        Advice(
            installer="uv",
            setting='link-mode = "hardlink"',
            where="/home/dev/.config/uv/uv.toml",
            source=UV,
            target=B,
            works=True,
            trial="a hard link was made there and taken away again",
        ),
        Advice(
            installer="magic",
            setting="pixi, in its place",
            where="",
            source=RATTLER,
            target=C,
            works=None,
            version="0.4.0",
            since="0.9.0",
            notes=("links do not help where two packages bring one file",),
        ),
        Advice(
            installer="uv",
            setting="UV_CACHE_DIR",
            where="the environment",
            source=UV,
            target=OLD,
            works=False,
            trial="EXDEV: they are on different file systems",
        ),
    )


def applied() -> StorageReport:
    """The same after `--apply`."""
    held = projects()
    return replace(
        held,
        reclaimed=Reclaimed(
            entry="20260301-101500-3f2a",
            shared=tuple((one.file.names[0], one.how, one.frees) for one in held.spares if one.how),
            left=((f"{B}/{NUMPY}", "open for writing by another process"), (f"{A}/x", "changed since it was read")),
            estimated=held.frees,
            measured=629 * MIB - 4096,
            notes=("others wrote to the file system meanwhile",),
        ),
    )


def empty() -> StorageReport:
    """Nothing is stored again."""
    return StorageReport(
        paths=(ROOT,),
        environments=(environment(A, "venv", 445 * MIB),),
        copies=(),
        spares=(),
        results=(),
        files=3,
        allocated=445 * MIB,
    )


def hostile() -> StorageReport:
    """Every text that a stranger may have written is as hostile as it can be, and one is very long."""
    held = projects()
    bad = f"/srv/{HOSTILE}"
    own = Owner(environment=bad, package=HOSTILE, version=HOSTILE, build=HOSTILE, installer=HOSTILE, recorded=HOSTILE)
    kept = stored(1, MIB, f"{bad}/kept", f"{bad}/{'long/' * 1000}")
    spares = (
        spare(stored(2, MIB, f"{bad}/a{HOSTILE}"), kept, own, own, how="clone", frees=MIB),
        spare(stored(3, MIB, f"/x\u200f/{'b' * 4000}"), kept, own, own, bar="program", proof="recorded"),
        *held.spares,
    )
    waste = Waste(
        cause="vendored",
        environment=bad,
        other=HOSTILE,
        cause_in=HOSTILE,
        cache=HOSTILE,
        installer=HOSTILE,
        packages=((HOSTILE, 1, 2),),
        examples=((HOSTILE, HOSTILE, 2),),
        facts=((HOSTILE, HOSTILE),),
        setting=HOSTILE,
        shares=(share(spares[0]),),
    )
    worst = finding(
        "RW804",
        "vendored",
        f"it is {HOSTILE}",
        lines=(HOSTILE,),
        notes=(HOSTILE,),
        evidence=(Evidence(file=HOSTILE, section=HOSTILE),),
        remedies=(Remedy(title=HOSTILE, edits=waste.shares, recipe=(HOSTILE,), proof=HOSTILE),),
    )
    place_ = environment(bad, "tree", MIB, installer=HOSTILE, version=HOSTILE, used=-(10**30), used_by=HOSTILE)
    return replace(
        held,
        paths=(bad,),
        only=(HOSTILE,),
        environments=(place_, *held.environments),
        copies=(*held.copies, Copies(size=MIB, filesystem=HOSTILE, files=(kept, spares[0].file), extents=(0, 1))),
        spares=spares,
        results=(result(bad, worst, replace(worst, message=f"and {HOSTILE}")), *held.results),
        wastes=(waste, *held.wastes),
        clashes=(replace(_clash(), environment=bad, library=HOSTILE, process=HOSTILE),),
        idle=(Idle(environment=place_, used=10**40, used_by=HOSTILE, allocated=1, command=HOSTILE),),
        advice=(
            Advice(
                installer=HOSTILE,
                setting=HOSTILE,
                where=HOSTILE,
                source=bad,
                target=HOSTILE,
                works=False,
                trial=HOSTILE,
                version=HOSTILE,
                since=HOSTILE,
                notes=(HOSTILE,),
            ),
        ),
        passed_over={HOSTILE: 2},
        problems=((HOSTILE, HOSTILE),),
        new=frozenset((HOSTILE,)),
        reclaimed=Reclaimed(
            entry=HOSTILE,
            shared=((HOSTILE, "clone", 1),),
            left=((HOSTILE, HOSTILE),),
            estimated=2,
            measured=-1,
            notes=(HOSTILE,),
        ),
    )


def huge(number: int = 50_000) -> StorageReport:
    """So many spares in 200 environments."""
    environments = [f"{ROOT}/p{at}/.venv" for at in range(200)]
    sets: list[tuple[StoredFile, StoredFile]] = []
    for at in range(number):
        name = f"lib/python3.12/site-packages/package_{at % 300}/module_{at}.so"
        kept = stored(2 * at, 70_000 + at, f"{environments[0]}/{name}")
        sets.append((stored(2 * at + 1, 70_000 + at, f"{environments[1 + at % 199]}/{name}"), kept))
    spares = tuple(_one_of(at, file, kept, environments) for at, (file, kept) in enumerate(sets))
    held = projects()
    return replace(
        held,
        environments=tuple(environment(path, "venv", 60 * MIB) for path in environments),
        copies=_copies(*([kept, file] for file, kept in sets)),
        spares=spares,
        wastes=tuple(_all_of(path, spares[at::199]) for at, path in enumerate(environments[1:])),
        results=tuple(
            result(path, finding("RW803", "copying-installer", f"`{path}` holds much again", cause="pip copies"))
            for path in environments[1:]
        ),
        again=sum(one.file.allocated for one in spares),
        frees=sum(one.frees for one in spares),
        allocated=2 * sum(one.file.allocated for one in spares),
        problems=tuple((f"{ROOT}/{at}", "Permission denied") for at in range(500)),
    )


def _one_of(at: int, file: StoredFile, kept: StoredFile, environments: list[str]) -> Spare:
    name = f"package-{at % 300}"
    return spare(
        file,
        kept,
        owner(environments[1 + at % 199], name, "1.0", "pip"),
        owner(environments[0], name, "1.0", "uv"),
        cause="copying-installer",
        how="extents",
        frees=file.allocated,
    )


def _all_of(path: str, spares: Iterable[Spare]) -> Waste:
    held = list(spares)
    return Waste(
        cause="copying-installer",
        environment=path,
        other=f"{ROOT}/p0/.venv",
        files=len(held),
        size=sum(one.file.allocated for one in held),
        frees=sum(one.frees for one in held),
        shares=tuple(share(one) for one in held),
    )
