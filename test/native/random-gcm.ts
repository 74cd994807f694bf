/** Random calls of the native AES-256-GCM chunks against src/crypto/chunked.ts: seal, open, altered bytes, and wrong arguments. */
import { openRun, sealedRunLength, sealRun } from '../../src/crypto/chunked.ts';
import { requireAddon } from './levels.ts';
import { Random } from './random-source.ts';
import { mustRefuse, noBytes } from './wrong-arguments.ts';

const ARENA_BYTES = 1 << 17;
const CHUNK = 16_384;

export function randomGcm(calls: number, seed: number): void {
  const addon = requireAddon();
  const random = new Random(seed);
  const arena = random.fill(new Uint8Array(ARENA_BYTES));
  const view = (bytes: number) => {
    const start = random.below(ARENA_BYTES - bytes + 1);
    return arena.subarray(start, start + bytes);
  };
  for (let call = 0; call < calls; call++) {
    // Mostly a part of one chunk, now and then several.
    const rest = random.pick([0, 1, 15, 16, 17, 100, random.below(600), random.below(600)]);
    const whole = random.below(100) === 0 ? random.below(3) : 0;
    const final = whole === 0 || random.below(2) === 0;
    const plaintext = view(whole * CHUNK + (final ? rest : 0));
    const firstChunkIndex = random.pick([0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 38 - 10, random.below(1000)]);
    const keys = Uint8Array.from(view(44));
    const chunkKeys = { aeadKey: keys.subarray(0, 32), baseNonce: keys.subarray(32) };
    const where = `seed ${seed}, call ${call}: ${plaintext.length} bytes from chunk ${firstChunkIndex}`;
    const memory = new Uint8Array(sealedRunLength(plaintext.length, final) + 3);
    const sealed = memory.subarray(random.below(4) % 4, memory.length).subarray(0, memory.length - 3);
    const expected = new Uint8Array(sealed.length);
    sealRun(chunkKeys, firstChunkIndex, plaintext, final, expected);
    addon.sealChunksNow(keys, plaintext, sealed, firstChunkIndex, final);
    if (!Buffer.from(sealed).equals(expected)) throw new Error(`${where}: sealed otherwise`);
    const opened = new Uint8Array(plaintext.length);
    const altered = random.below(4) === 0;
    if (altered) sealed[random.below(sealed.length)]! ^= 1 << random.below(8);
    const count = addon.openChunksNow(keys, sealed, opened, firstChunkIndex, final);
    if (altered ? count >= 0 : count !== plaintext.length) throw new Error(`${where}: opened to ${count}`);
    if (!altered && !Buffer.from(opened).equals(plaintext)) throw new Error(`${where}: opened otherwise`);
    if (!altered && openRun(chunkKeys, firstChunkIndex, sealed, final, opened) !== count)
      throw new Error(where);
    if (call % 16 === 0) refuse(call);
  }

  function refuse(call: number): void {
    const keys = arena.slice(0, 44);
    const wrong: (() => unknown)[] = [
      () => addon.sealChunksNow(keys.subarray(1), arena.subarray(0, 5), new Uint8Array(21), 0, true),
      () => addon.sealChunksNow(keys, arena.subarray(0, 5), new Uint8Array(20), 0, true),
      () => addon.sealChunksNow(keys, arena.subarray(0, 5), new Uint8Array(5), 0, false),
      () => addon.sealChunksNow(keys, arena.subarray(0, 100), arena.subarray(50, 166), 0, true),
      () => addon.sealChunksNow(keys, arena.subarray(0, 5), new Uint8Array(21), 2 ** 38, true),
      () => addon.openChunksNow(keys, arena.subarray(0, 50), new Uint8Array(33), 0, true),
      () => addon.openChunksNow(keys, arena.subarray(0, 50), new Uint8Array(34), -1, true),
      () => addon.openChunksNow(keys, arena.subarray(0, 50), new Uint8Array(34), 2 ** 53, true),
      () => addon.sealWholeChunksNow(keys, arena.subarray(0, 5), new Uint8Array(5), 0, true),
    ];
    mustRefuse(RangeError, wrong[(call / 16) % wrong.length]!);
    mustRefuse(TypeError, () =>
      addon.openChunksNow(keys, noBytes[call % noBytes.length] as never, keys, 0, true),
    );
  }
}
