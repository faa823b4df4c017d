/** The fixed height of a row in px: positions follow without measuring. */
export const ROW_PX = 76;
/** Rows per page of the list. */
export const PAGE_ROWS = 50;

export interface PageRange {
  readonly firstPage: number;
  readonly lastPage: number;
}

/**
 * The pages that are visible, plus half a window above and below. `offsetPx` is the distance from the top of the list
 * down to the top of the window.
 */
export function pagesInView(offsetPx: number, heightPx: number): PageRange {
  const pagePx = ROW_PX * PAGE_ROWS;
  const first = Math.max(0, Math.floor((offsetPx - heightPx / 2) / pagePx));
  return { firstPage: first, lastPage: Math.max(first, Math.floor((offsetPx + heightPx * 1.5) / pagePx)) };
}
