/**
 * BLAKE3 of one long view, four chunks at a time in WebAssembly SIMD (blake3wasm.ts): 1.6 GB/s a thread where hash-wasm, which
 * computes one chunk after the other, does 0.7. Making the module takes 10 ms, once a thread.
 *
 * The tree (BLAKE3 paper, section 2.1): chunks of 1,024 bytes are leaves; a left subtree is the largest power of two of
 * chunks that leaves something to the right. So every stretch of 64 chunks but the last is a complete subtree, and their
 * chaining values are merged like the carries of a binary counter; within a stretch, pairs are merged level by level and
 * an odd one moves up. Bounds: views of more than one chunk, and less than 4 TiB (32-bit chunk counter).
 */
import { assert } from '../base/assert.ts';
import { blake3Module } from './blake3wasm.ts';

const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;
const CV_BYTES = 32;
const LANES = 4;
const STRETCH_CHUNKS = 64;
const STRETCH_BYTES = STRETCH_CHUNKS * CHUNK_BYTES;

const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;

/** Memory: the stretch (and what idle lanes read behind it), then chaining values (and what idle lanes write). */
const CVS_AT = STRETCH_BYTES + LANES * CHUNK_BYTES;
const PARENT_AT = CVS_AT + (STRETCH_CHUNKS + LANES) * CV_BYTES;
const PAGES = 2;

/** What is used of the runtime's WebAssembly, which the ES library types leave out. */
declare const WebAssembly: {
  validate(code: Uint8Array): boolean;
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

export type Blake3Simd = (view: Uint8Array) => Buffer;

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  hash4(
    input: number,
    strideBytes: number,
    blocks: number,
    counter: number,
    counterStep: number,
    flags: number,
    startFlag: number,
    endFlag: number,
    lastBlockBytes: number,
    output: number,
  ): void;
}

/** Undefined where the processor or the runtime has no SIMD. */
export function createBlake3Simd(): Blake3Simd | undefined {
  const code = blake3Module(PAGES);
  if (!WebAssembly.validate(code)) return undefined;
  const kernel = new WebAssembly.Instance(new WebAssembly.Module(code)).exports as Kernel;
  const memory = new Uint8Array(kernel.memory.buffer);
  return (view) => hashView(kernel, memory, view);
}

function hashView(kernel: Kernel, memory: Uint8Array, view: Uint8Array): Buffer {
  assert(view.length > CHUNK_BYTES, 'one chunk has no tree');
  /** Chaining values of complete subtrees, largest first. */
  const subtrees: Buffer[] = [];
  let at = 0;
  for (let stretches = 1; view.length - at > STRETCH_BYTES; at += STRETCH_BYTES, stretches++) {
    const chunks = hashChunks(kernel, memory, view, at, STRETCH_BYTES);
    mergeLevels(kernel, memory, chunks, 1);
    let merged = valueAt(memory, CVS_AT);
    for (let carry = stretches; carry % 2 === 0; carry /= 2)
      merged = parent(kernel, memory, subtrees.pop()!, merged, 0);
    subtrees.push(merged);
  }
  const chunks = hashChunks(kernel, memory, view, at, view.length - at);
  if (subtrees.length === 0) {
    mergeLevels(kernel, memory, chunks, 2);
    return parent(kernel, memory, valueAt(memory, CVS_AT), valueAt(memory, CVS_AT + CV_BYTES), ROOT);
  }
  mergeLevels(kernel, memory, chunks, 1);
  let right = valueAt(memory, CVS_AT);
  while (subtrees.length > 1) right = parent(kernel, memory, subtrees.pop()!, right, 0);
  return parent(kernel, memory, subtrees[0]!, right, ROOT);
}

/** Chaining values of the chunks of a stretch, to CVS_AT; returns their count. The last chunk may be a part. */
function hashChunks(
  kernel: Kernel,
  memory: Uint8Array,
  view: Uint8Array,
  fromBytes: number,
  lengthBytes: number,
): number {
  memory.set(view.subarray(fromBytes, fromBytes + lengthBytes));
  const counter = fromBytes / CHUNK_BYTES;
  const whole = Math.floor(lengthBytes / CHUNK_BYTES);
  for (let chunk = 0; chunk < whole; chunk += LANES) {
    const [input, output] = [chunk * CHUNK_BYTES, CVS_AT + chunk * CV_BYTES];
    const blocks = CHUNK_BYTES / BLOCK_BYTES;
    kernel.hash4(
      input,
      CHUNK_BYTES,
      blocks,
      counter + chunk,
      1,
      0,
      CHUNK_START,
      CHUNK_END,
      BLOCK_BYTES,
      output,
    );
  }
  const partBytes = lengthBytes % CHUNK_BYTES;
  if (partBytes === 0) return whole;
  const blocks = Math.ceil(partBytes / BLOCK_BYTES);
  const lastBytes = partBytes - (blocks - 1) * BLOCK_BYTES;
  const input = whole * CHUNK_BYTES;
  memory.fill(0, lengthBytes, input + blocks * BLOCK_BYTES);
  const output = CVS_AT + whole * CV_BYTES;
  kernel.hash4(input, 0, blocks, counter + whole, 0, 0, CHUNK_START, CHUNK_END, lastBytes, output);
  return whole + 1;
}

/** Merges `count` chaining values at CVS_AT pairwise until at most `leave` are left. */
function mergeLevels(kernel: Kernel, memory: Uint8Array, count: number, leave: 1 | 2): void {
  let left = count;
  while (left > leave) {
    const pairs = Math.floor(left / 2);
    const odd = left % 2 === 1 ? valueAt(memory, CVS_AT + (left - 1) * CV_BYTES) : undefined;
    for (let pair = 0; pair < pairs; pair += LANES) {
      const [input, output] = [CVS_AT + pair * 2 * CV_BYTES, CVS_AT + pair * CV_BYTES];
      kernel.hash4(input, BLOCK_BYTES, 1, 0, 0, PARENT, 0, 0, BLOCK_BYTES, output);
    }
    if (odd) memory.set(odd, CVS_AT + pairs * CV_BYTES);
    left = pairs + (odd ? 1 : 0);
  }
}

function parent(
  kernel: Kernel,
  memory: Uint8Array,
  left: Uint8Array,
  right: Uint8Array,
  flag: number,
): Buffer {
  memory.set(left, PARENT_AT);
  memory.set(right, PARENT_AT + CV_BYTES);
  kernel.hash4(PARENT_AT, 0, 1, 0, 0, PARENT | flag, 0, 0, BLOCK_BYTES, PARENT_AT);
  return valueAt(memory, PARENT_AT);
}

function valueAt(memory: Uint8Array, at: number): Buffer {
  return Buffer.from(memory.subarray(at, at + CV_BYTES));
}
