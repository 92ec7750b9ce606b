/**
 * Open files passed to another process of ours over a UNIX socket (SCM_RIGHTS, unix(7)): the receiver gets the same
 * open file description, with its locks, however late it was started.
 *
 * struct msghdr and struct cmsghdr are laid out by hand for 64-bit Linux: length u64, level i32, type i32, data.
 */
import koffi from 'koffi';
import { TransportError } from './errors.ts';

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const HEADER_BYTES = 16;
const FD_BYTES = 4;
const ALIGNMENT_BYTES = 8;
/** SCM_MAX_FD of Linux. */
const DESCRIPTORS_MAX = 253;

koffi.struct('iovec', { base: 'void *', length: 'size_t' });
koffi.struct('msghdr', {
  name: 'void *',
  nameLength: 'uint32_t',
  vectors: 'iovec *',
  vectorCount: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});
const libc = koffi.load(null);
const sendmsg = libc.func('int64_t sendmsg(int fd, msghdr *message, int flags)');
const recvmsg = libc.func('int64_t recvmsg(int fd, _Inout_ msghdr *message, int flags)');

/** Sends descriptors with one byte of data. @throws TransportError SYSTEM_CALL */
export function sendDescriptors(socketFd: number, fds: readonly number[]): void {
  const control = controlBuffer(fds.length);
  control.writeBigUInt64LE(BigInt(HEADER_BYTES + fds.length * FD_BYTES), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  fds.forEach((fd, index) => control.writeInt32LE(fd, HEADER_BYTES + index * FD_BYTES));
  const message = messageOf(Buffer.from([1]), control, HEADER_BYTES + fds.length * FD_BYTES);
  if (Number(sendmsg(socketFd, message, 0)) !== 1) throw failed('sendmsg');
}

/** Receives exactly `count` descriptors that were sent in one call. @throws TransportError SYSTEM_CALL */
export function receiveDescriptors(socketFd: number, count: number): number[] {
  const control = controlBuffer(count);
  const message = messageOf(Buffer.alloc(1), control, control.length);
  if (Number(recvmsg(socketFd, message, MSG_CMSG_CLOEXEC)) !== 1) throw failed('recvmsg');
  if (control.readBigUInt64LE(0) !== BigInt(HEADER_BYTES + count * FD_BYTES)) throw failed('recvmsg');
  return Array.from({ length: count }, (_, index) => control.readInt32LE(HEADER_BYTES + index * FD_BYTES));
}

function controlBuffer(count: number): Buffer {
  if (count < 1 || count > DESCRIPTORS_MAX)
    throw new RangeError(`${count} descriptors cannot be passed at once`);
  return Buffer.alloc(Math.ceil((HEADER_BYTES + count * FD_BYTES) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES);
}

function messageOf(data: Buffer, control: Buffer, controlLength: number): object {
  const vectors = [{ base: data, length: data.length }];
  return { name: null, nameLength: 0, vectors, vectorCount: 1, control, controlLength, flags: 0 };
}

function failed(syscall: string): TransportError {
  return new TransportError({ code: 'SYSTEM_CALL', syscall, errno: `errno ${koffi.errno()}` });
}
