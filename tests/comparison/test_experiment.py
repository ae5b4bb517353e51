"""The paper's experiment: means are means, intervals cover, and the demo pair shows the paper's direction."""

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from plural_nb.answers import Answers
from plural_nb.comparison.answering import row_of
from plural_nb.comparison.experiment import before_and_after
from plural_nb.comparison.published import published
from plural_nb.comparison.question_sample import QuestionSample, clusters_of
from plural_nb.demo.corpus import Respondents
from plural_nb.errors import PluralError
from plural_nb.silicon.model import open_model
from plural_nb.survey.design import Design
from plural_nb.survey.question import Option, Question, ask_for


def questions(n, K=3, battery=""):
    return [replace(ask_for(f"Number {i}?", [f"o{k}" for k in range(K)], key=f"q{i}"), battery=battery)
            for i in range(n)]  # fmt: skip


def table(rows):
    return pl.DataFrame(
        [(f"q{i}", f"o{k}", float(p)) for i, row in enumerate(rows) for k, p in enumerate(row)],
        schema=["question", "option", "share"], orient="row",
    )  # fmt: skip


def mean(found, measure, side, population=None, convention="ours"):
    rows = found.table(measure, convention=convention)
    rows = rows.filter(pl.col("side") == side, pl.col("population").eq_missing(population))
    return rows["mean"].item()


PRE, POST, JAPAN, US = np.random.default_rng(3).dirichlet(np.ones(3), (4, 12))


@pytest.fixture(scope="module")
def found():
    return before_and_after(table(PRE), table(POST), questions(12), {"Japan": table(JAPAN), "US": table(US)})


def test_the_three_tables_hold_the_means_that_scipy_gives(found):
    for side, rows in (("pre", PRE), ("post", POST)):
        for name, people in (("Japan", JAPAN), ("US", US)):
            theirs = np.mean([jensenshannon(p, q, 2) for p, q in zip(rows, people, strict=True)])
            assert mean(found, "js_distance", side, name) == pytest.approx(theirs, abs=1e-12)
            shuffled = [
                np.mean([jensenshannon(np.array(order), q, 2) for order in permutations(p)])
                for p, q in zip(rows, people, strict=True)
            ]
            assert mean(found, "js_distance_shuffled", side, name) == pytest.approx(np.mean(shuffled), abs=1e-12)
        assert mean(found, "entropy_nats", side) == pytest.approx(np.mean([stats.entropy(p) for p in rows]))


def test_a_distance_does_not_stand_alone(found):
    between = np.mean([jensenshannon(p, q, 2) for p, q in zip(JAPAN, US, strict=True)])
    assert mean(found, "js_distance", "US", "Japan") == pytest.approx(between)
    assert mean(found, "js_distance", "Japan", "US") == pytest.approx(between)
    uniform = np.mean([jensenshannon(np.full(3, 1 / 3), q, 2) for q in US])
    assert mean(found, "js_distance", "uniform", "US") == pytest.approx(uniform)
    assert mean(found, "entropy_nats", "humans", "US") == pytest.approx(np.mean([stats.entropy(p) for p in US]))
    sample = Answers.from_places(questions(1)[0], np.repeat([0, 1, 2], 200))
    [q] = questions(1)
    own = before_and_after(table(PRE[:1]), table(POST[:1]), [q], {"people": {"q0": sample}})
    floor = math.sqrt(2 * (1 / 600) / 8 / math.log(2)) * math.gamma(1.5) / math.gamma(1)
    assert mean(own, "js_distance", "noise floor", "people") == pytest.approx(floor, rel=0.01)


def test_debiased_distances_forget_how_many_people_were_asked():
    r = np.random.default_rng(2)
    truth = r.dirichlet(np.ones(4) * 3, 150)
    model = r.dirichlet(np.ones(4) * 3, 150)
    asked = questions(150, K=4)
    few = {q.key: Answers.from_places(q, np.repeat(np.arange(4), r.multinomial(60, p)))
           for q, p in zip(asked, truth, strict=True)}  # fmt: skip
    found = before_and_after(table(model), table(model), asked, {"few": few, "all": table(truth)})
    exact = np.mean([jensenshannon(p, q, 2) ** 2 for p, q in zip(model, truth, strict=True)])
    shown = found.per_question.filter(pl.col("measure") == "js_distance", pl.col("population") == "few")
    assert (
        np.square(shown.filter(pl.col("side") == "pre", pl.col("convention") == "ours")["value"]).mean() > 1.08 * exact
    )
    assert mean(found, "js_divergence_debiased", "pre", "few") == pytest.approx(exact, rel=0.03)
    assert "a sample of these people shows 0.09 from its own truth" in found.sentence()
    with pytest.raises(PluralError, match="nothing is known of the sample"):
        found.change("js_divergence_debiased", "all")
    assert found.table("js_divergence_debiased", beside=True)["kind"].unique().to_list() != ["published"]


def test_the_compatible_convention_drops_a_zero_cell_from_the_entropy_alone():
    pre, people = [[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], [[0.6, 0.4, 0.0], [0.3, 0.3, 0.4]]
    found = before_and_after(table(pre), table(people), questions(2), {"people": table(people)})
    assert mean(found, "entropy_nats", "pre", convention="compatible") == pytest.approx(stats.entropy(pre[1]))
    ours = (math.log(2) + stats.entropy(pre[1])) / 2
    assert mean(found, "entropy_nats", "pre") == pytest.approx(ours)
    both = [mean(found, "js_distance", "pre", "people", c) for c in ("ours", "compatible")]
    assert both[0] == pytest.approx(both[1])
    [row] = found.table("entropy_nats", convention="compatible").filter(pl.col("side") == "pre").iter_rows(named=True)
    assert row["questions"] == 1


def test_pre_and_post_are_drawn_together():
    """A constant difference has no uncertainty, however much the questions differ."""
    rows = np.random.default_rng(1).dirichlet(np.ones(3), 30)
    turned = rows[:, [1, 2, 0]]
    found = before_and_after(table(rows), table(turned), questions(30), {"people": table(rows)})
    entropy = found.change("entropy_nats")
    assert entropy.low == pytest.approx(0, abs=1e-12)
    assert entropy.high == pytest.approx(0, abs=1e-12)
    assert found.change("js_distance", "people").low > 0


@pytest.mark.parametrize("clusters", [5, 30])
def test_intervals_over_questions_cover_when_batteries_share_an_effect(clusters):
    r = np.random.default_rng(7)
    sample = QuestionSample.of([str(i) for i in range(clusters * 4)], np.repeat(np.arange(clusters), 4).astype(str),
                               replicates=1000, seed=1)  # fmt: skip
    alone = QuestionSample.of(sample.keys, sample.keys, replicates=1000, seed=1)
    covered = np.zeros(2)
    for _ in range(600):
        values = np.repeat(r.normal(size=clusters), 4) + 0.5 * r.normal(size=clusters * 4)
        for i, (s, m) in enumerate(((sample, clusters), (alone, clusters * 4))):
            low, high = s.interval(values.mean(), s.means(values), m)
            covered[i] += low < 0 < high
    assert 0.93 <= covered[0] / 600 <= 0.97
    assert covered[1] / 600 < 0.85  # questions of one battery drawn apart say too much


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(5).normal(3, 1, 12)
    sample = QuestionSample.of([str(i) for i in range(12)], [str(i) for i in range(12)], replicates=20_000)
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    np.testing.assert_allclose(sample.interval(values.mean(), sample.means(values), 12), theirs, atol=0.03)


def test_one_question_has_no_interval_and_says_so():
    found = before_and_after(table(PRE[:1]), table(POST[:1]), questions(1), {"US": table(US[:1])})
    assert found.change("js_distance", "US").low is None
    assert "no interval can be given" in found.sentence()
    one_battery = questions(12, battery="Trust")
    grid = before_and_after(table(PRE), table(POST), one_battery, {"US": table(US)})
    assert grid.change("js_distance", "US").low is None
    topics = {f"q{i}": f"topic {i % 6}" for i in range(12)}
    told = before_and_after(table(PRE), table(POST), one_battery, {"US": table(US)}, topics=topics)
    assert told.change("js_distance", "US").low is not None


def test_a_population_that_was_asked_less_is_averaged_over_its_own_questions(found):
    less = before_and_after(table(PRE), table(POST), questions(12), {"Japan": table(JAPAN), "US": table(US[:5])})
    assert mean(less, "js_distance", "pre", "Japan") == pytest.approx(mean(found, "js_distance", "pre", "Japan"))
    theirs = np.mean([jensenshannon(p, q, 2) for p, q in zip(PRE[:5], US[:5], strict=True)])
    assert mean(less, "js_distance", "pre", "US") == pytest.approx(theirs)


def test_what_cannot_be_used_is_named_and_the_rest_still_comes():
    broken = table(PRE).with_columns(pl.when(pl.col("question") == "q3").then(0.9).otherwise("share").alias("share"))
    found = before_and_after(broken, table(POST[:11]), questions(12), {"US": table(US)})
    assert len(found.left_out) == 2
    assert found.left_out[0].startswith("q3 (pre): 'q3': the shares of pre are [0.9, 0.9, 0.9]; they must")
    assert found.left_out[1] == "q11 (post): nothing was given."
    assert found.table("js_distance").filter(pl.col("side") == "pre")["questions"].to_list() == [10]
    assert "Left out: q3" in found.report()


@pytest.mark.parametrize(
    ("pre", "asked", "people", "words"),
    [
        (table(PRE), [], {"US": table(US)}, "no question that both"),
        (table(PRE[:0]), questions(2), {"US": table(US)}, "no question that both models and some population answer"),
        (table(PRE), questions(2) * 2, {"US": table(US)}, r"\['q0', 'q1'\] stand twice"),
        (table(PRE), questions(2), {"pre": table(US)}, "cannot be called 'pre'"),
        (table(PRE).rename({"share": "shares"}), questions(2), {"US": table(US)}, "no column 'share'. Did you"),
        (table(PRE), questions(2, K=2), {"US": table(US)}, "no option 'o2'"),
        (3, questions(2), {"US": table(US)}, "gives a int for 'q0'"),
    ],
)  # fmt: skip
def test_bad_input_is_said_plainly(pre, asked, people, words):
    with pytest.raises(PluralError, match=words):
        before_and_after(pre, table(POST), asked, people)


def test_unknown_words_name_the_nearest(found):
    with pytest.raises(PluralError, match="Did you mean 'Japan'"):
        found.change("js_distance", "Japn")
    with pytest.raises(PluralError, match="Did you mean 'entropy_nats'"):
        found.table("entropy")
    with pytest.raises(PluralError, match="No convention is called 'theirs'"):
        found.table(convention="theirs")
    with pytest.raises(PluralError, match="Did you mean 'q1'"):
        clusters_of(questions(2), {"q11": "x"})
    with pytest.raises(PluralError, match="Did you mean 'sorensen2024'"):
        published("sorensen")


def test_options_are_matched_by_label_and_only_opinions_count():
    q = Question("tea", "Tea?", (Option("Yes"), Option("No"), Option("Refused", substantive=False)))
    turned = Question("tea", "Tea?", (Option("No"), Option("Refused", substantive=False), Option("Yes")))
    row = row_of({"tea": Answers.from_places(turned, [0] * 10 + [1] * 50 + [2] * 30)}, q)
    assert row.share.tolist() == [0.75, 0.25]
    assert row.n_eff == pytest.approx(40 * 89 / 90)  # the others stay in the design


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=7, max_size=7), st.randoms())
def test_shuffling_forgets_the_order_and_keeps_the_entropy(weights, r):
    row = np.array(weights[:4]) / sum(weights[:4])
    people = np.array([0.4, 0.3, 0.2, 0.1])
    order = list(range(4))
    r.shuffle(order)
    made = before_and_after(
        table([row]), table([row[order]]), questions(1, K=4), {"US": table([people])}, replicates=100
    )  # fmt: skip
    assert made.change("js_distance_shuffled", "US").difference == pytest.approx(0, abs=1e-9)
    assert made.change("entropy_nats").difference == pytest.approx(0, abs=1e-9)


def test_the_published_figures_are_as_printed(shared, root):
    name = "published/sorensen2024.csv"
    assert (root / "data" / name).read_bytes() == (shared / name).read_bytes()


def test_the_published_figures_stand_beside(found):
    rows = found.table(convention=None, beside=True).filter(pl.col("kind") == "published")
    seven = rows.filter(pl.col("source").str.contains("LLaMA2 7B"), pl.col("measure") == "js_distance")
    got = {(r["population"], r["side"]): r["mean"] for r in seven.iter_rows(named=True) if r["population"] != "global"}
    printed = {"Japan": (0.47, 0.57), "US": (0.43, 0.56), "Germany": (0.46, 0.57)}
    assert got == {(c, s): v for c, pair in printed.items() for s, v in zip(("pre", "post"), pair, strict=True)}
    assert rows["remark"].null_count() < rows.height
    assert rows.filter(pl.col("source").str.contains("MPI"))["remark"].null_count() == 0


@pytest.fixture(scope="module")
def folks():
    return {name: Respondents.of(name) for name in ("anes96", "teaching")}


@pytest.fixture(scope="module")
def both_surveys(folks):
    return [
        replace(q, key=f"{name}.{key}", text=people.unseen[key])
        for name, people in folks.items()
        for key, q in people.survey.questions.items()
    ]


def held_out(folks):
    def answers(question):
        name, key = question.key.split(".")
        return folks[name].survey.answers(key).within(folks[name].held_out)

    return answers


def test_the_demo_pair_shows_the_papers_direction_on_people_never_seen(folks, both_surveys):
    """Own voices, in words never trained: farther from everyone held out, and of less entropy."""
    with open_model("plural-demo-base") as base, open_model("plural-demo-tuned") as tuned:
        found = before_and_after(base, tuned, both_surveys, {"held-out people": held_out(folks)})
    assert found.left_out == ()
    distance, entropy = found.change("js_distance", "held-out people"), found.change("entropy_nats")
    assert distance.low > 0.05
    assert entropy.high < -0.1
    assert found.change("js_distance_shuffled", "held-out people").low > 0
    pre, shuffled = (mean(found, m, "pre", "held-out people") for m in ("js_distance", "js_distance_shuffled"))
    assert pre < shuffled / 2  # what the base model says is not its entropy alone
    assert "plural-demo-tuned is farther from held-out people than plural-demo-base" in found.sentence()


def test_a_model_is_asked_in_the_papers_manner_by_name(both_surveys, folks):
    asked = []
    with open_model("plural-demo-base") as model:
        ask = model.ask
        model.ask = lambda question, **how: asked.append(ask(question, **how)) or asked[-1]
        populations = {"nobody": {}, "people": held_out(folks)}
        found = before_and_after(model, model, both_surveys[:2], populations, manner={"in_context": "sorensen2024"})
    assert [len(answers.replies) for answers in asked] == [5] * 4
    assert "in_context = 'sorensen2024'" in found.report()
    assert found.populations == ("people",)
    assert found.left_out == ("nobody: it answered none of the questions.",)


def test_the_demo_pair_shows_it_as_personas_of_people_never_seen_too(folks, both_surveys):
    def personas(model, most=10):
        def answers(question):
            name, key = question.key.split(".")
            people = folks[name]
            rows = people.tested(key)
            rows = rows[np.arange(most) * rows.size // most]
            stories = [" ".join(people.sentences(int(row), (key,))) for row in rows]
            weight = Design(people.survey.design.weight[rows])
            return model.ask(question, persona=stories, mode="completion", design=weight)

        return answers

    with open_model("plural-demo-base") as base, open_model("plural-demo-tuned") as tuned:
        found = before_and_after(
            personas(base), personas(tuned), both_surveys, {"held-out people": held_out(folks)}, names=("base", "tuned")
        )
    assert found.change("js_distance", "held-out people").low > 0.03
    assert found.change("entropy_nats").high < -0.05
