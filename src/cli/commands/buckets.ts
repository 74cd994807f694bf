import type { BucketReport, BucketSettings } from '../../admin/report.ts';
import { callServer, type OnlineOptions } from '../controlclient.ts';
import { exitCodes } from '../exitcodes.ts';
import { renderBucketSet, renderBuckets } from '../render/buckets.ts';

export async function bucketsListCommand(options: OnlineOptions): Promise<number> {
  const buckets = await callServer<readonly BucketReport[]>(options, 'GET', '/buckets');
  const colour = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
  process.stdout.write(
    `${options.json ? JSON.stringify(buckets, null, 2) : renderBuckets(buckets, { colour })}\n`,
  );
  return exitCodes.ok;
}

export async function bucketsSetCommand(
  name: string,
  options: OnlineOptions & Required<BucketSettings>,
): Promise<number> {
  const { etag } = options;
  await callServer(options, 'POST', `/buckets/${encodeURIComponent(name)}`, { etag });
  process.stdout.write(
    `${options.json ? JSON.stringify({ name, etag }) : renderBucketSet(name, { etag })}\n`,
  );
  return exitCodes.ok;
}
