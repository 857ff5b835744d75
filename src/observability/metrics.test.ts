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

test("labelled gauges add up by labels; labelled histograms keep their buckets apart", () => {
  const metrics = new Metrics();
  const gauge = metrics.gauge("a", "Now");
  const [here, there] = [{ place: "here" }, { place: "there" }];
  gauge.report(() => 1, here);
  gauge.reportEach(() => [
    [here, 2],
    [there, 5],
  ]);
  const histogram = metrics.histogram("b_seconds", "Took", [1], true);
  histogram.of(here).observe(0.5);
  histogram.of({ place: "here" }).observe(2);
  metrics.total("c_total", "Elsewhere").report(() => 9);
  expect(metrics.render()).toBe(
    [
      "# HELP a Now",
      "# TYPE a gauge",
      'a{place="here"} 3',
      'a{place="there"} 5',
      "# HELP b_seconds Took",
      "# TYPE b_seconds histogram",
      'b_seconds_bucket{place="here",le="1"} 1',
      'b_seconds_bucket{place="here",le="+Inf"} 2',
      'b_seconds_sum{place="here"} 2.5',
      'b_seconds_count{place="here"} 2',
      "# HELP c_total Elsewhere",
      "# TYPE c_total counter",
      "c_total 9",
      "",
    ].join("\n"),
  );
});

test("a gauge that cannot be read is left out and takes nothing else with it", () => {
  const metrics = new Metrics();
  metrics.gauge("broken", "Now").report(() => {
    throw new Error("gone");
  });
  metrics.counter("fine_total", "Things").add();
  expect(metrics.render()).toBe("# HELP fine_total Things\n# TYPE fine_total counter\nfine_total 1\n");
});

test("a figure that does not come, as while the disk hangs, keeps nobody from the rest, and is asked for once", async () => {
  const metrics = new Metrics();
  metrics.counter("things_total", "Things").of({ kind: "a" }).add();
  let asked = 0;
  const figure = Promise.withResolvers<void>();
  metrics.gauge("rows", "Rows").reportAsked(async () => {
    asked++;
    await figure.promise;
    return [[{ kind: "b" }, 3]];
  });
  const pages = await Promise.all([metrics.page(), metrics.page()]);
  expect(asked).toBe(1);
  for (const page of pages) {
    expect(page).toContain(`\nthings_total{kind="a"} 1\n`);
    expect(page).not.toContain("\nrows{");
  }
  figure.resolve();
  expect(await metrics.page()).toContain(`\nrows{kind="b"} 3\n`);
});
