import t from 'tap';
import { HUGETLBFS_MAGIC, TMPFS_MAGIC } from '../src/file-system.ts';
import { findFailedConditions, findFailedSince, findUnwatched } from '../src/soft-dirty-conditions.ts';
import type { ImageFacts, MappingFacts, SoftDirtyFacts } from '../src/soft-dirty-facts.ts';

const WRITER = { pid: 7, startTime: 1, ranges: [{ address: 4096, firstPage: 0, pageCount: 8 }] };
const MAPPING: MappingFacts = {
  pid: 7,
  isLocked: false,
  isKeptFromForks: true,
  hugeBytes: 0,
  isHugeEligible: false,
};
const IMAGE: ImageFacts = {
  path: '/dev/shm/a',
  identity: '00:1a:5',
  fileSystemType: TMPFS_MAGIC,
  writers: [WRITER],
  mappings: [MAPPING],
  isTouched: false,
};
const FACTS: SoftDirtyFacts = {
  images: [IMAGE],
  unreadableCount: 0,
  swapBytes: 0,
  counters: { pswpout: 3, thp_split_page: 4, thp_split_pmd: 5 },
};

function withImage(changes: Partial<ImageFacts>): SoftDirtyFacts {
  return { ...FACTS, images: [{ ...IMAGE, ...changes }] };
}

function withMapping(changes: Partial<MappingFacts>): SoftDirtyFacts {
  return withImage({ mappings: [{ ...MAPPING, ...changes }] });
}

const moments: readonly (readonly [what: string, facts: SoftDirtyFacts, reasons: readonly RegExp[]])[] = [
  ['all as it must be', FACTS, []],
  ['on hugetlbfs', withImage({ fileSystemType: HUGETLBFS_MAGIC }), [/hugetlbfs/]],
  ['on a disk', withImage({ fileSystemType: 0xef53 }), [/not on tmpfs/]],
  ['nobody maps it', withImage({ writers: [], mappings: [] }), [/no process maps/]],
  ['swap', { ...FACTS, swapBytes: 4096 }, [/there is swap/]],
  ['swap, locked', { ...withMapping({ isLocked: true }), swapBytes: 4096 }, []],
  ['swap, nobody maps it', { ...withImage({ writers: [], mappings: [] }), swapBytes: 1 }, [/no process/]],
  ['swap that cannot be told', { ...FACTS, swapBytes: NaN }, [/swap/]],
  ['a mapping that cannot be looked into', withImage({ mappings: [] }), [/cannot be read/]],
  ['in huge pages', withMapping({ hugeBytes: 2 ** 21, isHugeEligible: true }), [/2097152 bytes/]],
  ['huge pages to come', withMapping({ isHugeEligible: true }), [/may get huge pages/]],
  ['an old kernel', withMapping({ isHugeEligible: undefined }), [/is not known/]],
  ['forks', withMapping({ isKeptFromForks: false }), [/7 forks .*DONTFORK/]],
  ['written by a call', withImage({ isTouched: true }), [/written by a call or punched/]],
  ['not watched', withImage({ isTouched: undefined }), [/is not known/]],
  ['processes that cannot be seen', { ...FACTS, unreadableCount: 2 }, [/2 processes/]],
];

void t.test('at one moment', (t) => {
  t.plan(moments.length * 2 + 1);
  for (const [what, facts, reasons] of moments) {
    t.match(findFailedConditions(facts, []), [...reasons], what);
    t.equal(findFailedConditions(facts, []).length, reasons.length, what);
  }
  t.same(findFailedConditions(FACTS, ['it has a balloon']), ['it has a balloon']);
});

const changes: readonly (readonly [what: string, after: SoftDirtyFacts, reasons: readonly RegExp[]])[] = [
  ['nothing', structuredClone(FACTS), []],
  ['another file', withImage({ identity: '00:1a:6' }), [/another file/]],
  ['no file', { ...FACTS, images: [] }, [/another file/]],
  ['another process', withImage({ writers: [{ ...WRITER, pid: 8 }] }), [/\(7; now 8\)/]],
  ['the pid again', withImage({ writers: [{ ...WRITER, startTime: 2 }] }), [/others than at the clear/]],
  [
    'one more',
    withImage({ writers: [WRITER, { ...WRITER, pid: 9 }], mappings: [MAPPING, { ...MAPPING, pid: 9 }] }),
    [/\(7; now 7, 9\)/],
  ],
  [
    'another address',
    withImage({ writers: [{ ...WRITER, ranges: [{ address: 8192, firstPage: 0, pageCount: 8 }] }] }),
    [/others than at the clear/],
  ],
  ['reclaimed', { ...FACTS, counters: { ...FACTS.counters, pswpout: 9 } }, [/pswpout .* from 3 to 9/]],
  ['split', { ...FACTS, counters: { ...FACTS.counters, thp_split_pmd: 6 } }, [/thp_split_pmd/]],
  ['no counters', { ...FACTS, counters: {} }, [/pswpout/, /thp_split_page/, /thp_split_pmd/]],
  ['not as it must be now', { ...FACTS, swapBytes: 1 }, [/there is swap/]],
];

void t.test('between two moments', (t) => {
  t.plan(changes.length * 2 + 1);
  for (const [what, after, reasons] of changes) {
    const found = findFailedSince(FACTS, after, []);
    t.match(found, [...reasons], what);
    t.equal(found.length, reasons.length, what);
  }
  t.match(findFailedSince({ ...FACTS, counters: {} }, { ...FACTS, counters: {} }, []), [/pswpout/]);
});

void t.test('whose bits are read', (t) => {
  const file = { path: IMAGE.path, device: '00:1a', inode: '5' };
  const another = { ...WRITER, pid: 8 };
  const rows = [
    ['all that write', [WRITER], true],
    ['one has come', [], false],
    ['one is gone', [WRITER, another], false],
    ['it maps otherwise', [{ ...WRITER, ranges: [] }], false],
    ['it is another process', [{ ...WRITER, startTime: 2 }], false],
  ] as const;
  t.plan(rows.length + 1);
  for (const [what, writers, isProven] of rows)
    t.equal(findUnwatched(FACTS, [{ file, writers }]).length, isProven ? 0 : 1, what);
  t.match(findUnwatched(FACTS, []), [/whose bits are read/], 'an image that is not watched');
});
