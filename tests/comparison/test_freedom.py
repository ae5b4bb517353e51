"""Degrees of freedom of estimated variances: what PSUs of unequal weight leave of them."""

import numpy as np
import pytest

from plural_nb.answers import Answers
from plural_nb.comparison.comparison import compare
from plural_nb.comparison.freedom import Freedom
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.linearisation import Linearised, covariance
from plural_nb.survey.question import ask_for


def freedom(design, inside=None):
    codes = np.zeros(design.n, dtype=np.int64) if inside is None else np.where(inside, 0, -1)
    return Freedom(design, codes, 1).of(np.ones(design.n, dtype=bool))[0]


def test_equal_psus_leave_their_number_less_that_of_strata():
    psu = np.arange(120) // 5
    design = Design(np.ones(120), psu=psu, stratum=psu % 4)
    assert freedom(design) == pytest.approx(24 - 4)
    assert freedom(Design(np.ones(50))) == pytest.approx(49)


@pytest.mark.parametrize("age", [None, "18 to 29"])
def test_it_is_that_of_the_quadratic_form_itself(age):
    """(tr A)²/tr A² with A = F½ C Σ C F½ written out as a matrix, C centring within strata."""
    survey = load_survey("teaching")
    design, inside = survey.design, survey.answers("nature").domain
    wave = survey.trait("wave")
    inside = survey.groups("wave").codes == wave.labels.index("2023")
    if age:
        inside &= survey.groups("age").codes == survey.trait("age").labels.index(age)
    size = int(design.psu.max()) + 1
    sigma = np.bincount(design.psu[inside], weights=design.weight[inside] ** 2, minlength=size)
    stratum = np.zeros(size, dtype=int)
    stratum[design.psu] = design.stratum
    together = stratum[:, None] == stratum[None, :]
    n = together.sum(axis=1)
    centre = np.eye(size) - together / n[:, None]
    root = np.sqrt(n / (n - 1))[:, None] * centre * np.sqrt(sigma)
    A = root @ root.T
    assert freedom(design, inside) == pytest.approx(np.trace(A) ** 2 / np.square(A).sum())
    assert freedom(design, inside) < 40  # of 91 PSUs in 15 strata


def test_estimated_variances_vary_as_it_says():
    """Simulated people with unequal weights in unequal PSUs: Var(v)/E(v)² of a share is 2/df."""
    r = np.random.default_rng(5)
    psu = np.repeat(np.arange(30), r.integers(3, 40, 30))
    weight = r.uniform(0.3, 3, psu.size) * np.where(psu < 3, 3, 1)
    design = Design(weight, psu=psu, stratum=psu % 3)
    y = r.normal(size=(psu.size, 3000))
    z = weight[:, None] * y
    where = np.arange(psu.size)
    group = np.zeros(psu.size, dtype=np.int64)
    v = np.concatenate(
        [np.diag(covariance(Linearised(z[:, i : i + 100], group, where), 1, design)[0]) for i in range(0, 3000, 100)]
    )
    seen = 2 * v.mean() ** 2 / v.var()
    assert seen < 20  # the customary number is 27
    assert freedom(design) == pytest.approx(seen, rel=0.1)


def test_intervals_of_shares_keep_the_customary_number():
    survey = load_survey("teaching")
    people = survey.answers("nature")
    even = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 30 + [1] * 70)
    c = compare(people, people.within(np.arange(survey.n) % 2 == 0))
    assert c.measured.pairs.df[0] > 1.4 * c.measured.df[0]
    assert compare(even, even).measured.pairs.df.shape == (1,)
    strata = len(np.unique(survey.design.stratum))
    assert people.shares().df[0] == len(np.unique(survey.design.psu)) - strata
