"""Shards spread over an executor: a pool that breaks is made again, and a shard that kills is found and reported."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from plural_nb.errors import Cancelled, ModelCrashed, ModelError, PluralError
from plural_nb.silicon.posing import Posed
from plural_nb.silicon.prompt import Prompt
from plural_nb.silicon.shards import ATTEMPTS, Answered, Shard, answer, cut

MakesExecutor = Callable[[], Executor]
_LOOK_SECONDS = 0.1
_NAMED = 12


@dataclass(frozen=True, slots=True)
class Lost:
    """A shard that ended two workers: its place among the shards, why, and the last lines of llama.cpp."""

    shard: int
    why: str
    log: str = ""


class PromptsLost(ModelCrashed):
    """Some prompts ended two workers; all others were answered and are kept.

    prompts: those without an answer.
    """

    def __init__(self, message: str, log: str, prompts: Sequence[Prompt]) -> None:
        super().__init__(message, log)
        self.prompts = tuple(prompts)


def ask_elsewhere(
    part: Shard,
    prompts: Sequence[Prompt],
    executor: Executor | MakesExecutor,
    *,
    known: Callable[[Prompt], bool],
    keep: Callable[[list[tuple[Prompt, dict[str, Any]]]], None],
    stop: threading.Event,
) -> None:
    """Have an executor answer the shards of distinct prompts in which some prompt is not known.

    part: a shard without prompts, which says what model. known: whether a prompt was answered before. keep: given each
    prompt that was answered, with what was told of it, known ones too. executor, stop, errors: as in `spread`.

    Whole shards are asked, cut before looking at what is known, so a resumed run repeats the very work of an
    undisturbed one. Raises PromptsLost, once all others are answered, where shards ended two workers each.
    """
    shards = [shard for shard in cut(prompts) if any(not known(prompt) for prompt in shard)]

    def told(i: int, answered: Answered) -> None:
        keep([(shards[i][one["place"]], one) for one in answered.told])

    sent = [replace(part, prompts=tuple(prompt.frame() for prompt in shard)) for shard in shards]
    lost = spread(sent, executor, on_answered=told, stop=stop)
    if lost:
        gone = [prompt for one in lost for prompt in shards[one.shard] if not known(prompt)]
        raise PromptsLost(lost[0].why, lost[0].log, gone)


def spread(
    shards: Sequence[Shard],
    executor: Executor | MakesExecutor,
    *,
    on_answered: Callable[[int, Answered], None],
    stop: threading.Event,
) -> list[Lost]:
    """Answer shards wherever the executor runs them, and return those that ended two workers each.

    executor: any of `concurrent.futures`, dask's `Client.get_executor()`, or a function that makes one.
    on_answered: told the place and what came of each shard, in the calling thread. stop: ends the run.

    A process that dies breaks a whole `ProcessPoolExecutor`, which is then made again. What was running when it broke
    is asked alone: a shard that breaks the pool again is known and left out, at the cost of nobody else's answer.

    Raises Cancelled; ModelError of a prompt that cannot be asked or an executor that fails; ModelCrashed where
    the pool breaks a second time without a shard to blame, or whatever it is given. What was answered has been told
    by then.
    """
    run = _Run(shards, _Pool(executor), on_answered, stop)
    try:
        while run.unfinished:
            run.step()
    finally:
        run.end()
    return run.lost


@contextlib.contextmanager
def naming_people(posed: Sequence[Posed], name: Callable[[int], str]) -> Iterator[None]:
    """Within a `with` block, an error about lost prompts becomes one that names whose they are.

    posed: what was asked. name: what messages call the person told i-th.
    """
    try:
        yield
    except PromptsLost as lost:
        gone = frozenset(lost.prompts)
        places = {
            i * one.n // one.asked
            for one in posed
            for i, prompt in enumerate(one.prompts[: one.asked])
            if prompt in gone
        }
        names = [name(i) for i in sorted(places)]
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        raise ModelCrashed(
            f"{lost} That happened with each try to answer {', '.join(names[:_NAMED])}{more}. All other answers are "
            "kept. Leave them out, or word them differently.",
            lost.log,
        ) from None


@dataclass(slots=True)
class _Run:
    shards: Sequence[Shard]
    pool: _Pool
    on_answered: Callable[[int, Answered], None]
    stop: threading.Event
    waiting: deque[int] = field(init=False)
    suspects: deque[int] = field(default_factory=deque)
    running: dict[Future[Answered], int] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    alone: int = -1  # the suspect that is asked
    unexplained: bool = False  # whether the pool broke and no shard was found to be the cause
    any_answered: bool = False

    def __post_init__(self) -> None:
        self.waiting = deque(range(len(self.shards)))

    @property
    def unfinished(self) -> bool:
        return bool(self.waiting or self.suspects or self.running)

    def step(self) -> None:
        if self.stop.is_set():
            raise Cancelled("The request was cancelled.")
        try:
            self._hand_out()
            done, _ = wait(self.running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            broken, error = self._take(done)
        except BrokenExecutor as found:  # it broke while nothing was taken from it
            broken, error = [], found
        if error is not None:
            # The others that were running fail of it too, or were done before.
            rest, _ = wait(self.running)
            self._broke(broken + self._take(rest)[0], error)

    def end(self) -> None:
        for future in self.running:
            future.cancel()
        self.pool.end()

    def _hand_out(self) -> None:
        if not self.running:
            self.alone = self.suspects[0] if self.suspects else -1
            if self.suspects:
                self._submit(self.suspects)
        # No more than there are processes: then what was running when a pool broke is what may have broken it.
        while self.waiting and self.alone < 0 and len(self.running) < self.pool.width:
            self._submit(self.waiting)

    def _submit(self, line: deque[int]) -> None:
        shard = replace(self.shards[line[0]], processes=self.pool.processes)
        future = self.pool.executor.submit(answer, shard)
        self.running[future] = line.popleft()

    def _take(self, done: set[Future[Answered]]) -> tuple[list[int], BaseException | None]:
        broken, why = [], None
        for future in done:
            place = self.running.pop(future)
            error = None if future.cancelled() else future.exception()
            if isinstance(error, BrokenExecutor):
                broken.append(place)
                why = error
            elif type(error).__name__ == "KilledWorker":  # dask tried it on several workers by itself
                self.lost.append(Lost(place, "They ended several of the cluster's workers."))
            elif isinstance(error, PluralError):
                raise error
            elif error is not None or future.cancelled():
                said = f"{type(error).__name__}: {error}" if error else "it was shut down"
                raise ModelError(f"The executor could not run a part of this ({said}). What was answered is kept.")
            else:
                answered = future.result()
                self.any_answered = True
                if answered.crash:
                    self.lost.append(Lost(place, answered.crash, answered.log))
                self.on_answered(place, answered)
        return broken, why

    def _broke(self, broken: list[int], error: BaseException) -> None:
        if broken == [self.alone]:  # it was also running when the pool broke before
            self.lost.append(Lost(broken[0], f"They ended {ATTEMPTS} processes of the pool."))
            self.unexplained = False
            if len(self.lost) > self.pool.width and not self.any_answered:
                raise ModelCrashed("The pool breaks whatever it is given. Ask without it to see why.") from error
        elif self.unexplained:
            raise ModelCrashed("The pool broke twice. What was answered is kept; ask again.") from error
        else:
            self.unexplained = True
            self.suspects.extend(sorted(broken))
        if self.unfinished:
            self.pool.make_again(error)


class _Pool:
    """The executor in use: the one that was given, or one made in its place."""

    def __init__(self, given: Executor | MakesExecutor) -> None:
        self._given = given
        self.made = 0
        self._own = not isinstance(given, Executor)
        self.executor: Executor = given if isinstance(given, Executor) else given()
        if not isinstance(self.executor, Executor):
            raise ModelError(f"executor is {given!r}. Give a concurrent.futures.Executor, or a function making one.")

    @property
    def width(self) -> int:
        """How many shards run at once."""
        own = getattr(self.executor, "_max_workers", None)
        if own is not None:
            return int(own)
        client = getattr(self.executor, "_client", None)
        return max(1, sum(client.ncores().values())) if client is not None else 4

    @property
    def processes(self) -> int:
        """How many processes share this machine's cores; 0 where they may be elsewhere, and know it themselves."""
        return self.width if isinstance(self.executor, ProcessPoolExecutor) else 0

    def make_again(self, error: BaseException) -> None:
        """Put a fresh executor of the same kind in the place of a broken one."""
        self.end()
        self.made += 1
        given: Any = self._given
        if not isinstance(given, Executor):
            self.executor = given()
        elif isinstance(given, ProcessPoolExecutor):
            made: Any = given
            context, prepare, arguments = (
                getattr(made, f"_{n}", None) for n in ("mp_context", "initializer", "initargs")
            )
            self.executor = type(given)(self.width, context, prepare, arguments or ())
        else:
            raise ModelCrashed(
                "The executor broke and cannot be made again from here. Give a function that makes one; what was "
                "answered is kept."
            ) from error
        self._own = True

    def end(self) -> None:
        """Shut down what was made here; an executor that was given stays its owner's."""
        if self._own:
            self.executor.shutdown(wait=True, cancel_futures=True)
            self._own = False
