"""Names that a terminal or a log would act on are shown, not obeyed."""
import subprocess

import onnx
import pytest

from tests.support.net import Net
from tests.support.tool import TOOL


CONTROLS = "w\x1b[31m\x07\n::error::pwned\x7f \u009b31m \u202e\u2066"


@pytest.mark.parametrize("command", [[], ["--explain"], ["info"], ["diff"], ["verify"]])
@pytest.mark.parametrize("where", ["a name", "a broken tensor", "a location"])
def test_names_are_shown_not_obeyed(command, where, tmp_path):
    n = Net(opset=13)
    x = n.input("x", (1, 4, 5, 5))
    weight = n.const(n.kernel(4, 4, (3, 3)), CONTROLS)
    n.output(n.relu(n.add(n.node("Conv", [x, weight], name=CONTROLS + "2", pads=[1] * 4), n.bn(x))))
    model = n.model()
    tensor = next(t for t in model.graph.initializer if t.name == CONTROLS)
    if where == "a broken tensor":
        tensor.dims[0] = 5
    if where == "a location":
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=CONTROLS)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    model.graph.node[0].op_type = "Gemm" if command == ["diff"] else "Conv"
    (tmp_path / "n.onnx").write_bytes(model.SerializeToString())
    files = ["m.onnx", "n.onnx"] if command in (["diff"], ["verify"]) else ["m.onnx"] if command == ["info"] else ["m.onnx", "o.onnx"]
    result = subprocess.run([TOOL, *command, *files], cwd=tmp_path, capture_output=True, timeout=60)
    for stream in (result.stdout.decode(), result.stderr.decode()):
        assert not set(stream) & set("\x1b\x07\x7f\x9b\u202e\u2066"), stream
        assert not any(line.startswith("::") for line in stream.splitlines()), stream
    ends = where != "a name" or files[-1] == "o.onnx"  # with an error, or with what a run says last
    assert result.stderr.count(b"\n") == ends, result.stderr
