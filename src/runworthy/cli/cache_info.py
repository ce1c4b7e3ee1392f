"""`runworthy cache info`: where the cache lies and what it holds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = ""
DESCRIPTION = "Tell where the cache lies, what it holds and how large it is."
EPILOG = "RUNWORTHY_CACHE_DIR says where it lies, else XDG_CACHE_HOME\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare nothing."""
    del parser


def run(options: Namespace) -> int:
    """Print it."""
    from runworthy.cli.terminal import emit
    from runworthy.report.words import clean, table
    from runworthy.targets.cache import Cache
    from runworthy.targets.kept import cache_directory
    from runworthy.targets.storage.index import Index

    del options
    info = Cache(cache_directory()).info()
    storage = Index(cache_directory()).info()
    rows = [
        ("path", clean(info.path)),
        ("size", f"{info.size / (1 << 20):.1f} MiB"),
        ("facts", f"of {info.facts} files"),
        ("symbols", f"of {info.symbols} files"),
        ("reports", str(info.reports)),
        ("path", clean(storage.path)),
        ("size", f"{storage.size / (1 << 20):.1f} MiB"),
        ("compared", f"{storage.files} files"),
        ("told", str(storage.told)),
    ]
    emit("".join(f"{line}\n" for line in table(rows)))
    return 0
