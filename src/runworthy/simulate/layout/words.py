"""What the rules of all ecosystems share: their answer, and the steps that tell of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runworthy.model.layout import Build, Claim, Contents, Group, Layout, Platform
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Event, Evidence, Need, Probe, Step, Why

__all__ = ["Pick", "fits", "layout_need", "layout_step", "platform_words", "steps_of"]

_NAMES = {
    "armv7": ("arm", "armv7", "armv6"),
    "armv6": ("arm", "armv6"),
    "armel": ("arm", "armel"),
    "ppc64le": ("ppc64le", "ppc64"),
}
"""Names of builds that may fit a machine: of 32-bit Arm an older one runs on a newer, and the float convention must be
its own; Node.js calls both byte orders of PowerPC ``ppc64``."""

_MACHINES = {"armv6": ("armv7",)}
"""What the bytes of builds for a machine say, where that is another: ELF headers tell armv6 from armv7 no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What a rule takes. ``probes`` are what it looked for, in order.

    ``unknown`` says what would have to be known to say what is taken: ``taken`` is then what it may be.
    """

    taken: tuple[Build, ...] = ()
    probes: tuple[Probe, ...] = ()
    unknown: str = ""


def fits(claim: Claim, platform: Platform) -> bool:
    """Whether a build is for the platform, by its name alone. What the name does not say is not held against it."""
    arch = platform.arch.name
    if claim.system and claim.system != platform.system:
        return False
    if claim.libc and platform.libc and claim.libc != platform.libc:
        return False
    universal = claim.arch == "universal" and platform.system == "macos"
    return universal or not claim.arch or claim.arch in _NAMES.get(arch, (arch,))


def platform_words(platform: Platform) -> str:
    """Return a platform in words: ``linux on aarch64 with musl``."""
    return f"{platform.system} on {platform.arch.name}{f' with {platform.libc}' if platform.libc else ''}"


def layout_need(layout: Layout, question: str, name: str, by: str = "") -> Need:
    """Return the need that a step answers.

    ``question`` is ``platform`` (is the package installed there), ``build`` (which of several is taken), ``contents``
    (is what is taken what it says) or ``native-library`` (is a library found that an assembly calls into).
    """
    by = by or layout.manifest or layout.name
    return Need(kind="layout", name=name, version=question, by=by, evidence=Evidence(file=by) if by else None)


def layout_step(
    need: Need,
    answer: Answer,
    *,
    met_by: str | None = None,
    searched: Sequence[Probe] = (),
    why: Why | None = None,
    detail: str = "",
    fatal: bool = True,
) -> Step:
    """Return a step of the stage in which layouts are judged."""
    return Step(
        stage="environment",
        need=need,
        answer=answer,
        met_by=met_by,
        searched=tuple(searched),
        why=why,
        detail=detail,
        fatal=fatal,
    )


def steps_of(
    layout: Layout, group: Group, pick: Pick, platform: Platform, contents: Mapping[str, Contents]
) -> list[Step | Event]:
    """Return how a choice came about, and whether what is taken is what it should be."""
    need = layout_need(layout, "build", group.name)
    first = pick.taken[0].path if pick.taken else None
    if pick.unknown:
        return [
            layout_step(
                need, Answer.UNKNOWN, met_by=first, searched=pick.probes, why="not-modelled", detail=pick.unknown
            )
        ]
    if first is None:
        words = f"there is none for {platform_words(platform)}"
        return [layout_step(need, Answer.UNMET, searched=pick.probes, detail=words, fatal=not group.optional)]
    steps: list[Step | Event] = [layout_step(need, Answer.MET, met_by=first, searched=pick.probes)]
    for build in pick.taken:
        steps += _of_contents(layout, build, platform, contents.get(build.path))
    return steps


def _of_contents(layout: Layout, build: Build, platform: Platform, held: Contents | None) -> list[Step | Event]:
    """Return what is wrong with a build that was taken, by its bytes where they are known, else by its name."""
    wrong = _mismatch(build, platform, held) if held else ""
    if wrong:
        need = layout_need(layout, "contents", build.path, by=build.path)
        return [layout_step(need, Answer.UNMET, met_by=build.path, detail=f"{build.tag}: {wrong}")]
    foreign = platform.libc == "musl" and build.claim.libc != "musl" and build.claim.system in ("linux", "")
    if foreign and (held is None or held.libc == "glibc"):
        text = f"{build.path}: {build.tag}"
        return [Event(stage="environment", kind="glibc-build" if held else "perhaps-glibc-build", text=text)]
    return []


def _mismatch(build: Build, platform: Platform, held: Contents) -> str:
    """Return what the bytes are where that is not what is wanted, empty where they fit."""
    arch = platform.arch.name
    if held.system and held.system != platform.system:
        return f"is for {held.system}"
    if held.archs and held.archs.isdisjoint(_MACHINES.get(arch, (arch,))):
        return f"is for {' and '.join(sorted(held.archs))}"
    if held.libc and platform.libc and held.libc != platform.libc:
        # A build that claims no C library, or glibc, is taken on musl for want of another: that is no wrong label.
        claimed = build.claim.libc or "glibc"
        return f"is linked with {held.libc}" if claimed != held.libc else ""
    return ""
