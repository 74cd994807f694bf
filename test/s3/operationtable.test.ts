/** The real table: every row is found by exactly the request that its selectors describe. */
import { expect, test } from 'vitest';
import { operations } from '../../src/s3/operations/index.ts';
import { OperationTable } from '../../src/s3/operationtable.ts';

const table = new OperationTable(operations);
const places = {
  service: { level: 'service', bucket: '', key: '' },
  bucket: { level: 'bucket', bucket: 'b', key: '' },
  object: { level: 'object', bucket: 'b', key: 'k' },
} as const;

test('every row is reachable', () => {
  for (const operation of operations) {
    const query = Object.entries(operation.selectors).map(
      ([name, value]) => [name, value === true ? '' : value] as const,
    );
    const headers = operation.selectingHeader ? { [operation.selectingHeader]: 'x' } : {};
    const found = table.find(operation.method, places[operation.level], query, headers);
    expect(found.name, `${operation.method} ${JSON.stringify(operation.selectors)}`).toBe(operation.name);
  }
});

test('names are unique', () => {
  const names = operations.map((operation) => operation.name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test('an unknown sub-resource, x-amz or x-holdfast header is never ignored, whatever the operation', () => {
  for (const operation of operations) {
    const absent = operation.headers.includes('x-amz-*');
    const query = Object.entries(operation.selectors).map(
      ([name, value]) => [name, value === true ? '' : value] as const,
    );
    const headers = operation.selectingHeader ? { [operation.selectingHeader]: 'x' } : {};
    const find = (more: Record<string, string>, parameters: [string, string][]) => () =>
      table.find(operation.method, places[operation.level], [...query, ...parameters], {
        ...headers,
        ...more,
      });
    expect(find({}, [['never-heard-of', '']]), operation.name).toThrow('never-heard-of');
    expect(find({ 'x-holdfast-never-heard-of': 'x' }, []), operation.name).toThrow('never-heard-of');
    if (!absent) expect(find({ 'x-amz-never-heard-of': 'x' }, []), operation.name).toThrow('never-heard-of');
  }
});
