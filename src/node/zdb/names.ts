/** Names of commands: 0-db takes any beginning of a name, in upper or lower case, for the first command that begins so. */
const names = [
  ...[
    '*',
    'WAIT',
    'MIRROR',
    'MASTER',
    'PING',
    'TIME',
    'AUTH',
    'HOOKS',
    'INDEX',
    'DATA',
    'SET',
    'SETX',
    'GET',
    'MGET',
  ],
  ...[
    'DEL',
    'EXISTS',
    'CHECK',
    'SCAN',
    'SCANX',
    'RSCAN',
    'KSCAN',
    'HISTORY',
    'KEYCUR',
    'LENGTH',
    'KEYTIME',
    'INFO',
  ],
  ...['STOP', 'DBSIZE', 'NSNEW', 'NSDEL', 'NSLIST', 'NSSET', 'NSINFO', 'NSJUMP', 'SELECT', 'RELOAD', 'FLUSH'],
] as const;

export type CommandName = (typeof names)[number];

export function commandName(given: string): CommandName | undefined {
  const wanted = given.toUpperCase();
  return wanted === '' ? undefined : names.find((name) => name.startsWith(wanted));
}
