/** Exit codes of every command. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  /** Wrong flags or configuration. */
  usage: 2,
  /** It works, but not at full redundancy, or only a part was done. */
  degraded: 3,
} as const;
