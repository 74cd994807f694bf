/** Colours and bars for terminals; plain text elsewhere. */
const codes = { red: 31, green: 32, yellow: 33, grey: 90, bold: 1 } as const;

export interface RenderOptions {
  readonly colour: boolean;
}

export function paint(text: string, style: keyof typeof codes, options: RenderOptions): string {
  return options.colour ? `\u001b[${codes[style]}m${text}\u001b[0m` : text;
}

const BAR_CELLS = 24;

/** `[██████░░░░]`; only drawn on a terminal. */
export function bar(part: number, whole: number, options: RenderOptions): string {
  if (!options.colour) return '';
  const filled = whole > 0 ? Math.round(Math.min(1, part / whole) * BAR_CELLS) : BAR_CELLS;
  return ` ${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`;
}

export function percent(part: number, whole: number): string {
  return whole > 0 ? `${((100 * part) / whole).toFixed(part === whole ? 0 : 1)} %` : '100 %';
}

/** Rows of equal columns, padded; the last column is not. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows.map((row) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  '),
  );
}

export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 72 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}
