/**
 * What a version consists of, in a form that finds the part at an offset quickly. A multipart version of 10,000 parts has a part
 * list of 2 MB; its index is a few hundred KB and kept for the next range read, in a bounded memory.
 */
import { mapKey } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { AuthenticContent } from '../crypto/content.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, type PartEntry, type PartListPage } from '../metadata/records.ts';
import type { ContentKeys } from './contentkeys.ts';
import { AUTHENTICATOR_PAGE } from './garbage.ts';
import { Lru } from './lru.ts';
import type { FoundVersion } from './resolve.ts';

export const PARTS_PER_PAGE_MAX = 1024;
/** Parts in all kept indexes; about 50 bytes each beside the verified list. */
const INDEXED_PARTS_MAX = 65_536;

export interface PartIndex {
  readonly contents: readonly AuthenticContent[];
  /** Where each part begins in the object, and the object's size at the end. */
  readonly starts: Float64Array;
  /** Part numbers, ascending; empty for a simple object. */
  readonly numbers: Uint16Array;
}

export class PartIndexes {
  readonly #engine: MetadataEngine;
  readonly #contentKeys: ContentKeys;
  readonly #multipart = new Lru<PartIndex>(INDEXED_PARTS_MAX, (index) => index.contents.length);

  constructor(engine: MetadataEngine, contentKeys: ContentKeys) {
    this.#engine = engine;
    this.#contentKeys = contentKeys;
  }

  /** @throws AuthenticationFailed when the version's record or part list is not what was committed under this name */
  async of(found: FoundVersion): Promise<PartIndex> {
    const { version, bucketId, name } = found;
    if (version.partCount === undefined) return this.#simple(found);
    const key = mapKey(version.versionId) + mapKey(version.epochId) + mapKey(found.objectKey);
    const known = this.#multipart.get(key);
    if (known !== undefined) return known;
    const contents = await this.#contentKeys.contentsOf(bucketId, name, version, () =>
      this.#authenticator(version.versionId),
    );
    const index = buildIndex(contents, await this.#entries(version.versionId, version.partCount));
    if (index.starts.at(-1) !== version.sizeBytes) throw mismatch();
    this.#multipart.set(key, index);
    return index;
  }

  async #simple({ version, bucketId, name }: FoundVersion): Promise<PartIndex> {
    const { authenticator, contentId, sizeBytes } = version;
    if (authenticator === undefined) throw mismatch();
    const contents = await this.#contentKeys.contentsOf(bucketId, name, version, () => authenticator);
    const isEmpty = contentId === undefined && contents.length === 0 && sizeBytes === 0;
    const isWhole =
      contentId !== undefined && contents[0]?.contentId.equals(contentId) && contents.length === 1;
    if (!isEmpty && !isWhole) throw mismatch();
    return { contents, starts: Float64Array.of(0, sizeBytes), numbers: new Uint16Array(0) };
  }

  async #authenticator(versionId: Buffer): Promise<Buffer> {
    const page = await this.#page(versionId, AUTHENTICATOR_PAGE);
    if (page.authenticator === undefined) throw mismatch();
    return page.authenticator;
  }

  async #entries(versionId: Buffer, partCount: number): Promise<PartEntry[]> {
    const entries: PartEntry[] = [];
    for (let page = 0; entries.length < partCount; page++) {
      const { parts } = await this.#page(versionId, page);
      if (parts.length === 0) throw mismatch();
      entries.push(...parts);
    }
    return entries;
  }

  async #page(versionId: Buffer, page: number): Promise<PartListPage> {
    const bytes = await this.#engine.get(keys.partList(versionId, page));
    if (bytes === undefined) {
      throw new HoldfastError('AuthenticationFailed', {
        detail: 'a multipart version misses a page of its parts',
      });
    }
    return decodeRecord<PartListPage>(bytes);
  }
}

function buildIndex(contents: readonly AuthenticContent[], entries: readonly PartEntry[]): PartIndex {
  if (contents.length !== entries.length) throw mismatch();
  const starts = new Float64Array(entries.length + 1);
  const numbers = new Uint16Array(entries.length);
  entries.forEach((entry, i) => {
    if (!contents[i]?.contentId.equals(entry.contentId)) throw mismatch();
    numbers[i] = entry.partNumber;
    starts[i + 1] = (starts[i] ?? 0) + entry.sizeBytes;
  });
  return { contents, starts, numbers };
}

function mismatch(): HoldfastError {
  return new HoldfastError('AuthenticationFailed', {
    detail: 'a version does not consist of the contents that it was made with',
  });
}
