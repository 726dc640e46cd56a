"""The structs and functions that Python declares are those of the C header, as the compiler sees it."""
import ctypes
import re
import shutil
import subprocess

import pytest

import onnx_repvgg_fuse
from onnx_repvgg_fuse import _library
from tests.support.tool import ROOT

HEADER = ROOT / "src" / "onnx_repvgg_fuse.h"
STRUCTS = {
    "onnx_fuse_options": _library.Options,
    "onnx_fuse_diff_options": _library.DiffOptions,
    "onnx_fuse_verify_options": _library.VerifyOptions,
    "onnx_fuse_dump_options": _library.DumpOptions,
}
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def code():
    """The header without comments and lines of the preprocessor."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.S)
    return re.sub(r"^#.*$", "", text, flags=re.M)


def fields_of(struct):
    """Names of a struct's fields, in order, as the text has them."""
    body = re.search(rf"struct {struct} \{{(.*?)\n\}};", code(), re.S).group(1)
    names = []
    for declaration in filter(str.strip, body.split(";")):
        pointer = re.search(r"\(\*(\w+)\)\(", declaration)
        if pointer:
            names.append(pointer.group(1))
        else:
            names += [re.search(r"(\w+)\s*$", part).group(1) for part in declaration.split(",")]
    return names


def compiled(folder, lines):
    """What a C program of these printf arguments prints, one number a line."""
    source = folder / "layout.c"
    source.write_text('#include <stddef.h>\n#include <stdio.h>\n#include "onnx_repvgg_fuse.h"\nint main(void)\n{\n'
                      + "".join(f'    printf("%zu\\n", (size_t)({line}));\n' for line in lines) + "    return 0;\n}\n")
    subprocess.run([COMPILER, "-std=c11", f"-I{HEADER.parent}", source, "-o", folder / "layout"], check=True)
    return list(map(int, subprocess.run([folder / "layout"], check=True, capture_output=True, text=True).stdout.split()))


def test_every_struct_of_options_is_mirrored():
    assert set(re.findall(r"struct (\w+_options) \{", code())) | {"onnx_fuse_options"} == set(STRUCTS)


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
@pytest.mark.parametrize("struct", STRUCTS)
def test_layout(struct, tmp_path):
    mirror, names = STRUCTS[struct], fields_of(struct)
    assert [name for name, *_ in mirror._fields_] == names
    lines = [f"sizeof(struct {struct})"]
    for name in names:
        lines += [f"offsetof(struct {struct}, {name})", f"sizeof(((struct {struct} *)0)->{name})"]
    declared = [ctypes.sizeof(mirror)]
    for name in names:
        declared += [getattr(mirror, name).offset, getattr(mirror, name).size]
    assert compiled(tmp_path, lines) == declared


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_every_status_has_its_class(tmp_path):
    names = re.findall(r"ONNX_FUSE_\w+", re.search(r"enum onnx_fuse_status \{(.*?)\}", code(), re.S).group(1))
    numbers = dict(zip(names, compiled(tmp_path, names)))
    assert numbers.pop("ONNX_FUSE_OK") == 0
    assert sorted(onnx_repvgg_fuse._errors.BY_STATUS) == sorted(numbers.values())


def test_functions_take_what_the_header_says():
    """By kind: pointers, numbers. A pointer handed over as an int would be cut to 32 bits."""
    def kind(text):
        text = re.sub(r"\b(const|struct|enum|ONNX_FUSE_API|extern)\b", "", text).strip()
        if "*" in text:
            return "text" if re.match(r"char\s*\*[^*]*$", text) else "pointer"
        return text.split()[0]

    def known(type_):
        if type_ is None:
            return "void"
        if type_ is ctypes.c_char_p:
            return "text"
        if type_ is ctypes.c_void_p or issubclass(type_, ctypes._Pointer):
            return "pointer"
        return {ctypes.c_size_t: "size_t", ctypes.c_int: "int", ctypes.c_bool: "bool", ctypes.c_double: "double"}[type_]

    declared = {}
    for result, name, arguments in re.findall(r"ONNX_FUSE_API\s+([\w\s*]+?)(\w+)\(([^()]*)\);", code()):
        listed = [] if arguments.strip() == "void" else [kind(argument) for argument in arguments.split(",")]
        enum = result.strip().startswith("enum")
        declared[name] = ("int" if enum else kind(result), listed)
    assert len(declared) > 30
    for name, (result, arguments) in _library._functions().items():
        assert (known(result), list(map(known, arguments))) == declared["onnx_fuse_" + name], name
