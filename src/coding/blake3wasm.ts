/**
 * Makes the WebAssembly module behind blake3simd.ts: one function that runs BLAKE3's compression over four inputs at once, an
 * input in each 32-bit lane of the 128-bit registers (BLAKE3 paper, section 5.3, "SIMD"). Written out by a small
 * assembler, because a module in base64 cannot be reviewed and a compiler cannot be required at install.
 *
 * hash4(input, strideBytes, blocks, counter, counterStep, flags, startFlag, endFlag, lastBlockBytes, output)
 *   Lane l reads `blocks` blocks of 64 bytes from input + l·strideBytes, with counter + l·counterStep (32 bits), `flags` in
 *   every block, `startFlag` in the first, `endFlag` and `lastBlockBytes` in the last; its chaining value (32 bytes) goes to
 *   output + 32·l, after all input has been read.
 */

/** SHA-256's initial values, which BLAKE3 shares (BLAKE3 paper, table 1). */
const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
] as const;
/** How the message words move between rounds (BLAKE3 paper, table 2). */
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8] as const;
/** Columns, then diagonals, of the 4 × 4 state. */
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
const ROUNDS = 7;
const BLOCK_BYTES = 64;

type Code = readonly number[];

const I32 = 0x7f;
const V128 = 0x7b;

/** Parameters, then locals, by index. */
const P = {
  input: 0,
  stride: 1,
  blocks: 2,
  counter: 3,
  step: 4,
  flags: 5,
  start: 6,
  end: 7,
  lastBytes: 8,
  output: 9,
} as const;
const PARAMETERS = 10;
const FIRST_VECTOR = PARAMETERS;
const h = (i: number) => FIRST_VECTOR + i;
const v = (i: number) => FIRST_VECTOR + 8 + i;
const m = (i: number) => FIRST_VECTOR + 24 + i;
const COUNTERS = FIRST_VECTOR + 40;
const T = (i: number) => FIRST_VECTOR + 41 + i;
const VECTORS = 45;

function leb(value: number): Code {
  if (value <= 0x7f) return [value];
  const bytes = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function signedLeb(value: number): Code {
  const bytes = [];
  let rest = value;
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
}

const get = (local: number): Code => [0x20, ...leb(local)];
const set = (local: number): Code => [0x21, ...leb(local)];
const tee = (local: number): Code => [0x22, ...leb(local)];
const i32 = (value: number): Code => [0x41, ...signedLeb(value)];
const i32Add: Code = [0x6a];
const i32Sub: Code = [0x6b];
const i32Mul: Code = [0x6c];
const i32Or: Code = [0x72];
const i32Equal: Code = [0x46];
const select: Code = [0x1b];

const simd = (opcode: number, ...immediates: number[]): Code => [0xfd, ...leb(opcode), ...immediates];
/** Offsets are immediates; alignment is not promised. */
const load = (offset: number): Code => simd(0x00, 0, ...leb(offset));
const store = (offset: number): Code => simd(0x0b, 0, ...leb(offset));
const splat = simd(0x11);
const xor = simd(0x51);
const or = simd(0x50);
const add = simd(0xae);
const multiply = simd(0xb5);
const shuffle = (bytes: Code): Code => simd(0x0d, ...bytes);
const shiftLeft = (bits: number): Code => [...i32(bits), ...simd(0xab)];
const shiftRight = (bits: number): Code => [...i32(bits), ...simd(0xad)];

function constant(words: readonly number[]): Code {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setUint32(4 * i, words[i]!, true);
  return simd(0x0c, ...bytes);
}

const same = (word: number): Code => constant([word, word, word, word]);

/** The bytes of four words, counted over the eight of both operands. */
const wordShuffle = (words: readonly number[]): Code =>
  shuffle(words.flatMap((word) => [4 * word, 4 * word + 1, 4 * word + 2, 4 * word + 3]));

/** Rotates each word of the vector on the stack's top, which must be there twice, to the right by whole bytes. */
const byteRotation = (bytes: number): Code =>
  shuffle(Array.from({ length: 16 }, (_, i) => (i & ~3) + ((i + bytes) & 3)));
const rotate16 = byteRotation(2);
const rotate8 = byteRotation(1);

const rotateBits = (local: number, bits: number): Code => [
  ...get(local),
  ...shiftRight(bits),
  ...get(local),
  ...shiftLeft(32 - bits),
  ...or,
];

/** The quarter-round G (BLAKE3 paper, section 2.2). */
function mix(a: number, b: number, c: number, d: number, x: number, y: number): Code {
  const half = (word: number, rotateD: Code, rotateB: Code): Code => [
    ...[...get(a), ...get(b), ...add, ...get(word), ...add, ...set(a)],
    ...[...get(d), ...get(a), ...xor, ...tee(d), ...get(d), ...rotateD, ...set(d)],
    ...[...get(c), ...get(d), ...add, ...set(c)],
    ...[...get(b), ...get(c), ...xor, ...set(b), ...rotateB, ...set(b)],
  ];
  return [...half(x, rotate16, rotateBits(b, 12)), ...half(y, rotate8, rotateBits(b, 7))];
}

function rounds(): Code {
  const code: number[] = [];
  let order: number[] = Array.from({ length: 16 }, (_, i) => i);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, [a, b, c, d]] of MIXES.entries()) {
      code.push(...mix(v(a), v(b), v(c), v(d), m(order[2 * i]!), m(order[2 * i + 1]!)));
    }
    order = PERMUTATION.map((from) => order[from]!);
  }
  return code;
}

/** Turns four locals, a row of words each, into four columns in the same locals. */
function transpose(a: number, b: number, c: number, d: number): Code {
  const pair = (x: number, y: number, words: Code, target: number): Code => [
    ...get(x),
    ...get(y),
    ...wordShuffle(words),
    ...set(target),
  ];
  return [
    ...pair(a, b, [0, 4, 1, 5], T(0)),
    ...pair(a, b, [2, 6, 3, 7], T(1)),
    ...pair(c, d, [0, 4, 1, 5], T(2)),
    ...pair(c, d, [2, 6, 3, 7], T(3)),
    ...pair(T(0), T(2), [0, 1, 4, 5], a),
    ...pair(T(0), T(2), [2, 3, 6, 7], b),
    ...pair(T(1), T(3), [0, 1, 4, 5], c),
    ...pair(T(1), T(3), [2, 3, 6, 7], d),
  ];
}

/** Word w of the block of every lane goes to m(w). */
function loadBlock(): Code {
  const lane = (l: number): Code => [...get(P.input), ...get(P.stride), ...i32(l), ...i32Mul, ...i32Add];
  return [0, 4, 8, 12].flatMap((word) => [
    ...[0, 1, 2, 3].flatMap((l) => [...lane(l), ...load(4 * word), ...set(m(word + l))]),
    ...transpose(m(word), m(word + 1), m(word + 2), m(word + 3)),
  ]);
}

const ifLast = (then: Code, otherwise: Code): Code => [
  ...then,
  ...otherwise,
  ...[...get(P.blocks), ...i32(1), ...i32Equal],
  ...select,
];

function initialState(): Code {
  const flags = [
    ...[...get(P.flags), ...get(P.start), ...i32Or],
    ...ifLast(get(P.end), i32(0)),
    ...i32Or,
    ...splat,
  ];
  return [
    ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => [...get(h(i)), ...set(v(i))]),
    ...[0, 1, 2, 3].flatMap((i) => [...same(IV[i]!), ...set(v(8 + i))]),
    ...[...get(COUNTERS), ...set(v(12))],
    ...[...same(0), ...set(v(13))],
    ...[...ifLast(get(P.lastBytes), i32(BLOCK_BYTES)), ...splat, ...set(v(14))],
    ...[...flags, ...set(v(15))],
  ];
}

function hash4(): Code {
  return [
    ...IV.flatMap((word, i) => [...same(word), ...set(h(i))]),
    ...[...get(P.step), ...splat, ...constant([0, 1, 2, 3]), ...multiply],
    ...[...get(P.counter), ...splat, ...add, ...set(COUNTERS)],
    ...[0x03, 0x40], // loop
    ...loadBlock(),
    ...initialState(),
    ...rounds(),
    ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => [...get(v(i)), ...get(v(i + 8)), ...xor, ...set(h(i))]),
    ...[...i32(0), ...set(P.start)],
    ...[...get(P.input), ...i32(BLOCK_BYTES), ...i32Add, ...set(P.input)],
    ...[...get(P.blocks), ...i32(1), ...i32Sub, ...tee(P.blocks)],
    ...[0x0d, 0], // br_if: next block
    0x0b, // end of loop
    ...transpose(h(0), h(1), h(2), h(3)),
    ...transpose(h(4), h(5), h(6), h(7)),
    ...[0, 1, 2, 3].flatMap((l) => [
      ...[...get(P.output), ...get(h(l)), ...store(32 * l)],
      ...[...get(P.output), ...get(h(4 + l)), ...store(32 * l + 16)],
    ]),
    0x0b, // end of function
  ];
}

const vector = (items: readonly Code[]): Code => [...leb(items.length), ...items.flat()];
const section = (id: number, content: Code): Code => [id, ...leb(content.length), ...content];
const name = (text: string): Code => [...leb(text.length), ...Buffer.from(text)];

/** The module: exports `memory` of `pages` pages of 64 KiB, and `hash4`. */
export function blake3Module(pages: number): Uint8Array<ArrayBuffer> {
  const body = [...vector([[...leb(VECTORS), V128]]), ...hash4()];
  const signature = [0x60, ...vector(new Array<Code>(PARAMETERS).fill([I32])), ...vector([])];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector([signature])),
    ...section(3, vector([[0]])),
    ...section(5, vector([[0x00, ...leb(pages)]])),
    ...section(
      7,
      vector([
        [...name('memory'), 0x02, 0],
        [...name('hash4'), 0x00, 0],
      ]),
    ),
    ...section(10, vector([[...leb(body.length), ...body]])),
  ]);
}
