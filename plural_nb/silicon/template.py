"""A model's own chat template, rendered in a sandbox: it comes from a file, so it is not trusted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from plural_nb.errors import ModelError

LONGEST_TEXT = 1_000_000
SECONDS = 5.0


class ChatTemplate:
    """A compiled chat template.

    source: the Jinja text from the file. bos, eos: the model's begin and end tokens as text, which templates name.
    overdue: called from another thread when a rendering takes longer than `SECONDS`; an endless loop can only be
        ended together with its process.

    Raises ModelError with the template's own words where it cannot be read.

    >>> t = ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>", "", "")
    >>> t.render([{"role": "user", "content": "Tea?"}])
    '<user>Tea?<assistant>'
    """

    def __init__(self, source: str, bos: str, eos: str, overdue: Callable[[], None] = lambda: None) -> None:
        sandbox = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        sandbox.filters["tojson"] = _to_json
        sandbox.globals["raise_exception"] = _refuse
        sandbox.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self.bos, self.eos, self._overdue = bos, eos, overdue
        try:
            self._template = sandbox.from_string(source)
        except (jinja2.TemplateError, RecursionError, ValueError) as error:
            raise ModelError(
                f"The model's chat template cannot be read: {error}. Ask it in completion mode instead."
            ) from None

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """Return the text of these turns, ending where the model's answer begins.

        Raises ModelError with the template's words where it refuses (a role it does not know, turns out of order).
        """
        clock = threading.Timer(SECONDS, self._overdue)
        clock.daemon = True
        clock.start()
        try:
            text = self._template.render(
                messages=[dict(m) for m in messages],
                bos_token=self.bos,
                eos_token=self.eos,
                add_generation_prompt=True,
                tools=None,
                documents=None,
            )
        except SecurityError as error:
            raise ModelError(
                f"The model's chat template does something it must not: {error}. Ask it in completion mode instead."
            ) from None
        except Exception as error:  # a template can raise anything that Python can
            roles = ", ".join(dict.fromkeys(m["role"] for m in messages))
            raise ModelError(
                f"The model's chat template refuses these turns ({roles}): {error}. Ask it in completion mode instead."
            ) from None
        finally:
            clock.cancel()
        if len(text) > LONGEST_TEXT:
            raise ModelError(f"The model's chat template wrote {len(text):,} characters. Ask it in completion mode.")
        return text


class _Refusal(Exception):
    """What a template says through `raise_exception`."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which also refuses the arithmetic that fills memory ("x" * 10**9)."""

    intercepted_binops = frozenset(["*", "**"])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "*" and not numbers:
            size = max((len(x) for x in (left, right) if hasattr(x, "__len__")), default=1)
            times = max((x for x in (left, right) if isinstance(x, int)), default=1)
            if size * times > LONGEST_TEXT:
                raise SecurityError("it repeats a text too often")
        if operator == "**" and numbers and (abs(left) > 1e6 or abs(right) > 64):
            raise SecurityError("it computes a number that is too large")
        return super().call_binop(context, operator, left, right)


def _refuse(message: str) -> NoReturn:
    raise _Refusal(message)


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    # Jinja's own filter escapes < and > for HTML; templates mean plain JSON.
    return json.dumps(value, ensure_ascii=False, indent=indent)
