/**
 * What placing one stripe costs, by the number of nodes in the grid: the whole order, of which a writer takes the first n. Node ids are u16, so
 * there are 65,535 nodes at most.
 *
 *   node bench/grid/placement.ts
 */
import { randomBytes } from 'node:crypto';
import { Bench } from 'tinybench';
import { farmLimit, placementOrder } from '../../src/grid/placement.ts';

const counts = [6, 60, 1000, 65_535];
const bench = new Bench({ time: 300, warmupTime: 100 });
for (const count of counts) {
  const nodes = Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    farm: `farm ${i % Math.max(3, count / 20)}`,
    weight: 1e12 + i,
  }));
  let seed = randomBytes(16);
  bench.add(`${count} nodes`, () => {
    seed = Buffer.from(seed);
    seed.writeUInt32BE((seed.readUInt32BE(12) + 1) >>> 0, 12);
    placementOrder(nodes, seed, farmLimit(4, 2));
  });
}
await bench.run();
for (const { name, result } of bench.tasks) {
  if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`);
  process.stdout.write(
    `${name.padEnd(14)}${(result.latency.p50 * 1000).toFixed(1).padStart(12)} µs a stripe\n`,
  );
}
