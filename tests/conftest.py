"""Options shared by the suites."""
import os
import time

FIRST_SEED = "ONNX_REPVGG_FUSE_FIRST_SEED"


def pytest_addoption(parser):
    parser.addoption("--seeds", type=int, default=200, help="how many fresh random graphs to draw")
    parser.addoption("--first-seed", type=int, default=None, help="first seed of the fresh ones (default: from the time)")
    parser.addoption("--bless", action="store_true", help="goldens: write what came out as what is expected, once it is verified")


def pytest_configure(config):
    # The workers of one run must agree on the seeds: the controller picks, they inherit its environment.
    if config.option.first_seed is None:
        config.option.first_seed = int(os.environ.setdefault(FIRST_SEED, str(int(time.time()))))


def pytest_report_header(config):
    return f"random graphs: --seeds {config.option.seeds} --first-seed {config.option.first_seed}"
