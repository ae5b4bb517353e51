"""Search: questions of a survey found by words in their keys, texts and options."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plural_nb.survey.columns import Lazy

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

Where = Literal["", "key", "text", "option"]
_WHERE: tuple[Where, ...] = ("key", "text", "option")


@dataclass(frozen=True, slots=True)
class Hit:
    """One question found. label, text: its words. where: what held the words; option: the option, where one did."""

    key: str
    label: str
    text: str
    where: Where = ""
    option: str = ""


class QuestionIndex:
    """The words of a survey's questions, read once, to be searched again and again.

    Of a large file whose questions are made when they are asked for, the file's own labels are searched, so that no
    column is read.

    >>> from plural_nb.survey.library import load_survey
    >>> index = QuestionIndex(load_survey("anes96"))
    >>> [hit.key for hit in index.search("dole clinton")], len(index.search(""))
    (['vote'], 6)
    """

    def __init__(self, survey: Survey) -> None:
        self._entries = [_Entry.of(*words) for words in _words(survey)]

    def search(self, words: str) -> tuple[Hit, ...]:
        """Return the questions in which every word occurs, those that begin a word of key or text first.

        words: in any order and any case, accents or not; a beginning of a word is enough. Empty finds all questions.
        """
        wanted = _folded(words).split()
        found = [(hit[0], i, hit[1]) for i, entry in enumerate(self._entries) if (hit := entry.match(wanted))]
        return tuple(hit for _, _, hit in sorted(found, key=lambda item: item[:2]))


def search(survey: Survey, words: str) -> tuple[Hit, ...]:
    """Return the questions of a survey in which every word occurs; see `QuestionIndex.search`.

    >>> from plural_nb.survey.library import load_survey
    >>> [hit.key for hit in search(load_survey("teaching"), "bridge toll abolish")][:1]
    ['toll']
    """
    return QuestionIndex(survey).search(words)


@dataclass(frozen=True, slots=True)
class _Entry:
    hit: Hit
    fields: tuple[str, str, tuple[str, ...]]
    options: tuple[str, ...]

    @classmethod
    def of(cls, key: str, label: str, text: str, options: Iterable[str]) -> _Entry:
        shown = tuple(options)
        fields = (_folded(key), _folded(f"{label} {text}"), tuple(_folded(option) for option in shown))
        return cls(Hit(key, label, text), fields, shown)

    def match(self, wanted: list[str]) -> tuple[int, Hit] | None:
        """How far down the list the question belongs (0 at the top), and the hit; None where a word is missing."""
        rank, last = 0, (-1, "")
        for word in wanted:
            place = self._place(word)
            if place is None:
                return None
            rank += place[0]
            last = max(last, place)
        if not wanted:
            return 0, self.hit
        where = _WHERE[last[0] // 2]
        return rank, Hit(self.hit.key, self.hit.label, self.hit.text, where, last[1])

    def _place(self, word: str) -> tuple[int, str] | None:
        key, text, options = self.fields
        for i, field in enumerate((key, text)):
            if word in field:
                return 2 * i + (not _begins(word, field)), ""
        for shown, option in zip(self.options, options, strict=True):
            if word in option:
                return 4 + (not _begins(word, option)), shown
        return None


def _words(survey: Survey) -> Iterator[tuple[str, str, str, list[str]]]:
    lazy = isinstance(survey.questions, Lazy)
    for key in survey.questions:
        variable = survey.variables.get(survey.question_columns.get(key, key)) if lazy else None
        if variable is not None:
            text = variable.label or key
            yield key, text, text, [str(label) for label in variable.labels.values()]
        else:
            question = survey.questions[key]
            yield key, question.label, question.text, [option.label for option in question.options]


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))


def _begins(word: str, field: str) -> bool:
    at = field.find(word)
    while at >= 0:
        if at == 0 or not field[at - 1].isalnum():
            return True
        at = field.find(word, at + 1)
    return False
