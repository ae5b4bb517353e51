"""The Python half of the survey browser: searches, views, words, code and files, and surveys that lack something."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.columns import Columns
from plural_nb.survey.contrasts import difference
from plural_nb.survey.from_labels import survey_of
from plural_nb.survey.labelled import Variable
from plural_nb.survey.means import mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.replicates import bootstrap
from plural_nb.survey.shares import estimate

HOSTILE = "<img src=x onerror=window.hacked=1>"
YES_NO = [
    {"code": 1, "label": "Yes"},
    {"code": 2, "label": "No"},
    {"code": 9, "label": "Don't know", "substantive": False},
]
TEA = {"survey": {"title": "Tea"}, "questions": {"tea": {"text": "Do you drink tea?", "options": YES_NO}}}
CHOICES: list[dict[str, Any]] = [
    {},
    {"answer": "Yes, abolish the toll"},
    {"by": "region"},
    {"by": "region", "answer": "No, keep the toll", "population": {"age": ["18 to 29"]}, "weighted": False},
    {"question": "premier", "answer": "(mean)"},
    {"question": "premier", "answer": "(mean)", "by": "age", "population": {"gender": ["Woman"]}},
    {"tab": "trend"},
    {"tab": "trend", "by": "settlement", "answer": "No, keep the toll", "weighted": False},
    {"tab": "trend", "question": "premier", "answer": "(mean)", "by": "age", "population": {"gender": ["Man"]}},
    {"tab": "weights", "population": {"region": ["Far Isles"]}},
    {"tab": "weights"},
]


@pytest.fixture(scope="module")
def teaching() -> pnb.Survey:
    return pnb.load_survey("teaching")


def browser(survey: pnb.Survey, **choices: Any) -> pnb.SurveyBrowser:
    """A browser after these choices, made one after the other as a user makes them."""
    panel = survey.browse(question=choices.pop("question", "toll" if "toll" in survey.questions else None))
    for name, value in choices.items():
        setattr(panel, name, value)
    return panel


def said(panel: pnb.SurveyBrowser, name: str) -> str:
    [found] = [f"{f['value']} {f['more']}" for f in panel.findings if f["name"] == name]
    return found


def small(n: int = 40, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"tea": [1, 2, 1, 9] * (n // 4), **columns})


def test_words_find_questions_by_key_text_and_option(teaching: pnb.Survey) -> None:
    panel = browser(teaching)
    assert [row["key"] for row in panel.found["rows"]] == list(teaching.questions)
    assert panel.found["said"] == "20 questions"
    panel.words = "PARLIAMENT trust"
    assert [row["key"] for row in panel.found["rows"]] == ["trust_parliament"]
    assert panel.found["said"] == "1 of 20 questions"
    panel.words = "lantern"
    assert [(row["key"], row["option"]) for row in panel.found["rows"]] == [("vote", "Lantern Party")]
    panel.words = "lantern toll"
    assert panel.found["rows"] == []
    assert "No question of 20 has all of these words" in panel.found["said"]
    panel.words = "   "
    assert len(panel.found["rows"]) == 20


def test_a_search_changes_no_chart(teaching: pnb.Survey) -> None:
    panel = browser(teaching)
    before = panel.chart
    panel.words = "trust"
    assert panel.chart is before
    assert panel.found["words"] == "trust"


def test_shares_by_group_are_the_librarys(teaching: pnb.Survey) -> None:
    panel = browser(teaching, by="region", population={"age": ["18 to 29", "30 to 44"]})
    young = pnb.Population({"age": ["18 to 29", "30 to 44"]})
    truth = estimate(teaching.answers("toll", young), by=teaching.groups("region"))
    for name, values in (("share", truth.share), ("se", truth.se), ("low", truth.low), ("high", truth.high)):
        np.testing.assert_allclose(panel.data[name].to_numpy(), np.asarray(values).ravel(), rtol=1e-10)
    drawn = [row["estimate"] for row in panel.view.rows if not row["heading"]]
    assert drawn == pytest.approx(truth.share.T.ravel().tolist(), rel=1e-10)


def test_a_thermometer_shows_bins_and_the_mean_of_exact_numbers(teaching: pnb.Survey) -> None:
    panel = browser(teaching, question="premier")
    assert panel.data["option"].to_list() == ["0 to 20", "21 to 40", "41 to 60", "61 to 80", "81 to 100"]
    truth = mean(Measure.of(teaching.people["premier"].cast(pl.Float64).replace([-8.0], [None]), teaching.design))
    value, se = truth.estimate[0], truth.se[0]
    assert said(panel, "Mean").startswith(f"{value:.1f} ")
    assert f"standard error {se:.2g}" in said(panel, "Mean")
    assert {"id": "(mean)", "label": "The mean of the numbers"} in panel.answer_menu
    panel.answer = "(mean)"
    panel.by = "leaning"
    by = mean(Measure.of(teaching.values("premier"), teaching.design), by=teaching.groups("leaning"))
    np.testing.assert_allclose(panel.data["mean"].to_numpy(), by.estimate, rtol=1e-12)
    panel.question = "toll"
    assert panel.answer == ""


def test_a_trend_is_each_wave_estimated_by_itself(teaching: pnb.Survey) -> None:
    panel = browser(teaching, tab="trend")
    waves = panel.data.filter(pl.col("option") == "Yes, abolish the toll")
    for wave, share, se in waves.select("time", "share", "se").rows():
        alone = teaching.answers("toll", pnb.Population({"wave": [wave]})).shares()
        assert (share, se) == pytest.approx((alone.share[0, 0], alone.se[0, 0]), rel=1e-10)


def test_the_change_over_the_years_has_the_contrasts_interval(teaching: pnb.Survey) -> None:
    panel = browser(teaching, tab="trend", answer="Yes, abolish the toll")
    wave = teaching.groups("wave")
    truth = difference(teaching.answers("toll"), "Yes, abolish the toll", "2023", "2019", by=wave)
    words = said(panel, "2019 to 2023")
    assert words.startswith(f"{100 * truth.estimate:+.1f} points")
    assert f"{100 * truth.low:+.1f} to {100 * truth.high:+.1f}" in words


def test_a_breakdown_by_the_years_themselves_is_none_in_a_trend(teaching: pnb.Survey) -> None:
    panel = browser(teaching, tab="trend", by="wave")
    assert panel.data["group"].unique().to_list() == ["Everyone"]
    panel.tab = "shares"
    assert set(panel.data["group"]) == {"2019", "2021", "2023"}


def test_the_weights_tab_says_kish_and_the_design_effect_apart(teaching: pnb.Survey) -> None:
    panel = browser(teaching, tab="weights")
    w = teaching.design.weight
    assert said(panel, "Effective number (Kish)").startswith(f"{w.sum() ** 2 / (w @ w):,.0f} ")
    assert said(panel, "Cost of weighting (Kish)").startswith(f"{w.size * (w @ w) / w.sum() ** 2:.2f} ")
    low, high = w.min() / w.mean(), w.max() / w.mean()
    assert said(panel, "Smallest and largest").startswith(f"{low:.2f} – {high:.1f}")
    deff = teaching.answers("toll").shares().deff_wr
    assert deff is not None
    assert said(panel, "Design effect of “Abolish the bridge toll”").startswith(f"{deff.max():.1f} ")
    assert panel.data["n"].sum() == teaching.n
    assert panel.data["share_of_weight"].sum() == pytest.approx(1)


@pytest.mark.parametrize("tab", ["shares", "trend"])
def test_every_screen_says_who_how_and_what_is_left_out(teaching: pnb.Survey, tab: str) -> None:
    panel = browser(teaching, tab=tab, by="income")
    answered = int((teaching.answer_codes["toll"] == 0).sum() + (teaching.answer_codes["toll"] == 1).sum())
    known = np.isin(teaching.answer_codes["toll"], [0, 1]) & (teaching.trait_codes["income"] >= 0)
    assert answered > known.sum()
    assert said(panel, "People").startswith(f"{known.sum():,} ")
    unknown = int((teaching.trait_codes["income"] < 0).sum())
    assert f"{unknown:,} of the 8,910 are in no group" in said(panel, "People")
    assert said(panel, "Weight and design").startswith("weighted")
    assert "strata (stratum) and PSUs (psu)" in said(panel, "Weight and design")
    assert "95%" in said(panel, "Interval")
    shares = teaching.answers("toll").shares()
    w, code = teaching.design.weight, teaching.answer_codes["toll"]
    left = 1 - w[np.isin(code, [0, 1])].sum() / w.sum()
    assert said(panel, "Left out").startswith(f"{left:.0%} ")
    assert f"{shares.nonsubstantive[0]:.0%} chose “I have no opinion”" in said(panel, "Left out")
    panel.weighted = False
    assert "switched off" in said(panel, "Weight and design")


def test_the_checks_are_the_lints_and_the_notes_the_files(teaching: pnb.Survey) -> None:
    voters = pnb.load_survey("anes96")
    panel = browser(voters, tab="checks")
    found = voters.check()
    assert panel.data["message"].to_list() == [f.message for f in found]
    assert said(panel, found[0].where).startswith("To note")
    assert panel.status["text"] == "0 findings that would mislead and 1 to note."
    assert panel.chart is None
    assert not panel.drawn
    panel.tab = "shares"
    assert panel.drawn
    panel = browser(teaching, tab="checks")
    assert panel.status["text"] == "Nothing found that would mislead."
    panel.tab = "about"
    assert "villages" in said(panel, "Note").lower()
    assert "standard errors follow" in said(panel, "Design").lower()


@pytest.mark.parametrize("choices", CHOICES, ids=lambda c: " ".join(map(str, c.values())) or "plain")
def test_the_code_rebuilds_rows_and_chart(teaching: pnb.Survey, choices: dict[str, Any]) -> None:
    panel = browser(teaching, **choices)
    assert panel.status["kind"] == "ready"
    lines = panel.code().split("\n")
    scope: dict[str, Any] = {}
    exec("\n".join([*lines[:-1], f"shown = {lines[-1]}"]), scope)  # the claim is that this very text runs
    shown = scope["shown"]
    assert panel.chart is not None
    for ours, theirs in zip(panel.data.iter_columns(), shown.frame.iter_columns(), strict=True):
        if ours.dtype == pl.Float64:
            np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=1e-9, atol=1e-12)
        else:
            assert ours.to_list() == theirs.to_list()
    assert (shown.title, shown.subtitle, shown.summary) == (
        panel.chart.title,
        panel.chart.subtitle,
        panel.chart.summary,
    )


@pytest.mark.parametrize("tab", ["checks", "about"])
def test_the_code_of_lists_runs(tab: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(browser(pnb.load_survey("anes96"), tab=tab).code(), {})
    assert capsys.readouterr().out.strip()


def test_a_survey_that_was_changed_is_not_passed_off_as_the_librarys(teaching: pnb.Survey) -> None:
    assert "pnb.load_survey('teaching')" in browser(teaching).code()
    changed = teaching.with_kind("nature", "nominal")
    assert "load_survey" not in browser(changed).code()
    assert "# survey: the Survey object that you gave the browser" in browser(changed, tab="trend").code()
    assert "pnb.load_survey('anes96')" in pnb.SurveyBrowser("anes96").code()


def test_replicate_weights_and_lazy_files_are_browsed_alike(teaching: pnb.Survey) -> None:
    replicated = dataclasses.replace(teaching, design=bootstrap(teaching.design, 30, seed=1))
    panel = browser(replicated, by="settlement", tab="trend")
    assert "30 replicate weights (bootstrap)" in said(panel, "Weight and design")
    truth = estimate(replicated.answers("toll", pnb.Population({"wave": ["2021"]})), by=teaching.groups("settlement"))
    assert truth.se is not None
    shown = panel.data.filter(pl.col("time") == "2021")["se"].to_numpy()
    np.testing.assert_allclose(shown, truth.se.ravel(), rtol=1e-9)
    read: list[str] = []

    def columns(names: Any) -> pl.DataFrame:
        read.extend(names)
        return pl.DataFrame({name: [2000, 2004] * 50 if name == "year" else [1, 2, 2, 1] * 25 for name in names})

    variables = {f"v{i}": Variable(f"v{i}", f"Item {i}", {1: "Yes", 2: "No"}) for i in range(500)}
    variables["year"] = Variable("year", "Year")
    lazy = survey_of(
        Columns(names=list(variables), source=columns), variables, name="x", title="x", source="x", rows=100
    )
    panel = lazy.browse()
    panel.words = "item 17"
    panel.question = "v17"
    panel.tab = "trend"
    assert panel.status["kind"] == "ready"
    assert panel.data["time"].unique().sort().to_list() == ["2000", "2004"]
    assert set(read) == {"year", "v0", "v17"}


def test_rows_travel_alone_while_question_and_groups_stay(teaching: pnb.Survey) -> None:
    panel = browser(teaching, by="region")
    sent: list[str] = []
    panel.view.observe(lambda change: sent.append(change["name"]), names=["rows", "spec", "shape"])
    panel.population = {"age": ["18 to 29"]}
    assert sent == ["rows"]


def test_files_carry_the_notes_and_the_code(teaching: pnb.Survey, tmp_path: Path) -> None:
    panel = browser(teaching, by="region")
    page = panel.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "pnb.tabulate(survey, [&#x27;toll&#x27;]" in page
    assert "Vellamar and its people are made up" in page
    assert "src=" not in page
    assert pl.read_csv(panel.save(tmp_path / "a.csv")).height == panel.data.height
    assert panel.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert panel.save(tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    panel.tab = "about"
    assert pl.read_csv(panel.save(tmp_path / "c.csv"))["text"].to_list() == panel.data["text"].to_list()
    with pytest.raises(PluralError, match="no picture"):
        panel.save(tmp_path / "c.png")


def test_the_page_gets_files_and_code_by_message(teaching: pnb.Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = browser(teaching, by="region")
    sent: list[tuple[Any, Any]] = []
    monkeypatch.setattr(panel, "send", lambda content, buffers=None: sent.append((content, buffers)))
    panel._told(panel, {"do": "export", "kind": "csv"}, [])
    panel._told(panel, {"do": "code"}, [])
    panel._told(panel, {"do": "export", "kind": "exe"}, [])
    [(file, [data]), (code, _)] = sent
    assert (file["file"], file["type"]) == ("teaching-toll-shares.csv", "text/csv")
    assert data.startswith(b"question,group")
    assert code["code"] == panel.code()


def test_a_survey_without_weights_traits_or_years_is_shown_as_it_is() -> None:
    survey = pnb.Survey.from_frame(small(), TEA, name="tea")
    panel = survey.browse()
    assert panel.found["said"] == "1 question"
    assert not panel.has_weights
    assert panel.trait_menu == []
    assert said(panel, "Weight and design").startswith("no weights")
    assert "simple random sample" in said(panel, "Weight and design")
    assert panel.data["share"].to_list() == pytest.approx([2 / 3, 1 / 3])
    assert said(panel, "Left out").startswith("25% 25% chose “Don't know”")
    [trend] = [tab for tab in panel.tabs if tab["id"] == "trend"]
    assert trend["lacks"] == "this survey has no years or waves"
    panel.tab = "trend"
    assert "no years or waves" in panel.status["text"]
    panel.tab = "weights"
    assert panel.status["kind"] == "ready"
    assert said(panel, "Weights").startswith("equal")
    panel.tab = "checks"
    assert panel.status["kind"] == "ready"


def test_a_trait_of_sixty_levels_says_how_many_are_shown() -> None:
    levels = [{"code": i, "label": f"Town {i}"} for i in range(60)]
    rng = np.random.default_rng(1)
    town = np.concatenate([np.arange(60), rng.integers(0, 60, 5940)])
    tea, year = np.where(rng.random(6000) < 0.5, 1, 2), 2000 + 5 * rng.integers(0, 3, 6000)
    book = {
        **TEA,
        "traits": {"town": {"label": "Town", "phrase": "{}", "options": levels}},
        "questions": {**TEA["questions"], "year": {"text": "Year", "options": [
            {"code": y, "label": str(y)} for y in (2000, 2005, 2010)]}},
    }  # fmt: skip
    survey = pnb.Survey.from_frame(pl.DataFrame({"tea": tea, "town": town, "year": year}), book, name="towns")
    panel = survey.browse(question="tea", by="town", over="year")
    assert len(panel.data["group"].unique()) == 60
    drawn = {row["group"] for row in panel.view.rows if not row["heading"]}
    assert f"The {len(drawn)} largest of 60 groups are shown" in panel.chart.notes[0]
    largest = panel.data.unique("group").sort("n", descending=True)["n"][len(drawn) - 1]
    assert all(row["people"] for row in panel.view.rows if not row["heading"])
    assert min(int(row["people"]) for row in panel.view.rows if row["group"]) >= largest
    panel.tab = "trend"
    assert panel.chart is not None
    assert "The 6 largest of 60 groups are shown." in panel.chart.notes
    assert "one answer is drawn: Yes" in panel.status["text"]


def test_what_goes_wrong_is_said_and_the_panel_lives_on(teaching: pnb.Survey) -> None:
    panel = browser(teaching)
    panel.population = {"age": ["18 to 30"]}
    assert panel.status["kind"] == "error"
    assert "no level '18 to 30'" in panel.status["text"]
    assert not panel.drawn
    with pytest.raises(PluralError, match="Nothing is shown"):
        _ = panel.data
    panel.population = {}
    assert panel.status["kind"] == "ready"
    panel.question = "nothing"
    assert "no question 'nothing'" in panel.status["text"]
    panel.question = "vote"
    panel.by = "shoe size"
    assert "no trait 'shoe size'" in panel.status["text"]
    panel.by = ""
    assert panel.data.height == 6


def test_an_empty_population_is_said_on_each_tab(teaching: pnb.Survey) -> None:
    retired_jobs = small(40, sex=[1, 1, 1, 2] * 10, milk=[1, 2, 1, None] * 10)
    book = {
        **TEA,
        "traits": {"sex": {"label": "Sex", "phrase": "{}", "options": [
            {"code": 1, "label": "woman"}, {"code": 2, "label": "man"}, {"code": 3, "label": "nobody"}]}},
        "questions": {**TEA["questions"], "milk": {"text": "Milk?", "asked_of": "women", "options": YES_NO}},
    }  # fmt: skip
    panel = pnb.Survey.from_frame(retired_jobs, book, name="tea").browse(question="milk")
    panel.population = {"sex": ["man"]}
    assert panel.status["kind"] == "error"
    assert "asked of women" in panel.status["text"]
    for tab in ("shares", "weights"):
        panel.tab = tab
        panel.population = {"sex": ["nobody"]}
        assert "Nobody" in panel.status["text"]
        panel.population = {}
        assert panel.status["kind"] == "ready"
    panel.tab = "shares"
    panel.by = "sex"
    assert any("man" in note for note in panel.chart.notes)


def test_hostile_labels_stay_text(tmp_path: Path) -> None:
    options = [{"code": 1, "label": HOSTILE}, {"code": 2, "label": "</script>"}]
    book = {
        "survey": {"title": HOSTILE},
        "traits": {"sex": {"label": HOSTILE, "phrase": "{}", "options": options}},
        "questions": {
            "tea": {"text": HOSTILE, "options": options},
            "odd \x03 key": {"text": "a\x02b", "options": options},
        },
    }
    frame = pl.DataFrame({"tea": [1, 2] * 10, "sex": [1, 1, 2, 2] * 5, "odd \x03 key": [1, 2] * 10})
    panel = pnb.Survey.from_frame(frame, book, name="x").browse(by="sex")
    page = panel.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "&lt;img" in page
    panel.question = "odd \x03 key"
    assert panel.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_arguments_raise_where_they_are_written(teaching: pnb.Survey) -> None:
    with pytest.raises(TypeError, match="Did you mean 'question'"):
        teaching.browse(qestion="toll")
    with pytest.raises(SurveyError, match="Did you mean 'toll'"):
        teaching.browse(question="tol")
    with pytest.raises(SurveyError, match="Did you mean 'region'"):
        teaching.browse(by="regions")
    with pytest.raises(SurveyError, match="Did you mean 'wave'"):
        teaching.browse(over="waves")
    assert pnb.SurveyBrowser("anes96").title == pnb.load_survey("anes96").title


def test_without_a_front_end_the_browser_is_text(teaching: pnb.Survey) -> None:
    text = browser(teaching)._repr_mimebundle_()[0]["text/plain"]
    assert "Yes, abolish the toll 52%" in text
