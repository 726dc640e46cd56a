"""Small models in which sizes coincide come out equal in every channel: 300 of them, others with every commit."""
import pytest

from tests.support.drawing import Failure
from tests.support.random_broadcast import first_seed, try_seed

SEEDS, CHUNK = 300, 20
FIRST, SOURCE = first_seed()


@pytest.mark.parametrize("seeds", [range(FIRST + k, FIRST + k + CHUNK) for k in range(0, SEEDS, CHUNK)],
                         ids=[f"{k}-{k + CHUNK - 1}" for k in range(0, SEEDS, CHUNK)])
def test_random_broadcasts(seeds, tmp_path):
    failures, folded = [], 0
    for seed in seeds:
        try:
            folded += bool(try_seed(seed, tmp_path))
        except Failure as e:
            failures.append(str(e))
    if failures:
        again = f"python -m tests.support.random_broadcast --first-seed {seeds.start} --count {CHUNK}"
        pytest.fail("\n".join([f"first seed {FIRST}, {SOURCE}: {again}", *failures]), pytrace=False)
    assert folded * 8 >= len(seeds), f"only {folded} of {len(seeds)} models had something to fold"
