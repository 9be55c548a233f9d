"""The API's description as a page for people: without scripts, and without a byte from elsewhere."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape

TEMPLATE = Path(__file__).parent / "described.html"


def described(openapi: dict[str, Any]) -> str:
    """HTML of an OpenAPI description."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(api=openapi, type=_type, words=_words)


def _words(text: str | None) -> Markup:
    """A text whose `code` is set as such."""
    return Markup(re.sub("`(.+?)`", r"<code>\1</code>", str(escape(text or ""))))


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if schema.get("type") == "array":
        inner = [_type(item) for item in schema.get("prefixItems", [])] or [_type(schema.get("items", {}))]
        return f"[{', '.join(inner)}{'' if 'prefixItems' in schema else ', ...'}]"
    return str(schema.get("format") or schema.get("type") or "any")
