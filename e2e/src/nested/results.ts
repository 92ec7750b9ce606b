/** What the nested guest says to its host on the console. */
import { z } from 'zod';

export const RESULT_PREFIX = 'RESULT ';

export const nestedResult = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('loss'),
    loss: z.string(),
    finalScan: z.boolean(),
    changedPages: z.number(),
    seenPages: z.number(),
    tracker: z.string(),
    isRescanned: z.boolean(),
    failedConditions: z.array(z.string()).readonly(),
    conditionsMs: z.number(),
    downtimeMs: z.number(),
    isIdentical: z.boolean(),
    isSaid: z.boolean(),
  }),
  z.object({
    type: z.literal('migration'),
    /** scan, soft-dirty, or soft-dirty without the final scan. */
    tracker: z.enum(['scan', 'soft-dirty', 'soft-dirty, no final scan']),
    /** The final scan, as it was done. */
    isRescanned: z.boolean(),
    failedConditions: z.array(z.string()).readonly(),
    /** Memory that rounds after the bulk stage looked at, the final one included, bytes. */
    readBytes: z.number(),
    /** Of the engine, over the whole migration, milliseconds. */
    cpuMs: z.number(),
    downtimeMs: z.number(),
    finalRoundMs: z.number(),
    clearMs: z.number(),
    conditionsMs: z.number(),
    isIdentical: z.boolean(),
    isSaid: z.boolean(),
  }),
]);
export type NestedResult = z.output<typeof nestedResult>;
