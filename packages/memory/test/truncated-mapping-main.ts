// A program that touches a mapped page behind its file's end: what a race lost against a truncation does. Its argument
// is the file.
import { ftruncateSync, openSync } from 'node:fs';
import { WindowKernel } from '@pageferry/xbzrle';
import { SECRET } from './digested.ts';
import { mappingCalls } from './file-calls.ts';

const fd = openSync(process.argv[2] ?? '', 'r+');
const kernel = new WindowKernel({ secret: SECRET, pageCount: 2 });
mappingCalls.mapReadOnly(fd, 0, kernel.window);
kernel.resident.fill(1);
kernel.firstChanged(0, 0, 2);
ftruncateSync(fd, 0);
kernel.firstChanged(0, 0, 2);
