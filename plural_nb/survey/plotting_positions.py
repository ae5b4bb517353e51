"""Where the numbers of a weighted sample stand between 0 and 1, and the quantiles read off there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from plural_nb.survey.design import Floats

Rule = Literal["math", "school", "rounded", "hf4", "hf5", "hf6", "hf7", "hf8", "hf9", "shahvaish", "shahvaish-r4.1"]

Reading = Literal["next", "middle", "last", "line"]

# Rules that take equal numbers together.
_DISTINCT: Final[dict[str, Reading]] = {"math": "next", "school": "middle", "rounded": "line"}
# Hyndman and Fan's a: the k-th of n numbers stands at (C_k - a w_k) / (C_n + (1 - 2a) w_n), C the weights added up.
_OFFSET = {"hf5": 1 / 2, "hf6": 0.0, "hf7": 1.0, "hf8": 1 / 3, "hf9": 3 / 8}
# Sums in another order differ in the last digits; a share of exactly p counts as reached.
_SLACK = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Numbers, rising, each at its position between 0 and 1, and how quantiles between two are read.

    numbers, place: (m,). reading: "next" takes the number whose position is reached, "middle" the mean of two where
    it is reached exactly, "last" the last number passed, "line" the straight line between the two.

    >>> line = Positions.of(np.array([1.0, 2.0, 4.0]), np.ones(3), "hf7")
    >>> line.quantile(0.75)
    3.0
    """

    numbers: Floats
    place: Floats
    reading: Reading

    @classmethod
    def of(cls, values: Floats, weight: Floats, rule: Rule) -> Positions:
        """Return the positions of values (n,) with weights (n,), zero weights left out; see `quantile` for the rules.

        Of equal numbers the first in the file stands first, as in R; the rules of Hyndman and Fan from the fourth on
        depend on it a little where weights differ, "math", "school" and "rounded" do not.
        """
        used = weight != 0
        values, weight = values[used], weight[used]
        if rule in _DISTINCT:
            values, which = np.unique(values, return_inverse=True)
            reach = np.cumsum(np.bincount(which, weights=weight))
            return cls(values, reach / reach[-1], _DISTINCT[rule])
        order = np.argsort(values, kind="stable")
        values, weight = values[order], weight[order]
        reach, n = np.cumsum(weight), weight.size
        if rule in ("shahvaish", "shahvaish-r4.1"):
            scaled = weight / weight.mean()
            # R's survey 4.1 takes half of the weight as it is; Shah and Vaish take half of the scaled one.
            half = (scaled if rule == "shahvaish" else weight) / 2
            place, which = np.unique((np.cumsum(scaled) + 0.5 - half) / (n + 1), return_inverse=True)
            return cls(np.bincount(which, weights=values) / np.bincount(which), place, "last")
        if n == 1:
            return cls(values, np.ones(1), "line")
        if rule == "hf4":
            return cls(values, reach / reach[-1], "line")
        a = _OFFSET[rule]
        return cls(values, (reach - a * weight) / (reach[-1] + (1 - 2 * a) * weight[-1]), "line")

    def quantile(self, p: float) -> float:
        """Return the quantile at p; below the first position the first number, above the last the last."""
        if self.reading == "line":
            return float(np.interp(p, self.place, self.numbers))
        last = self.numbers.size - 1
        if self.reading == "last":
            return float(self.numbers[min(max(int(np.searchsorted(self.place, p, side="right")) - 1, 0), last)])
        at = min(int(np.searchsorted(self.place, p - _SLACK)), last)
        if self.reading == "middle" and abs(self.place[at] - p) <= _SLACK and at < last:
            return float(self.numbers[at] + self.numbers[at + 1]) / 2
        return float(self.numbers[at])
