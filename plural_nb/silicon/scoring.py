"""From next-token logits to the probability of each option: forms are disjoint continuations, summed exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from plural_nb.errors import ModelError

Floats = npt.NDArray[np.float64]
Tokens = tuple[int, ...]


def log_softmax(logits: npt.NDArray[np.float32] | Floats) -> Floats:
    """Log-probabilities of every token of the vocabulary, in double precision.

    >>> np.exp(log_softmax(np.array([0.0, 0.0, -np.inf]))).tolist()
    [0.5, 0.5, 0.0]
    """
    wide = np.asarray(logits, dtype=np.float64)
    top = wide.max()
    if not np.isfinite(top):
        raise ModelError("The model computed no usable numbers (NaN or infinite logits). Its file may be damaged.")
    shifted = wide - top
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def disjoint_forms(
    options: Sequence[Sequence[Tokens]], labels: Sequence[str], *, terminated: bool = False
) -> tuple[tuple[Tokens, ...], ...]:
    """Return each option's token sequences as events that exclude one another (definitions, section 2).

    options: for each option, the token sequences of its forms. labels: what errors call the options.
    terminated: whether a form counts only where the answer ends behind it; then one may begin another.

    Within an option, a form told twice counts once, and a form that begins with another of its forms is part of
    that event already. Raises ModelError where sequences of two options begin alike so that one contains the other.

    >>> disjoint_forms([[(5,), (5,), (5, 7)], [(6,)]], ["A", "B"])
    (((5,),), ((6,),))
    >>> disjoint_forms([[(1,)], [(1, 0)]], ["1", "10"], terminated=True)
    (((1,),), ((1, 0),))
    """
    kept = []
    for forms, label in zip(options, labels, strict=True):
        distinct = list(dict.fromkeys(forms))
        if not all(distinct):
            raise ModelError(f"Option {label!r} has a form without any token. Give it letters or words.")
        if not terminated:
            distinct = [f for f in distinct if not any(_contains(g, f) for g in distinct if g != f)]
        kept.append(tuple(distinct))
    owners: dict[Tokens, list[int]] = {}
    for i, forms in enumerate(kept):
        for form in forms:
            owners.setdefault(form, []).append(i)
    for i, forms in enumerate(kept):
        for form in forms:
            # Terminated forms overlap only where they are the same; open ones also where one begins the other.
            for end in range(len(form) if terminated else 1, len(form) + 1):
                other = next((j for j in owners.get(form[:end], ()) if j != i), None)
                if other is not None:
                    raise ModelError(
                        f"This model writes the options {labels[i]!r} and {labels[other]!r} with tokens of which one "
                        "begins the other, so their probabilities overlap. Word the options apart."
                    )
    return tuple(kept)


class Scoring:
    """The tree of one prompt's answers: filled node by node, in any order, it gives the probability of each option.

    options: disjoint token sequences of each option. ends: tokens that end an answer, where each form counts only
        with its end behind it; None where a form counts whatever follows.

    >>> scoring = Scoring([[(0,), (2, 0)], [(1,)]])
    >>> scoring.beginnings
    [(), (2,)]
    >>> scoring.take((), np.log([0.5, 0.3, 0.2]))
    >>> scoring.complete
    False
    >>> scoring.take((2,), np.log([0.9, 0.1, 1e-9]))
    >>> [round(p, 3) for p in scoring.probabilities()], scoring.lengths()
    ([0.68, 0.3], (1, 1))
    """

    def __init__(self, options: Sequence[Sequence[Tokens]], ends: npt.NDArray[np.intp] | None = None) -> None:
        self._options, self._ends = options, ends
        self._after: dict[Tokens, set[int]] = {}
        for forms in options:
            for form in forms:
                for i, token in enumerate(form):
                    self._after.setdefault(form[:i], set()).add(token)
                if ends is not None:
                    self._after.setdefault(form, set())
        self.beginnings = sorted(self._after)
        self._log_p: dict[Tokens, float] = {}
        self._log_end: dict[Tokens, float] = {}
        self._missing = set(self.beginnings)

    @property
    def complete(self) -> bool:
        """Whether every beginning was taken."""
        return not self._missing

    def take(self, beginning: Tokens, log_probabilities: Floats) -> None:
        """Note what is needed of the log-probabilities (vocabulary size,) of the token after `beginning`."""
        for token in self._after[beginning]:
            self._log_p[(*beginning, token)] = float(log_probabilities[token])
        if self._ends is not None:
            self._log_end[beginning] = _log_sum(log_probabilities[self._ends])
        self._missing.discard(beginning)

    def probabilities(self) -> tuple[float, ...]:
        """Probability of each option: the sum over its forms of the product of their tokens' conditionals."""
        return tuple(float(sum(np.exp(self._log(form)) for form in forms)) for forms in self._options)

    def lengths(self) -> tuple[int, ...]:
        """Number of tokens of each option's likeliest form, its end not counted."""
        return tuple(len(max(forms, key=self._log)) for forms in self._options)

    def _log(self, form: Tokens) -> float:
        log_p = sum(self._log_p[form[:i]] for i in range(1, len(form) + 1))
        return log_p if self._ends is None else log_p + self._log_end[form]


def option_probabilities(
    options: Sequence[Sequence[Tokens]],
    log_probabilities: Callable[[Tokens], Floats],
    ends: npt.NDArray[np.intp] | None = None,
) -> tuple[float, ...]:
    """Probability of each option, asking for one beginning after the other; `options` and `ends` as for `Scoring`.

    log_probabilities: gives log-probabilities of the next token after the prompt and the tokens handed in.

    >>> after = {(): np.log([0.5, 0.3, 0.2]), (2,): np.log([0.9, 0.1, 1e-9])}
    >>> [round(p, 3) for p in option_probabilities([[(0,), (2, 0)], [(1,)]], after.__getitem__)]
    [0.68, 0.3]
    """
    scoring = Scoring(options, ends)
    for beginning in scoring.beginnings:
        scoring.take(beginning, log_probabilities(beginning))
    return scoring.probabilities()


def _log_sum(log_p: Floats) -> float:
    if not log_p.size or not np.isfinite(top := log_p.max()):
        return -np.inf
    return float(top + np.log(np.exp(log_p - top).sum()))


def _contains(event: Tokens, form: Tokens) -> bool:
    return form[: len(event)] == event
