/**
 * What QEMU 7.2's TCG does wrong now and then, in about one of a hundred engines: it goes on in the middle of an instruction.
 * The guest kernel's own words of one such moment, in the digest's loop: `RIP: 0033:0x34698525c0b`, `Code: … b9 ff ff ff ff 49 23
 * <cf> 48 03 c1 …`, where the instruction is `49 23 cf` (and rcx, r15) and RCX shows that the one before it was not executed;
 * the last byte by itself is iret, whose read at the low half of RSP ends in `CR2: 00000000407b5bf8` with `RSP:
 * 00007ffb407b5bf8`. No jump leads there. In other places the process gets a SIGSEGV, or V8 takes it for a trap of
 * WebAssembly. An engine that crashes anywhere but in the emulated machine is an error: test:chaos on the host counts none.
 */
const CRASH = /ended by SIG(?:SEGV|ILL|BUS|TRAP)|cannot go on: (?:memory access out of bounds|unreachable)/;

/** Times that one piece of work may be struck. */
const MOST_CRASHES = 2;

/** Does the work again if an engine crashed in it, and says so. */
export async function againIfCrashed<T>(work: () => Promise<T>, restore: () => void): Promise<T> {
  for (let crashes = 0; ; crashes += 1) {
    try {
      return await work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (crashes === MOST_CRASHES || !CRASH.test(reason)) throw error;
      process.stdout.write(`an engine crashed in the emulated machine, once more: ${reason}\n`);
      restore();
    }
  }
}
