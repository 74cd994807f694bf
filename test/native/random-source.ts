/** Random numbers that a seed repeats (xorshift32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  }

  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>>= 0);
  }

  /** 0 to end − 1. */
  below(end: number): number {
    return this.next() % end;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  fill(bytes: Uint8Array): Uint8Array {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.next() >>> 11;
    return bytes;
  }

  /** The numbers 0 to count − 1 in any order. */
  shuffled(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
