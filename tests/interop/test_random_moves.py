"""Models of ops that move numbers about come out equal in every channel: 200 of them, others with every commit."""
import pytest

from tests.support.drawing import Failure
from tests.support.random_broadcast import first_seed
from tests.support.random_moves import try_seed

SEEDS, CHUNK = 200, 20
FIRST, SOURCE = first_seed()


@pytest.mark.parametrize("seeds", [range(FIRST + k, FIRST + k + CHUNK) for k in range(0, SEEDS, CHUNK)],
                         ids=[f"{k}-{k + CHUNK - 1}" for k in range(0, SEEDS, CHUNK)])
def test_random_moves(seeds, tmp_path):
    failures, folded = [], 0
    for seed in seeds:
        try:
            folded += bool(try_seed(seed, tmp_path))
        except Failure as e:
            failures.append(str(e))
    if failures:
        again = f"python -m tests.support.random_moves --first-seed {seeds.start} --count {CHUNK}"
        pytest.fail("\n".join([f"first seed {FIRST}, {SOURCE}: {again}", *failures]), pytrace=False)
    assert folded * 8 >= len(seeds), f"only {folded} of {len(seeds)} models had something to fold"
