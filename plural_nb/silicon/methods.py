"""The prompts of each method: letters, the options' own words, whole numbers, answers drawn and read."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from plural_nb.errors import ModelError
from plural_nb.silicon.manner import Manner
from plural_nb.silicon.orders import Places, orders
from plural_nb.silicon.prompt import EXAMPLES, LETTERS, Message, Prompt, Reply, assemble, letter_prompts
from plural_nb.survey.question import Question

CONTENT_FREE = "N/A"
IN_WORDS = "Answer with the words of one option only."
MOST_NUMBERS = 1001
# Numbers are spelled with a space in front and without, and most models hardly use one of the two. What this part of
# the captured mass can change is half of what decoding in batches does with 16-bit weights (2e-4; 2e-2 with 8 bits).
NEGLIGIBLE = 1e-4
_SOMEBODY = "\0somebody\0"  # stands where the persona goes

# Asked before a question that wants a number; the answers are drawn from the question's own range.
NUMBER_EXAMPLES = (
    "How much do you like rainy days?",
    "How often do you eat breakfast?",
    "How loud is the street you live in?",
)


def prompts_for(question: Question, persona: str, manner: Manner) -> tuple[tuple[Prompt, ...], ...]:
    """Return the prompts whose answers make one row: per cell (a wording in an order) its in-context variants."""
    asked = [question, *(map(question.reworded, question.wordings) if manner.wordings else ())]
    shown = (question.offered,) if manner.method == "number" else _orders(question, manner)
    return tuple(tuple(_variants(one, places, persona, manner)) for one in asked for places in shown)


def flattened(cells: Sequence[Sequence[Prompt]]) -> list[Prompt]:
    """Return the prompts of `prompts_for`, one cell behind the other."""
    return [prompt for cell in cells for prompt in cell]


def prompts_of(question: Question, personas: Iterable[str], manner: Manner) -> dict[str, list[Prompt]]:
    """Return for each distinct persona the prompts of `prompts_for`, one cell behind the other.

    The question is put together once.
    """
    fills = [_around(prompt) for cell in prompts_for(question, _SOMEBODY, manner) for prompt in cell]
    if len(fills) == 1:  # most often; the loop over one would take as long as the prompt
        [fill] = fills
        made = {persona: [fill(persona)] for persona in personas}
    else:
        made = {persona: [fill(persona) for fill in fills] for persona in personas}
    if "" in made:
        made[""] = flattened(prompts_for(question, "", manner))
    return made


def content_free(n: int, question: Question, manner: Manner) -> list[Prompt]:
    """Return for each of one persona's n prompts the one that asks nothing.

    It has the same examples, options and order, no persona, and asks "N/A".
    """
    cells = prompts_for(replace(question, text=CONTENT_FREE, wordings=()), "", manner)
    flat = flattened(cells)
    return flat * (n // len(flat))  # wordings differ in what the content-free prompt leaves out


def numbers(question: Question) -> dict[int, range]:
    """Return for each offered option that stands for whole numbers which ones: from its bounds, else its label.

    >>> from plural_nb.survey.question import Option, Question
    >>> q = Question("t", "How warm?", (Option("cool", bounds=(0, 50)), Option("warm", bounds=(50, 100))), "numeric")
    >>> numbers(q)
    {0: range(0, 50), 1: range(50, 101)}

    Raises ModelError where an option that carries opinion stands for no whole number.
    """
    bounded = [o.bounds for o in question.options if o.bounds is not None]
    top = max((high for _, high in bounded), default=0.0)
    found: dict[int, range] = {}
    for place in question.offered:
        option = question.options[place]
        if option.bounds is not None:
            low, high = option.bounds
            end = math.floor(high) + 1 if high == top and high == math.floor(high) else math.ceil(high)
            found[place] = range(math.ceil(low), end)
        elif re.fullmatch(r"\d+", option.label.strip()):
            found[place] = range(int(option.label), int(option.label) + 1)
        if option.substantive and not found.get(place):
            raise ModelError(
                f"Option {option.label!r} of {question.key!r} stands for no whole number, so the method 'number' "
                "cannot score it. Give the options bounds, label them with numbers, or use method='letter'."
            )
    total = sum(map(len, found.values()))
    if total > MOST_NUMBERS:
        raise ModelError(f"Question {question.key!r} spans {total:,} numbers; at most {MOST_NUMBERS:,} can be scored.")
    if any(numbers.start < 0 for numbers in found.values()):
        raise ModelError(f"Question {question.key!r} has numbers below 0, which the method 'number' cannot score.")
    return found


def read_answer(said: str, prompt: Prompt, question: Question) -> int | None:
    """Return which of the options shown (0 for the first) a drawn answer chooses; None where it cannot be told.

    It is read as a letter that stands alone at its beginning, else as an option's words, whole.

    >>> from plural_nb.survey.question import ask_for
    >>> q = ask_for("Tea or coffee?", ["Tea", "Coffee"])
    >>> [p] = letter_prompts(q)
    >>> [read_answer(s, p, q) for s in (" B", "A. Tea", "coffee.", "Because I", "Any")]
    [1, 0, 1, None, None]
    """
    text = said.strip()
    words = text.rstrip(".!").casefold()
    for i, place in enumerate(prompt.shown):
        if words == question.options[place].label.strip().rstrip(".!").casefold():
            return i
    letter = re.match(r"\(?([A-Z])(?:[.):\s]|$)", text)
    if letter and (i := LETTERS.index(letter[1])) < len(prompt.shown):
        rest = text[letter.end() :].strip().rstrip(".!").casefold()
        # "A" alone, or with its own option's words; "A friend told me" is not the letter A.
        if not rest or rest == question.options[prompt.shown[i]].label.strip().rstrip(".!").casefold():
            return i
    return None


def read_reply(reply: Reply, prompt: Prompt, question: Question) -> Reply:
    """Return a reply of drawn answers with the share of those that chose each option; the unread share is lost mass."""
    counts = [0] * len(prompt.shown)
    for said, times in reply.said:
        chosen = read_answer(said, prompt, question)
        if chosen is not None:
            counts[chosen] += times
    return replace(reply, probabilities=tuple(count / prompt.samples for count in counts))


def _around(prompt: Prompt) -> Callable[[str], Prompt]:
    p = prompt
    rest = (p.forms, p.shown, p.terminated, p.samples, p.seed, p.longest, p.negligible)
    if not p.messages:
        head, tail = p.text.split(_SOMEBODY)
        return lambda persona: Prompt(f"{head}{persona}{tail}", (), *rest)
    *before, last = p.messages
    head, tail = last.content.split(_SOMEBODY)
    return lambda persona: Prompt("", (*before, Message(last.role, f"{head}{persona}{tail}")), *rest)


def _orders(question: Question, manner: Manner) -> tuple[Places, ...]:
    return orders(question, manner.order, scramble_scales=manner.scramble_scales)


def _variants(question: Question, places: Places, persona: str, manner: Manner) -> list[Prompt]:
    if manner.method in ("letter", "sampled"):
        made = letter_prompts(
            question,
            persona=persona,
            mode=manner.mode,
            examples=manner.examples,
            variants=manner.variants,
            seed=manner.seed,
            shown=places,
            system=manner.system,
        )
        if manner.method == "letter":
            return made
        return [replace(p, samples=manner.samples, seed=manner.seed) for p in made]
    draw = random.Random(manner.seed)
    times = manner.variants if manner.examples else 1
    if manner.method == "number":
        return [_number(question, persona, manner, draw) for _ in range(times)]
    return [_text(question, places, persona, manner, draw) for _ in range(times)]


def _text(question: Question, places: Places, persona: str, manner: Manner, draw: random.Random) -> Prompt:
    labels = [question.options[place].label.strip() for place in places]
    # Where one option begins another, an answer counts only with its end.
    begins = any(a != b and b.startswith(a) for a in labels for b in labels)
    return assemble(
        _listed(question.text, labels),
        solved=[(_listed(text, options), draw.choice(options)) for text, options in EXAMPLES[: manner.examples]],
        instruction=IN_WORDS,
        persona=persona,
        system=manner.system,
        mode=manner.mode,
        forms=tuple((f" {label}", label) for label in labels),
        shown=places,
        terminated=begins,
    )


def _number(question: Question, persona: str, manner: Manner, draw: random.Random) -> Prompt:
    found = numbers(question)
    low, high = min(r.start for r in found.values()), max(r[-1] for r in found.values())
    instruction = f"Answer with a whole number from {low} to {high} only."
    # A completion needs the range in the question itself; a chat says it as an instruction.
    tail = "" if manner.mode == "chat" else f"\n{instruction}"
    forms = []
    for place in question.offered:
        words = [str(n) for n in found[place]] if place in found else [question.options[place].label.strip()]
        forms.append(tuple(form for word in words for form in (f" {word}", word)))
    made = assemble(
        f"Question: {question.text}{tail}",
        solved=[
            (f"Question: {text}{tail}", str(draw.randint(low, high))) for text in NUMBER_EXAMPLES[: manner.examples]
        ],
        instruction=instruction,
        persona=persona,
        system=manner.system,
        mode=manner.mode,
        forms=tuple(forms),
        shown=question.offered,
        terminated=True,
    )
    return replace(made, negligible=NEGLIGIBLE)


def _listed(text: str, labels: Sequence[str]) -> str:
    return "\n".join([f"Question: {text}", *(f"- {label}" for label in labels)])
