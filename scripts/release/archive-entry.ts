/** One file of an archive. The same entries give the same bytes, on any machine and at any time. */
export interface ArchiveEntry {
  /** A relative path with slashes. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly isExecutable: boolean;
}
