"""Trends over years and waves: each time as if estimated alone, found by itself or named, and changes between times."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.errors import SurveyError
from plural_nb.survey.contrasts import difference
from plural_nb.survey.means import mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.replicates import bootstrap
from plural_nb.survey.times import times_of
from plural_nb.survey.trend import change, trend

YES_NO = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]


@pytest.fixture(scope="module")
def teaching() -> pnb.Survey:
    return pnb.load_survey("teaching")


def made(frame: pl.DataFrame, **traits: list[tuple[int, str]]) -> pnb.Survey:
    book = {
        "traits": {
            key: {"label": key, "phrase": "{}", "options": [{"code": c, "label": label} for c, label in levels]}
            for key, levels in traits.items()
        },
        "questions": {"tea": {"text": "Tea?", "options": YES_NO}},
    }
    return pnb.Survey.from_frame(frame, book, name="made")


def tea(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"tea": [1, 2, 1, 1, 2, 2, 1, 2], **columns})


def test_each_cell_is_the_domain_estimated_alone(teaching: pnb.Survey) -> None:
    women = pnb.Population({"gender": ["Woman"]})
    found = trend(teaching, "trust_courts", by="settlement", population=women)
    for t, wave in enumerate(found.times.names):
        for g, place in enumerate(found.groups):
            whom = pnb.Population({"gender": ["Woman"], "wave": [wave], "settlement": [place]})
            alone = teaching.answers("trust_courts", whom).shares()
            np.testing.assert_allclose(found.estimate[t, g], alone.share[0], rtol=1e-12)
            np.testing.assert_allclose(found.low[t, g], alone.low[0], rtol=1e-10)
            np.testing.assert_allclose(found.high[t, g], alone.high[0], rtol=1e-10)
            assert found.n[t, g] == alone.n[0]
    rows = found.table()
    assert rows.height == 3 * 3 * 4
    assert rows.row(4, named=True)["group"] == "Town"


def test_means_over_time_are_of_the_exact_numbers(teaching: pnb.Survey) -> None:
    found = trend(teaching, "premier", statistic="mean", weighted=False)
    for t, wave in enumerate(("2019", "2021", "2023")):
        here = teaching.people["wave"] == int(wave)
        values = teaching.people.filter(here & (pl.col("premier") >= 0))["premier"]
        assert found.estimate[t, 0, 0] == pytest.approx(values.mean(), rel=1e-12)
    assert found.options == ("(mean)",)


def test_only_the_largest_groups_are_kept_where_asked(teaching: pnb.Survey) -> None:
    found = trend(teaching, "toll", by="region", most=2)
    counts = np.bincount(teaching.trait_codes["region"])
    kept = sorted(np.argsort(-counts)[:2])
    assert found.groups == tuple(teaching.traits["region"].labels[i] for i in kept)
    assert found.levels == 5
    everything = trend(teaching, "toll", by="region")
    np.testing.assert_allclose(found.estimate, everything.estimate[:, kept], rtol=1e-12)


def test_times_are_found_and_put_in_order() -> None:
    backwards = made(tea(when=[1, 1, 2, 2, 3, 3, 1, 2]), when=[(1, "Round of 2020"), (2, "Spring 2010"), (3, "1999")])
    times = times_of(backwards)
    assert times is not None
    assert times.names == ("1999", "Spring 2010", "Round of 2020")
    assert times.values.tolist() == [1999, 2010, 2020]
    assert times.dated
    assert times.codes.tolist() == [2, 2, 1, 1, 0, 0, 2, 1]
    waves = times_of(
        made(tea(wave=[1, 1, 2, 2, 3, 3, 1, 2]), wave=[(1, "first"), (2, "second"), (3, "third"), (4, "x")])
    )
    assert waves is not None
    assert (waves.names, waves.values.tolist(), waves.dated) == (("first", "second", "third"), [0, 1, 2], False)


def test_what_is_no_time_is_not_taken_for_one() -> None:
    born = [(1950, "1950"), (1980, "1980")]
    survey = made(tea(birth_year=[1950, 1980] * 4, sex=[1, 2] * 4), birth_year=born, sex=[(1, "w"), (2, "m")])
    assert times_of(survey) is None
    with pytest.raises(SurveyError, match="no two years or waves"):
        trend(survey, "tea")
    assert trend(survey, "tea", over="birth_year").times.names == ("1950", "1980")
    with pytest.raises(SurveyError, match="Did you mean 'birth_year'"):
        trend(survey, "tea", over="birthyear")
    one = made(tea(year=[2020] * 8), year=[(2020, "2020"), (2021, "2021")])
    assert times_of(one) is None


def test_missing_times_and_groups_are_in_no_cell() -> None:
    survey = made(
        tea(year=[2000, 2000, None, 2005, 2005, 2005, 2000, 2005], sex=[1, 2, 1, None, 1, 2, 1, 2]),
        year=[(2000, "2000"), (2005, "2005")],
        sex=[(1, "w"), (2, "m")],
    )
    assert trend(survey, "tea").n.sum() == 7
    found = trend(survey, "tea", by="sex")
    assert found.n.tolist() == [[2, 1], [1, 2]]


@pytest.mark.parametrize("weighted", [True, False])
def test_a_change_is_the_contrast_of_the_two_ends(teaching: pnb.Survey, weighted: bool) -> None:
    men = pnb.Population({"gender": ["Man"]})
    found = change(teaching, "trust_press", "A great deal", population=men, weighted=weighted)
    answers = teaching.answers("trust_press", men, weighted=weighted)
    truth = difference(answers, "A great deal", "2023", "2019", by=teaching.groups("wave"))
    assert found is not None
    assert (found.estimate, found.se, found.df, found.low) == pytest.approx(
        (truth.estimate, truth.se, truth.df, truth.low), rel=1e-10
    )


def test_a_change_of_people_asked_twice_takes_off_what_they_share() -> None:
    """Each PSU was in both years with the same answers: nothing changed, and there is no doubt about it."""
    n = 60
    rng = np.random.default_rng(3)
    answers = rng.integers(1, 3, n)
    frame = pl.DataFrame({"tea": np.tile(answers, 2), "year": [2000] * n + [2010] * n, "who": np.tile(np.arange(n), 2)})
    book = {
        "design": {"psu": "who"},
        "traits": {"year": {"label": "Year", "phrase": "{}", "options": [
            {"code": 2000, "label": "2000"}, {"code": 2010, "label": "2010"}]}},
        "questions": {"tea": {"text": "Tea?", "options": YES_NO}},
    }  # fmt: skip
    found = change(pnb.Survey.from_frame(frame, book, name="panel"), "tea", "Yes")
    assert found is not None
    assert found.estimate == pytest.approx(0, abs=1e-15)
    assert found.se == pytest.approx(0, abs=1e-12)


def test_a_change_of_means_agrees_with_two_domains_and_with_replicates(teaching: pnb.Survey) -> None:
    import dataclasses

    found = change(teaching, "premier")
    both = mean(Measure.of(teaching.values("premier"), teaching.design), by=teaching.groups("wave"))
    assert found is not None
    assert found.estimate == pytest.approx(both.estimate[2] - both.estimate[0], rel=1e-12)
    # The waves are strata of their own, so that their errors are independent.
    assert found.se == pytest.approx(np.hypot(both.se[0], both.se[2]), rel=1e-9)
    replicated = dataclasses.replace(teaching, design=bootstrap(teaching.design, 200, seed=1))
    again = change(replicated, "premier")
    assert again is not None
    assert again.se == pytest.approx(found.se, rel=0.2)


def test_no_change_where_one_end_was_not_asked() -> None:
    survey = made(tea(year=[2000] * 4 + [2005] * 4).with_columns(tea=pl.Series([1, 2, 1, 2, None, None, None, None])),
                  year=[(2000, "2000"), (2005, "2005")])  # fmt: skip
    assert change(survey, "tea", "Yes") is None
    assert np.isnan(trend(survey, "tea").estimate[1]).all()
