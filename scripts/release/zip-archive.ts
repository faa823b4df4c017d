import { constants, crc32, deflateRawSync } from "node:zlib";
import type { ArchiveEntry } from "./archive-entry.ts";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const MADE_BY_UNIX = (3 << 8) | VERSION;
const UTF8_NAMES = 1 << 11;
const DEFLATE = 8;

/** A zip of files below 4 GiB, all with the time `mtimeSeconds` (UTC; the format stores even seconds only). */
export function zip(entries: readonly ArchiveEntry[], mtimeSeconds: number): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { path, content, isExecutable } of entries) {
    const name = Buffer.from(path);
    const packed = deflateRawSync(content, { level: constants.Z_BEST_COMPRESSION });
    const common = commonFields(content, packed, name, mtimeSeconds);
    const local = Buffer.alloc(4);
    local.writeUInt32LE(LOCAL);
    directory.push(centralHeader(common, offset, isExecutable), name);
    parts.push(local, common, name, packed);
    offset += local.length + common.length + name.length + packed.length;
  }
  return Buffer.concat([
    ...parts,
    ...directory,
    endRecord(
      entries.length,
      directory.reduce((total, { length }) => total + length, 0),
      offset,
    ),
  ]);
}

/** The fields from "version needed" to "extra length", which the local and the central header share. */
function commonFields(content: Uint8Array, packed: Uint8Array, name: Uint8Array, mtimeSeconds: number): Buffer {
  const { time, date } = dosTime(mtimeSeconds);
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(VERSION, 0);
  fields.writeUInt16LE(UTF8_NAMES, 2);
  fields.writeUInt16LE(DEFLATE, 4);
  fields.writeUInt16LE(time, 6);
  fields.writeUInt16LE(date, 8);
  fields.writeUInt32LE(crc32(content), 10);
  fields.writeUInt32LE(packed.length, 14);
  fields.writeUInt32LE(content.length, 18);
  fields.writeUInt16LE(name.length, 22);
  return fields;
}

function centralHeader(common: Buffer, offset: number, isExecutable: boolean): Buffer {
  const before = Buffer.alloc(6);
  before.writeUInt32LE(CENTRAL, 0);
  before.writeUInt16LE(MADE_BY_UNIX, 4);
  const after = Buffer.alloc(14);
  after.writeUInt32LE(((isExecutable ? 0o100755 : 0o100644) << 16) >>> 0, 6);
  after.writeUInt32LE(offset, 10);
  return Buffer.concat([before, common, after]);
}

function endRecord(count: number, directoryBytes: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(directoryBytes, 12);
  end.writeUInt32LE(offset, 16);
  return end;
}

function dosTime(seconds: number): { time: number; date: number } {
  const at = new Date(seconds * 1000);
  const year = Math.max(0, at.getUTCFullYear() - 1980);
  return {
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
    date: (year << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
  };
}
