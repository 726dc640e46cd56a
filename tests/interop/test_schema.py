"""proto/onnx.proto against the descriptors of the installed onnx package.

Names, numbers, types, labels, options, oneofs, reserved numbers and enum values are compared in both directions,
so that neither side can gain, lose or change anything unnoticed. Comments and the order of declarations are free.
"""

import copy
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from google.protobuf import descriptor_pb2

PROTO = Path(__file__).resolve().parents[2] / "proto" / "onnx.proto"
FIELD = descriptor_pb2.FieldDescriptorProto
# C++ code generation only; no bearing on the format.
IGNORED_FILE_OPTIONS = {"optimize_for"}


def spelled(enum, number):
    """LABEL_REPEATED as "repeated", TYPE_INT64 as "int64"."""
    return enum.Name(number).split("_", 1)[1].lower()


def options_of(descriptor, ignored=()):
    return {
        f"option {option.name}": str(value)
        for option, value in descriptor.options.ListFields()
        if option.name not in ignored
    }


def reserved_in(descriptor):
    facts = {f"reserved {r.start}": f"up to, not including, {r.end}" for r in descriptor.reserved_range}
    facts |= {f"reserved name {name}": "yes" for name in descriptor.reserved_name}
    return facts


def enum_facts(enum):
    facts = options_of(enum) | reserved_in(enum)
    for value in enum.value:
        facts[f"value {value.name}"] = " ".join([str(value.number), *map(str, options_of(value).items())])
    return facts


def message_facts(message):
    # protoc adds json_name, which the source does not hold and onnx's descriptors drop; it is left out here.
    facts = options_of(message) | reserved_in(message)
    facts |= {f"oneof {oneof.name}": "yes" for oneof in message.oneof_decl}
    facts |= {f"extensions {r.start}": f"up to, not including, {r.end}" for r in message.extension_range}
    for field in message.field:
        words = [str(field.number), spelled(FIELD.Label, field.label), spelled(FIELD.Type, field.type)]
        if field.type_name:
            words.append(field.type_name)
        if field.HasField("default_value"):
            words.append(f"default {field.default_value!r}")
        if field.HasField("oneof_index"):
            words.append(f"in oneof {message.oneof_decl[field.oneof_index].name}")
        words += [f"{name}={value}" for name, value in options_of(field).items()]
        facts[f"field {field.name}"] = " ".join(words)
    return facts


def schema_of(file):
    """{kind and full name of each definition: {what it declares: how}}."""
    schema = {
        "file": {"package": file.package, "syntax": file.syntax or "proto2"}
        | options_of(file, IGNORED_FILE_OPTIONS)
        | {f"import {name}": "yes" for name in file.dependency}
        | {f"extension {field.name}": str(field.number) for field in file.extension}
    }

    def enter(scope, messages, enums):
        for enum in enums:
            schema[f"enum {scope}{enum.name}"] = enum_facts(enum)
        for message in messages:
            schema[f"message {scope}{message.name}"] = message_facts(message)
            enter(f"{scope}{message.name}.", message.nested_type, message.enum_type)

    enter("", file.message_type, file.enum_type)
    return schema


def differences(ours, theirs):
    """One line for each thing that is on one side only, or differs."""
    lines = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            lines.append(f"{name}: only in onnx.proto")
        elif name not in ours:
            lines.append(f"{name}: missing from onnx.proto")
        elif ours[name] != theirs[name]:
            lines.append(f"{name}: onnx.proto has {ours[name]}, the onnx package {theirs[name]}")
    return lines


def file_of_package():
    file = descriptor_pb2.FileDescriptorProto()
    onnx.onnx_ml_pb2.DESCRIPTOR.CopyToProto(file)
    return file


THEIRS = schema_of(file_of_package())


@pytest.fixture(scope="module")
def our_file(tmp_path_factory):
    # The protoc-c of protobuf-c 1.4 is a whole protoc, so the build's own compiler will do where protoc is missing.
    compiler = shutil.which("protoc") or shutil.which("protoc-c")
    assert compiler, "neither protoc nor protoc-c is on PATH: install protobuf-compiler or protobuf-c-compiler"
    out = tmp_path_factory.mktemp("schema") / "onnx.pb"
    run = subprocess.run(
        [compiler, f"--proto_path={PROTO.parent}", f"--descriptor_set_out={out}", PROTO.name],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    assert len(files) == 1
    return files[0]


def test_same_definitions(our_file):
    ours = schema_of(our_file)
    assert differences(dict.fromkeys(ours, ""), dict.fromkeys(THEIRS, "")) == []


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_same_contents(our_file, name):
    ours = schema_of(our_file)
    assert name in ours, f"{name}: missing from onnx.proto"
    assert differences(ours[name], THEIRS[name]) == []


# The comparison itself: each of these changes one thing in a copy of our descriptors, and must be reported under the
# name of what was changed and as nothing else. The copy is compared with its original, so that a real difference from
# the package is for the tests above to report.


def named(items, name):
    return next(item for item in items if item.name == name)


def message(file, *path):
    found = named(file.message_type, path[0])
    for name in path[1:]:
        found = named(found.nested_type, name)
    return found


def field(file, owner, name):
    return named(message(file, owner).field, name)


def rename_field(file):
    field(file, "NodeProto", "op_type").name = "operator"


def renumber_field(file):
    field(file, "ModelProto", "graph").number = 9


def retype_field(file):
    field(file, "TensorProto", "data_type").type = FIELD.TYPE_INT64


def retarget_field(file):
    field(file, "AttributeProto", "t").type_name = ".onnx.SparseTensorProto"


def relabel_field(file):
    field(file, "NodeProto", "input").label = FIELD.LABEL_OPTIONAL


def require_field(file):
    field(file, "NodeProto", "name").label = FIELD.LABEL_REQUIRED


def unpack_field(file):
    field(file, "TensorProto", "float_data").ClearField("options")


def pack_field(file):
    field(file, "AttributeProto", "ints").options.packed = True


def deprecate_field(file):
    field(file, "NodeProto", "doc_string").options.deprecated = True


def give_default(file):
    field(file, "NodeProto", "domain").default_value = "ai.onnx"


def leave_oneof(file):
    named(message(file, "TensorShapeProto", "Dimension").field, "dim_param").ClearField("oneof_index")


def rename_oneof(file):
    named(message(file, "SimpleShardedDimProto").oneof_decl, "dim").name = "size"


def drop_field(file):
    fields = message(file, "FunctionProto").field
    fields.remove(named(fields, "value_info"))


def add_field(file):
    message(file, "GraphProto").field.add(name="extra", number=99, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_INT32)


def widen_reserved(file):
    named(file.message_type, "AttributeProto").reserved_range[1].end += 1


def drop_reserved_name(file):
    del message(file, "GraphProto").reserved_name[0]


def drop_message(file):
    file.message_type.remove(message(file, "TensorAnnotation"))


def add_nested_message(file):
    message(file, "TypeProto").nested_type.add(name="Table")


def drop_enum_value(file):
    del named(message(file, "TensorProto").enum_type, "DataType").value[-1]


def renumber_enum_value(file):
    named(named(file.enum_type, "Version").value, "IR_VERSION").number = 15


def drop_enum(file):
    file.enum_type.remove(named(file.enum_type, "OperatorStatus"))


def change_package(file):
    file.package = "onnx2"


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (rename_field, "message NodeProto", ["field op_type", "field operator"]),
        (renumber_field, "message ModelProto", ["field graph"]),
        (retype_field, "message TensorProto", ["field data_type"]),
        (retarget_field, "message AttributeProto", ["field t"]),
        (relabel_field, "message NodeProto", ["field input"]),
        (require_field, "message NodeProto", ["field name"]),
        (unpack_field, "message TensorProto", ["field float_data"]),
        (pack_field, "message AttributeProto", ["field ints"]),
        (deprecate_field, "message NodeProto", ["field doc_string"]),
        (give_default, "message NodeProto", ["field domain"]),
        (leave_oneof, "message TensorShapeProto.Dimension", ["field dim_param"]),
        (
            rename_oneof,
            "message SimpleShardedDimProto",
            ["field dim_param", "field dim_value", "oneof dim", "oneof size"],
        ),
        (drop_field, "message FunctionProto", ["field value_info"]),
        (add_field, "message GraphProto", ["field extra"]),
        (widen_reserved, "message AttributeProto", ["reserved 16"]),
        (drop_reserved_name, "message GraphProto", ["reserved name ir_version"]),
        (drop_message, None, ["message TensorAnnotation"]),
        (add_nested_message, None, ["message TypeProto.Table"]),
        (drop_enum_value, "enum TensorProto.DataType", ["value FLOAT6E3M2"]),
        (renumber_enum_value, "enum Version", ["value IR_VERSION"]),
        (drop_enum, None, ["enum OperatorStatus"]),
        (change_package, "file", ["package"]),
    ],
)
def test_comparison_reports(our_file, change, where, what):
    changed_file = copy.deepcopy(our_file)
    change(changed_file)
    changed, original = schema_of(changed_file), schema_of(our_file)
    if where is None:
        lines = differences(changed, original)
    else:
        assert [name for name in original if changed.get(name) != original[name]] == [where]
        lines = differences(changed[where], original[where])
    assert [line.split(":")[0] for line in lines] == what
