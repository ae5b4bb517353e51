from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plural_nb.answers import Answers
from plural_nb.errors import ModelCrashed, ModelError, PluralError
from plural_nb.silicon.model import Model, open_model
from plural_nb.silicon.prompt import Message, Prompt, Reply
from plural_nb.survey.design import Design
from plural_nb.survey.question import Option, Question, ask_for

from .conftest import CHATML, gguf_bytes, piece_vocabulary, tiny_model, tiny_recurrent_model

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee", "Neither"])
PERSONAS = ["I am a baker.", "I am a baker and old.", "", "I live by the sea."]


def next_probabilities(tokens: Sequence[int], seed: int = 0) -> np.ndarray:
    """A llama-architecture model in numpy, from its published equations; shares no code with llama.cpp."""
    keys, weights = tiny_model(seed=seed)
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    heads, layers = keys["llama.attention.head_count"], keys["llama.block_count"]
    x = w["token_embd.weight"][list(tokens)]
    n, width = x.shape
    size = width // heads

    def norm(v: np.ndarray, gain: np.ndarray) -> np.ndarray:
        return v / np.sqrt((v**2).mean(axis=-1, keepdims=True) + 1e-5) * gain

    angle = np.arange(n)[:, None] * 10_000.0 ** (-np.arange(0, size, 2) / size)

    def rotate(v: np.ndarray) -> np.ndarray:
        v = v.reshape(n, heads, size)
        even, odd, c, s = v[..., 0::2], v[..., 1::2], np.cos(angle)[:, None], np.sin(angle)[:, None]
        return np.stack([even * c - odd * s, even * s + odd * c], axis=-1).reshape(n, heads, size)

    for i in range(layers):
        b = f"blk.{i}."
        h = norm(x, w[b + "attn_norm.weight"])
        q, k = rotate(h @ w[b + "attn_q.weight"].T), rotate(h @ w[b + "attn_k.weight"].T)
        v = (h @ w[b + "attn_v.weight"].T).reshape(n, heads, size)
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(size)
        scores += np.triu(np.full((n, n), -np.inf), 1)
        attention = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attention /= attention.sum(axis=-1, keepdims=True)
        x = x + np.einsum("hij,jhd->ihd", attention, v).reshape(n, width) @ w[b + "attn_output.weight"].T
        h = norm(x, w[b + "ffn_norm.weight"])
        gate = h @ w[b + "ffn_gate.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w[b + "ffn_up.weight"].T)) @ w[b + "ffn_down.weight"].T
    logits = norm(x[-1], w["output_norm.weight"]) @ w["output.weight"].T
    p = np.exp(logits - logits.max())
    return p / p.sum()


def test_letter_probabilities_equal_the_models_equations(tiny: Model) -> None:
    answers = tiny.ask(QUESTION, persona=PERSONAS, examples=0)
    tokens = {piece: i for i, piece in enumerate(tiny_model()[0]["tokenizer.ggml.tokens"])}
    for reply, row, mass in zip(answers.replies, answers.rows, answers.captured_mass, strict=True):
        p = next_probabilities(reply.tokens)
        truth = np.array([p[tokens[letter]] + p[tokens["Ġ" + letter]] for letter in "ABC"])
        # the memory of llama.cpp holds half-precision keys and values
        assert reply.probabilities == pytest.approx(truth, rel=0.02, abs=2e-4)
        assert row == pytest.approx(truth / truth.sum(), abs=0.01)
        assert mass == pytest.approx(truth.sum(), rel=0.02)


ONE_BY_ONE = """
import ctypes, json, sys
import numpy as np
import llama_cpp as L
path, prompts = sys.argv[1], json.loads(sys.argv[2])
L.llama_backend_init()
mp = L.llama_model_default_params(); mp.use_extra_bufts = False
model = L.llama_model_load_from_file(path.encode(), mp)
cp = L.llama_context_default_params(); cp.n_ctx = 512; cp.n_threads = cp.n_threads_batch = 1
cp.type_k = cp.type_v = 0; cp.flash_attn_type = 0
ctx = L.llama_init_from_model(model, cp)
n = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
vocab = L.llama_model_get_vocab(model)
def tokens(text):
    raw, held = text.encode(), (L.llama_token * 2048)()
    return held[: L.llama_tokenize(vocab, raw, len(raw), held, 2048, True, False)]
def probability(prompt, whole):
    assert whole[: len(prompt)] == prompt
    L.llama_memory_clear(L.llama_get_memory(ctx), True)
    p = 1.0
    for i, token in enumerate(whole):
        if i >= len(prompt):
            z = np.ctypeslib.as_array(L.llama_get_logits_ith(ctx, -1), shape=(n,)).astype(float)
            z = np.exp(z - z.max()); p *= z[token] / z.sum()
        held = (L.llama_token * 1)(token)
        assert L.llama_decode(ctx, L.llama_batch_get_one(held, 1)) == 0
    return p
print(json.dumps([[sum(probability(tokens(text), tokens(text + form)) for form in (" " + letter, letter))
                   for letter in "ABC"] for text in prompts]))
"""


@pytest.mark.parametrize(("file", "tolerance"), [("stories260K-f16.gguf", 2e-4), ("stories260K-q8_0.gguf", 2e-2)])
def test_letters_equal_a_plain_evaluation_token_by_token(
    shared: Path, run_python: Callable[..., Any], file: str, tolerance: float
) -> None:
    """One sequence, one token at a time, memory cleared before each form: the truth for every shortcut taken.

    Letters of this vocabulary take one token or two (" A" is a space and A), so forms are decoded on as well.
    """
    path = shared / "models" / file
    with open_model(path) as model:
        answers = model.ask(QUESTION, persona=PERSONAS[:2], examples=1, variants=2)
    truth = np.array(run_python(ONE_BY_ONE, path, json.dumps([r.text for r in answers.replies])))
    found = np.array([r.probabilities for r in answers.replies])
    assert found == pytest.approx(truth, abs=tolerance)
    assert truth.max() > 10 * 2e-4  # else the comparison would say nothing


def test_a_model_that_cannot_cut_its_memory_answers_as_if_each_prompt_came_first(tmp_path: Path) -> None:
    """Recurrent models go the careful way by what their memory can do: no prompt leaves a trace in the next."""
    path = tmp_path / "mamba.gguf"
    path.write_bytes(gguf_bytes(*tiny_recurrent_model()))
    with open_model(path) as model:
        together = model.ask(QUESTION, persona=PERSONAS, examples=0)
    for i, persona in enumerate(PERSONAS):
        with open_model(path) as model:
            alone = model.ask(QUESTION, persona=persona, examples=0)
        assert together.rows[i] == pytest.approx(alone.rows[0], abs=1e-5)
    assert together.rows.std(axis=0).max() > 1e-3  # the personas do make a difference


CONTINUATIONS = """
import ctypes, json, sys
from plural_nb.silicon.asking import prepare
from plural_nb.silicon.engine import LlamaModel
m = LlamaModel(sys.argv[1], threads=1, extra_buffers=False, context=None, cancelled=ctypes.create_string_buffer(2))
one = prepare(m, None, {"text": sys.argv[2], "messages": [], "forms": [[" A", "A"], [" B", "B"]]})
print(json.dumps([[m.piece(t) for t in one.tokens], [[[m.piece(t) for t in f] for f in o] for o in one.options]]))
"""


@pytest.mark.parametrize("vocabulary", [None, piece_vocabulary()], ids=["BPE", "SentencePiece"])
@pytest.mark.parametrize("end", ["Answer:", "Answer: "])
def test_forms_continue_the_prompt_as_it_was_sent(
    write_model: Callable[..., Path], run_python: Callable[..., Any], vocabulary: dict[str, Any] | None, end: str
) -> None:
    """Both tokenizers have one token for " A". Behind "Answer: " the space is spent: "A" alone continues the prompt,
    although the tokenizer would write "Answer: A" with that token; " A" then is a second space and A.
    """
    pieces, options = run_python(CONTINUATIONS, write_model(vocabulary=vocabulary), f"Tea?\n{end}")
    assert pieces[-1] == end[-1]
    assert [set(map(tuple, forms)) for forms in options] == [{(f" {x}",), (x,)} for x in "AB"]


def test_variants_are_normalised_first_and_then_averaged(tiny: Model) -> None:
    answers = tiny.ask(QUESTION, examples=2, variants=4, seed=3)
    told = np.array([r.probabilities for r in answers.replies])
    assert told.shape == (4, 3)
    each = told / told.sum(axis=1, keepdims=True)
    assert answers.rows[0] == pytest.approx(each.mean(axis=0))
    assert answers.captured_mass == pytest.approx([told.sum(axis=1).mean()])
    assert answers.spread == pytest.approx(np.stack([each.min(axis=0), each.max(axis=0)]))


def test_one_persona_is_one_exact_row_and_many_are_a_sample(tiny: Model) -> None:
    one = tiny.ask(QUESTION, persona=PERSONAS[0], examples=0)
    many = tiny.ask(QUESTION, persona=PERSONAS, examples=0, design=Design(np.array([1.0, 2, 3, 4])))
    assert (one.source.kind, one.exact, one.spread) == ("model", True, None)
    assert (many.source.kind, many.rows.shape, many.design.weight[3]) == ("personas", (4, 3), 4.0)
    assert many.rows[0] == pytest.approx(one.rows[0], abs=2e-3)


def test_what_is_not_offered_is_not_shown_and_gets_nothing(tiny: Model) -> None:
    question = Question(
        "tea", "Tea?", (Option("Yes"), Option("Unsure", substantive=False, offered=False), Option("No"))
    )
    answers = tiny.ask(question, examples=0)
    assert "Unsure" not in answers.replies[0].text
    assert answers.rows[0, 1] == 0
    assert answers.rows[0, [0, 2]].sum() == pytest.approx(1)


def test_the_prompt_that_was_sent_can_be_read_with_its_tokens(tiny: Model) -> None:
    [reply] = tiny.ask(QUESTION, persona="I am naïve ☃.", examples=0).replies
    assert reply.text.startswith("I am naïve ☃.\n\nQuestion: Tea or coffee?\nA. Tea\n")
    assert reply.text.endswith("\nAnswer:")
    raw = b"".join(_bytes_of(t) for t in reply.tokens)
    assert raw.decode() == reply.text
    assert len(reply.pieces) == len(reply.tokens)


def _bytes_of(token: int) -> bytes:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = [*printable, *(b for b in range(256) if b not in printable)]
    return bytes([order[token]]) if token < 256 else f" {chr(65 + token - 256)}".encode()


def test_identical_prompts_are_asked_once_and_never_again(tiny: Model) -> None:
    seen: list[tuple[int, int]] = []
    first = tiny.ask(
        QUESTION, persona=["I am old."] * 3 + ["I am young."], examples=0, on_progress=lambda *p: seen.append(p)
    )
    assert first.replies[0] is first.replies[2]
    assert seen[0] == (0, 4)
    assert seen[-1] == (4, 4)
    assert [done for done, _ in seen] in ([0, 4], [0, 1, 4], [0, 3, 4])  # two distinct prompts
    tiny._process.close()  # a second ask needs no worker
    second = tiny.ask(QUESTION, persona=["I am young.", "I am old."], examples=0)
    assert second.rows[0] == pytest.approx(first.rows[3], abs=0)
    assert not tiny._process.alive


def test_no_probability_at_all_is_a_missing_row(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    [prompt] = tiny.prepare(QUESTION, examples=0)
    nothing = Reply(prompt.text, (0.0, 0.0, 0.0), (0, 1, 2))
    half = Reply(prompt.text, (0.5, 0.0, 0.0), (0, 1, 2))
    monkeypatch.setattr(tiny, "replies", lambda prompts, **_: [half, nothing][: len(prompts)])
    answers = tiny.ask(QUESTION, persona=["a", "b"], examples=0)
    assert answers.rows.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert answers.captured_mass.tolist() == [0.5, 0.0]
    assert answers.answered.tolist() == [True, False]


def test_the_card_says_how_many_examples_a_base_model_wants(write_model: Callable[..., Path]) -> None:
    with open_model(write_model(plural_nb__in_context_examples=0)) as model:
        assert len(model.prepare(QUESTION)) == 1
    with open_model(write_model()) as model:
        assert len(model.prepare(QUESTION)) == 5


def test_a_chat_model_is_asked_through_its_template(write_model: Callable[..., Path]) -> None:
    with open_model(write_model(tokenizer__chat_template=CHATML)) as model:
        [reply] = model.ask(QUESTION, persona="I am old.").replies
        assert reply.text.startswith("<|im_start|>user\nI am old.\n\nQuestion:")
        assert reply.text.endswith("<|im_end|>\n<|im_start|>assistant\n")
        assert reply.pieces[0] == "<|im_start|>"
        plain = model.ask(QUESTION, mode="completion", examples=0).replies[0]
        assert plain.text.endswith("Answer:")


def test_a_control_token_in_a_persona_is_text_in_completion_and_refused_in_chat(
    write_model: Callable[..., Path],
) -> None:
    persona = "I say <|im_end|>."
    with open_model(write_model(tokenizer__chat_template=CHATML)) as model:
        assert "<|im_end|>" not in model.ask(QUESTION, persona=persona, mode="completion", examples=0).replies[0].pieces
        with pytest.raises(ModelError, match=r"'<\|im_end\|>'.*completion mode"):
            model.ask(QUESTION, persona=persona)
        assert model.ask(QUESTION).replies


def test_a_base_model_cannot_chat(tiny: Model) -> None:
    with pytest.raises(ModelError, match=r"no chat template.*mode='completion'"):
        tiny.ask(QUESTION, mode="chat")
    turns = Prompt("", (Message("user", "Hi"),), (("A",), ("B",)), (0, 1))
    with pytest.raises(ModelError, match="no chat template"):
        tiny.reply(turns)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"mode": "caht"}, "Did you mean 'chat'"),
        ({"examples": 9}, "between 0 and 3"),
        ({"variants": 0}, "at least 1"),
        ({"persona": []}, "no persona"),
        ({"persona": ["a", None]}, "not None"),
        ({"persona": ["a"], "design": Design(np.ones(2))}, "2 rows for 1"),
    ],
)
def test_bad_requests_say_what_to_do(tiny: Model, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(PluralError, match=says):
        tiny.ask(QUESTION, **arguments)


def test_a_bare_text_is_no_question(tiny: Model) -> None:
    with pytest.raises(ModelError, match="ask_for"):
        tiny.ask("Tea or coffee?")


def test_a_model_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    keys, tensors = tiny_model()
    keys = {k: v for k, v in keys.items() if not k.startswith("tokenizer.")}
    keys |= {"tokenizer.ggml.model": "none", "llama.vocab_size": len(tensors["token_embd.weight"])}
    (tmp_path / "mute.gguf").write_bytes(gguf_bytes(keys, tensors))
    with pytest.raises(ModelError, match="no tokenizer"):
        open_model(tmp_path / "mute.gguf")


def test_a_prompt_longer_than_the_context_says_by_how_much(write_model: Callable[..., Path]) -> None:
    path = write_model(context=128)
    with open_model(path) as model:
        used = len(model.ask(QUESTION, examples=0).replies[0].tokens)
        persona = "x" * 200
        over = used + 202 - 128  # the persona and a blank line
        with pytest.raises(ModelError, match=rf"{used + 202} tokens, {over} more than the context of 128"):
            model.ask(QUESTION, persona=["short", persona], examples=0)
        assert len(model._memory) == 1  # nothing was decoded before the long one was noticed
        fits = model.ask(QUESTION, persona="x" * (126 - used), examples=0)
        assert len(fits.replies[0].tokens) == 128
    with open_model(path, n_ctx=64) as model, pytest.raises(ModelError, match="n_ctx up to 128"):
        model.ask(QUESTION, persona=persona, examples=0)


def test_the_context_grows_with_the_prompts(write_model: Callable[..., Path]) -> None:
    with open_model(write_model(context=8192)) as model:
        first = model.ask(QUESTION, examples=0)
        assert model.details["context"] == 256  # the prompt, and a batch of other branches beside it
        assert len(first.replies[0].tokens) + 64 <= 256
        grown = model.ask(QUESTION, persona="I. " * 1000, examples=0)
        n = len(grown.replies[0].tokens)
        assert n > 2000
        assert n + 64 <= model.details["context"] < n + 64 + 256
        truth = next_probabilities(grown.replies[0].tokens)
        assert sum(grown.replies[0].probabilities) == pytest.approx(truth[[32, 33, 34, 256, 257, 258]].sum(), rel=0.05)


def test_many_short_prompts_fit_behind_a_long_one(tiny: Model) -> None:
    tea = ask_for("Tea?", ["Yes", "No"])
    texts = [f"{i} likes rain." for i in range(40)]
    alone = tiny.ask(tea, persona=texts[7], mode="completion", examples=0).rows[0]
    for length in range(90, 230, 20):  # what it leaves in memory takes the room of a batch
        tiny.ask(tea, persona="a" * length, mode="completion", examples=0)
        found = tiny.ask(tea, persona=[f"{text}{length}" for text in texts], mode="completion", examples=0)
        assert found.answered.all()
    assert tiny.ask(tea, persona=texts, mode="completion", examples=0).rows[7] == pytest.approx(alone, abs=2e-4)


def test_a_context_beyond_training_is_capped(tiny_path: Path) -> None:
    with open_model(tiny_path, n_ctx=100_000) as model:
        assert model.details["limit"] == 1024


def test_two_models_are_open_side_by_side(write_model: Callable[..., Path]) -> None:
    with open_model(write_model(seed=1)) as one, open_model(write_model(seed=2)) as two:
        a, b = (m.ask(QUESTION, examples=0) for m in (one, two))
        assert not np.allclose(a.rows, b.rows, atol=0.01)
        assert one._process.pid != two._process.pid
        for seed, answers in ((1, a), (2, b)):
            p = next_probabilities(answers.replies[0].tokens, seed)
            assert answers.replies[0].probabilities[0] == pytest.approx(p[32] + p[256], rel=0.02, abs=2e-4)


def test_a_file_replaced_in_place_is_noticed(write_model: Callable[..., Path], tmp_path: Path) -> None:
    path = write_model(folder=tmp_path, seed=1)
    with open_model(path) as model:
        before = model.ask(QUESTION, examples=0)
        path.unlink()
        write_model(folder=tmp_path, seed=2)
        after = model.ask(QUESTION, examples=0)
        with open_model(path) as fresh:
            assert after.rows == pytest.approx(fresh.ask(QUESTION, examples=0).rows, abs=1e-6)
        assert not np.allclose(before.rows, after.rows, atol=0.01)
        path.unlink()
        with pytest.raises(ModelError, match="is gone"):
            model.ask(QUESTION, examples=0)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda raw: raw[:-100], "cut off"),
        (lambda raw: b"", "empty"),
        (lambda raw: b"\x89PNG" + raw, "not a GGUF"),
        (lambda raw: raw.replace(b"llama", b"lxama"), "cannot be loaded by llama.cpp.*unknown model architecture"),
        (lambda raw: raw.replace(b"output_norm", b"output_nrom"), "cannot be loaded by llama.cpp.*output_norm"),
    ],
)
def test_files_that_cannot_be_opened_say_why(
    tiny_path: Path, tmp_path: Path, spoil: Callable[[bytes], bytes], says: str
) -> None:
    path = tmp_path / "spoilt.gguf"
    path.write_bytes(spoil(tiny_path.read_bytes()))
    with pytest.raises(ModelError, match=rf"spoilt\.gguf.*{says}"):
        open_model(path)


def test_a_tokenizer_alone_cannot_be_opened(shared: Path) -> None:
    with pytest.raises(ModelError, match="tokenizer only"):
        open_model(shared / "models" / "ggml-vocab-gpt-2.gguf")


def test_an_unknown_name_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch, write_model: Callable) -> None:
    monkeypatch.setenv("PLURAL_NB_MODELS", str(write_model("sparrow.gguf")))
    with pytest.raises(ModelError, match="Did you mean 'sparrow'"):
        open_model("sparow")
    with open_model("sparrow") as model:
        assert model.name == "sparrow"


def test_a_character_the_vocabulary_lacks_kills_the_worker_but_not_the_model(write_model: Callable[..., Path]) -> None:
    with open_model(write_model(vocabulary=piece_vocabulary())) as model:
        known = model.ask(QUESTION, examples=0)
        with pytest.raises(ModelCrashed, match="character that this model's vocabulary cannot write") as caught:
            model.ask(QUESTION, persona="I am naïve.", examples=0)
        assert caught.value.log
        assert isinstance(model.ask(QUESTION, persona="I am old.", examples=0), Answers)
        assert model.ask(QUESTION, examples=0).rows == pytest.approx(known.rows, abs=0)


def test_a_lone_surrogate_is_named(tiny: Model) -> None:
    with pytest.raises(ModelError, match="surrogate"):
        tiny.ask(QUESTION, persona="\ud800", examples=0)


def test_a_closed_model_says_so(tiny: Model) -> None:
    tiny.close()
    tiny.close()
    with pytest.raises(ModelError, match="was closed"):
        tiny.ask(QUESTION)
