"""Assign users to arms by a hash: the same user gets the same arm, with nothing stored.

The scheme is GrowthBook's public one ("build your own SDK"), so that its SDKs agree. A hash turns a user into a bucket
in [0, 1); each arm owns a range of buckets. With a coverage below 1 each range is shortened at its end, so that raising
the coverage moves nobody from one arm to another.

>>> bucket("exp-7", "user-42"), bucket("exp-7", "user-42", hash_version=1)
(0.1202, 0.022)
>>> assign("exp-7", "user-42", [0.5, 0.5])
0
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_OFFSET, _PRIME, _MASK = 2166136261, 16777619, 0xFFFFFFFF
NOT_IN = -1  # the arm of a user who is in none
_FIRST = 25  # how many assignments a preview lists


def fnv32a(text: str) -> int:
    """FNV-1a with 32 bits over Unicode code points: h = ((h xor c)·16777619) mod 2³², from 2166136261 on.

    Source: Fowler, Noll, Vo; code points instead of bytes as GrowthBook's SDKs do.

    >>> fnv32a(""), fnv32a("a"), fnv32a("日本")
    (2166136261, 3826002220, 1610399396)
    """
    h = _OFFSET
    for character in text:
        h = ((h ^ ord(character)) * _PRIME) & _MASK
    return h


def bucket(seed: str, unit: str, hash_version: int = 2) -> float:
    """The bucket of a user in [0, 1): in ten-thousandths by version 2, in thousandths by version 1.

    Version 2 hashes twice, so that buckets under different seeds are independent.
    """
    if hash_version == 2:
        return fnv32a(str(fnv32a(seed + unit))) % 10000 / 10000
    if hash_version == 1:
        return fnv32a(unit + seed) % 1000 / 1000
    raise ValueError(f"hash_version must be 1 or 2, not {hash_version!r}")


def ranges(weights: Sequence[float], coverage: float = 1.0) -> list[tuple[float, float]]:
    """The buckets [start, end) of each arm: start at the sum of the weights before, coverage times the weight wide.

    >>> ranges([0.5, 0.5], 0.5)
    [(0.0, 0.25), (0.5, 0.75)]
    """
    if not 0 <= coverage <= 1:
        raise ValueError(f"coverage must be from 0 to 1, not {coverage!r}")
    if any(not weight >= 0 for weight in weights):
        raise ValueError(f"weights must be 0 or more, not {list(weights)!r}")
    starts = accumulate(weights, initial=0.0)
    return [(start, start + coverage * weight) for start, weight in zip(starts, weights, strict=False)]


def choose(position: float, arms: Sequence[tuple[float, float]]) -> int:
    """The index of the first arm whose range has the bucket, -1 if none has."""
    return next((index for index, (start, end) in enumerate(arms) if start <= position < end), NOT_IN)


def assign(seed: str, unit: str, weights: Sequence[float], coverage: float = 1.0, hash_version: int = 2) -> int:
    """The arm of a user, -1 if they are in none. ``weights`` should sum to 1.

    >>> [assign("exp-7", f"user-{i}", [0.2, 0.3, 0.5], coverage=0.8) for i in range(5)]
    [-1, 2, 2, -1, 1]
    """
    return choose(bucket(seed, unit, hash_version), ranges(weights, coverage))


def propensity(arm: int, weights: Sequence[float], coverage: float = 1.0) -> float:
    """The probability of an arm over users: coverage times its weight; that of -1 is the rest.

    >>> propensity(0, [0.5, 0.5], 0.5), propensity(-1, [0.5, 0.5], 0.5)
    (0.25, 0.5)
    """
    if arm == NOT_IN:
        return max(0.0, 1.0 - coverage * sum(weights))
    return coverage * weights[arm]


def namespace_position(namespace: str, unit: str) -> float:
    """Where a user is in a namespace, in [0, 1).

    >>> namespace_position("checkout", "user-42"), namespace_position("checkout", "user-43")
    (0.877, 0.05)
    """
    return fnv32a(f"{unit}__{namespace}") % 1000 / 1000


def in_namespace(namespace: str, unit: str, start: float, end: float) -> bool:
    """Whether a user belongs to an experiment that owns [start, end) of a namespace."""
    return start <= namespace_position(namespace, unit) < end


def shares(split: Sequence[float]) -> list[float]:
    """A traffic split as weights that sum to 1.

    >>> shares([50, 50])
    [0.5, 0.5]
    """
    total = sum(split)
    if not total > 0 or any(not part > 0 for part in split):
        raise ValueError(f"split must be numbers above 0, not {list(split)!r}")
    return [part / total for part in split]


@dataclass(frozen=True)
class Preview:
    """How many of the users prefix0, prefix1, ... each arm gets (-1 first: in none), and the first 25 of them."""

    counts: dict[int, int]
    first: list[tuple[str, int]]

    @property
    def sample_size(self) -> int:
        """The number of users."""
        return sum(self.counts.values())

    @property
    def in_experiment(self) -> float:
        """The share of users in some arm."""
        return 1.0 - self.counts[NOT_IN] / self.sample_size


def preview(
    seed: str,
    arms: int,
    coverage: float = 1.0,
    weights: Sequence[float] | None = None,
    sample_size: int = 1000,
    prefix: str = "user-",
    hash_version: int = 2,
) -> Preview:
    """Assign made-up users. Weights of another number or with a sum outside .99 to 1.01 are replaced by equal ones.

    >>> preview("exp-7", 2).counts
    {-1: 0, 0: 508, 1: 492}
    """
    if weights is None or len(weights) != arms or not 0.99 <= sum(weights) <= 1.01:
        weights = [1.0 / arms] * arms
    if sample_size < 1:
        raise ValueError(f"sample_size must be 1 or more, not {sample_size!r}")
    owned = ranges(weights, coverage)
    users = [f"{prefix}{i}" for i in range(sample_size)]
    found = [choose(bucket(seed, user, hash_version), owned) for user in users]
    counts = Counter(found)
    return Preview({arm: counts[arm] for arm in range(NOT_IN, arms)}, list(zip(users, found, strict=True))[:_FIRST])
