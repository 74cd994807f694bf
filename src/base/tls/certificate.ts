/**
 * Self-signed X.509 certificates with ML-DSA-87 (RFC 9881), the vessel in which TLS carries the identity of a node or a gateway. Nobody
 * looks at name, serial number or dates: trust is the pinned hash of the public key (design/keys.md, "Transport"), so a wrong clock
 * cannot shut anybody out. The structure comes from @peculiar/asn1-x509; the signature is node:crypto's. (@peculiar/x509 makes the
 * whole, but through Web Crypto's experimental ML-DSA and a process-wide polyfill of Reflect.)
 */
import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Certificate,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

/** id-ml-dsa-87, RFC 9881 section 2; its parameters are absent. */
const ML_DSA_87 = '2.16.840.1.101.3.4.3.19';
const COMMON_NAME = '2.5.4.3';
const SUBJECT = 'holdfast';
/** RFC 5280 section 4.1.2.5: this end says that there is none. */
const NOT_BEFORE = new Date('2025-01-01T00:00:00Z');
const NOT_AFTER = new Date('9999-12-31T23:59:59Z');
const PEM_LINE_CHARS = 64;

/** PEM. `privateKey` is an ML-DSA-87 key; the signature is hedged, so no two certificates of a key are the same. */
export function selfSignedCertificate(privateKey: KeyObject): string {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const body = new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.of(1).buffer,
    signature: algorithm(),
    issuer: name(),
    validity: new Validity({ notBefore: NOT_BEFORE, notAfter: NOT_AFTER }),
    subject: name(),
    subjectPublicKeyInfo: AsnConvert.parse(publicKey, SubjectPublicKeyInfo),
  });
  const signature = sign(null, Buffer.from(AsnConvert.serialize(body)), privateKey);
  const certificate = new Certificate({
    tbsCertificate: body,
    signatureAlgorithm: algorithm(),
    signatureValue: Uint8Array.from(signature).buffer,
  });
  return pem(Buffer.from(AsnConvert.serialize(certificate)));
}

function algorithm(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: ML_DSA_87 });
}

function name(): Name {
  const value = new AttributeValue({ utf8String: SUBJECT });
  const attribute = new AttributeTypeAndValue({ type: COMMON_NAME, value });
  return new Name([new RelativeDistinguishedName([attribute])]);
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(new RegExp(`.{1,${PEM_LINE_CHARS}}`, 'g')) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
