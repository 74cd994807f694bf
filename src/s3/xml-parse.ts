/**
 * Request documents. fast-xml-parser does the lexing; this file decides what an S3 document may contain and
 * hands out a plain tree of elements, so that duplicates and order stay visible to the handlers.
 *
 * Why not the parser's own objects: they turn one element into a value and two into a list, and give a
 * client's element names to JavaScript objects. Limits: no DOCTYPE, no entities beyond the five predefined
 * ones and numeric references (each decoded once), depth 16, a number of tags that the caller names, a size
 * that `OperationContext.document` enforces, UTF-8 only. Attributes and namespace prefixes are dropped: S3
 * gives them no meaning in requests.
 *
 * More lenient than XML 1.0 in one point: control characters, raw or as references, are kept, because keys
 * contain them and Python's clients send them raw. Line ends are normalised as XML 1.0 section 2.11 says.
 */
import { XMLParser } from 'fast-xml-parser';
import { HoldfastError } from '../base/errors.ts';

const DEPTH_MAX = 16;
const PREDEFINED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const REFERENCE = /&([^;&]{0,32};)?/g;
const UTF8_NAMES = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

export interface XmlElement {
  readonly name: string;
  /** Character data, exactly as sent. Empty for an element with children. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** What the parser gives with `preserveOrder`: one key per node, its name or '#text'. */
type OrderedNode = Readonly<Record<string, readonly OrderedNode[] | string>>;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  removeNSPrefix: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  parseTagValue: false,
  trimValues: false,
  maxNestedTags: DEPTH_MAX,
  jPath: false,
  processEntities: true,
  entityDecoder: {
    decode: decodeReferences,
    addInputEntities: () => malformed('a document type declaration is not allowed'),
    setExternalEntities: () => {},
    setXmlVersion: () => {},
    reset: () => {},
  },
});

/**
 * The root element of a document, which must be called `rootName`.
 * @param tagsMax bound on opening and closing tags together, so that a small body cannot become millions of
 * objects.
 * @throws MalformedXML
 */
export function parseXml(bytes: Uint8Array, rootName: string, tagsMax: number): XmlElement {
  if (countTags(bytes) > tagsMax) malformed(`more than ${tagsMax} tags`);
  const text = decodeUtf8(bytes);
  // The validator misses text after a root that closes itself.
  if (!text.trimEnd().endsWith('>')) malformed('a document ends with a tag');
  let nodes: readonly OrderedNode[];
  try {
    nodes = parser.parse(text, true) as readonly OrderedNode[];
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError('MalformedXML', { cause: error });
  }
  const roots = nodes.filter((node) => nameOf(node) !== '#text').map(toElement);
  const root = roots[0];
  if (!root || roots.length > 1) malformed('a document has exactly one root element');
  if (root.name !== rootName) malformed(`the root element is not ${rootName}`);
  return root;
}

/** The children of an element, checked against the names that it may have. */
export interface XmlFields {
  /** Text of a child that occurs at most once; undefined where it is absent. */
  text(name: string): string | undefined;
  /** Child element that occurs at most once. */
  element(name: string): XmlElement | undefined;
  all(name: string): readonly XmlElement[];
}

/**
 * Reads the children of `parent`. Any name that is in neither list is refused, as is a second one of
 * `single`.
 * @throws MalformedXML
 */
export function readFields(
  parent: XmlElement,
  single: readonly string[],
  repeated: readonly string[] = [],
): XmlFields {
  const found = new Map<string, XmlElement[]>();
  for (const child of parent.children) {
    const list = found.get(child.name);
    if (list === undefined) {
      if (!single.includes(child.name) && !repeated.includes(child.name)) {
        malformed(`${parent.name} has no element ${child.name}`);
      }
      found.set(child.name, [child]);
    } else {
      if (!repeated.includes(child.name)) malformed(`${child.name} occurs twice in ${parent.name}`);
      list.push(child);
    }
  }
  if (parent.children.length === 0 && parent.text.trim() !== '') malformed(`${parent.name} contains text`);
  return {
    text: (name) => {
      const child = found.get(name)?.[0];
      if (child && child.children.length > 0) malformed(`${name} contains elements`);
      return child?.text;
    },
    element: (name) => found.get(name)?.[0],
    all: (name) => found.get(name) ?? [],
  };
}

function toElement(node: OrderedNode): XmlElement {
  const name = nameOf(node);
  if (!NAME.test(name)) malformed('an element name is not valid');
  const content = node[name] as readonly OrderedNode[];
  const children: XmlElement[] = [];
  let text = '';
  for (const child of content) {
    const value = child['#text'];
    if (typeof value === 'string') text += value;
    else children.push(toElement(child));
  }
  if (children.length === 0) return { name, text, children };
  if (text.trim() !== '') malformed(`${name} mixes text and elements`);
  return { name, text: '', children };
}

function nameOf(node: OrderedNode): string {
  for (const name in node) if (name !== ':@') return name;
  return '';
}

function decodeReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(REFERENCE, (reference) => {
    const name = reference.slice(1, -1);
    const predefined = Object.hasOwn(PREDEFINED, name) ? PREDEFINED[name] : undefined;
    if (predefined !== undefined) return predefined;
    const codePoint = numericReference(name);
    if (codePoint === undefined) malformed('an entity is not defined');
    return String.fromCodePoint(codePoint);
  });
}

function numericReference(name: string): number | undefined {
  const digits = /^#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}))$/.exec(name);
  if (!digits) return undefined;
  const codePoint = digits[1] ? Number.parseInt(digits[1], 16) : Number.parseInt(digits[2] ?? '', 10);
  const valid = codePoint <= 0x10ffff && (codePoint < 0xd800 || codePoint > 0xdfff);
  return valid ? codePoint : undefined;
}

function countTags(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(0x3c); at >= 0; at = bytes.indexOf(0x3c, at + 1)) count += 1;
  return count;
}

function decodeUtf8(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new HoldfastError('MalformedXML', { detail: 'The document is not valid UTF-8.', cause: error });
  }
  const encoding = /^<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1];
  if (encoding !== undefined && !UTF8_NAMES.has(encoding.toLowerCase())) {
    malformed('the document is declared in an encoding other than UTF-8');
  }
  return text;
}

function malformed(what: string): never {
  throw new HoldfastError('MalformedXML', {
    detail: `The XML you provided was not well-formed or did not validate against our published schema: ${what}.`,
  });
}
