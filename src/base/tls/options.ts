/**
 * TLS between our own gateways and nodes (design/keys.md, "Transport"): version 1.3, one hybrid group of category 5, one signature
 * algorithm, one cipher, no resumption. A peer that offers anything else gets a handshake failure; there is nothing to fall back to.
 *
 * Certificates are not checked against authorities or dates. The handshake proves that the peer holds the key in its certificate, and the
 * caller compares the fingerprint of that key with a pin. With mutual authentication a client is through its handshake before the server
 * has looked at its certificate: it may trust the connection only after the first reply of the application.
 */
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type TLSSocket, type TlsOptions } from 'node:tls';
import { HoldfastError } from '../errors.ts';
import { SECOND_MS } from '../units.ts';
import { fingerprintOf, type TlsIdentity } from './identity.ts';

export const TRANSPORT_GROUP = 'SecP384r1MLKEM1024';
const SIGNATURE = 'mldsa87';
const CIPHER = 'TLS_AES_256_GCM_SHA384';
/** A server lets go of a peer that has not come through its handshake by then. */
const HANDSHAKE_MS_MAX = 10 * SECOND_MS;

function parameters(identity: TlsIdentity) {
  return {
    cert: identity.certificatePem,
    key: identity.keyPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ecdhCurve: TRANSPORT_GROUP,
    sigalgs: SIGNATURE,
    ciphers: CIPHER,
    // Tickets would hold the state of a session at the peer; without them and without a cache nothing can be resumed.
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
}

/**
 * For tls.createServer. A peer without a certificate comes through the handshake too, as one without a fingerprint: peerFingerprint is
 * undefined, and the connection is to be destroyed.
 */
export function serverOptions(identity: TlsIdentity): TlsOptions {
  return {
    ...parameters(identity),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS_MAX,
  };
}

/** What all connections of a client share; made once, since it parses key and certificate. */
export function clientContext(identity: TlsIdentity): SecureContext {
  return createSecureContext(parameters(identity));
}

/** Of the ML-DSA-87 key that the peer has proven to hold; undefined when it has proven none. */
export function peerFingerprint(socket: TLSSocket): Buffer | undefined {
  const publicKey = socket.getPeerX509Certificate()?.publicKey;
  return publicKey?.asymmetricKeyType === 'ml-dsa-87' ? fingerprintOf(publicKey) : undefined;
}

/**
 * What a client got: protocol and group, for status and metrics. A server cannot see its group (Node tells it to clients only).
 * @throws TransportRefused when it is anything but what was asked for, or a resumed session
 */
export function checkedTransport(socket: TLSSocket): string {
  const protocol = socket.getProtocol();
  const cipher = socket.getCipher().name;
  const group =
    (socket.getEphemeralKeyInfo() as { readonly name?: string } | null)?.name ?? 'an unknown group';
  const got = `${protocol} ${group} ${cipher}`;
  if (protocol !== 'TLSv1.3' || group !== TRANSPORT_GROUP || cipher !== CIPHER || socket.isSessionReused()) {
    throw new HoldfastError('TransportRefused', {
      detail: `the connection has ${got}${socket.isSessionReused() ? ', resumed' : ''}; only TLSv1.3 ${TRANSPORT_GROUP} ${CIPHER} is used`,
    });
  }
  return `tls ${group}`;
}
