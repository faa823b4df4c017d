import { expect, test } from "bun:test";
import { PAGE_ROWS, pagesInView, ROW_PX } from "../../../src/dashboard/sessions/window.ts";

const PAGE_PX = PAGE_ROWS * ROW_PX;

test.each([
  [-100, 900, 0, 0],
  [0, 900, 0, 0],
  [PAGE_PX - 900, 900, 0, 1],
  [PAGE_PX, 900, 0, 1],
  [PAGE_PX + 900, 900, 1, 1],
  [150 * PAGE_PX, 900, 149, 150],
])("pagesInView(%d, %d)", (offset, height, firstPage, lastPage) => {
  expect(pagesInView(offset, height)).toEqual({ firstPage, lastPage });
});
