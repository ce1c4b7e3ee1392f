"""Several packages of one project: a package of npm and those that it takes for one platform each.

Source: @npmcli/arborist ``build-ideal-tree.js`` and ``optional-set.js``: every optional dependency whose ``os``,
``cpu`` and ``libc`` do not fit is left out, and nothing is said. The package's own code then asks for the one for its
platform by name, and fails at its first use where that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runworthy.formats.layout.claims import claim_of
from runworthy.model.layout import Choice, Claim, Layout, Platform
from runworthy.model.trace import Answer, Event, Probe, Step
from runworthy.simulate.layout.npm import accepts
from runworthy.simulate.layout.words import fits, layout_need, layout_step, platform_words

__all__ = ["choose_among"]


_ANOTHER_LIBC = "npm installs it, its name is for another C library, and the package's own code decides whether it asks"


def choose_among(packages: Mapping[str, Layout], platform: Platform) -> Choice:
    """Return which of several packages of npm are used on a platform; ``packages`` are by the names of their files.

    Those that no other of them depends on are there everywhere; of the others npm takes those that fit.
    """
    held = {layout.name: file for file, layout in packages.items() if layout.npm is not None}
    taken: set[str] = set()
    among: set[str] = set()
    steps: list[Step | Event] = []
    for layout in packages.values():
        for names in _families(layout):
            files = {held[name]: packages[held[name]] for name in names if name in held}
            among |= set(files)
            fitting = [file for file, one in files.items() if one.npm is not None and accepts(one.npm, platform)]
            asked = [file for file in fitting if fits(claim_of(files[file].name), platform)]
            taken |= set(asked or fitting)
            steps.append(_step(layout, names, held, (fitting, asked), platform))
            steps += _left_out(files, fitting, asked, platform)
    return Choice(among=frozenset(among), taken=frozenset(taken), steps=tuple(steps))


def _families(layout: Layout) -> list[list[str]]:
    """Return the optional dependencies that are builds of one thing each: their names say for which platform."""
    families: dict[str, list[str]] = {}
    for name in layout.npm.optional if layout.npm else ():
        claim = claim_of(name)
        if claim.system:
            families.setdefault(_stem(name, claim), []).append(name)
    return [names for names in families.values() if len(names) > 1]


def _stem(name: str, claim: Claim) -> str:
    """Return what is before the system in a name: ``@img/sharp-libvips-`` of ``@img/sharp-libvips-linuxmusl-x64``."""
    scope, slash, last = name.rpartition("/")
    words = last.split("-")
    known = next((at for at, word in enumerate(words) if _is_system(word, claim)), len(words))
    return f"{scope}{slash}{'-'.join(words[:known])}"


_SYSTEM_WORDS = ("linuxmusl", "linux", "darwin", "macos", "osx", "win32", "windows", "webcontainers", "wasi", "sunos")


def _is_system(word: str, claim: Claim) -> bool:
    return word in _SYSTEM_WORDS or word == claim.system


def _step(
    layout: Layout,
    names: Sequence[str],
    held: Mapping[str, str],
    chosen: tuple[Sequence[str], Sequence[str]],
    platform: Platform,
) -> Step:
    """Return whether one of a family is there for the platform.

    ``chosen`` are the files that npm installs, and those of them that are for the platform by their names too.
    """
    fitting, asked = chosen
    need = layout_need(layout, "build", f"{layout.name} ({_common(names)}*)")
    if asked:
        probes = [Probe(path=name, origin=held[name], outcome="taken") for name in names if held.get(name) in asked]
        return layout_step(need, Answer.MET, met_by=asked[0], searched=probes)
    if fitting:
        probes = [Probe(path=name, origin=held[name], outcome="taken") for name in names if held.get(name) in fitting]
        return layout_step(need, Answer.UNKNOWN, searched=probes, why="not-modelled", detail=_ANOTHER_LIBC)
    named = [name for name in names if fits(claim_of(name), platform) and name not in held]
    if named:
        probes = [Probe(path=name, origin="its name", outcome="not given") for name in named]
        detail = "the package for it was not given"
        return layout_step(need, Answer.UNKNOWN, searched=probes, why="not-modelled", detail=detail)
    probes = [Probe(path=name, origin="optional dependency", outcome="another platform") for name in names]
    detail = f"there is none for {platform_words(platform)}"
    return layout_step(need, Answer.UNMET, searched=probes, detail=detail)


def _common(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:length]


def _left_out(files: Iterable[str], fitting: Sequence[str], asked: Sequence[str], platform: Platform) -> list[Event]:
    """Return what npm leaves out, and what it installs though its name is for another C library."""
    strange = [file for file in fitting if file not in asked]
    told = (
        ("left-out", "npm leaves out", [file for file in files if file not in fitting]),
        ("for-another", "npm installs, though their names are for another platform,", strange),
    )
    return [
        Event(stage="environment", kind=kind, text=f"{words} {', '.join(left)} on {platform.target}")
        for kind, words, left in told
        if left
    ]
