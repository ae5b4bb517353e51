"""How a question is put to a model: by which method, in which orders and wordings, with which examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from plural_nb.errors import ModelError, nearest
from plural_nb.silicon.gguf import ModelFile
from plural_nb.silicon.orders import Order
from plural_nb.silicon.prompt import EXAMPLES, Mode

Method = Literal["letter", "text", "text_mean", "text_pmi", "number", "sampled"]
MOST_SAMPLES = 10_000
DEFAULT_EXAMPLES = 3

# In-context examples by name: how many, and how many draws of their answers are averaged.
IN_CONTEXT = {"none": (0, 1), "sorensen2024": (3, 5)}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a question is asked (definitions, section 2).

    mode: "completion" as plain text, "chat" through the model's own template.
    method: "letter" scores the letters A, B, C…; "text" the options' own words, by the probability of the whole text;
        "text_mean" the same by the geometric mean over its tokens, which does not punish long options; "text_pmi" by
        its ratio to the probability behind a question without content; "number" every whole number of a numeric
        question's range, with a space in front and without (where many are asked, spellings with less than 1/10,000
        of the captured mass are left out); "sampled" draws answers and reads them.
    order: in which orders the options are shown, averaged with equal weight. scramble_scales: whether that also holds
        for scales. wordings: whether the question's other wordings are asked as well, averaged with equal weight.
    examples: in-context examples, 0 to 3. variants: how many draws of their answers are averaged. seed: draws them,
        and the answers of "sampled". samples: how many answers "sampled" draws per prompt.
    system: text that comes first: the system turn of a chat, the first block of a completion.

    Raises ModelError, naming the nearest right word, for what is not one of these.

    >>> Manner(method="txt")
    Traceback (most recent call last):
        ...
    plural_nb.errors.ModelError: Unknown method 'txt'. Did you mean 'text'?
    """

    mode: Mode = "completion"
    method: Method = "letter"
    order: Order = "as_asked"
    examples: int = 0
    variants: int = 5
    seed: int = 0
    samples: int = 100
    wordings: bool = False
    scramble_scales: bool = False
    system: str = ""

    def __post_init__(self) -> None:
        for what, value, valid in (
            ("mode", self.mode, get_args(Mode)),
            ("method", self.method, get_args(Method)),
            ("order", self.order, get_args(Order)),
        ):
            if value not in valid:
                raise ModelError(f"Unknown {what} {value!r}. {nearest(str(value), valid)}")
        if not 0 <= self.examples <= len(EXAMPLES):
            raise ModelError(f"examples must be between 0 and {len(EXAMPLES)}, not {self.examples}.")
        if self.variants < 1:
            raise ModelError(f"variants must be at least 1, not {self.variants}.")
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise ModelError(f"samples must be between 1 and {MOST_SAMPLES:,}, not {self.samples}.")
        if self.method == "number" and self.order != "as_asked":
            raise ModelError("The method 'number' shows no options, so they have no order. Leave order='as_asked'.")


def manner_for(
    file: ModelFile,
    *,
    mode: Mode | None = None,
    examples: int | None = None,
    in_context: str | None = None,
    also: Iterable[str] = (),
    **how: Any,
) -> Manner:
    """Return the manner in which a model is asked, with what its file says where nothing was chosen.

    mode, examples, in_context: as in `Model.ask`. how: the fields of `Manner`. also: other arguments of the caller, so
    that a misspelt one of them is named.

    Raises TypeError for an unknown argument, naming the nearest; ModelError for what this model cannot do.
    """
    taken = [field.name for field in fields(Manner)]
    for name in how:
        if name not in taken:
            others = sorted({*taken, "in_context", *also} - {name})
            raise TypeError(f"Asking a model this way takes no argument {name!r}. {nearest(name, others)}")
    if in_context is not None:
        named = examples_named(in_context)
        if examples not in (None, named["examples"]) or how.get("variants", 5) not in (5, named["variants"]):
            raise ModelError(f"in_context={in_context!r} says examples and variants itself: leave them out.")
        examples, how["variants"] = named["examples"], named["variants"]
        mode = mode or ("completion" if examples else None)
    manner = Manner(mode=mode_for(file, mode), examples=examples or 0, **how)
    if examples is None and manner.mode == "completion":
        card = file.in_context_examples
        manner = replace(manner, examples=DEFAULT_EXAMPLES if card is None else card)
    return manner


def mode_for(file: ModelFile, mode: Mode | None) -> Mode:
    """Return the mode that was chosen, else chat where the model has a template.

    Raises ModelError for an unknown mode, naming the nearest, and for chat with a model that has no template.
    """
    if mode is None:
        return "chat" if file.is_chat else "completion"
    if mode not in get_args(Mode):
        raise ModelError(f"Unknown mode {mode!r}. {nearest(str(mode), get_args(Mode))}")
    if mode == "chat" and not file.is_chat:
        raise ModelError(
            f"{file.path.name} has no chat template, so it cannot be asked in chat mode. Ask it in completion "
            "mode: mode='completion'."
        )
    return mode


def examples_named(name: str) -> dict[str, int]:
    """Return `examples` and `variants` of in-context examples known by a name.

    "none", or "sorensen2024": three examples whose answers are letters drawn at random, drawn anew for each of five
    variants, whose rows count equally (Sorensen et al. 2024, App. A). The examples themselves are ours.

    Raises ModelError, naming the nearest right name.

    >>> examples_named("sorensen2024")
    {'examples': 3, 'variants': 5}
    """
    if name not in IN_CONTEXT:
        raise ModelError(f"Unknown in-context examples {name!r}. {nearest(str(name), IN_CONTEXT)}")
    return dict(zip(("examples", "variants"), IN_CONTEXT[name], strict=True))
