"""Files fetched over http and https into a directory of this machine: bounded, checked, each once.

Proxies are those of the environment, as the standard library reads them. Where a server leads elsewhere it is followed
to http and https alone.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from runworthy.model.errors import RunworthyError

if TYPE_CHECKING:
    from urllib.request import BaseHandler, OpenerDirector

__all__ = ["ARCHIVES_LIMIT", "FetchError", "Fetcher", "sha256_of"]

ARCHIVES_LIMIT: Final = 300 << 20
"""Bytes of package files that are fetched to be judged."""
_LIMIT: Final = 1 << 30
_TIMEOUT: Final = 30  # seconds in which nothing comes
_PIECE: Final = 1 << 20
_SCHEMES: Final = ("http://", "https://")


class FetchError(RunworthyError):
    """A file could not be had, or is another than it should be."""


class Fetcher:
    """Fetches into ``directory``, which has to be there; what was fetched once is not fetched again."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._opener: OpenerDirector | None = None
        self._failed: dict[str, str] = {}

    def get(self, url: str, *, sha256: str = "", limit: int = _LIMIT, name: str = "") -> str:
        """Return the path of a file of this machine with what the URL names. Raises FetchError.

        ``name`` is what its file is called where somebody is to see it.
        """
        from hashlib import sha256 as digest

        if not url.startswith(_SCHEMES):
            raise FetchError(f"{url} is not fetched: only http and https are")
        key = digest(f"{url}\0{sha256}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
        place = os.path.join(self._directory, f"{key}-{_harmless(name or url.rpartition('/')[2])}")
        if os.path.exists(place):
            return place
        if url in self._failed:
            raise FetchError(self._failed[url])
        part = f"{place}.part"
        try:
            self._fetch(url, part, sha256, limit)
            os.replace(part, place)
        except (OSError, ValueError, FetchError) as error:  # urllib's errors are OSError, a bad URL is ValueError
            with contextlib.suppress(OSError):
                os.unlink(part)
            reason = str(error) if isinstance(error, FetchError) else f"{url}: {error}"
            self._failed[url] = reason
            raise FetchError(reason) from error
        return place

    def _fetch(self, url: str, place: str, sha256: str, limit: int) -> None:
        from hashlib import sha256 as digest
        from http.client import HTTPException

        found = digest()
        size = 0
        try:
            with self._open(url) as answer, open(place, "wb") as stream:
                while data := answer.read(_PIECE):
                    size += len(data)
                    if size > limit:
                        raise FetchError(f"{url} is longer than {limit} bytes")
                    found.update(data)
                    stream.write(data)
                length = answer.headers.get("Content-Length", "")
        except HTTPException as error:
            raise FetchError(f"{url}: {error!r}") from error
        if length.isdigit() and int(length) != size:
            raise FetchError(f"{url} was cut off after {size} bytes")
        if sha256 and found.hexdigest() != sha256:
            raise FetchError(f"{url} is another file than its index says: its hash differs")

    def _open(self, url: str) -> Any:  # noqa: ANN401 - an answer of urllib, whose type depends on the scheme
        from urllib import request

        if self._opener is None:
            opener = request.OpenerDirector()
            for handler in (
                request.ProxyHandler(),
                request.UnknownHandler(),
                request.HTTPHandler(),
                request.HTTPSHandler(),
                request.HTTPDefaultErrorHandler(),
                _redirects(),
                request.HTTPErrorProcessor(),
            ):
                opener.add_handler(handler)
            opener.addheaders = [("User-Agent", "runworthy")]
            self._opener = opener
        return self._opener.open(url, timeout=_TIMEOUT)


def _redirects() -> BaseHandler:
    """Return what follows to http and https, and never from https to http."""
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler

    class Redirects(HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: ANN401, PLR0917 - urllib's
            if not newurl.startswith(_SCHEMES) or (req.full_url.startswith("https:") and newurl.startswith("http:")):
                raise HTTPError(req.full_url, code, f"leads to {newurl}", headers, fp)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return Redirects()


def sha256_of(path: str) -> str:
    """Return the hash of a file of this machine. Raises OSError."""
    from hashlib import file_digest

    with open(path, "rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _harmless(name: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "._+~-" else "_" for letter in name.partition("?")[0])
    return kept[-100:].lstrip(".") or "file"
