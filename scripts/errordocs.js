/**
 * Makes docs/errors.md from the one table of errors (src/base/errors.ts): `npm run docs` writes the file, `--print` writes to stdout,
 * which is what test/base/errordocs.test.ts compares the file with. Runs on the Node of the project, which strips types.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorTable } from '../src/base/errors.ts';

const target = fileURLToPath(new URL('../docs/errors.md', import.meta.url));

const cell = (text) => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');

function rows(entries) {
  return entries.map(([code, { httpStatus, retryable, s3, message }]) => {
    const cells = [code, String(httpStatus), retryable ? 'yes' : '', s3 ?? '', cell(message)];
    return `| ${cells.join(' | ')} |`;
  });
}

const entries = Object.entries(errorTable).sort(([a], [b]) => (a < b ? -1 : 1));
const text = [
  '# Errors',
  '',
  'Made from `src/base/errors.ts` by `npm run docs`; a test fails when this file is older than the table. Change the table, not this file.',
  '',
  '- **Status** is the HTTP status that an S3 client gets.',
  '- **Again** says whether the same request can succeed later.',
  '- **Shown as** is the AWS code under which S3 clients see a code that S3 does not have.',
  '- **Message** is the usual one; the one that is answered may say more exactly what is wrong and where.',
  '',
  '| Code | Status | Again | Shown as | Message |',
  '|---|---|---|---|---|',
  ...rows(entries),
  '',
].join('\n');

if (process.argv.includes('--print')) process.stdout.write(text);
else writeFileSync(target, text);
