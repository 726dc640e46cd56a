"""Models as text, before and after, and refusals with their reasons.

NAME.before.txt is a model in the syntax of onnx.parser. NAME.after.txt is what must come of it; a
model without one must come out byte for byte. NAME.refused.txt lists the refusals, one a line:
pass, op, output and reason. A name begins with the pass that the case is about. --bless writes
what came out as what is expected, but only when it is the same map under ONNX's own evaluators."""
import pathlib

import numpy as np
import onnx
import onnx.parser
import onnx.printer
import pytest
from google.protobuf.message import Message
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.support.tool import PASSES, assert_equal_under_ort, check_tidy, check_valid, compare, feeds, fuse, graphs_of, same_interface, scopes

HERE = pathlib.Path(__file__).parent
NAMES = sorted(p.name.removesuffix(".before.txt") for p in HERE.glob("*.before.txt"))
# Passes that run with an option of their own have their cases in tests/cli.
WITH_AN_OPTION = ("equalize",)
# These move ops to where another pass folds them.
FOLDED_BY = {"move_pads": "compose_chains,fold_before", "slide_back": "fold_after", "slide_forward": "fold_before"}


def tensors(message):
    """Every tensor in a message, however deep."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for m in [value] if isinstance(value, Message) else value:
                yield from tensors(m)


def plain_attributes(graph):
    """Every attribute of a graph that is no graph itself, those of its bodies included."""
    for g in graphs_of(graph):
        for node in g.node:
            yield from (a for a in node.attribute if not a.HasField("g"))


def spelled(model):
    """A copy whose numbers are in typed fields, where the printer shows them."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    for t in tensors(copy):
        flat = numpy_helper.to_array(t).reshape(-1)
        shape = list(t.dims)
        t.CopyFrom(onnx.helper.make_tensor(t.name, t.data_type, shape, flat.tolist()))
    for _, nodes in scopes(copy):
        for a in (a for node in nodes for a in node.attribute if a.HasField("t")):
            a.t.ClearField("name")  # which the parser does not take there
    return copy


def render(model):
    """Text that holds all of the model: numbers that the syntax would round have no place in a golden."""
    copy = spelled(model)
    text = onnx.printer.to_text(copy)
    back = spelled(onnx.parser.parse_model(text))
    numbers = [[(t.name, numpy_helper.to_array(t).tolist()) for t in tensors(m)] for m in (copy, back)]
    assert numbers[0] == numbers[1], "a number is not exact in text: use powers of two, variances of 4, an epsilon of 0"
    attributes = [[a.SerializeToString() for a in plain_attributes(m.graph)] for m in (copy, back)]
    assert attributes[0] == attributes[1], "an attribute is not exact in text"
    return "\n".join(line.rstrip() for line in text.split("\n")).strip() + "\n"


def refusals(report):
    return "".join(f"{r['pass']} {r['op']} {r['output']}: {r['reason']}\n" for r in report["refusals"])


def verify(before, after):
    """The same map, at borders too, under ONNX Runtime and onnx's reference. Integers keep sums exact."""
    check_valid(after)
    same_interface(before, after)
    check_tidy(after, before)
    inputs = [{k: v if v.dtype == bool else np.asarray(np.round(v)) for k, v in x.items()} for seed in range(2) for x in feeds(before, seed, 4.0)]
    assert_equal_under_ort(before, after, inputs, tolerance=1e-6)
    if any(n.op_type == "ConvTranspose" for n in before.graph.node):
        return  # onnx's reference has no groups there
    old, new = ReferenceEvaluator(before), ReferenceEvaluator(after)
    for x in inputs:
        compare(old.run(None, x), new.run(None, x), 1e-6, "under onnx's reference")


def expected(path):
    return path.read_text() if path.exists() else None


def settle(path, text, bless):
    """The file holds the text; under --bless it will."""
    if bless and text is None:
        path.unlink(missing_ok=True)
    elif bless:
        path.write_text(text)
    assert text == expected(path), f"{path.name} differs; read the difference, then pytest --bless"


@pytest.mark.parametrize("name", NAMES)
def test_golden(name, tmp_path, request):
    bless = request.config.getoption("bless")
    before = onnx.parser.parse_model((HERE / f"{name}.before.txt").read_text())
    check_valid(before)
    run = fuse(before, tmp_path)
    assert run.code == 0 and not run.report["warnings"], run.stderr
    changed = run.report["changed"]
    subject = next(p for p in PASSES if name.startswith(p + "_"))
    if changed:
        verify(before, run.model)
        others = [FOLDED_BY[subject]] if subject in FOLDED_BY else []
        alone = fuse(before, tmp_path, "--only", ",".join([subject, *others]), stem="alone")
        without = fuse(before, tmp_path, "--only", ",".join(others), stem="without").data if others else before.SerializeToString()
        assert alone.data != without, f"{subject} has no part in it"
        text = render(run.model)
        again = fuse(run.model, tmp_path, stem="again")
        assert not again.report["changed"], "what came out folds once more"
    else:
        assert run.data == before.SerializeToString()
        assert subject in {"remove_dead"} | {r["pass"] for r in run.report["refusals"]}
        text = None
    settle(HERE / f"{name}.after.txt", text, bless)
    # A model in which all folds has no need of a list; one that has it keeps to it.
    listed = (HERE / f"{name}.refused.txt").exists()
    lines = refusals(run.report)
    if listed or lines:
        settle(HERE / f"{name}.refused.txt", lines or None, bless)


def test_every_pass_has_goldens(request):
    folded = {n for n in NAMES if (HERE / f"{n}.after.txt").exists()}
    for kind, names in (("folds", folded), ("is refused", set(NAMES) - folded)):
        missing = [p for p in PASSES if p not in WITH_AN_OPTION and not any(n.startswith(p + "_") for n in names)]
        assert not missing, f"no golden that {kind} for {missing}"


def test_no_strays():
    """Each expectation belongs to a model."""
    for path in HERE.glob("*.txt"):
        name, kind, _ = path.name.rsplit(".", 2)
        assert kind in ("before", "after", "refused") and name in NAMES, path.name
