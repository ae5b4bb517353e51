"""What a model has read shows, what it has not does not, and what cannot be known is called unknown."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from plural_nb.comparison.contamination import NUMBER, PARAPHRASE, WORD_ORDER, _p_value, contamination
from plural_nb.comparison.continuations import Continuation, log_probabilities
from plural_nb.comparison.dates import dates
from plural_nb.errors import PluralError
from plural_nb.silicon.gguf import ModelFile
from plural_nb.silicon.model import open_model
from plural_nb.silicon.prompt import Prompt, Reply
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import ask_for

THINGS = ("bridges", "courts", "gardens", "libraries", "markets", "railways", "schools", "theatres")
QUESTIONS = [
    replace(
        ask_for(f"How much of the city's money should go to {t} in the coming year?", ["More", "Same", "Less"], key=t),
        wordings=(
            f"Next year, would you spend more or less of what the city has on {t}?",
            f"Should {t} get more, the same or less from the city in the year ahead?",
            f"Think of {t}: is what the city will spend on them too little or too much?",
        ),
    )
    for t in THINGS
]


class Reader:
    """A model of word pairs: it has read some texts and smooths over a vocabulary of 200 words."""

    name = "reader"

    def __init__(self, *texts, everyday=1.0):
        self.pairs, self.starts = {}, {}
        for text, times in texts:
            words = text.split()
            for i in range(1, len(words)):
                key = (words[i - 1], words[i])
                self.pairs[key] = self.pairs.get(key, 0) + times
                self.starts[words[i - 1]] = self.starts.get(words[i - 1], 0) + times

    def next(self, before, word):
        return (self.pairs.get((before, word), 0) + 0.05) / (self.starts.get(before, 0) + 10)

    def replies(self, prompts):
        found = []
        for prompt in prompts:
            chances, lengths = [], []
            for (form,) in prompt.forms:
                words, before = form.split(), prompt.text.split()[-1]
                chances.append(math.prod(self.next(a, b) for a, b in zip([before, *words], words, strict=False)))
                lengths.append(len(words))
            found.append(Reply(prompt.text, tuple(chances), prompt.shown, tuple(lengths)))
        return found


def everyday(times=1.0):
    """Text that says all of the wordings equally often: the language, not the survey."""
    return [(text, times) for q in QUESTIONS for text in (q.text, *q.wordings)]


def row(found, control):
    return found.table().row(by_predicate=pl.col("control") == control, named=True)


def test_a_model_that_read_the_questions_is_found_out():
    found = contamination(Reader(*everyday(), *((q.text, 50) for q in QUESTIONS)), QUESTIONS)
    told = row(found, PARAPHRASE)
    assert told["low"] > 0
    assert told["first"] == told["n"] == 8
    assert told["expected_first"] == pytest.approx(2)
    assert told["p_value"] == pytest.approx(0.25**8)
    assert "knows these words better" in told["verdict"]
    assert row(found, WORD_ORDER)["low"] > 0
    assert "unknown" in found.sentence()


def test_a_model_that_read_another_wording_is_not():
    reader = Reader(*everyday(), *((q.wordings[i % 3], 50) for i, q in enumerate(QUESTIONS)))
    told = row(contamination(reader, QUESTIONS), PARAPHRASE)
    assert told["verdict"] == "no sign"
    assert told["p_value"] > 0.5


def test_a_model_without_the_language_cannot_be_probed():
    told = row(contamination(Reader(("no text at all", 1)), QUESTIONS), PARAPHRASE)
    assert told["verdict"].startswith("cannot tell")


def test_scores_are_the_chain_rule_over_words():
    reader = Reader(*everyday(3))
    text = Continuation.halves(QUESTIONS[0].text)
    words = QUESTIONS[0].text.split()
    half = (len(words) + 1) // 2
    by_hand = np.mean([math.log(reader.next(a, b)) for a, b in zip(words[half - 1 :], words[half:], strict=False)])
    assert log_probabilities(reader, [text]) == [pytest.approx(by_hand)]
    assert sorted(text.shuffled(__import__("random").Random(1)).rest.split()) == sorted(text.rest.split())
    long = Continuation("How", " " + " ".join(["very"] * 400))
    assert np.isfinite(log_probabilities(Reader(("very very", 1)), [long])[0])


SHARES = np.random.default_rng(0).dirichlet(np.ones(3) * 4, len(THINGS))
ANSWERS = ("More", "Same", "Less")
TOPLINES = pl.DataFrame(
    [(t, o, s) for t, row in zip(THINGS, SHARES, strict=True) for o, s in zip(ANSWERS, row, strict=True)],
    schema=["question", "option", "share"], orient="row",
)  # fmt: skip


class Pollster(Reader):
    """Knows the toplines to within a few per cent, and remembers them with some probability; likes round numbers."""

    def __init__(self, shares, sd, remembers=0.0, whims=1.0):
        self.shares, self.sd, self.remembers, self.whims = shares, sd, remembers, whims

    def replies(self, prompts):
        found = []
        for prompt in prompts:
            if "%" not in prompt.forms[0][0]:
                found.append(Reply(prompt.text, (1e-3,), (0,), (3,)))
                continue
            thing = next(i for i, t in enumerate(THINGS) if t in prompt.text)
            place = ("More", "Same", "Less").index(prompt.text.rsplit("\n", 1)[1].rstrip(":"))
            numbers = np.array([int(f[0].strip(" %")) for f in prompt.forms])
            p = stats.norm.pdf(numbers, 100 * self.shares[thing, place], self.sd)
            p = p * np.exp(self.whims * (0.5 * (numbers % 5 == 0) + 0.1 * np.sin(7 * numbers)))
            p = p + self.remembers * (numbers == round(100 * SHARES[thing, place]))
            found.append(Reply(prompt.text, tuple(p), prompt.shown, (2,) * len(p)))
        return found


def test_a_model_that_knows_the_toplines_verbatim_is_found_out():
    told = row(contamination(Pollster(SHARES, 6, remembers=0.2), QUESTIONS, toplines=TOPLINES), NUMBER)
    assert told["n"] == 16  # of three options the last follows from the others
    assert told["first"] == 16
    assert told["low"] > 0
    assert "knows these numbers" in told["verdict"]


def test_a_model_that_knows_roughly_is_not():
    r = np.random.default_rng(1)
    rough = SHARES + r.normal(0, 0.06, SHARES.shape)
    told = row(contamination(Pollster(rough, 6), QUESTIONS, toplines=TOPLINES), NUMBER)
    assert told["verdict"] == "no sign"
    assert told["p_value"] > 0.05


def test_a_smooth_peak_at_the_number_is_no_memory_of_it():
    """Numbers near a peak are likelier than their neighbours' mean; the curve through these knows that."""
    scores = contamination(Pollster(SHARES, 3, whims=0), QUESTIONS, toplines=TOPLINES).scores()
    toplines = scores.filter(pl.col("target") == "topline")
    np.testing.assert_allclose(toplines["true"], toplines["control_mean"], atol=1e-6)


def test_the_number_of_firsts_by_chance_is_binomial():
    assert _p_value(3, np.full(10, 0.25)) == pytest.approx(stats.binom.sf(2, 10, 0.25))
    assert _p_value(0, np.array([0.5, 0.1])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("fieldwork", "cutoff", "order"),
    [
        ("United States, autumn 1996", "December 2023", "before"),
        ("September 15 to 25, 2020; 5,836 citizens aged 22 and over", "2020-09", "same time"),
        ("September 15 to 25, 2020", "2020-08", "after"),
        ("September 15 to 25, 2020", "2020-10-01", "before"),
        ("three waves, 2019, 2021 and 2023", "2022", "after"),
        ("three waves, 2019, 2021 and 2023", "2023", "same time"),
        ("", "2023", "unknown"),
        ("last spring", "2023", "unknown"),
        ("2020", "", "unknown"),
    ],
)
def test_dates_are_compared_as_far_as_they_tell(fieldwork, cutoff, order):
    found = dates(fieldwork, cutoff=cutoff)
    assert found.order == order
    assert ("unknown" in found.sentence()) == (order == "unknown")


@pytest.mark.parametrize(
    ("template", "cutoff"),
    [
        ("{{- 'Cutting Knowledge Date: December 2023\\n' }}", "December 2023"),
        ("Knowledge cutoff: 2024-06\n", "2024-06"),
        ("Your knowledge base was last updated on 2023-10-01.", "2023-10-01"),
        ("{{ messages[0]['content'] }} Today is 26 July 2024", ""),
        (None, ""),
    ],
)
def test_a_cutoff_is_read_off_the_chat_template_or_is_unknown(template, cutoff):
    found = dates("1996", ModelFile(Path("m.gguf"), "m", chat_template=template))
    assert found.cutoff == cutoff
    assert found.order == ("before" if cutoff else "unknown")
    assert ("unknown" in found.sentence()) == (not cutoff)


def test_what_cannot_be_probed_is_named():
    short = ask_for("Tea or coffee?", ["Tea", "Coffee"], key="tea")
    bare = replace(QUESTIONS[0], wordings=(), key="bare")
    found = contamination(Reader(*everyday()), [short, bare, *QUESTIONS[1:]], toplines=TOPLINES.head(3))
    assert "tea: its text has fewer than 6 words." in found.left_out
    assert "bare: no other wordings are known; give some as paraphrases." in found.left_out
    assert "tea: no topline is known." in found.left_out
    assert "paraphrases of the survey's" not in found.note
    one = contamination(Reader(*everyday()), QUESTIONS[:1])
    assert row(one, PARAPHRASE)["verdict"] == "no interval can be given from one battery or topic"
    with pytest.raises(PluralError, match="Nothing can be probed"):
        contamination(Reader(*everyday()), [short])
    with pytest.raises(PluralError, match=r"Did you mean 'schools'"):
        contamination(Reader(*everyday()), QUESTIONS, paraphrases={"school": ["?"]})
    with pytest.raises(PluralError, match="has no year"):
        dates("1996", cutoff="last winter")


def test_paraphrases_can_be_told():
    told = {q.key: q.wordings for q in QUESTIONS}
    bare = [replace(q, wordings=()) for q in QUESTIONS]
    reader = Reader(*everyday(), *((q.text, 50) for q in QUESTIONS))
    [first, *_] = contamination(reader, bare, paraphrases=told).table().iter_rows(named=True)
    [other, *_] = contamination(reader, QUESTIONS).table().iter_rows(named=True)
    assert first == other


def test_the_demo_model_learned_answers_and_not_the_words_of_questions():
    """Its training had loss on answers alone: the probe must say that it cannot tell."""
    with open_model("plural-demo-base") as model:
        survey = load_survey("anes96")
        found = contamination(model, survey)
        text = Continuation.halves(survey.questions["vote"].text)
        [whole] = log_probabilities(model, [text])
        [reply] = model.replies([Prompt(text.start, (), ((text.rest,),), (0,))])
    assert whole == pytest.approx(math.log(reply.probabilities[0]) / reply.lengths[0], rel=1e-3)
    assert found.dates.order == "unknown"
    assert found.dates.fieldwork == "United States, autumn 1996"
    assert row(found, PARAPHRASE)["verdict"].startswith(("cannot tell", "no sign"))
    assert "paraphrases of the survey's" in found.note
    assert found.scores()["control"].n_unique() == 3
