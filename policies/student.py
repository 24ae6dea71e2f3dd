"""Student's t scores, from vague priors too: with few degrees of freedom their tails reach beyond what doubles hold."""

import numpy as np
import scipy.special as sc

from policies.gammas import log_gamma_draws
from policies.quadrature import (
    GAPS,
    OFFSETS,
    STEPS,
    TAIL,
    TINY,
    Floats,
    Scores,
    coarseness,
    spaced,
    standard,
)

CLIP = 60.0  # from here on asinh(x) is log(2 x), and centres don't matter
LOG_2 = float(np.log(2.0))
OUTER = 16.0 * 1.3 ** np.arange(40)  # edges of panels out where densities of y are exponential
HEAVY = 2.0  # with fewer degrees of freedom the quantiles lie where the tail is a power to all digits


class StudentScores(Scores):
    """Student's t with location, scale and degrees of freedom.

    Scores are compared on the scale ``y = asinh(x)``: linear near the centres, logarithmic far out, where the density
    of y falls like ``exp(-df y)``. That is smooth however few the degrees of freedom are.
    """

    def __init__(self, mean: Floats, scale: Floats, df: Floats) -> None:
        super().__init__(*standard(mean, scale), df)

    def shape(self) -> tuple[Floats, Floats]:
        mean, scale, _ = self.parameters
        return mean, scale

    def rounding(self) -> float:
        return 10.0 * coarseness(*self.shape())  # y has fewer digits than x where it is a logarithm

    def tails(self) -> tuple[Floats, Floats]:
        mean, scale, df = self.parameters
        reach = (self._log_power() - np.log(TAIL)) / df  # its logarithm, in units of the scale
        light = df > HEAVY
        reach[light] = np.log(-sc.stdtrit(df[light], TAIL))
        far = reach + np.log(scale)
        step = np.exp(np.minimum(far, CLIP))
        return (
            np.where(far > CLIP, -far - LOG_2, np.arcsinh(mean - step)),
            np.where(far > CLIP, far + LOG_2, np.arcsinh(mean + step)),
        )

    def edges(self, low: float, high: float) -> Floats:
        mean, scale, df = self.parameters
        offsets, gaps = OFFSETS, GAPS
        if df.min() <= HEAVY:  # narrow arms need panels out to where the wide ones have theirs
            more = int(np.ceil(np.log(1.0 / scale.min()) / np.log(2.2)))
            steps = np.concatenate([STEPS, STEPS[-1] * 2.2 ** np.arange(1, more + 1)])
            offsets = np.concatenate([-steps[::-1], [0.0], steps])
            gaps = 0.45 * np.gradient(offsets)
        points = (mean[:, None] + scale[:, None] * offsets).ravel()
        widths = np.arcsinh(points + (scale[:, None] * gaps).ravel()) - np.arcsinh(points)
        edges = spaced(np.arcsinh(points), widths, low, high)
        if max(-low, high) <= OUTER[0]:
            return edges
        inner = max(abs(edges[-2]), abs(edges[1])) if len(edges) > 2 else 0.0
        far = OUTER[inner < OUTER]
        outer = np.concatenate([-far, far])
        outer = outer[(outer > low) & (outer < high)]
        return np.sort(np.concatenate([edges, outer]))

    def log_density(self, x: Floats) -> Floats:
        _, scale, df = (each[:, None] for each in self.parameters)
        spread, size = np.log1p(self._z(x) ** 2 / df), np.abs(x)
        cosh = size + np.log1p(np.exp(-2.0 * size)) - LOG_2  # its logarithm: the slope of x = sinh(y)
        if size.max() > CLIP:
            spread = spread + 2.0 * np.maximum(size - CLIP, 0.0)
        return np.asarray(cosh - 0.5 * (df + 1.0) * spread - sc.betaln(0.5, 0.5 * df) - np.log(scale * np.sqrt(df)))

    def cdf(self, x: Floats) -> Floats:
        near = sc.stdtr(self.parameters[2][:, None], self._z(x))
        if np.abs(x).max() < CLIP:
            return np.asarray(near)
        far = np.exp(np.minimum(self._log_far(x), 0.0))
        return np.where(np.abs(x) < CLIP, near, np.where(x < 0.0, far, 1.0 - far))

    def log_cdf(self, x: Floats) -> Floats:
        p, df, z = self.cdf(x), self.parameters[2][:, None], self._z(x)
        # Where the lower tail underflows, its first term: x f(x) / df, with f(x) as exact as its logarithm.
        log_f = -0.5 * (df + 1.0) * np.log1p(z * z / df) - sc.betaln(0.5, 0.5 * df) - 0.5 * np.log(df)
        hazard = np.where(z < -1.0, -z * (df + 1.0) / (df + z * z), 1.0)
        tiny = np.where(x < -CLIP, self._log_far(x), log_f - np.log(hazard))
        return np.where(p > TINY, np.log(np.maximum(p, TINY)), tiny)

    def sample(self, n: int) -> Floats:
        mean, scale, df = self.parameters
        shape = (n, len(mean))
        if df.min() >= 1.0:
            return np.asarray(np.arcsinh(mean + scale * np.random.standard_t(df, size=shape)))
        normal = np.random.standard_normal(shape)
        with np.errstate(divide="ignore"):
            log_t = np.log(np.abs(normal)) - 0.5 * (log_gamma_draws(0.5 * df, n) + LOG_2 - np.log(df)) + np.log(scale)
        sign = np.sign(normal)
        near = np.arcsinh(mean + sign * np.exp(np.minimum(log_t, CLIP)))
        return np.where(log_t > CLIP, sign * (log_t + LOG_2), near)

    def _z(self, x: Floats) -> Floats:
        """The standardised scores, of ``CLIP`` at most on the scale of y."""
        mean, scale, _ = (each[:, None] for each in self.parameters)
        return np.asarray((np.sinh(np.clip(x, -CLIP, CLIP)) - mean) / scale)

    def _log_power(self) -> Floats:
        """Logarithm of c in the tail ``c t**-df``."""
        df = self.parameters[2]
        return np.asarray((0.5 * df - 1.0) * np.log(df) - sc.betaln(0.5, 0.5 * df))

    def _log_far(self, x: Floats) -> Floats:
        """Logarithm of the mass beyond x, on its side, where the tail is a power."""
        scale, df = self.parameters[1][:, None], self.parameters[2][:, None]
        return np.asarray(self._log_power()[:, None] - df * (np.abs(x) - LOG_2 - np.log(scale)))
