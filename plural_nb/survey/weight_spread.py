"""How unequal the weights of a survey are, and what that alone costs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.survey.design import Design, Floats

# Times the average beyond which a histogram gathers what is left in one bin.
_FAR = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class WeightSpread:
    """The distribution of weights among those with a weight above 0.

    relative: (n,) weights divided by their mean, rising: someone at 2 stands for twice as many as the average one.
    n, zero: people with a weight above 0, and of 0 (they count for nobody). name: the weight's column.
    """

    relative: Floats = field(repr=False)
    zero: int
    name: str = ""

    @property
    def n(self) -> int:
        """People with a weight above 0."""
        return int(self.relative.size)

    @property
    def equal(self) -> bool:
        """Whether everybody has the same weight."""
        return self.n == 0 or bool(np.ptp(self.relative) <= 1e-12 * self.relative[-1])

    @property
    def n_eff_kish(self) -> float:
        """Kish's effective number (Σw)²/Σw²: so many equal weights tell as much, were answers unrelated to them."""
        return float(self.relative.sum() ** 2 / np.square(self.relative).sum()) if self.n else 0.0

    @property
    def deff_kish(self) -> float:
        """The loss by weighting alone, n over `n_eff_kish`, 1 + cv²(w) (Kish 1965); it is not the design effect."""
        return self.n / self.n_eff_kish if self.n else np.nan

    @property
    def top_share(self) -> float:
        """Share of the total weight that the heaviest hundredth of people hold (at least one of them)."""
        if not self.n:
            return np.nan
        heaviest = max(1, round(self.n / 100))
        return float(self.relative[-heaviest:].sum() / self.relative.sum())

    def bins(self, most: int = 40) -> pl.DataFrame:
        """Return a histogram of the relative weights: low, high, n, and their share of people and of the total weight.

        Bins are equally wide, with round bounds, and at most so many; the last one gathers what lies beyond ten times
        the average.
        """
        largest = float(self.relative[-1]) if self.n else 1.0
        width = _round_width(min(largest, _FAR) / (most - 2))
        inner = int(min(largest, _FAR) / width + 1e-9) + 1
        place = np.minimum((self.relative / width + 1e-9).astype(np.int64), inner)
        n = np.bincount(place, minlength=inner + 1)
        held = np.bincount(place, weights=self.relative, minlength=inner + 1)
        frame = pl.DataFrame(
            {
                "low": width * np.arange(inner + 1),
                "high": np.append(width * np.arange(1, inner + 1), largest),
                "n": n,
                "share_of_people": n / max(self.n, 1),
                "share_of_weight": held / max(float(self.relative.sum()), 1e-300),
            }
        )
        return frame if n[inner] else frame.head(inner)


def weight_spread(design: Design, domain: npt.NDArray[np.bool_] | None = None) -> WeightSpread:
    """Return how the weights of a design are spread over the rows in `domain`, everybody when None.

    >>> spread = weight_spread(Design(np.array([1.0, 1.0, 2.0, 0.0])))
    >>> spread.n, spread.zero, round(spread.n_eff_kish, 3), round(spread.deff_kish, 3)
    (3, 1, 2.667, 1.125)
    """
    weight = design.weight if domain is None else design.weight[domain]
    used = np.sort(weight[weight > 0])
    relative = used / used.mean() if used.size else used
    # "survey.sav, column 'wt'" is what messages call it; here the column is enough.
    name = design.weight_name.rpartition("column ")[2].strip("'\"")
    return WeightSpread(relative, int((weight == 0).sum()), name)


def _round_width(width: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is not below `width`."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= width * (1 - 1e-9)))
