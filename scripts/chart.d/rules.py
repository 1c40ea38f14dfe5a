"""Has every alert a severity, a page of the runbook, and a test that fires it and one in which it is quiet?"""

import sys
from pathlib import Path

import yaml

# Pages that no alert leads to, but a plan.
PROCEDURES = {"backup-and-restore.md"}


def main(rules: Path, tests: Path, runbook: Path) -> list[str]:
    faults = []
    groups = yaml.safe_load(rules.read_text())["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    fired, quiet = set(), set()
    for test in yaml.safe_load(tests.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            (fired if case.get("exp_alerts") else quiet).add(case["alertname"])
    pages = {path.name for path in runbook.glob("*.md")} - {"README.md"}
    linked = set()
    for name, rule in alerts.items():
        if rule.get("labels", {}).get("severity") not in ("critical", "warning"):
            faults.append(f"{name} has no severity")
        url = rule["annotations"].get("runbook_url", "")
        page = url.removeprefix("RUNBOOK/")
        linked.add(page)
        if page == url or page not in pages:
            faults.append(f"{name}: {url!r} is no page of {runbook}")
        if name not in fired:
            faults.append(f"{name} has no test that fires it")
        if name not in quiet:
            faults.append(f"{name} has no test in which it is quiet")
    faults += [f"{name} is tested and is no alert" for name in sorted((fired | quiet) - alerts.keys())]
    faults += [f"{runbook}/{page} is the page of no alert" for page in sorted(pages - linked - PROCEDURES)]
    return faults


if __name__ == "__main__":
    found = main(*map(Path, sys.argv[1:]))
    for fault in found:
        print(f"chart: {fault}")
    sys.exit(1 if found else 0)
