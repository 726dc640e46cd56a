"""verify beside what other optimizers make of the models of models/, in both orders, float16 twins too: all is decided, none wrong.

The same as bench/referee.py, which takes any models; with the optimizers that are installed here."""
import argparse
import importlib.util

import onnx
import pytest

from tests.support.cost import SLOWER
from tests.support.tool import ROOT

spec = importlib.util.spec_from_file_location("referee", ROOT / "bench" / "referee.py")
referee = importlib.util.module_from_spec(spec)
spec.loader.exec_module(referee)

# Of those that onnx and ONNX Runtime are not all of: the module that has to be there
MODULES = {"onnxsim": "onnxsim", "onnxslim": "onnxslim", "onnxoptimizer": "onnxoptimizer", "onnxscript": "onnxscript"}
MODELS = sorted((ROOT / "models").glob("*.onnx")) if SLOWER == 1 else [ROOT / "models" / "acnet_block.onnx"]


def is_half(path):
    return any(t.data_type == onnx.TensorProto.FLOAT16 for t in onnx.load(path).graph.initializer)


@pytest.mark.parametrize("peer", referee.PEERS)
def test_peer(peer, tmp_path):
    if peer in MODULES:
        pytest.importorskip(MODULES[peer])
    options = argparse.Namespace(work=tmp_path, make=False, seconds=60)
    asked, told = 0, []
    for source in MODELS:
        if peer == "float16" and is_half(source):
            continue
        _, _, difference, rows = referee.ask((source, peer, options))
        asked += len(rows)
        told += [f"{source.stem} {order}: {answer}, by ONNX Runtime {difference:.1e}: {text}"
                 for order, answer, text, _, wrong in rows if wrong or answer > 1]
    assert not told, "\n".join(told)
    assert asked >= len(MODELS), f"only {asked} asked"
