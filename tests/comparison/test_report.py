"""What a comparison writes for an appendix: how a model was asked, every number, every prompt; and plain errors."""

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.charts import distances_and_noise, dumbbell_by_group, humans_and_model
from plural_nb.comparison.comparison import compare
from plural_nb.comparison.constraint import constraint
from plural_nb.comparison.experiment import before_and_after
from plural_nb.comparison.prompting import prompting
from plural_nb.comparison.scoreboard import score
from plural_nb.comparison.survey_distances import compare_survey
from plural_nb.errors import PluralError
from plural_nb.silicon.model import open_model
from plural_nb.silicon.prompt import Reply
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import Option, Question, ask_for

TEA = replace(ask_for("Tea or coffee?", ["Tea", "Coffee"]), wordings=("Coffee or tea?", "Which one | or neither?"))
AB = ["a"] * 60 + ["b"] * 40


def people(question=TEA, places=(0,) * 60 + (1,) * 40):
    return Answers.from_places(question, list(places))


def model(question=TEA, row=(0.5, 0.5), texts=(), orders=((0, 1),), **rest):
    replies = tuple(Reply(text, (0.5, 0.4), shown) for text in texts for shown in orders)
    return Answers(
        question, np.array([row], dtype=float), Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "demo"),
        replies=replies, captured_mass=np.ones(1), **rest,
    )  # fmt: skip


def test_the_range_over_wordings_and_orders_says_how_many_there_were():
    every = [f"Question: {text}\nAnswer:" for text in (TEA.text, *TEA.wordings)]
    asked = prompting(model(texts=every, orders=((0, 1), (1, 0))))
    assert (asked.wordings, asked.orders, asked.enough) == ((TEA.text, *TEA.wordings), 2, True)
    two = prompting(model(texts=every[:2], orders=((0, 1), (1, 0))))
    assert (len(two.wordings), two.enough) == (2, False)
    one_order = prompting(model(texts=every))
    assert (one_order.orders, one_order.enough) == (1, False)
    assert 'ask with wordings=True, order="balanced"' in one_order.sentence()
    assert "no second whisker" in prompting(model(texts=every[:1])).sentence()
    assert prompting(people()) is prompting(model()) is None


def test_three_wordings_in_two_orders_are_asked_when_asked_for():
    toll = load_survey("teaching").questions["toll"]
    with open_model("plural-demo-base", threads=1) as opened:
        both = opened.ask(toll, wordings=True, order="balanced", progress=False)
        alone = opened.ask(toll, progress=False)
    asked = prompting(both)
    assert asked.wordings == (toll.text, *toll.wordings)
    assert asked.enough
    assert not prompting(alone).enough
    c = compare(load_survey("teaching").answers("toll"), both)
    second = c.table().filter(kind="model")
    assert (second["spread_high"] > second["spread_low"]).all()
    for said in (f"Asked in {len(asked.wordings)} wordings and {asked.orders} orders", toll.wordings[0], "SHA-256: "):
        assert said in c.report()


def test_the_report_has_the_numbers_of_the_tables():
    c = compare(people(), model(row=(0.35, 0.65)), by=AB)
    text = c.report()
    for row in c.differences().iter_rows(named=True):
        assert f"| {row['group']} | {row['option']} | {row['a_share']:.3f} | {row['b_share']:.3f} |" in text
    for row in c.distance_table().iter_rows(named=True):
        value = "infinite" if np.isinf(row["value"]) else f"{row['value']:.3f}"
        assert f"| {row['group']} | {row['distance']} | {value} (" in text
    for row in c.entropies().iter_rows(named=True):
        assert f"{row['group']} {row['debiased_nats']:.3f} ({row['low']:.3f} to {row['high']:.3f})" in text
    for row in c.a.table().iter_rows(named=True):
        assert f"| {row['low']:.3f} to {row['high']:.3f} | exact |" in text
    assert re.search(r"Python 3\.\d+", text)


def test_the_report_says_whom_the_shares_rest_on_and_where_they_are_from():
    survey = load_survey("teaching")
    answers = survey.answers("vote")
    text = compare(answers, model(answers.question, np.eye(len(answers.question.options))[0])).report()
    shares, design = answers.shares(), survey.design
    kish, strata, psus = shares.n_eff_kish[0], np.unique(design.stratum).size, np.unique(design.psu).size
    assert f"n = {shares.n[0]:,} (effective (Kish) {kish:,.0f}, {psus - strata:,} degrees of freedom)" in text
    for said in (f"{strata:,} strata; {psus:,} PSUs", survey.fieldwork, survey.licence, survey.source):
        assert said
        assert said in text


def test_bars_in_labels_do_not_break_the_reports_tables():
    question = ask_for("Which?", ["a | b", "c"])
    text = compare(people(question), model(question)).report()
    assert r"| a \| b |" in text


def test_what_was_set_aside_is_in_the_report():
    question = Question("t", "?", (Option("Tea"), Option("Coffee"), Option("No idea", substantive=False)))
    c = compare(people(question, [0] * 50 + [1] * 25 + [2] * 25), model(question, (0.4, 0.4, 0.2)))
    assert "on the first side, as shares: no opinion: Everyone 0.250" in c.report()
    assert "on the second side, as shares: no opinion: Everyone 0.200" in c.report()


def test_every_prompt_is_saved_whole(tmp_path):
    long = "I live by the sea. " * 200 + TEA.text
    c = compare(people(), model(texts=(TEA.text, long), orders=((0, 1), (1, 0))))
    written = {path.name: path for path in c.save(tmp_path)}
    kept = written["prompts.txt"].read_text(encoding="utf-8")
    assert kept.count("----- prompt") == 2
    assert long in kept
    turned = compare(people(), model(texts=(long,)))
    assert "its beginning" in turned.report()
    assert long not in turned.report()


def test_groups_are_drawn_as_dumbbells_and_one_population_as_bars():
    c = compare(people(), model(), by=AB)
    assert c.chart(option="Coffee").spec == dumbbell_by_group(c, option="Coffee").spec
    one = compare(people(), model())
    assert one.chart().spec == humans_and_model(one).spec


@pytest.mark.parametrize(
    ("labels", "values", "p", "q", "distance", "normalised"),
    [
        (("a", "b", "c"), (1, 2, 1.5), (0.1, 0.5, 0.4), (0.2, 0.3, 0.5), 0.15, 0.15),
        (("a", "b", "Refused"), (1, 2, None), (0.2, 0.5, 0.3), (0.3, 0.4, 0.3), 0.1428571, 0.1428571),
        (("a", "b", "c"), (0, 50, 100), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), 100, 1),
    ],
)
def test_worked_examples_hold_in_a_comparison_and_in_a_whole_table(labels, values, p, q, distance, normalised):
    """Options are taken in the order of values, divided by their range; refusals are left out on both sides."""
    options = tuple(Option(label, value=v, substantive=v is not None) for label, v in zip(labels, values, strict=True))
    question = Question("q", "?", options, kind="ordinal")
    places = np.repeat([0, 1, 2], np.round(1000 * np.array(p)).astype(int))
    c = compare(people(question, places), model(question, q))
    assert c.distances["wasserstein"] == pytest.approx(distance, abs=5e-8)
    assert c.distances["wasserstein_normalised"] == pytest.approx(normalised, abs=5e-8)
    turned = replace(question, options=options[::-1])
    turned_about = compare(people(turned, 2 - places), model(question, q))
    assert turned_about.distances["wasserstein"] == pytest.approx(distance, abs=5e-8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: compare(people(), [0.5, 0.5]), "with answers, not with what is of type list"),
        (lambda: compare(pl.Series([1, 2]), model()), "with answers, not with what is of type Series"),
        (lambda: compare(people(), {"a": 3}, by=AB), "type int"),
        (lambda: compare(people(), model(), baselines={"mine": [1, 2]}), "Baseline 'mine': .* type list"),
        (lambda: compare(people(), model(), by="age"), r"survey.groups\('age'\)"),
        (lambda: score(load_survey("teaching"), {"m": {}}), "models come first"),
    ],
)
def test_what_is_no_answers_is_said_plainly(call, words):
    with pytest.raises(PluralError, match=words):
        call()


def test_an_unknown_distance_of_a_table_names_the_nearest():
    survey = load_survey("teaching")
    question = survey.questions["toll"]
    row = np.zeros(len(question.options))
    row[list(question.substantive)] = 1 / len(question.substantive)
    found = compare_survey(survey, {"toll": model(question, row)}, replicates=50)
    with pytest.raises(PluralError, match="Did you mean 'js_distance'"):
        found.table("js_dist")


def test_the_papers_experiment_says_where_its_models_come_from():
    row = model()
    before = replace(row, source=replace(row.source, provenance=(("Model file", "m.gguf"), ("SHA-256", "c0ffee"))))
    said = before_and_after({TEA.key: before}, {TEA.key: row}, TEA, {"people": people()}).report()
    assert "pre: Model file: m.gguf; SHA-256: c0ffee" in said
    assert "post: Model file" not in said
    assert "numpy" in said


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: before_and_after({}, {}, ["q"], {"us": {}}), r"'q' is no question"),
        (lambda: before_and_after({}, {}, TEA, load_survey("teaching")), "Populations are given by name"),
        (lambda: compare_survey({"toll": model()}, load_survey("teaching")), "survey comes first"),
        (lambda: score({"toll": model()}, load_survey("teaching")), "models come first"),
        (lambda: constraint([people()], [people()]), "given by name on both sides"),
    ],
)
def test_arguments_in_the_wrong_place_are_said_plainly(call, words):
    with pytest.raises(PluralError, match=words):
        call()


def test_a_cell_that_holds_no_answers_leaves_the_others_of_a_table():
    survey = load_survey("teaching")
    question = survey.questions["toll"]
    row = np.zeros(len(question.options))
    row[list(question.substantive)] = 1 / len(question.substantive)
    found = compare_survey(survey, {"nature": [0.5, 0.5], "toll": model(question, row)}, replicates=50)
    assert "type list" in found.failed["nature", ""]
    assert found.table("js_distance").filter(question="toll")["value"][0] > 0


def test_a_range_over_prompts_is_drawn_unlike_an_interval():
    ends = np.array([[0.2, 0.4], [0.6, 0.8]])
    rows = compare(people(), model(spread=ends), by=AB).chart().rows
    for row in rows:
        interval, spread = row["low"], (row["spread_low"], row["spread_high"])
        if row["who"] == "humans":
            assert (interval is not None, spread) == (True, (None, None))
        else:
            assert (interval, spread) == (None, (0.2, 0.6))
    voices = np.tile([0.5, 0.5], (30, 1)) + np.linspace(-0.1, 0.1, 30)[:, None] * [1, -1]
    personas = Answers(TEA, voices, Design(np.ones(30)), np.ones(30, dtype=bool), Source("personas", "m"), spread=ends)
    drawn = compare(people(), {"a": personas, "b": personas}, by=AB).chart()
    both = drawn.rows[1]
    assert [key.whisker for key in drawn.keys][1] == "whisker: 95% interval; dotted: range over orders and wordings"
    assert both["low"] is not None
    assert both["spread_high"] > both["high"]


def test_a_divergence_from_an_exact_zero_is_infinite_for_sure_and_says_so():
    c = compare(people(), model(row=(1.0, 0.0)))
    kl = c.distance_table().filter(distance="kl").row(0, named=True)
    assert (kl["value"], kl["low"], kl["high"]) == (np.inf, np.inf, np.inf)
    assert kl["note"].startswith("infinite: an exact row gives no probability")
    assert "| kl | infinite (for sure) | infinite |" in c.report()
    assert "Infinite: an exact row" in c.report()
    shown = distances_and_noise(c, "kl")
    assert (shown.rows[0]["label"], shown.rows[0]["value"], shown.rows[0]["range"]) == ("infinite", None, "")
    assert kl["note"] in shown.notes[0]


def test_a_divergence_from_an_option_that_a_sample_never_showed_has_a_lower_bound_alone():
    three = ask_for("Which?", ["a", "b", "c"])
    seen = people(three, np.repeat([0, 1], 150))
    truth = np.array([0.45, 0.45, 0.1])
    c = compare(seen, model(three, truth))
    kl = c.distance_table().filter(distance="kl_reversed").row(0, named=True)
    # With nobody among 300 the share is at most 3.69/300 (Clopper and Pearson), so the divergence at least this:
    q = np.array([0.5, 0.5, 0.0]) * (1 - 3.69 / 300) + np.array([0, 0, 3.69 / 300])
    least = (truth * np.log(truth / q)).sum()
    assert (kl["value"], kl["high"]) == (np.inf, np.inf)
    assert 0.9 * least < kl["low"] < 1.6 * least
    assert "only a lower bound is known" in kl["note"]
    assert f"| kl_reversed | infinite ({kl['low']:.3f} or more) | infinite |" in c.report()
    assert distances_and_noise(c, "kl_reversed").rows[0]["range"] == f"{kl['low']:.3f} or more"
    finite = c.distance_table().filter(distance="kl").row(0, named=True)
    assert (finite["note"], finite["value"] < 0.2) == ("", True)


def test_an_option_that_nobody_chose_has_an_interval_all_the_same():
    three = ask_for("Which?", ["a", "b", "c"])
    places = np.repeat([0, 1], 50)
    truth = np.array([0.4, 0.55, 0.05])
    never = compare(people(three, places), model(three, truth)).differences().filter(option="c").row(0, named=True)
    share = people(three, places).shares()
    assert never["se"] == 0
    assert (never["low"], never["high"]) == pytest.approx((-0.05, share.high[0, 2] - 0.05))
    # The upper bound is about the largest share of which a hundred people would hold nobody in one of forty samples.
    assert share.high[0, 2] == pytest.approx(1 - 0.025 ** (1 / 100), rel=0.02)
    two = compare(people(three, places), people(three, np.repeat([0, 1, 2], [100, 90, 10])))
    low, high = two.differences().filter(option="c").select("low", "high").row(0)
    assert low < -0.05 < high
    same = people(three, places)
    assert compare(same, same).differences()["high"].to_list() == [0, 0, 0]


def test_never_as_few_people_would_tell_as_did_not():
    r = np.random.default_rng(5)
    for n in (2, 3, 5, 8, 20):
        for _ in range(10):
            c = compare(people(places=r.integers(0, 2, n)), model(row=(0.8, 0.2)))
            if c.verdict.n_to_tell is not None:
                assert c.verdict.n_to_tell > n
