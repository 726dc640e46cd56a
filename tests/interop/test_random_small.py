"""Small models come out equal in every channel, others with every commit: 300 in which sizes coincide, 200 of ops that move numbers."""
import pytest

from tests.support import random_broadcast, random_moves
from tests.support.drawing import Failure

CHUNK = 20
FIRST, SOURCE = random_broadcast.first_seed()
DRAWN = [(generator, range(FIRST + k, FIRST + k + CHUNK))
         for generator, count in ((random_broadcast, 300), (random_moves, 200)) for k in range(0, count, CHUNK)]


@pytest.mark.parametrize("generator, seeds", DRAWN, ids=[f"{g.__name__.rpartition('_')[2]}-{s.start - FIRST}-{s.stop - 1 - FIRST}" for g, s in DRAWN])
def test_random_small(generator, seeds, tmp_path):
    failures, folded = [], 0
    for seed in seeds:
        try:
            folded += bool(generator.try_seed(seed, tmp_path))
        except Failure as e:
            failures.append(str(e))
    if failures:
        again = f"python -m {generator.__name__} --first-seed {seeds.start} --count {CHUNK}"
        pytest.fail("\n".join([f"first seed {FIRST}, {SOURCE}: {again}", *failures]), pytrace=False)
    assert folded * 8 >= len(seeds), f"only {folded} of {len(seeds)} models had something to fold"
