#!/usr/bin/env python3
"""Takes from GitHub's description of its API what our forge client uses, as JSON Schema.

    openapi.py PACKAGE > openapi.json

PACKAGE is the folder of the npm package @octokit/openapi (`npm pack @octokit/openapi`, then `tar xf`). It is under the MIT
licence, whose notice goes into the extract.
"""

import json
import sys
from pathlib import Path

OPERATIONS = [
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/pulls",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    "GET /repos/{owner}/{repo}/issues",
    "GET /repos/{owner}/{repo}/issues/{issue_number}",
    "POST /repos/{owner}/{repo}/issues",
    "GET /repos/{owner}/{repo}/branches/{branch}",
    "GET /repos/{owner}/{repo}/git/ref/{ref}",
    "GET /repos/{owner}/{repo}/commits/{ref}/status",
    "GET /repos/{owner}/{repo}/commits/{ref}/statuses",
    "POST /repos/{owner}/{repo}/statuses/{sha}",
    "GET /repos/{owner}/{repo}/contents/{path}",
    "GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
    "POST /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
]

KEPT = {
    "type", "properties", "required", "items", "enum", "allOf", "anyOf", "oneOf", "additionalProperties", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "pattern",
}


class Extract:
    def __init__(self, description):
        self.components = description["components"]
        self.schemas = {}

    def resolve(self, thing, kind):
        return self.components[kind][thing["$ref"].rsplit("/", 1)[1]] if "$ref" in thing else thing

    def schema(self, schema):
        """JSON Schema has no `nullable`; descriptions and examples are not for machines."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            if name not in self.schemas:
                self.schemas[name] = None
                self.schemas[name] = self.schema(self.components["schemas"][name])
            return {"$ref": f"#/$defs/{name}"}
        kept = {}
        for key, value in schema.items():
            if key == "properties":
                kept[key] = {name: self.schema(it) for name, it in value.items()}
            elif key in ("allOf", "anyOf", "oneOf"):
                kept[key] = [self.schema(it) for it in value]
            elif key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
                kept[key] = self.schema(value)
            elif key in KEPT:
                kept[key] = value
        return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept

    def content(self, thing):
        content = thing.get("content", {}).get("application/json")
        return self.schema(content["schema"]) if content else None

    def operation(self, shared, operation):
        parameters = [self.resolve(it, "parameters") for it in shared + operation.get("parameters", [])]
        queries = {it["name"]: self.schema(it["schema"]) for it in parameters if it["in"] == "query"}
        body = operation.get("requestBody")
        answers = {code: self.content(self.resolve(it, "responses")) for code, it in operation["responses"].items()}
        return {"query": queries, "body": self.content(body) if body else None, "answers": answers}


def main():
    package = Path(sys.argv[1])
    description = json.loads((package / "generated/api.github.com.json").read_text())
    extract, operations = Extract(description), {}
    for name in OPERATIONS:
        method, path = name.split(" ")
        place = description["paths"][path]
        operations[name] = extract.operation(place.get("parameters", []), place[method.lower()])
    source = "an extract by tests/interop/openapi.py of @octokit/openapi " + description["info"]["version"]
    result = {"source": source, "licence": (package / "LICENSE").read_text(), "operations": operations, "$defs": extract.schemas}
    json.dump(result, sys.stdout, indent=1, sort_keys=True)
    print()


main()
