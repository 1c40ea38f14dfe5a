"""What can be told of Dockerfile and compose file without Docker: all that they name is there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml


def faults_of_dockerfile(dockerfile: Path) -> list[str]:
    faults, text = [], dockerfile.read_text().replace("\\\n", " ")
    ignored = Path(f"{dockerfile}.dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    stages = re.findall(r"^FROM .* AS (\S+)$", text, re.MULTILINE)
    arguments = set(re.findall(r"^ARG ([A-Z_]+)\b", text, re.MULTILINE))
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["COPY"]:
            stage = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
            if stage and stage not in stages:
                faults.append(f"{dockerfile}: no stage {stage}")
            sources = [] if stage else [word for word in words[1:-1] if not word.startswith("--")]
            for source in sources:
                if not Path(source).exists():
                    faults.append(f"{dockerfile}: {source} is not there to be copied")
                if not any(Path(source).is_relative_to(one) for one in sent):
                    faults.append(f"{dockerfile}: {source} is kept back by the .dockerignore")
        for name in re.findall(r"\$\{([A-Z_]+)\}", line):
            if name not in arguments:
                faults.append(f"{dockerfile}: no argument {name}")
    last = text.rsplit("\nFROM ", 1)[1]
    user = re.search(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    if not user or "0" in user.groups():
        faults.append(f"{dockerfile}: the image does not run as a user without rights, by number")
    copied = re.findall(r"^COPY ([^-\n]+) \S+$", text, re.MULTILINE)
    faults += [
        f"{dockerfile}: the workspace's member {member} is not copied"
        for member in re.findall(r'"([^"]+)"', re.search(r"members = \[(.*)\]", Path("Cargo.toml").read_text())[1])
        if member.split("/")[0] not in copied
    ]
    return faults


def faults_of_compose(path: Path, stages: list[str]) -> list[str]:
    compose, faults = yaml.safe_load(path.read_text()), []
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (path.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
            if not there:
                faults.append(f"{path}: {name} mounts {source}, which is not there")
        build = service.get("build")
        if build and (build["target"] not in stages or not (path.parent / build["context"] / build["dockerfile"]).exists()):
            faults.append(f"{path}: {name} is built from what is not there")
        unknown = set(service.get("depends_on", [])) - compose["services"].keys()
        if unknown:
            faults.append(f"{path}: {name} depends on {unknown}")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                faults.append(f"{path}: {name} opens {port} to the network")
    scraped = yaml.safe_load((path.parent / "prometheus.yaml").read_text())["scrape_configs"]
    targets = {target for job in scraped for one in job["static_configs"] for target in one["targets"]}
    served = {f"{role}:9090" for role in ("api", "planner", "collector")}
    for name, service in compose["services"].items():
        if name.startswith("worker-"):
            port = service["environment"]["TOCSIN_HEALTH__LISTEN"].rsplit(":", 1)[1]
            served.add(f"{service['network_mode'].removeprefix('service:')}:{port}")
    if targets != served:
        faults.append(f"{path}: Prometheus reads {sorted(targets ^ served)} too much or too little")
    return faults


def faults_of_bill() -> list[str]:
    """Of docker/sbom: it names what the program is made of, each by version and hash, and nothing that images leave out."""
    bill = json.loads(subprocess.run(["docker/sbom"], check=True, capture_output=True, text=True).stdout)
    components = {one["name"]: one for one in bill["components"]}
    faults = [f"docker/sbom: {name} is not in it" for name in ("tocsin-worker", "tokio", "lapin", "rustls") if name not in components]
    faults += [f"docker/sbom: {name} is in no image" for name in components if name.startswith(("pglite", "wasmer")) or name == "proptest"]
    faults += [f"docker/sbom: {name} has no hash" for name, one in components.items() if not name.startswith("tocsin") and "hashes" not in one]
    return faults


if __name__ == "__main__":
    dockerfile, compose = Path(sys.argv[1]), Path(sys.argv[2])
    stages = re.findall(r"^FROM .* AS (\S+)$", dockerfile.read_text(), re.MULTILINE)
    found = faults_of_dockerfile(dockerfile) + faults_of_compose(compose, stages) + faults_of_bill()
    for fault in found:
        print(f"chart: {fault}")
    sys.exit(1 if found else 0)
