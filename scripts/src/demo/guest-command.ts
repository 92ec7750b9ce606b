// The command that the destination starts as its guest: first another program, cmp, compares both files, then the guest
// goes on. The destination executes it on the commit, while nobody writes: the source's guest is stopped, this one not
// begun. A guest whose memory is wrong does not run.
import { readFileSync } from 'node:fs';

const NAME = 'pageferry-demo-guest';
/** Arguments: verdict file, source's image, destination's image, page-aligned byte to break or "", the guest's command. */
const SCRIPT = `verdict=$1; a=$2; b=$3; broken=$4; shift 4
if [ -n "$broken" ]; then
  byte=$(od -An -tu1 -j "$broken" -N1 "$b")
  printf "\\\\$(printf %03o $((255 - byte)))" | dd of="$b" bs=1 seek="$broken" conv=notrunc 2>/dev/null
fi
cmp "$a" "$b" >"$verdict.part" 2>&1
status=$?
echo "cmp ended with status $status" >>"$verdict.part"
mv "$verdict.part" "$verdict"
[ "$status" -eq 0 ] || exit "$status"
exec "$@"`;

export interface ComparedImages {
  readonly verdictPath: string;
  readonly sourceImage: string;
  readonly destinationImage: string;
  /** Where to change a byte before the comparison. */
  readonly brokenByte: number | null;
}

/** Program and arguments, for the daemon's configuration. */
export function comparingCommand(images: ComparedImages, guest: readonly string[]): readonly string[] {
  const { verdictPath, sourceImage, destinationImage, brokenByte } = images;
  const broken = brokenByte === null ? '' : String(brokenByte);
  return ['/bin/sh', '-c', SCRIPT, NAME, verdictPath, sourceImage, destinationImage, broken, ...guest];
}

/** What cmp said; `undefined` while it has not ended. */
export function readVerdict(
  verdictPath: string,
): { readonly isIdentical: boolean; readonly text: string } | undefined {
  let text: string;
  try {
    text = readFileSync(verdictPath, 'utf8').trim();
  } catch {
    return undefined;
  }
  return { isIdentical: text === 'cmp ended with status 0', text };
}
