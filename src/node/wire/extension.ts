/** The extension of one connection (protocol.ts): requests that run beside each other and are answered as they end. */
import { HoldfastError } from '../../base/errors.ts';
import { type Bulk, RespFailure, type RespValue, SimpleString } from '../../base/resp/values.ts';
import { type Answer, Concurrent } from '../server/session.ts';
import { PROTOCOL, PROTOCOL_VERSION, type Verb } from './protocol.ts';
import { failureOf, helloValues, type Scope, verbs } from './verbs.ts';

const OK = new SimpleString('OK');

/** Whether this greets a node of ours, in a version that it speaks. */
export function greetsUs(request: readonly Bulk[]): boolean {
  return request[1]?.toString() === PROTOCOL && Number(request[2]?.toString()) === PROTOCOL_VERSION;
}

export function greeting(scope: Scope): Promise<RespValue> {
  return helloValues(scope);
}

/** `onFault`: an error that is no answer. */
export function runExtension(
  request: readonly Bulk[],
  scope: Scope,
  onFault: (error: unknown) => void,
): Answer {
  const id = request[1] === undefined ? Number.NaN : Number(request[1].toString());
  if (!Number.isSafeInteger(id) || id < 0)
    return new RespFailure('InvalidArgument the id of a request is a number');
  return new Concurrent(
    answer(request, scope).then(
      (values) => [id, OK, ...values],
      (error: unknown) => {
        const failure = failureOf(error);
        if (failure === undefined) onFault(error);
        return [id, failure ?? new RespFailure('InternalError the node failed')];
      },
    ),
  );
}

async function answer(request: readonly Bulk[], scope: Scope): Promise<readonly RespValue[]> {
  const verb = request[2]?.toString() ?? '';
  if (!Object.hasOwn(verbs, verb)) {
    throw new HoldfastError('InvalidArgument', { detail: `there is no verb "${verb.slice(0, 20)}"` });
  }
  return verbs[verb as Verb](scope, request.slice(3));
}
