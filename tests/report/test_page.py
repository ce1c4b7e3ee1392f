"""Pages of rules on a terminal."""

from __future__ import annotations

from runworthy.report.page import Explanation, page_lines
from runworthy.report.words import PLAIN

PAGE = """\
# RW999: an-example

What it is; see [RW101](../exec/missing_interpreter.md) and [the page](https://example.org/).

## How it shows

    $ ./app

## One that fails

```facts
target = "debian:12"
[app]
```

```text
error[RW999]: `app` is an example
# no heading
```

## One that runs

```facts
target = "debian:13"
```

```text
verdict: runs
```

## References

* `man 8 ld.so`
"""


def test_page() -> None:
    told = Explanation(code="RW999", name="an-example", severity="error", since="0.1.0", page=PAGE)
    assert (
        "\n".join(page_lines(told, PLAIN))
        == """\
RW999 an-example  (error, since 0.1.0)

What it is; see RW101 and the page (https://example.org/).

How it shows

    $ ./app

One that fails

On debian:12:

    error[RW999]: `app` is an example
    # no heading

References

* `man 8 ld.so`"""
    )
