"""Run onnx-repvgg-fuse and judge what it wrote, with onnx and ONNX Runtime as the referees."""
import collections
import json
import os
import pathlib
import subprocess

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import Message
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.support.net import BFLOAT16

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = os.environ.get("ONNX_REPVGG_FUSE", str(ROOT / "build" / "onnx-repvgg-fuse"))
# Of the table passes/passes.h, in its order: a new row is all that a new pass needs here.
PASSES = [line.split()[0] for line in subprocess.run([TOOL, "--list-passes"], capture_output=True, text=True, check=True).stdout.splitlines()]

# Of the largest output magnitude. Half types round each fused weight once: 2^-11 and 2^-8 of its size.
TOLERANCE = {
    np.dtype("float32"): 2e-5,
    np.dtype("float16"): 3e-3,
    BFLOAT16: 2e-2,
    np.dtype("float64"): 1e-12,
}
DIMS = {"N": 2, "H": 11, "W": 14, "L": 13}

onnxruntime.set_default_logger_severity(4)


class Result:
    def __init__(self, code, stdout, stderr, report, path):
        self.code, self.stdout, self.stderr, self.report, self.path = code, stdout, stderr, report, path

    @property
    def data(self):
        return self.path.read_bytes() if self.path.exists() else None

    @property
    def model(self):
        return onnx.load(self.path)

    def reasons(self):
        return [r["reason"] for r in self.report["refusals"]]


def fuse(model, folder, *options, external=False, stem="model"):
    """Write the model (or bytes) into the folder, run the tool on it, hand back what came of it."""
    folder = pathlib.Path(folder)
    source, target, report = folder / f"{stem}.onnx", folder / f"{stem}.fused.onnx", folder / f"{stem}.json"
    for old in (target, report):
        old.unlink(missing_ok=True)
    if isinstance(model, bytes):
        source.write_bytes(model)
    elif external:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        (folder / f"{stem}.data").unlink(missing_ok=True)
        onnx.save_model(copy, source, save_as_external_data=True, location=f"{stem}.data", size_threshold=0)
    else:
        source.write_bytes(model.SerializeToString())
    run = subprocess.run([TOOL, "--json", report, *options, source, target], capture_output=True, text=True, timeout=300)
    parsed = json.loads(report.read_text()) if report.exists() else None
    return Result(run.returncode, run.stdout, run.stderr, parsed, target)


def adds_up(report):
    """The differences of all fusions are that of the whole model."""
    of_fusions = sum(f["parameters_before"] - f["parameters_after"] for f in report["fusions"])
    return of_fusions == report["before"]["parameters"] - report["after"]["parameters"]


# Walking a model


def subgraphs(node):
    for a in node.attribute:
        if a.type == AttributeProto.GRAPH:
            yield a.g
        elif a.type == AttributeProto.GRAPHS:
            yield from a.graphs


def graphs_of(graph):
    """A graph and every graph inside it."""
    yield graph
    for node in graph.node:
        for g in subgraphs(node):
            yield from graphs_of(g)


def scopes(model):
    """Every list of nodes in a model, as (owner, nodes); functions included."""
    for g in graphs_of(model.graph):
        yield g, g.node
    for f in model.functions:
        yield f, f.node
        for node in f.node:
            for s in subgraphs(node):
                for g in graphs_of(s):
                    yield g, g.node


def count_ops(model, everything=False):
    """Ops by type, functions and subgraphs included; Constant nodes are not ops."""
    c = collections.Counter(n.op_type for _, nodes in scopes(model) for n in nodes)
    if not everything:
        c.pop("Constant", None)
    return dict(c)


def reads(node):
    """Names a node reads, those that its subgraphs capture included."""
    yield from (i for i in node.input if i)
    for g in subgraphs(node):
        own = {i.name for i in g.input} | {t.name for t in g.initializer}
        for n in g.node:
            yield from (i for i in reads(n) if i not in own)
            own.update(n.output)
        yield from (o.name for o in g.output if o.name not in own)


def check_valid(model):
    onnx.checker.check_model(model, full_check=True)


def check_tidy(model, before):
    """No initializer or value_info is left behind by what went away."""
    for g in graphs_of(model.graph):
        used = {i for n in g.node for i in reads(n)} | {o.name for o in g.output}
        if model.ir_version >= 4:
            used |= {i.name for i in g.input}  # a caller may still give it
        made = {o for n in g.node for o in n.output} | {i.name for i in g.input} | {t.name for t in g.initializer}
        old_unused = set()
        for b in graphs_of(before.graph):
            read = {i for n in b.node for i in reads(n)} | {o.name for o in b.output}
            old_unused |= {t.name for t in b.initializer if t.name not in read}
            old_unused |= {o for n in b.node if n.op_type == "Constant" for o in n.output if o not in read}
        idle = [t.name for t in g.initializer if t.name not in used and t.name not in old_unused]
        assert not idle, f"initializers that nothing reads: {idle}"
        idle = [n.output[0] for n in g.node if n.op_type == "Constant" and n.output[0] not in used | old_unused]
        assert not idle, f"Constant nodes that nothing reads: {idle}"
        stale = [v.name for v in g.value_info if v.name not in made]
        assert not stale, f"value_info of values that are gone: {stale}"


# Running a model


def overridable(graph):
    return {t.name for t in graph.initializer}


def feeds(model, seed=0, scale=1.0):
    """Random inputs for every true input of a model; both values of a bool one."""
    rng = np.random.default_rng(seed)
    fixed = overridable(model.graph)
    base, flags = {}, []
    for i in model.graph.input:
        if i.name in fixed:
            continue
        t = i.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else DIMS.get(d.dim_param, 7) for d in t.shape.dim]
        if t.elem_type == TensorProto.BOOL:
            flags.append(i.name)
            base[i.name] = np.ones(shape, bool)
        elif t.elem_type in (TensorProto.INT64, TensorProto.INT32):
            base[i.name] = np.full(shape, 3, helper.tensor_dtype_to_np_dtype(t.elem_type))
        else:
            base[i.name] = rng.normal(0, scale, shape).astype(helper.tensor_dtype_to_np_dtype(t.elem_type))
    yield base
    if flags:
        yield {**base, **{f: np.zeros_like(base[f]) for f in flags}}


def session(model):
    o = onnxruntime.SessionOptions()
    o.enable_mem_reuse = False  # its planner takes sizes for the same that are not
    o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.intra_op_num_threads = o.inter_op_num_threads = 1
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, o, providers=["CPUExecutionProvider"])


def retyped(model, kinds, elem):
    """The model with every tensor and value of these float types turned into another float type."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    dtype = helper.tensor_dtype_to_np_dtype(elem)

    def retype(message):
        for field, value in message.ListFields():
            if isinstance(message, TensorProto):
                break
            if field.name == "elem_type" and value in kinds:
                message.elem_type = elem
            elif field.message_type is not None:
                for m in [value] if isinstance(value, Message) else value:
                    retype(m)
        if isinstance(message, TensorProto) and message.data_type in kinds:
            array = numpy_helper.to_array(message).astype(dtype)
            message.CopyFrom(numpy_helper.from_array(array, message.name))
        if isinstance(message, onnx.NodeProto):
            for a in message.attribute:
                if message.op_type == "Cast" and a.name == "to" and a.i in kinds:
                    a.i = elem
                elif message.op_type == "Constant" and a.name in ("value_float", "value_floats") and not a.ref_attr_name:
                    array = np.array(helper.get_attribute_value(a), np.float32).astype(dtype)
                    a.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(array)))

    retype(model)
    return model


def widened(model):
    """The model with every float16 and bfloat16 turned into float32: the same numbers, no rounding between ops."""
    return retyped(model, (TensorProto.FLOAT16, TensorProto.BFLOAT16), TensorProto.FLOAT)


def elem_types(model):
    """The float types that a model's tensors have."""
    kinds = {i.type.tensor_type.elem_type for i in [*model.graph.input, *model.graph.output]}
    for owner, nodes in scopes(model):
        kinds.update(t.data_type for t in getattr(owner, "initializer", []))
        kinds.update(a.t.data_type for n in nodes for a in n.attribute if a.type == AttributeProto.TENSOR)
    return kinds


def evaluator(model):
    """A function from inputs to outputs: ONNX Runtime, or onnx's reference where it has no kernels."""
    if TensorProto.DOUBLE in elem_types(model):
        r = ReferenceEvaluator(model)
        return lambda x: r.run(None, x)
    s = session(model)
    return lambda x: s.run(None, x)


def compare(want, got, tolerance, what=""):
    assert len(want) == len(got), f"{what}: {len(got)} outputs, not {len(want)}"
    for i, (a, b) in enumerate(zip(want, got)):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape, f"{what}: output {i} has shape {b.shape}, not {a.shape}"
        if a.dtype.kind not in "fV" and a.dtype != BFLOAT16:
            assert (a == b).all(), f"{what}: output {i} differs"
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        same = np.isfinite(a) & np.isfinite(b)
        odd = ~same & ~((a == b) | (np.isnan(a) & np.isnan(b)))
        assert not odd.any(), f"{what}: output {i} is not finite in other places than before"
        scale = np.abs(a[same]).max(initial=0.0)
        gap = np.abs(np.subtract(a, b, where=same, out=np.zeros_like(a)))
        worst = gap.max(initial=0.0)
        if worst > tolerance * scale:
            where = [int(v) for v in np.unravel_index(gap.argmax(), gap.shape)]
            raise AssertionError(
                f"{what}: output {i} is off by {worst:.3g} ({worst / scale if scale else np.inf:.3g} of the largest) at {where}")


def tolerance_for(model):
    types = elem_types(model)
    for elem, dtype in ((TensorProto.BFLOAT16, BFLOAT16), (TensorProto.FLOAT16, np.dtype("float16")),
                        (TensorProto.FLOAT, np.dtype("float32"))):
        if elem in types:
            return TOLERANCE[dtype]
    return TOLERANCE[np.dtype("float64")]


def assert_equal_under_ort(before, after, inputs=None, tolerance=None):
    """Both models give the same outputs, borders included, with graph optimisation off."""
    tolerance = tolerance or tolerance_for(before)
    inputs = list(inputs or feeds(before))
    types = elem_types(before)
    if TensorProto.FLOAT16 in types:
        session(after)  # it must be a model that ONNX Runtime takes, half types and all
    if types & {TensorProto.FLOAT16, TensorProto.BFLOAT16}:
        before, after = widened(before), widened(after)
        inputs = [{k: v.astype(np.float32) if v.dtype in (np.float16, BFLOAT16) else v for k, v in x.items()} for x in inputs]
    old, new = evaluator(before), evaluator(after)
    for x in inputs:
        compare(old(x), new(x), tolerance, "fused model")


def same_interface(before, after):
    """Inputs and outputs as they were; below IR 4 new initializers are inputs too."""
    def true_inputs(m):
        fixed = overridable(m.graph)
        return [i.SerializeToString() for i in m.graph.input if i.name not in fixed]

    assert true_inputs(before) == true_inputs(after), "the graph's inputs changed"
    outs = [[o.SerializeToString() for o in m.graph.output] for m in (before, after)]
    assert outs[0] == outs[1], "the graph's outputs changed"
    if before.ir_version < 4:
        listed = {i.name for i in after.graph.input}
        missing = [t.name for t in after.graph.initializer if t.name not in listed]
        assert not missing, f"below IR 4 an initializer is an input too: {missing}"
    assert before.ir_version == after.ir_version
    assert [(o.domain, o.version) for o in before.opset_import] == [(o.domain, o.version) for o in after.opset_import]


def reordered(model, seed=0):
    """The same model with the nodes of its main graph in another topological order."""
    rng = np.random.default_rng(seed)
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    nodes = list(copy.graph.node)
    maker = {o: k for k, n in enumerate(nodes) for o in n.output if o}
    waits = [{maker[i] for i in reads(n) if i in maker} for n in nodes]
    done, order = set(), []
    while len(order) < len(nodes):
        ready = [k for k in range(len(nodes)) if k not in done and waits[k] <= done]
        k = int(rng.choice(ready))
        done.add(k)
        order.append(k)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes[k] for k in order)
    return copy


def paths_of(folder, a, b):
    """Two models as paths: messages and bytes are written to a.onnx and b.onnx."""
    paths = []
    for name, model in (("a.onnx", a), ("b.onnx", b)):
        if isinstance(model, (onnx.ModelProto, bytes)):
            path = folder / name
            path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
            model = path
        paths.append(model)
    return paths
