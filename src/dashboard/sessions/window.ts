/** A row's height in px; every row has it, so that where a row is can be told without measuring. */
export const ROW_PX = 76;
/** Rows of a page of the list. */
export const PAGE_ROWS = 50;

export interface Shown {
  /** Pages to have read, the first and the last. */
  readonly firstPage: number;
  readonly lastPage: number;
}

/** The pages of which something is seen, or will be after a small movement. `offsetPx`: how far the list's top is above the window's. */
export function pagesInView(offsetPx: number, heightPx: number): Shown {
  const pagePx = ROW_PX * PAGE_ROWS;
  const first = Math.max(0, Math.floor((offsetPx - heightPx / 2) / pagePx));
  return { firstPage: first, lastPage: Math.max(first, Math.floor((offsetPx + heightPx * 1.5) / pagePx)) };
}
