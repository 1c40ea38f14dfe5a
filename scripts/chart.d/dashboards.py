"""Can the dashboards be read: does each fit one screen, without panels that overlap, on any data source?"""

import json
import sys
from itertools import combinations
from pathlib import Path

# Rows of Grafana's grid on a screen of 1080 lines.
SCREEN = 22


def overlap(one: dict, other: dict) -> bool:
    return all(one[axis] < other[axis] + other[size] and other[axis] < one[axis] + one[size] for axis, size in (("x", "w"), ("y", "h")))


def faults_of(board: dict) -> list[str]:
    faults = []
    panels = board["panels"]
    if len({panel["id"] for panel in panels}) != len(panels):
        faults.append("two panels have one id")
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24 or place["y"] + place["h"] > SCREEN:
            faults.append(f"{panel['title']!r} is off the screen")
        if panel["datasource"]["uid"] != "${datasource}" or not panel["targets"]:
            faults.append(f"{panel['title']!r} does not read the chosen data source")
    for one, other in combinations(panels, 2):
        if overlap(one["gridPos"], other["gridPos"]):
            faults.append(f"{one['title']!r} and {other['title']!r} overlap")
    if board["templating"]["list"][0]["type"] != "datasource":
        faults.append("its data source cannot be chosen")
    return faults


def main(paths: list[Path]) -> list[str]:
    boards = [(path.name, json.loads(path.read_text())) for path in paths]
    faults = [f"{name}: {fault}" for name, board in boards for fault in faults_of(board)]
    if len({board["uid"] for _, board in boards}) != len(boards):
        faults.append("two dashboards have one uid")
    return faults


if __name__ == "__main__":
    found = main([Path(path) for path in sys.argv[1:]])
    for fault in found:
        print(f"chart: {fault}")
    sys.exit(1 if found else 0)
