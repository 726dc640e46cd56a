"""Graphs of real networks, as their exporters wrote them, reach the size of their own deploy form."""
import importlib.util

import pytest

from tests.support.tool import ROOT, assert_equal_under_ort, check_tidy, check_valid, count_ops, feeds, fuse, same_interface

CORPUS = ROOT / "tests" / "corpus"

# skeleton: ops and Conv now, ops and Conv wanted at most
COUNTS = {
    "repvgg_a0.ts": (125, 44, 47, 22),
    "repvgg_a0.dyn": (125, 44, 47, 22),
    "repvgg_b1g4.tsp": (217, 56, 59, 28),
    "mobileone_s1.ts": (231, 65, 89, 43),
    "mobileone_s1.tsp": (296, 65, 89, 43),
    "fastvit_t8.dyn": (196, 68, 86, 52),
    "repvit_m0_9.ts": (404, 126, 306, 103),
    "yolov9t.dyn": (737, 228, 653, 186),
}

# The same, where what folds is not around a Conv but across Reshapes, Transposes, Concats and attention.
ACROSS = {
    "convnextv2_atto.tsp": (318, 40, 250, 40),
    "efficientvit_m0.ts": (1138, 116, 505, 116),
    "ghostnetv3_050.tsp": (1261, 309, 307, 137),
    "hgnetv2_b0.dyn": (148, 43, 86, 43),
    "levit_128s.tsp": (643, 4, 281, 4),
    "shvit_s1.ts": (411, 77, 278, 77),
}
ALL = COUNTS | ACROSS

# What float32 rounding becomes behind softmaxes and norms, of the largest output; elsewhere 2e-5 is enough.
AMPLIFIED = {"efficientvit_m0.ts": 1e-4}


def refill(name):
    spec = importlib.util.spec_from_file_location("refill", CORPUS / "refill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.refill(CORPUS / f"{name}.train.onnx.gz")


def test_every_skeleton_has_its_counts():
    assert {p.name.removesuffix(".train.onnx.gz") for p in CORPUS.glob("*.onnx.gz")} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_corpus(name, tmp_path):
    ops, convs, ops_wanted, convs_wanted = ALL[name]
    before = refill(name)
    counts = count_ops(before)
    assert (sum(counts.values()), counts["Conv"]) == (ops, convs)

    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    after = result.model
    counts = count_ops(after)
    assert sum(counts.values()) <= ops_wanted, result.reasons()
    assert counts["Conv"] <= convs_wanted, result.reasons()
    assert result.report["warnings"] == []
    assert result.report["largest_difference"] <= 2e-5

    check_valid(after)
    same_interface(before, after)
    check_tidy(after, before)
    inputs = next(feeds(before))
    inputs = {k: v[:1] for k, v in inputs.items()}
    assert_equal_under_ort(before, after, [inputs], AMPLIFIED.get(name, 2e-5))

    again = fuse(result.data, tmp_path, stem="again")
    assert again.data == result.data, "the output folds further"
