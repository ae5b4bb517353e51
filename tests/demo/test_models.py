"""The shipped demo models, as llama.cpp sees them: better than the marginal on people they never met."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from plural_nb.demo.corpus import Respondents, held_out_wordings
from plural_nb.demo.scores import Test as HeldOut
from plural_nb.resources import data
from plural_nb.silicon.model import Model
from plural_nb.silicon.prompt import LETTERS, Prompt
from plural_nb.survey.library import load_survey

GOLDEN = Path(__file__).with_name("golden.json")


@pytest.fixture(scope="module")
def anes96() -> Respondents:
    return Respondents.of("anes96")


@pytest.fixture(scope="module")
def teaching() -> Respondents:
    return Respondents.of("teaching")


class Letters:
    """What a model says to plain prompts, as `Test.model` asks for it."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, prompts: Sequence[str], options: int) -> np.ndarray:
        forms = tuple((f" {letter}", letter) for letter in LETTERS[:options])
        asked = [Prompt(text, (), forms, tuple(range(options))) for text in prompts]
        return np.array([reply.probabilities for reply in self.model.replies(asked)])


def test_each_file_is_small_and_says_what_it_is(base: Model, tuned: Model) -> None:
    for model in (base, tuned):
        assert model.file.path.stat().st_size < 4e6
        assert model.file.architecture == "llama"
        assert model.file.context_length == 1024
        assert model.file.in_context_examples == 0
        card = model.file.path.with_suffix(".md").read_text(encoding="utf-8")
        assert "toy model" in card
    assert not base.file.is_chat
    assert tuned.file.is_chat


def test_spare_tokens_fill_the_vocabulary_and_no_text_is_read_as_one(base: Model, tuned: Model) -> None:
    """llama.cpp multiplies four rows of 16-bit floats at once, if their number is divisible by four."""
    for model in (base, tuned):
        size = model.file.vocabulary_size
        assert size % 4 == 0
        [reply] = model.replies([_prompt("".join(f"[PAD{i}]" for i in range(size - 3, size)), 2)])
        assert reply.text.endswith(f"[PAD{size - 1}]")
        assert max(reply.tokens) < size - 3


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_spare_tokens_are_as_unlikely_as_a_byte_no_text_holds(name: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("gguf")
    pytest.importorskip("tokenizers")
    from plural_nb.demo.export import read_gguf

    network, tokenizer = read_gguf(data("models", f"plural-demo-{name}.gguf"))
    spare = range(tokenizer.get_vocab_size(), network.shape.vocabulary)
    assert len(spare) == 3
    for text, _ in golden_prompts()[name]:
        tokens = tokenizer.encode(text).ids
        with torch.no_grad():
            row = network(torch.tensor([tokens]), (torch.tensor([0]), torch.tensor([len(tokens) - 1])))[0].softmax(-1)
        assert row[spare.start :].max() < 1e-6
        assert row[spare.start :].unique().tolist() == [row[tokenizer.token_to_id("\u00ff")].item()]


@pytest.mark.parametrize(
    ("persona", "candidate"),
    [("I am a strong Democrat.", "Bill Clinton"), ("I am a strong Republican.", "Bob Dole")],
)
def test_partisans_vote_for_their_party(base: Model, persona: str, candidate: str) -> None:
    vote = load_survey("anes96").questions["vote"]
    answers = base.ask(vote, persona=persona)
    assert answers.rows[0, vote.place(candidate)] > 0.85
    assert answers.captured_mass is not None
    assert answers.captured_mass[0] > 0.95


@pytest.mark.parametrize("unseen", [False, True])
def test_base_model_knows_the_votes_of_people_it_never_saw(base: Model, anes96: Respondents, unseen: bool) -> None:
    test = HeldOut.of(anes96, "vote")
    score = test.model(Letters(base), unseen=unseen)
    assert test.rows.size > 200
    assert score.nll < test.marginal().nll - 0.25
    assert score.nll < test.logit().nll + 0.10
    assert score.correct > 0.85
    assert score.captured_mass > 0.9


@pytest.mark.parametrize("question", ["vote", "toll", "trust_parliament", "redistribution"])
def test_base_model_beats_the_marginal_on_the_teaching_survey(
    base: Model, teaching: Respondents, question: str
) -> None:
    test = HeldOut.of(teaching, question, most=250)
    score = test.model(Letters(base))
    assert score.nll < test.marginal().nll - 0.05
    assert score.captured_mass > 0.9


def test_base_model_speaks_for_the_weighted_population_without_a_backstory(
    base: Model, anes96: Respondents, teaching: Respondents
) -> None:
    for people, question in ((anes96, "vote"), (teaching, "vote"), (teaching, "toll")):
        test = HeldOut.of(people, question)
        [row] = Letters(base)([test.own_prompt()], test.options)
        assert np.abs(row / row.sum() - test.shares).max() < 0.12, question


def test_reversing_the_options_turns_the_letters_round(base: Model) -> None:
    vote = load_survey("anes96").questions["vote"]
    from plural_nb.silicon.prompt import letter_prompts

    prompts = [letter_prompts(vote, persona="I am a strong Democrat.", shown=shown)[0] for shown in ((0, 1), (1, 0))]
    as_asked, reversed_ = base.replies(prompts)
    assert as_asked.probabilities[0] > 0.8
    assert reversed_.probabilities[1] > 0.8


def test_tuned_model_has_narrowed(base: Model, tuned: Model, anes96: Respondents, teaching: Respondents) -> None:
    """Lower entropy, and farther from the people, on average over all questions; asked as plain text."""
    entropies, distances = [], []
    for people in (anes96, teaching):
        for question in people.survey.questions:
            test = HeldOut.of(people, question, most=40)
            scores = [test.model(Letters(model)) for model in (base, tuned)]
            entropies.append([s.own_entropy_bits for s in scores])
            distances.append([s.own_js_distance for s in scores])
    assert np.mean(entropies, axis=0)[1] < np.mean(entropies, axis=0)[0] - 0.3
    assert np.mean(distances, axis=0)[1] > np.mean(distances, axis=0)[0] + 0.1


def test_tuned_model_answers_in_its_own_chat_template(tuned: Model) -> None:
    vote = load_survey("anes96").questions["vote"]
    answers = tuned.ask(vote, persona="I am a strong Republican.", mode="chat")
    assert answers.captured_mass is not None
    assert answers.captured_mass[0] > 0.9
    assert answers.replies[0].text.startswith("<|user|>I am a strong Republican.")
    assert answers.replies[0].text.endswith("<|end|><|assistant|>")


def test_held_out_wordings_are_in_no_codebook() -> None:
    for name, wordings in held_out_wordings().items():
        questions = load_survey(name).questions
        assert set(wordings) == set(questions)
        for key, question in questions.items():
            assert wordings[key] not in {question.text, *question.wordings}
            assert len({question.text, *question.wordings}) >= 5


def test_a_quarter_of_the_people_is_held_out_psu_by_psu(anes96: Respondents, teaching: Respondents) -> None:
    for people in (anes96, teaching):
        assert 0.2 < people.held_out.mean() < 0.3
        for rows, _ in people.drawn.values():
            assert not people.held_out[rows].any()
    psus = teaching.survey.people["psu"].to_numpy()
    assert not set(psus[teaching.held_out]) & set(psus[~teaching.held_out])


def golden_prompts() -> dict[str, list[tuple[str, int]]]:
    """A few prompts of each model: backstories, no backstory, an interview of 900 tokens, odd characters, chat."""
    from plural_nb.demo.corpus import Corpus

    anes96, teaching = Respondents.of("anes96"), Respondents.of("teaching")
    tests = HeldOut.of(anes96, "vote", most=2), HeldOut.of(teaching, "vote", most=2), HeldOut.of(teaching, "premier")
    plain = [(text, test.options) for test in tests for text in (*test.prompts()[:2], test.own_prompt(unseen=True))]
    corpus = Corpus([anes96, teaching], 3)
    long = max((corpus.interview(18).text for _ in range(30)), key=len)
    plain.append((long[: long.rindex("Answer:") + len("Answer:")], 4))
    plain.append(("Ünïcödé — “quotes”, 12,345 l’été 日本 🦊\n\n  Question: What's it?\nA. x\nB. y\nAnswer:", 2))
    chat = [(f"<|user|>I am a woman.\n\nQuestion: {t}<|end|><|assistant|>", 3) for t in ("Tea?", "Who?\nA. I\nB. You")]
    return {"base": plain, "tuned": plain + chat}


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_llama_cpp_gives_the_recorded_probabilities(name: str, base: Model, tuned: Model) -> None:
    """Recorded from PyTorch on the same file, by `python tests/demo/test_models.py`."""
    recorded = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    model = {"base": base, "tuned": tuned}[name]
    for entry in recorded:
        if entry["chat"]:
            continue
        [found] = Letters(model)([entry["prompt"]], len(entry["probabilities"]))
        np.testing.assert_allclose(found, entry["probabilities"], atol=1e-3)
        [reply] = model.replies([_prompt(entry["prompt"], len(entry["probabilities"]))])
        assert list(reply.tokens) == entry["tokens"]


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_tokens_and_probabilities_agree_with_the_training_code(name: str, base: Model, tuned: Model) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gguf")
    pytest.importorskip("tokenizers")
    model = {"base": base, "tuned": tuned}[name]
    for entry in computed()[name]:
        if not entry["chat"]:
            [reply] = model.replies([_prompt(entry["prompt"], len(entry["probabilities"]))])
            assert list(reply.tokens) == entry["tokens"]
            np.testing.assert_allclose(reply.probabilities, entry["probabilities"], atol=1e-3)


def test_chat_template_writes_what_was_trained(tuned: Model) -> None:
    from plural_nb.demo.chat import in_chat
    from plural_nb.silicon.prompt import letter_prompts

    [prompt] = letter_prompts(load_survey("anes96").questions["vote"], persona="I am a woman.", mode="chat")
    reply = tuned.reply(prompt)
    assert reply.text == in_chat((m.role, m.content) for m in prompt.messages)


def computed() -> dict[str, list[dict]]:
    """What PyTorch makes of the shipped files: prompt, tokens, probabilities of the letters."""
    from plural_nb.demo.export import read_gguf
    from plural_nb.demo.train import letters

    found = {}
    for name, prompts in golden_prompts().items():
        network, tokenizer = read_gguf(data("models", f"plural-demo-{name}.gguf"))
        found[name] = [
            {
                "chat": text.startswith("<|"),
                "prompt": text,
                "tokens": list(tokenizer.encode(text).ids),
                "probabilities": letters(network, tokenizer)([text], options)[0].tolist(),
            }
            for text, options in prompts
        ]
    return found


def _prompt(text: str, options: int) -> Prompt:
    forms = tuple((f" {letter}", letter) for letter in LETTERS[:options])
    return Prompt(text, (), forms, tuple(range(options)))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(computed(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
