/**
 * V8's limits for the server process. Its bytes live outside the heap, in buffers that are freed when their small JavaScript objects are
 * collected. With V8's own limits that happens late: 895 MiB after listing a bucket at full speed, 392 with these. A heap
 * that starts small is collected whole for every 12 MiB received, 45 times for 512 MiB; one that starts at 128 MiB is not, and takes
 * a 64-MiB PUT at twice the rate.
 */
export const serverNodeFlags: readonly string[] = [
  '--max-semi-space-size=4',
  '--initial-old-space-size=128',
  '--max-old-space-size=512',
];
