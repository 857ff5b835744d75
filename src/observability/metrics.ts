// Counters, gauges and histograms of the whole server, rendered as Prometheus text (format 0.0.4). Counting never fails and never
// allocates for a label that was seen before.

export type Labels = Readonly<Record<string, string>>;

interface Metric {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(name: string): Iterable<string>;
}

export class Counter implements Metric {
  readonly type = "counter";
  readonly #values = new Map<string, number>();

  constructor(
    readonly help: string,
    labelled: boolean,
  ) {
    if (!labelled) this.#values.set("", 0);
  }

  add(amount = 1, labels?: Labels): void {
    const key = labels === undefined ? "" : labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  value(labels?: Labels): number {
    return this.#values.get(labels === undefined ? "" : labelText(labels)) ?? 0;
  }

  *lines(name: string): Iterable<string> {
    for (const [labels, value] of this.#values) yield `${name}${labels} ${value}`;
  }
}

/** Read when somebody asks; what several parts report under one name is added up. */
export class Gauge implements Metric {
  readonly type = "gauge";
  readonly #sources = new Set<() => number>();

  constructor(readonly help: string) {}

  /** @returns a function that ends the reporting. */
  report(read: () => number): () => void {
    this.#sources.add(read);
    return () => this.#sources.delete(read);
  }

  *lines(name: string): Iterable<string> {
    yield `${name} ${[...this.#sources].reduce((sum, read) => sum + read(), 0)}`;
  }
}

export class Histogram implements Metric {
  readonly type = "histogram";
  readonly #counts: number[];
  #sum = 0;

  constructor(
    readonly help: string,
    /** Upper bounds, ascending. */
    private readonly bounds: readonly number[],
  ) {
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? 0)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  *lines(name: string): Iterable<string> {
    let total = 0;
    for (const [index, count] of this.#counts.entries()) {
      total += count;
      yield `${name}_bucket{le="${this.bounds[index] ?? "+Inf"}"} ${total}`;
    }
    yield `${name}_sum ${this.#sum}`;
    yield `${name}_count ${total}`;
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

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    return this.#get(name, Histogram, () => new Histogram(help, bounds));
  }

  render(): string {
    let text = "";
    for (const [name, metric] of this.#metrics) {
      text += `# HELP ${name} ${metric.help}\n# TYPE ${name} ${metric.type}\n`;
      for (const line of metric.lines(name)) text += `${line}\n`;
    }
    return text;
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
