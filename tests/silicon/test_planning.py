from __future__ import annotations

import random

import pytest

from plural_nb.silicon.planning import batches, shared_length


def crowd(seed: int) -> list[tuple[int, ...]]:
    """Prompts as people write them: shared preambles, few symbols, one inside another, forms behind."""
    draw = random.Random(seed)
    found = set()
    for _ in range(draw.randrange(1, 30)):
        person = tuple(draw.randrange(3) for _ in range(draw.randrange(1, 12)))
        for _ in range(draw.randrange(1, 6)):
            found.add(person + tuple(draw.randrange(3) for _ in range(draw.randrange(0, 20))))
    return sorted(found)


@pytest.mark.parametrize("seed", range(60))
def test_each_distinct_beginning_is_decoded_once_and_every_branch_spells_its_prompt(seed: int) -> None:
    """A memory is simulated cell by cell: what each wanted row would see must be exactly its own sequence."""
    sequences, draw = crowd(seed), random.Random(1000 + seed)
    remembered = tuple(draw.randrange(3) for _ in range(draw.randrange(0, 15)))
    size, branches, outputs = draw.choice([(1, 1, 1), (4, 2, 3), (16, 8, 4), (64, 64, 64), (7, 3, 100)])
    decoded, answered = 0, []
    path = remembered
    for batch in batches(sequences, remembered, size=size, branches=branches, outputs=outputs):
        assert 0 < len(batch.tokens) <= size
        assert len(batch.forks) <= branches
        assert len(batch.outputs) <= outputs
        memory = {0: list(path), **{i: list(path[:n]) for i, n in enumerate(batch.forks, start=1)}}
        seen = []
        rows = zip(batch.tokens, batch.positions, batch.first, batch.count, strict=True)
        for token, position, first, count in rows:
            for branch in range(first, first + count):
                assert len(memory[branch]) == position  # llama.cpp demands positions without gaps
                memory[branch].append(int(token))
            seen.append(tuple(memory[first]))
            assert all(memory[b] == memory[first] for b in range(first, first + count))
        for row, place in batch.outputs:
            assert seen[row] == sequences[place]
            answered.append(place)
        path = batch.path
        assert path == tuple(memory[len(batch.forks)])
        decoded += len(batch.tokens)
    assert sorted(answered) == list(range(len(sequences)))
    nodes = {s[:i] for s in sequences for i in range(1, len(s) + 1)}
    known = {remembered[:i] for i in range(1, min(shared_length(remembered, sequences[0]), len(sequences[0]) - 1) + 1)}
    assert decoded == len(nodes - known)


@pytest.mark.parametrize("seed", range(20))
def test_shared_length_is_the_first_place_where_two_differ(seed: int) -> None:
    draw = random.Random(seed)
    a, b = ([draw.randrange(10) > 0 for _ in range(draw.randrange(0, 40))] for _ in range(2))
    truth = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    assert shared_length(a, b) == shared_length(tuple(b), tuple(a)) == truth
