"""Writes the table of values into the chart's README, from the comments in values.yaml; or tells that it is not so."""

import json
import re
import sys
from pathlib import Path

import yaml

CHART = Path("helm/tocsin")
BEGIN, END = "<!-- values, written by scripts/chart write -->", "<!-- end of values -->"
KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(.*)$")


def rows(text: str, values: dict) -> list[tuple[str, str, str]]:
    """A key with a comment is a row; what is below a key without one has rows of its own."""
    found, path, comment = [], [], []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip().lstrip("#").strip())
            continue
        key = KEY.match(line)
        if not key:
            comment = []
            continue
        depth = len(key[1]) // 2
        path = path[:depth] + [key[2]]
        if comment:
            value = values
            for part in path:
                value = value[part]
            default = "" if isinstance(value, dict) and len(json.dumps(value)) > 90 else f"`{json.dumps(value)}`"
            found.append((".".join(path), default, " ".join(comment)))
        comment = []
    return found


def table() -> str:
    text = (CHART / "values.yaml").read_text()
    # The first comment is about the file.
    body = text.split("\n\n", 1)[1]
    lines = ["| key | default | what it says |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | {default} | {what} |" for key, default, what in rows(body, yaml.safe_load(text))]
    return "\n".join(lines)


def main(mode: str) -> int:
    readme = CHART / "README.md"
    text = readme.read_text()
    head, rest = text.split(BEGIN)
    wanted = f"{head}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"
    if mode == "--write":
        readme.write_text(wanted)
    elif wanted != text:
        print(f"chart: {readme} is not what {CHART}/values.yaml says: run scripts/chart write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
