// Records and sessions that several tests need.
import type { Session } from '../src/journal-record.ts';

export const session: Session = {
  sessionId: '00112233445566778899aabbccddeeff',
  sessionKey: 'ffeeddccbbaa99887766554433221100',
  address: 'tcp:127.0.0.1:7800',
  blocks: [{ id: 'pc.ram', path: '/dev/shm/guest.ram' }],
  guest: { type: 'process', pid: 42, startTime: 1234 },
  engine: null,
};
