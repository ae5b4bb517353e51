"""In which orders the options of a question are shown, so that a model's liking for a place can be averaged out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from plural_nb.errors import ModelError, nearest
from plural_nb.survey.question import Question

Order = Literal["as_asked", "reversed", "cyclic", "balanced"]
Places = tuple[int, ...]


def orders(question: Question, order: Order = "as_asked", *, scramble_scales: bool = False) -> tuple[Places, ...]:
    """Return the orders in which to show the offered options, each a tuple of places in `question.options`.

    order: "as_asked" and "reversed" are one order each; "cyclic" is the K rotations; "balanced" is a Williams square,
        in which each option stands once in each place and each ordered pair of neighbours occurs equally often
        (K orders for even K, 2K for odd; Williams 1949).
    scramble_scales: the options of ordinal and numeric questions form a scale, which makes another question when it
        is shuffled: for them "cyclic" and "balanced" mean as asked and reversed, unless this is True.

    Pinned options ("none of these") stay last in every order but the one asked. Never all K! orders.

    Raises ModelError for an unknown order.

    >>> from plural_nb.survey.question import ask_for
    >>> orders(ask_for("Which?", ["a", "b", "c", "d"]), "balanced")
    ((0, 1, 3, 2), (1, 2, 0, 3), (2, 3, 1, 0), (3, 0, 2, 1))
    >>> orders(ask_for("How much?", ["little", "some", "much"], kind="ordinal"), "cyclic")
    ((0, 1, 2), (2, 1, 0))
    """
    if order not in get_args(Order):
        raise ModelError(f"Unknown order {order!r}. {nearest(str(order), get_args(Order))}")
    asked = question.offered
    if order == "as_asked":
        return (asked,)
    free = tuple(i for i in asked if not question.options[i].pinned)
    pinned = tuple(i for i in asked if question.options[i].pinned)
    backwards = free[::-1]
    if order == "reversed":
        found: Sequence[Places] = (backwards,)
    elif question.kind != "nominal" and not scramble_scales:
        found = (free, backwards)
    elif order == "cyclic":
        found = [free[i:] + free[:i] for i in range(len(free))]
    else:
        found = [tuple(free[i] for i in row) for row in _williams(len(free))]
    return tuple(dict.fromkeys(places + pinned for places in found))


def _williams(k: int) -> list[Places]:
    # 0, 1, k−1, 2, k−2, …: neighbours differ by 1, −2, 3, −4, …, every difference once when k is even; for odd k the
    # mirror image of each row supplies the differences that are missing.
    first = [0]
    for step in range(1, k):
        first.append((step + 1) // 2 if step % 2 else k - step // 2)
    square = [tuple((place + turn) % k for place in first) for turn in range(k)]
    return square + [row[::-1] for row in square] if k % 2 else square
