/**
 * Lets large pieces of several bodies wait a moment for each other, since MD5 takes four streams in little more time than one
 * (native/kernels/md5.h). An upload has two stripes under way and a third filling, so the wait is hidden; a body alone never waits.
 */

/** Whole stripes; what is smaller, and so perhaps the end of its body, goes at once. */
const PIECE_BYTES_MIN = 2 * 1024 * 1024;
/** As many as go well together. */
const TOGETHER_MAX = 4;
/** What a stripe takes to be sealed and written, about: a digest that is done earlier is waiting for that. */
const WAIT_MS_MAX = 8;

export class DigestGather {
  /** Bodies that have had a large piece. */
  #bodies = 0;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** A body begins; call what is returned when it has ended. */
  begin(): () => void {
    this.#bodies += 1;
    return () => {
      this.#bodies -= 1;
      if (this.#waiting.length >= this.#wanted) this.#release();
    };
  }

  static isLarge(piece: Uint8Array): boolean {
    return piece.length >= PIECE_BYTES_MIN;
  }

  /** Resolves when it is time for a large piece. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length >= this.#wanted) this.#release();
      else this.#timer ??= setTimeout(() => this.#release(), WAIT_MS_MAX);
    });
  }

  get #wanted(): number {
    return Math.min(this.#bodies, TOGETHER_MAX);
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
