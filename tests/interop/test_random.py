"""Random graphs give the same numbers after the tool as before: the same ones in every run, or fresh ones (--seeds N)."""
import pytest

from tests.support.drawing import Failure
from tests.support.random_graph import try_seed

CHUNK = 20


def pytest_generate_tests(metafunc):
    if "seeds" not in metafunc.fixturenames:
        return
    first, count = metafunc.config.option.first_seed, metafunc.config.option.seeds
    ranges = [range(a, min(a + CHUNK, first + count)) for a in range(first, first + count, CHUNK)]
    metafunc.parametrize("seeds", ranges, ids=[f"{r.start}-{r.stop - 1}" for r in ranges])


def test_random_graphs(seeds, tmp_path):
    failures, folded = [], 0
    for seed in seeds:
        try:
            folded += bool(try_seed(seed, tmp_path))
        except Failure as e:
            failures.append(str(e))
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)
    assert folded * 4 >= len(seeds), f"only {folded} of {len(seeds)} graphs had something to fold"
