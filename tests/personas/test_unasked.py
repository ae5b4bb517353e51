"""Predicting the unasked: AUC, hiding, baselines that never saw the person, planned-missing designs."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.errors import PluralError
from plural_nb.personas.auc import auc, auc_of_options
from plural_nb.personas.hiding import Hidden, hide_at_random, hide_levels, hide_questions, plan_missing
from plural_nb.personas.unasked import ask_hidden, predict, recover
from plural_nb.survey.survey import Survey


def brute_auc(score, chosen, weight) -> float:
    won = of = 0.0
    for i, j in itertools.product(np.flatnonzero(chosen), np.flatnonzero(~chosen)):
        pair = weight[i] * weight[j]
        of += pair
        won += pair * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
    return won / of if of else np.nan


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_auc_counts_the_pairs_that_are_ranked_rightly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 5, 25) / 5
    chosen, weight = rng.random(25) < 0.4, rng.uniform(0.2, 3, 25)
    if chosen.all() or not chosen.any():
        return
    assert float(auc(score, chosen, weight)) == pytest.approx(brute_auc(score, chosen, weight))
    replicates = weight[:, None] * rng.uniform(0, 2, (25, 3))
    expected = [brute_auc(score, chosen, replicates[:, r]) for r in range(3)]
    assert auc(score, chosen, replicates) == pytest.approx(expected)


def test_auc_of_two_options_is_that_of_either() -> None:
    rng = np.random.default_rng(0)
    p, own = rng.random(100), rng.integers(0, 2, 100)
    rows = np.column_stack([p, 1 - p])
    assert float(auc_of_options(rows, own, np.ones(100))) == pytest.approx(float(auc(p, own == 0)))


@pytest.fixture(scope="module")
def survey() -> Survey:
    """1,500 people in 60 PSUs; four questions that depend on a trait and on a taste of each person."""
    rng = np.random.default_rng(4)
    n = 1500
    home = rng.integers(0, 3, n)
    taste = rng.normal(0, 1.2, n)
    columns: dict[str, object] = {"home": [("town", "village", "farm")[h] for h in home], "psu": np.arange(n) % 60}
    columns["wave"] = [("2019", "2021", "2023")[i % 3] for i in range(n)]
    book: dict = {
        "survey": {"title": "Made"},
        "design": {"weight": "w", "psu": "psu"},
        "traits": {
            "home": {"label": "Home", "column": "home", "options": listed("town", "village", "farm")},
            "wave": {"label": "Wave", "column": "wave", "options": listed("2019", "2021", "2023")},
        },
        "questions": {},
    }
    for q in range(4):
        says = (home - 1) * 1.2 * (-1) ** q + taste + rng.logistic(0, 0.6, n) > 0
        columns[f"q{q}"] = np.where(says, "Yes", "No")
        book["questions"][f"q{q}"] = {"text": f"Question {q}?", "column": f"q{q}", "options": listed("Yes", "No")}
    columns["w"] = rng.uniform(0.5, 2, n)
    return Survey.from_frame(pl.DataFrame(columns), book)


def listed(*labels: str) -> list[dict[str, str]]:
    return [{"code": label, "label": label} for label in labels]


KEYS = ["q0", "q1", "q2", "q3"]


def known_truth(survey: Survey, hidden: Hidden, key: str) -> Answers:
    """Personas that answer as the people do, nine times in ten."""
    whole = survey.answers(key)
    return Answers(
        whole.question, np.where(whole.rows > 0, 0.9, 0.1), whole.design, whole.domain, Source("personas", "planted")
    )


def test_hidden_answers_are_nowhere_in_what_is_seen(survey: Survey) -> None:
    hidden = hide_at_random(survey, KEYS, share=0.3, seed=2)
    for key in KEYS:
        mask = hidden.masks[key]
        assert mask.mean() == pytest.approx(0.3, abs=0.001)
        assert not hidden.seen.answers(key).answered[mask].any()
        assert not hidden.known(key).answered[mask].any()
        assert hidden.truth(key).domain.sum() == mask.sum()
    whole_psus = hide_at_random(survey, KEYS, share=0.25, by_psu=True)
    psu = survey.design.psu
    assert not set(psu[whole_psus.masks["q0"]]) & set(psu[~whole_psus.masks["q0"]])


def test_a_planned_missing_design_asks_everyone_the_same_number_and_every_question_alike(survey: Survey) -> None:
    hidden = plan_missing(survey, KEYS, 2, seed=1)
    asked = np.array([~hidden.masks[key] for key in KEYS])
    assert (asked.sum(axis=0) == 2).all()
    assert np.ptp(asked.sum(axis=1)) <= 2


def test_planted_personas_have_their_known_auc_and_marginals_have_none(survey: Survey) -> None:
    hidden = hide_at_random(survey, KEYS, share=0.3, seed=2)
    found = predict(hidden, {key: known_truth(survey, hidden, key) for key in KEYS}, traits=["home"])
    table = {(row["question"], row["predictor"]): row for row in found.table().iter_rows(named=True)}
    for key in KEYS:
        assert table[key, "personas"]["auc"] == 1.0
        assert table[key, "personas"]["log_loss"] == pytest.approx(-np.log(0.9))
        assert table[key, "marginal"]["auc"] == pytest.approx(0.5, abs=0.08)  # shares of other folds, so not exactly
        logit = table[key, "logit"]
        assert 0.6 < logit["auc"] < 0.85
        assert logit["low"] < logit["auc"] < logit["high"]
        # Neighbours know the person's other answers too, hence their taste.
        assert table[key, "neighbours"]["auc"] > logit["auc"] - 0.02
    assert np.nanmin(found.individual["personas"]) == 1.0
    assert not found.resisting()["resists"].any()


def test_random_personas_resist_prediction_and_are_worse_for_nobody_in_particular(survey: Survey) -> None:
    hidden = hide_at_random(survey, KEYS, share=0.3, seed=2)
    rng = np.random.default_rng(9)
    noise = {}
    for key in KEYS:
        whole = survey.answers(key)
        p = rng.uniform(0.2, 0.8, survey.n)
        noise[key] = Answers(
            whole.question, np.column_stack([p, 1 - p]), whole.design, whole.domain, Source("personas", "noise")
        )
    found = predict(hidden, noise, traits=["home"])
    assert found.resisting()["resists"].sum() >= 3
    low, high = found.by_trait(["home"]).bounds
    assert ((low[1:] < 0) & (high[1:] > 0)).all()


def test_a_year_is_retrodicted_from_the_other_years_alone(survey: Survey) -> None:
    hidden = hide_levels(survey, ["q0"], "wave", "2019")
    year = survey.groups("wave").codes == 0
    assert (hidden.masks["q0"] == year).all()
    found = predict(hidden, traits=["home"])
    assert set(found.table()["predictor"]) == {"marginal", "logit", "neighbours"}
    assert found.table()["n"].to_list() == [int(year.sum())] * 3


def test_a_question_never_asked_has_no_baseline_and_says_so(survey: Survey) -> None:
    hidden = hide_questions(survey, ["q0"])
    found = predict(hidden, {"q0": known_truth(survey, hidden, "q0")})
    assert found.table()["predictor"].to_list() == ["personas"]
    assert "nothing to learn from" in found.left_out[0]
    with pytest.raises(PluralError, match="Nothing could be predicted"):
        predict(hidden)


def test_shares_are_recovered_from_half_the_questions_and_good_personas_are_worth_interviews(survey: Survey) -> None:
    hidden = plan_missing(survey, KEYS, 2, seed=1)
    table = recover(hidden, {key: known_truth(survey, hidden, key) for key in KEYS})
    inside = (table["low"] <= table["share_all"]) & (table["share_all"] <= table["high"])
    assert inside.sum() >= 7
    assert ((table["high"] - table["low"]) < 0.85 * (table["asked_high"] - table["asked_low"])).all()
    assert (table["interviews_gained"] > 200).all()


def test_the_demo_model_foretells_votes_it_was_not_told() -> None:
    from plural_nb.demo.corpus import Respondents

    anes = pnb.load_survey("anes96")
    hidden = Hidden(anes, {"vote": Respondents.of("anes96").held_out & (anes.answer_codes["vote"] >= 0)}, "held out")
    with pnb.open_model("plural-demo-base") as model:
        silicon = ask_hidden(model, hidden, traits=["party", "age"], leak="keep", answered=False)
    found = predict(hidden, silicon, traits=["party", "age"])
    row = found.table().filter(pl.col("predictor") == "personas").row(0, named=True)
    assert row["low"] > 0.85
    assert "held out" in found.sentence()


def test_a_trait_that_is_the_question_itself_is_no_baselines_business() -> None:
    anes = pnb.load_survey("anes96")
    hidden = hide_at_random(anes, ["ideology"], share=0.25)
    found = predict(hidden, traits=["ideology", "age"])
    assert found.table().filter(pl.col("predictor") == "logit")["auc"][0] < 0.7
    assert found.table().filter(pl.col("predictor") == "neighbours")["auc"][0] < 0.7
    assert any("the question itself" in why for why in found.left_out)


def test_mistakes_are_named(survey: Survey) -> None:
    with pytest.raises(PluralError, match="between 0 and 1"):
        hide_at_random(survey, KEYS, share=1.0)
    with pytest.raises(PluralError, match="1 to 3"):
        plan_missing(survey, KEYS, 4)
    with pytest.raises(PluralError, match="no level '2020'"):
        hide_levels(survey, KEYS, "wave", "2020")
    with pytest.raises(PluralError, match="list of keys"):
        hide_questions(survey, "q0")
    with pytest.raises(PluralError, match="no predictor"):
        predict(hide_at_random(survey, KEYS)).resisting("persona")
