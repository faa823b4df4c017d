/** One file of an archive. The same entries give the same bytes, whoever packs them and when. */
export interface ArchiveEntry {
  /** Relative, with slashes. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly isExecutable: boolean;
}
