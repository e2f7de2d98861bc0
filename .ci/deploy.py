"""What the files of deploy/ say of the server: metrics that exist, alerts that are tested and explained, time to drain.

`deploy.py queries` prints the dashboard's queries as rules, for promtool to read. Standard library only.
"""

import json
import pathlib
import re
import sys

METRIC = re.compile(r"\b(?:weir|process)_[a-z_]+\b")
# Of the server after shutdown.drain_s: WRITING in app.rs.
WRITING_S = 5
GRACE = {
    "deploy/weir.service": r"^TimeoutStopSec=(\d+)$",
    "deploy/compose.yaml": r"^\s+stop_grace_period: (\d+)s$",
    "deploy/kubernetes/weir.yaml": r"^\s+terminationGracePeriodSeconds: (\d+)$",
}
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$instance": ".*", "$stream": ".*"}


def text(path):
    return pathlib.Path(path).read_text()


def documented(page):
    """Names in the table of docs/metrics.md; a histogram has three more."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.M)
    suffixes = {"histogram": ("", "_bucket", "_sum", "_count")}
    return {name + suffix for name, kind in rows for suffix in suffixes.get(kind, ("",))}


def unknown_metrics(known, where, says):
    for name in sorted(set(METRIC.findall(says)) - known):
        yield f"{where}: there is no metric {name}"


def queries(dashboard):
    """Every query of every panel, with Grafana's variables filled in."""
    for panel in json.loads(dashboard)["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield query


def alerts(rules, tests, troubles):
    for name in re.findall(r"- alert: (\w+)", rules):
        if name not in tests:
            yield f"alert {name}: no test"
    headings = set(re.findall(r"^## (.+)$", troubles, re.M))
    for heading in sorted(set(re.findall(r'troubles: "(.+)"', rules)) - headings):
        yield f"docs/troubles.md: no heading {heading!r}"


def impatient(sample, files):
    drain = int(re.search(r"^drain_s = (\d+)", sample, re.M)[1])
    for path, says in files.items():
        grace = re.search(GRACE[path], says, re.M)
        if not grace or int(grace[1]) <= drain + WRITING_S:
            yield f"{path}: must wait for more than {drain} + {WRITING_S} s"


def violations():
    known = documented(text("docs/metrics.md"))
    rules, dashboard = text("deploy/prometheus/weir.rules.yml"), text("deploy/grafana/weir.json")
    yield from unknown_metrics(known, "weir.rules.yml", "\n".join(re.findall(r"expr:.*(?:\n {10,}.*)*", rules)))
    yield from unknown_metrics(known, "weir.json", "\n".join(queries(dashboard)))
    yield from alerts(rules, text("deploy/prometheus/weir.test.yml"), text("docs/troubles.md"))
    yield from impatient(text("weir.toml"), {path: text(path) for path in GRACE})


def main():
    if sys.argv[1:] == ["queries"]:
        rules = [{"record": f"dashboard:query{n}", "expr": q} for n, q in enumerate(queries(text("deploy/grafana/weir.json")))]
        print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        return 0
    wrong = [*violations()]
    for line in wrong:
        print(f"deploy: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
