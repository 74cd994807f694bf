import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { serverNodeFlags } from '../../src/cli/nodeflags.ts';

test('npm start runs the server with the flags that bin/holdfast.js gives it', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } };
  expect(scripts.start).toBe(`exec node ${serverNodeFlags.join(' ')} src/cli/main.ts serve`);
});
