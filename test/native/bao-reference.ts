/**
 * BLAKE3's tree by its recursive definition (BLAKE3 paper, sections 2.2 to 2.5; github.com/oconnor663/bao, docs/spec.md), word by word
 * and without any thought of speed: what the native outboards are held against.
 */

const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
] as const;
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8] as const;
const MIXES = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;
const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;
const flag = { chunkStart: 1, chunkEnd: 2, parent: 4, root: 8, keyed: 16 } as const;

interface Mode {
  readonly key: readonly number[];
  readonly flags: number;
}

export interface ReferenceOutboard {
  readonly outboard: Buffer;
  readonly root: Buffer;
}

function wordsOf(bytes: Uint8Array): number[] {
  const view = Buffer.from(bytes);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.readUInt32LE(4 * i));
}

function rotated(word: number, bits: number): number {
  return ((word >>> bits) | (word << (32 - bits))) >>> 0;
}

function mix(v: number[], [a, b, c, d]: readonly [number, number, number, number], x: number, y: number) {
  for (const [word, bitsD, bitsB] of [
    [x, 16, 12],
    [y, 8, 7],
  ] as const) {
    v[a] = (v[a]! + v[b]! + word) >>> 0;
    v[d] = rotated(v[d]! ^ v[a]!, bitsD);
    v[c] = (v[c]! + v[d]!) >>> 0;
    v[b] = rotated(v[b]! ^ v[c]!, bitsB);
  }
}

function compress(cv: readonly number[], block: Uint8Array, counter: number, bytes: number, flags: number) {
  const padded = new Uint8Array(BLOCK_BYTES);
  padded.set(block);
  let message = wordsOf(padded);
  const v = [...cv, ...IV.slice(0, 4), counter >>> 0, Math.floor(counter / 2 ** 32), bytes, flags];
  for (let round = 0; round < 7; round++) {
    for (const [i, columns] of MIXES.entries()) mix(v, columns, message[2 * i]!, message[2 * i + 1]!);
    const before = message;
    message = PERMUTATION.map((from) => before[from]!);
  }
  return v.slice(0, 8).map((word, i) => (word ^ v[i + 8]!) >>> 0);
}

function bytesOf(words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * words.length);
  for (const [i, word] of words.entries()) bytes.writeUInt32LE(word, 4 * i);
  return bytes;
}

function chunkCv(mode: Mode, chunk: Uint8Array, counter: number, root: number): Buffer {
  let cv = mode.key;
  const blocks = Math.max(1, Math.ceil(chunk.length / BLOCK_BYTES));
  for (let i = 0; i < blocks; i++) {
    const block = chunk.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
    const start = i === 0 ? flag.chunkStart : 0;
    const end = i === blocks - 1 ? flag.chunkEnd | root : 0;
    cv = compress(cv, block, counter, block.length, mode.flags | start | end);
  }
  return bytesOf(cv);
}

/** The chaining value of a subtree and its parents above leaves of `groupBytes`, in pre-order. */
function subtree(mode: Mode, bytes: Uint8Array, firstChunk: number, groupBytes: number, root: number) {
  if (bytes.length <= CHUNK_BYTES) return { cv: chunkCv(mode, bytes, firstChunk, root), nodes: [] };
  let leftBytes = CHUNK_BYTES;
  while (2 * leftBytes < bytes.length) leftBytes *= 2;
  const left: Subtree = subtree(mode, bytes.subarray(0, leftBytes), firstChunk, groupBytes, 0);
  const rightChunk = firstChunk + leftBytes / CHUNK_BYTES;
  const right: Subtree = subtree(mode, bytes.subarray(leftBytes), rightChunk, groupBytes, 0);
  const node = Buffer.concat([left.cv, right.cv]);
  const cv = bytesOf(compress(mode.key, node, 0, BLOCK_BYTES, mode.flags | flag.parent | root));
  return { cv, nodes: bytes.length > groupBytes ? [node, ...left.nodes, ...right.nodes] : [] };
}

interface Subtree {
  readonly cv: Buffer;
  readonly nodes: readonly Buffer[];
}

export function referenceOutboard(
  bytes: Uint8Array,
  groupBytes: number,
  key?: Uint8Array,
): ReferenceOutboard {
  const mode = key ? { key: wordsOf(key), flags: flag.keyed } : { key: [...IV], flags: 0 };
  const { cv, nodes } = subtree(mode, bytes, 0, groupBytes, flag.root);
  return { outboard: Buffer.concat(nodes), root: cv };
}
