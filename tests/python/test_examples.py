"""Each example runs: on models of this repository, and from torch's exporters where torch is."""
import importlib
import importlib.util
import pathlib
import subprocess
import sys

import onnx
import pytest

from onnx_repvgg_fuse.testing import assert_equivalent
from tests.python.conftest import ops
from tests.support.tool import ROOT

EXAMPLES = ROOT / "examples"
CORPUS = ROOT / "tests" / "corpus"
sys.path.insert(0, str(EXAMPLES))


def example(name, *needs):
    """The module, or a skip where what it is about is not installed."""
    for need in needs:
        if importlib.util.find_spec(need) is None:
            pytest.skip(f"needs {need}")
    return importlib.import_module(name)


def filled(name, folder):
    """A network of tests/corpus as its exporter wrote it, weights put back."""
    subprocess.run([sys.executable, CORPUS / "refill.py", CORPUS / f"{name}.onnx.gz", "-o", folder], check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(folder) / f"{name}.onnx"


def test_every_example_has_a_test():
    text = pathlib.Path(__file__).read_text() + (ROOT / "tests" / "scale" / "test_dask.py").read_text()
    for script in EXAMPLES.glob("*.py"):
        assert f'"{script.stem}"' in text or script.name in text, script.name
        assert f"`{script.name}`" in (EXAMPLES / "README.md").read_text() or script.name == "dask_store.py"


def test_torch_export_from_exported(tmp_path):
    """What both exporters wrote of RepVGG-A0 stands in for an export."""
    models = [filled(name, tmp_path) for name in ("repvgg_a0.ts.train", "repvgg_a0.dyn.train")]
    results = example("torch_export").main([str(tmp_path), "--from", *map(str, models)])
    for result in results:
        assert ops(result.model).count("Conv") == 22 and "BatchNormalization" not in ops(result.model)


def test_torch_export(tmp_path):
    module = example("torch_export", "torch", "onnxscript")
    for result in module.main([str(tmp_path)]):
        assert ops(result.model).count("Conv") == 9 and "Add" not in ops(result.model)


def test_timm_from_exported(tmp_path):
    result = example("timm_export").main(["--from", str(filled("mobileone_s1.ts.train", tmp_path)), "mobileone_s1", str(tmp_path / "out.onnx")])
    assert ops(result.model).count("Conv") == 43


def test_timm(tmp_path):
    result = example("timm_export", "torch", "timm").main(["repvgg_a0", str(tmp_path / "out.onnx")])
    assert ops(result.model).count("Conv") == 22


def test_ultralytics_from_exported(tmp_path):
    result = example("ultralytics_export").main(["--from", str(filled("yolov9t.dyn.train", tmp_path)), "yolov9t", str(tmp_path / "out.onnx")])
    assert ops(result.model).count("Conv") <= 186


def test_ultralytics(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = example("ultralytics_export", "ultralytics").main(["yolov9t.yaml", str(tmp_path / "out.onnx")])
    trained = example("ultralytics_export", "ultralytics").main(["--as-trained", "yolov9t.yaml", str(tmp_path / "trained.onnx")])
    assert trained.report.before.by_type["Conv"] > trained.report.after.by_type["Conv"]
    assert trained.report.after.by_type["Conv"] == result.report.after.by_type["Conv"] == 186


TRAINED = ROOT.parent / "shared" / "int8"


@pytest.mark.skipif(not TRAINED.exists(), reason="the trained networks are not beside the checkout")
def test_quantise(tmp_path, capsys):
    """On a trained network: what fusing costs where a weight has one step, and that equalising brings it back."""
    table = example("quantise").main([str(TRAINED / "mobileone_skewed.onnx"), str(TRAINED / "plain.npz"), str(tmp_path)])
    assert table["fused", ("tensor", "uint8")][1] < 10
    assert table["equalised", ("tensor", "uint8")][1] > 20
    out = capsys.readouterr().out
    assert "equalising changes 0 numbers" in out and out.count(" dB") == 12
    assert "Equalised" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_activation_statistics(small, tmp_path):
    """What it measures of a fused file is taken by --equalize."""
    import numpy as np
    import onnx_repvgg_fuse

    fused = tmp_path / "fused.onnx"
    onnx_repvgg_fuse.fuse(small, fused)
    shape = [d.dim_value or 1 for d in onnx.load(fused).graph.input[0].type.tensor_type.shape.dim]
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(4, *shape[1:])).astype(np.float32))
    for name in ("s.json", "s.npz"):
        example("activation_statistics").main([str(fused), str(tmp_path / "x.npy"), str(tmp_path / name)])
        report = onnx_repvgg_fuse.fuse(fused, tmp_path / f"{name}.onnx", equalize="tensor", statistics=tmp_path / name).report
        assert not any("no statistics" in r.reason for r in report.refusals if r.op == "Conv")
        assert_equivalent(fused, tmp_path / f"{name}.onnx")
    assert (tmp_path / "s.json.onnx").read_bytes() == (tmp_path / "s.npz.onnx").read_bytes()


def test_onnx_ir_pass(small, tmp_path):
    report = example("onnx_ir_pass", "onnx_ir").main(str(small), str(tmp_path / "out.onnx"))
    assert report.after.by_type["Conv"] == 22
    assert ops(tmp_path / "out.onnx").count("Conv") == 22
    assert_equivalent(small, tmp_path / "out.onnx")


def test_the_pass_takes_options_and_says_when_nothing_changes(small):
    import onnx_ir
    from onnx_repvgg_fuse.ir import FusePass

    model = onnx_ir.load(small)
    idle = FusePass(only=[])
    assert not idle(model).modified and not idle.report.changed
    assert FusePass()(model).modified
    with pytest.raises(onnx_ir.passes.PassError) as caught:
        onnx_ir.passes.Sequential(FusePass(only="nothing"))(model)
    assert "no pass 'nothing'" in str(caught.value.__cause__)


def test_openvino(small, tmp_path, capsys):
    difference = example("openvino_run", "openvino").main(str(small), str(tmp_path / "out.onnx"))
    assert difference < 1e-4
    assert "difference under OpenVINO" in capsys.readouterr().out


def test_polygraphy(small, tmp_path):
    assert example("polygraphy_run", "polygraphy").main(str(small), str(tmp_path / "out.onnx"))


def test_polygraphy_sees_a_difference(small, tmp_path, monkeypatch):
    module = example("polygraphy_run", "polygraphy")

    def damage(source, target):
        model = onnx.load(source)
        model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
        onnx.save(model, target)

    monkeypatch.setattr(module.onnx_repvgg_fuse, "fuse", damage)
    assert not module.main(str(small), str(tmp_path / "out.onnx"))


def test_tour(small, tmp_path, capsys):
    result = example("tour").main(["--from", str(small), str(tmp_path / "tour")])
    said = capsys.readouterr().out
    assert "Conv" in said and "same: output" in said and "time under ONNX Runtime" in said
    page = (tmp_path / "tour" / "report.html").read_text()
    assert page == result.report.html()


def test_trtexec_lines():
    """TensorRT cannot run here: its lines are documented, and begin with a command that this package has."""
    text = (EXAMPLES / "README.md").read_text()
    assert "onnx-repvgg-fuse model.onnx fused.onnx" in text and "trtexec --onnx=fused.onnx" in text
