/** Runs in the nested guest. */
import { findSoftDirtyProblem } from '@pageferry/memory';
process.stdout.write(`hello ${process.version} ${findSoftDirtyProblem() ?? 'bits'}\n`);
