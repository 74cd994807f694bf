/** Request documents: what is decoded, what is refused, and that attacks cost nothing. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasCode } from '../../src/base/errors.ts';
import { escapeXml } from '../../src/s3/xml-build.ts';
import { parseXml, readFields } from '../../src/s3/xml-parse.ts';

const parse = (document: string | Buffer, tagsMax = 1000) => parseXml(Buffer.from(document), 'A', tagsMax);
const textOfB = (document: string | Buffer) => readFields(parse(document), ['B']).text('B');
const refuses = (document: string | Buffer, tagsMax?: number) => {
  try {
    parse(document, tagsMax);
  } catch (error) {
    return hasCode(error, 'MalformedXML');
  }
  return false;
};

describe('text is taken as it is', () => {
  test.each([
    ['white space is kept', '<A><B>  a b\t</B></A>', '  a b\t'],
    ['numbers stay text', '<A><B>007</B></A>', '007'],
    ['truth values stay text', '<A><B>true</B></A>', 'true'],
    ['the five predefined entities', '<A><B>&lt;&gt;&amp;&quot;&apos;</B></A>', '<>&"\''],
    ['numeric references', '<A><B>&#65;&#x42;&#x1F600;</B></A>', 'AB\u{1f600}'],
    ['references to control characters', '<A><B>&#x1;&#13;&#0;</B></A>', '\u0001\r\u0000'],
    ['raw control characters', '<A><B>a\u0001b\u001f</B></A>', 'a\u0001b\u001f'],
    ['each reference is decoded once', '<A><B>&amp;lt;&amp;#65;&amp;amp;</B></A>', '&lt;&#65;&amp;'],
    ['CDATA is not decoded', '<A><B><![CDATA[<x>&amp;]]>&amp;</B></A>', '<x>&amp;&'],
    ['a comment does not cut text', '<A><B>a<!-- < & -->b</B></A>', 'ab'],
    ['line ends are normalised', '<A><B>a\r\nb\rc</B></A>', 'a\nb\nc'],
    ['astral characters', '<A><B>\u{1f600}\u{10ffff}</B></A>', '\u{1f600}\u{10ffff}'],
    ['a byte order mark is skipped', '\ufeff<A><B>x</B></A>', 'x'],
    ['a declaration is skipped', '<?xml version="1.0" encoding="UTF-8"?>\n<A><B>x</B></A>', 'x'],
    ['the S3 namespace', '<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><B>x</B></A>', 'x'],
    [
      'a prefixed namespace',
      '<s:A xmlns:s="http://s3.amazonaws.com/doc/2006-03-01/"><s:B>x</s:B></s:A>',
      'x',
    ],
    ['attributes have no meaning', '<A><B kind="&quot;" other="2">x</B></A>', 'x'],
    ['an empty element', '<A><B/></A>', ''],
  ])('%s', (_, document, text) => expect(textOfB(document)).toBe(text));

  test('any key that is escaped comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.string({ unit: 'binary' }), (a, b) => {
        for (const key of [a, b]) expect(textOfB(`<A><B>${escapeXml(key)}</B></A>`)).toBe(key);
      }),
    );
  });
});

describe('attacks and mistakes are MalformedXML', () => {
  const laughs = Array.from({ length: 20 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join(
    '',
  );
  test.each([
    ['billion laughs', `<!DOCTYPE A [<!ENTITY l0 "lol">${laughs}]><A><B>&l20;</B></A>`],
    [
      'quadratic blow-up',
      `<!DOCTYPE A [<!ENTITY x "${'x'.repeat(9000)}">]><A><B>${'&x;'.repeat(100)}</B></A>`,
    ],
    ['an external entity', '<!DOCTYPE A [<!ENTITY x SYSTEM "file:///etc/passwd">]><A><B>&x;</B></A>'],
    ['a parameter entity', '<!DOCTYPE A [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><A/>'],
    ['an external DTD', '<!DOCTYPE A SYSTEM "http://127.0.0.1/x.dtd"><A/>'],
    ['an empty DOCTYPE', '<!DOCTYPE A><A><B>x</B></A>'],
    ['a DOCTYPE inside', '<A><!DOCTYPE B><B>x</B></A>'],
    ['a lower-case doctype', '<!doctype A><A/>'],
    ['a declaration inside', '<A><!ELEMENT B ANY><B>x</B></A>'],
    ['an undefined entity', '<A><B>&nbsp;</B></A>'],
    ['an entity named like a method', '<A><B>&constructor;</B></A>'],
    ['a bare ampersand', '<A><B>a & b</B></A>'],
    ['a surrogate reference', '<A><B>&#xD800;</B></A>'],
    ['a reference beyond Unicode', '<A><B>&#x110000;</B></A>'],
    ['deep nesting', `${'<A>'.repeat(1000)}${'</A>'.repeat(1000)}`],
    ['too many tags', `<A>${'<B/>'.repeat(2000)}</A>`],
    ['tags that do not match', '<A><B>x</C></A>'],
    ['an element that is not closed', '<A><B>x</B>'],
    ['two roots', '<A/><A/>'],
    ['another root', '<B>x</B>'],
    ['text after the root', '<A/>x'],
    ['nothing', ''],
    ['not XML', '{"A":1}'],
    ['text between elements', '<A>x<B>y</B></A>'],
    ['a prototype name', '<A><__proto__>x</__proto__></A>'],
    ['a repeated attribute', '<A x="1" x="2"/>'],
    ['another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><A><B>x</B></A>'],
    ['UTF-16', Buffer.from('\ufeff<A><B>x</B></A>', 'utf16le')],
    ['invalid UTF-8', Buffer.from([0x3c, 0x41, 0x3e, 0xc3, 0x28, 0x3c, 0x2f, 0x41, 0x3e])],
    ['an overlong form', Buffer.concat([Buffer.from('<A>'), Buffer.from([0xc0, 0xaf]), Buffer.from('</A>')])],
    [
      'a surrogate in UTF-8',
      Buffer.concat([Buffer.from('<A>'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('</A>')]),
    ],
  ])('%s', (_, document) => expect(refuses(document)).toBe(true));

  test('arbitrary bytes are parsed or refused, never anything else', () => {
    const pieces = fc.constantFrom(
      '<A>',
      '</A>',
      '<B',
      '>',
      '<![CDATA[',
      ']]>',
      '<!--',
      '-->',
      '&',
      '#x1;',
      '<?',
      '"',
      'x',
      '<!D',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (list) => {
        try {
          parse(list.join(''));
        } catch (error) {
          expect(hasCode(error, 'MalformedXML')).toBe(true);
        }
      }),
    );
  });

  test('a large attack is refused quickly', () => {
    const startMs = performance.now();
    expect(refuses(`<A>${'<B>'.repeat(1_000_000)}`)).toBe(true);
    expect(refuses(`<A a="${'x'.repeat(2_000_000)}`)).toBe(true);
    expect(refuses(`<A>${' '.repeat(2_000_000)}`)).toBe(true);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });
});

describe('fields of an element', () => {
  const fieldsOf = (document: string) => readFields(parse(document), ['One'], ['Many']);

  test('hands out single and repeated children', () => {
    const fields = fieldsOf('<A><One>1</One><Many>x</Many><Many>y</Many></A>');
    expect(fields.text('One')).toBe('1');
    expect(fields.all('Many').map((child) => child.text)).toEqual(['x', 'y']);
    expect(fields.text('Absent')).toBeUndefined();
  });

  test.each([
    ['an unknown element', '<A><Two/></A>'],
    ['a single one twice', '<A><One>1</One><One>2</One></A>'],
    ['text where elements belong', '<A>text</A>'],
  ])('refuses %s', (_, document) => {
    expect(() => fieldsOf(document)).toThrow(/did not validate/);
  });

  test('refuses elements where text belongs', () => {
    expect(() => fieldsOf('<A><One><Two/></One></A>').text('One')).toThrow(/contains elements/);
  });
});
