"""onnx-repvgg-fuse verify --inputs: what the caller gives is tried beside random inputs."""
import io
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.test_verify import run, verify
from tests.support.tool import paths_of


def clipped(most, name="x", dims=("N", 3), type=TensorProto.FLOAT):
    """Random inputs do not come near the bound."""
    bound = numpy_helper.from_array(np.array(most, helper.tensor_dtype_to_np_dtype(type)), "most")
    graph = helper.make_graph([helper.make_node("Min", [name, "most"], ["y"])], "g",
                              [helper.make_tensor_value_info(name, type, dims)],
                              [helper.make_tensor_value_info("y", type, dims)], [bound])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def given(folder, save=np.savez, **arrays):
    save(folder / "inputs.npz", **arrays)
    return "--inputs", folder / "inputs.npz"


FAR = np.full((2, 3), 7e5, np.float32)


@pytest.mark.parametrize("turned", [False, True])
def test_what_random_inputs_do_not_show(turned, tmp_path):
    pair = [clipped(4e5), clipped(5e5)]
    pair = pair[::-1] if turned else pair
    code, report = verify(*pair, tmp_path, *given(tmp_path, x=FAR))
    assert code == 1 and report["reason"] == "they compute different values of the given inputs"
    assert {report["departure"]["a_number"], report["departure"]["b_number"]} == {4e5, 5e5}


def test_what_agrees(tmp_path):
    code, report = verify(clipped(4e5), clipped(5e5), tmp_path, *given(tmp_path, x=FAR / 1e5))
    assert code == 0 and report["given"] == "they agree on the given inputs" and report["departure"] is None
    assert "they agree on the given inputs" in run(*given(tmp_path, x=FAR / 1e5), *paths_of(tmp_path, clipped(4e5), clipped(5e5))).stdout
    assert verify(clipped(4e5), clipped(5e5), tmp_path)[1]["given"] == ""


def test_the_order_of_columns(tmp_path):
    """One number alone is beyond the bound, and it is found where it is."""
    x = np.zeros((4, 3), np.float32)
    x[1, 2] = 7e5
    for array in (x, np.asfortranarray(x)):
        code, report = verify(clipped(4e5), clipped(5e5), tmp_path, *given(tmp_path, x=array))
        assert code == 1 and report["departure"]["at"] == "[1, 2] of [4, 3]"


def test_a_name_of_either_model(tmp_path):
    for name in ("x", "image"):
        code, _ = verify(clipped(4e5), clipped(5e5, "image"), tmp_path, *given(tmp_path, **{name: FAR}))
        assert code == 1


@pytest.mark.parametrize("type, numbers", [(TensorProto.FLOAT16, np.float16), (TensorProto.DOUBLE, np.float64),
                                           (TensorProto.INT32, np.int32), (TensorProto.INT64, np.int64), (TensorProto.UINT8, np.uint8)])
def test_types(type, numbers, tmp_path):
    low, high = (100, 120) if numbers is np.uint8 else (20000, 25000)
    code, report = verify(clipped(low, type=type), clipped(high, type=type), tmp_path, *given(tmp_path, x=np.full((1, 3), high, numbers)))
    assert code == 1, report


def stored(name, data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, data)
    return packed.getvalue()


def npy(array):
    written = io.BytesIO()
    np.save(written, array)
    return written.getvalue()


@pytest.mark.parametrize("data, says", [
    (b"", "is not a NumPy archive"),
    (b"PK\3\4", "has no directory"),
    (stored("x.npy", npy(FAR.astype(np.float64))), "'x' is double [2, 3]: the input of"),
    (stored("x.npy", npy(np.zeros((2, 4), np.float32))), "'x' is float [2, 4]: the input of"),
    (stored("x.npy", npy(FAR[0])), "'x' is float [3]: the input of"),
    (stored("z.npy", npy(FAR)), "'z' is not an input of either model"),
    (stored("x.txt", b"1 2 3"), "is not a .npy array"),
    (stored("x.npy", npy(FAR)[:-1]), "does not have the size of its shape"),
    (stored("x.npy", npy(FAR.astype(">f4"))), "holds numbers of an unsupported type"),
    (stored("x.npy", npy(np.array(["text"]))), "holds numbers of an unsupported type"),
    (stored("x.npy", npy(FAR.astype(np.complex64))), "holds numbers of an unsupported type"),
    (stored("x.npy", npy(FAR).replace(b"(2, 3)", b"(2,-3)")), "has a shape of more axes or numbers than are supported"),
], ids=range(12))
def test_what_is_no_input(data, says, tmp_path):
    (tmp_path / "inputs.npz").write_bytes(data)
    done = run("--inputs", tmp_path / "inputs.npz", *paths_of(tmp_path, clipped(4e5), clipped(5e5)))
    assert done.returncode == 2 and says in done.stderr and "inputs.npz" in done.stderr, done.stderr


def test_compressed(tmp_path):
    done = run(*given(tmp_path, np.savez_compressed, x=FAR), *paths_of(tmp_path, clipped(4e5), clipped(5e5)))
    assert done.returncode == 2 and "numpy.savez, not savez_compressed" in done.stderr


def test_damage(tmp_path):
    """Any byte may be another: an answer or an error, and the same one each time."""
    rng = np.random.default_rng(0)
    whole = bytearray(stored("x.npy", npy(FAR)))
    paths = paths_of(tmp_path, clipped(4e5), clipped(5e5))
    for _ in range(60):
        data = whole.copy()
        data[rng.integers(len(data))] = rng.integers(256)
        (tmp_path / "inputs.npz").write_bytes(data[:rng.integers(len(data) // 2, len(data) + 1)])
        assert run("--inputs", tmp_path / "inputs.npz", *paths).returncode in (0, 1, 2)
