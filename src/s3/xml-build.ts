/**
 * Response documents. fast-xml-builder writes the elements; the escaping is ours, because S3's is particular:
 * control characters appear as numeric references (`&#x1;`), which XML 1.0 does not allow but AWS sends and
 * clients decode, and a carriage return must be one, or every parser turns it into a line feed (XML 1.0
 * section 2.11).
 *
 * Listings, the one hot document, are put together from strings in xml-listing.ts with the same `escapeXml`.
 */
import XMLBuilder from 'fast-xml-builder';

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/**
 * Content of an element. `undefined` leaves the element out; `@_name` is an attribute, `#text` the text
 * beside one.
 */
export type XmlValue = string | number | boolean | undefined | XmlObject | readonly XmlValue[];
export interface XmlObject {
  readonly [name: string]: XmlValue;
}

const UNSAFE = /[\u0000-\u001f"&<>\u007f\ufffe\uffff]/;
const UNSAFE_ALL = /[\u0000-\u001f"&<>\u007f\ufffe\uffff]/g;
const NAMED: Readonly<Record<string, string>> = { '"': '&quot;', '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Character data of an element or attribute. */
export function escapeXml(text: string): string {
  if (!UNSAFE.test(text)) return text;
  return text.replace(UNSAFE_ALL, (c) => NAMED[c] ?? `&#x${c.charCodeAt(0).toString(16).toUpperCase()};`);
}

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@_',
  suppressBooleanAttributes: false,
  processEntities: false,
  tagValueProcessor: (_name: string, value: unknown) => escapeXml(String(value)),
});

/** A document with S3's namespace on its root. */
export function buildXml(rootName: string, content: XmlObject): string {
  return XML_DECLARATION + builder.build({ [rootName]: { '@_xmlns': S3_NAMESPACE, ...content } });
}
