from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plural_nb import resources
from plural_nb.errors import ModelError
from plural_nb.silicon.manner import Manner
from plural_nb.silicon.methods import numbers, prompts_for, read_answer
from plural_nb.silicon.model import Model, open_model
from plural_nb.silicon.prompt import letter_prompts
from plural_nb.silicon.scoring import option_probabilities
from plural_nb.survey.question import Option, Question, ask_for

from .conftest import gguf_bytes, tiny_model

DRINK = ask_for("Tea or coffee?", ["Tea", "Coffee", "Coffee with milk"])
WARMTH = Question(
    "warmth", "How warm do you feel?", (Option("cool", bounds=(0, 50)), Option("warm", bounds=(50, 100))), "numeric"
)
DEGREES = ask_for("How warm do you feel?", [str(i) for i in range(101)])

# The truth: one sequence, one token at a time, memory cleared before each form, in 32-bit keys and values.
PLAIN = """
import json, sys
import numpy as np
import llama_cpp as L
path, asked = sys.argv[1], json.loads(open(sys.argv[2]).read())
L.llama_backend_init()
mp = L.llama_model_default_params(); mp.use_extra_bufts = False
model = L.llama_model_load_from_file(path.encode(), mp)
cp = L.llama_context_default_params(); cp.n_ctx = 512; cp.n_threads = cp.n_threads_batch = 1
cp.type_k = cp.type_v = 0; cp.flash_attn_type = 0
ctx = L.llama_init_from_model(model, cp)
vocab = L.llama_model_get_vocab(model)
n = L.llama_vocab_n_tokens(vocab)
def tokens(text):
    raw, held = text.encode(), (L.llama_token * 2048)()
    return held[: L.llama_tokenize(vocab, raw, len(raw), held, 2048, True, False)]
def piece(t):
    import ctypes
    b = ctypes.create_string_buffer(64); k = L.llama_token_to_piece(vocab, t, b, 64, 0, True)
    return b.raw[:max(k, 0)]
ends = [t for t in range(n) if L.llama_vocab_is_eog(vocab, t) or piece(t)[:1] in (b"\\n", b"\\r")]
def after(sequence):
    L.llama_memory_clear(L.llama_get_memory(ctx), True)
    for token in sequence:
        assert L.llama_decode(ctx, L.llama_batch_get_one((L.llama_token * 1)(token), 1)) == 0
    z = np.ctypeslib.as_array(L.llama_get_logits_ith(ctx, -1), shape=(n,)).astype(float)
    z = np.exp(z - z.max()); return z / z.sum()
found = []
for text, forms, terminated in asked:
    prompt, row = tokens(text), []
    for group in forms:
        total = 0.0
        for form in group:
            whole = tokens(text + form)
            assert whole[: len(prompt)] == prompt
            p = np.prod([after(whole[:i])[whole[i]] for i in range(len(prompt), len(whole))])
            total += p * (after(whole)[ends].sum() if terminated else 1.0)
        row.append(total)
    found.append(row)
print(json.dumps(found))
"""


def plainly(run_python: Callable[..., Any], folder: Path, path: Path, question: Question, **how: Any) -> np.ndarray:
    """(prompts, options) probabilities of the same prompts by the plain evaluation."""
    asked = [
        [p.text, p.forms, p.terminated] for cell in prompts_for(question, "I am old.", Manner(**how)) for p in cell
    ]
    (folder / "asked.json").write_text(json.dumps(asked))
    return np.array(run_python(PLAIN, path, folder / "asked.json"))


@pytest.mark.parametrize("name", ["plural-demo-base", "plural-demo-tuned"])
@pytest.mark.parametrize("method", ["letter", "text"])
def test_the_demo_models_equal_a_plain_evaluation_in_every_order(
    tmp_path: Path, run_python: Callable[..., Any], name: str, method: str
) -> None:
    path = resources.data("models", f"{name}.gguf")
    if not path.is_file():
        pytest.skip("the demo models are not here")
    truth = plainly(run_python, tmp_path, path, DRINK, method=method, order="cyclic")
    with open_model(path) as model:
        how: dict[str, Any] = {"method": method, "order": "cyclic", "mode": "completion", "examples": 0}
        replies = model.ask(DRINK, persona="I am old.", **how).replies
    # Rounding to 16 bits goes with the size of a probability: .18386 beside .18408 was seen.
    assert np.array([r.probabilities for r in replies]) == pytest.approx(truth, abs=2e-4, rel=2e-3)


@pytest.mark.parametrize(("file", "tolerance"), [("stories260K-f16.gguf", 2e-4), ("stories260K-q8_0.gguf", 2e-2)])
@pytest.mark.parametrize(
    ("method", "question"), [("letter", DRINK), ("text", DRINK), ("number", ask_for("How many?", list("012")))]
)
def test_every_method_equals_a_plain_evaluation_token_by_token(
    shared: Path,
    tmp_path: Path,
    run_python: Callable[..., Any],
    file: str,
    tolerance: float,
    method: str,
    question: Question,
) -> None:
    path = shared / "models" / file
    truth = plainly(run_python, tmp_path, path, question, method=method, order="as_asked")
    with open_model(path) as model:
        replies = model.ask(question, persona="I am old.", method=method, examples=0).replies
    assert np.array([r.probabilities for r in replies]) == pytest.approx(truth, abs=tolerance, rel=0.05)


def markov(**odds: dict[str, float]) -> tuple[dict[str, Any], dict[str, np.ndarray], Callable[[str, str], float]]:
    """A model without working layers: the next token depends on the last one alone, with probabilities in closed form.

    Each token's embedding is a unit vector of its class (colon, space, digit, other), and the output matrix holds the
    logarithm of the odds of each next token; RMSNorm scales a unit vector by sqrt(width) up to its epsilon.
    """
    keys, tensors = tiny_model()
    names = keys["tokenizer.ggml.tokens"]
    width = tensors["token_embd.weight"].shape[1]
    classes = [":", "Ġ", "0123456789"]
    kind = [next((i for i, c in enumerate(classes) if name in c), 3) for name in names]
    for name in tensors:
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            tensors[name] = np.zeros_like(tensors[name])
    tensors["token_embd.weight"] = np.eye(width, dtype=np.float32)[kind]
    table = np.ones((4, len(names)))
    for i, group in enumerate(("colon", "space", "digit")):
        for name, weight in odds.get(group, {}).items():
            for character in name:
                table[i, names.index("ĊĠ"[character == " "] if character in "\n " else character)] = weight
    scale = 1 / np.sqrt(1 / width + 1e-5)
    tensors["output.weight"] = np.zeros((len(names), width), dtype=np.float32)
    tensors["output.weight"][:, :4] = (np.log(table) / scale).T
    table /= table.sum(axis=1, keepdims=True)

    def p(group: str, token: str) -> float:
        return float(table[("colon", "space", "digit", "other").index(group), names.index(token)])

    return keys, tensors, p


def test_letters_and_words_are_scored_as_worked_out_by_hand(tmp_path: Path) -> None:
    keys, tensors, p = markov(colon={"A": 600, "B": 200, "T": 90, "M": 30})
    (tmp_path / "markov.gguf").write_bytes(gguf_bytes(keys, tensors))
    question = ask_for("Tea or milk?", ["Tea", "Milk"])
    letters = np.array([p("colon", "A") + p("colon", "ĠA"), p("colon", "B") + p("colon", "ĠB")])
    # " T" is one token; behind it, as behind each letter, this model finds all tokens equally likely.
    tea = (p("colon", "T") + p("colon", "ĠT")) * p("other", "e") * p("other", "a")
    milk = (p("colon", "M") + p("colon", "ĠM")) * p("other", "i") * p("other", "l") * p("other", "k")
    words, mean = np.array([tea, milk]), np.array([tea ** (1 / 3), milk ** (1 / 4)])
    with open_model(tmp_path / "markov.gguf") as model:
        asked = {m: model.ask(question, method=m, examples=0) for m in ("letter", "text", "text_mean", "text_pmi")}
    for method, truth in (("letter", letters), ("text", words), ("text_mean", words)):
        assert asked[method].replies[0].probabilities == pytest.approx(truth, rel=1e-4)
        assert asked[method].captured_mass == pytest.approx([truth.sum()], rel=1e-4)
    assert asked["letter"].rows[0] == pytest.approx(letters / letters.sum(), abs=1e-5)
    assert asked["text"].rows[0] == pytest.approx(words / words.sum(), abs=1e-5)
    assert asked["text_mean"].rows[0] == pytest.approx(mean / mean.sum(), abs=1e-5)
    # This model looks at the last word only, so the question tells it nothing.
    assert asked["text_pmi"].rows[0] == pytest.approx([0.5, 0.5], abs=1e-5)


@pytest.mark.parametrize("name", ["plural-demo-base", "plural-demo-tuned"])
def test_numbers_and_samples_of_the_demo_models_equal_a_plain_evaluation(
    tmp_path: Path, run_python: Callable[..., Any], name: str
) -> None:
    path = resources.data("models", f"{name}.gguf")
    if not path.is_file():
        pytest.skip("the demo models are not here")
    count = ask_for("How many?", ["0", "1", "2", "10"])
    numbers = plainly(run_python, tmp_path, path, count, method="number")
    letters = plainly(run_python, tmp_path, path, DRINK, method="letter")[0]
    how: dict[str, Any] = {"persona": "I am old.", "mode": "completion", "examples": 0}
    with open_model(path) as model:
        found = model.ask(count, method="number", **how).replies
        drawn = model.ask(DRINK, method="sampled", samples=200, **how).replies[0].said
    assert np.array([r.probabilities for r in found]) == pytest.approx(numbers, abs=2e-4, rel=0.02)
    first = np.array([sum(times for said, times in drawn if said[:1] == letter) for letter in "ABC"]) / 200
    assert first == pytest.approx(letters, abs=4.5 * 0.5 / np.sqrt(200))
    assert letters.sum() > 0.3  # else little would have been compared


def test_a_thermometer_is_scored_exactly_through_its_digits(tmp_path: Path) -> None:
    keys, tensors, p = markov(
        colon={" ": 900, "0123456789": 7}, space={"123456789": 90, "0": 40}, digit={"05": 60, "\n": 500, "1": 30}
    )
    (tmp_path / "markov.gguf").write_bytes(gguf_bytes(keys, tensors))
    end = sum(p("digit", t) for t in ("Ċ", "č", "<|endoftext|>", "<|im_end|>"))

    def number(n: int) -> float:
        first, *rest = str(n)
        start = p("colon", "Ġ") * p("space", first) + p("colon", first)
        return start * float(np.prod([p("digit", d) for d in rest])) * end

    truth = np.array([number(n) for n in range(101)])
    with open_model(tmp_path / "markov.gguf") as model:
        found = model.ask(DEGREES, method="number", examples=0)
        bins = model.ask(WARMTH, method="number", examples=0)
        assert found.replies[0].probabilities == pytest.approx(truth, rel=1e-4)
        assert found.captured_mass == pytest.approx([truth.sum()], rel=1e-4)
        assert bins.replies[0].probabilities == pytest.approx([truth[:50].sum(), truth[50:].sum()], rel=1e-4)
        assert bins.rows[0] == pytest.approx(np.array([truth[:50].sum(), truth[50:].sum()]) / truth.sum(), abs=1e-5)


def test_one_number_inside_another_is_told_apart_by_its_end() -> None:
    """Every answer of one or two digits with its end behind it is an option: together they are certain."""
    draw = np.random.default_rng(0)
    nodes = [(), *((t,) for t in range(3)), *product(range(3), range(3))]
    table = {node: draw.dirichlet(np.ones(5)) for node in nodes}
    table[()] *= [1, 1, 1, 0, 0]
    table[()] /= table[()].sum()
    for node in nodes[4:]:
        table[node] = np.array([0, 0, 0, 0.3, 0.7])  # 3 and 4 end an answer
    options = [[node] for node in nodes[1:]]
    with np.errstate(divide="ignore"):
        found = option_probabilities(options, lambda node: np.log(table[node]), np.array([3, 4]))
    assert sum(found) == pytest.approx(1, abs=1e-12)


def test_options_of_which_one_begins_the_other_count_with_their_end(tiny: Model) -> None:
    reply = tiny.ask(DRINK, method="text", examples=0).replies[0]
    assert tiny.prepare(DRINK, method="text", examples=0)[0].terminated
    assert 0 < reply.captured_mass < 1
    apart = ask_for("Tea or coffee?", ["Tea", "Coffee"])
    assert not tiny.prepare(apart, method="text", examples=0)[0].terminated


def test_mean_and_pmi_are_made_of_the_same_probabilities(tiny: Model) -> None:
    question = ask_for("Tea or coffee?", ["Tea", "A cup of coffee"])
    plain, mean, pmi = (tiny.ask(question, method=m, examples=0) for m in ("text", "text_mean", "text_pmi"))
    p = np.array(plain.replies[0].probabilities)
    assert plain.rows[0] == pytest.approx(p / p.sum())
    assert [r.probabilities for r in mean.replies] == [r.probabilities for r in plain.replies]
    lengths = plain.replies[0].lengths
    assert lengths == (3, 15) or lengths == (4, 16)  # bytes, with or without the space in front
    scores = np.exp(np.log(p) / lengths)
    assert mean.rows[0] == pytest.approx(scores / scores.sum())
    asked, nothing = pmi.replies
    assert nothing.text == asked.text.replace("Tea or coffee?", "N/A")
    ratio = p / nothing.probabilities
    assert pmi.rows[0] == pytest.approx(ratio / ratio.sum())
    for answers in (mean, pmi):
        assert answers.captured_mass == pytest.approx([p.sum()])


def test_sampled_answers_are_drawn_by_seed_and_read_and_the_rest_is_lost(tiny: Model) -> None:
    once = tiny.ask(DRINK, method="sampled", samples=400, seed=3, examples=0)
    [reply] = once.replies
    assert sum(times for _, times in reply.said) == 400
    read = sum(times for said, times in reply.said if said in ("A", "B", "C", "A.", "B.", "C."))
    assert once.captured_mass[0] >= read / 400
    assert once.captured_mass[0] < 1  # a model of random weights babbles
    with open_model(tiny.file.path) as again:
        others = again.ask(DRINK, persona=["I am new.", ""], method="sampled", samples=400, seed=3, examples=0)
        assert others.replies[1].said == reply.said  # whatever else is asked beside it
        assert again.ask(DRINK, method="sampled", samples=400, seed=4, examples=0).replies[0].said != reply.said


def test_samples_of_a_known_model_follow_its_probabilities(tmp_path: Path) -> None:
    keys, tensors, p = markov(colon={"A": 4000, "B": 2000}, digit={})
    names = keys["tokenizer.ggml.tokens"]
    tensors["output.weight"][names.index("Ċ"), 3] = 3.0  # behind a letter the answer mostly ends
    (tmp_path / "markov.gguf").write_bytes(gguf_bytes(keys, tensors))
    with open_model(tmp_path / "markov.gguf") as model:
        drawn = model.ask(ask_for("?", ["one", "two"]), method="sampled", samples=4000, examples=0)
    a = drawn.rows[0, 0]
    assert a == pytest.approx(2 / 3, abs=4 * np.sqrt(2 / 9 / 4000 / drawn.captured_mass[0]))
    assert p("colon", "A") > drawn.captured_mass[0] * 0.5


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        *[("A", 0), ("(B)", 1), ("b", None), ("C. Coffee with milk", 2), ("coffee with milk!", 2), ("Coffee", 1)],
        *[("D", None), ("A friend told me", None), ("Tea or", None), ("", None), ("B: Coffee.", 1)],
    ],
)
def test_a_drawn_answer_is_read_only_where_it_is_plain(said: str, chosen: int | None) -> None:
    assert read_answer(said, letter_prompts(DRINK)[0], DRINK) == chosen


def test_an_answer_is_read_in_the_order_shown() -> None:
    [prompt] = letter_prompts(DRINK, shown=(2, 0, 1))
    assert read_answer("A", prompt, DRINK) == 0
    assert read_answer("Tea", prompt, DRINK) == 1


def test_numbers_come_from_bounds_or_labels() -> None:
    assert numbers(WARMTH) == {0: range(50), 1: range(50, 101)}
    assert numbers(DEGREES)[100] == range(100, 101)
    with pytest.raises(ModelError, match=r"'Tea'.*no whole number"):
        numbers(DRINK)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"method": "numbers"}, "Did you mean 'number'"),
        ({"method": "number", "order": "cyclic"}, "show no options|shows no options"),
        ({"order": "reverse"}, "Did you mean 'reversed'"),
        ({"method": "sampled", "samples": 0}, "samples must be between"),
    ],
)
def test_a_manner_that_cannot_be_says_so(tiny: Model, how: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        tiny.ask(DEGREES, **how)


def test_system_text_comes_first_in_both_modes(write_model: Callable[..., Path]) -> None:
    from .conftest import CHATML

    with open_model(write_model(tokenizer__chat_template=CHATML)) as model:
        chat = model.ask(DRINK, persona="I am old.", system="You answer polls.").replies[0].text
        assert chat.startswith("<|im_start|>system\nYou answer polls.<|im_end|>\n<|im_start|>user\nI am old.")
        plain = model.ask(DRINK, persona="I am old.", mode="completion", examples=1, system="Poll.", variants=1)
        assert plain.replies[0].text.startswith("Poll.\n\nQuestion: How often")
