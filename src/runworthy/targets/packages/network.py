"""What the repositories of a root say over the network: only what they are configured to, and only when told to.

Of Debian's archives the hash of each list stands in a signed file, and that of each package in its list; of rpm's and
Alpine's repositories the lists are taken as they come, and it is said so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from runworthy.formats.content import BytesContent, Content, FileContent
from runworthy.formats.index.apkindex import read_apkindex
from runworthy.formats.index.control import paragraphs, read_packages
from runworthy.formats.index.repodata import PrimaryIndex, read_repomd
from runworthy.model.errors import FormatError
from runworthy.model.package import Manager
from runworthy.targets.packages.fetching import Fetcher, FetchError
from runworthy.targets.packages.pool import Owners
from runworthy.targets.packages.repositories import Repository, repositories
from runworthy.targets.packages.signature import plain_text, verified
from runworthy.targets.packages.sources import ContentsList, FileLists, Sources, rank
from runworthy.targets.target import Target

__all__ = ["network_sources"]

_RELEASE_LIMIT: Final = 16 << 20
_PACKED: Final = (".xz", ".gz", "")


def network_sources(target: Target, manager: Manager, words: Sequence[str], fetcher: Fetcher) -> Sources:
    """Return what the repositories of a root tell for architectures, ``words`` as the manager spells them."""
    found = Sources()
    for repository in repositories(target, manager):
        if not repository.base.startswith(("http://", "https://")):
            found.notes.append(f"{repository.base} is not asked: only http and https are")
            continue
        try:
            found.add(_READERS[manager](target, repository, words, fetcher))
        except (FetchError, FormatError, OSError) as error:
            found.notes.append(str(error))
    return found


def _content(path: str) -> FileContent:
    return FileContent(path, os.stat(path).st_size)


# -- apt ---------------------------------------------------------------------------------------------


def _apt(target: Target, repository: Repository, words: Sequence[str], fetcher: Fetcher) -> Sources:
    found = Sources()
    flat = repository.suite.endswith("/")
    top = f"{repository.base}/{repository.suite}".rstrip("/") if flat else f"{repository.base}/dists/{repository.suite}"
    text, listed, signed = _release(target, repository, top, fetcher, found)
    base = top if flat else repository.base
    for component in ("",) if flat else repository.components:
        for word in words:
            if repository.architectures and word not in repository.architectures:
                continue
            name = "Packages" if flat else f"{component}/binary-{word}/Packages"
            path = _list(top, name, listed, fetcher)
            if path:
                found.indexes.append(read_packages(_content(path), f"{top}/{name}", base))
                found.signed.update((f"{top}/{name}",) if signed else ())
                rank(found, f"{top}/{name}", text)
            names = (f"{component}/Contents-{word}", f"Contents-{word}") if not flat else ()
            held = next((name for name in names if f"{name}.gz" in listed), "")
            if held:
                found.later.append(_Later(partial(_list, top, held, listed, fetcher), ContentsList))
    return found


class _Later:
    """A list with files that is fetched when somebody asks for one: it is large. ``whole``: only for whole paths."""

    def __init__(self, fetch: Callable[[], str], made: Callable[[Content], Owners], *, whole: bool = False) -> None:
        self._fetch = fetch
        self._made = made
        self._whole = whole

    def owners(self, paths: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return of each path that is known who brings it. Raises FormatError, FetchError, OSError."""
        asked = [path for path in paths if "/" in path or not self._whole]
        path = self._fetch() if asked else ""
        return self._made(_content(path)).owners(asked) if path else {}


_Hashes = Mapping[str, str]


def _release(
    target: Target, repository: Repository, top: str, fetcher: Fetcher, found: Sources
) -> tuple[bytes, _Hashes, bool]:
    """Return what an archive says of itself, the hashes of its lists, and whether it is signed or trusted as it is.

    Raises FetchError, FormatError, OSError.
    """
    try:
        path, signature = fetcher.get(f"{top}/InRelease", limit=_RELEASE_LIMIT), ""
    except FetchError:
        path = fetcher.get(f"{top}/Release", limit=_RELEASE_LIMIT)
        try:
            signature = fetcher.get(f"{top}/Release.gpg", limit=_RELEASE_LIMIT)
        except FetchError:
            signature = ""
    with open(path, "rb") as stream:
        text = stream.read(_RELEASE_LIMIT)
    signed = repository.trusted
    if not signed:
        verdict = verified(path, target.view, repository.signed_by, signature=signature)
        if verdict == "bad":
            raise FetchError(f"{top}: the signature of its Release file is bad")
        if verdict == "unknown":
            found.notes.append(f"unsigned: nothing here shows who signed the lists of {top}")
        signed = verdict == "good"
    fields = next(paragraphs(BytesContent(plain_text(text))), {})
    hashes = {}
    for line in fields.get("sha256", "").splitlines():
        words = line.split()
        if len(words) == 3 and len(words[0]) == 64:
            hashes[words[2]] = words[0].lower()
    if not hashes:
        raise FormatError("a Release file without SHA256", path=f"{top}/Release")
    return text, hashes, signed


def _list(top: str, name: str, hashes: _Hashes, fetcher: Fetcher) -> str:
    """Return where a list lies on this machine, empty where the archive has none. Raises FetchError."""
    for suffix in _PACKED:
        if f"{name}{suffix}" in hashes:
            return fetcher.get(f"{top}/{name}{suffix}", sha256=hashes[f"{name}{suffix}"])
    return ""


# -- apk, dnf ----------------------------------------------------------------------------------------


def _apk(target: Target, repository: Repository, words: Sequence[str], fetcher: Fetcher) -> Sources:
    del target
    found = Sources(notes=[f"the signature of the index of {repository.base} was not looked at"])
    for word in words[:1]:
        base = f"{repository.base}/{word}"
        path = fetcher.get(f"{base}/APKINDEX.tar.gz")
        found.indexes.append(read_apkindex(_content(path), base, base))
    return found


def _dnf(target: Target, repository: Repository, words: Sequence[str], fetcher: Fetcher) -> Sources:
    del target, words
    base = repository.base
    listed = read_repomd(_content(fetcher.get(f"{base}/repodata/repomd.xml", limit=_RELEASE_LIMIT)))
    found = Sources(notes=[f"the signature of the lists of {base} was not looked at"])
    for kind, one in listed.items():
        if kind == "primary":
            path = fetcher.get(f"{base}/{one.path}", sha256=one.sha256)
            found.indexes.append(PrimaryIndex(_content(path), base, base))
        elif kind == "filelists":
            found.owners.append(
                _Later(partial(fetcher.get, f"{base}/{one.path}", sha256=one.sha256), FileLists, whole=True)
            )
    return found


_READERS: Final[Mapping[Manager, Callable[[Target, Repository, Sequence[str], Fetcher], Sources]]] = {
    "apt": _apt,
    "apk": _apk,
    "dnf": _dnf,
}
