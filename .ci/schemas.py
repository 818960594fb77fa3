"""Writes the strict schemas of Kubernetes that the package kubernetes-validate contains, with references that kubeconform can follow.

    schemas.py FOLDER VERSION...
"""

import json
import pathlib
import sys

import kubernetes_validate

source = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
folder, *versions = sys.argv[1:]
for version in versions:
    into = pathlib.Path(folder) / f"v{version}"
    into.mkdir(parents=True, exist_ok=True)
    for file in (source / f"v{version}-local-strict").glob("*.json"):
        schema = json.loads(file.read_text())
        # It makes references relative to a server: `/api/_definitions.json`.
        schema.pop("$id", None)
        (into / file.name).write_text(json.dumps(schema).replace('"/api/', '"'))
