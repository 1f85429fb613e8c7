"""The finish line: how many of a class there are, which pictures to review for the list to be complete, when to stop.

Reviewing goes down the ranking, likeliest first, until little is left below. Then pictures are drawn by lot from what
is still open (an elusion test): few or none of the class among them is the evidence that few are missed.

The person looks at the verdict after every answer and stops when it says so: the risk must hold at whatever moment that
is. It does. For each number κ that the collection may hold, the checks play a game whose stake grows when they find
fewer than κ foretells, and on average does not grow if κ is true. By Ville's inequality a stake that should not grow
exceeds 20 at any time with a probability of 1/20 at most (Waudby-Smith & Ramdas 2020, on confidence sequences for
sampling without replacement; the same on election audits, Waudby-Smith, Stark & Ramdas 2021). κ is ruled out once its
stake has reached 20, and the rule says stop when every κ that would break the promise is ruled out. No model and no
calibration enters: the classifier may be wrong, then it takes more pictures, not more risk.
"""

from dataclasses import dataclass

import numpy as np

from explorer.errors import BadInput
from explorer.learning.estimates import Estimate, Record, rest_total

RISK = 0.05
_BETS = ((0.2, 0.15), (0.5, 0.15), (0.75, 0.15), (0.9, 0.2), (0.95, 0.25), (0.98, 0.1))
"""The stake is divided among rivals of κ, each a share of it that may be the truth instead, in these parts. They do not
depend on the target: whoever tries several runs no more than the one risk."""
_HEDGE = 0.1
"""A rival foretells at least this share of what κ does, so that one find does not end its game."""
_SUMMARY = 20_000
_DRY = 20
"""Pictures reviewed since the last find after which drawing by lot tells more than reviewing on."""


@dataclass(frozen=True)
class Verdict:
    """May the work stop? `low` and `high` are the 95 % interval of the share reached as of now; `sure_low` is the share
    reached at least, said with the same 95 % however often one looks: it is what the rule goes by."""

    stop: bool
    sentence: str
    target: float
    low: float
    high: float
    sure_low: float
    found: int
    open: int
    """Pictures without an answer."""
    checks: int


@dataclass(frozen=True)
class Plan:
    """What is still to do. Counts are of different files."""

    total: Estimate
    """Pictures of the class in the collection."""
    found: int
    review: int
    """Pictures to review from the top of `queue` for the target to be reached, as far as the estimates go."""
    reviewed_by: Estimate
    """The same for the low and the high number of pictures of the class."""
    to_be_sure: int
    """About so many more, reviewed or drawn by lot, until the verdict says so with its risk: the cheapest mixture."""
    next: str
    """"review" the queue, or "check": draw by lot. After a dry spell lots tell more, after a find the queue does."""
    queue: np.ndarray
    """(q,) int64 rows without an answer, likeliest first"""
    sentence: str


def recall_interval(record: Record, place: int, stands: np.ndarray, guessed: np.ndarray) -> tuple[Estimate, Estimate]:
    """(how many of the class there are, which share of them is answered), each with its 95 % interval.

    `stands` (n,) bool: the pictures that count, one of each file (`estimates.distinct`). `guessed` (n,) bool: taken for
    the class by the classifier, of the answered ones by one that has not seen their answer.
    """
    own = record.y == place
    found = int(own.sum())
    rest = rest_total(record, own, stands, guessed, 0.0)
    low, high = np.floor(rest.low), np.ceil(rest.high)
    total = Estimate(found + float(round(rest.value)), found + low, found + high)
    reached = [_share(found, missed) for missed in (round(rest.value), high, low)]
    return total, Estimate(*reached)


def may_stop(
    record: Record, place: int, stands: np.ndarray, guessed: np.ndarray, name: str, target: float = 0.95
) -> Verdict:
    """Is `target` of the class found? Says stop too early in at most 5 of 100 undertakings, however often it is asked.

    Stops also when nothing is open. Raises BadInput for a target outside 0 to 1 (both excluded).
    """
    _check_target(target)
    found = int((record.y == place).sum())
    left = int(stands.sum()) - len(record.rows)
    most = most_missed(record, record.y == place, int(stands.sum()))
    _, reached = recall_interval(record, place, stands, guessed)
    sure = _share(found, most) if found or left == 0 else 0.0
    stop = left == 0 or (found > 0 and most <= _allowed(found, target))
    checks = int(record.checks.sum())
    return Verdict(stop, _said(name, found, left, sure, target, stop), target, reached.low, reached.high, sure, found,
                   left, checks)  # fmt: skip


def may_stop_precise(record: Record, place: int, listed: np.ndarray, name: str, target: float = 0.95) -> Verdict:
    """Are `target` of the pictures on a list of the class? The same game, about the strangers that it may hold.

    `listed` (n,) bool: the list, one row of each file, settled before the checks were drawn; a check is a picture drawn
    by lot from all that is open, or from what is open of the list. Stops also when the whole list is answered.
    """
    _check_target(target)
    on = listed[record.rows]
    own = Record(record.rows[on], record.y[on], record.checks[on])
    size, wrong = int(listed.sum()), int((own.y != place).sum())
    left = size - len(own.rows)
    most = most_missed(own, own.y != place, size)
    rest = rest_total(own, own.y != place, listed, np.zeros(len(listed), bool), 0.0)
    sure = 1 - (wrong + most) / max(size, 1)
    stop = size > 0 and sure >= target
    low, high = 1 - (wrong + np.ceil(rest.high)) / max(size, 1), 1 - (wrong + np.floor(rest.low)) / max(size, 1)
    said = f"at least {_floor(sure)} % of the {size:,} pictures listed are “{name}”"
    sentence = (
        f"You may stop: {said} (risk {100 * RISK:.0f} %)."
        if stop
        else f"Not yet: so far it is sure that {said}; {100 * target:.0f} % are asked for."
    )
    return Verdict(stop, sentence, target, float(low), float(high), sure, size - left - wrong, left,
                   int(own.checks.sum()))  # fmt: skip


def most_missed(record: Record, holds: np.ndarray, size: int, risk: float = RISK) -> int:
    """How many of the open pictures have the property at most: right at all times together, but for a risk of `risk`.

    `holds` (m,) bool of the answered ones; `size`: pictures in all. Every answer counts, only checks are evidence.
    """
    left = size - len(record.rows)
    found = int(holds.sum())
    game = _Game(record, holds, size)
    if left == 0 or game.log_stake(found) >= -np.log(risk):
        return 0
    low, high = 0, left + 1  # not ruled out; ruled out (more than are open)
    while high - low > 1:
        middle = (low + high) // 2
        if game.log_stake(found + middle) >= -np.log(risk):
            high = middle
        else:
            low = middle
    return low


class _Game:
    """The checks of one undertaking as a game against a hypothesis of how many there are."""

    def __init__(self, record: Record, holds: np.ndarray, size: int) -> None:
        at = np.flatnonzero(record.checks)
        self.hit = holds[at].astype(bool)
        self.open_then = (size - at).astype(np.float64)
        self.before = (np.cumsum(holds)[at] - holds[at]).astype(np.float64)

    def log_stake(self, total: int) -> float:
        """The logarithm of what a stake of 1 has become against "there are `total`"; it grows with `total`.

        Each check multiplies it by the ratio of what a rival and `total` foretold of it: both are known before it is
        drawn, so that the mean of the factor is 1 if `total` is true.
        """
        foretold = np.clip((total - self.before) / self.open_then, 0, 1 - 1e-12)
        logs = []
        for rival, part in _BETS:
            claimed = np.maximum((rival * total - self.before) / self.open_then, _HEDGE * foretold)
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.where(foretold > 0, np.log(claimed / foretold), -np.inf)
            factors = np.where(self.hit, found, np.log1p(-claimed) - np.log1p(-foretold))
            logs.append(float(np.log(part) + factors.sum()))
        top = max(logs)
        return top + float(np.log(np.exp(np.array(logs) - top).sum())) if np.isfinite(top) else top


def plan(
    record: Record,
    place: int,
    stands: np.ndarray,
    shares: np.ndarray,
    guessed: np.ndarray,
    name: str,
    target: float = 0.95,
    prior: float = 0.5,
) -> Plan:
    """How many pictures of a class there are, and what is left to do for `target` of them to be found.

    `shares` (n,): how likely each picture is of the class if it were as frequent as `prior` (the classifier's are as
    if all classes were equally frequent). What they say of the number is found by moving them until they agree with
    their own mean (Saerens, Latinne & Decaestecker 2002); where the checks contradict, their interval's end is taken.
    Moved to add up to that number they tell how deep in the queue it lies.
    """
    _check_target(target)
    total, _ = recall_interval(record, place, stands, guessed)
    found = int((record.y == place).sum())
    still = stands.copy()
    still[record.rows] = False
    queue = np.flatnonzero(still)
    queue = queue[np.argsort(-shares[queue], kind="stable")].astype(np.int64)
    likely = _number(shares[stands], prior)
    if not record.checks.any():
        total = Estimate(float(np.clip(round(likely), total.low, total.high)), total.low, total.high)
    supposed = float(np.clip(likely, total.low, total.high))
    depth = [_depth(shares[queue], found, wanted - found, target) for wanted in (supposed, total.low, total.high)]
    deep, draws = _cheapest(shares[queue], found, supposed - found, target)
    surely = max(deep + draws - depth[0], 0)
    said = (
        f"Of {int(stands.sum()):,} pictures about {total.value:,.0f} ({total.low:,.0f}–{total.high:,.0f}) are “{name}”"
    )
    if not record.checks.any():
        sentence = (
            f"{said}, as far as the classifier can tell. Draw some random checks first: nothing else is evidence."
        )
    elif not depth[0]:
        sentence = f"{said}; you have found {found:,}. To be sure takes about {surely:,} more, drawn by lot."
    else:
        sentence = (
            f"{said}; you have found {found:,}. Review these {depth[0]:,} and the list is about {100 * target:g} % "
            f"complete; to be sure of it takes about {surely:,} more, reviewed or drawn by lot."
        )
    finds = np.flatnonzero(record.y == place)
    spell = int((~record.checks[finds[-1] + 1 :]).sum()) if len(finds) else 0
    step = "review" if (depth[0] or deep) and spell < _DRY else "check"
    return Plan(total, found, depth[0], Estimate(depth[0], depth[1], depth[2]), surely, step, queue, sentence)


def _depth(shares: np.ndarray, found: int, missing: float, target: float) -> int:
    """The first pictures of a queue to review until `target` of all are expected to be found."""
    wanted = target * (found + missing) - 1e-9
    if missing <= 0 or not len(shares) or found >= wanted:
        return 0
    gathered = found + np.cumsum(_moved(shares, missing))
    return min(int(np.searchsorted(gathered, wanted)) + 1, len(shares))


def _cheapest(shares: np.ndarray, found: int, missing: float, target: float) -> tuple[int, int]:
    """(pictures to review, pictures to draw after that) with the smallest sum."""
    if not len(shares):
        return 0, 0
    gathered = np.concatenate([[0.0], np.cumsum(_moved(shares, missing))])
    best = (len(shares), 0)
    playing = sum(part for rival, part in _BETS if rival <= target)  # the rivals that foretell nothing more by then
    for depth in np.unique(np.linspace(0, len(shares), 201).astype(int))[:-1]:
        left, rest = len(shares) - int(depth), missing - gathered[depth]
        allowed = _allowed(found + gathered[depth], target) + 1
        foretold, real = min(allowed / left, 1 - 1e-9), max(rest, 0) / left
        if real >= foretold:
            continue
        growth = (real * np.log(real / foretold) if real else 0.0) + (1 - real) * np.log((1 - real) / (1 - foretold))
        draws = int(np.ceil(-np.log(RISK * playing) / growth / (1 - _HEDGE)))
        draws = int(np.ceil(left * (1 - np.exp(-draws / left))))  # without replacement, each one shrinks the rest
        if depth + draws < sum(best):
            best = (int(depth), draws)
    return best


def _moved(shares: np.ndarray, wanted: float) -> np.ndarray:
    """Shares moved by one constant on the logit scale, so that they add up to `wanted`."""
    held = np.clip(np.asarray(shares, np.float64), 1e-6, 1 - 1e-6)
    logit = np.log(held / (1 - held))
    low, high = -25.0, 25.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-(logit + middle)))).sum() < wanted else (low, middle)
    return np.asarray(1 / (1 + np.exp(-(logit + low))))


def _number(shares: np.ndarray, prior: float) -> float:
    """How many of (n,) pictures are of a class, by (n,) shares that hold where it is as frequent as `prior`."""
    held = np.clip(np.asarray(shares, np.float64), 1e-6, 1 - 1e-6)
    if len(held) > _SUMMARY:
        held = np.quantile(held, (np.arange(_SUMMARY) + 0.5) / _SUMMARY)
    odds, frequent = held / (1 - held), prior
    for _ in range(200):
        moved = odds * (frequent / (1 - frequent)) / (prior / (1 - prior))
        before, frequent = frequent, float(np.clip((moved / (1 + moved)).mean(), 1e-6, 1 - 1e-6))
        if abs(frequent - before) < 1e-7:
            break
    return frequent * len(shares)


def _allowed(found: float, target: float) -> int:
    """How many may be missed at most with `found` at hand."""
    return int(np.floor(found * (1 / target - 1) + 1e-9))


def _share(found: int, missed: float) -> float:
    return found / (found + missed) if found + missed else 1.0


def _check_target(target: float) -> None:
    if not 0 < target < 1:
        raise BadInput(f"A target lies between 0 and 100 %, both excluded; {100 * target:g} % does not.")


def _said(name: str, found: int, left: int, sure: float, target: float, stop: bool) -> str:
    if left == 0:
        return f"Every picture has an answer: all {found:,} “{name}” are found."
    if stop:
        return (
            f"You may stop: the {found:,} found are at least {_floor(sure)} % of all “{name}”"
            f" (risk {100 * RISK:.0f} %)."
        )
    if not found:
        return f"Not yet: no “{name}” has been found."
    return (
        f"Not yet: so far it is sure only that the {found:,} found are at least {_floor(sure)} % of all “{name}”; "
        f"{100 * target:.0f} % are asked for."
    )


def _floor(share: float) -> int:
    """Percent, never rounded up: it is a promise."""
    return int(np.floor(100 * share + 1e-9))
