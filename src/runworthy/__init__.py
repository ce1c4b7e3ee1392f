"""Will this software run there, and if not, why, and what makes it run?

>>> import runworthy
>>> report = runworthy.check("app", on=["ubuntu:22.04", "alpine:3.20"])
>>> [result.verdict for result in report.results]
['runs', 'fails']

``runworthy.library`` holds all that is public; it is imported when it is first used.
"""

TYPE_CHECKING = False  # importing typing would be most of what `import runworthy` costs
if TYPE_CHECKING:
    from runworthy.library import *  # noqa: F403 - the names stand once, in its __all__
    from runworthy.library import __all__ as __all__

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Take a public name from the library."""
    if name != "library" and (not name.startswith("_") or name == "__all__"):  # importing that asks for it here
        from runworthy import library

        if name == "__all__" or name in library.__all__:
            found = globals()[name] = getattr(library, name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from runworthy import library

    return sorted({*globals(), *library.__all__})
