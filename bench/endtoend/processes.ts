/** What /proc tells of a process and everything it has started. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const KIB = 1024;
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Empty when the process has gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function children(pid: number): number[] {
  let threads: string[] = [];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
}

function family(pid: number): number[] {
  return [pid, ...children(pid).flatMap(family)];
}

/** User and system time of a process, its threads, and its children, living and dead (proc_pid_stat(5), fields 14 to 17). */
export function cpuSeconds(pid: number): number {
  const ticks = family(pid).map((member) => {
    const fields = read(`/proc/${member}/stat`).split(') ')[1]?.split(' ') ?? [];
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  });
  return ticks.reduce((sum, value) => sum + value, 0) / ticksPerSecond;
}

export function memoryMiB(pid: number): number {
  const kibs = family(pid).map((member) =>
    Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${member}/status`))?.[1] ?? 0),
  );
  return Math.round(kibs.reduce((sum, value) => sum + value, 0) / KIB);
}

/** Kills everything that `pid` has started, not itself. */
export function killTree(pid: number): void {
  for (const member of family(pid).slice(1).reverse()) {
    try {
      process.kill(member, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}
