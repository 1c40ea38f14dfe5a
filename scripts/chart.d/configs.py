"""The configuration files that the chart renders, as helm/tests/configs keeps them.

The program's own check is run on these by its tests (services/tocsin/tests/system/chart.rs), which need no Helm.
"""

import sys
from pathlib import Path

import yaml


def rendered(paths: list[Path]) -> dict[str, str]:
    texts = {}
    for path in paths:
        for one in yaml.safe_load_all(path.read_text()):
            if one and one["kind"] == "ConfigMap" and "api.toml" in one["data"]:
                for name in ("tocsin.toml", "api.toml"):
                    texts[f"{path.stem}.{name}"] = one["data"][name].strip() + "\n"
    return texts


def main(arguments: list[str]) -> int:
    *paths, mode, folder = arguments
    wanted, kept = rendered([Path(path) for path in paths]), Path(folder)
    if mode == "--write":
        for old in kept.glob("*.toml"):
            old.unlink()
        for name, text in wanted.items():
            (kept / name).write_text(text)
        return 0
    found = {path.name: path.read_text() for path in kept.glob("*.toml")}
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differing:
        print(f"chart: {folder} is not what the chart renders ({', '.join(differing)}): run scripts/chart write")
    return len(differing)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
