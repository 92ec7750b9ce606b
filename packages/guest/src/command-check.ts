// Finds out before the handover that a guest command cannot be executed, when rolling back still costs nothing.
// A file that is neither ELF nor a script is refused: shells run such a file themselves, some of them without an exec,
// and then whether the command ever ran could not be proven.
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Why `command` (a program and its arguments) cannot be executed, in words; empty when nothing is known against it. */
export async function findBlockedCommand(command: readonly string[]): Promise<readonly string[]> {
  const program = command[0];
  if (program === undefined || program === '') return ['the guest command is empty'];
  if (command.some((argument) => argument.includes('\0'))) return ['the guest command holds a zero byte'];
  const candidates = program.includes('/') ? [program] : searchPath(program);
  for (const candidate of candidates) {
    if (await isExecutableFile(candidate)) return checkFormat(candidate);
  }
  return [`the guest command ${program} is not an executable file`];
}

function searchPath(program: string): readonly string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program));
}

async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

async function checkFormat(path: string): Promise<readonly string[]> {
  const magic = await readStart(path, 4);
  // Executable but not readable: nothing is known against it.
  if (magic === null || magic === '\x7fELF' || magic.startsWith('#!')) return [];
  return [`the guest command ${path} is neither an ELF program nor a script that begins with #!`];
}

async function readStart(path: string, lengthBytes: number): Promise<string | null> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return null;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}
