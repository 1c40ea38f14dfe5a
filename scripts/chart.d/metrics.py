"""Prints the names of the metrics that rules and dashboards read, one a line. Needs Python alone."""

import re
import sys
from pathlib import Path

NAME = re.compile(r"\btocsin_[a-z0-9_]+")
# A histogram's series are named after it.
SERIES = re.compile(r"_(bucket|sum|count)$")
# In dashboards expressions stand beside uids and titles, which have no underscore after the name.


def names(text: str) -> set[str]:
    return {SERIES.sub("", name) for name in NAME.findall(text)}


if __name__ == "__main__":
    read = set()
    for path in sys.argv[1:]:
        read |= names(Path(path).read_text())
    print("\n".join(sorted(read)))
