"""Do two rendered charts hold the same objects, in whatever order?"""

import sys

import yaml


def objects(path: str) -> dict:
    with open(path) as file:
        documents = [document for document in yaml.safe_load_all(file) if document]
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


first, second = objects(sys.argv[1]), objects(sys.argv[2])
if first != second:
    differing = sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))
    sys.exit(f"chart: Helm 3 and 4 do not render the same: {differing}")
