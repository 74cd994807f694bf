import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig, parseAddress, parseBytes } from '../../src/config/load.ts';

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'holdfast-config-')), 'holdfast.toml');
  writeFileSync(path, text);
  return path;
}

describe('configuration', () => {
  test('a flag wins over the environment, that over the file, that over the default', () => {
    const path = file('data = "/file"\n[s3]\nregion = "file"\nlisten = "1.1.1.1:1"\n');
    const config = loadConfig({
      flags: { data: '/flag' },
      environment: { HOLDFAST_DATA: '/environment', HOLDFAST_S3_REGION: 'environment' },
      file: path,
    });
    expect(config.string('data')).toBe('/flag');
    expect(config.string('s3.region')).toBe('environment');
    expect(config.string('s3.listen')).toBe('1.1.1.1:1');
    expect(config.number('grid.nodes')).toBe(6);
    expect(config.source('s3.listen')).toBe(`${path} line 4`);
  });

  test.each([
    ['unknown setting', '[s3]\n\nregoin = "x"\n', /line 3: there is no setting "s3\.regoin"/],
    ['broken TOML', 'data = "a"\ndata = \n', /line 2/],
    ['wrong type', '[grid]\nnodes = "six"\n', /line 2: "six" is not a whole number/],
    ['out of bounds', '[grid]\nnodes = 256\n', /line 2: 256 is not between 0 and 255/],
    ['too wide', '[grid]\ndata-fragments = 200\nparity-fragments = 100\n', /k \+ m = 300/],
    ['folder twice', '[grid]\nfolders = ["/a", "/a/"]\n', /\/a is named twice/],
    ['half a TLS pair', '[s3]\ntls-cert = "c.pem"\n', /needed together/],
  ])('%s is refused with the line named', (_name, text, message) => {
    expect(() => loadConfig({ flags: {}, environment: {}, file: file(text) })).toThrow(message);
  });

  test('a file that was named must exist', () => {
    expect(() => loadConfig({ flags: {}, environment: {}, file: '/nowhere/holdfast.toml' })).toThrow(
      /cannot be read/,
    );
  });

  test('sizes have units', () => {
    expect(parseBytes('1.5 GiB')).toBe(1.5 * 2 ** 30);
    expect(parseBytes('500MB')).toBe(5e8);
    expect(parseBytes(7)).toBe(7);
    expect(parseBytes('many')).toBeNaN();
  });

  test('addresses may be IPv6 and may leave the host out', () => {
    expect(parseAddress('[::1]:9000', 's3.listen')).toEqual({ host: '::1', port: 9000 });
    expect(parseAddress(':9000', 's3.listen')).toEqual({ host: '0.0.0.0', port: 9000 });
    expect(() => parseAddress('localhost', 'flag --s3')).toThrow(/flag --s3: "localhost"/);
  });
});
