"""The checks themselves, on fixtures that break each rule. `python3 -m unittest` from `.ci`."""

import unittest

import deps
import layers


def package(name, *needs, folder=None, kinds=("lib",)):
    return {
        "name": name,
        "id": name,
        "manifest_path": f"/w/crates/{folder or name}/Cargo.toml",
        "targets": [{"kind": list(kinds)}],
        "dependencies": [{"name": n, "kind": k, "path": f"/w/crates/{n}", "req": "*"} for n, k in needs],
    }


class Layers(unittest.TestCase):
    def test_the_arrows_of_the_design_pass(self):
        ours = [package("rtmp", ("media", None), ("hub", None), ("testkit", "dev")), package("server", ("store", None))]
        self.assertEqual([], [*layers.arrows(ours), *layers.places(ours)])

    def test_an_arrow_upward_or_sideways_fails(self):
        for name, need in [("media", "hub"), ("rtmp", "srt"), ("hub", "container"), ("store", "media"), ("server", "transcoder")]:
            self.assertEqual(1, len([*layers.arrows([package(name, (need, None))])]), (name, need))

    def test_the_test_kit_only_helps_tests(self):
        self.assertEqual(1, len([*layers.arrows([package("server", ("testkit", None))])]))

    def test_nothing_depends_on_the_load_tool_and_it_may_test_through_the_server(self):
        for kind in (None, "dev"):
            self.assertEqual(1, len([*layers.arrows([package("server", ("bench", kind))])]), kind)
        self.assertEqual([], [*layers.arrows([package("bench", ("rtmp", None), ("server", "dev"))])])
        self.assertEqual(1, len([*layers.arrows([package("bench", ("server", None))])]))
        self.assertEqual(1, len([*layers.arrows([package("rtmp", ("server", "dev"))])]))

    def test_a_build_dependency_is_an_arrow_too(self):
        self.assertEqual(1, len([*layers.arrows([package("media", ("hub", "build"))])]))

    def test_an_unknown_crate_or_a_misplaced_one_fails(self):
        self.assertEqual(1, len([*layers.arrows([package("utils")])]))
        self.assertEqual(1, len([*layers.places([package("hub", folder="core")])]))

    def test_only_binaries_have_a_main(self):
        self.assertEqual(1, len([*layers.places([package("hub", kinds=("lib", "bin"))])]))
        self.assertEqual([], [*layers.places([package("server", kinds=("lib", "bin"))])])

    def test_a_pure_crate_reaches_no_runtime_at_any_depth(self):
        def node(name, *needs):
            return {"id": name, "deps": [{"pkg": n, "dep_kinds": [{"kind": k}]} for n, k in needs]}

        packages = [package(n) for n in ("media", "helper", "tokio")]
        for kind, count in [(None, 1), ("dev", 0)]:
            nodes = [node("media", ("helper", kind)), node("helper", ("tokio", None)), node("tokio")]
            self.assertEqual(count, len([*layers.purity(packages, {"nodes": nodes, "members": {"media"}})]))

    def test_a_pure_crate_names_no_clock_file_or_socket(self):
        for line in ("let t = Instant::now();", "use std::fs;", "std::net::IpAddr", "SystemTime::UNIX_EPOCH"):
            self.assertEqual(1, len([*layers.source("media", "src/time.rs", line)]), line)
            self.assertEqual([], [*layers.source("hub", "src/hub.rs", line)])
        self.assertEqual([], [*layers.source("media", "src/time.rs", "// never Instant::now")])
        self.assertEqual([], [*layers.source("media", "src/time.rs", "#[cfg(test)]\nmod tests {\n use std::fs;\n}")])

    def test_a_file_can_be_too_long(self):
        self.assertEqual(1, len([*layers.source("hub", "src/hub.rs", "\n" * 801)]))


class Deps(unittest.TestCase):
    POLICY = {
        "licenses": {"allow": ["MIT", "Unicode-3.0", "BSD-3-Clause"]},
        "bans": {"deny": [{"crate": "openssl-sys", "reason": "ring"}]},
        "sources": {"allow-registry": ["https://example/index"]},
    }

    def wrong(self, **changes):
        good = {"name": "a", "version": "1", "license": "MIT", "source": "registry+https://example/index"}
        return [*deps.violations([good | changes], self.POLICY)]

    def test_licence_expressions(self):
        self.assertEqual([], self.wrong())
        for fine in ("MIT OR GPL-3.0", "GPL-3.0/MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "MIT AND BSD-3-Clause"):
            self.assertEqual([], self.wrong(license=fine), fine)
        for bad in (None, "", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR Apache-2.0) AND MIT", "(MIT", "MIT WITH Odd-exception"):
            self.assertEqual(1, len(self.wrong(license=bad)), bad)

    def test_bans_and_sources(self):
        self.assertEqual(1, len(self.wrong(name="openssl-sys")))
        self.assertEqual(1, len(self.wrong(source="git+https://example/fork")))
        self.assertEqual([], self.wrong(source=None))

    def test_any_version_is_no_version(self):
        ours = {"name": "hub", "source": None, "dependencies": [{"name": "bytes", "req": "*", "path": None}]}
        self.assertEqual(1, len([*deps.wildcards([ours])]))


if __name__ == "__main__":
    unittest.main()
