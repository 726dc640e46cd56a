"""Options shared by the suites."""
import os
import time

import pytest

FIXED_SEEDS = 300
FIRST_SEED = "ONNX_REPVGG_FUSE_FIRST_SEED"


def pytest_addoption(parser):
    parser.addoption("--seeds", type=int, default=None, help=f"how many fresh random graphs to draw in place of the {FIXED_SEEDS} fixed ones")
    parser.addoption("--first-seed", type=int, default=None, help="the first of their seeds (default: from the time)")
    parser.addoption("--bless", action="store_true", help="goldens: write what came out as what is expected, once it is verified")


def pytest_configure(config):
    if config.option.seeds is None:
        config.option.seeds = FIXED_SEEDS
        config.option.first_seed = config.option.first_seed or 0
    # The workers of one run must agree on the seeds: the controller picks, they inherit its environment.
    if config.option.first_seed is None:
        config.option.first_seed = int(os.environ.setdefault(FIRST_SEED, str(int(time.time()))))


def pytest_report_header(config):
    try:
        from tests.support.random_broadcast import first_seed
        broadcasts = "first seed {}, {}".format(*first_seed())
    except ImportError as e:
        broadcasts = f"none: {e}"
    return [f"random graphs: --seeds {config.option.seeds} --first-seed {config.option.first_seed}", f"random broadcasts: {broadcasts}"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One for all pages of a module."""
    from tests.browser import chromium
    b = chromium.Browser(tmp_path_factory.mktemp("browser"))
    yield b
    b.close()
