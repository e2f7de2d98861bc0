"""The checks of deploy/ themselves, on fixtures that break each rule."""

import unittest

import deploy

PAGE = "| `weir_streams` | gauge | |\n| `weir_release_latency_seconds` | histogram | |\n"
RULES = '- alert: WeirDown\n  annotations:\n    troubles: "It is down"\n'


class Deploy(unittest.TestCase):
    def test_a_histogram_has_buckets_and_a_gauge_has_none(self):
        known = deploy.documented(PAGE)
        self.assertEqual([], [*deploy.unknown_metrics(known, "x", "weir_streams + rate(weir_release_latency_seconds_bucket[5m])")])
        self.assertEqual(1, len([*deploy.unknown_metrics(known, "x", "weir_streams_bucket")]))

    def test_queries_come_without_variables(self):
        panel = '{"panels": [{"targets": [{"expr": "rate(weir_x{stream=~\\"$stream\\"}[$__rate_interval])"}]}, {}]}'
        self.assertEqual(['rate(weir_x{stream=~".*"}[5m])'], [*deploy.queries(panel)])

    def test_an_alert_needs_a_test_and_a_heading(self):
        self.assertEqual([], [*deploy.alerts(RULES, "alertname=WeirDown", "## It is down\n")])
        self.assertEqual(2, len([*deploy.alerts(RULES, "", "# It is down\n")]))

    def test_who_waits_for_a_stop_waits_long_enough(self):
        unit = "deploy/weir.service"
        for seconds, wrong in [(20, 0), (15, 1)]:
            files = {unit: f"TimeoutStopSec={seconds}\n"}
            self.assertEqual(wrong, len([*deploy.impatient("drain_s = 10  # x", files)]), seconds)
        self.assertEqual(1, len([*deploy.impatient("drain_s = 10", {unit: ""})]))


if __name__ == "__main__":
    unittest.main()
