"""Events out of a stream of bytes (Server-Sent Events), none of them too long."""

from collections.abc import Iterator

from breakwater_runtime.backends.codec.lines import LineTooLongError

RETRY_MILLISECONDS = 1000
RETRY_MILLISECONDS_MAX = 30_000


class Events:
    """Cuts what arrives into events."""

    def __init__(self, bytes_max: int) -> None:
        """Allow events of `bytes_max`."""
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._data: list[bytes] = []
        self._part_bytes = self._data_bytes = 0
        self.last_id: bytes = b""
        """The id after which the stream can be taken up again; empty: it cannot."""
        self.retry_seconds = RETRY_MILLISECONDS / 1000
        """How long the server wants to be left alone after the stream's end."""

    @property
    def unfinished(self) -> int:
        """How many bytes there are of an event that has not ended."""
        return self._part_bytes + self._data_bytes

    def forget(self) -> None:
        """Let go of an event that has not ended: its stream has."""
        self._parts.clear()
        self._data.clear()
        self._part_bytes = self._data_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and yield the data of the events that they complete.

        Raises:
            LineTooLongError: One of them is too long.
        """
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start:end]
            start = end + 1
            if self._parts:
                line = b"".join((*self._parts, line))
                self._parts.clear()
                self._part_bytes = 0
            line = line.removesuffix(b"\r")
            if line:
                self._take(line)
            elif self._data:
                event = b"\n".join(self._data)
                self._data.clear()
                self._data_bytes = 0
                if event:  # an empty one brings only its id
                    yield event
        if start < len(data):
            self._parts.append(data[start:] if start else data)
            self._part_bytes += len(data) - start
            self._check()

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(value)
            self._check()
        elif name == b"id" and b"\0" not in value:
            self.last_id = value
        elif name == b"retry" and value.isdigit():
            self.retry_seconds = min(int(value[:9]), RETRY_MILLISECONDS_MAX) / 1000

    def _check(self) -> None:
        if self.unfinished > self._bytes_max:
            raise LineTooLongError
