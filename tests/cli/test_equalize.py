"""--equalize: what it changes, what it leaves alone and why, and that no output changes by a bit."""
import io
import json
import subprocess
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from tests.support.net import Net
from tests.support.page import Page
from tests.support.random_equalize import run, same_bits, try_seed
from tests.support.tool import TOOL, fuse

C = 8


def norm(n, x, spread=6.0, gamma=None, beta=None):
    """BatchNormalization whose channels lie far apart."""
    c = n.channels(x)
    gamma = 2.0 ** np.linspace(-spread / 2, spread / 2, c) if gamma is None else gamma
    beta = 0.5 * gamma if beta is None else beta
    return n.bn(x, stats=[n.const(v) for v in (gamma, beta, np.full(c, 0.125), np.ones(c))])


def network(between=lambda n, x: n.relu(x), dtype="float32", first=norm, second=None, opset=17):
    """Conv, BatchNormalization, something, Conv, BatchNormalization, Relu, Gemm. What is between is the only seam."""
    n = Net(opset, 8 if opset < 21 else 10, dtype=dtype, seed=3)
    x = n.input("x", (1, 3, 9, 9))
    y = between(n, first(n, n.conv(x, C, 3)))
    y = (second or (lambda n, y: n.conv(y, C, 3)))(n, y)
    n.output(n.node("Sigmoid", [y]))
    return n.model()


def equalize(model, folder, *options, grain="tensor"):
    plain = fuse(model, folder, stem="plain")
    even = fuse(model, folder, "--equalize", grain, *options, stem="even")
    assert plain.code == 0 and even.code == 0, even.stderr
    return plain, even


def draw(model):
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def scaled(even):
    return [e for e in even.report["equalized"] if e["scaled"]]


def reasons(even):
    return [r["reason"] for r in even.report["refusals"] if r["pass"] == "equalize"]


LET_THROUGH = {
    "Relu": lambda n, x: n.relu(x),
    "LeakyRelu": lambda n, x: n.node("LeakyRelu", [x], alpha=0.25),
    "PRelu": lambda n, x: n.node("PRelu", [x, n.const(np.linspace(0.1, 0.9, C).reshape(C, 1, 1))]),
    "MaxPool": lambda n, x: n.node("MaxPool", [x], kernel_shape=[2, 2]),
    "AveragePool": lambda n, x: n.avgpool(x, 2),
    "Pad": lambda n, x: n.pad(n.relu(x), [1, 1, 1, 1]),
    "Resize": lambda n, x: n.node("Resize", [x, "", n.const(np.array([1, 1, 2, 2], np.float32), dtype=np.float32)], mode="linear"),
    "residual": lambda n, x: n.add(n.relu(x), n.relu(norm(n, n.conv(n.relu(x), C, 3)))),
    "Concat": lambda n, x: n.node("Concat", [n.relu(x), n.relu(norm(n, n.conv(n.relu(x), 4, 3)))], axis=1),
    "Split": lambda n, x: n.node("Concat", list(n.node("Split", [n.relu(x)], n_out=2, axis=1))[::-1], axis=1),
    "depthwise": lambda n, x: n.relu(norm(n, n.conv(n.relu(x), C, 3, group=C))),
    "grouped": lambda n, x: n.relu(norm(n, n.conv(n.relu(x), C, 3, group=2))),
    "ConvTranspose": lambda n, x: n.relu(norm(n, n.conv_t(n.relu(x), C, 3, group=2))),
    "gate": lambda n, x: n.node("Mul", [n.relu(x), n.node("Sigmoid", [n.conv(n.node("GlobalAveragePool", [n.relu(x)]), C, 1)])]),
    "constant": lambda n, x: n.node("Add", [n.relu(x), n.per_channel(x)]),
    "shuffle": lambda n, x: n.node("Reshape", [n.node("Transpose", [n.node("Reshape", [n.relu(x), n.ints(1, C, 81)])], perm=[0, 1, 2]), n.ints(1, C, 9, 9)]),
}


@pytest.mark.parametrize("name", LET_THROUGH)
@pytest.mark.parametrize("grain", ["tensor", "channel"])
def test_lets_scales_through(tmp_path, name, grain):
    plain, even = equalize(network(LET_THROUGH[name]), tmp_path, grain=grain)
    assert scaled(even) or grain == "channel", reasons(even)
    assert not even.report["warnings"]
    assert same_bits(plain.model, even.model, draw(plain.model))


TOLD = {
    "branches": lambda n, x: n.add(norm(n, n.conv(x, C, 3)), norm(n, n.conv(x, C, 1))),
    "three branches": lambda n, x: n.add(norm(n, n.conv(x, C, 3)), norm(n, n.conv(x, C, 1)), norm(n, x)),
    "after the sum": lambda n, x: norm(n, n.add(n.bn(n.conv(x, C, 3)), n.conv(x, C, 1), x)),
    "a chain": lambda n, x: n.bn(norm(n, n.conv(x, C, 3))),
    "behind a constant": lambda n, x: n.node("Mul", [norm(n, n.conv(x, C, 3)), n.const(2.0 ** np.arange(C).reshape(C, 1, 1))]),
    "a pointwise before": lambda n, x: norm(n, n.conv(n.conv(x, 4, 1), C, 3)),
}


@pytest.mark.parametrize("name", TOLD)
def test_statistics_come_from_what_was_fused(tmp_path, name):
    """BatchNormalizations of branches, behind a sum, in a chain: none is left, and what they told is known."""
    plain, even = equalize(network(first=lambda n, x: TOLD[name](n, n.relu(x))), tmp_path)
    assert not any(node.op_type == "BatchNormalization" for node in plain.model.graph.node)
    assert scaled(even), reasons(even)
    assert same_bits(plain.model, even.model, draw(plain.model))


@pytest.mark.parametrize("head", ["Gemm", "MatMul"])
def test_scales_the_columns_of_a_head(tmp_path, head):
    def second(n, y):
        pooled = n.node("Flatten", [n.node("GlobalAveragePool", [y])])
        return n.gemm(pooled, 5) if head == "Gemm" else n.matmul(pooled, 5)

    plain, even = equalize(network(second=second), tmp_path)
    assert scaled(even)
    assert same_bits(plain.model, even.model, draw(plain.model))


REFUSED = {
    "SiLU": (lambda n, x: n.node("Mul", [x, n.node("Sigmoid", [x])]), "Sigmoid is not homogeneous"),
    "Clip": (lambda n, x: n.node("Clip", [x, n.scalar(0.0), n.scalar(6.0)]), "Clip is not homogeneous"),
    "Softmax": (lambda n, x: n.node("Softmax", [x], axis=1), "Softmax is not homogeneous"),
    "Pad": (lambda n, x: n.pad(n.relu(x), [1, 1, 1, 1], value=0.5), "it pads with a number other than 0"),
    "ReduceMean": (lambda n, x: n.node("Sub", [x, n.node("ReduceMean", [x], axes=[1])]), "it reduces over channels"),
    "QDQ": (lambda n, x: n.node("DequantizeLinear", [n.node("QuantizeLinear", [x, n.scalar(0.125), n.const(np.array(0, np.int8))]),
                                                     n.scalar(0.125), n.const(np.array(0, np.int8))]), "QuantizeLinear is not homogeneous"),
    "product": (lambda n, x: n.node("Mul", [n.relu(x), n.node("Abs", [x])]), "two values that could both be scaled"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(tmp_path, name):
    between, reason = REFUSED[name]
    plain, even = equalize(network(between), tmp_path)
    assert plain.data == even.data
    assert any(reason in r for r in reasons(even)), reasons(even)


def test_refuses_what_the_graph_gives_out(tmp_path):
    model = network(opset=17)
    relu = next(v for v in model.graph.node if v.op_type == "Relu").output[0]
    model.graph.output.append(next(v for v in model.graph.value_info if v.name == relu))
    plain, even = equalize(model, tmp_path)
    assert plain.data == even.data
    assert any("it is a graph output" in r for r in reasons(even)), reasons(even)


def test_refuses_a_shared_weight(tmp_path):
    def second(n, y):
        a = n.conv(y, C, 3)
        weight = n.nodes[-1].input[1]
        return n.node("Concat", [a, n.conv(n.node("Abs", [y]), C, 3, weight=weight)], axis=1)

    plain, even = equalize(network(second=second), tmp_path)
    assert plain.data == even.data
    assert any("is shared" in r for r in reasons(even)), reasons(even)


def test_refuses_float16(tmp_path):
    plain, even = equalize(network(dtype="float16"), tmp_path)
    assert plain.data == even.data
    assert any("float16" in r for r in reasons(even)), reasons(even)


def test_refuses_more_channels_than_it_examines(tmp_path):
    n, wide = Net(seed=3), 70_000
    y = norm(n, n.conv(n.input("x", (1, 2, 2, 2)), wide, 1))
    for _ in range(5):
        y = n.node("LeakyRelu", [y], alpha=0.25)
    n.output(n.node("Sigmoid", [n.conv(y, wide, 1, group=wide)]))
    plain, even = equalize(n.model(), tmp_path)
    assert plain.data == even.data
    assert any("limit: the values before it have as many channels as" in r for r in reasons(even)), reasons(even)


def test_refuses_without_statistics(tmp_path):
    fused = fuse(network(), tmp_path, stem="fused").model
    plain, even = equalize(fused, tmp_path)
    assert plain.data == even.data
    assert any("no statistics" in r for r in reasons(even)), reasons(even)


@pytest.mark.parametrize("spread, reason", [(0.25, "nothing is gained"), (1.875, "less than 1")])
def test_leaves_an_even_network_alone(tmp_path, spread, reason):
    plain, even = equalize(network(first=lambda n, x: norm(n, x, spread=spread)), tmp_path)
    assert plain.data == even.data
    assert any(reason in r for r in reasons(even)), reasons(even)


@pytest.mark.parametrize("what", ["no weight", "dead"])
def test_leaves_a_dead_row_alone(tmp_path, what):
    gamma = 2.0 ** np.linspace(-3, 3, C)
    beta = 0.5 * gamma
    gamma[2], beta[2] = (1e-7, 5.0) if what == "no weight" else (0.0, -1.0)
    plain, even = equalize(network(first=lambda n, x: norm(n, x, gamma=gamma, beta=beta)), tmp_path)
    one, = scaled(even)
    assert one["exponents"][2] == 0
    reason, = one["kept"]
    assert reason["channels"] == 1 and reason["reason"].startswith(("its weights are almost 0 beside its bias", "its statistics say that it hardly varies"))
    r = subprocess.run([TOOL, "--equalize", "tensor", "--explain", "--dry-run", tmp_path / "even.onnx"], capture_output=True, text=True)
    assert f"; 1 kept: {reason['reason']}" in r.stdout
    assert same_bits(plain.model, even.model, draw(plain.model))


def test_no_number_becomes_subnormal(tmp_path):
    def first(n, x):
        y = norm(n, x)
        weight = next(t for t in n.initializers if t.name.endswith("weight"))
        array = numpy_helper.to_array(weight).copy()
        array[:, 0, 0, 0] = 2e-38
        weight.CopyFrom(numpy_helper.from_array(array, weight.name))
        return y

    plain, even = equalize(network(first=first), tmp_path)
    for tensor in even.model.graph.initializer:
        array = np.abs(numpy_helper.to_array(tensor))
        if array.dtype == np.float32:
            assert not ((array > 0) & (array < np.finfo(np.float32).tiny)).any() or tensor in plain.model.graph.initializer


def test_equalising_twice_changes_nothing(tmp_path):
    _, even = equalize(network(), tmp_path)
    again = fuse(even.model, tmp_path, "--equalize", "tensor", stem="again")
    assert again.data == even.data


def test_verify_says_equal(tmp_path):
    plain, even = equalize(network(), tmp_path)
    r = subprocess.run([TOOL, "verify", plain.path, even.path], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout


def test_spread_narrows(tmp_path):
    _, even = equalize(network(), tmp_path)
    one, = scaled(even)
    assert one["spread_after"] < one["spread_before"] and one["decibels_after"] >= one["decibels_before"] + 1
    assert len(one["ranges"]) == len(one["exponents"]) == one["channels"] == C


def test_explains(tmp_path):
    source = tmp_path / "m.onnx"
    onnx.save(network(), source)
    r = subprocess.run([TOOL, "--equalize", "tensor", "--explain", "--dry-run", source], capture_output=True, text=True)
    assert "equalized '" in r.stdout and "channels by 2^" in r.stdout


def test_info_draws_what_it_would_bring(tmp_path):
    onnx.save(network(), tmp_path / "m.onnx")
    r = subprocess.run([TOOL, "info", "--report", tmp_path / "page.html", tmp_path / "m.onnx"], capture_output=True, text=True)
    assert r.returncode == 0 and "--equalize tensor" in r.stdout, r.stderr
    data = Page((tmp_path / "page.html").read_bytes()).data
    one, = data["per_tensor"]
    assert len(one["before"]) == len(one["after"]) == C
    assert max(one["after"]) / min(one["after"]) < max(one["before"]) / min(one["before"])
    assert "per_channel" in data and "equalized" not in data
    assert not (tmp_path / "o.onnx").exists()


def test_info_writes_its_page_to_a_file_only(tmp_path):
    onnx.save(network(), tmp_path / "m.onnx")
    r = subprocess.run([TOOL, "info", "--report", "-", tmp_path / "m.onnx"], capture_output=True, text=True)
    assert r.returncode == 2 and "expected a file" in r.stderr and not r.stdout


def test_batch_equalises(tmp_path):
    onnx.save(network(), tmp_path / "m.onnx")
    r = subprocess.run([TOOL, "--equalize", "tensor", "--batch", tmp_path / "out", tmp_path / "m.onnx"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    _, even = equalize(network(), tmp_path)
    assert (tmp_path / "out" / "m.onnx").read_bytes() == even.data


def test_another_grain_is_an_error(tmp_path):
    onnx.save(network(), tmp_path / "m.onnx")
    r = subprocess.run([TOOL, "--equalize", "row", tmp_path / "m.onnx", tmp_path / "o.onnx"], capture_output=True, text=True)
    assert r.returncode == 2 and "neither tensor nor channel" in r.stderr


def measured(model, x):
    """Statistics of the fused model's only seam, as a script would measure them."""
    relu = next(v for v in model.graph.node if v.op_type == "Relu").output[0]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(onnx.helper.make_empty_tensor_value_info(relu))
    value = run(copy, x, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)[-1][0].reshape(C, -1).astype(float)
    return {relu: {"mean": value.mean(1).tolist(), "deviation": value.std(1).tolist(),
                   "low": value.min(1).tolist(), "high": value.max(1).tolist()}}


def test_measured_statistics_are_taken(tmp_path):
    fused = fuse(network(), tmp_path, stem="fused").model
    statistics = tmp_path / "s.json"
    statistics.write_text(json.dumps(measured(fused, draw(fused)), indent=1))
    plain, even = equalize(fused, tmp_path, "--statistics", statistics)
    assert scaled(even), reasons(even)
    assert same_bits(plain.model, even.model, draw(fused))


@pytest.mark.parametrize("text, where", [
    ("", "offset 0: expected '{'"),
    ("{", "a string"),
    ('{"a": 1}', "expected '{'"),
    ('{"a": {"mean": [1,]}}', "a number"),
    ('{"a": {"mean": [1e999]}}', "a number"),
    ('{"a": {"mean": [1], "deviation": [-1], "low": [0], "high": [1]}}', "a deviation is negative"),
    ('{"a": {"mean": [1], "deviation": [1, 2], "low": [0], "high": [1]}}', "as many numbers"),
    ('{"a": {"mean": [1], "deviation": [1], "low": [2], "high": [1]}}', "a low is above its high"),
    ('{"a": {"median": [1]}}', "mean, deviation, low or high"),
    ('{"a\\x": {}}', "an escape of JSON"),
    ('{"a": {"mean": [1], "deviation": [1], "low": [0], "high": [1]}} x', "the end"),
    ('{"' + "a" * 100 + '\\"', "end of a string"),
])
def test_bad_statistics_are_an_error(tmp_path, text, where):
    onnx.save(network(), tmp_path / "m.onnx")
    (tmp_path / "s.json").write_text(text)
    r = subprocess.run([TOOL, "--equalize", "tensor", "--statistics", tmp_path / "s.json", tmp_path / "m.onnx",
                        tmp_path / "o.onnx"], capture_output=True, text=True)
    assert r.returncode == 2 and where in r.stderr and not (tmp_path / "o.onnx").exists(), r.stderr


def archive(statistics, **options):
    """The same as numpy writes it."""
    rows = {name: np.array([v["mean"], v["deviation"], v["low"], v["high"]], **options) for name, v in statistics.items()}
    file = io.BytesIO()
    np.savez(file, **rows)
    return file.getvalue()


@pytest.mark.parametrize("options", [{}, {"order": "F"}, {"dtype": np.float32}])
def test_statistics_of_numpy_are_those_of_json(tmp_path, options):
    fused = fuse(network(), tmp_path, stem="fused").model
    statistics = measured(fused, draw(fused))
    if options.get("dtype"):
        statistics = {name: {k: np.float32(v).tolist() for k, v in rows.items()} for name, rows in statistics.items()}
    (tmp_path / "s.json").write_text(json.dumps(statistics))
    (tmp_path / "s.npz").write_bytes(archive(statistics, **options))
    _, by_json = equalize(fused, tmp_path, "--statistics", tmp_path / "s.json")
    _, by_numpy = equalize(fused, tmp_path, "--statistics", tmp_path / "s.npz")
    assert scaled(by_json) and by_json.data == by_numpy.data


def zipped(write=np.savez, **arrays):
    file = io.BytesIO()
    write(file, **arrays)
    return file.getvalue()


ROWS = np.array([[1.0], [1], [0], [1]])
NUMPY = {
    "compressed": (zipped(np.savez_compressed, a=ROWS), "'a.npy' is compressed: write it by numpy.savez"),
    "integers": (zipped(a=ROWS.astype(int)), "is neither float32 nor float64"),
    "big-endian": (zipped(a=ROWS.astype(">f8")), "holds numbers of an unsupported type"),
    "shape": (zipped(a=ROWS.T), "is not of shape [4, channels]"),
    "one axis": (zipped(a=ROWS[:, 0]), "is not of shape [4, channels]"),
    "no channel": (zipped(a=ROWS[:, :0]), "is not of shape [4, channels]"),
    "a negative deviation": (zipped(a=-ROWS), "a deviation is negative"),
    "not a number": (zipped(a=ROWS * np.nan), "a number is not finite"),
    "another file": (None, "is not a .npy array"),
    "a byte": (zipped(a=ROWS).replace(ROWS.tobytes(), ROWS[::-1].tobytes()), "its checksum differs"),
    "cut": (zipped(a=ROWS)[:-30], "has no directory"),
    "empty": (b"PK\5\6", "has no directory"),
    "no entry": (zipped()[:-6] + b"\xff\xff\xff\x7f\0\0", None),
}


@pytest.mark.parametrize("name", NUMPY)
def test_bad_archives_are_an_error(tmp_path, name):
    data, where = NUMPY[name]
    if data is None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as z:
            z.writestr("readme.txt", "nothing")
        data = file.getvalue()
    onnx.save(network(), tmp_path / "m.onnx")
    (tmp_path / "s.npz").write_bytes(data)
    r = subprocess.run([TOOL, "--equalize", "tensor", "--statistics", tmp_path / "s.npz", tmp_path / "m.onnx", tmp_path / "o.onnx"],
                       capture_output=True, text=True)
    assert (r.returncode, where in r.stderr) == (2, True) if where else r.returncode == 0, r.stderr


def test_a_damaged_archive_is_an_error_or_another_archive(tmp_path):
    """Each byte changed once, and each length: it ends by an error or well, and never otherwise."""
    data = archive({"relu": {"mean": [1.0], "deviation": [1.0], "low": [0.0], "high": [4.0]}})
    onnx.save(network(), tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    damaged = [data[:n] for n in range(0, len(data), 7)] + [data[:i] + bytes([v]) + data[i + 1:] for i, v in
               zip(rng.integers(0, len(data), 150), rng.choice([0, 1, 0x7f, 0xff], 150))]
    for one in damaged:
        (tmp_path / "s.npz").write_bytes(one)
        r = subprocess.run([TOOL, "--equalize", "tensor", "--dry-run", "--statistics", tmp_path / "s.npz", tmp_path / "m.onnx"],
                           capture_output=True, text=True)
        assert r.returncode in (0, 2), (r.returncode, r.stderr)


def test_names_may_be_escaped(tmp_path):
    fused = fuse(network(), tmp_path, stem="fused").model
    text = json.dumps(measured(fused, draw(fused))).replace('"relu', '"\\u0072elu')
    assert "u0072" in text
    (tmp_path / "s.json").write_text(text)
    _, even = equalize(fused, tmp_path, "--statistics", tmp_path / "s.json")
    assert scaled(even)


def test_statistics_need_equalize(tmp_path):
    onnx.save(network(), tmp_path / "m.onnx")
    r = subprocess.run([TOOL, "--statistics", tmp_path / "s.json", tmp_path / "m.onnx", tmp_path / "o.onnx"], capture_output=True, text=True)
    assert r.returncode == 2 and "need equalize" in r.stderr


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_keep_their_bits(tmp_path, seed):
    try_seed(seed, tmp_path)


@pytest.mark.parametrize("kind", ["float64", "bfloat16", "float16"])
def test_random_networks_of_other_types_keep_their_bits(tmp_path, kind):
    changed = [try_seed(seed, tmp_path, kind) for seed in range(100, 108)]
    assert any("evaluated" in passes for passes in changed) == (kind != "float16")
