"""Pictures chosen once for several people who answer at the same time, and dealt out among them.

What is worth asking is the same for all; choosing it looks at the whole collection. Chosen together, the pictures of
different people also differ from one another, as those of one person do.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SECONDS = 3.0
"""How long a choice is dealt from: whoever has 24 pictures at hand answers as old ones anyway."""
HANDS = 8
"""Hands that are chosen at once: 8 take half as long again as one."""


class Pick(NamedTuple):
    """A picture, how it was chosen and how likely it was to be: what is stored with its answer."""

    uid: str
    probability: float
    policy: str


@dataclass(frozen=True)
class Suggested:
    """Pictures to answer next in the order to show them, and why these."""

    policy: str
    why: str
    items: tuple[Pick, ...]
    seq: int


class Pool:
    """One choice of pictures, of the rows that `among` marks. The caller sees to it that one thread deals at a time."""

    def __init__(self, chosen: Suggested, among: np.ndarray) -> None:
        self.chosen, self.among = chosen, among
        self._until = time.monotonic() + SECONDS
        drawn = [pick for pick in chosen.items if pick.policy == "random"]
        others = [pick for pick in chosen.items if pick.policy != "random"]
        # each hand has as many drawn by lot as the whole
        placed = [((at + 0.5) / len(part), pick) for part in (others, drawn) for at, pick in enumerate(part)]
        self._left = [pick for _, pick in sorted(placed, key=lambda each: each[0])]
        self._drawn = len(drawn)

    def over(self, among: np.ndarray) -> bool:
        """Whether a new choice is due, or these rows are others."""
        return self.among is not among or time.monotonic() >= self._until

    def deal(self, n: int, free: np.ndarray, rows: Mapping[str, int]) -> tuple[Pick, ...]:
        """The next n that are free, those drawn by lot last; they are in nobody else's hand then.

        The lot's order is a lot too: k of m drawn ones are a draw of k, and k / m times as likely.
        """
        hand: list[Pick] = []
        left: list[Pick] = []
        for pick in self._left:
            if len(hand) < n and free[rows[pick.uid]]:
                hand.append(pick)
            elif free[rows[pick.uid]]:
                left.append(pick)
        self._left = left
        drawn = sum(pick.policy == "random" for pick in hand)
        hand.sort(key=lambda pick: pick.policy == "random")
        return tuple(
            pick._replace(probability=pick.probability * drawn / self._drawn) if pick.policy == "random" else pick
            for pick in hand
        )
