"""RW810: files are stored again: a package has one file under several names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told
from runworthy.storage.installers import installer_named

CODE = "RW810"
NAME = "version-chain"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("version-chain",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "version-chain", (CODE, NAME, SEVERITY), _why)


# PEP 427 (zip archives in which installers know no links); pacote `lib/fetcher.js` (links of a tarball are left out);
# conda's, Debian's and Alpine's are tar archives with links.
_ARCHIVES: Mapping[str, str] = {"wheel": ", and wheels cannot hold links", "npm": ", and npm unpacks no links"}
_WITH_LINKS: Mapping[str, str] = {"dpkg": "Debian packages", "apk": "Alpine packages", "rpm": "RPM packages"}


def _why(waste: Waste) -> str:
    installer = installer_named(waste.installer)
    kind = installer.ecosystem if installer else ""
    holds = "conda packages" if kind == "conda" else _WITH_LINKS.get(waste.installer, "")
    more = f", though {holds} can hold links" if holds else _ARCHIVES.get(kind, "")
    return f"the package has {them(waste)} under several names{more}"
