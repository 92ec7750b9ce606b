/** Lines of a socket of text, each without its end. Node's readline is not used, since it throws what the socket suffers. */
import type { Socket } from 'node:net';

/** Takes over the socket's encoding. What has no end when the socket closes is no line. */
export function onLine(socket: Socket, take: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const pieces = (rest + text).split('\n');
    rest = pieces.pop() ?? '';
    for (const piece of pieces) take(piece);
  });
}
