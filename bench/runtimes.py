"""Runtimes of PyPI under one face, for latency.py. All compute in float32, on the CPU, with the given number of threads.

A class has `packages`, what pip installs; `prepare(model, feed, folder)`, which hands back the path of the model in the runtime's own format
(not timed: it is done once, where the model is shipped); and `open(path, feed, threads)`, which makes a session and hands back a
function that runs it and returns the outputs as arrays. feed: arrays by the names of inputs, in the order of the model.
"""
import pathlib
import shutil
import subprocess
import sys

import numpy as np


class OnnxRuntime:
    name, packages = "ONNX Runtime", ["onnxruntime"]

    def __init__(self):
        import onnxruntime
        self.module, self.version = onnxruntime, onnxruntime.__version__

    def prepare(self, model, feed, folder):
        return model

    def open(self, path, feed, threads):
        o = self.module.SessionOptions()
        o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
        o.log_severity_level = 3
        # The threads of the session that ran last would spin on the cores that the next one needs.
        o.add_session_config_entry("session.force_spinning_stop", "1")
        session = self.module.InferenceSession(str(path), o, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, feed)


class OpenVino:
    name, packages = "OpenVINO", ["openvino"]

    def __init__(self):
        import openvino
        self.core, self.version = openvino.Core(), openvino.__version__.split("-")[0]

    def prepare(self, model, feed, folder):
        return model

    def open(self, path, feed, threads):
        self.core.set_property("CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        model = self.core.read_model(path)
        model.reshape({name: list(array.shape) for name, array in feed.items()})
        request = self.core.compile_model(model, "CPU").create_infer_request()
        return lambda: list(request.infer(feed).values())


class Mnn:
    name, packages = "MNN", ["MNN"]

    def __init__(self):
        import MNN
        self.module, self.version = MNN, MNN.version()

    def prepare(self, model, feed, folder):
        made = pathlib.Path(folder) / "model.mnn"
        # The function behind the command mnnconvert, which would also report the conversion to its makers.
        convert(made, [sys.executable, "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)", "-f", "ONNX", "--modelFile", str(model),
                       "--MNNModel", str(made), "--bizCode", "none"], folder)
        return made

    def tensor(self, array):
        return self.module.Tensor(array.shape, self.module.Halide_Type_Float, array, self.module.Tensor_DimensionType_Caffe)

    def open(self, path, feed, threads):
        net = self.module.Interpreter(str(path))
        session = net.createSession({"numThread": threads, "backend": "CPU", "precision": "high"})
        inputs = net.getSessionInputAll(session)
        for name, array in feed.items():
            if tuple(inputs[name].getShape()) != array.shape:
                net.resizeTensor(inputs[name], array.shape)
        net.resizeSession(session)

        def run():
            for name, array in feed.items():
                inputs[name].copyFrom(self.tensor(array))
            net.runSession(session)
            results = []
            for _, output in sorted(net.getSessionOutputAll(session).items()):
                host = self.tensor(np.zeros(output.getShape(), np.float32))
                output.copyToHostTensor(host)
                results.append(np.array(host.getNumpyData() if hasattr(host, "getNumpyData") else host.getData()))
            return results

        return run


class Ncnn:
    name, packages = "ncnn", ["ncnn", "pnnx"]

    def __init__(self):
        import ncnn
        self.module, self.version = ncnn, ncnn.__version__
        beside = pathlib.Path(sys.executable).parent / "pnnx"
        self.pnnx = str(beside) if beside.exists() else shutil.which("pnnx")
        if not self.pnnx:
            raise ImportError("pnnx")

    def prepare(self, model, feed, folder):
        copy = pathlib.Path(folder) / "model.onnx"
        shutil.copy(model, copy)
        shapes = ",".join("[" + ",".join(map(str, array.shape)) + "]" for array in feed.values())
        convert(copy.with_suffix(".ncnn.bin"), [self.pnnx, str(copy), f"inputshape={shapes}", "fp16=0"], folder)
        return copy.with_suffix(".ncnn")

    def open(self, path, feed, threads):
        net = self.module.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = net.opt.use_bf16_storage = False
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        if net.load_param(f"{path}.param") or net.load_model(f"{path}.bin"):
            raise RuntimeError("ncnn cannot load what pnnx wrote")
        inputs = [(name, self.module.Mat(array[0])) for name, array in zip(net.input_names(), feed.values())]

        def run():
            extractor = net.create_extractor()
            for name, mat in inputs:
                extractor.input(name, mat)
            results = []
            for name in net.output_names():
                status, output = extractor.extract(name)
                if status:
                    raise RuntimeError(f"ncnn cannot compute {name}")
                results.append(np.array(output))
            return results

        return run


def convert(made, command, folder):
    run = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if run.returncode or not made.exists():
        raise RuntimeError(f"{command[0]} ended with {run.returncode}: {run.stdout[-300:]}")


ALL = [OnnxRuntime, OpenVino, Mnn, Ncnn]
