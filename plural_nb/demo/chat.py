"""The chat of the demo models: its control tokens, its template, and turns as the template writes them."""

from __future__ import annotations

from collections.abc import Iterable

END, SYSTEM, USER, ASSISTANT = "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
CONTROL = (END, SYSTEM, USER, ASSISTANT)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def in_chat(turns: Iterable[tuple[str, str]]) -> str:
    """Return turns (role, content) as the chat template writes them, up to where the answer begins.

    >>> in_chat([("user", "Tea?")])
    '<|user|>Tea?<|end|><|assistant|>'
    """
    return "".join(f"<|{role}|>{content}{END}" for role, content in turns) + ASSISTANT
