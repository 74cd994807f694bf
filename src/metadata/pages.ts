/** Walks a range in pages: the loop that everything that looks at all records of a kind would write again. */
import type { MetadataEngine } from './engine.ts';
import { prefixRange } from './keys.ts';

/** All entries whose key begins with `prefix`, as of now, in order, up to `count` at a time. */
export async function* pages(
  engine: MetadataEngine,
  prefix: Uint8Array,
  count: number,
): AsyncGenerator<[key: Buffer, value: Buffer][], void, void> {
  const cursor = engine.cursor(prefixRange(prefix));
  try {
    for (let page = await cursor.next(count); page.length > 0; page = await cursor.next(count)) yield page;
  } finally {
    await cursor.close();
  }
}
