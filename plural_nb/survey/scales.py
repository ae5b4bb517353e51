"""Whether labels name the points of a scale, in order: a guess from their words, with its reason."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

# Words that turn the judgement round; looked for before the words they contain ("disagree" holds "agree").
_AGAINST = re.compile(
    r"\b(disagree\w*|disapprov\w*|dissatisf\w*|unfavou?rabl\w*|oppos\w*|against|unlikely|unimportant|unhappy|unsafe|"
    r"uncomfortable|bad\w*|poor\w*|worse\w*|decreas\w*|less|lower|fewer|smaller|difficult|hard|negative\w*|"
    r"distrust\w*|false|wrong|conservative\w*|republican\w*|right[- ]?w\w*|right|cold|too little|unwilling|harmful|"
    r"reject\w*|unconcerned|uninterested|unfair\w*|insecure|dishonest)\b"
)
_FOR = re.compile(
    r"\b(agree\w*|approv\w*|satisf\w*|favou?r\w*|support\w*|likely|important|happy|safe|comfortable|good|well|"
    r"excellent|better|increas\w*|more|higher|larger|greater|easy|positive\w*|trust\w*|confiden\w*|true|liberal\w*|"
    r"democrat\w*|left[- ]?w\w*|left|warm|too much|willing|concerned|worried|interest\w*|fair\w*|secure|"
    r"proud|close|closely|attached|serious\w*|honest|helpful|beneficial|accept\w*|justif\w*|religious|informed|useful|effective)\b"
)
_DENIED = re.compile(r"^(not at all|not|none|never|no)\b|\bnot at all\b")
_WEAKLY_DENIED = re.compile(r"^(not|no) (very|too|so|that|really|particularly|quite|much)\b")
_MIDDLE = re.compile(
    r"\b(neither|neutral|moderate|middle|in[- ]between|undecided|mixed|about the same|the same|same as|no change|"
    r"about right|average|independent|it depends|depends|both equally|equally|halfway|stay\w* the same)\b"
)
_STRENGTH = (
    (re.compile(r"\b(extremely|completely|totally|absolutely|entirely)\b"), 4.0),
    (re.compile(r"\b(strong\w*|very|definite\w*|great deal|a lot|fully|much|highly|always|far)\b"), 3.0),
    (re.compile(r"\b(quite|rather|mostly|pretty|considerabl\w*|moderate\w*|generally|fairly)\b"), 1.8),
    (
        re.compile(
            r"\b(somewhat|slightly|a little|a bit|tend\w*|lean\w*|probabl\w*|some|only|not so|weak\w*|mild\w*)\b"
        ),
        1.0,
    ),
)
_LADDERS: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    (
        "how often",
        (
            (r"\b(never|not at all)\b", 0.0),
            (r"\b(rarely|seldom|hardly ever|almost never|very little)\b", 1.0),
            (r"\b(less than once a (year|month)|less often|once a year or less)\b", 1.2),
            (r"\b(once or twice a year|once a year|yearly|annually)\b", 1.5),
            (r"\b(several times a year|a few times a year|special (holy )?days)\b", 1.8),
            (r"\b(sometimes|occasionally|now and then|once in a while|some of the time)\b", 2.0),
            (r"\b(once a month|monthly)\b", 2.2),
            (r"\b(2-3 times a month|several times a month|once or twice a month)\b", 2.4),
            (r"\b(nearly|almost) every week\b", 2.6),
            (r"\b(very often|most of the time|nearly always|almost always|usually)\b", 4.0),
            (r"\b(often|frequently|regularly|fairly often|about half the time)\b", 3.0),
            (r"\b(more than once a week|several times a week|a few times a week)\b", 3.6),
            (r"\b(once a week|every week|weekly)\b", 2.9),
            (r"\b(several times a day|more than once a day)\b", 5.5),
            (r"\b(every day|daily|once a day)\b", 5.0),
            (r"\b(always|all of the time|constantly)\b", 6.0),
        ),
    ),
    (
        "how much",
        (
            (r"^(none|not at all|nothing|no)\b|\bnone at all\b", 0.0),
            (r"^(hardly any|very little|almost none)\b", 0.6),
            (
                r"^(not (very )?much|only a little|a little|little|just a (little|slight)|a small|only a few|a few)\b",
                1.0,
            ),
            (r"^(some|somewhat|a moderate|a fair amount|only some|a bit|fair)\b", 2.0),
            (r"^(quite a lot|quite a bit|a good amount|many|most)\b", 3.0),
            (r"^(a lot|very much|a great deal|great deal|a significant|all|complete)\b", 4.0),
        ),
    ),
    (
        "how good",
        (
            (r"^(very (poor|bad|badly)|terrible)\b", 0.0),
            (r"^(poor|bad|badly|fairly bad)\b", 1.0),
            (r"^(only fair|fair|neither|average|so-so)\b", 2.0),
            (r"^(good|fairly good|well|fairly well)\b", 3.0),
            (r"^(very good|very well)\b", 4.0),
            (r"^(excellent|outstanding)\b", 5.0),
        ),
    ),
)
_SCHOOLING = re.compile(
    r"school|college|degree|bachelor|master|doctor|primary|secondary|graduate|education|diploma|\bgrade|university|isced|"
    r"vocational|tertiary|elementary|ph\.?d",
)
_CLASSES = ("lower", "working", "middle", "upper")
_NUMBER = re.compile(r"(?<![\w.])\$?-?\d[\d,]*(?:\.\d+)?")


def scale_of(labels: Sequence[str]) -> tuple[str, bool]:
    """Return what kind of scale these labels name, in a few words, and whether they stand in its order.

    Judged by English words alone; ("", False) where the words show no scale. Fewer than three labels are none: two
    have no order to speak of.

    >>> scale_of(["Strongly agree", "Agree", "Neither agree nor disagree", "Disagree", "Strongly disagree"])
    ('for to against', True)
    >>> scale_of(["Agree", "Disagree", "Neither"])
    ('for to against', False)
    >>> scale_of(["France", "Germany", "Spain"])
    ('', False)
    """
    name, heights = scale_heights(labels)
    return name, bool(name) and _rises(heights)


def scale_heights(labels: Sequence[str]) -> tuple[str, list[float]]:
    """Return the scale that labels name and how high each stands on it; ("", []) where their words show none.

    >>> scale_heights(["Never", "Sometimes", "Always"])
    ('how often', [0.0, 2.0, 6.0])
    """
    said = [re.sub(r"^\W*\d+\s*[.):=-]+\s+", "", label.lower().replace("’", "'")).strip() for label in labels]
    if len(said) < 3:
        return "", []
    numbers = [_leading(label) for label in said]
    if sum(n is not None for n in numbers) >= len(said) - 1 and len({n for n in numbers if n is not None}) >= 3:
        return "numbers", [n for n in numbers if n is not None]
    for name, rungs in _LADDERS:
        heights = [_height(label, rungs) for label in said]
        if all(h is not None for h in heights):
            return name, [h for h in heights if h is not None]
    poles = [_pole(label) for label in said]
    known = [p for p in poles if p is not None]
    if len(known) == len(said) and len(set(known)) >= 3:
        return "for to against", known
    if sum(bool(_SCHOOLING.search(label)) for label in said) >= max(3, 0.6 * len(said)):
        return "schooling", [float(i) for i in range(len(said))]
    classes = [next((i for i, word in enumerate(_CLASSES) if word in label), None) for label in said]
    if all(c is not None for c in classes) and "class" in " ".join(said):
        return "class", [float(c) for c in classes if c is not None]
    return "", []


def _pole(label: str) -> float | None:
    """How far a label is for (positive) or against (negative); None where its words do not say."""
    if _MIDDLE.search(label) and not any(pattern.search(label) for pattern, _ in _STRENGTH[:2]):
        return 0.0
    against, favour = _AGAINST.search(label), _FOR.search(label)
    strength = next((power for pattern, power in _STRENGTH if pattern.search(label)), 1.4)
    if _WEAKLY_DENIED.search(label):
        return -1.5
    if _DENIED.search(label):
        return -5.0
    if against is None and favour is None:
        return None
    return -strength if against is not None else strength


def _height(label: str, rungs: Sequence[tuple[str, float]]) -> float | None:
    found = [(match.end() - match.start(), height) for text, height in rungs if (match := re.search(text, label))]
    return max(found)[1] if found else None


def _leading(label: str) -> float | None:
    match = _NUMBER.search(label)
    if match is None:
        return None
    number = float(match.group().replace(",", "").replace("$", ""))
    # "Under 20" and "less than 5" lie below the number they name, "65 and over" above it.
    below = re.match(r"\W*(under|less than|below|up to|fewer than|younger than)\b", label)
    above = re.search(r"\b(more than|over|above|older than)\s+\$?-?\d", label)
    return number - 0.5 if below else number + 0.5 if above else number


def _rises(heights: Sequence[float]) -> bool:
    steps = [b - a for a, b in itertools.pairwise(heights)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)
