"""Holds rendered manifests against the schemas of Kubernetes and of the CRDs, and against the chart's own rules."""

import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.35"
# A trial may draw passwords. Nothing else of the chart is a secret.
SECRETS_ALLOWED = {"demo-tocsin-trial"}


def custom_schemas(folder: Path) -> dict:
    """Of each kind that is not Kubernetes' own."""
    schemas = {}
    for path in folder.glob("*.yaml"):
        definition = yaml.safe_load(path.read_text())["spec"]
        for version in definition["versions"]:
            key = (f"{definition['group']}/{version['name']}", definition["names"]["kind"])
            schemas[key] = strict(version["schema"]["openAPIV3Schema"])
    return schemas


def strict(schema: dict) -> dict:
    """Kubernetes drops fields that a schema does not know; a typing error must not vanish."""
    if isinstance(schema, dict):
        for value in schema.values():
            strict(value)
        # Go's way of writing "whatever the case"; Python wants it first.
        if isinstance(schema.get("pattern"), str):
            schema["pattern"] = schema["pattern"].replace("^(?i)", "(?i)^")
        if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


def pod_of(manifest: dict) -> dict | None:
    if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
        return manifest["spec"]["template"]
    return None


def faults_of_pod(manifest: dict, pod: dict) -> list[str]:
    """What "restricted" of the pod security standards asks, and more."""
    faults, spec = [], pod["spec"]
    trial = "trial" in manifest["metadata"]["name"]
    of_pod = spec.get("securityContext", {})
    if not of_pod.get("runAsNonRoot") or of_pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        faults.append("does not run as a user without rights, under the runtime's seccomp profile")
    if spec.get("automountServiceAccountToken") is not False:
        faults.append("mounts a token that nobody needs")
    for container in spec.get("initContainers", []) + spec["containers"]:
        of_container = container.get("securityContext", {})
        if of_container.get("allowPrivilegeEscalation") is not False or of_container.get("capabilities") != {"drop": ["ALL"]}:
            faults.append(f"{container['name']} may gain rights")
        if not trial and not of_container.get("readOnlyRootFilesystem"):
            faults.append(f"{container['name']} may write to its image")
        resources = container.get("resources", {})
        if not resources.get("requests") or "memory" not in resources.get("limits", {}):
            faults.append(f"{container['name']} reserves nothing, or has no limit of memory")
    if manifest["kind"] == "Deployment":
        main = spec["containers"][0]
        missing = [probe for probe in ("startupProbe", "livenessProbe", "readinessProbe") if probe not in main]
        if missing:
            faults.append(f"has no {', '.join(missing)}")
        selected = manifest["spec"]["selector"]["matchLabels"].items()
        if not selected <= pod["metadata"]["labels"].items():
            faults.append("does not select its own pods")
    mounted = {volume["name"] for volume in spec.get("volumes", [])}
    mounted |= {claim["metadata"]["name"] for claim in manifest["spec"].get("volumeClaimTemplates", [])}
    for container in spec["containers"]:
        unknown = {mount["name"] for mount in container.get("volumeMounts", [])} - mounted
        if unknown:
            faults.append(f"mounts {unknown}, which is no volume of it")
    return faults


def faults_between(manifests: list[dict]) -> list[str]:
    """References from one object to another."""
    faults = []
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    if len(names) != len(manifests):
        faults.append("two objects of one kind have one name")
    pods = [pod_of(one) for one in manifests if one["kind"] in ("Deployment", "StatefulSet")]

    def ports(selector: dict) -> set | None:
        for pod in pods:
            if selector.items() <= pod["metadata"]["labels"].items():
                return {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
        return None

    for one in manifests:
        name, spec = f"{one['kind']} {one['metadata']['name']}", one.get("spec", {})
        selector = spec.get("selector")
        if one["kind"] == "Service":
            known = ports(selector)
            unknown = [port["targetPort"] for port in spec["ports"] if port["targetPort"] not in (known or ())]
            if unknown:
                faults.append(f"{name} leads to {unknown}, which no pod serves")
        elif one["kind"] == "NetworkPolicy" and not one["metadata"]["name"].endswith("-migrate"):
            known = ports(spec["podSelector"]["matchLabels"])
            named = [port["port"] for rule in spec["ingress"] for port in rule["ports"]]
            if known is None or not set(named) <= known:
                faults.append(f"{name} is about {named}, of which its pods serve {known}")
        elif one["kind"] == "ServiceMonitor":
            selected = [
                port["name"]
                for service in manifests
                if service["kind"] == "Service" and selector["matchLabels"].items() <= service["metadata"]["labels"].items()
                for port in service["spec"]["ports"]
            ]
            unknown = {endpoint["port"] for endpoint in spec.get("endpoints", [])} - set(selected)
            if unknown:
                faults.append(f"{name} scrapes {sorted(unknown)}, which no service that it selects has")
        elif one["kind"] == "PodDisruptionBudget" and ports(selector["matchLabels"]) is None:
            faults.append(f"{name} selects no pod")
        elif one["kind"] in ("ScaledObject", "HorizontalPodAutoscaler"):
            target = spec["scaleTargetRef"]["name"]
            if ("Deployment", target) not in names:
                faults.append(f"{name} scales {target}, which is not there")
            deployment = next((one for one in manifests if one["kind"] == "Deployment" and one["metadata"]["name"] == target), None)
            if deployment and "replicas" in deployment["spec"]:
                faults.append(f"{name} scales {target}, whose replicas every upgrade would reset")
        elif one["kind"] == "Ingress":
            for rule in spec["rules"]:
                for path in rule["http"]["paths"]:
                    service = path["backend"]["service"]["name"]
                    if ("Service", service) not in names:
                        faults.append(f"{name} leads to {service}, which is not there")
        elif one["kind"] == "Secret" and one["metadata"]["name"] not in SECRETS_ALLOWED:
            faults.append(f"{name}: the chart must not make secrets")
    return faults


def faults_of_trigger(scaled: dict, known: set[str]) -> list[str]:
    triggers = [trigger for trigger in scaled["spec"]["triggers"] if trigger["type"] == "rabbitmq"]
    unknown = {key for trigger in triggers for key in trigger["metadata"]} - known
    return [f"KEDA's rabbitmq trigger has no {sorted(unknown)}"] if unknown else []


def check(path: Path, schemas: dict, trigger_keys: set[str]) -> list[str]:
    manifests = [one for one in yaml.safe_load_all(path.read_text()) if one]
    faults = faults_between(manifests)
    for one in manifests:
        name = f"{one['kind']} {one['metadata']['name']}"
        schema = schemas.get((one["apiVersion"], one["kind"]))
        try:
            if schema:
                jsonschema.validate(without_metadata(one), schema)
            else:
                kubernetes_validate.validate(one, KUBERNETES, strict=True)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            faults.append(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
        pod = pod_of(one)
        if pod:
            faults += [f"{name} {fault}" for fault in faults_of_pod(one, pod)]
        if one["kind"] == "ScaledObject":
            faults += [f"{name}: {fault}" for fault in faults_of_trigger(one, trigger_keys)]
    return faults


def without_metadata(manifest: dict) -> dict:
    """A CRD says of metadata that it is an object, and leaves the rest to Kubernetes."""
    return {**manifest, "metadata": {}}


def main(crds: Path, paths: list[Path]) -> int:
    schemas = custom_schemas(crds)
    scalers = json.loads((crds / "scalers-schema.rabbitmq.json").read_text())
    trigger_keys = {parameter["name"] for parameter in scalers[0]["parameters"]}
    found = 0
    for path in paths:
        for fault in check(path, schemas, trigger_keys):
            print(f"chart: {path.name}: {fault}")
            found += 1
    return found


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]]) else 0)
