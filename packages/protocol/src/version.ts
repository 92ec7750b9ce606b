/**
 * Versions of the protocol: the source offers a list, the destination selects the newest common one, the source checks
 * that the choice was in its offer. Adding a version is adding a number here; both lists are in both errors.
 */
import { ProtocolError } from './errors.ts';

/** Versions that this program speaks, newest first. */
export const SUPPORTED_VERSIONS: readonly number[] = [1];

/**
 * The newest version in both lists, whatever their order.
 * Throws ProtocolError no-common-version, with both lists.
 */
export function selectVersion(
  offered: readonly number[],
  supported: readonly number[] = SUPPORTED_VERSIONS,
): number {
  const common = supported.filter((version) => offered.includes(version));
  if (common.length === 0) {
    throw new ProtocolError({ code: 'no-common-version', offered, supported });
  }
  return Math.max(...common);
}

/**
 * The source's half: refuses a choice that it did not offer.
 * Throws ProtocolError version-not-offered.
 */
export function checkChosenVersion(chosen: number, offered: readonly number[] = SUPPORTED_VERSIONS): void {
  if (!offered.includes(chosen)) {
    throw new ProtocolError({ code: 'version-not-offered', chosen, offered });
  }
}
