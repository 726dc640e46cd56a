"""These suites start the program thousands of times. Whether it gives its memory back, all the other suites ask."""
import os

import pytest


@pytest.fixture(autouse=True)
def no_leak_check(monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
