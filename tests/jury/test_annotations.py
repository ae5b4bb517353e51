"""Annotators: agreement, conditions, who labels, and what a classifier makes of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.errors import PluralError
from plural_nb.jury.annotations import Annotations
from plural_nb.jury.label_classifier import classify_labels
from plural_nb.jury.labelling import propensities, simulate_labelling
from plural_nb.survey.agreement import krippendorff

N = np.nan
# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", part C: four observers, twelve units.
PRINTED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)


@pytest.mark.parametrize(
    ("metric", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_alpha_is_the_printed_one(metric: str, alpha: float) -> None:
    found = krippendorff(PRINTED, metric=metric)
    assert found.alpha == pytest.approx(alpha, abs=5e-4)
    assert found.low < alpha < found.high
    assert (found.items, found.labels) == (11, 40)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_does_not_depend_on_the_scale_of_weights_nor_on_the_order_of_annotators(seed: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((6, 15)) < 0.2, np.nan, rng.integers(0, 3, (6, 15)))
    weight = rng.uniform(0.5, 3, 6)
    one = krippendorff(labels, metric=metric, weight=weight, replicates=2).alpha
    order = rng.permutation(6)
    other = krippendorff(labels[order], metric=metric, weight=7 * weight[order], replicates=2).alpha
    assert one == pytest.approx(other, rel=1e-10)
    equal = krippendorff(labels, metric=metric, weight=np.full(6, 2.5), replicates=2).alpha
    assert equal == pytest.approx(krippendorff(labels, metric=metric, replicates=2).alpha, rel=1e-10)


def test_an_annotator_of_weight_zero_is_not_there() -> None:
    without = krippendorff(PRINTED[:3], metric="interval", replicates=2).alpha
    assert krippendorff(PRINTED, metric="interval", weight=[1, 1, 1, 0], replicates=2).alpha == pytest.approx(without)


def test_random_labels_do_not_agree() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (5, 4000))
    assert krippendorff(labels, replicates=2).alpha == pytest.approx(0, abs=0.01)


def made_table(seed: int = 0, people: int = 300, items: int = 40) -> pl.DataFrame:
    """People label toxic by how harsh an item is; the second instrument and the young say it more often."""
    rng = np.random.default_rng(seed)
    harsh = rng.normal(0, 1.2, items)
    rows = []
    for who in range(people):
        young = rng.random() < 0.4
        for item in rng.choice(items, 20, replace=False):
            second = bool(rng.random() < 0.5)
            toxic = harsh[item] + 0.8 * young + 1.0 * second + rng.logistic() > 0.5
            rows.append((f"p{who}", f"i{item:02d}", int(toxic), "young" if young else "old", "B" if second else "A"))
    return pl.DataFrame(rows, schema=["who", "item", "toxic", "age", "instrument"], orient="row")


@pytest.fixture(scope="module")
def annotations() -> Annotations:
    return Annotations.of(
        made_table(), annotator="who", item="item", label="toxic", traits=["age"], conditions=["instrument"]
    )


def test_an_instruments_effect_is_found_with_errors_clustered_by_annotator(annotations: Annotations) -> None:
    effect = annotations.effect("instrument", "1", reference="A").row(0, named=True)
    table = made_table()
    shares = {i: table.filter(pl.col("instrument") == i)["toxic"].mean() for i in "AB"}
    assert effect["difference"] == pytest.approx(shares["B"] - shares["A"])
    assert effect["low"] > 0.05
    # Against R-style plain formula: PSU totals of the linearised difference.
    total = {i: table.filter(pl.col("instrument") == i).height for i in "AB"}
    z = table.with_columns(
        z=pl.when(pl.col("instrument") == "B")
        .then((pl.col("toxic") - shares["B"]) / total["B"])
        .otherwise(-(pl.col("toxic") - shares["A"]) / total["A"])
    ).group_by("who").agg(pl.col("z").sum())["z"].to_numpy()  # fmt: skip
    assert effect["se"] == pytest.approx(np.sqrt(len(z) / (len(z) - 1) * (z**2).sum()), rel=1e-9)


def test_distributions_keep_the_minority_and_name_ties() -> None:
    table = pl.DataFrame({"who": ["a", "b", "c", "d"], "item": ["x"] * 4, "l": ["yes", "no", "no", "yes"]})
    row = Annotations.of(table, annotator="who", item="item", label="l").distributions().row(0, named=True)
    assert row["modal"] == "no, yes"
    assert (row["share_no"], row["entropy_bits"]) == (0.5, 1.0)
    weighted = table.with_columns(w=pl.Series([3.0, 1.0, 1.0, 1.0]))
    found = Annotations.of(weighted, annotator="who", item="item", label="l", weight="w").distributions()
    assert found["modal"].to_list() == ["yes"]
    assert found["share_yes"][0] == pytest.approx(4 / 6)


def test_labels_under_several_conditions_are_never_overwritten() -> None:
    rows = {
        "who": ["a", "a", "b"],
        "item": ["x"] * 3,
        "toxic": [1.0, 5.0, float("nan")],
        "order": ["1st", "2nd", "1st"],
    }
    both = Annotations.of(pl.DataFrame(rows), annotator="who", item="item", label="toxic", conditions=["order"])
    assert both.labels == ("1", "5")
    for ask in (both.utilities, both.agreement):
        with pytest.raises(PluralError, match="'a' labelled item 'x' under several conditions"):
            ask()
    assert both.within("order", "2nd").utilities().values.tolist() == [[5.0]]


def test_labels_are_utilities_of_items(annotations: Annotations) -> None:
    jury = annotations.utilities()
    assert jury.n == 300
    assert jury.traits.columns == ["age"]
    first = made_table().row(0, named=True)
    cell = jury.values[jury.jurors.index(first["who"]), jury.candidates.index(first["item"])]
    assert cell == first["toxic"]


def test_selected_annotators_bias_the_modal_label_and_weighting_repairs_it() -> None:
    rng = np.random.default_rng(1)
    traits = pl.DataFrame({"age": np.where(rng.random(4000) < 0.4, "young", "old")})
    young = (traits["age"] == "young").to_numpy()
    says = rng.random((4000, 12)) < np.where(young[:, None], 0.75, 0.25)  # everyone: 55% no
    part = propensities(0.05, {"age": {"young": 2.0}}, traits)
    for given_traits in (None, traits):
        found = simulate_labelling(says.astype(int), part, 0.5, traits=given_traits, simulations=100, seed=2)
        table = found.table()
        majority = table.filter(pl.col("truth_share") > 0.51)
        assert table["observed_wins"].mean() < 0.4
        assert majority["weighted_wins"].mean() > majority["observed_wins"].mean() + 0.3
        assert found.weighted_bias < 0.1 * found.observed_bias
    assert "estimated from traits" in found.sentence()


def test_weighting_by_equal_propensities_changes_nothing() -> None:
    says = np.random.default_rng(3).integers(0, 3, (200, 5))
    found = simulate_labelling(says, 0.3, simulations=20, seed=0)
    assert np.nanmax(np.abs(found.observed - found.weighted)) < 1e-12


def test_a_classifier_is_judged_worse_by_another_conditions_labels() -> None:
    rng = np.random.default_rng(0)
    items = 120
    harsh, other = rng.normal(0, 1, (2, items))
    rows = []
    for who in range(400):
        instrument = "A" if who % 2 else "B"
        for item in rng.choice(items, 30, replace=False):
            signal = 3 * (harsh[item] if instrument == "A" else other[item])
            rows.append((who, item, int(signal + rng.logistic() > 0), instrument))
    table = pl.DataFrame(rows, schema=["who", "item", "l", "instrument"], orient="row")
    found = Annotations.of(table, annotator="who", item="item", label="l", conditions=["instrument"])
    features = np.column_stack([harsh, other])[[int(i) for i in found.items]]
    result = classify_labels(found, "instrument", features)
    accuracy = {(a, b): v for a, b, v in result.table().select("trained_on", "judged_by", "accuracy").iter_rows()}
    assert min(accuracy["A", "A"], accuracy["B", "B"]) > 0.85
    assert max(accuracy["A", "B"], accuracy["B", "A"]) < 0.7
    assert result.where_they_differ().height > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotator": "whoo"}, "no column 'whoo'"),
        ({"labels": [0]}, "'1' is not among"),
        ({"traits": ["instrument"]}, "varies between rows"),
    ],
)
def test_bad_tables_of_labels_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(PluralError, match=message):
        Annotations.of(made_table(), **{"annotator": "who", "item": "item", "label": "toxic", **change})


def test_other_mistakes_are_refused_in_words(annotations: Annotations) -> None:
    twice = pl.concat([made_table().head(1), made_table().head(1)])
    with pytest.raises(PluralError, match=r"labelled item .* 2 times"):
        Annotations.of(twice, annotator="who", item="item", label="toxic")
    with pytest.raises(PluralError, match="instrument"):
        annotations.effect("instrumnet", "1")
    with pytest.raises(PluralError, match="no label '2'"):
        annotations.effect("instrument", "2")
    with pytest.raises(PluralError, match="nominal"):
        krippendorff(PRINTED, metric="nominl")
    with pytest.raises(PluralError, match="two labels"):
        krippendorff([[1, np.nan], [np.nan, 2]])
    with pytest.raises(PluralError, match="All labels are the same"):
        krippendorff([[1, 1], [1, 1]])
    with pytest.raises(PluralError, match="above 0"):
        simulate_labelling(np.zeros((3, 1), dtype=int), [0.0, 0.5, 0.5])
