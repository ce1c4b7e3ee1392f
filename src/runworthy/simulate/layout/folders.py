"""Builds that no known rule chooses among: their names say what each is for, and the package's own code decides."""

from __future__ import annotations

from runworthy.model.layout import Group, Platform
from runworthy.model.trace import Probe
from runworthy.simulate.layout.words import Pick, fits

__all__ = ["by_name"]


def by_name(group: Group, platform: Platform) -> Pick:
    """Return the builds that are for the platform by their names, those for its C library before others."""
    fitting = [build for build in group.builds if fits(build.claim, platform)]
    exact = [build for build in fitting if build.claim.libc and build.claim.libc == platform.libc]
    taken = tuple(exact or fitting)
    probes = tuple(Probe(path=build.path, origin="its name", outcome="fits") for build in taken)
    return Pick(taken=taken, probes=probes, unknown="the package's own code decides which it takes")
