"""Tables of models: a decorated builder is one case for every combination of its options."""
import itertools
import zlib

import pytest

from tests.support.net import Net

NET_OPTIONS = ("opset", "ir", "dtype", "storage")
# norun: ONNX Runtime can't run the model (or never twice alike); nothing may change, so nothing is to compare.
NO_ARGUMENT = (*NET_OPTIONS, "norun")


class Case:
    def __init__(self, name, build, options, expect, reason):
        self.name, self.build, self.options, self.expect, self.reason = name, build, options, expect, reason
        self.seed = zlib.crc32(name.encode())

    def net(self):
        made = {k: v for k, v in self.options.items() if k in NET_OPTIONS}
        # Exporters differ: some write value_info for every value, some for none.
        net = Net(seed=self.seed, inferred=self.seed % 2 == 0, **made)
        self.build(net, **{k: v for k, v in self.options.items() if k not in NO_ARGUMENT})
        return net

    @property
    def external(self):
        return self.options.get("storage") == "external"


def spelled(option, picked):
    """What a case's name says of one of its options."""
    return [f"opset{picked['opset']}", f"ir{picked['ir']}"] if option == "versions" else [f"{option}={picked[option]}"]


class Table:
    def __init__(self):
        self.cases = []

    def case(self, expect=None, reason=None, **options):
        """Register a builder. A list of options is a product; 'versions' is a list of (opset, ir) pairs.

        expect: op counts after the run, or a list of such counts each of which is good;
        None where nothing may change. reason: a pattern that a refusal must match."""
        def register(build):
            axes = [[(k, v) for v in (vs if isinstance(vs, list) else [vs])] for k, vs in options.items()]
            for chosen in itertools.product(*axes):
                picked = dict(chosen)
                if "versions" in picked:
                    picked["opset"], picked["ir"] = picked.pop("versions")
                tags = [str(v) for k, vs in options.items() if isinstance(vs, list) for v in spelled(k, picked)]
                name = "-".join([build.__name__, *tags])
                assert name not in {c.name for c in self.cases}, f"two cases named {name}"
                self.cases.append(Case(name, build, picked, expect, reason))
            return build
        return register

    def parametrize(self, name="case"):
        return pytest.mark.parametrize(name, self.cases, ids=lambda c: c.name)
