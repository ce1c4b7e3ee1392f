"""`runworthy cache clear`: remove what is kept between runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from runworthy.model.errors import UsageError

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = ""
DESCRIPTION = "Remove what is kept between runs; the next check reads everything anew."
EPILOG = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare nothing."""
    del parser


def run(options: Namespace) -> int:
    """Remove the cache. Raises UsageError where that is not allowed."""
    from runworthy.targets.cache import Cache
    from runworthy.targets.kept import cache_directory
    from runworthy.targets.storage.index import Index

    del options
    for cache in (Cache(cache_directory()), Index(cache_directory())):
        try:
            cache.clear()
        except OSError as error:
            raise UsageError(f"{cache.path} cannot be removed: {error.strerror or error}") from error
    return 0
