"""Scores that are made of gamma variables: log-odds of rates, and gains under an uncertain variance."""

import numpy as np
import scipy.special as sc

from policies.quadrature import TAIL, TINY, Floats, Scores

LAPLACE = 1e4  # from here on the height of a density's mode is that of a normal one, to five digits
CONSTANT = 1e-4  # what the mass of a density may be off then; it is scaled to what it should be
NEARLY = 9.0  # so many scales above the centre the distribution function is 1 to six digits and more
FAR = 30.0  # so many scales below it the first terms of a tail are right to a thousandth


class BetaScores(Scores):
    """Beta(a, b) on the log-odds scale, where the density is smooth for every a and b."""

    def shape(self) -> tuple[Floats, Floats]:
        a, b = self.parameters
        return sc.digamma(a) - sc.digamma(b), np.sqrt(sc.zeta(2.0, a) + sc.zeta(2.0, b))

    def tails(self) -> tuple[Floats, Floats]:
        a, b = self.parameters
        lower, upper = (np.maximum(sc.betaincinv(*shape, TAIL), 1e-300) for shape in ((a, b), (b, a)))
        low, high = np.log(lower) - np.log1p(-lower), np.log1p(-upper) - np.log(upper)
        if not self._large():
            return low, high
        # scipy's inverse is wrong for some a or b (1000 beside more than 1e8): then far enough out, by the variance.
        centre, scale = self.shape()
        low = np.where(sc.betainc(a, b, lower) > 10.0 * TAIL, centre - 9.0 * scale, low)
        return low, np.where(sc.betainc(b, a, upper) > 10.0 * TAIL, centre + 9.0 * scale, high)

    def _large(self) -> bool:
        """Whether there are so many observations that the plain formulas lose digits."""
        a, b = self.parameters
        return bool((a + b).max() > 1e5)

    def rounding(self) -> float:
        return CONSTANT if self._large() else 0.0

    def log_density(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        if not self._large():
            return np.asarray(a * sc.log_expit(x) + b * sc.log_expit(-x) - sc.betaln(a, b))
        # Measured from the mode, so that what is left of the large terms keeps its digits.
        mode, p = np.log(a) - np.log(b), a / (a + b)
        off = np.clip(x - mode, -700.0, 700.0)
        exact = a * sc.log_expit(mode) + b * sc.log_expit(-mode) - sc.betaln(a, b)
        top = np.where(np.minimum(a, b) < LAPLACE, exact, 0.5 * np.log(a * b / (a + b) / (2.0 * np.pi)))
        return np.asarray(top - a * np.log1p((1.0 - p) * np.expm1(-off)) - b * np.log1p(p * np.expm1(off)))

    def cdf(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        left = x < 0  # the smaller of p and 1 - p keeps its digits
        return np.concatenate([sc.betainc(a, b, sc.expit(x[left])), sc.betaincc(b, a, sc.expit(-x[~left]))], axis=1)

    def log_cdf(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        centre, scale = (each[:, None] for each in self.shape())
        # Far out in the tail the incomplete beta function is p**a (1-p)**b / (a B(a, b)) times nearly a geometric sum.
        ratio = np.minimum((a + b) / (a + 1.0) * sc.expit(x), 0.999)
        logs = np.where(x < centre, self.log_density(x) - np.log(a) - np.log1p(-ratio), 0.0)
        near = (x > centre - FAR * scale) & (x < centre + NEARLY * scale)
        a, b, x = (np.broadcast_to(each, near.shape)[near] for each in (a, b, x))
        p, left = np.empty(len(x)), x < 0.0
        p[left] = sc.betainc(a[left], b[left], sc.expit(x[left]))
        p[~left] = sc.betaincc(b[~left], a[~left], sc.expit(-x[~left]))
        logs[near] = np.where(p > TINY, np.log(np.maximum(p, TINY)), logs[near])
        return np.asarray(logs)

    def sample(self, n: int) -> Floats:
        a, b = self.parameters
        return np.asarray(log_gamma_draws(a, n) - log_gamma_draws(b, n))


class GainScores(Scores):
    """Logarithm of ``c / chi-square(df)``: what a subject gains in a group whose variance is uncertain."""

    def __init__(self, c: Floats, df: Floats) -> None:
        super().__init__(np.log(c) - np.log(c).max(), 0.5 * df)

    def shape(self) -> tuple[Floats, Floats]:
        log_c, a = self.parameters
        return log_c - np.log(2.0) - sc.digamma(a), np.sqrt(sc.zeta(2.0, a))

    def tails(self) -> tuple[Floats, Floats]:
        log_c, a = self.parameters
        return log_c - np.log(2.0 * sc.gammainccinv(a, TAIL)), log_c - np.log(2.0 * sc.gammaincinv(a, TAIL))

    def rounding(self) -> float:
        return CONSTANT if self.parameters[1].max() >= LAPLACE else 0.0

    def log_density(self, x: Floats) -> Floats:
        log_c, a = (each[:, None] for each in self.parameters)
        # Measured from the mode, so that what is left of the large terms keeps its digits.
        off = np.minimum(log_c - np.log(2.0) - np.log(a) - x, 700.0)
        top = np.where(a < LAPLACE, a * np.log(a) - a - sc.gammaln(a), 0.5 * np.log(a / (2.0 * np.pi)))
        return np.asarray(top + a * (off - np.expm1(off)))

    def cdf(self, x: Floats) -> Floats:
        log_c, a = (each[:, None] for each in self.parameters)
        return np.asarray(sc.gammaincc(a, 0.5 * np.exp(np.minimum(log_c - x, 700.0))))

    def log_cdf(self, x: Floats) -> Floats:
        return np.asarray(np.log(np.maximum(self.cdf(x), TINY)))

    def sample(self, n: int) -> Floats:
        log_c, a = self.parameters
        return np.asarray(log_c - np.log(2.0) - log_gamma_draws(a, n))


def log_gamma_draws(shape: Floats, n: int) -> Floats:
    """Logarithms of n gamma draws for each shape, a draw in each row; small shapes don't underflow.

    A gamma variable of shape a is one of shape a + 1 times ``U**(1/a)`` with a uniform U.
    """
    small = shape < 1.0
    draws = np.log(np.maximum(np.random.standard_gamma(shape + small, size=(n, len(shape))), 1e-300))
    if small.any():
        draws[:, small] += np.log(1.0 - np.random.random((n, int(small.sum())))) / shape[small]
    return draws
