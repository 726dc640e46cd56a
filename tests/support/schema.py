"""Check a value against a JSON Schema: the keywords that this project's schemas use, and no others."""
import re

KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
KEYWORDS = {"$schema", "title", "$defs", "$ref", "const", "enum", "type", "required", "properties", "additionalProperties", "items",
            "minimum", "minItems", "minLength", "pattern"}


def is_kind(value, kind):
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def validate(value, schema, root=None, where="$"):
    root = root or schema
    assert set(schema) <= KEYWORDS, f"{where}: {set(schema) - KEYWORDS} are not checked"
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "const" in schema:
        assert value == schema["const"], f"{where}: {value!r}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r}"
    kinds = schema.get("type", list(KINDS))
    assert any(is_kind(value, k) for k in ([kinds] if isinstance(kinds, str) else kinds)), f"{where}: {value!r}"
    if "minimum" in schema and value is not None:
        assert value >= schema["minimum"], f"{where}: {value!r}"
    if "minItems" in schema or "minLength" in schema:
        assert len(value) >= schema.get("minItems", schema.get("minLength")), f"{where}: {value!r}"
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{where}: {value!r}"
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value), f"{where}: {set(schema['required']) - set(value)} missing"
        for k, v in value.items():
            known = schema.get("properties", {})
            assert k in known or "additionalProperties" in schema, f"{where}.{k} is not described"
            validate(v, known.get(k) or schema["additionalProperties"], root, f"{where}.{k}")
    if isinstance(value, list):
        for i, v in enumerate(value):
            validate(v, schema.get("items", {}), root, f"{where}[{i}]")
