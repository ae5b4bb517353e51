"""A model that can be asked: it opens a worker, sends prompts, remembers replies, and makes rows of them."""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from plural_nb.answers import Answers, Bools, Source
from plural_nb.errors import ModelError
from plural_nb.silicon.gguf import ModelFile, identity, read_model_file, require_usable
from plural_nb.silicon.holding import HeldModel
from plural_nb.silicon.manner import Manner, Method, manner_for
from plural_nb.silicon.methods import flattened, prompts_for
from plural_nb.silicon.orders import Order
from plural_nb.silicon.posing import People, Posed, require_askable, require_room
from plural_nb.silicon.process import WorkerProcess
from plural_nb.silicon.progress import Progress, told
from plural_nb.silicon.prompt import Mode, Prompt, Reply
from plural_nb.silicon.provenance import provenance
from plural_nb.silicon.remembering import Memory
from plural_nb.silicon.rounds import OnAnswers, ask_in_rounds
from plural_nb.silicon.settings import Settings, default_threads, repacking_crashes
from plural_nb.silicon.shards import Shard
from plural_nb.silicon.spreading import MakesExecutor, ask_elsewhere, naming_people
from plural_nb.silicon.store import Store
from plural_nb.survey.design import Design
from plural_nb.survey.question import Question

if TYPE_CHECKING:
    from plural_nb.silicon.writing import Writing


def open_model(
    model: str | os.PathLike[str] | ModelFile, *, n_ctx: int | None = None, threads: int | None = None
) -> Model:
    """Open a model in a process of its own.

    model: a path to a GGUF file, a name that `find_models` shows ("plural-demo-base", "llama3.2:1b"), or a ModelFile.
    n_ctx: tokens of context, at most what the model was trained on; None starts small and grows with the prompts.
    threads: for decoding; None chooses.

    Raises ModelError, saying what to do, where the file cannot be read or holds no model that can be asked, and
    ModelCrashed where llama.cpp dies on it in spite of safe settings.

    >>> from plural_nb.survey.question import ask_for
    >>> with open_model("plural-demo-base") as model:  # doctest: +SKIP
    ...     model.ask(ask_for("Tea or coffee?", ["Tea", "Coffee"])).rows
    """
    file = require_usable(model if isinstance(model, ModelFile) else _named(model))
    for name, value in (("n_ctx", n_ctx), ("threads", threads)):
        if value is not None and value < 1:
            raise ModelError(f"{name} must be at least 1, not {value}.")
    return Model(file, Settings(threads or default_threads(file.parameters), not repacking_crashes(), n_ctx))


class Model:
    """An open model; ask it questions, close it when done (or use it in a `with` block).

    Its worker process may die without harm: what was answered stays, and the next call starts a fresh one. `ask` may
    run in one thread while another calls `cancel` or `close`.

    file: what its header says. settings: how it was loaded.
    """

    def __init__(self, file: ModelFile, settings: Settings, *, command: Sequence[str] | None = None) -> None:
        self.file = file
        self._held = HeldModel(file.path, settings, command)
        self._asking = threading.Lock()
        self._stop: threading.Event | None = None  # of a run on an executor
        self._identity = identity(file.path)
        with self._asking:
            self._held.start()
        self._memory = self._remember()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Model({self.file.label!r}{', closed' if self._held.closed else ''})"

    @property
    def name(self) -> str:
        """What to call it."""
        return self.file.name

    @property
    def settings(self) -> Settings:
        """How it is loaded; safe settings take the place of those that crash."""
        return self._held.settings

    @property
    def log(self) -> str:
        """The last lines that llama.cpp wrote."""
        return self._held.log

    @property
    def details(self) -> dict[str, Any]:
        """What the worker says of itself: llama_cpp version, processor features, context in use."""
        return dict(self._held.facts)

    def ask(
        self,
        question: Question,
        *,
        people: People | None = None,
        persona: str | Sequence[str] = "",
        mode: Mode | None = None,
        method: Method = "letter",
        order: Order = "as_asked",
        examples: int | None = None,
        variants: int = 5,
        seed: int = 0,
        samples: int = 100,
        wordings: bool = False,
        scramble_scales: bool = False,
        system: str = "",
        in_context: str | None = None,
        design: Design | None = None,
        until_margin: float | None = None,
        executor: Executor | MakesExecutor | None = None,
        progress: bool = True,
        on_progress: Progress | None = None,
        on_answers: OnAnswers | None = None,
        **unknown: Any,
    ) -> Answers:
        """Ask one question and return the probability of each option (definitions, section 2).

        people: whom the model speaks as (`Personas`): rows of kind "personas" with their design and weights.
        persona: a backstory for one exact row (kind "model"), "" for the model's own voice; or a sequence of n
            backstories for n rows (kind "personas"), to be weighted by `design`.
        mode: "chat" through the model's own template, "completion" as plain text; None takes chat where there is a
            template. examples: in-context examples, 0 to 3; None takes 0 for chat, and for completion what the
            model's card says, else 3. in_context: a name for both instead: "none", or "sorensen2024", three examples
            in five variants (Sorensen et al. 2024, App. A), as plain text unless mode says else.
        method, order, variants, seed, samples, wordings, scramble_scales, system: how it is put; see `Manner`.
        until_margin: ask people in random order (drawn by seed) only until the 95% margin of error of every share is
            at most this (0.02 for ±2 points); who was not asked is outside the domain of the answers, and `about`
            says how many were. on_answers: called with the answers so far, people in random order.
        executor: spreads the prompts over processes or machines; see `plural_nb.silicon.spreading.spread`.
        progress: whether a run of more than a second shows a bar. on_progress: called instead with (prompts answered,
            prompts in all).

        The row of each prompt (wording, order, variant) is normalised and then averaged with equal weight;
        `captured_mass` is the mean over a row's prompts and `captured_mass_min` the least, and every prompt's own
        stands in `replies` (persona after persona; for "text_pmi" the content-free prompts follow). `spread` holds
        the lowest and highest probability over orders and wordings (the position bias), or over the variants of a
        single row where there is one order. A persona for whom some prompt put no probability at all on any option
        is a missing row (zeros), with the captured mass that there was: nothing is filled in.

        Raises ModelError for what cannot be asked, TypeError for an unknown argument (naming the nearest), Cancelled,
        or ModelCrashed; replies that came before stay known.
        """
        manner = self._manner(
            mode=mode,
            examples=examples,
            method=method,
            order=order,
            variants=variants,
            seed=seed,
            samples=samples,
            wordings=wordings,
            scramble_scales=scramble_scales,
            system=system,
            in_context=in_context,
            **unknown,
        )
        name: Callable[[int], str] = lambda i: f"persona {i + 1}"  # noqa: E731
        domain: Bools | None = None
        single = people is None and isinstance(persona, str)
        if people is not None:
            if design is not None or persona != "":
                raise ModelError("people bring their own backstories and design: leave persona and design out.")
            [posed] = self._pose([question], people, manner)
            design, domain, about, name = people.design, people.domain, people.about, people.name
        else:
            personas = [persona] if isinstance(persona, str) else list(persona)
            require_askable(question, personas, design)
            posed = Posed.of(question, personas, manner)
            design = design or Design(np.ones(len(personas)))
            about = f"speaking as: {persona}" if single and persona else ""
        whom: dict[str, Any] = {"design": design, "domain": domain, "about": about}
        run: dict[str, Any] = {"executor": executor, "progress": progress, "on_progress": on_progress}
        run |= {"until_margin": until_margin, "name": name, "single": single}
        tell = None if on_answers is None else lambda found: on_answers(found[0])
        return self._answers([posed], whom, on_answers=tell, **run)[0]

    def ask_all(
        self,
        questions: Sequence[Question],
        *,
        people: People,
        until_margin: float | None = None,
        executor: Executor | MakesExecutor | None = None,
        progress: bool = True,
        on_progress: Progress | None = None,
        on_answers: Callable[[dict[str, Answers]], None] | None = None,
        **how: Any,
    ) -> dict[str, Answers]:
        """Ask people several questions in one run, which decodes what their prompts share once; answers by key.

        Arguments and errors as in `ask`; on_progress counts the prompts of all questions. With until_margin all are
        asked the same people, drawn at random, until the margin of every share of every question is small enough.
        """

        def tell(found: list[Answers]) -> None:
            if on_answers is not None:
                on_answers({one.question.key: one for one in found})

        posed = self._pose(questions, people, self._manner(**how))
        whom: dict[str, Any] = {"design": people.design, "domain": people.domain, "about": people.about}
        run: dict[str, Any] = {"executor": executor, "progress": progress, "on_progress": on_progress}
        run |= {"until_margin": until_margin, "name": people.name}
        found = self._answers(posed, whom, on_answers=tell if on_answers else None, **run)
        return {one.question.key: one for one in found}

    def prepare(self, question: Question, *, persona: str = "", **how: Any) -> list[Prompt]:
        """Return the prompts that `ask` would send for one persona; arguments as there.

        Raises ModelError for an unknown mode or method, or for chat with a model that has no chat template.
        """
        return flattened(prompts_for(question, persona, self._manner(**how)))

    def write(self, prompts: Sequence[str] | str, **how: Any) -> list[Writing]:
        """Free text behind each prompt; arguments and errors as in `plural_nb.silicon.writing.write`."""
        from plural_nb.silicon.writing import write

        return write(self, prompts, **how)

    def reply(self, prompt: Prompt) -> Reply:
        """What the model makes of one prompt; errors as in `ask`."""
        return self.replies([prompt])[0]

    def replies(
        self,
        prompts: Sequence[Prompt],
        *,
        on_progress: Progress | None = None,
        executor: Executor | MakesExecutor | None = None,
    ) -> list[Reply]:
        """What the model makes of each prompt, in their order; identical prompts are asked once."""
        self._notice_replaced_file()
        known = self._memory.known(prompts)
        if None in known:
            with self._asking:
                self._notice_replaced_file()
                self._memory.known(prompts)  # another kernel may have asked meanwhile
                self._ask_unknown(prompts, on_progress or (lambda done, total: None), executor)
                known = self._memory.known(prompts)
        elif on_progress:
            on_progress(len(prompts), len(prompts))
        found = [reply for reply in known if reply is not None]
        if len(found) < len(known):
            raise ModelError(f"{self.file.path} was replaced while it was asked. Ask again.")
        return found

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without those that a model's template or beginning of text adds."""
        with self._asking:
            return list(self._held.request("count", texts=list(texts))["tokens"])

    @contextlib.contextmanager
    def remembering_in(self, path: Path) -> Iterator[None]:
        """Within a `with` block, know and keep replies in the store at `path` only."""
        usual = self._memory
        self._memory = Memory(self.file, str(self._held.facts.get("llama_cpp", "")), Store(path))
        try:
            yield
        finally:
            self._memory.store.close()
            self._memory = usual

    @property
    def worker_mb(self) -> float | None:
        """Resident memory of the process that holds the model, in MB; None where this system does not tell."""
        process = self._process
        return process.resident_mb if process else None

    def cancel(self) -> None:
        """End the request that another thread is waiting for; it raises Cancelled there. Does nothing otherwise."""
        self._held.cancel()
        if (stop := self._stop) is not None:
            stop.set()

    def close(self) -> None:
        """End the worker process; a request that runs in another thread raises Cancelled there."""
        self.cancel()
        self._held.close()
        self._memory.store.close()

    @property
    def _process(self) -> WorkerProcess | None:
        return self._held.process

    def _manner(self, **how: Any) -> Manner:
        return manner_for(self.file, also=_ARGUMENTS, **how)

    def _pose(self, questions: Sequence[Question], people: People, manner: Manner) -> list[Posed]:
        posed = [Posed.of(question, people.told(question), manner, where=people.where) for question in questions]
        for one in posed:
            require_room(one, people, int(self._held.facts.get("limit") or 0), self.count_tokens)
        return posed

    def _answers(
        self,
        posed: Sequence[Posed],
        whom: dict[str, Any],
        *,
        name: Callable[[int], str],
        single: bool = False,
        executor: Executor | MakesExecutor | None,
        progress: bool,
        on_progress: Progress | None,
        until_margin: float | None,
        on_answers: Callable[[list[Answers]], None] | None,
    ) -> list[Answers]:
        if not posed:
            return []
        made = provenance(self.file, self._memory, self.details, posed[0].manner)
        source = Source("model" if single else "personas", self.name, self.file.label, made)
        ask = partial(self.replies, executor=executor)
        with told(self.name, progress, on_progress) as report, naming_people(posed, name):
            if until_margin is not None or on_answers is not None:
                how: dict[str, Any] = {"until_margin": until_margin, "on_answers": on_answers, "on_progress": report}
                return ask_in_rounds(posed, ask, source, **whom, **how, seed=posed[0].manner.seed)
            replies = iter(ask([prompt for one in posed for prompt in one.prompts], on_progress=report))
            return [one.answers(list(islice(replies, len(one.prompts))), source, **whom) for one in posed]

    def _ask_unknown(
        self, prompts: Sequence[Prompt], on_progress: Progress, executor: Executor | MakesExecutor | None
    ) -> None:
        copies = Counter(prompts)
        missing = [prompt for prompt in copies if prompt not in self._memory]
        done = len(prompts) - sum(copies[prompt] for prompt in missing)
        on_progress(done, len(prompts))

        def keep(told: Sequence[tuple[Prompt, dict[str, Any]]]) -> None:
            nonlocal done
            new = [(prompt, one) for prompt, one in told if prompt not in self._memory]
            self._memory.learn(new)
            done += sum(copies[prompt] for prompt, _ in new)
            on_progress(done, len(prompts))

        if not missing:
            return
        try:
            if executor is not None:
                self._stop = threading.Event()
                part = Shard(str(self.file.path.absolute()), self._memory.model, self.settings)
                ask_elsewhere(part, list(copies), executor, known=self._memory.__contains__, keep=keep, stop=self._stop)
                return
            # Neighbours in the order of their texts share the longest beginnings, also over the cuts between requests.
            missing.sort(key=lambda prompt: (prompt.text, [turn.content for turn in prompt.messages]))
            self._held.facts |= self._held.ask(
                (prompt.frame() for prompt in missing), lambda told: keep([(missing[i], one) for i, one in told])
            )
        finally:
            self._stop = None
            self._memory.store.flush()

    def _notice_replaced_file(self) -> None:
        now = identity(self.file.path)
        if now == self._identity:
            return
        self.file = require_usable(read_model_file(self.file.path, name=self.file.name))
        self._identity = now
        self._held.let_go()
        self._memory = self._remember()

    def _remember(self) -> Memory:
        return Memory(self.file, str(self._held.facts.get("llama_cpp", "")))


_ARGUMENTS = [name for name in inspect.signature(Model.ask).parameters if name not in ("self", "question", "unknown")]


def _named(model: str | os.PathLike[str]) -> ModelFile:
    from plural_nb.silicon.finding import find_model

    return find_model(model)
