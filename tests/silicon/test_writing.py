"""Free text: drawn from the model's own distribution, reproducibly, over lines, kept in the store."""

from __future__ import annotations

import numpy as np
import pytest

from plural_nb.errors import ModelError
from plural_nb.silicon.model import open_model
from plural_nb.silicon.writing import table, write
from plural_nb.survey.question import ask_for


@pytest.fixture(scope="module")
def model():
    with open_model("plural-demo-base") as opened:
        yield opened


def test_the_same_seed_writes_the_same_and_another_writes_otherwise(model) -> None:
    one, again, other = (model.write("I am a", samples=5, longest=12, seed=s)[0] for s in (1, 1, 2))
    assert one == again
    assert one.texts != other.texts
    assert len(one.texts) == 5
    assert one.prompt == "I am a"


def test_first_tokens_come_as_often_as_the_models_probabilities_say(model) -> None:
    """Against the probabilities that the engine scores for the same continuations."""
    from plural_nb.silicon.prompt import Prompt

    prompt = "Question: Whom did you vote for?\nA. Bill Clinton\nB. Bob Dole\nAnswer:"
    texts = write(model, prompt, samples=4000, longest=1, seed=3)[0].texts
    share = np.array([sum(t == letter for t in texts) for letter in ("A", "B")]) / 4000
    scored = model.reply(Prompt(prompt, (), ((" A", "A"), (" B", "B")), (0, 1)))
    assert share == pytest.approx(np.array(scored.probabilities), abs=4.5 * np.sqrt(0.25 / 4000))


def test_free_text_goes_on_over_line_breaks_where_an_answer_would_end(tiny) -> None:
    """A model of random weights writes any byte, so line breaks come."""
    texts = write(tiny, "ab", samples=50, longest=20, seed=1)[0].texts
    assert any("\n" in text for text in texts)
    question = ask_for("Tea?", ["Yes", "No"])
    answers = [text for reply in tiny.ask(question, method="sampled", samples=50).replies for text, _ in reply.said]
    assert not any("\n" in text for text in answers)


def test_a_tuned_model_answers_a_message_through_its_template() -> None:
    with open_model("plural-demo-tuned") as tuned:
        found = write(tuned, "Hello!", longest=4, system="Be brief.")[0]
    assert "Hello!" in found.prompt
    assert "Be brief." in found.prompt
    assert found.prompt != "Hello!"


def test_texts_stand_in_a_table_and_mistakes_are_named(model) -> None:
    frame = table(write(model, ["I am", "You are"], samples=2, longest=3))
    assert frame.select("prompt", "sample").rows() == [(1, 1), (1, 2), (2, 1), (2, 2)]
    with pytest.raises(ModelError, match="Prompt 2 is empty"):
        write(model, ["I am", " "])
    with pytest.raises(ModelError, match="Did you mean 'chat'"):
        write(model, "I am", mode="chatt")
    with pytest.raises(ModelError, match="no chat template"):
        write(model, "I am", mode="chat")
    with pytest.raises(ModelError, match="longest"):
        write(model, "I am", longest=0)
    with pytest.raises(ModelError, match="context"):
        write(model, "I am " * 400, longest=2048)
