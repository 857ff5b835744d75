// Counters, gauges and histograms of the whole server, rendered as Prometheus text (format 0.0.4). Counting never fails and never
// allocates for a label that was seen before; a gauge that cannot be read is left out of the page and takes nothing else with it.

import { endsWithin } from "../within.ts";

/** A disk that hangs keeps no figure from whoever wants to know why. */
const ASK_MS = 1_000;

export type Labels = Readonly<Record<string, string>>;

interface Metric {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(name: string): Iterable<string>;
}

/** One line of a counter. Kept by hot paths, so that they look nothing up. */
export class CounterSeries {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

export class Counter implements Metric {
  readonly type = "counter";
  readonly #series = new Map<string, CounterSeries>();

  constructor(
    readonly help: string,
    labelled: boolean,
  ) {
    if (!labelled) this.#find("");
  }

  add(amount = 1, labels?: Labels): void {
    this.#find(labels === undefined ? "" : labelText(labels)).add(amount);
  }

  of(labels: Labels): CounterSeries {
    return this.#find(labelText(labels));
  }

  value(labels?: Labels): number {
    return this.#series.get(labels === undefined ? "" : labelText(labels))?.value ?? 0;
  }

  *lines(name: string): Iterable<string> {
    for (const [labels, { value }] of this.#series) yield `${name}${labels} ${value}`;
  }

  #find(key: string): CounterSeries {
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new CounterSeries();
      this.#series.set(key, series);
    }
    return series;
  }
}

type Reported = Iterable<readonly [Labels | undefined, number]>;

/** Read when somebody asks; what several parts report under the same labels is added up. */
export class Gauge implements Metric {
  readonly #sources = new Set<() => Reported>();
  readonly #asked = new Set<() => Promise<void>>();

  constructor(
    readonly help: string,
    /** "counter" for a total that somebody else keeps. */
    readonly type: "gauge" | "counter" = "gauge",
  ) {}

  /** @returns a function that ends the reporting. */
  report(read: () => number, labels?: Labels): () => void {
    return this.reportEach(() => [[labels, read()]]);
  }

  /** As `report`, for labels that come and go. */
  reportEach(read: () => Reported): () => void {
    this.#sources.add(read);
    return () => this.#sources.delete(read);
  }

  /** As `reportEach`, for figures that take a wait: asked for before the page is made, which does not wait long for them. */
  reportAsked(ask: () => Promise<Reported>): () => void {
    let last: Reported | undefined;
    let asking: Promise<void> | undefined;
    const answered = (figures: Reported | undefined) => {
      last = figures;
      asking = undefined;
    };
    const look = async () => {
      asking ??= ask().then(answered, () => answered(undefined));
      if (!(await endsWithin(ASK_MS, asking))) last = undefined;
    };
    const end = this.reportEach(() => {
      if (last === undefined) throw new Error("the figure could not be read");
      return last;
    });
    this.#asked.add(look);
    return () => {
      this.#asked.delete(look);
      end();
    };
  }

  /** Asks for what takes a wait. Never rejects. */
  async ask(): Promise<void> {
    await Promise.all([...this.#asked].map((look) => look()));
  }

  *lines(name: string): Iterable<string> {
    const sums = new Map<string, number>();
    for (const read of this.#sources) {
      for (const [labels, value] of read()) {
        const key = labels === undefined ? "" : labelText(labels);
        sums.set(key, (sums.get(key) ?? 0) + value);
      }
    }
    if (this.#sources.size === 0) yield `${name} 0`;
    for (const [labels, value] of sums) yield `${name}${labels} ${value}`;
  }
}

/** The buckets of one set of labels. */
export class HistogramSeries {
  readonly counts: number[];
  sum = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
  }
}

export class Histogram implements Metric {
  readonly type = "histogram";
  readonly #series = new Map<string, HistogramSeries>();

  constructor(
    readonly help: string,
    /** Upper bounds, ascending. */
    private readonly bounds: readonly number[],
    labelled: boolean,
  ) {
    if (!labelled) this.#find("");
  }

  observe(value: number): void {
    this.#find("").observe(value);
  }

  of(labels: Labels): HistogramSeries {
    return this.#find(labelText(labels).slice(1, -1));
  }

  *lines(name: string): Iterable<string> {
    for (const [pairs, { counts, sum }] of this.#series) {
      const before = pairs === "" ? "" : `${pairs},`;
      const labels = pairs === "" ? "" : `{${pairs}}`;
      let total = 0;
      for (const [index, count] of counts.entries()) {
        total += count;
        yield `${name}_bucket{${before}le="${this.bounds[index] ?? "+Inf"}"} ${total}`;
      }
      yield `${name}_sum${labels} ${sum}`;
      yield `${name}_count${labels} ${total}`;
    }
  }

  #find(pairs: string): HistogramSeries {
    let series = this.#series.get(pairs);
    if (series === undefined) {
      series = new HistogramSeries(this.bounds);
      this.#series.set(pairs, series);
    }
    return series;
  }
}

export class Metrics {
  readonly #metrics = new Map<string, Metric>();

  /** `labelled` when every count carries labels: the name then has no line of its own. */
  counter(name: string, help: string, labelled = false): Counter {
    return this.#get(name, Counter, () => new Counter(help, labelled));
  }

  gauge(name: string, help: string): Gauge {
    return this.#get(name, Gauge, () => new Gauge(help));
  }

  /** A total that somebody else keeps, read when somebody asks. */
  total(name: string, help: string): Gauge {
    return this.#get(name, Gauge, () => new Gauge(help, "counter"));
  }

  histogram(name: string, help: string, bounds: readonly number[], labelled = false): Histogram {
    return this.#get(name, Histogram, () => new Histogram(help, bounds, labelled));
  }

  /** The page, with the figures that take a wait. */
  async page(): Promise<string> {
    const gauges = [...this.#metrics.values()].filter((metric) => metric instanceof Gauge);
    await Promise.all(gauges.map((gauge) => gauge.ask()));
    return this.render();
  }

  /** Figures that take a wait are as they were at the last `page`. */
  render(): string {
    let page = "";
    for (const [name, metric] of this.#metrics) {
      let text = `# HELP ${name} ${metric.help}\n# TYPE ${name} ${metric.type}\n`;
      try {
        for (const line of metric.lines(name)) text += `${line}\n`;
      } catch {
        continue;
      }
      page += text;
    }
    return page;
  }

  #get<T extends Metric>(name: string, kind: new (...args: never[]) => T, make: () => T): T {
    const known = this.#metrics.get(name);
    if (known === undefined) {
      const made = make();
      this.#metrics.set(name, made);
      return made;
    }
    if (known instanceof kind) return known;
    throw new Error(`the metric ${name} is already a ${known.type}`);
  }
}

const texts = new WeakMap<Labels, string>();

function labelText(labels: Labels): string {
  let text = texts.get(labels);
  if (text === undefined) {
    const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
    text = `{${pairs.join(",")}}`;
    texts.set(labels, text);
  }
  return text;
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}
