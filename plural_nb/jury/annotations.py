"""Annotators' labels in a long table, one row per label: disagreement is kept as a distribution, never voted away.

Label sets by many people with known traits (DICES, Aroyo et al. 2023), under different instruments and orders (Kern et
al. 2023, "Annotation sensitivity").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers, Source
from plural_nb.comparison.distances import entropy
from plural_nb.errors import PluralError, nearest
from plural_nb.jury.utilities import Utilities
from plural_nb.survey.agreement import Agreement, Metric, krippendorff
from plural_nb.survey.contrasts import difference
from plural_nb.survey.design import Design, Floats, Ints
from plural_nb.survey.question import Kind, Option, Question
from plural_nb.survey.shares import estimate


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """R labels by annotators of items.

    annotators, items, labels: names; labels in their order, with `values` where they stand on a scale.
    annotator, item, label: (R,) places of each row's annotator, item and label. weight: (annotators,) 0 or more.
    traits: one row per annotator. conditions: one row per label: instrument, order, anything that varied.

    Made by `Annotations.of`.
    """

    annotators: tuple[str, ...]
    items: tuple[str, ...]
    labels: tuple[str, ...]
    annotator: Ints = field(repr=False)
    item: Ints = field(repr=False)
    label: Ints = field(repr=False)
    weight: Floats = field(repr=False)
    traits: pl.DataFrame = field(repr=False)
    conditions: pl.DataFrame = field(repr=False)
    values: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls,
        table: pl.DataFrame,
        *,
        annotator: str,
        item: str,
        label: str,
        weight: str | None = None,
        traits: Sequence[str] = (),
        conditions: Sequence[str] = (),
        labels: Sequence[Any] | None = None,
    ) -> Annotations:
        """Return the annotations of a long table: one row per annotator and item.

        annotator, item, label: columns; a row without a label is left out. weight, traits: columns that are the same in
        all rows of an annotator. conditions: columns that may vary from label to label. labels: all labels in order;
        when None, numbers in their order or texts by the alphabet. Numbers are values of a scale.

        Raises PluralError for a column that is not there, a row without annotator or item, an annotator who labelled an
        item twice under the same conditions, a trait that varies within an annotator, or a label not among `labels`.

        >>> table = pl.DataFrame({"who": ["a", "b", "a"], "text": ["x", "x", "y"], "toxic": [1, 0, 1]})
        >>> Annotations.of(table, annotator="who", item="text", label="toxic").distributions().rows()
        [('x', 2, 0.5, 0.5, '0, 1', 0.5, 1.0), ('y', 1, 0.0, 1.0, '1', 1.0, 0.0)]
        """
        for column in (annotator, item, label, *([weight] if weight else []), *traits, *conditions):
            if column not in table.columns:
                raise PluralError(f"The table of labels has no column {column!r}. {nearest(column, table.columns)}")
        for column in (annotator, item):
            if table[column].null_count():
                row = int(table[column].is_null().arg_max() or 0) + 1
                raise PluralError(f"Row {row} of the labels has no {column!r}.")
        if table[label].dtype.is_float():
            table = table.with_columns(pl.col(label).fill_nan(None))
        given = table.filter(pl.col(label).is_not_null())
        if given.is_empty():
            raise PluralError(f"Column {label!r} holds no label at all.")
        repeated = given.group_by(annotator, item, *conditions).len().filter(pl.col("len") > 1)
        if repeated.height:
            who, what = repeated.row(0)[:2]
            raise PluralError(f"Annotator {who!r} labelled item {what!r} {repeated['len'][0]} times. Keep one of them.")
        order = list(labels) if labels is not None else given[label].unique().sort().to_list()
        names = tuple(_text(one) for one in order)
        unknown = set(given[label].unique().to_list()) - set(order)
        if unknown:
            first = _text(sorted(unknown, key=str)[0])
            raise PluralError(f"The label {first!r} is not among {', '.join(names)}. {nearest(first, names)}")
        people = given.group_by(annotator, maintain_order=True).agg(
            *(pl.col(c).first() for c in traits),
            *(pl.col(c).n_unique().alias(f"_n_{c}") for c in [*traits, *([weight] if weight else [])]),
            *([pl.col(weight).first()] if weight else []),
        )
        for column in [*traits, *([weight] if weight else [])]:
            varied = people.filter(pl.col(f"_n_{column}") > 1)
            if varied.height:
                raise PluralError(
                    f"Column {column!r} varies between rows of annotator {varied[annotator][0]!r}; name it as a "
                    "condition."
                )
        found_weight = people[weight].cast(pl.Float64).to_numpy() if weight else np.ones(people.height)
        if not np.isfinite(found_weight).all() or (found_weight < 0).any() or not found_weight.any():
            raise PluralError(f"The weights in {weight!r} must be finite and not negative, and not all 0.")
        objects = given[item].unique(maintain_order=True)
        values = tuple(float(v) for v in order) if given[label].dtype.is_numeric() else None
        return cls(
            tuple(map(str, people[annotator])), tuple(map(str, objects)), names,
            _places(given[annotator], people[annotator]), _places(given[item], objects),
            np.array([order.index(v) for v in given[label].to_list()], dtype=np.int64),
            np.asarray(found_weight, dtype=np.float64), people.select(pl.col(c).cast(pl.String) for c in traits),
            given.select(pl.col(c).cast(pl.String) for c in conditions), values,
        )  # fmt: skip

    def counts(self, weight: Floats | None = None) -> Floats:
        """(items, labels) sums of weight; `weight`: (annotators,), the annotators' own when None."""
        w = self.weight if weight is None else weight
        found = np.zeros((len(self.items), len(self.labels)))
        np.add.at(found, (self.item, self.label), w[self.annotator])
        return found

    def distributions(self) -> pl.DataFrame:
        """Return one row per item: how many labelled it, each label's weighted share, the modal label and its share.

        entropy_bits: of the shares; 0 where all agree. Modal labels that tie are all named; null where the labels of an
        item have no weight.
        """
        counts = self.counts()
        total = counts.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = counts / total
        top = np.nanmax(np.where(total > 0, shares, 0.0), axis=1)
        modal = [
            ", ".join(self.labels[k] for k in np.flatnonzero(np.isclose(row, best, rtol=1e-12))) if t else None
            for row, best, t in zip(shares, top, total[:, 0], strict=True)
        ]
        bits = [float(entropy(row, unit="bits")) if t else None for row, t in zip(shares, total[:, 0], strict=True)]
        return pl.DataFrame(
            {
                "item": self.items,
                "n": np.bincount(self.item, minlength=len(self.items)),
                **{f"share_{name}": shares[:, k] for k, name in enumerate(self.labels)},
                "modal": modal,
                "modal_share": top,
                "entropy_bits": bits,
            }
        )

    def agreement(self, metric: Metric = "nominal", **rest: Any) -> Agreement:
        """Return Krippendorff's α, annotators weighted; see `plural_nb.survey.agreement.krippendorff`.

        Raises PluralError where an annotator labelled an item under several conditions, and for text labels with a
        metric that needs numbers.
        """
        if metric in ("interval", "ratio") and self.values is None:
            raise PluralError(
                f"The labels are texts, so the metric {metric!r} has no numbers to go by. Take 'nominal'."
            )
        number = np.arange(len(self.labels)) if self.values is None else np.array(self.values)
        table = self._matrix(number.astype(np.float64))
        return krippendorff(table, metric=metric, weight=self.weight, **rest)

    def answers(self, label: str = "labels") -> Answers:
        """Return the labels as answers to one question, each annotator a PSU, so that estimates know who repeats."""
        options = tuple(
            Option(name, value=None if self.values is None else self.values[k]) for k, name in enumerate(self.labels)
        )
        kind: Kind = "nominal" if self.values is None else "ordinal"
        design = Design(self.weight[self.annotator], psu=self.annotator, note="standard errors cluster by annotator")
        return Answers.from_places(
            Question("label", label, options, kind), self.label, design=design, source=Source("humans", "annotators")
        )

    def effect(self, of: str, label: str, *, reference: str | None = None) -> pl.DataFrame:
        """Return how much more often a label is given under each level of a condition or trait than at the reference.

        of: a condition (instrument, order of items) or a trait of annotators. reference: a level; the most frequent
        when None. Returns one row per other level: level, share, reference_share, difference, se, low, high, p, with
        errors clustered by annotator. Items are not held equal: give every condition the same items.

        Raises PluralError for an unknown column, level or label.
        """
        column = self._column(of)
        levels = self.levels(of)
        if len(levels) < 2:
            raise PluralError(f"{of!r} has one level only, so there is nothing to compare.")
        base = reference if reference is not None else str(column.drop_nulls().mode().sort()[0])
        if base not in levels:
            raise PluralError(f"{of!r} has no level {base!r}. {nearest(base, levels)}")
        answers, by = self.answers(), column.to_list()
        if label not in self.labels:
            raise PluralError(f"There is no label {label!r}. {nearest(label, self.labels)}")
        found = estimate(answers, by=by)
        share = dict(zip(found.groups, found.share[:, self.labels.index(label)].tolist(), strict=True))
        rows = []
        for level in levels:
            if level == base:
                continue
            gap = difference(answers, label, level, base, by=by)
            rows.append((level, share[level], share[base], gap.estimate, gap.se, gap.low, gap.high, gap.p))
        names = ["level", "share", "reference_share", "difference", "se", "low", "high", "p"]
        return pl.DataFrame(rows, schema=names, orient="row")

    def utilities(self) -> Utilities:
        """Return annotators as jurors and items as candidates, by the value of the label each gave.

        Raises PluralError where labels are texts without values, or an annotator labelled an item under several
        conditions.
        """
        if self.values is None:
            raise PluralError("The labels are texts, which are no utilities. Give them numbers.")
        table = self._matrix(np.array(self.values))
        scale = f"labels {self.labels[0]} to {self.labels[-1]}"
        return Utilities(table, self.items, self.weight, self.annotators, self.traits, scale=scale)

    def levels(self, column: str) -> tuple[str, ...]:
        """Return the levels of a condition or trait that occur, by the alphabet."""
        return tuple(self._column(column).drop_nulls().unique().sort().to_list())

    def within(self, column: str, level: str) -> Annotations:
        """Return the labels given under one level of a condition, or by annotators with one level of a trait."""
        values = self._column(column)
        keep = (values == level).fill_null(False).to_numpy()
        if not keep.any():
            raise PluralError(
                f"{column!r} has no level {level!r}. {nearest(level, values.drop_nulls().unique().to_list())}"
            )
        return Annotations(
            self.annotators, self.items, self.labels, self.annotator[keep], self.item[keep], self.label[keep],
            self.weight, self.traits, self.conditions.filter(pl.Series(keep)), self.values,
        )  # fmt: skip

    def _matrix(self, number: Floats) -> Floats:
        """(annotators, items) numbers of the labels, NaN where there is none; one label for each pair at most."""
        cell = self.annotator * len(self.items) + self.item
        _, first, count = np.unique(cell, return_index=True, return_counts=True)
        if (count > 1).any():
            at = int(first[np.argmax(count > 1)])
            raise PluralError(
                f"Annotator {self.annotators[self.annotator[at]]!r} labelled item {self.items[self.item[at]]!r} under "
                "several conditions, and one label each is needed here: take one condition first, "
                f"`annotations.within({(self.conditions.columns or ['condition'])[0]!r}, …)`."
            )
        table = np.full((len(self.annotators), len(self.items)), np.nan)
        table[self.annotator, self.item] = number[self.label]
        return table

    def _column(self, name: str) -> pl.Series:
        if name in self.conditions.columns:
            return self.conditions[name]
        if name in self.traits.columns:
            return self.traits[name][self.annotator]
        known = [*self.conditions.columns, *self.traits.columns]
        raise PluralError(f"There is no condition or trait {name!r}. {nearest(name, known)}")


def _places(column: pl.Series, order: pl.Series) -> Ints:
    place = {value: i for i, value in enumerate(order.to_list())}
    return np.array([place[value] for value in column.to_list()], dtype=np.int64)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
