"""Dependency policy: licences, banned crates and sources of `deny.toml`, checked over `cargo metadata`.

The part of cargo-deny that needs no advisory database, in a second instead of a five-minute install. Standard library only.
"""

import pathlib
import re
import sys
import tomllib

from layers import metadata

WORDS = re.compile(r"\(|\)|[A-Za-z0-9.+-]+")


def allowed(expression, licences):
    """Whether an SPDX expression can be met from `licences`; the old `A/B` means `A OR B`."""
    words = WORDS.findall(expression.replace("/", " OR "))

    def either():
        ok = both()
        while words and words[0] == "OR":
            words.pop(0)
            ok = both() or ok
        return ok

    def both():
        ok = one()
        while words and words[0] == "AND":
            words.pop(0)
            ok = one() and ok
        return ok

    def one():
        if not words:
            return False
        word = words.pop(0)
        if word == "(":
            ok = either()
            return bool(words) and words.pop(0) == ")" and ok
        if words and words[0] == "WITH":
            words.pop(0)
            word = f"{word} WITH {words.pop(0)}" if words else ""
        return word in licences

    ok = either()
    return ok and not words


def violations(packages, policy):
    licences = set(policy["licenses"]["allow"])
    banned = {ban["crate"]: ban["reason"] for ban in policy["bans"]["deny"]}
    registries = {f"registry+{url}" for url in policy["sources"]["allow-registry"]}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["source"] is not None and package["source"] not in registries:
            yield f"{name}: comes from {package['source']}"
        if package["name"] in banned:
            yield f"{name}: banned ({banned[package['name']]})"
        if not allowed(package["license"] or "", licences):
            yield f"{name}: licence {package['license']!r}"


def wildcards(packages):
    for package in (p for p in packages if p["source"] is None):
        for dep in package["dependencies"]:
            if dep["req"] == "*" and not dep.get("path"):
                yield f"{package['name']}: asks for any version of {dep['name']}"


def main():
    policy = tomllib.loads(pathlib.Path("deny.toml").read_text())
    packages = metadata()["packages"]
    wrong = [*violations(packages, policy), *wildcards(packages)]
    for line in wrong:
        print(f"deps: {line}", file=sys.stderr)
    print(f"deps: {len(packages)} packages, {len(wrong)} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
