"""Words that groups are described by: lists of words from free text, counted by who speaks and whom they describe.

Argyle et al. 2023, study 1, after Rothschild et al. 2019 ("Pigeonholing partisans", Political Behavior 41): people, and
personas, give four words for each party's supporters, which are counted by the speaker's ideology.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import special

from plural_nb.errors import PluralError
from plural_nb.silicon.writing import write
from plural_nb.survey.shares import Groups, group_codes

if TYPE_CHECKING:
    from plural_nb.personas.personas import Personas
    from plural_nb.silicon.model import Model

By = Groups | Sequence[str | None] | pl.Series

ASKED = "Write down four words that describe people who {whom}."
_NUMBERED = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):]|[a-d][.)])\s*", re.IGNORECASE)
_MOST_WORDS = 3


def listed_words(text: str, *, most: int = 4) -> tuple[str, ...]:
    """Return the words of a list in free text, in small letters: split at line breaks, commas and semicolons.

    Numbers and dashes in front of an entry go. An entry of more than three words is a sentence, not a word, and is left
    out. most: entries kept, the first ones.

    >>> listed_words("1. Hard-working\\n2. kind, Proud; these people are what they are")
    ('hard-working', 'kind', 'proud')
    """
    found = []
    for entry in re.split(r"[\n,;/]+", text):
        word = _NUMBERED.sub("", entry).strip(" .!?\"'“”‘’:*_\t").casefold()
        if word and any(c.isalpha() for c in word) and len(word.split()) <= _MOST_WORDS:
            found.append(word)
    return tuple(found[:most])


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Words said by speakers of several groups.

    rows: one per word: speaker (their place from 1), group, weight, word.
    """

    rows: pl.DataFrame = field(repr=False)

    def table(self, *, least: int = 1, level: float = 0.95) -> pl.DataFrame:
        """Return one row per group and word: count, share, low, high, most frequent first.

        share: weighted, of the group's words. low, high: logit interval whose errors take speakers as clusters, since
        one speaker's words hang together; null with a single speaker. least: words said less often than this, by all
        groups together, are left out.
        """
        total = self.rows.group_by("word").len("all").filter(pl.col("all") >= least)
        spoken = self.rows.group_by("group", "speaker").agg(pl.col("weight").sum().alias("spoken"))
        counts = self.rows.group_by("group", "word").agg(pl.len().alias("count"), pl.col("weight").sum())
        whole = spoken.group_by("group").agg(pl.col("spoken").sum().alias("whole"), pl.len().alias("speakers"))
        found = counts.join(total, on="word").join(whole, on="group", nulls_equal=True)
        found = found.with_columns(share=pl.col("weight") / pl.col("whole"))
        # Σ over speakers of (what they said of the word − share · all they said)², those who did not say it included.
        said = self.rows.group_by("group", "word", "speaker").agg(pl.col("weight").sum().alias("here"))
        said = said.join(found.select("group", "word", "share"), on=["group", "word"], nulls_equal=True)
        said = said.join(spoken, on=["group", "speaker"], nulls_equal=True)
        own = (pl.col("here") - pl.col("share") * pl.col("spoken")) ** 2 - (pl.col("share") * pl.col("spoken")) ** 2
        squares = said.group_by("group", "word").agg(own.sum().alias("own"))
        all_squares = spoken.group_by("group").agg((pl.col("spoken") ** 2).sum().alias("squares"))
        found = found.join(squares, on=["group", "word"], nulls_equal=True).join(
            all_squares, on="group", nulls_equal=True
        )
        n = pl.col("speakers")
        variance = (pl.col("own") + pl.col("share") ** 2 * pl.col("squares")) / pl.col("whole") ** 2 * n / (n - 1)
        found = found.with_columns(se=pl.when(n > 1).then(variance.clip(lower_bound=0.0).sqrt()))
        share, se, df = (found[c].to_numpy() for c in ("share", "se", "speakers"))
        low, high = _logit_bounds(share, se, df - 1, level)
        return (
            found.with_columns(pl.Series("low", low), pl.Series("high", high))
            .select("group", "word", "count", "share", pl.col("low", "high").fill_nan(None))
            .sort("group", "share", "word", descending=[False, True, False])
        )  # fmt: skip

    def telling(self, group: str, *, least: int = 2, prior: float = 100.0) -> pl.DataFrame:
        """Return the words that tell a group from all others: word, count, others, log_odds, z, most telling first.

        log_odds: of the word in the group against the others, with a Dirichlet prior of `prior` words spread as all
        words are; z: over its standard error (Monroe, Colaresi & Quinn 2008, "Fightin' words", Political Analysis 16).
        """
        groups = self.rows["group"].unique().drop_nulls().to_list()
        if group not in groups:
            raise PluralError(f"There is no group {group!r} among the speakers; there are {', '.join(sorted(groups))}.")
        here, there = (Counter(self.rows.filter(said)["word"].to_list())
                       for said in (pl.col("group") == group, pl.col("group") != group))  # fmt: skip
        both = here + there
        n, m, N = here.total(), there.total(), both.total()
        rows = []
        for word, count in both.items():
            if count < least:
                continue
            a = prior * count / N
            y, x = here[word], there[word]
            odds = np.log((y + a) / (n + prior - y - a)) - np.log((x + a) / (m + prior - x - a))
            rows.append((word, y, x, float(odds), float(odds / np.sqrt(1 / (y + a) + 1 / (x + a)))))
        names = ["word", "count", "others", "log_odds", "z"]
        return pl.DataFrame(rows, schema=names, orient="row").sort("z", descending=True)

    def overlap(self, other: Words, *, top: int = 20) -> pl.DataFrame:
        """Return, per group, the share of the `top` most frequent words that both lists of words have.

        other: the words of the personas where this is people's, or the other way round.
        """

        def most(words: Words, group: str) -> set[str]:
            return set(words.table().filter(pl.col("group") == group).head(top)["word"].to_list())

        both = sorted(set(self.rows["group"].drop_nulls()) & set(other.rows["group"].drop_nulls()))
        rows = [
            (g, len(most(self, g) & most(other, g)) / max(1, min(len(most(self, g)), len(most(other, g)))))
            for g in both
        ]
        return pl.DataFrame(rows, schema=["group", "overlap"], orient="row")


def count_words(
    texts: Sequence[str | Sequence[str]], by: By, *, weight: Sequence[float] | None = None, most: int = 4
) -> Words:
    """Return the words in people's or personas' free texts, one text per speaker, or a list of texts.

    by: the speakers' groups, as in `estimate`. weight: of each speaker. most: words kept per text.

    Raises PluralError where there is not a single word.

    >>> said = ["kind, honest", "angry\\nloud", "loud, kind"]
    >>> count_words(said, ["left", "right", "right"]).table(least=2).drop("low", "high").rows()
    [('left', 'kind', 1, 0.5), ('right', 'loud', 2, 0.5), ('right', 'kind', 1, 0.25)]
    """
    names, codes = group_codes(len(texts), by)
    w = [1.0] * len(texts) if weight is None else [float(x) for x in weight]
    rows = []
    for i, said in enumerate(texts):
        group = names[codes[i]] if codes[i] >= 0 else None
        for text in [said] if isinstance(said, str) else said:
            rows += [(i + 1, group, w[i], word) for word in listed_words(text, most=most)]
    if not rows:
        raise PluralError("There is no word in these texts: entries are split at commas and line breaks.")
    schema = {"speaker": pl.Int64, "group": pl.String, "weight": pl.Float64, "word": pl.String}
    return Words(pl.DataFrame(rows, schema=schema, orient="row"))


def ask_words(
    model: Model, people: Personas, whom: str, by: By, *, question: str = ASKED, samples: int = 1, longest: int = 32,
    seed: int = 0, **how: Any,
) -> Words:  # fmt: skip
    """Return the words that personas use of a group of people, drawn from the model.

    people: the speakers. whom: whom they describe, in the slot of `question` ("voted for the Greens"). by: the
    speakers' groups. Each speaker's text stands before the question; a completion goes on behind "Words:".

    Raises ModelError as `plural_nb.silicon.writing.write` does.
    """
    if "{whom}" not in question:
        raise PluralError(f"The question {question!r} has no slot {{whom}}, so nobody would know who is described.")
    asked = question.replace("{whom}", whom)
    here = np.flatnonzero(people.domain)
    chat = (how.get("mode") or ("chat" if model.file.is_chat else "completion")) == "chat"
    tail = "" if chat else "\nWords:"
    stories = [people.texts[i] for i in here]
    prompts = [f"{story}\n\n{asked}{tail}".strip() for story in stories]
    distinct = list(dict.fromkeys(prompts))
    written = dict(
        zip(distinct, write(model, distinct, samples=samples, longest=longest, seed=seed, **how), strict=True)
    )
    names, codes = group_codes(people.n, by)
    groups = [names[codes[i]] if codes[i] >= 0 else None for i in here]
    return count_words([written[p].texts for p in prompts], groups, weight=people.design.weight[here].tolist())


def differences(words: Mapping[str, Words], group: str) -> pl.DataFrame:
    """Return how often each word is used by `group` in each of several lists ("people", "personas"): word, share_….

    >>> one = count_words(["kind, loud"], ["left"])
    >>> differences({"people": one, "personas": count_words(["kind"], ["left"])}, "left").rows()
    [('kind', 0.5, 1.0), ('loud', 0.5, 0.0)]
    """
    joined: pl.DataFrame | None = None
    for name, one in words.items():
        part = one.table().filter(pl.col("group") == group).select("word", pl.col("share").alias(f"share_{name}"))
        joined = part if joined is None else joined.join(part, on="word", how="full", coalesce=True)
    if joined is None or joined.is_empty():
        raise PluralError(f"Nobody of {group!r} said a word in any of the lists.")
    shares = [c for c in joined.columns if c != "word"]
    return joined.with_columns(pl.col(shares).fill_null(0.0)).sort(
        [*shares, "word"], descending=[*[True] * len(shares), False]
    )


def _logit_bounds(share: Any, se: Any, df: Any, level: float) -> tuple[Any, Any]:
    """expit(logit p ∓ t·se/(p(1 − p))); NaN where there is no error, or the share is 0 or 1."""
    inside = (share > 0) & (share < 1) & (df > 0) & np.isfinite(se)
    p = np.where(inside, share, 0.5)
    reach = special.stdtrit(np.where(inside, df, 1), (1 + level) / 2) * np.where(inside, se, 0.0) / (p * (1 - p))
    middle = special.logit(p)
    low, high = (np.where(inside, special.expit(end), np.nan) for end in (middle - reach, middle + reach))
    return low, high
