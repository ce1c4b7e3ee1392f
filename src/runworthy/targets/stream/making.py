"""Making snapshots of what comes through a pipe."""

from __future__ import annotations

from collections.abc import Collection

from runworthy.formats.package.streams import Read
from runworthy.model.errors import TargetError
from runworthy.targets.snapshot.capture import capture
from runworthy.targets.snapshot.make import Maker, Progress, inside
from runworthy.targets.stream.reading import read_stream

__all__ = ["snapshot_stream"]


def snapshot_stream(
    read: Read, exclude: Collection[str], progress: Progress | None, received: Progress | None
) -> Maker:
    """Read a stream to its end, and return what writes a snapshot of it. Raises UsageError, TargetError.

    ``received`` is told of the entries as they come, ``progress`` as they are written.
    """
    try:
        root, machine = read_stream(read, received)
    except OSError as error:
        raise TargetError(f"the stream cannot be read: {error.strerror or error}", hint="is the disk full?") from error
    left_out = {*root.closed, *inside(root, exclude)}
    return lambda out: capture(root, machine, out, source="stream", exclude=left_out, progress=progress)
