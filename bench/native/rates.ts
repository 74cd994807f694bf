/** Measures and prints rates of one thread, side by side with what they are compared to. */
import { Bench } from 'tinybench';

export interface Rate {
  readonly name: string;
  /** That go in, per call of `work`. */
  readonly bytes: number;
  readonly work: () => unknown;
}

/** Prints GB/s of the median call, and the ratio to the first of them. */
export async function printRates(title: string, rates: readonly Rate[]): Promise<void> {
  const bench = new Bench({ time: 150, warmupTime: 30 });
  for (const { name, work } of rates) bench.add(name, work);
  await bench.run();
  process.stdout.write(`${title}\n`);
  let first: number | undefined;
  for (const [i, { name, result }] of bench.tasks.entries()) {
    if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`);
    const rate = rates[i]!.bytes / (result.latency.p50 * 1e6);
    first ??= rate;
    process.stdout.write(
      `  ${name.padEnd(40)} ${rate.toFixed(2).padStart(7)} GB/s  x ${(rate / first).toFixed(2)}\n`,
    );
  }
}
