import { EmbeddedNode } from '../../src/node/embedded.ts';
import { fragmentStoreConformance } from '../conformance/fragmentstore.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { Prng } from '../simulation/prng.ts';
import { flipReal, flipSimulated, realOptions, simulatedOptions, temporaryDirectory } from './nodes.ts';

/** A record's key is directly followed by its value. */
const NAME_BYTES = 32;

fragmentStoreConformance('embedded node on the real disk', async () => {
  const directory = await temporaryDirectory();
  const node = new EmbeddedNode(realOptions(directory.path));
  await node.start();
  return {
    store: node,
    damage: (name, offsetBytes) => flipReal(directory.path, name, NAME_BYTES + offsetBytes),
    close: async () => {
      await node.stop();
      await directory.remove();
    },
  };
});

fragmentStoreConformance('embedded node on the simulated disk', async () => {
  const disk = new SimulatedDisk(42);
  const node = new EmbeddedNode({
    ...simulatedOptions(disk, new Prng(1)),
    segmentBytesMax: 16 * 1024 * 1024,
  });
  await node.start();
  return {
    store: node,
    damage: (name, offsetBytes) => flipSimulated(disk, name, NAME_BYTES + offsetBytes),
    close: () => node.stop(),
  };
});
