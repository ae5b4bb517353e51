"""Associations are at their maximum likelihood, and tables are those of the people who answered."""

import numpy as np
import pytest
from scipy import stats

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.association import binormal, cramers_v, cross_table, digby, phi, polychoric, tetrachoric
from plural_nb.survey.question import ask_for


def test_no_correlation_nearby_is_likelier(reference):
    # An independent check of the maximum: scipy's bivariate normal at our thresholds.
    table = np.array(next(r["table"] for r in reference("assoc.json") if r["table_id"] == "q1_age"), dtype=float)
    found = polychoric(table)
    a, b = (np.concatenate([[-9], cut, [9]]) for cut in (found.row_thresholds, found.column_thresholds))

    def log_likelihood(rho):
        normal = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
        corner = normal.cdf(np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1))
        return (table * np.log(np.diff(np.diff(corner, axis=0), axis=1))).sum()

    best = log_likelihood(found.rho)
    assert best == pytest.approx(found.log_likelihood, rel=1e-6)
    theirs = next(r["polychor_ml"] for r in reference("assoc.json") if r["table_id"] == "q1_age")
    assert best > max(log_likelihood(rho) for rho in (found.rho - 1e-3, found.rho + 1e-3, theirs))


@pytest.mark.parametrize("rho", [-0.999, -0.7, -0.1, 0.0, 0.3, 0.95, 0.9999])
def test_the_bivariate_normal_is_exact_at_the_origin_and_its_limits(rho):
    origin = float(binormal(np.array(0.0), np.array(0.0), rho))
    assert origin == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi), abs=1e-13)
    h = np.array([-2.0, 0.5, 3.0])
    np.testing.assert_allclose(binormal(h, np.full(3, np.inf), rho), stats.norm.cdf(h), atol=1e-15)
    np.testing.assert_allclose(binormal(h, np.full(3, -np.inf), rho), 0.0, atol=1e-15)
    normal = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    assert float(binormal(np.array(0.3), np.array(-0.8), rho)) == pytest.approx(normal.cdf([0.3, -0.8]), abs=1e-8)


def test_a_known_correlation_comes_back():
    r = np.random.default_rng(0)
    x = r.multivariate_normal([0, 0], [[1, 0.55], [0.55, 1]], size=60_000)
    places = np.stack([np.digitize(x[:, 0], [-1, 0, 1.2]), np.digitize(x[:, 1], [-0.4, 0.9])])
    table = np.zeros((4, 3))
    np.add.at(table, tuple(places), 1)
    assert polychoric(table).rho == pytest.approx(0.55, abs=0.01)
    assert polychoric(table[::-1]).rho == pytest.approx(-polychoric(table).rho, abs=1e-6)
    assert polychoric(table.T * 7).rho == pytest.approx(polychoric(table).rho, abs=1e-6)


def test_the_standard_error_is_the_spread_over_samples():
    r = np.random.default_rng(1)
    p = np.array([[0.3, 0.1], [0.15, 0.45]])
    made = [polychoric(r.multinomial(500, p.ravel()).reshape(2, 2)) for _ in range(150)]
    spread = np.std([found.rho for found in made], ddof=1)
    assert np.mean([found.se for found in made]) == pytest.approx(spread, rel=0.15)
    # Four times the people, half the error.
    assert polychoric(4 * 500 * p).se == pytest.approx(polychoric(500 * p).se / 2, rel=1e-4)


def test_phi_is_the_correlation_of_two_indicators():
    x, y = np.repeat([1, 1, 0, 0], [40, 20, 10, 30]), np.repeat([1, 0, 1, 0], [40, 20, 10, 30])
    assert phi([[40, 20], [10, 30]]) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert digby([[40, 20], [10, 30]], power=1) == pytest.approx((1200 - 200) / (1200 + 200))
    with pytest.raises(SurveyError, match="phi is of two by two options"):
        phi([[1, 2, 3], [3, 4, 5]])
    with pytest.raises(SurveyError, match="Unknown thresholds 'margin'"):
        polychoric([[40, 20], [10, 30]], thresholds="margin")


def test_a_perfect_table_is_said_to_be_at_the_limit():
    found = polychoric([[30, 0], [0, 20]])
    assert found.rho == 1.0
    assert "limit" in found.note
    # With an empty cell the likelihood rises all the way; optimisers stop where it is flat to rounding.
    assert polychoric([[20, 0], [10, 15]]).rho == 1.0
    assert np.isnan(found.se)
    assert "empty cell was taken as 0.5" in tetrachoric([[20, 0], [10, 15]]).note


def test_a_table_of_two_questions_is_weighted_and_scaled_to_the_people(likert, likert_answers, designs, reference):
    rows = {row["table_id"]: row for row in reference("assoc.json")}
    a, b = (likert_answers(likert, name, designs["likert"]) for name in ("q1", "region"))
    table = cross_table(a, b)
    np.testing.assert_allclose(table, rows["weighted_q1_region"]["table"], rtol=1e-10)
    assert table.sum() == pytest.approx(1523)


def test_what_has_no_association_is_an_error():
    with pytest.raises(SurveyError, match="two rows and two columns"):
        cramers_v([[3, 4], [0, 0]])
    with pytest.raises(SurveyError, match="none of them negative"):
        polychoric([[3, -4], [1, 1]])
    with pytest.raises(SurveyError, match="use polychoric"):
        tetrachoric([[3, 4, 1], [1, 1, 2]])
    question = ask_for("?", ["Yes", "No"])
    people = Answers.from_places(question, [0, 1])
    with pytest.raises(SurveyError, match="Nobody answered both"):
        cross_table(Answers.from_places(question, [0, None]), Answers.from_places(question, [None, 1]))
    probable = Answers(question, np.full((2, 2), 0.5), people.design, people.domain, people.source)
    with pytest.raises(SurveyError, match="observed answers only"):
        cross_table(people, probable)
