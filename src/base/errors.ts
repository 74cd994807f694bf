/**
 * The one table of errors. Every failure that a caller can see has a code here, with the message a person reads, the
 * HTTP status S3 answers with, and whether trying again can help. Codes in the first part are AWS's own
 * (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html); those in the second part are internal and are mapped
 * to one of the first by `s3`.
 */
export interface ErrorEntry {
  readonly message: string;
  readonly httpStatus: number;
  readonly retryable?: true;
  /** The AWS code under which S3 clients see an internal error. */
  readonly s3?: string;
}

const table = {
  AccessDenied: { httpStatus: 403, message: 'Access Denied' },
  AuthorizationHeaderMalformed: {
    httpStatus: 400,
    message: 'The authorization header you provided is invalid.',
  },
  AuthorizationQueryParametersError: {
    httpStatus: 400,
    message: 'The authorization query parameters that you provided are not valid.',
  },
  BadDigest: {
    httpStatus: 400,
    message: 'The Content-MD5 or checksum you specified did not match what we received.',
  },
  BadRequest: { httpStatus: 400, message: 'The request is not valid.' },
  BucketAlreadyExists: { httpStatus: 409, message: 'The requested bucket name is not available.' },
  BucketAlreadyOwnedByYou: {
    httpStatus: 409,
    message: 'Your previous request to create the named bucket succeeded and you already own it.',
  },
  BucketNotEmpty: { httpStatus: 409, message: 'The bucket you tried to delete is not empty.' },
  ConditionalRequestConflict: {
    httpStatus: 409,
    message: 'A conflicting conditional operation is in progress against this resource. Try again.',
    retryable: true,
  },
  EntityTooLarge: {
    httpStatus: 400,
    message: 'Your proposed upload exceeds the maximum allowed object size.',
  },
  EntityTooSmall: {
    httpStatus: 400,
    message: 'Your proposed upload is smaller than the minimum allowed size.',
  },
  ExpiredToken: { httpStatus: 400, message: 'The provided token has expired.' },
  IllegalLocationConstraintException: {
    httpStatus: 400,
    message: 'The specified location constraint is not valid for this endpoint.',
  },
  IncompleteBody: {
    httpStatus: 400,
    message: 'You did not provide the number of bytes specified by the Content-Length HTTP header.',
  },
  InternalError: {
    httpStatus: 500,
    message: 'We encountered an internal error. Please try again.',
    retryable: true,
  },
  InvalidAccessKeyId: {
    httpStatus: 403,
    message: 'The AWS Access Key Id you provided does not exist in our records.',
  },
  InvalidArgument: { httpStatus: 400, message: 'Invalid Argument' },
  InvalidBucketName: { httpStatus: 400, message: 'The specified bucket is not valid.' },
  InvalidDigest: { httpStatus: 400, message: 'The Content-MD5 you specified is not valid.' },
  InvalidLocationConstraint: { httpStatus: 400, message: 'The specified location constraint is not valid.' },
  InvalidPart: {
    httpStatus: 400,
    message:
      'One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part.',
  },
  InvalidPartNumber: { httpStatus: 416, message: 'The requested partnumber is not satisfiable.' },
  InvalidPartOrder: {
    httpStatus: 400,
    message: 'The list of parts was not in ascending order. Parts must be ordered by part number.',
  },
  InvalidRange: { httpStatus: 416, message: 'The requested range is not satisfiable.' },
  InvalidRequest: { httpStatus: 400, message: 'Invalid Request' },
  InvalidStorageClass: { httpStatus: 400, message: 'The storage class you specified is not valid.' },
  InvalidTag: { httpStatus: 400, message: 'The tag provided was not a valid tag.' },
  InvalidURI: { httpStatus: 400, message: "Couldn't parse the specified URI." },
  InvalidToken: {
    httpStatus: 400,
    message: 'The provided token is malformed or otherwise not valid.',
  },
  KeyTooLongError: { httpStatus: 400, message: 'Your key is too long.' },
  MalformedACLError: { httpStatus: 400, message: 'The ACL you provided was not well-formed.' },
  MalformedXML: {
    httpStatus: 400,
    message: 'The XML you provided was not well-formed or did not validate against our published schema.',
  },
  MalformedTrailerError: {
    httpStatus: 400,
    message:
      'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  },
  MaxMessageLengthExceeded: { httpStatus: 400, message: 'Your request was too big.' },
  MetadataTooLarge: {
    httpStatus: 400,
    message: 'Your metadata headers exceed the maximum allowed metadata size.',
  },
  MethodNotAllowed: {
    httpStatus: 405,
    message: 'The specified method is not allowed against this resource.',
  },
  MissingContentLength: { httpStatus: 411, message: 'You must provide the Content-Length HTTP header.' },
  MissingRequestBodyError: { httpStatus: 400, message: 'Request body is empty.' },
  MissingSecurityHeader: { httpStatus: 400, message: 'Your request was missing a required header.' },
  NoSuchBucket: { httpStatus: 404, message: 'The specified bucket does not exist' },
  NoSuchKey: { httpStatus: 404, message: 'The specified key does not exist.' },
  NoSuchTagSet: { httpStatus: 404, message: 'The TagSet does not exist' },
  NoSuchUpload: {
    httpStatus: 404,
    message:
      'The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  },
  NoSuchVersion: { httpStatus: 404, message: 'The specified version does not exist.' },
  NotImplemented: {
    httpStatus: 501,
    message: 'A header or query you provided implies functionality that is not implemented.',
  },
  NotModified: { httpStatus: 304, message: 'Not Modified' },
  OperationAborted: {
    httpStatus: 409,
    message: 'A conflicting conditional operation is currently in progress against this resource. Try again.',
    retryable: true,
  },
  PreconditionFailed: {
    httpStatus: 412,
    message: 'At least one of the pre-conditions you specified did not hold',
  },
  RequestHeaderSectionTooLarge: {
    httpStatus: 400,
    message: 'Your request header section exceeds the maximum allowed request header size.',
  },
  RequestTimeout: {
    httpStatus: 400,
    message:
      'Your socket connection to the server was not read from or written to within the timeout period.',
    retryable: true,
  },
  RequestTimeTooSkewed: {
    httpStatus: 403,
    message: "The difference between the request time and the server's time is too large.",
  },
  ServiceUnavailable: { httpStatus: 503, message: 'Please reduce your request rate.', retryable: true },
  SignatureDoesNotMatch: {
    httpStatus: 403,
    message:
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  },
  SlowDown: { httpStatus: 503, message: 'Please reduce your request rate.', retryable: true },
  TooManyBuckets: {
    httpStatus: 400,
    message: 'You have attempted to create more buckets than allowed.',
  },
  XAmzContentSHA256Mismatch: {
    httpStatus: 400,
    message: "The provided 'x-amz-content-sha256' header does not match what was computed.",
  },
  /** What AWS answers for settings that a bucket was never given. */
  NoSuchBucketPolicy: { httpStatus: 404, message: 'The bucket policy does not exist' },
  NoSuchCORSConfiguration: { httpStatus: 404, message: 'The CORS configuration does not exist' },
  NoSuchConfiguration: { httpStatus: 404, message: 'The specified configuration does not exist.' },
  NoSuchLifecycleConfiguration: { httpStatus: 404, message: 'The lifecycle configuration does not exist' },
  NoSuchPublicAccessBlockConfiguration: {
    httpStatus: 404,
    message: 'The public access block configuration was not found',
  },
  NoSuchWebsiteConfiguration: {
    httpStatus: 404,
    message: 'The specified bucket does not have a website configuration',
  },
  ObjectLockConfigurationNotFoundError: {
    httpStatus: 404,
    message: 'Object Lock configuration does not exist for this bucket',
  },
  ReplicationConfigurationNotFoundError: {
    httpStatus: 404,
    message: 'The replication configuration was not found',
  },
  ServerSideEncryptionConfigurationNotFoundError: {
    httpStatus: 404,
    message: 'The server side encryption configuration was not found',
  },
  InvalidRedirectLocation: {
    httpStatus: 400,
    message: "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
  },
  /** MinIO's and Ceph's code for a store that is full; AWS has none. RFC 4918 section 11.5. */
  InsufficientStorage: { httpStatus: 507, message: 'The storage nodes have no space left for this write.' },

  GridUnavailable: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'Too few nodes are reachable for this operation.',
    retryable: true,
  },
  DataUnavailable: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'Too few intact fragments of this object are reachable at the moment.',
    retryable: true,
  },
  NodeUnavailable: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'The node does not answer.',
    retryable: true,
  },
  NodeFull: { httpStatus: 507, s3: 'InsufficientStorage', message: 'The node has no space left.' },
  QuotaExceeded: {
    httpStatus: 507,
    s3: 'InsufficientStorage',
    message: 'The namespace on the node has no space left.',
  },
  TokenSuperseded: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'Another gateway has taken over this log.',
  },
  TransportRefused: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'The connection is weaker than what is required.',
  },
  IdentityMismatch: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'The node has another identity than the pinned one.',
  },
  JoinRefused: { httpStatus: 403, s3: 'AccessDenied', message: 'The node refused the join token.' },
  NodeFailed: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'The node has ended after a disk failure.',
  },
  FragmentMissing: { httpStatus: 500, s3: 'InternalError', message: 'The node does not have this fragment.' },
  FragmentCorrupt: {
    httpStatus: 500,
    s3: 'InternalError',
    message: 'A fragment does not match its trailer.',
  },
  FragmentConflict: {
    httpStatus: 500,
    s3: 'InternalError',
    message: 'The node already holds other, intact content under this name.',
  },
  AuthenticationFailed: {
    httpStatus: 500,
    s3: 'InternalError',
    message: 'Stored data failed its authentication tag.',
  },
  CommitConflict: {
    httpStatus: 409,
    s3: 'OperationAborted',
    message: 'A precondition did not hold.',
    retryable: true,
  },
  ShuttingDown: {
    httpStatus: 503,
    s3: 'ServiceUnavailable',
    message: 'The server is shutting down.',
    retryable: true,
  },
  ConfigInvalid: { httpStatus: 500, message: 'The configuration is not valid.' },
  DataDirectoryInvalid: { httpStatus: 500, message: 'The data directory cannot be used.' },
  DataDirectoryBusy: { httpStatus: 500, message: 'The data directory is in use by another process.' },
  FormatTooNew: { httpStatus: 500, message: 'The data was written by a newer version of Holdfast.' },
  PlatformUnsupported: {
    httpStatus: 500,
    message: 'This Node.js cannot do the cryptography that Holdfast needs.',
  },
  PortInUse: { httpStatus: 500, message: 'The address is already in use.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof table;

export const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = table;

export interface ErrorDetails {
  /** Replaces the table's message: names what is wrong and where. Never contains a secret. */
  readonly detail?: string;
  readonly cause?: unknown;
  /** Extra elements of the S3 error document, for example `{ BucketName: 'b' }`. */
  readonly fields?: Readonly<Record<string, string>>;
}

export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';
  readonly code: ErrorCode;
  readonly fields: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    super(
      details.detail ?? errorTable[code].message,
      details.cause === undefined ? {} : { cause: details.cause },
    );
    this.code = code;
    this.fields = details.fields ?? {};
  }

  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}

/** True when `error` is a HoldfastError with one of `codes`. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is HoldfastError {
  return error instanceof HoldfastError && codes.includes(error.code);
}
