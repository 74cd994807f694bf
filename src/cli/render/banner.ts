import type { Welcome } from '../../gateway/welcome.ts';

/** What `holdfast serve` prints when it is ready. */
export function renderBanner(welcome: Welcome): string {
  const lines = [
    '',
    `Holdfast ${welcome.version} is ready.`,
    '',
    `  S3 endpoint   ${welcome.endpoint}`,
    ...(welcome.statusPage === undefined ? [] : [`  Status page   ${welcome.statusPage}`]),
    `  Data          ${welcome.data}`,
    `  Grid          ${welcome.grid}`,
    `  Keys          ${welcome.keys}`,
    `  Kernels       ${welcome.kernels}`,
    ...welcome.notes.map((note) => `  Note          ${note}`),
    '',
    'Try it:',
    `  ${welcome.awsCommand}`,
    `  ${welcome.rcloneCommand}`,
    '',
    'Stop it with Ctrl-C.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}
