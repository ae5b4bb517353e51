"""What each juror thinks of each candidate: a matrix of utilities with weights, and on which scale they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Design, Floats, check_base_weight
from plural_nb.survey.shares import Groups

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey


@dataclass(frozen=True, slots=True, eq=False)
class Utilities:
    """Utilities of n jurors for C candidates, on one stated scale.

    values: (n, C) numbers; NaN where a juror did not rate. Infinite ones are an error; negative ones are, once welfare
        is asked for (`shifted` mends them).
    candidates: C names, no two alike. weight: (n,) not negative; the design's, or ones, when None.
    jurors: (n,) names; numbers from 1 when empty. traits: one column of texts per trait of the jurors, n rows.
    design: how the jurors were sampled; None when they are the whole jury, whose results have no interval.
    scale: what a number means ("points from 1 to 100"). scaling: how it was put on that scale (`scaled`).
    notes: everything that was done to the ratings, in order.

    Raises PluralError for shapes that differ, names that repeat, infinite utilities, or weights that cannot be.

    >>> jury = Utilities(np.array([[4.0, 2.0], [1.0, 2.0]]), ("Park", "Road"))
    >>> jury.n, jury.table().rows()
    (2, [('1', 1.0, 4.0, 2.0), ('2', 1.0, 1.0, 2.0)])
    """

    values: Floats = field(repr=False)
    candidates: tuple[str, ...]
    weight: Floats = field(default=None, repr=False)  # type: ignore[arg-type]
    jurors: tuple[str, ...] = field(default=(), repr=False)
    traits: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False)
    design: Design | None = field(default=None, repr=False)
    scale: str = field(default="as rated", kw_only=True)
    scaling: str = field(default="none", kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        names = tuple(str(name) for name in self.candidates)
        if values.ndim != 2 or values.shape[0] == 0 or values.shape[1] == 0:
            raise PluralError(f"Utilities are one row per juror and one column per candidate; got {values.shape}.")
        n, C = values.shape
        if len(names) != C:
            raise PluralError(f"There are {len(names)} names for {C} candidates; give one each.")
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise PluralError(f"Two candidates are called {twice[0]!r}. Rename one of them.")
        jurors = tuple(str(j) for j in self.jurors) or tuple(str(i + 1) for i in range(n))
        if len(jurors) != n:
            raise PluralError(f"There are {len(jurors)} names for {n} jurors; give one each.")
        if self.traits.width and self.traits.height != n:
            raise PluralError(f"The traits have {self.traits.height} rows for {n} jurors; give one each.")
        if self.design is not None and self.design.n != n:
            raise PluralError(f"The design has {self.design.n} rows for {n} jurors; give one each.")
        infinite = np.isinf(values)
        if infinite.any():
            i, c = (int(place[0]) for place in np.nonzero(infinite))
            raise PluralError(
                f"{_utilities_are(infinite)} infinite (first: juror {jurors[i]!r} for {names[c]!r}). Give a "
                "finite number, or leave the cell empty where the juror did not rate."
            )
        if np.isnan(values).all():
            raise PluralError("No juror rated any candidate, so there is nothing to compare.")
        given = self.weight
        if given is None:
            given = np.ones(n) if self.design is None else self.design.weight
        weight = np.array(given, dtype=np.float64)
        if weight.shape != (n,):
            raise PluralError(f"There are {weight.size} weights for {n} jurors; give one each.")
        check_base_weight(weight, "the jurors' weight")
        for name, value in (("values", values), ("candidates", names), ("jurors", jurors), ("weight", weight)):
            object.__setattr__(self, name, value)
        for array in (values, weight):
            array.flags.writeable = False

    @classmethod
    def of(cls, table: Mapping[str, Any] | npt.ArrayLike, weight: Any = None, **rest: Any) -> Utilities:
        """Return utilities from {candidate: ratings}, or from a matrix whose candidates are called A, B, C and so on.

        None and NaN mean "not rated". rest: other fields of `Utilities`.

        >>> Utilities.of({"Park": [4, 1], "Road": [None, 2]}).values
        array([[ 4., nan],
               [ 1.,  2.]])
        """
        if isinstance(table, Mapping):
            rest.setdefault("candidates", tuple(table))
            columns = [_floats(column, name) for name, column in table.items()]
            lengths = {name: column.size for name, column in zip(table, columns, strict=True)}
            if len(set(lengths.values())) > 1:
                raise PluralError(f"Candidates have different numbers of ratings: {lengths}. Give one per juror.")
            values = np.column_stack(columns) if columns else np.empty((0, 0))
        else:
            values = np.atleast_2d(_floats(table, "the matrix"))
            rest.setdefault("candidates", tuple(_letters(i) for i in range(values.shape[1])))
        if weight is not None:
            rest["weight"] = _floats(weight, "the weight")
        return cls(values, **rest)

    @classmethod
    def from_survey(cls, survey: Survey, candidates: Sequence[str] | Mapping[str, str], **choices: Any) -> Utilities:
        """Return a survey's respondents as jurors, by what they answered: see `plural_nb.jury.ratings.from_survey`.

        candidates: keys of the questions that rate them, or {name: key}. choices: population, traits, best, weighted.

        >>> import plural_nb as pnb
        >>> jury = Utilities.from_survey(pnb.load_survey("teaching"), {"Abolish": "rate_abolish", "Keep": "rate_keep"})
        >>> jury.scale
        '1 to 100'
        """
        from plural_nb.jury.ratings import from_survey

        return from_survey(survey, candidates, **choices)

    @property
    def n(self) -> int:
        """Number of jurors."""
        return int(self.values.shape[0])

    @property
    def share(self) -> Floats:
        """(n,) the weights as shares that add to 1."""
        return np.asarray(self.weight / self.weight.sum())

    @property
    def rated(self) -> npt.NDArray[np.int64]:
        """(C,) how many jurors of weight above 0 rated each candidate."""
        return np.asarray((~np.isnan(self.values) & (self.weight > 0)[:, None]).sum(axis=0))

    @property
    def lowest(self) -> float:
        """The lowest utility."""
        return float(np.nanmin(self.values))

    def about(self) -> tuple[str, ...]:
        """Return what a reader must know of these ratings: what was done to them, who did not rate, who weighs nothing.

        >>> Utilities.of({"Park": [4, 1], "Road": [None, 2]}).about()
        ('1 of 4 ratings is missing: each candidate is judged by those who rated it',)
        """
        said = list(self.notes)
        counts = self.weight > 0
        # Rows of weight 0 do not sit on the jury (a domain of a sample keeps them), so nothing of theirs is missing.
        gone = np.isnan(self.values[counts])
        if gone.any():
            is_are = "is" if gone.sum() == 1 else "are"
            said.append(
                f"{int(gone.sum()):,} of {gone.size:,} ratings {is_are} missing: each candidate is judged by those who "
                "rated it"
            )
            silent = int(gone.all(axis=1).sum())
            if silent:
                said.append(f"{silent:,} of {counts.sum():,} jurors rated nothing")
            unrated = [name for name, count in zip(self.candidates, self.rated, strict=True) if count == 0]
            if unrated:
                said.append(f"nobody of any weight rated {', '.join(unrated)}")
        out = int((~counts).sum())
        if out and self.design is None:
            said.append(
                f"{out:,} of {self.n:,} jurors {'has' if out == 1 else 'have'} weight 0 and {_do(out)} not count"
            )
        elif out:
            said.append(f"{out:,} of {self.n:,} people in the sample {_do(out)} not sit on the jury (weight 0)")
        return tuple(said)

    def groups(self, trait: str) -> Groups:
        """Return the groups that a trait of the jurors makes, in alphabetical order; -1 where it is missing.

        Raises PluralError for an unknown trait.
        """
        if trait not in self.traits.columns:
            raise PluralError(f"The jurors have no trait {trait!r}. {nearest(trait, self.traits.columns)}")
        column = self.traits[trait].cast(pl.String)
        names = tuple(column.drop_nulls().unique().sort().to_list())
        places = {name: i for i, name in enumerate(names)}
        codes = np.array([places.get(text, -1) if text is not None else -1 for text in column.to_list()])
        return Groups(names, codes)

    def within(self, members: npt.ArrayLike, *, note: str = "") -> Utilities:
        """Return the utilities of some jurors: (n,) true or false. A design stays whole, with weight 0 outside.

        >>> Utilities.of({"Park": [4, 1, 3]}).within([True, False, True]).values.ravel()
        array([4., 3.])
        """
        inside = np.asarray(members, dtype=np.bool_)
        if inside.shape != (self.n,):
            raise PluralError(f"{inside.size} marks for {self.n} jurors; give true or false for each.")
        notes = (*self.notes, note) if note else self.notes
        if not (self.weight[inside] > 0).any():
            raise PluralError("None of these jurors has a weight above 0, so they cannot decide.")
        if self.design is not None:
            # A group of a sample is a domain: its rows are never cut out before the resampling.
            return replace(self, weight=np.where(inside, self.weight, 0.0), notes=notes)
        kept = np.flatnonzero(inside)
        return replace(
            self,
            values=self.values[kept],
            weight=self.weight[kept],
            jurors=tuple(self.jurors[i] for i in kept),
            traits=self.traits[kept] if self.traits.width else self.traits,
            notes=notes,
        )

    def weighted(self, weight: npt.ArrayLike, *, note: str = "") -> Utilities:
        """Return the same jurors with other weights, (n,); 0 keeps one out of the jury."""
        return replace(
            self, weight=np.asarray(weight, dtype=np.float64), notes=(*self.notes, note) if note else self.notes
        )

    def shifted(self, by: float) -> Utilities:
        """Return every utility with a constant added, and a note that says so.

        From α > 0 on, welfare depends on the constant: report it, and look at another one.
        """
        if not np.isfinite(by):
            raise PluralError(f"A shift is a finite number, not {by!r}.")
        return replace(self, values=self.values + by, notes=(*self.notes, f"{by:g} was added to every utility"))

    def scaled(self, scaling: str, *, epsilon: float = 0.01) -> Utilities:
        """Return each juror's utilities on a scale of their own: see `plural_nb.jury.scaling.scaled`."""
        from plural_nb.jury.scaling import scaled

        return scaled(self, scaling, epsilon=epsilon)

    def completed(self, trait: str = "") -> Utilities:
        """Return missing ratings estimated by the candidate's mean in the juror's group, and a note that says so.

        trait: whose levels are the groups; everyone is one group when empty. A rating stays missing where nobody in
        the group rated the candidate, or the juror is in no group, or has weight 0. Intervals take the estimates as if
        they had been given, which the note says where there are intervals.

        >>> Utilities.of({"Park": [4, 2], "Road": [None, 2]}).completed().values.tolist()
        [[4.0, 2.0], [2.0, 2.0]]
        """
        groups = self.groups(trait) if trait else Groups(("everyone",), np.zeros(self.n, dtype=np.int64))
        values = self.values.copy()
        missing = np.isnan(values) & (self.weight > 0)[:, None]
        for g in range(len(groups.names)):
            inside = groups.codes == g
            given = np.where(np.isnan(self.values), 0.0, self.weight[:, None])[inside]
            total = given.sum(axis=0)
            mean = (given * np.nan_to_num(self.values[inside])).sum(axis=0) / np.where(total > 0, total, np.nan)
            values[inside] = np.where(missing[inside], mean, values[inside])
        filled = int((missing & ~np.isnan(values)).sum())
        of = f"their group ({trait})" if trait else "everyone"
        note = f"{filled:,} missing {'rating was' if filled == 1 else 'ratings were'} estimated by the mean of {of}"
        if self.design is not None:
            note += "; intervals take them as given and are too narrow"
        return replace(self, values=values, notes=(*self.notes, note)) if filled else self

    def table(self) -> pl.DataFrame:
        """Return one row per juror: juror, weight, the traits, the utilities (null where not rated)."""
        frame = pl.DataFrame({"juror": self.jurors, "weight": self.weight})
        rated = {name: pl.Series(self.values[:, c]).fill_nan(None) for c, name in enumerate(self.candidates)}
        return pl.concat([frame, self.traits, pl.DataFrame(rated)], how="horizontal")


def nonnegative(utilities: Utilities) -> None:
    """Raise PluralError where a utility is below 0, and offer the shift that mends it."""
    bad = utilities.values < 0
    if bad.any():
        i, c = np.unravel_index(int(np.nanargmin(utilities.values)), utilities.values.shape)
        lowest = -utilities.lowest
        # Rounded up, so that the number shown is enough.
        digits = 10.0 ** (np.floor(np.log10(lowest)) - 3)
        enough = f"{np.ceil(lowest / digits - 1e-9) * digits:g}"
        raise PluralError(
            f"{_utilities_are(bad)} negative (the lowest is {-lowest:g}, juror {utilities.jurors[i]!r} for "
            f"{utilities.candidates[c]!r}). Welfare needs 0 or more. Add a constant that you choose and report: "
            f"`utilities.shifted({enough})` (`--shift {enough}` on the command line) leaves none below 0. For "
            "α above 0 the result depends on it."
        )


def require_ratings(utilities: Utilities) -> None:
    """Raise PluralError where nobody of weight above 0 rated any candidate."""
    if not utilities.rated.any():
        raise PluralError("Nobody of any weight rated a candidate, so nobody wins.")


def _utilities_are(marked: npt.NDArray[np.bool_]) -> str:
    count = int(marked.sum())
    return "1 utility is" if count == 1 else f"{count:,} utilities are"


def _do(count: int) -> str:
    return "does" if count == 1 else "do"


def _floats(column: Any, name: str) -> Floats:
    try:
        return np.array(column, dtype=np.float64)
    except (TypeError, ValueError):
        raise PluralError(f"{name}: ratings must be numbers, or None where there is none.") from None


def _letters(i: int) -> str:
    return (_letters(i // 26 - 1) if i >= 26 else "") + chr(ord("A") + i % 26)
