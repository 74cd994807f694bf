/**
 * What is checked of the platform at every start (design/keys.md, "Platform floor"). Node before 24.15 has no raw seeds,
 * and some earlier 24 releases silently ignored the context of a signature, so that a signature for one purpose was good for another.
 * The known answer was made by another implementation (test/vectors/cobblestone256-pyca.json).
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import { open } from './seal.ts';

const NODE_FLOOR = { major: 24, minor: 15 };

/** A sealed message of the 32 bytes 0, 1, … 31. */
const knownAnswer = {
  key: '6a91cbe0111ca3ae301db9248309a7a8b6bc0e1ea5c4ba327f76a4eb09a0ceb4',
  context:
    '7772617000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031',
  sealed:
    'd2528c9e3941a953ba7a69705bd5a85c4eb20453e51db8a655fc3b300a8a89639f98129524f744977ca1d5110211f8fc64534577d6b67a2619ca89961fa4436205eb2ba56105e02a2575138f3ba96c79b0fa1add80320a8bbd56899a73eb26eaa9ed6a5ff820c106',
};

function unsupported(detail: string, cause?: unknown): HoldfastError {
  return new HoldfastError('PlatformUnsupported', { detail, cause });
}

/** @throws PlatformUnsupported, naming what this Node.js lacks or does wrongly. Takes a few milliseconds. */
export function platformSelfTest(nodeVersion: string = process.versions.node): void {
  checkVersion(nodeVersion);
  checkSignatureContexts();
  checkKnownAnswer();
}

function checkVersion(nodeVersion: string): void {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const { major: floorMajor, minor: floorMinor } = NODE_FLOOR;
  if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return;
  throw unsupported(`Node.js ${floorMajor}.${floorMinor} or later is needed, this is ${nodeVersion}`);
}

function checkSignatureContexts(): void {
  const message = Buffer.from('holdfast self-test');
  const context = Buffer.from('holdfast/v1/self-test');
  const other = Buffer.from('holdfast/v1/another');
  let good: boolean;
  let confused: boolean;
  try {
    const seed = { key: Buffer.alloc(32, 0x5a), format: 'raw-seed', asymmetricKeyType: 'ml-dsa-87' } as const;
    const privateKey = createPrivateKey(seed);
    const publicKey = createPublicKey(privateKey);
    const signature = sign(null, message, { key: privateKey, context });
    good = verify(null, message, { key: publicKey, context }, signature);
    confused = verify(null, message, { key: publicKey, context: other }, signature);
  } catch (cause) {
    throw unsupported('this Node.js cannot sign with ML-DSA-87', cause);
  }
  if (!good) throw unsupported('this Node.js does not accept its own ML-DSA-87 signature');
  if (confused) throw unsupported('this Node.js ignores the context of an ML-DSA-87 signature');
}

function checkKnownAnswer(): void {
  const bytes = (text: string) => Buffer.from(text, 'hex');
  let plaintext: Buffer;
  try {
    plaintext = open(bytes(knownAnswer.key), bytes(knownAnswer.context), bytes(knownAnswer.sealed));
  } catch (cause) {
    throw unsupported('a known message sealed with Cobblestone-256 does not open here', cause);
  }
  if (plaintext.length !== 32 || plaintext.some((byte, i) => byte !== i)) {
    throw unsupported('a known message sealed with Cobblestone-256 opens to something else here');
  }
}
