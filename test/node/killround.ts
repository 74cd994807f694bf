/** The fragment that belongs to a seed: up to 60,000 bytes under a name of its own. */
import { Prng } from '../simulation/prng.ts';
import { makeFragment, type TestFragment } from './fragments.ts';

export function fragmentOf(seed: number): TestFragment {
  const prng = new Prng(seed);
  return makeFragment(prng, prng.below(60_000));
}
