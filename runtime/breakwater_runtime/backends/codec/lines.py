"""Lines out of a stream of bytes, none of them too long."""

from collections.abc import Iterator


class LineTooLongError(Exception):
    """A line is longer than allowed."""


class Lines:
    """Cuts what arrives into lines."""

    def __init__(self, bytes_max: int) -> None:
        """Allow lines of `bytes_max`."""
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def unfinished(self) -> int:
        """How many bytes there are of a line that has not ended."""
        return self._size

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and yield the lines that they complete, without the line's end.

        Raises:
            LineTooLongError: There is one that does not end in time.
        """
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start:end]
            start = end + 1
            if self._parts:
                self._keep(line)
                line = b"".join(self._parts)
                self.forget()
            if line:
                yield line
        if start < len(data):
            self._keep(data[start:] if start else data)

    def forget(self) -> None:
        """Let go of a line that has not ended."""
        self._parts.clear()
        self._size = 0

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._bytes_max:
            self.forget()
            raise LineTooLongError
        self._parts.append(part)
