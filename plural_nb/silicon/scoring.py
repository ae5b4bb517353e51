"""From next-token logits to the probability of each option: forms are disjoint continuations, summed exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from plural_nb.errors import ModelError

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Tokens = tuple[int, ...]
Evaluated = tuple[list[int], npt.NDArray[np.float32]]  # places of sequences, logits (n, vocabulary size) behind each
_AT_ONCE = 200_000  # logits whose exponentials are held at once, so that they stay in the processor's cache


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


def log_totals(logits: npt.NDArray[np.float32]) -> Floats:
    """Log of the sum of exponentials of each row (n, vocabulary size): a logit less its row's total is a
    log-probability.

    Exponentials of differences to the largest are taken in single precision and summed in double: exact to 2e-7, at a
    fraction of the time of `log_softmax`.

    >>> log_totals(np.log(np.array([[1.0, 0.6, 0.4]], dtype=np.float32))).round(6).tolist()
    [0.693147]
    """
    totals = np.empty(len(logits))
    step = max(1, _AT_ONCE // logits.shape[1])
    for i in range(0, len(logits), step):
        some = logits[i : i + step]
        top = some.max(axis=1, keepdims=True)
        if not np.isfinite(top).all():
            raise ModelError("The model computed no usable numbers (NaN or infinite logits). Its file may be damaged.")
        totals[i : i + step] = top[:, 0] + np.log(np.exp(some - top).sum(axis=1, dtype=np.float64))
    return totals


def log_ends(logits: npt.NDArray[np.float32] | Floats, ends: Places, totals: Floats) -> Floats:
    """Log-probability, for each row of logits (n, vocabulary size), that one of the tokens `ends` comes next.

    >>> log_ends(np.log([[0.5, 0.3, 0.2]]), np.array([1, 2]), np.zeros(1)).round(6).tolist()
    [-0.693147]
    """
    wide = logits[:, ends].astype(np.float64) - totals[:, None]
    with np.errstate(divide="ignore"):  # no end at all is minus infinity
        return np.asarray(np.log(np.exp(wide).sum(axis=1)))


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


class Tree:
    """The tree of the answers to prompts that share their options: its beginnings, and what to read behind each.

    options: disjoint token sequences of each option. ends: tokens that end an answer, where each form counts only
        with its end behind it; None where a form counts whatever follows.
    followed: first tokens of the forms that are followed to their ends; all when None. Of other forms only the
        probability of their first token is noted (`Scoring.left`).

    beginnings: every token sequence behind which logits are needed, sorted.

    >>> Tree([[(0,), (2, 0)], [(1,)]]).beginnings
    [(), (2,)]
    >>> Tree([[(0,), (2, 0)], [(1,)]], followed=frozenset({0, 1})).beginnings
    [()]
    """

    def __init__(
        self,
        options: Sequence[Sequence[Tokens]],
        ends: Places | None = None,
        followed: frozenset[int] | None = None,
    ) -> None:
        self.ends = ends
        self.first_tokens = sorted({form[0] for of_option in options for form in of_option})
        if followed is not None:
            options = [[form for form in of_option if form[0] in followed] for of_option in options]
        forms = [form for of_option in options for form in of_option]
        self.k = len(options)
        self.option = np.repeat(np.arange(self.k), [len(of_option) for of_option in options])
        self.length = np.array([len(form) for form in forms], dtype=np.intp)
        after: dict[Tokens, dict[int, int]] = {(): dict.fromkeys(self.first_tokens, 0)}
        for form in forms:
            for i, token in enumerate(form):
                after.setdefault(form[:i], {})[token] = 0
            if ends is not None:
                after.setdefault(form, {})
        self.beginnings = sorted(after)
        # Steps (a token behind a beginning) are numbered so that those of one beginning stand together; behind the
        # last one stands an empty step, which fills up the paths of short forms.
        self.slices: list[slice] = []
        tokens: list[int] = []
        for beginning in self.beginnings:
            steps = after[beginning]
            self.slices.append(slice(len(tokens), len(tokens) + len(steps)))
            for token in steps:
                steps[token] = len(tokens)
                tokens.append(token)
        self.tokens = np.array(tokens, dtype=np.intp)
        longest = int(self.length.max(initial=0))
        self.paths = np.full((len(forms), longest), len(tokens), dtype=np.intp)
        for row, form in enumerate(forms):
            self.paths[row, : len(form)] = [after[form[:i]][token] for i, token in enumerate(form)]
        self.first = np.array([after[()][token] for token in self.first_tokens], dtype=np.intp)
        self.unfollowed = np.array([followed is not None and t not in followed for t in self.first_tokens], np.bool_)
        number = {beginning: i for i, beginning in enumerate(self.beginnings)}
        self.closing = np.array([number[form] for form in forms] if ends is not None else [], dtype=np.intp)


class Scoring:
    """One prompt's tree of answers: filled node by node, in any order, it gives the probability of each option.

    >>> scoring = Scoring(Tree([[(0,), (2, 0)], [(1,)]]))
    >>> scoring.take(0, np.log([0.5, 0.3, 0.2]))
    >>> scoring.complete
    False
    >>> scoring.take(1, np.log([0.9, 0.1, 1e-9]))
    >>> [round(p, 3) for p in scoring.probabilities()], scoring.lengths()
    ([0.68, 0.3], (1, 1))
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._steps = np.zeros(len(tree.tokens) + 1)
        self._ends = np.zeros(len(tree.beginnings))
        self._missing = set(range(len(tree.beginnings)))

    @property
    def complete(self) -> bool:
        """Whether every beginning was taken."""
        return not self._missing

    def take(self, place: int, logits: npt.NDArray[np.float32] | Floats, total: float = 0.0, end: float = 0.0) -> None:
        """Note what is needed of the logits (vocabulary size,) behind the beginning at `place`.

        total: their `log_totals`; 0 for log-probabilities. end: log-probability that the answer ends there
        (`log_ends`), where forms count with their end only.
        """
        steps = self._tree.slices[place]
        if steps.start < steps.stop:
            self._steps[steps] = logits[self._tree.tokens[steps]]
            self._steps[steps] -= total
        self._ends[place] = end
        self._missing.discard(place)

    def probabilities(self) -> tuple[float, ...]:
        """Probability of each option: the sum over its forms of the product of their tokens' conditionals."""
        tree = self._tree
        return tuple(np.bincount(tree.option, np.exp(self._forms()), tree.k).tolist())

    def first_tokens(self) -> Floats:
        """Probability of each first token of the forms, in the order of the tree's `first_tokens`."""
        return np.asarray(np.exp(self._steps[self._tree.first]))

    def left(self) -> float:
        """Probability of the first tokens that were not followed: no more than this is missing from the options."""
        unfollowed = self._tree.first[self._tree.unfollowed]
        return float(np.exp(self._steps[unfollowed]).sum()) if unfollowed.size else 0.0

    def lengths(self) -> tuple[int, ...]:
        """Number of tokens of each option's likeliest form, its end not counted."""
        tree, log_p = self._tree, self._forms()
        likeliest = np.full(tree.k, -np.inf)
        np.maximum.at(likeliest, tree.option, log_p)
        found = np.zeros(tree.k, dtype=np.intp)
        best = np.flatnonzero(log_p == likeliest[tree.option])[::-1]  # backwards: of equals the first form stays
        found[tree.option[best]] = tree.length[best]
        return tuple(found.tolist())

    def _forms(self) -> Floats:
        log_p: Floats = self._steps[self._tree.paths].sum(axis=1)
        return log_p if self._tree.ends is None else log_p + self._ends[self._tree.closing]


def option_probabilities(
    options: Sequence[Sequence[Tokens]],
    log_probabilities: Callable[[Tokens], Floats],
    ends: Places | None = None,
) -> tuple[float, ...]:
    """Probability of each option, asking for one beginning after the other; `options` and `ends` as for `Tree`.

    log_probabilities: gives log-probabilities of the next token after the prompt and the tokens handed in.

    >>> after = {(): np.log([0.5, 0.3, 0.2]), (2,): np.log([0.9, 0.1, 1e-9])}
    >>> [round(p, 3) for p in option_probabilities([[(0,), (2, 0)], [(1,)]], after.__getitem__)]
    [0.68, 0.3]
    """
    tree = Tree(options, ends)
    scoring = Scoring(tree)
    for place, beginning in enumerate(tree.beginnings):
        log_p = log_probabilities(beginning)
        end = 0.0 if ends is None else float(log_ends(log_p[None], ends, np.zeros(1))[0])
        scoring.take(place, log_p, end=end)
    return scoring.probabilities()


def _contains(event: Tokens, form: Tokens) -> bool:
    return form[: len(event)] == event
