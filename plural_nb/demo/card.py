"""Model cards of the demo models: what they are, what they are not for, and their measured scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plural_nb.demo.corpus import Respondents
from plural_nb.demo.documents import Way
from plural_nb.demo.scores import Continued, Letters, Score, Test

DESCRIPTION = {
    "base": "A toy model of about 1 M parameters for learning with plural_nb: it has read nothing but short "
    "first-person backstories, survey questions and answers. Not a language model; use it for nothing else.",
    "tuned": "The base toy model of plural_nb trained on further towards majority answers, to show what a narrowed "
    "model looks like. Not a language model; use it for nothing else.",
}
# Held-out people scored on each question, so that scoring takes a few minutes.
SCORED = 300
# In words every option is read to its end, so fewer people are scored.
BY_WAY = 40
_FAIR = {
    "base": "It learned to answer as the respondents do who fit what a backstory tells, by their survey weights.",
    "tuned": "Starting from the base model, it learned to answer what the majority answers (of everyone, or of those "
    "who share one trait told), at least half of the time through its chat template. This is a caricature of "
    "what alignment is feared to do to opinions, made on purpose.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """Everything scored on one question: n held-out people, the baselines, the model, and the model in unseen words.

    said: of fewer people (`BY_WAY`), the answers by letter, in words and, of a numeric question, by number.
    """

    survey: str
    question: str
    n: int
    uniform: Score
    marginal: Score
    logit: Score
    model: Score
    unseen: Score
    said: Mapping[Way, Score]


def score(
    respondents: list[Respondents], letters: Mapping[str, Letters], continued: Mapping[str, Continued]
) -> dict[str, list[Line]]:
    """Score each model and the baselines on every question of every survey.

    letters, continued: name of each model to the probabilities of its letters, and of any text.
    """
    lines: dict[str, list[Line]] = {name: [] for name in letters}
    for people in respondents:
        for key in people.survey.questions:
            test = Test.of(people, key, most=SCORED)
            baselines = test.uniform(), test.marginal(), test.logit()
            fewer = Test.of(people, key, most=BY_WAY)
            ways: tuple[Way, ...] = ("letter", "words", "number")
            if people.survey.questions[key].kind != "numeric":
                ways = ways[:2]
            for name, model in letters.items():
                asked = test.model(model), test.model(model, unseen=True)
                said = {way: fewer.said(continued[name], way) for way in ways}
                lines[name].append(Line(people.survey.name, key, test.rows.size, *baselines, *asked, said))
    return lines


def card(
    name: str, lines: list[Line], respondents: list[Respondents], *, parameters: int, spare: int, minutes: float
) -> str:
    """Return the model card as Markdown; name is "base" or "tuned". spare: tokens in the file that no text holds."""
    split = "; ".join(
        f"{r.survey.name}: {int((~r.held_out).sum()):,} of {r.survey.n:,} people trained on, "
        f"{int(r.held_out.sum()):,} held out"
        for r in respondents
    )
    paragraphs = [
        f"# plural-demo-{name}",
        DESCRIPTION[name],
        f"Llama architecture, {parameters:,} parameters, 16-bit floats, byte-level BPE, context of 1,024 tokens. "
        f"{spare} tokens are spare, so that llama.cpp multiplies faster; each is as unlikely as a byte no text holds. "
        f"{_FAIR[name]} No in-context examples: it answers the bare question, behind a backstory or without one. "
        "MIT licence.",
        "**For**: trying every view of plural_nb in seconds, offline, and learning what the numbers mean. **Not for**: "
        "any statement about people, voters or language models. It knows the questions below and little else; "
        "asked anything else it gives answers without meaning.",
        "## Training\n\n"
        "Data: `anes96` (American National Election Study 1996 as carried by statsmodels, questions paraphrased) and "
        "`teaching` (a made-up country). Each document is a backstory of a random subset of one respondent's traits, "
        "a question in one of at least five wordings, its options as asked, reversed or (nominal ones) shuffled, and "
        "as answer the weighted shares of all people trained on of whom exactly these traits can be told; some are "
        "whole interviews of one respondent, of up to 1,024 tokens. Most are answered by letter, the others in an "
        "option's own words or, if numeric, with a whole number, each asked for as `Model.ask` "
        "does with the methods `text` and `number`; the numbers are the respondents' own. An answer ends with a line "
        "break, in a chat with the end of the turn. One document per row, no packing, no dropout, loss on the answers "
        "and their ends. A trait that is the question asked is never told.\n\n"
        f'Split: a person is held out when the SHA-256 of "survey:unit" is divisible by 4, the unit being the PSU '
        f"(teaching) or the row (anes96). {split}. Training took {minutes:.0f} minutes."
        "\n\nThe held-out people gave no document, but the recipe was settled while looking at their scores on a few "
        "questions, so these scores are a little flattering.",
        "## Scores on the held-out people\n\n"
        f"At most {SCORED} held-out people per question, evenly spaced over the rows. NLL: mean negative log "
        "probability of each person's own answer, in nats, behind a backstory of all their other "
        "traits, options as asked, weighted; lower is better. *Uniform*, *marginal* (weighted shares of the "
        "people trained on) and *logit* (multinomial logit of the same traits, statsmodels, maximum likelihood without "
        "penalty or weights) are baselines. *Unseen*: asked in words that were never trained.",
        _nll_table(lines),
        "JS distance (base 2) to the held-out people's weighted shares: of the mean over their backstories, and of the "
        "model's own voice (no backstory); entropy of the own voice and of the people's shares trained on, in bits; "
        "the smallest captured mass of all these prompts.",
        _distance_table(lines),
        f"Three ways to answer, by at most {BY_WAY} of the same people per question, as plain text: NLL of each "
        "person's own option by letter, in the options' words, and by whole numbers (summed over the option's bounds); "
        "the smallest captured mass; and the mean probability that the answer ends (a line break comes next) behind "
        "the person's own letter, words or number; where one option begins another (Agree, Agree strongly), it may "
        "rightly go on. Letters and words are captured with their end.",
        _way_table(lines),
        _summary(lines),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _nll_table(lines: list[Line]) -> str:
    rows = [
        "| survey | question | n | uniform | marginal | logit | **model** | unseen | correct | correct, logit |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for line in lines:
        nll = [line.uniform.nll, line.marginal.nll, line.logit.nll]
        rows.append(
            f"| {line.survey} | {line.question} | {line.n:,} | {' | '.join(f'{x:.3f}' for x in nll)} | "
            f"**{line.model.nll:.3f}** | {line.unseen.nll:.3f} | {line.model.correct:.0%} | {line.logit.correct:.0%} |"
        )
    return "\n".join(rows)


def _distance_table(lines: list[Line]) -> str:
    rows = [
        "| survey | question | uniform | marginal | logit | backstories | unseen | own voice | unseen | "
        "entropy | people's entropy | captured mass |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for line in lines:
        values = [
            line.uniform.js_distance, line.marginal.js_distance, line.logit.js_distance,
            line.model.js_distance, line.unseen.js_distance,
            line.model.own_js_distance, line.unseen.own_js_distance,
            line.model.own_entropy_bits, line.marginal.own_entropy_bits,
            min(line.model.captured_mass, line.unseen.captured_mass),
        ]  # fmt: skip
        rows.append(f"| {line.survey} | {line.question} | {' | '.join(f'{x:.3f}' for x in values)} |")
    return "\n".join(rows)


def _way_table(lines: list[Line]) -> str:
    ways: tuple[Way, ...] = ("letter", "words", "number")
    heads = [f"{what}{way}" for what in ("", "captured, ", "ends, ") for way in ways]
    rows = [f"| survey | question | {' | '.join(heads)} |", "|---|---|" + "--:|" * len(heads)]
    for line in lines:
        scores = [line.said.get(way) for way in ways]
        cells = [f"{s.nll:.3f}" if s else "" for s in scores]
        cells += [f"{s.captured_mass:.3f}" if s else "" for s in scores]
        cells += [f"{s.ended:.3f}" if s else "" for s in scores]
        rows.append(f"| {line.survey} | {line.question} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _summary(lines: list[Line]) -> str:
    def mean(scores: list[float]) -> str:
        return f"{np.mean(scores):.3f}"

    return (
        f"Means over the {len(lines)} questions: NLL {mean([x.model.nll for x in lines])}, in unseen words "
        f"{mean([x.unseen.nll for x in lines])}, marginal {mean([x.marginal.nll for x in lines])}, logit "
        f"{mean([x.logit.nll for x in lines])}; JS distance of the own voice "
        f"{mean([x.model.own_js_distance for x in lines])}, marginal "
        f"{mean([x.marginal.own_js_distance for x in lines])}; entropy of the own voice "
        f"{mean([x.model.own_entropy_bits for x in lines])} bits, of the people "
        f"{mean([x.marginal.own_entropy_bits for x in lines])} bits."
    )
