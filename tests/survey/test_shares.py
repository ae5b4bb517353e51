"""What shares promise whatever the data: invariances, domains, non-substantive and fractional answers, exact rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from plural_nb.answers import Answers, Source
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.question import Option, Question, ask_for
from plural_nb.survey.shares import difference_covariance, estimate

TEA = ask_for("Tea, coffee or neither?", ["Tea", "Coffee", "Neither"])


@st.composite
def samples(draw):
    """A sample of two strata of three PSUs, with missing answers, weights and groups."""
    size = draw(st.integers(12, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    r = np.random.default_rng(seed)
    stratum = np.arange(size) % 2
    psu = stratum * 3 + np.arange(size) // 2 % 3
    places = r.integers(-1, 3, size)
    places[:2] = [0, 1]
    return places, Design(r.uniform(0.1, 9, size), stratum, psu), r.integers(0, 3, size), seed


@given(samples())
@settings(max_examples=60, deadline=None)
def test_shares_and_errors_do_not_depend_on_the_order_of_rows(sample):
    places, design, _, seed = sample
    order = np.random.default_rng(seed + 1).permutation(places.size)
    moved = Design(design.weight[order], design.stratum[order], design.psu[order])
    a, b = estimate(Answers.from_places(TEA, places, design=design)), None
    b = estimate(Answers.from_places(TEA, places[order], design=moved))
    np.testing.assert_allclose(a.share, b.share, atol=1e-12)
    np.testing.assert_allclose(a.se, b.se, atol=1e-12)
    np.testing.assert_allclose(a.low, b.low, atol=1e-9)


@given(samples(), st.floats(1e-6, 1e6))
@settings(max_examples=60, deadline=None)
def test_shares_and_errors_do_not_depend_on_the_scale_of_weights(sample, scale):
    places, design, _, _ = sample
    scaled = Design(design.weight * scale, design.stratum, design.psu)
    a = estimate(Answers.from_places(TEA, places, design=design))
    b = estimate(Answers.from_places(TEA, places, design=scaled))
    np.testing.assert_allclose(a.share, b.share, atol=1e-12)
    np.testing.assert_allclose(a.se, b.se, atol=1e-12)
    np.testing.assert_allclose(a.n_eff_kish, b.n_eff_kish, rtol=1e-12)


@given(samples())
@settings(max_examples=60, deadline=None)
def test_domains_recombine_to_the_whole(sample):
    places, design, group, _ = sample
    answers = Answers.from_places(TEA, places, design=design)
    whole, parts = estimate(answers), estimate(answers, by=[str(g) for g in group])
    size = np.array(
        [
            design.weight[(group == int(name)) & (places >= 0)].sum() / design.weight[places >= 0].sum()
            for name in parts.groups
        ]
    )
    present = size > 0
    np.testing.assert_allclose(size[present] @ parts.share[present], whole.share[0], atol=1e-12)
    assert parts.n.sum() == whole.n[0]


@given(samples())
@settings(max_examples=40, deadline=None)
def test_one_hot_rows_equal_the_counts_of_a_table_by_psu(sample):
    places, design, _, _ = sample
    shares = estimate(Answers.from_places(TEA, places, design=design))
    # The same from weighted counts of PSU by option alone, without a row per person.
    counts = np.zeros((6, 3))
    said = places >= 0
    np.add.at(counts, (design.psu[said], places[said]), design.weight[said])
    total = counts.sum()
    p = counts.sum(axis=0) / total
    z = (counts - p * counts.sum(axis=1, keepdims=True)) / total
    V = np.zeros((3, 3))
    for h in (0, 1):
        centred = z[3 * h : 3 * h + 3] - z[3 * h : 3 * h + 3].mean(axis=0)
        V += 3 / 2 * centred.T @ centred
    np.testing.assert_allclose(shares.share[0], p, atol=1e-12)
    np.testing.assert_allclose(shares.covariance[0], V, atol=1e-12)


@given(samples())
@settings(max_examples=40, deadline=None)
def test_groups_side_by_side_equal_each_group_alone(sample):
    places, design, group, _ = sample
    answers = Answers.from_places(TEA, places, design=design)
    parts = estimate(answers, by=[str(g) for g in group])
    for g, name in enumerate(parts.groups):
        if parts.n[g] == 0:
            assert np.isnan(parts.share[g]).all()
            continue
        alone = estimate(answers.within(group == int(name)))
        np.testing.assert_allclose(parts.covariance[g], alone.covariance[0], atol=1e-14)
        assert parts.df[g] == alone.df[0]


def by_definition(answers):
    """Definitions, section 3, in loops: sum over strata and all their PSUs of the linearised rows."""
    design, n = answers.design, answers.design.n
    stratum = np.zeros(n, dtype=int) if design.stratum is None else design.stratum
    psu = np.arange(n) if design.psu is None else design.psu
    y = answers.rows[:, list(answers.question.substantive)]
    w = design.weight * answers.domain
    p = w @ y / (w @ y).sum()
    z = w[:, None] * (y - p * y.sum(axis=1, keepdims=True)) / (w @ y).sum()
    V = np.zeros((p.size, p.size))
    for h in np.unique(stratum):
        totals = np.array([z[psu == a].sum(axis=0) for a in np.unique(psu[stratum == h])])
        gap = totals - totals.mean(axis=0)
        V += len(totals) / (len(totals) - 1) * gap.T @ gap
    return p, V


@given(samples(), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_covariances_follow_the_definition(sample, strata, psus, fractional):
    places, full, group, seed = sample
    design = Design(full.weight, full.stratum if strata else None, full.psu if psus else None)
    rows = Answers.from_places(TEA, places).rows
    if fractional:
        rows = rows * 0.4 + np.random.default_rng(seed).dirichlet([1, 1, 1], places.size) * 0.6
        rows[places < 0] = 0
    question = TEA
    if fractional:  # a third of a row may be on an option that carries no opinion
        question = Question("t", "?", (Option("Tea"), Option("Coffee"), Option("Can't say", substantive=False)))
    answers = Answers(question, rows, design, group < 2, Source("personas", "x"))
    if not (answers.domain & answers.answered).any():
        return
    shares = estimate(answers)
    p, V = by_definition(answers)
    np.testing.assert_allclose(shares.share[0], p, atol=1e-14)
    np.testing.assert_allclose(shares.covariance[0], V, atol=1e-14)


def test_one_hot_rows_without_weights_are_counts():
    shares = estimate(Answers.from_places(TEA, [0] * 20 + [1] * 30 + [2] * 50))
    p = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(shares.share[0], p)
    np.testing.assert_allclose(shares.covariance[0], (np.diag(p) - np.outer(p, p)) / 99)
    np.testing.assert_allclose(shares.deff_wr[0], 1.0)
    assert (shares.n[0], shares.df[0], shares.n_eff_kish[0]) == (100, 99, 100)


def test_missing_answers_are_rows_of_zeros_that_keep_their_psu():
    psu = np.repeat(np.arange(4), 3)
    places = np.array([0, 1, 0, 1, 1, 0, 0, 0, 1, -1, -1, -1])
    with_empty = estimate(Answers.from_places(TEA, places, design=Design(np.ones(12), psu=psu)))
    without = estimate(Answers.from_places(TEA, places[:9], design=Design(np.ones(9), psu=psu[:9])))
    np.testing.assert_allclose(with_empty.share, without.share)
    # Four PSUs instead of three: n/(n-1) is 4/3 and not 3/2, the squares are the same.
    np.testing.assert_allclose(np.square(with_empty.se[0, :2] / without.se[0, :2]), (4 / 3) / (3 / 2))
    assert with_empty.df[0] == without.df[0] == 2
    assert with_empty.missing[0] == pytest.approx(0.25)


def test_nonsubstantive_answers_are_reported_and_volunteered_ones_leave_both_denominators():
    question = Question(
        "q", "?", (Option("Yes"), Option("No"), Option("Can't say", substantive=False),
                   Option("Refused", substantive=False, offered=False)),
    )  # fmt: skip
    shares = estimate(Answers.from_places(question, [0] * 30 + [1] * 30 + [2] * 20 + [3] * 20))
    np.testing.assert_allclose(shares.share[0], [0.5, 0.5])
    assert shares.options == ("Yes", "No")
    assert shares.nonsubstantive[0] == pytest.approx(20 / 80)
    assert shares.volunteered[0] == pytest.approx(20 / 100)
    assert shares.n[0] == 60


def test_a_share_of_0_or_1_has_the_clopper_pearson_interval_of_n():
    shares = estimate(Answers.from_places(TEA, [0] * 40))
    assert shares.high[0, 1] == pytest.approx(1 - 0.025 ** (1 / 40))
    assert shares.low[0, 0] == pytest.approx(0.025 ** (1 / 40))
    assert (shares.low[0, 1], shares.high[0, 0]) == (0.0, 1.0)


def test_a_single_person_gets_a_wide_bar_and_not_an_empty_one():
    shares = estimate(Answers.from_places(TEA, [0]))
    assert shares.low[0, 0] == pytest.approx(0.025)
    assert shares.high[0, 0] == 1.0


def test_no_degrees_of_freedom_means_that_the_sample_cannot_tell():
    design = Design(np.ones(24), stratum=np.repeat([0, 1], 12), psu=np.repeat([0, 1, 2, 3], 6))
    places = [0, 1, 1, 1, 1, 1] * 2 + [0, 0, 0, 0, 0, 1] * 2
    shares = estimate(Answers.from_places(TEA, places, design=design).within(np.arange(24) % 12 < 6))
    assert shares.df[0] == 0
    assert shares.se[0, 0] > 0
    assert (shares.low[0, 0], shares.high[0, 0]) == (0.0, 1.0)


def test_a_standard_error_of_zero_has_the_clopper_pearson_interval_of_n():
    # All members in one PSU: its influences sum to zero, which is no certainty.
    design = Design(np.ones(12), psu=np.repeat([0, 1], 6))
    shares = estimate(Answers.from_places(TEA, [0, 1] * 6, design=design).within(np.arange(12) < 6))
    exact = stats.binomtest(3, 6).proportion_ci(0.95, "exact")
    assert shares.low[0, 0] == pytest.approx(exact.low)
    assert shares.high[0, 0] == pytest.approx(exact.high)


def test_fractional_rows_are_estimated_like_means():
    r = np.random.default_rng(1)
    first = r.uniform(size=200)
    rows = np.stack([first, 1 - first], axis=1)
    question = ask_for("?", ["A", "B"])
    source = Source("personas", "demo")
    shares = estimate(Answers(question, rows, Design(np.ones(200)), np.ones(200, dtype=bool), source))
    assert shares.share[0, 0] == pytest.approx(first.mean())
    assert shares.se[0, 0] == pytest.approx(stats.sem(first))
    np.testing.assert_allclose(shares.deff_wr, 1.0)


def test_korn_graubard_takes_no_more_people_than_there_are():
    # Personas that nearly agree vary far less than 50 people of one mind each: their n* would be in the thousands.
    first = np.linspace(0.39, 0.41, 50)
    rows = np.stack([first, 1 - first], axis=1)
    source = Source("personas", "demo")
    answers = Answers(ask_for("?", ["A", "B"]), rows, Design(np.ones(50)), np.ones(50, dtype=bool), source)
    capped = estimate(answers, interval="korn-graubard")
    exact = stats.binomtest(20, 50).proportion_ci(0.95, "exact")
    assert (capped.low[0, 0], capped.high[0, 0]) == (pytest.approx(exact.low), pytest.approx(exact.high))
    assert "kept at n" in capped.note
    free = estimate(answers, interval="korn-graubard", cap=False)
    assert "kept at n" not in free.note
    assert free.high[0, 0] - free.low[0, 0] < 0.05


def test_people_of_weight_zero_are_not_counted():
    design = Design(np.array([1.0, 2.0, 0.0, 0.0]))
    shares = estimate(Answers.from_places(TEA, [0, 1, 1, 2], design=design))
    assert (shares.n[0], shares.df[0]) == (2, 1)
    np.testing.assert_allclose(shares.share[0], [1 / 3, 2 / 3, 0])


def test_a_single_model_row_has_no_standard_error_and_shows_its_spread():
    question = ask_for("?", ["A", "B"])
    model = Source("model", "demo")
    here = np.ones(1, dtype=bool)
    row, mass = np.array([[0.7, 0.3]]), np.array([0.9])
    spread = np.array([[0.6, 0.2], [0.8, 0.4]])
    shares = estimate(Answers(question, row, Design(np.ones(1)), here, model, captured_mass=mass, spread=spread))
    assert shares.exact
    assert shares.se is None
    assert shares.low.tolist() == [[0.6, 0.2]]
    assert shares.high.tolist() == [[0.8, 0.4]]
    assert (shares.captured_mass, shares.captured_mass_min) == (0.9, 0.9)
    table = shares.table()
    assert table["se"].null_count() == table["df"].null_count() == table["n_eff"].null_count() == 2
    once = estimate(Answers(question, row, Design(np.ones(1)), here, model, captured_mass=mass))
    assert once.low.tolist() == once.high.tolist() == once.share.tolist()


def test_captured_mass_is_weighted_over_the_domain():
    rows = np.tile([0.5, 0.5], (3, 1))
    mass, weight = np.array([1.0, 0.4, 0.0]), np.array([1.0, 3.0, 5.0])
    answers = Answers(
        ask_for("?", ["A", "B"]), rows, Design(weight), np.array([True, True, False]), Source("personas", "x"), mass
    )
    shares = estimate(answers)
    assert shares.captured_mass == pytest.approx((1 + 3 * 0.4) / 4)
    assert shares.captured_mass_min == 0.4


def test_the_table_has_the_promised_columns():
    table = estimate(Answers.from_places(TEA, [0, 1, 1, 2]), by=["a", "a", "b", None]).table()
    assert table.columns == [
        "question", "group", "option", "n", "share", "se", "low", "high", "df", "n_eff_kish", "n_eff", "deff_wr",
    ]  # fmt: skip
    assert table.height == 6
    assert table["group"].to_list() == ["a"] * 3 + ["b"] * 3


def test_the_same_people_on_both_sides_share_their_error():
    r = np.random.default_rng(0)
    design = Design(r.uniform(1, 3, 60), psu=np.arange(60) // 5)
    places = r.integers(0, 3, 60)
    answers = Answers.from_places(TEA, places, design=design)
    np.testing.assert_allclose(difference_covariance(answers, answers), 0, atol=1e-20)
    # A group against everyone: Var(g) + Var(all) - 2 Cov, from the influences summed by PSU.
    part = answers.within(np.arange(60) % 2 == 0)
    y, w, g = np.eye(3)[places], design.weight, part.domain
    z_all = w[:, None] * (y - estimate(answers).share[0]) / w.sum()
    z_part = (w * g)[:, None] * (y - estimate(part).share[0]) / w[g].sum()
    gap = np.stack([(z_part - z_all)[design.psu == a].sum(axis=0) for a in range(12)])
    np.testing.assert_allclose(difference_covariance(part, answers), 12 / 11 * gap.T @ gap, atol=1e-15)
    two = Answers.from_places(
        TEA, places, design=Design(design.weight.copy(), psu=design.psu), source=Source("personas", "x")
    )
    apart = difference_covariance(answers, two)
    np.testing.assert_allclose(apart, 2 * estimate(answers).covariance[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interval": "logt"}, "Unknown interval 'logt'. Did you mean 'logit'"),
        ({"level": 95}, "between 0 and 1"),
        ({"by": ["a"]}, "1 entries for 4 rows"),
    ],
)
def test_wrong_arguments_say_what_is_right(change, message):
    with pytest.raises(SurveyError, match=message):
        estimate(Answers.from_places(TEA, [0, 1, 1, 2]), **change)


def test_all_missing_answers_are_an_error():
    with pytest.raises(SurveyError, match="None of the 3 people"):
        estimate(Answers.from_places(TEA, [None, None, None]))
    with pytest.raises(SurveyError, match="Nobody is in this population"):
        estimate(Answers.from_places(TEA, [0, 1], domain=np.zeros(2, dtype=bool)))


def test_a_stratum_with_one_psu_fails_by_default_and_says_what_to_choose(likert, likert_answers):
    frame = likert.filter(likert["psu"] != "h01p2")
    columns = (frame[name].to_numpy() for name in ("weight", "stratum", "psu"))
    with pytest.raises(SurveyError, match=r"1 of 24 strata have a single PSU.*'centre', 'scale' or 'skip'"):
        estimate(likert_answers(frame, "q1", Design.from_columns(*columns)))


def test_a_domain_is_not_a_filtered_file(likert, likert_answers, designs):
    # Deleting everybody else's rows loses the PSUs without members, and with them part of the variance.
    rare = (likert["gender"] == "other").to_numpy()
    as_domain = estimate(likert_answers(likert, "q1", designs["likert"]).within(rare))
    frame = likert.filter(rare)
    columns = (frame[name].to_numpy() for name in ("weight", "stratum", "psu"))
    filtered = estimate(likert_answers(frame, "q1", Design.from_columns(*columns, lonely="skip")))
    np.testing.assert_allclose(as_domain.share, filtered.share)
    assert as_domain.n[0] == filtered.n[0]
    assert (as_domain.se[0] > 1.05 * filtered.se[0]).any()


def test_a_share_of_all_or_none_has_no_design_effect(likert, likert_answers, designs):
    shares = estimate(likert_answers(likert, "rare", designs["likert"]), by=likert["gender"])
    none = shares.groups.index("other")
    assert shares.share[none].tolist() == [1, 0]
    assert np.isnan(shares.deff_wr[none]).all()
    assert np.isnan(shares.deff_wor[none]).all()
    assert (shares.high - shares.low)[none].min() > 0


def test_an_interval_keeps_to_0_and_1_and_to_its_share(likert, likert_answers, designs):
    for kind in ("logit", "korn-graubard", "arcsine", "wilson"):
        shares = estimate(likert_answers(likert, "rare", designs["likert"]), by=likert["age_group"], interval=kind)
        assert ((shares.low >= 0) & (shares.low <= shares.share)).all(), kind
        assert ((shares.high <= 1) & (shares.high >= shares.share)).all(), kind
