"""A real poll read from its file agrees with its published weighted margins."""

import pytest

from plural_nb.survey.reading import read_survey
from plural_nb.survey.shares import estimate
from plural_nb.survey.survey import Population

REFUSED = {"code": -1, "label": "Refused", "substantive": False}
BOOK = {
    "survey": {"title": "Non-voters 2020", "citation": "Ipsos for FiveThirtyEight, CC BY 4.0"},
    "design": {"weight": "weight"},
    "traits": {
        "age": {
            "column": "ppage",
            "options": [{"label": "22 to 49", "low": 22, "high": 50}, {"label": "50 and over", "low": 50}],
        },
        "habit": {
            "column": "voter_category",
            "options": [{"code": "always", "label": "Always"}, {"code": "sporadic", "label": "Sporadic"},
                        {"code": "rarely/never", "label": "Rarely or never"}],
        },
    },
    "questions": {
        "Q23": {"text": "Whom do you support?",
                "options": [{"code": 1, "label": "Trump"}, {"code": 2, "label": "Biden"},
                            {"code": 3, "label": "Unsure"}, REFUSED]},
        "Q7": {"text": "?", "options": [{"code": 1, "label": "one"}, {"code": 2, "label": "two"}, REFUSED]},
        "Q30": {"text": "?", "options": [{"code": i, "label": f"party {i}"} for i in range(1, 6)] + [REFUSED]},
    },
}  # fmt: skip
MARGINS = {
    "Q23": ([0.3427, 0.4452, 0.1935], 0.0186),
    "Q7": ([0.7983, 0.1905], 0.0112),
    "Q30": ([0.2873, 0.3196, 0.2412, 0.0173, 0.1265], 0.0081),
}


@pytest.fixture(scope="module")
def nonvoters(shared):
    path = shared / "data" / "nonvoters" / "nonvoters_data.csv"
    if not path.is_file():
        pytest.skip("the poll's file is not at hand")
    return read_survey(path, codebook=BOOK)


@pytest.mark.parametrize("question", MARGINS)
def test_weighted_margins_are_the_published_ones(nonvoters, question):
    shares = nonvoters.answers(question).shares()
    expected, refused = MARGINS[question]
    assert shares.nonsubstantive[0] == pytest.approx(refused, abs=5e-5)
    of_all = shares.share[0] * (1 - shares.nonsubstantive[0])
    assert of_all.tolist() == pytest.approx(expected, abs=6e-5)


def test_a_trait_of_a_real_survey_picks_its_people(nonvoters):
    weight = nonvoters.design.weight
    found = {
        level: weight[Population({"habit": level}).mask(nonvoters)].sum() / weight.sum()
        for level in nonvoters.traits["habit"].labels
    }
    assert found == pytest.approx({"Always": 0.2904, "Sporadic": 0.4293, "Rarely or never": 0.2803}, abs=5e-5)
    assert estimate(nonvoters.answers("Q23"), by=nonvoters.groups("habit")).n.sum() < nonvoters.n == 5836
