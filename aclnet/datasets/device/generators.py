"""The numbers of many ``numpy.random.default_rng(seed)`` at once, bit for bit, as array operations.

Making a generator and drawing a clip's frames takes tens of microseconds of Python a sample; here a batch takes them
together. Sources: numpy's SeedSequence, PCG64 (XSL-RR 128/64) and the bounded integers of its ``Generator``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ['Generators']

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645  # of the congruential generator under PCG64
_WORD, _HALF = 2**64, np.uint64(32)
_DIFFERENCE = np.uint64((_MULTIPLIER - 1) // _WORD), np.uint64((_MULTIPLIER - 1) % _WORD)
_LOW = np.uint64(2**32 - 1)
_INIT_A, _MULT_A, _INIT_B, _MULT_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
_MIX_L, _MIX_R = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)

_Wide = tuple[Any, Any]  # 128 bits: high and low words, uint64


class _Hash:
    """SeedSequence's hash, whose constant moves on with each word."""

    def __init__(self, start: int, multiplier: int) -> None:
        self.constant, self.multiplier = start, multiplier

    def __call__(self, value: np.ndarray) -> np.ndarray:
        value = value ^ np.uint32(self.constant)
        self.constant = self.constant * self.multiplier % 2**32
        value = value * np.uint32(self.constant)
        return value ^ (value >> np.uint32(16))


def _seeded(entropy: list[np.ndarray]) -> list[np.ndarray]:
    """The eight 32-bit words (N,) that SeedSequence makes of each sample's ``entropy``, a list of words (N,)."""
    mixed = _Hash(_INIT_A, _MULT_A)
    pool = [mixed(entropy[i] if i < len(entropy) else np.zeros_like(entropy[0])) for i in range(4)]
    for source in range(4):
        for target in range(4):
            if source != target:
                pool[target] = _mixed(pool[target], mixed(pool[source]))
    for word in entropy[4:]:
        for target in range(4):
            pool[target] = _mixed(pool[target], mixed(word))
    drawn = _Hash(_INIT_B, _MULT_B)
    return [drawn(pool[i % 4]) for i in range(8)]


def _mixed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    value = _MIX_L * x - _MIX_R * y
    return value ^ (value >> np.uint32(16))


def _words32(number: int) -> list[int]:
    """A whole number as 32-bit words, the lowest first, as SeedSequence takes it."""
    words = [number & 0xFFFFFFFF]
    while number := number >> 32:
        words.append(number & 0xFFFFFFFF)
    return words


def _times(a: _Wide, b: _Wide) -> _Wide:
    """Products modulo 2^128, of shapes that broadcast."""
    (ah, al), (bh, bl) = a, b
    a1, a0, b1, b0 = al >> _HALF, al & _LOW, bl >> _HALF, bl & _LOW
    middle = a0 * b0
    middle >>= _HALF
    middle += a1 * b0
    high = a0 * b1
    high += middle & _LOW
    high >>= _HALF
    middle >>= _HALF
    high += middle
    high += a1 * b1
    high += ah * bl
    high += al * bh
    return high, al * bl


def _plus(a: _Wide, b: _Wide) -> _Wide:
    low = a[1] + b[1]
    return a[0] + b[0] + (low < a[1]), low


class _Jumps:
    """How many first differences lie between a state and the one k steps on: 1 + a + … + a^(k-1) for the multiplier a.
    Grows as needed."""

    def __init__(self) -> None:
        self._many: _Wide = np.zeros(0, np.uint64), np.zeros(0, np.uint64)

    def upto(self, count: int) -> _Wide:
        """(count + 1,) of 0 to ``count`` steps."""
        if count >= len(self._many[0]):
            found = [0]
            for _ in range(max(2 * count, 64)):
                found.append((found[-1] * _MULTIPLIER + 1) % 2**128)
            self._many = (
                np.array([n // _WORD for n in found], np.uint64),
                np.array([n % _WORD for n in found], np.uint64),
            )
        return self._many[0][: count + 1], self._many[1][: count + 1]


_jumps = _Jumps()


class Generators:
    """N generators, each ``numpy.random.default_rng((*prefix, last[i]))``.

    Every method draws for some of them, ``rows`` (n,) without repeats, None being all, and moves these on just as
    numpy's generator would move.

    Args:
        prefix: what all seeds begin with, whole numbers from 0 up.
        last: (N,) what each ends with, below 2^32.
    """

    def __init__(self, prefix: tuple[int, ...], last: np.ndarray) -> None:
        constant = [word for number in prefix for word in _words32(number)]
        entropy = [np.full(len(last), word, np.uint32) for word in constant] + [last.astype(np.uint32)]
        words = [word.astype(np.uint64) for word in _seeded(entropy)]
        wide = [words[i] | words[i + 1] << _HALF for i in range(0, 8, 2)]
        start, sequence = (wide[0], wide[1]), (wide[2], wide[3])
        one = np.uint64(1)
        self._increment = (sequence[0] << one | sequence[1] >> np.uint64(63)), sequence[1] << one | one
        begun = _plus(self._increment, start)
        self._high, self._low = _plus(_plus(_times(begun, _DIFFERENCE), begun), self._increment)
        self._halved = np.zeros(len(last), bool)  # whether half of the last word is left for the next short number
        self._half = np.zeros(len(last), np.uint32)
        self._shuffled: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._low)

    def _words(self, rows: np.ndarray | slice, count: int) -> tuple[np.ndarray, _Wide]:
        """The next words (n, count) of ``rows``, and the states (n, count + 1) before the first to behind the last."""
        state = self._high[rows][:, None], self._low[rows][:, None]
        increment = self._increment[0][rows][:, None], self._increment[1][rows][:, None]
        difference = _plus(_times(state, _DIFFERENCE), increment)  # of the next state and this one
        states = _plus(_times(difference, _jumps.upto(count)), state)
        high, low = states[0][:, 1:], states[1][:, 1:]
        turn = high >> np.uint64(58)
        word = high ^ low
        return word >> turn | word << (-turn & np.uint64(63)), states

    def random(self, count: int = 1, rows: np.ndarray | None = None) -> np.ndarray:
        """(n, count) of ``random()``."""
        self._settle()
        chosen: np.ndarray | slice = slice(None) if rows is None else rows
        words, (high, low) = self._words(chosen, count)
        self._high[chosen], self._low[chosen] = high[:, -1], low[:, -1]
        return (words >> np.uint64(11)) * 2.0**-53

    def uniform(self, low: float, high: float, count: int = 1, rows: np.ndarray | None = None) -> np.ndarray:
        """(n, count) of ``uniform(low, high)``."""
        return low + (high - low) * self.random(count, rows)

    def integers(self, bounds: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """int64 of ``integers(bounds[i])``, (n,) or, drawn one after the other, (n, k); no bound is above 2^32."""
        rows = np.arange(len(self)) if rows is None else rows
        if bounds.ndim == 2:
            return self._bounded(rows, bounds, np.full(len(bounds), bounds.shape[1]))
        out = np.zeros(len(rows), np.int64)
        drawn = np.flatnonzero(bounds > 1)  # numpy doesn't draw where there is one answer
        if len(drawn):
            out[drawn] = self._bounded(rows[drawn], bounds[drawn, None], np.ones(len(drawn), np.int64))[:, 0]
        return out

    def choice(self, size: int, counts: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """(n, size) bool: which of ``size`` ``choice(size, counts[i], replace=False)`` takes; counts are below size,
        and size is at most 10,000: beyond that numpy goes another way."""
        rows = np.arange(len(self)) if rows is None else rows
        most = int(counts.max(initial=0))
        if not most:
            return np.zeros((len(rows), size), bool)
        place, row, least = np.arange(most), np.arange(len(rows))[:, None], size - counts[:, None]
        taken = place < counts[:, None]
        drawn = self._bounded(rows, np.where(taken, least + 1 + place, 1), counts)  # after Floyd
        drawn[~taken] = size  # into a column that is cut off
        self._shuffled = rows, counts
        chosen = np.zeros((len(rows), size + 1), bool)
        chosen[row, drawn] = True
        # a number that is taken is replaced by the largest there could be, least + place; it is taken where it
        # was drawn before, or replaced another one
        order = drawn.astype(np.uint16).argsort(1, kind='stable')
        ordered = np.take_along_axis(drawn, order, 1)
        again = np.zeros(drawn.shape, bool)
        np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], 1)
        replaced = drawn - least
        behind = np.where(taken & (replaced >= 0) & (replaced < place), replaced, -1)
        while True:
            more = again | ((behind >= 0) & again[row, behind])
            if (more == again).all():
                break
            again = more
        found, at = np.nonzero(again & taken)
        chosen[found, least[found, 0] + at] = True
        return chosen[:, :size]

    def _bounded(self, rows: np.ndarray, bounds: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """(n, k) int64 below ``bounds`` (n, k), of which the first ``counts`` (n,) of each row are drawn, each from 32
        bits: the upper half of their product with the bound, drawn again where the lower half is one of the few that
        would make the answers unequally likely."""
        self._settle()
        left = self._halved[rows]
        words, states = self._words(rows, int((counts - left).max(initial=0) + 1) // 2)
        numbers = np.empty((len(rows), 2 * words.shape[1] + 1), np.uint64)  # what is left of the last word comes first
        numbers[:, 0] = self._half[rows]
        numbers[:, 1::2], numbers[:, 2::2] = words & _LOW, words >> _HALF
        width = bounds.shape[1]
        first = 1 - left.astype(np.int64)
        if first.min(initial=1) != first.max(initial=0):
            places = np.minimum(first[:, None] + np.arange(width), numbers.shape[1] - 1)
            drawn = np.take_along_axis(numbers, places, 1)
        else:
            drawn = numbers[:, first[0] : first[0] + width]
            if drawn.shape[1] < width:  # of rows that draw less than others, all of them
                drawn = np.pad(drawn, ((0, 0), (0, width - drawn.shape[1])))
        bounds = bounds.astype(np.uint64)
        product = drawn * bounds
        rest = product & _LOW
        suspect = np.flatnonzero(((rest < bounds) & (np.arange(width) < counts[:, None])).any(1))
        used = counts - left
        taken = (used + 1) // 2  # words
        each = np.arange(len(rows))
        self._high[rows], self._low[rows] = states[0][each, taken], states[1][each, taken]
        self._halved[rows] = used % 2 == 1
        self._half[rows] = numbers[each, np.minimum(first + counts, numbers.shape[1] - 1)]
        out = (product >> _HALF).astype(np.int64)
        for row in suspect.tolist():
            threshold = (np.uint64(2**32) - bounds[row]) % bounds[row]
            if (rest[row] < threshold)[: counts[row]].any():
                self._again(rows[row], states, row, bool(left[row]), numbers[row, 0], bounds[row], out[row])
        return out

    def _settle(self) -> None:
        """Draw what numpy, after a choice, shuffles what it chose by; until something else is drawn it can wait."""
        if self._shuffled is None:
            return
        (rows, counts), self._shuffled = self._shuffled, None
        bounds = np.maximum(counts[:, None] - np.arange(counts.max() - 1), 1)
        self._bounded(rows, bounds, np.maximum(counts - 1, 0))

    def _again(
        self, at: int, states: _Wide, row: int, left: bool, half: np.uint64, bounds: np.ndarray, out: np.ndarray
    ) -> None:
        """Draw the numbers of one row one by one, into ``out``."""
        self._high[at], self._low[at] = states[0][row, 0], states[1][row, 0]
        self._halved[at], self._half[at] = left, half
        for place, bound in enumerate(bounds.tolist()):
            if bound == 1:
                continue
            while True:
                product = self._short(at) * bound
                if product % 2**32 >= (2**32 - bound) % bound:
                    break
            out[place] = product >> 32

    def _short(self, at: int) -> int:
        """The next 32 bits of one generator."""
        if self._halved[at]:
            self._halved[at] = False
            return int(self._half[at])
        words, (high, low) = self._words(np.array([at]), 1)
        self._high[at], self._low[at] = high[0, 1], low[0, 1]
        self._halved[at], self._half[at] = True, words[0, 0] >> _HALF
        return int(words[0, 0] & _LOW)
