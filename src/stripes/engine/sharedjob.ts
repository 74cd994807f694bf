/**
 * A job in copies that threads of JavaScript share, for the few of the native engine that have no native form: its own memory is seen by
 * native threads only.
 */
import type { KernelJob } from './kernels.ts';

export interface SharedJob {
  readonly job: KernelJob;
  /** Puts what the job has filled where it belongs. */
  copyBack(): void;
}

function share(view: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(view.length));
  copy.set(view);
  return copy;
}

export function shareJob(job: KernelJob): SharedJob {
  switch (job.kind) {
    case 'seal': {
      const fragments = share(job.fragments);
      const shared = { ...job, plaintext: share(job.plaintext), fragments };
      return { job: shared, copyBack: () => job.fragments.set(fragments) };
    }
    case 'encode': {
      const fragments = share(job.fragments);
      return { job: { ...job, fragments }, copyBack: () => job.fragments.set(fragments) };
    }
    case 'reconstruct': {
      const present = job.present.map((view) => view && share(view));
      const wanted = new Map([...job.wanted].map(([index, view]) => [index, share(view)]));
      const copyBack = () => {
        for (const [index, view] of wanted) job.wanted.get(index)?.set(view);
      };
      return { job: { ...job, present, wanted }, copyBack };
    }
    default:
      return { job, copyBack: () => undefined };
  }
}
