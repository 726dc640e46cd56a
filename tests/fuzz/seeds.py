#!/usr/bin/env python3
"""Write the seed corpus of the fuzz targets and their dictionary: small models of models/, small random graphs, the
structures that tests fold and refuse, onnx's own node tests, one file each.

usage: python -m tests.fuzz.seeds FOLDER
"""
import hashlib
import pathlib
import sys
import warnings

import onnx
import onnx.parser
from onnx.backend.test import loader

from tests.interop import test_fold, test_reasons, test_refuse
from tests.support.random_graph import generate

HERE = pathlib.Path(__file__).resolve().parent
LARGEST = 40_000  # bytes of a seed


def models():
    for path in sorted((HERE.parents[1] / "models").glob("*.onnx")):
        yield path.stem, path.read_bytes()


def random_graphs(count):
    for seed in range(count):
        yield f"random{seed}", generate(seed)[0].SerializeToString()


def structures(most):
    """For each structure that tests fold or refuse the smallest file that has it, and the one of the oldest opset."""
    for kind, table in ("fold", test_fold.table), ("refuse", test_refuse.table):
        found = {}
        for case in table.cases:
            if not case.external:
                model = case.net().model()
                data = model.SerializeToString()
                if len(data) <= most:
                    found.setdefault(case.build.__name__, []).append((len(data), model.opset_import[0].version, data))
        for name, files in found.items():
            for data in {min(files)[2], min(files, key=lambda f: (f[1], f[0]))[2]}:
                yield f"{kind}-{name}", data


def reasons():
    for number, (_, body, how) in enumerate(test_reasons.CASES):
        yield f"reason{number}", test_reasons.build(body, **how).SerializeToString()


def golden():
    for path in sorted((HERE.parent / "golden").glob("*.before.txt")):
        yield path.stem, onnx.parser.parse_model(path.read_text()).SerializeToString()


def node_tests(most):
    """The smallest node test for each set of operators and opset."""
    smallest = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the cases divide by 0 when they are made
        cases = loader.load_model_tests(kind="node")
    for case in cases:
        model = case.model or onnx.load(pathlib.Path(case.model_dir) / "model.onnx")
        data = model.SerializeToString()
        kind = tuple(sorted({node.op_type for node in model.graph.node})), len(model.functions) > 0
        if len(data) <= most and (kind not in smallest or len(data) < len(smallest[kind][1])):
            smallest[kind] = case.name, data
    yield from smallest.values()


def write_dictionary(path):
    words = set()
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            words.add(schema.name)
            words.update(schema.attributes)
    words.update(["ai.onnx", "com.microsoft", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "location", "offset", "length", "..", "/"])
    path.write_text("".join(f'"{w}"\n' for w in sorted(words)))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for cases in models(), random_graphs(150), structures(12_000), reasons(), golden(), node_tests(4000):
        for name, data in cases:
            if len(data) <= LARGEST:
                (folder / f"{name[:60]}-{hashlib.sha256(data).hexdigest()[:8]}").write_bytes(data)
                count += 1
    write_dictionary(HERE / "onnx.dict")
    print(f"{count} seeds in {folder}, the dictionary in {HERE / 'onnx.dict'}")


if __name__ == "__main__":
    main()
