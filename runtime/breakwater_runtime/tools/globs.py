"""Patterns in which `*` stands for any characters: one of them, and thousands at once."""

from collections.abc import Iterable, Iterator


class Glob:
    """A pattern in which `*` stands for any characters, none included."""

    def __init__(self, pattern: str) -> None:
        """Split the pattern once; matching takes time in proportion to the text, not more."""
        self._first, *rest = pattern.split("*")
        self._exact = not rest
        self._last = rest.pop() if rest else ""
        self._middle = rest

    def matches(self, text: str) -> bool:
        """Say whether the whole text fits, letter by letter."""
        if self._exact:
            return text == self._first
        end = len(text) - len(self._last)
        position = len(self._first)
        if position > end or not (text.startswith(self._first) and text.endswith(self._last)):
            return False
        for part in self._middle:
            position = text.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True


class Found:
    """Which of many numbered things a text concerns."""

    __slots__ = ("_everything", "_some")

    def __init__(self, everything: frozenset[int], some: set[int]) -> None:
        """Concern `everything`, which others share, and `some` that it alone concerns."""
        self._everything = everything
        self._some = some

    def __len__(self) -> int:
        """Count them; one that is in both parts counts twice."""
        return len(self._everything) + len(self._some)

    def __contains__(self, number: int) -> bool:
        """Say whether a thing is among them."""
        return number in self._some or number in self._everything

    def shared_with(self, other: "Found") -> set[int]:
        """Get what two texts both concern; it takes as long as the smaller of the two needs."""
        few, many = (self, other) if len(self) <= len(other) else (other, self)
        shared = {number for number in few._some if number in many}
        shared.update(number for number in few._everything if number in many)
        return shared


class Index:
    """Finds among thousands of patterns those that a text fits, without trying all of them."""

    def __init__(self, patterns: Iterable[tuple[int, str]]) -> None:
        """Sort patterns, each with the number of what it stands for, by how they are found."""
        everything: set[int] = set()
        self._exact: dict[str, set[int]] = {}
        # Of these the part before or behind the only star says all; nothing is left to match.
        self._prefixes: dict[str, set[int]] = {}
        self._suffixes: dict[str, set[int]] = {}
        self._beginnings: dict[str, list[tuple[Glob, int]]] = {}
        self._ends: dict[str, list[tuple[Glob, int]]] = {}
        self._parts: dict[str, list[tuple[Glob, int]]] = {}
        for number, pattern in patterns:
            first, *rest = pattern.split("*")
            if not rest:
                self._exact.setdefault(pattern, set()).add(number)
            elif first and rest == [""]:
                self._prefixes.setdefault(first, set()).add(number)
            elif not first and len(rest) == 1 and rest[0]:
                self._suffixes.setdefault(rest[0], set()).add(number)
            elif first:
                self._beginnings.setdefault(first, []).append((Glob(pattern), number))
            elif rest[-1]:
                self._ends.setdefault(rest[-1], []).append((Glob(pattern), number))
            elif any(rest):
                self._parts.setdefault(max(rest, key=len), []).append((Glob(pattern), number))
            else:
                everything.add(number)
        self._everything = frozenset(everything)
        self._prefix_lengths = sorted({len(part) for part in self._prefixes})
        self._suffix_lengths = sorted({len(part) for part in self._suffixes})
        self._beginning_lengths = sorted({len(part) for part in self._beginnings})
        self._end_lengths = sorted({len(part) for part in self._ends})
        self._part_lengths = sorted({len(part) for part in self._parts})

    def find(self, *texts: str) -> Found:
        """Find what any of some texts concerns."""
        some: set[int] = set()
        for text in texts:
            some |= self._exact.get(text, _NOTHING)
            for length in self._prefix_lengths:
                some |= self._prefixes.get(text[:length], _NOTHING)
            for length in self._suffix_lengths:
                some |= self._suffixes.get(text[max(len(text) - length, 0) :], _NOTHING)
            some.update(number for glob, number in self._near(text) if glob.matches(text))
        return Found(self._everything, some)

    def _near(self, text: str) -> Iterator[tuple[Glob, int]]:
        """Yield the patterns that may fit a text."""
        size = len(text)
        for length in self._beginning_lengths:
            if length > size:
                break
            yield from self._beginnings.get(text[:length], ())
        for length in self._end_lengths:
            if length > size:
                break
            yield from self._ends.get(text[size - length :], ())
        for length in self._part_lengths:
            for start in range(size - length + 1):
                yield from self._parts.get(text[start : start + length], ())


_NOTHING: frozenset[int] = frozenset()
