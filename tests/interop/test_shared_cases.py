"""The small models of ../shared/cases, each of a kind that once came out wrong, dearer, or with more ops than it needs.

The folder lies beside the checkout where the project is worked on; elsewhere there is nothing to run.
"""
import subprocess
import sys

import pytest

from tests.support.tool import ROOT, TOOL

CHECK = ROOT.parent / "shared" / "cases" / "check.py"


@pytest.mark.skipif(not CHECK.exists(), reason="../shared/cases is not beside this checkout")
@pytest.mark.parametrize("group", ["exact", "no_larger", "verify", "diff"])
def test_group(group):
    result = subprocess.run([sys.executable, CHECK, TOOL, group], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
