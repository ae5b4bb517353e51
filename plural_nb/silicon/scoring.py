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


def disjoint_forms(options: Sequence[Sequence[Tokens]], labels: Sequence[str]) -> tuple[tuple[Tokens, ...], ...]:
    """Return each option's token sequences as events that exclude one another (definitions, section 2).

    options: for each option, the token sequences of its forms. labels: what errors call the options.

    Within an option, a form told twice counts once, and a form that begins with another of its forms is part of
    that event already. Raises ModelError where sequences of two options begin alike so that one contains the other.

    >>> disjoint_forms([[(5,), (5,), (5, 7)], [(6,)]], ["A", "B"])
    (((5,),), ((6,),))
    """
    kept = []
    for forms, label in zip(options, labels, strict=True):
        distinct = list(dict.fromkeys(forms))
        if not all(distinct):
            raise ModelError(f"Option {label!r} has a form without any token. Give it letters or words.")
        kept.append(tuple(f for f in distinct if not any(_contains(g, f) for g in distinct if g != f)))
    owner = {form: i for i, forms in enumerate(kept) for form in forms}
    for i, forms in enumerate(kept):
        for form in forms:
            for end in range(1, len(form) + 1):
                j = owner.get(form[:end], i)
                if j != i or (end == len(form) and sum(form in other for other in kept) > 1):
                    other = (
                        labels[j]
                        if j != i
                        else next(labels[k] for k, forms_k in enumerate(kept) if k != i and form in forms_k)
                    )
                    raise ModelError(
                        f"This model writes the options {labels[i]!r} and {other!r} with tokens of which one begins "
                        "the other, so their probabilities overlap. Word the options apart."
                    )
    return tuple(kept)


def option_probabilities(
    options: Sequence[Sequence[Tokens]], log_probabilities: Callable[[Tokens], Floats]
) -> tuple[float, ...]:
    """Probability of each option: the sum over its forms of the product of their tokens' conditionals.

    options: disjoint token sequences of each option. log_probabilities: gives log-probabilities of the next token
        after the prompt and the tokens handed in; called once for each distinct beginning, shortest first within a
        branch, so that a memory of what was decoded last serves the next call.

    >>> after = {(): np.log([0.5, 0.3, 0.2]), (2,): np.log([0.9, 0.1, 1e-9])}
    >>> [round(p, 3) for p in option_probabilities([[(0,), (2, 0)], [(1,)]], after.__getitem__)]
    [0.68, 0.3]
    """
    beginnings = sorted({form[:i] for forms in options for form in forms for i in range(len(form))})
    log_p: dict[Tokens, float] = {(): 0.0}
    wanted = {form[: i + 1] for forms in options for form in forms for i in range(len(form))}
    for beginning in beginnings:
        following = log_probabilities(beginning)
        for longer in wanted:
            if len(longer) == len(beginning) + 1 and longer[:-1] == beginning:
                log_p[longer] = log_p[beginning] + float(following[longer[-1]])
    return tuple(float(sum(np.exp(log_p[form]) for form in forms)) for forms in options)


def _contains(event: Tokens, form: Tokens) -> bool:
    return form[: len(event)] == event
