// The metrics page: Prometheus text that a scraper reads, with counts that are right.
import { expect, test } from "bun:test";
import { Metrics } from "./metrics.ts";

test("counters, gauges and histograms stand on the page in the text format", () => {
  const metrics = new Metrics();
  metrics.counter("a_total", "Things").add();
  const labelled = metrics.counter("b_total", "By reason", true);
  const reason = { reason: 'quo"te\n' };
  labelled.add(2, reason);
  labelled.add(1, reason);
  const gauge = metrics.gauge("c", "Now");
  const end = gauge.report(() => 3);
  gauge.report(() => 4);
  const histogram = metrics.histogram("d", "Sizes", [1, 10]);
  for (const value of [0.5, 1, 5, 100]) histogram.observe(value);
  expect(metrics.render()).toBe(
    [
      "# HELP a_total Things",
      "# TYPE a_total counter",
      "a_total 1",
      "# HELP b_total By reason",
      "# TYPE b_total counter",
      'b_total{reason="quo\\"te\\n"} 3',
      "# HELP c Now",
      "# TYPE c gauge",
      "c 7",
      "# HELP d Sizes",
      "# TYPE d histogram",
      'd_bucket{le="1"} 2',
      'd_bucket{le="10"} 3',
      'd_bucket{le="+Inf"} 4',
      "d_sum 106.5",
      "d_count 4",
      "",
    ].join("\n"),
  );
  end();
  expect(metrics.render()).toContain("\nc 4\n");
});

test("asking again gives the same metric; another kind under the name is a mistake", () => {
  const metrics = new Metrics();
  metrics.counter("a_total", "Things").add(2);
  expect(metrics.counter("a_total", "Things").value()).toBe(2);
  expect(() => metrics.gauge("a_total", "Things")).toThrow("already a counter");
});
